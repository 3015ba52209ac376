//! The real bank with the cast of the model: the same authors, grants and entries, signed.

use hundi_journal::account::{Account as RealAccount, CustomerId, Party};
use hundi_journal::bank::{Bank, HandleError, Profile};
use hundi_journal::input::{GrantTerms, Input, Keys, Operation, OperationKind};
use hundi_journal::output::Outputs;
use hundi_journal::state::Standing as RealStanding;
use hundi_ledger::body::{Payment, Plaintext};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, Hash, PublicKey, RequestId, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::entry::{Entry as RealEntry, Header, Kind, Position, body_hash};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank as NetworkBank, Definition, Network};
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::seal::{SealingSecret, content_key, seal};
use hundi_ledger::sign::SecretKey;
use hundi_model::book::{Account, Case, Standing};
use hundi_model::cast::{Author, Entry, Payee};

const START: u32 = 1_000_000;
const NUMBER: BankNumber = BankNumber(1);
const SERIAL: Serial = Serial(1);

/// The entries as they travel, and everything that they and the bank are signed with.
pub struct Stage {
    network: Network,
    keys: Keys,
    payers: [Wallet; 2],
    entries: Vec<(Hash, Vec<u8>)>,
}

/// The keys of one author of the bank.
struct Wallet {
    author: AuthorId,
    secret: SecretKey,
    sealing: SealingSecret,
    customer: CustomerId,
    currency: Currency,
}

impl Wallet {
    fn new(seed: u8, customer: CustomerId, currency: Author) -> Self {
        let secret = SecretKey::from_seed(&[seed; 32]);
        Self {
            author: AuthorId { bank: NUMBER, key: secret.public() },
            secret,
            sealing: SealingSecret::from_bytes(&[seed; 32]),
            customer,
            currency: currency_of(currency),
        }
    }

    fn payer(author: Author) -> Self {
        let seed = 1 + author as u8;
        Self::new(seed, CustomerId([seed; 16]), author)
    }

    /// A payee has an author for every currency.
    fn payee(payee: Payee, currency: Author) -> Self {
        Self::new(10 + 2 * payee as u8 + currency as u8, customer_of(payee), currency)
    }
}

impl Stage {
    pub fn new() -> Self {
        let root = SecretKey::from_seed(&[200; 32]);
        let bank =
            NetworkBank { number: NUMBER, root: root.public(), name: Text::new("bank").unwrap() };
        let network = Network::new(Definition {
            version: VERSION,
            name: Text::new("model").unwrap(),
            start: START,
            epoch_seconds: 60,
            banks: List::new(vec![bank]).unwrap(),
        })
        .unwrap();
        let keys = Keys {
            issue: SecretKey::from_seed(&[201; 32]),
            issue_certificate: 1,
            settle: SecretKey::from_seed(&[202; 32]),
            settle_certificate: 2,
            sealing: vec![SealingSecret::from_bytes(&[203; 32])],
        };
        let mut stage =
            Self { network, keys, payers: Author::ALL.map(Wallet::payer), entries: Vec::new() };
        for entry in Entry::ALL {
            let signed = stage.sign(entry);
            stage.entries.push(signed);
        }
        stage
    }

    /// Signs an entry of the cast; those before it are signed already.
    fn sign(&self, entry: Entry) -> (Hash, Vec<u8>) {
        let (terms, network) = (entry.terms(), self.network.id());
        let payer = &self.payers[terms.author as usize];
        let payee = Wallet::payee(terms.payee, terms.author);
        let plaintext = Plaintext::Payment(Payment {
            payee: payee.author,
            request: RequestId([1; 8]),
            memo: Text::default(),
            category: 0,
            place: None,
            group: None,
        });
        let position = terms.previous.map_or(Position::First, |previous| Position::After {
            sequence: u32::from(terms.sequence),
            previous: self.id(previous),
        });
        let mut header = Header {
            version: VERSION,
            kind: Kind::PAYMENT,
            author: payer.author,
            position,
            time: START,
            serial: SERIAL,
            amount: money(terms.amount),
            spent_total: money(entry.total()),
            body_hash: Hash([0; 32]),
        };
        let bank = payer.sealing.agree(&self.keys.sealing[0].public()).unwrap();
        let key = content_key(&network, &bank, &header.head());
        let shared = payer.sealing.agree(&payee.sealing.public()).unwrap();
        let body = seal(&network, &header.head(), &key, Some(&shared), &plaintext);
        header.body_hash = body_hash(&network, &body);
        let signed = RealEntry::sign(&network, header, body, &payer.secret).unwrap().into_inner();
        (signed.id(), Item::Entry(signed).encode())
    }

    /// The id of an entry.
    pub fn id(&self, entry: Entry) -> Hash {
        self.entries[entry as usize].0
    }

    /// An entry as it is submitted.
    pub fn item(&self, entry: Entry) -> Vec<u8> {
        self.entries[entry as usize].1.clone()
    }

    /// The key of an author.
    pub fn key(&self, author: Author) -> PublicKey {
        self.payers[author as usize].author.key
    }

    /// A bank with both grants funded.
    pub fn bank(&self) -> Bank {
        let profile = Profile { guarantee_per_payee_percent: 100 };
        let mut bank = Bank::new(self.network.clone(), NUMBER, profile).unwrap();
        for input in self.beginning() {
            let _ = self.handle(&mut bank, false, 0, input).unwrap();
        }
        bank
    }

