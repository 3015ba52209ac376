//! One bank, its customers and their wallets, for tests.

use hundi_journal::account::{Account, CustomerId};
use hundi_journal::audit::{Auditor, Report};
use hundi_journal::bank::{Bank, HandleError, Profile};
use hundi_journal::event::Event;
use hundi_journal::input::{GrantTerms, Input, Keys, Operation, OperationKind};
use hundi_journal::output::{Outputs, Verdict};
use hundi_journal::prepare::Submission;
use hundi_ledger::body::{Payment, Plaintext, Refund};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{
    AuthorId, BankNumber, Hash, PublicKey, RequestId, SealingKey, Serial, Signature,
};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::checkpoint::{Checkpoint, Outcome};
use hundi_ledger::record::entry::{Entry, Header, Kind, Position, body_hash};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank as NetworkBank, Definition, Network};
use hundi_ledger::record::receipt::{PayeeVerdict, Statement};
use hundi_ledger::record::{Signed, VERSION, sign};
use hundi_ledger::seal::shared::SharedSecrets;
use hundi_ledger::seal::{self, ContentKey, SealingSecret, content_key};
use hundi_ledger::sign::{SecretKey, Verifier};
use hundi_ledger::trust::Trust;
use std::rc::Rc;

pub const START: u64 = 1_000_000;
pub const DAY: u64 = 24 * 3_600;
pub const CLAIM_UNTIL: u64 = START + 8 * DAY;
pub const BANK: BankNumber = BankNumber(1);
pub const OTHER: BankNumber = BankNumber(2);

pub fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

pub fn inr() -> Currency {
    Currency::new("INR").unwrap()
}

pub fn customer(n: u8) -> CustomerId {
    CustomerId([n; 16])
}

pub fn network() -> Network {
    let bank = |number: BankNumber| NetworkBank {
        number,
        root: root(number).public(),
        name: Text::new("bank").unwrap(),
    };
    Network::new(Definition {
        version: VERSION,
        name: Text::new("test").unwrap(),
        start: u32::try_from(START).unwrap(),
        epoch_seconds: 60,
        banks: List::new(vec![bank(BANK), bank(OTHER)]).unwrap(),
    })
    .unwrap()
}

pub fn root(bank: BankNumber) -> SecretKey {
    SecretKey::from_seed(&[200 + u8::try_from(bank.0).unwrap(); 32])
}

pub fn keys(bank: BankNumber) -> Keys {
    let seed = u8::try_from(bank.0).unwrap();
    Keys {
        issue: SecretKey::from_seed(&[210 + seed; 32]),
        issue_certificate: 1,
        settle: SecretKey::from_seed(&[220 + seed; 32]),
        settle_certificate: 2,
        sealing: vec![SealingSecret::from_bytes(&[230 + seed; 32])],
    }
}

pub fn certificate(bank: BankNumber, number: u16) -> Signed<Certificate> {
    let keys = keys(bank);
    let (key, roles) = match number {
        1 => (keys.issue.public(), ROLE_ISSUE),
        _ => (keys.settle.public(), ROLE_SETTLE),
    };
    let honours = List::default();
    let draft = Certificate { version: VERSION, bank, number, key, roles, honours };
    sign(&network().id(), draft, &root(bank)).unwrap().into_inner()
}

/// A wallet: the keys of one author.
pub struct Wallet {
    pub author: AuthorId,
    pub customer: CustomerId,
    pub secret: SecretKey,
    pub sealing: SealingSecret,
}

impl Wallet {
    pub fn new(bank: BankNumber, customer: CustomerId, seed: u8) -> Self {
        let secret = SecretKey::from_seed(&[seed; 32]);
        let author = AuthorId { bank, key: secret.public() };
        Self { author, customer, secret, sealing: SealingSecret::from_bytes(&[seed; 32]) }
    }

    pub fn key(&self) -> PublicKey {
        self.author.key
    }
}

/// Where a log stands. Cloned, it branches: that is how a cheat is made.
#[derive(Clone, Debug)]
pub struct Log {
    pub sequence: u32,
    pub previous: Option<Hash>,
    pub serial: Serial,
    pub total: u64,
}

/// An entry as a test keeps it.
#[derive(Clone, Debug)]
pub struct Made {
    pub id: Hash,
    pub item: Vec<u8>,
    pub entry: Entry,
    pub key: ContentKey,
}

impl Log {
    pub fn new(serial: u16) -> Self {
        Self { sequence: 0, previous: None, serial: Serial(serial), total: 0 }
    }

