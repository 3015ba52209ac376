//! A bank of the vectors' network, people with grants, and what happens between them, written down as
//! facts while it happens.

use super::making::{self, Draft, Keys, Made, Said, Terms};
use crate::held::Held;
use crate::{array, bytes, file, rows, sealing_secret};
use hundi_auditor::facts::{
    Acceptance, Account, Answer, Arrival, BankFacts, Departure, Facts, Holder, ItemNumber, Moment,
    NodeFacts, Posting, Signing, Transaction,
};
use hundi_auditor::records::{Author, Network};
use hundi_auditor::sync;
use std::collections::BTreeMap;

pub(crate) const CLAIM_UNTIL: u32 = 10_000;

/// Somebody with a key, and where its log is.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) keys: Keys,
    pub(crate) customer: u64,
    sequence: u32,
    previous: [u8; 32],
    spent_total: u64,
}

pub(crate) struct World {
    pub(crate) facts: Facts,
    pub(crate) network: [u8; 32],
    pub(crate) root: Keys,
    pub(crate) online: Keys,
    pub(crate) bank_sealing: [u8; 32],
    pub(crate) step: u64,
    pub(crate) clock_s: u32,
    certificate: ItemNumber,
}

fn seed(name: &str) -> [u8; 32] {
    let keys = file("keys.json");
    array(&rows(&keys["signing"]).iter().find(|row| row["name"] == name).unwrap()["seed"])
}

impl World {
    /// A bank with a pool of 5,000 for guarantees.
    pub(crate) fn new() -> Self {
        let definition = bytes(&file("network.json")["bytes"]);
        let network = Network::read(&definition).unwrap().id;
        let (root, online) = (Keys::new(1, seed("root_1")), Keys::new(1, seed("issue_1")));
        let secret = sealing_secret("bank_1");
        let bank = BankFacts {
            number: 1,
            honest: true,
            sealing_secrets: vec![secret],
            ..BankFacts::default()
        };
        let mut facts = Facts { network: definition, liveness: true, ..Facts::default() };
        let certificate = facts.items.note(&making::certificate(&network, &root, 1, &online, &[]));
        facts.banks.push(bank);
        let bank_sealing = making::public(&secret);
        let mut world =
            Self { facts, network, root, online, bank_sealing, step: 0, clock_s: 100, certificate };
        world.bank().signed.push(certificate);
        world.post(None, &[(Account::LossExpense, -5_000), (Account::GuaranteePool, 5_000)]);
        world
    }

    pub(crate) fn bank(&mut self) -> &mut BankFacts {
        &mut self.facts.banks[0]
    }

    pub(crate) fn tick(&mut self) -> u64 {
        self.step += 1;
        self.step
    }

    /// Somebody honest who is enrolled.
    pub(crate) fn person(&mut self, number: u8) -> Person {
        let keys = Keys::new(1, [number; 32]);
        let person = Person {
            customer: u64::from(number),
            sequence: 0,
            previous: [0; 32],
            spent_total: 0,
            keys,
        };
        let author = person.keys.author;
        self.facts.honest.insert(author);
        self.bank().holders.push(Holder { author, customer: person.customer });
        self.grant(&person, &terms(0, 0, 0));
        person
    }

    /// Signs a grant and moves its limit into a reserve.
    pub(crate) fn grant(&mut self, to: &Person, terms: &Terms) {
        let grant = making::grant(&self.network, &self.online, &to.keys, &self.bank_sealing, terms);
        self.sign_as_bank(&grant);
        if terms.limit > 0 {
            let (author, serial) = (to.keys.author, terms.serial);
            let (limit, customer) = (terms.limit as i64, Account::Customer(to.customer));
            self.post(None, &[(Account::Nostro, -limit), (customer, limit)]);
            self.post(None, &[(customer, -limit), (Account::Reserve { author, serial }, limit)]);
        }
    }