    fn beginning(&self) -> Vec<Input> {
        let mut inputs = vec![self.certificate(1), self.certificate(2)];
        let payees = [Payee::First, Payee::Second];
        let payees = payees.map(|payee| Author::ALL.map(|currency| Wallet::payee(payee, currency)));
        for wallet in self.payers.iter().chain(payees.iter().flatten()) {
            inputs.push(Input::OpenCustomer { customer: wallet.customer });
            inputs.push(Input::Enrol {
                customer: wallet.customer,
                key: wallet.author.key,
                sealing: wallet.sealing.public(),
                currency: wallet.currency,
                display_name: None,
            });
        }
        for author in Author::ALL {
            let wallet = &self.payers[author as usize];
            let mut operate = |kind, amount, reference| {
                let operation = Operation {
                    kind,
                    currency: wallet.currency,
                    amount: money(amount),
                    reference: [reference + author as u8; 16],
                };
                inputs.extend((amount > 0).then_some(Input::Operate(operation)));
            };
            operate(OperationKind::Provision, author.guarantee(), 10);
            operate(OperationKind::Fund(wallet.customer), author.limit(), 20);
            let terms = GrantTerms {
                guarantee: money(author.guarantee()),
                ..GrantTerms::prefunded(money(author.limit()))
            };
            inputs.push(Input::IssueGrant { author: wallet.author.key, terms });
        }
        inputs
    }

    fn certificate(&self, number: u16) -> Input {
        let (key, roles) = match number {
            1 => (self.keys.issue.public(), ROLE_ISSUE),
            _ => (self.keys.settle.public(), ROLE_SETTLE),
        };
        let honours = List::default();
        let draft = Certificate { version: VERSION, bank: NUMBER, number, key, roles, honours };
        let root = SecretKey::from_seed(&[200; 32]);
        Input::InstallCertificate {
            record: sign(&self.network.id(), draft, &root).unwrap().into_inner().encode(),
        }
    }

    /// Has the bank decide, before claim-until by its clock or after it.
    pub fn handle(
        &self,
        bank: &mut Bank,
        late: bool,
        entropy: u8,
        input: Input,
    ) -> Result<Outputs, HandleError> {
        let terms = GrantTerms::prefunded(money(1));
        let life = u64::from(terms.expiry_seconds) + u64::from(terms.claim_seconds);
        let now = u64::from(START) + if late { life } else { 0 };
        bank.handle(now, [entropy; 32], input, &self.keys)
    }

    /// What the bank's books say about an entry, in the words of the model.
    pub fn standing(&self, bank: &Bank, entry: Entry) -> Standing {
        match bank.entry(&self.id(entry)).map(|held| held.standing) {
            None => Standing::Absent,
            Some(RealStanding::Contested) => Standing::Contested,
            Some(RealStanding::Provisional { from_guarantee, .. }) => Standing::Provisional {
                from_guarantee: i8::try_from(from_guarantee.minor()).unwrap(),
            },
            Some(RealStanding::Decided(outcome)) => match outcome {
                Outcome::Settled => Standing::Settled,
                Outcome::RejectedUncovered => Standing::Uncovered,
                Outcome::RejectedLate => Standing::Late,
                other => panic!("the model knows no {other:?}"),
            },
            Some(other) => panic!("the model knows no {other:?}"),
        }
    }

    /// What an entry has moved.
    pub fn moved(&self, bank: &Bank, entry: Entry) -> i8 {
        let paid = bank.entry(&self.id(entry)).map(|held| held.paid).unwrap_or_default();
        i8::try_from(paid.minor()).unwrap()
    }

    /// What an account holds in an author's currency.
    pub fn balance(&self, bank: &Bank, currency: Author, account: Account) -> i8 {
        let payer = &self.payers[currency as usize];
        let real = match account {
            Account::Nostro => RealAccount::Nostro,
            Account::Payer => RealAccount::Customer(payer.customer),
            Account::Reserve => RealAccount::Reserve(payer.author, SERIAL),
            Account::Receivable => RealAccount::DoubleSpendReceivable(payer.customer),
            Account::Credited(payee) => RealAccount::Customer(customer_of(payee)),
            Account::Pending(payee) => RealAccount::PendingIn(Party::Customer(customer_of(payee))),
        };
        i8::try_from(bank.books().balance(real, payer.currency)).unwrap()
    }

    /// The review of an author, and where its contradiction starts.
    pub fn case(&self, bank: &Bank, author: Author) -> (Case, Option<i8>) {
        let Some(case) = bank.cases().get(&self.key(author)) else { return (Case::None, None) };
        let lowest = case.lowest.get(&SERIAL).map(|start| i8::try_from(start.minor()).unwrap());
        (if case.closed.is_some() { Case::Closed } else { Case::Open }, lowest)
    }

    /// Whether claim-until has passed for an author's grant, and what is settled under it.
    pub fn grant(&self, bank: &Bank, author: Author) -> (bool, i8) {
        let grant = bank.grant(&self.key(author), SERIAL).unwrap();
        (grant.claims_ended, i8::try_from(grant.settled.minor()).unwrap())
    }
}

fn money(minor: i8) -> Amount {
    Amount::new(u64::try_from(minor).unwrap()).unwrap()
}

fn customer_of(payee: Payee) -> CustomerId {
    CustomerId([3 + payee as u8; 16])
}

fn currency_of(author: Author) -> Currency {
    Currency::new(match author {
        Author::Honest => "INR",
        Author::Equivocator => "USD",
    })
    .unwrap()
}