    pub fn header(&self, wallet: &Wallet, kind: Kind, spend: u64) -> Header {
        let position = match self.previous {
            Some(previous) if self.sequence > 0 => {
                Position::After { sequence: self.sequence, previous }
            }
            _ => Position::First,
        };
        Header {
            version: VERSION,
            kind,
            author: wallet.author,
            position,
            time: 7,
            serial: self.serial,
            amount: amount(spend),
            spent_total: amount(self.total + spend),
            body_hash: Hash([0; 32]),
        }
    }

    /// Signs an entry whose body is sealed under the key that the bank derives, or under `wrong`.
    pub fn write(
        &mut self,
        wallet: &Wallet,
        kind: Kind,
        spend: u64,
        plaintext: Option<&Plaintext>,
        payee: Option<&Wallet>,
        wrong: Option<u8>,
    ) -> Made {
        let header = self.header(wallet, kind, spend);
        let made = seal_and_sign(wallet, header, plaintext, payee, wrong);
        self.sequence += 1;
        self.previous = Some(made.id);
        self.total += spend;
        made
    }

    pub fn pay(&mut self, wallet: &Wallet, payee: &Wallet, spend: u64) -> Made {
        self.write(wallet, Kind::PAYMENT, spend, Some(&payment(payee)), Some(payee), None)
    }

    /// A payment whose body the bank cannot open without the payee's disclosure.
    pub fn pay_unopenable(&mut self, wallet: &Wallet, payee: &Wallet, spend: u64) -> Made {
        let plaintext = payment(payee);
        self.write(wallet, Kind::PAYMENT, spend, Some(&plaintext), Some(payee), Some(9))
    }

    pub fn refund(
        &mut self,
        wallet: &Wallet,
        payer: &Wallet,
        original: Hash,
        sum: u64,
        spend: bool,
    ) -> Made {
        let plaintext = Plaintext::Refund(Refund {
            payee: payer.author,
            original,
            sum: amount(sum),
            memo: Text::default(),
        });
        let spend = if spend { sum } else { 0 };
        self.write(wallet, Kind::REFUND, spend, Some(&plaintext), Some(payer), None)
    }

    pub fn close(&mut self, wallet: &Wallet) -> Made {
        self.write(wallet, Kind::CLOSE, 0, None, None, None)
    }
}

pub fn payment(payee: &Wallet) -> Plaintext {
    Plaintext::Payment(Payment {
        payee: payee.author,
        request: RequestId([1; 8]),
        memo: Text::new("a memo of 16 by.").unwrap(),
        category: 0,
        place: None,
        group: None,
    })
}

pub fn seal_and_sign(
    wallet: &Wallet,
    mut header: Header,
    plaintext: Option<&Plaintext>,
    payee: Option<&Wallet>,
    wrong: Option<u8>,
) -> Made {
    let network = network().id();
    let bank = keys(wallet.author.bank).sealing[0].public();
    let derived = content_key(&network, &wallet.sealing.agree(&bank).unwrap(), &header.head());
    let key = wrong.map_or(derived, |byte| ContentKey::from_bytes([byte; 32]));
    let shared = payee.map(|payee| wallet.sealing.agree(&payee.sealing.public()).unwrap());
    let body = plaintext
        .map(|plaintext| seal::seal(&network, &header.head(), &key, shared.as_ref(), plaintext))
        .unwrap_or_default();
    header.body_hash = body_hash(&network, &body);
    let entry = Entry::sign(&network, header, body, &wallet.secret).unwrap().into_inner();
    Made { id: entry.id(), item: Item::Entry(entry.clone()).encode(), entry, key }
}

/// A receipt of `payee` for an entry that it read with `made.key`.
pub fn receipt(payee: &Wallet, made: &Made, verdict: PayeeVerdict, freezes_epoch: u32) -> Vec<u8> {
    let network = network().id();
    let bank = keys(made.entry.header().author.bank).sealing[0].public();
    let statement = Statement { entry: made.id, verdict, freezes_epoch, checkpoint: 0 };
    let signer = seal::receipt::Signer { author: payee.author, sealing: payee.sealing.public() };
    let shared = payee.sealing.agree(&bank).unwrap();
    let to = made.entry.header().author.bank;
    let draft = seal::receipt::seal(&network, &signer, to, &shared, &made.key, &statement);
    Item::Receipt(sign(&network, draft, &payee.secret).unwrap().into_inner()).encode()
}