    pub(crate) fn sign_as_bank(&mut self, item: &[u8]) -> ItemNumber {
        let number = self.facts.items.note(item);
        self.bank().signed.push(number);
        number
    }

    pub(crate) fn freeze(&mut self, who: &Person) -> ItemNumber {
        self.freeze_at(who, 2)
    }

    pub(crate) fn freeze_at(&mut self, who: &Person, epoch: u32) -> ItemNumber {
        let freeze = making::freeze(&self.network, &self.online, who.keys.author, epoch);
        self.sign_as_bank(&freeze)
    }

    pub(crate) fn checkpoint(&mut self, of: &Person, said: &Said<'_>) -> ItemNumber {
        let item = making::checkpoint(&self.network, &self.online, of.keys.author, said);
        self.sign_as_bank(&item)
    }

    pub(crate) fn post(&mut self, entry: Option<[u8; 32]>, moved: &[(Account, i64)]) {
        let posting = |(account, amount): &(Account, i64)| Posting {
            account: *account,
            currency: *b"INR",
            amount: *amount,
        };
        let transaction = Transaction {
            step: self.tick(),
            clock_s: self.clock_s,
            entry,
            postings: moved.iter().map(posting).collect(),
        };
        self.bank().transactions.push(transaction);
    }

    /// Signs any entry, and notes that it was durable before it left.
    pub(crate) fn sign(&mut self, by: &Keys, draft: &Draft, plaintext: &[u8]) -> Made {
        let made = making::entry(&self.network, by, &self.bank_sealing, draft, plaintext, None);
        self.note(&made);
        made
    }

    pub(crate) fn note(&mut self, made: &Made) -> ItemNumber {
        let item = self.facts.items.note(&made.bytes);
        let (step, durable, left) = (self.tick(), self.tick(), self.tick());
        self.facts.signings.push(Signing { item, step, durable: Some(durable) });
        self.facts.departures.push(Departure { item, step: left });
        item
    }

    /// The next payment of a log, under serial 1.
    pub(crate) fn pay(&mut self, payer: &mut Person, payee: &Person, amount: u64) -> Made {
        let draft = payer.next(1, amount);
        let made = self.sign(&payer.keys, &draft, &making::payment(payee.keys.author));
        payer.follow(&draft, &made);
        made
    }

    pub(crate) fn accept(&mut self, payee: &Person, made: &Made, amount: u64) {
        let (payee, at_ms) = (payee.keys.author, self.step);
        self.facts.acceptances.push(Acceptance { payee, entry: made.id, at_ms, amount });
    }

    /// A receipt, as it reaches the bank.
    pub(crate) fn tell(&mut self, by: &Person, of: &Made, verdict: u8, freezes_epoch: u32) {
        let (network, sealing) = (self.network, self.bank_sealing);
        let receipt = making::receipt(&network, &by.keys, &sealing, of, verdict, freezes_epoch);
        self.arrive(&receipt);
    }

    pub(crate) fn arrive(&mut self, item: &[u8]) {
        let (item, step, clock_s) = (self.facts.items.note(item), self.tick(), self.clock_s);
        self.bank().arrivals.push(Arrival { item, step, at_ms: step, gateway: 0, clock_s });
    }

    /// Money out of the reserve to the payee.
    pub(crate) fn settle(&mut self, made: &Made, payer: &Person, payee: &Person, amount: u64) {
        let author = payer.keys.author;
        let moved = [
            (Account::Reserve { author, serial: 1 }, -(amount as i64)),
            (Account::Customer(payee.customer), amount as i64),
        ];
        self.post(Some(made.id), &moved);
        self.answer(made, Some(0), amount, true);
    }

    pub(crate) fn answer(&mut self, made: &Made, outcome: Option<u8>, amount: u64, last: bool) {
        let answer = Answer { entry: made.id, clock_s: self.clock_s, outcome, amount, last };
        self.bank().answers.push(answer);
    }