/// The same entry under a signature that differs in its bytes.
pub fn with_signature(made: &Made, signature: Signature) -> Vec<u8> {
    let mut item = made.item.clone();
    item[91..155].copy_from_slice(&signature.0);
    item
}

pub struct World {
    pub bank: Bank,
    pub keys: Keys,
    pub now: u64,
    pub events: Vec<Event>,
    pub records: Vec<Item>,
    profile: Profile,
    /// The bank as it was before the last call.
    earlier: Vec<u8>,
    calls: u64,
    replayed: Bank,
    auditor: Auditor,
}

impl World {
    pub fn new() -> Self {
        Self::with_profile(Profile::default())
    }

    pub fn with_profile(profile: Profile) -> Self {
        let bank = || Bank::new(network(), BANK, profile).unwrap();
        let mut world = Self {
            bank: bank(),
            keys: keys(BANK),
            now: START,
            events: Vec::new(),
            records: Vec::new(),
            profile,
            earlier: bank().snapshot(),
            calls: 0,
            replayed: bank(),
            auditor: Auditor::new(network().id(), BANK),
        };
        for number in [1, 2] {
            let record = certificate(BANK, number).encode();
            world.handle(Input::InstallCertificate { record }).unwrap();
        }
        world
    }

    pub fn handle(&mut self, input: Input) -> Result<Rc<Outputs>, HandleError> {
        self.calls += 1;
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.calls.to_le_bytes());
        let before = self.bank.snapshot();
        let mut forgetful = Bank::restore(network(), self.profile, &before).unwrap();
        let afresh = self.decide_prepared(&mut forgetful, entropy, &input);
        let outputs = self.bank.handle(self.now, entropy, input, &self.keys);
        assert_eq!(outputs, afresh, "nothing that is remembered or prepared decides");
        assert_eq!(self.bank.snapshot(), forgetful.snapshot());
        match &outputs {
            Ok(outputs) => {
                for record in &outputs.records {
                    self.records.push(Item::decode(&network().id(), record).unwrap());
                }
                for event in &outputs.events {
                    let stored = Event::decode(&event.encode()).unwrap();
                    assert_eq!(&stored, event, "events survive storage");
                    self.replayed.apply(&stored).unwrap();
                    self.auditor.feed(&stored);
                }
                self.events.extend(outputs.events.iter().cloned());
                assert_eq!(self.bank.checkpoint_due(), None, "what is due was signed at once");
            }
            Err(_) => assert_eq!(self.bank.snapshot(), before, "a refusal changes nothing"),
        }
        self.earlier = before;
        // Stored above, so that a test may drop the rest.
        outputs.map(Rc::new)
    }

    /// Has a bank decide; a submission as others have prepared it, while the call before this one
    /// was not decided yet.
    fn decide_prepared(
        &self,
        bank: &mut Bank,
        entropy: [u8; 32],
        input: &Input,
    ) -> Result<Outputs, HandleError> {
        let Input::Submit { items } = input else {
            return bank.handle(self.now, entropy, input.clone(), &self.keys);
        };
        let earlier = Bank::restore(network(), self.profile, &self.earlier).unwrap();
        let submission = prepared(&earlier, &self.keys, items, 2);
        let mut outputs = bank.submit(self.now, entropy, submission, &self.keys);
        outputs.append(bank.sign_checkpoints(self.now, entropy, &self.keys));
        Ok(outputs)
    }

    pub fn submit(&mut self, items: &[&[u8]]) -> Vec<Verdict> {
        let items: Vec<Vec<u8>> = items.iter().map(|item| item.to_vec()).collect();
        let count = items.len();
        let outputs = self.handle(Input::Submit { items }).unwrap();
        assert_eq!(outputs.verdicts.len(), count);
        outputs.verdicts.clone()
    }

    pub fn submit_one(&mut self, item: &[u8]) -> Verdict {
        self.submit(&[item]).remove(0)
    }

    pub fn enrol(&mut self, customer: CustomerId, seed: u8) -> Wallet {
        let wallet = Wallet::new(BANK, customer, seed);
        self.handle(Input::OpenCustomer { customer }).unwrap();
        self.handle(enrolment(&wallet)).unwrap();
        wallet
    }

    pub fn operate(&mut self, kind: OperationKind, minor: u64) -> Result<Rc<Outputs>, HandleError> {
        let mut reference = [0; 16];
        reference[..8].copy_from_slice(&self.calls.to_le_bytes());
        let operation = Operation { kind, currency: inr(), amount: amount(minor), reference };
        self.handle(Input::Operate(operation))
    }

    pub fn fund(&mut self, customer: CustomerId, minor: u64) {
        self.operate(OperationKind::Fund(customer), minor).unwrap();
    }

    pub fn grant(&mut self, wallet: &Wallet, limit: u64, guarantee: u64) -> Serial {
        let terms =
            GrantTerms { guarantee: amount(guarantee), ..GrantTerms::prefunded(amount(limit)) };
        self.issue(wallet, terms)
    }

    pub fn issue(&mut self, wallet: &Wallet, terms: GrantTerms) -> Serial {
        let author = wallet.key();
        self.handle(Input::IssueGrant { author, terms }).unwrap();
        *self.bank.authors()[&author].grants.keys().next_back().unwrap()
    }

    /// A customer with money, one author, and a grant over all of the money.
    pub fn payer(&mut self, n: u8, limit: u64) -> (Wallet, Log) {
        let wallet = self.enrol(customer(n), n);
        self.fund(customer(n), limit);
        let serial = self.grant(&wallet, limit, 0);
        (wallet, Log::new(serial.0))
    }

    pub fn held(&self, n: u8) -> u64 {
        self.bank.books().held(Account::Customer(customer(n)), inr()).minor()
    }

    pub fn balance(&self, account: Account) -> i128 {
        self.bank.books().balance(account, inr())
    }

    pub fn balance_reserve(&self, wallet: &Wallet, serial: u16) -> u64 {
        let reserve = Account::Reserve(wallet.author, Serial(serial));
        self.bank.books().held(reserve, inr()).minor()
    }

    pub fn outcome(&self, made: &Made) -> Option<Outcome> {
        self.bank.entry(&made.id)?.standing.outcome()
    }

    pub fn tick_at(&mut self, now: u64) {
        self.now = now;
        self.handle(Input::Tick).unwrap();
    }

    /// The newest checkpoint published about an author, verified as a stranger would.
    pub fn checkpoint(&self, wallet: &Wallet) -> Option<Checkpoint> {
        let mut trust = Trust::new(network());
        for number in [1, 2] {
            trust.insert(
                trust
                    .verify_certificate(certificate(BANK, number), &mut Verifier::default())
                    .unwrap(),
            );
        }
        let of_author = self.records.iter().filter_map(|item| match item {
            Item::Checkpoint(record) if record.author == wallet.author => Some(record.clone()),
            _ => None,
        });
        let newest = of_author.max_by_key(|record| record.number)?;
        Some(Checkpoint::clone(&trust.verify_record(newest, &mut Verifier::default()).unwrap()))
    }

    /// Replay identity and all that the independent auditor checks.
    pub fn check(&self) -> Report {
        assert_eq!(self.replayed.snapshot(), self.bank.snapshot(), "replay gives the same state");
        assert_eq!(self.replayed.journal_head(), self.bank.journal_head());
        let report = self.auditor.clone().finish();
        assert_eq!(report.findings, vec![], "the auditor finds nothing");
        assert_eq!(report.head, self.bank.journal_head());
        assert!(report.sums.values().all(|sum| *sum == 0));
        for row in self.bank.books().trial_balance() {
            let audited = report.balances.get(&(row.account, row.currency)).copied();
            assert_eq!(audited.unwrap_or(0), row.balance, "{}", row.account.label());
        }
        report
    }
}

/// Items as other threads prepare them for a bank.
pub fn prepared(bank: &Bank, keys: &Keys, items: &[Vec<u8>], threads: usize) -> Submission {
    let mut submission = Submission::decode(&network().id(), items);
    let submissions = &mut [&mut submission];
    for part in bank.divide(submissions, threads) {
        let mut shared = SharedSecrets::new(2);
        part.prepare([3; 32], keys, &mut Verifier::default(), &mut shared).give_back(submissions);
    }
    submission
}

pub fn enrolment(wallet: &Wallet) -> Input {
    Input::Enrol {
        customer: wallet.customer,
        key: wallet.key(),
        sealing: wallet.sealing.public(),
        currency: inr(),
        display_name: None,
    }
}

pub fn settled(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Decided { outcome: Outcome::Settled, .. })
}

pub fn outcome_of(verdict: &Verdict) -> Option<(Outcome, bool, bool)> {
    match verdict {
        Verdict::Decided { outcome, duplicate, proof, .. } => {
            Some((*outcome, *duplicate, proof.is_some()))
        }
        _ => None,
    }
}

pub fn sealing_key(byte: u8) -> SealingKey {
    SealingSecret::from_bytes(&[byte; 32]).public()
}