    /// It reaches the bank and is settled there.
    pub(crate) fn through(&mut self, made: &Made, payer: &Person, payee: &Person, amount: u64) {
        self.arrive(&made.bytes);
        self.settle(made, payer, payee, amount);
    }

    /// The facts, with the balances that the bank states now.
    pub(crate) fn facts(&mut self) -> Facts {
        let mut balances: BTreeMap<(Account, [u8; 3]), i64> = BTreeMap::new();
        let clock_s = self.clock_s;
        let bank = self.bank();
        for posting in bank.transactions.iter().flat_map(|transaction| &transaction.postings) {
            *balances.entry((posting.account, posting.currency)).or_default() += posting.amount;
        }
        let posting = |((account, currency), amount)| Posting { account, currency, amount };
        bank.balances = balances.into_iter().map(posting).collect();
        bank.clock_s = clock_s;
        self.facts.clone()
    }

    /// A node that holds these items besides all certificates and grants, with their digest as the tests
    /// add it up.
    pub(crate) fn node(&self, node: u32, entries: &[&Made]) -> NodeFacts {
        let mut facts = self.facts.clone();
        let mut held = Held::new(self.network);
        let mut core = Vec::new();
        let records = self.facts.banks[0].signed.iter().copied().chain([self.certificate]);
        for number in records {
            let bytes = self.facts.items.bytes(number);
            if matches!(bytes[0], 1 | 2) && !core.contains(&number) {
                held.take(bytes);
                core.push(number);
            }
        }
        for made in entries {
            held.take(&made.bytes);
            core.push(facts.items.note(&made.bytes));
        }
        let digest = sync::digest(&self.network, &sync::sum(&held.core()));
        NodeFacts {
            node,
            honest: true,
            component: 0,
            core: Some(core),
            digest: Some(digest),
            ..NodeFacts::default()
        }
    }

    pub(crate) fn quiet(&mut self, nodes: Vec<NodeFacts>) {
        self.facts.moments.push(Moment { quiet: true, nodes });
    }
}

/// Terms without anything special.
pub(crate) fn terms(serial: u16, limit: u64, guarantee: u64) -> Terms {
    // Enrolment lives longer than any grant.
    let claim_until = if serial == 0 { u32::MAX } else { CLAIM_UNTIL };
    Terms { serial, flags: 0, limit, guarantee, claim_until, first_sequence: 0, policy: false }
}

impl Person {
    pub(crate) fn author(&self) -> Author {
        self.keys.author
    }

    /// A payment that would come next.
    pub(crate) fn next(&self, serial: u16, amount: u64) -> Draft {
        Draft {
            kind: 1,
            sequence: self.sequence,
            previous: self.previous,
            serial,
            amount,
            spent_total: self.spent_total + amount,
        }
    }

    pub(crate) fn follow(&mut self, draft: &Draft, made: &Made) {
        self.sequence = draft.sequence + 1;
        self.previous = made.id;
        self.spent_total = draft.spent_total;
    }
}

/// Three people, of whom the first has 1,000 to promise, with a guarantee of 500.
pub(crate) fn village() -> (World, [Person; 3]) {
    let mut world = World::new();
    let people = [11, 12, 13].map(|number| world.person(number));
    world.grant(&people[0], &terms(1, 1_000, 500));
    (world, people)
}

/// The village on a good day: two payments are accepted, carried and settled.
pub(crate) fn good_day() -> (World, [Person; 3], [Made; 2]) {
    let (mut world, mut people) = village();
    let [payer, first, second] = &mut people;
    let made = [world.pay(payer, first, 100), world.pay(payer, second, 50)];
    world.accept(first, &made[0], 100);
    world.accept(second, &made[1], 50);
    let nodes = [0, 1].map(|node| world.node(node, &[&made[0], &made[1]]));
    world.quiet(nodes.to_vec());
    world.through(&made[0], payer, first, 100);
    world.through(&made[1], payer, second, 50);
    (world, people, made)
}
