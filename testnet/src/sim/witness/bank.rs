//! What a bank does, as its journal has it once it is durable: what arrived, what it posted, what
//! it signed and what it answered.

use super::super::bank::Told;
use super::super::canary::Bug;
use super::super::identity::{START, bank_sealing_secret};
use super::super::world::World;
use super::{ITEM_ENTRY, ITEM_PROOF, ITEM_RECEIPT, Witness, author};
use hundi_auditor::facts::{
    Account, Answer, Arrival, BankFacts, Draw, Holder, Posting, Transaction,
};
use hundi_journal::account::{Account as Booked, CustomerId, Party};
use hundi_journal::bank::Bank;
use hundi_journal::event::{Change, Event};
use hundi_journal::output::{Outputs, Verdict};
use hundi_journal::transaction::{Key, Transaction as Posted};
use hundi_ledger::codec;
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId};
use hundi_ledger::money::Currency;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::proof::Proof;
use std::collections::BTreeMap;

/// Tags of items up to this one are records that banks sign.
const ITEM_BANK_LAST: u8 = 5;
/// Numbers of parties that are no customers stand above those of customers.
const STRANGERS: u64 = 1 << 32;

/// One bank's facts while they are written down.
#[derive(Default)]
pub(super) struct BankWitness {
    facts: BankFacts,
    /// Proofs that its gateways handed over, by the ids of their headers.
    proofs: BTreeMap<Hash, Vec<u8>>,
    /// The last answer about each entry: what is only repeated is written down once.
    said: BTreeMap<[u8; 32], (Option<u8>, u64, bool)>,
    /// Numbers of authors that it pays and does not know.
    strangers: BTreeMap<AuthorId, u64>,
}

/// What a bank records as outcomes of entries in one unit of work.
pub(in super::super) fn outcomes(outputs: &Outputs, now: u64) -> Vec<Answer> {
    let decided = outputs.events.iter().filter_map(|event| match &event.change {
        Change::Decided { entry, outcome, paid } => {
            Some(answer(entry, Some(*outcome), paid.minor(), now))
        }
        _ => None,
    });
    decided.collect()
}

/// What a bank answers in one unit of work to who submitted entries.
pub(in super::super) fn answers(bank: &Bank, outputs: &Outputs, now: u64) -> Vec<Answer> {
    let paid = |entry: &Hash| bank.entry(entry).map_or(0, |entry| entry.paid.minor());
    let told = outputs.verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Decided { entry, outcome, .. } => {
            Some(answer(entry, Some(*outcome), paid(entry), now))
        }
        Verdict::Held { entry, .. } => Some(answer(entry, None, 0, now)),
        _ => None,
    });
    told.collect()
}

fn answer(entry: &Hash, outcome: Option<Outcome>, amount: u64, now: u64) -> Answer {
    Answer {
        entry: entry.0,
        clock_s: seconds(now),
        outcome: outcome.map(|outcome| outcome as u8),
        amount,
        last: outcome.is_some_and(|outcome| outcome != Outcome::Contested),
    }
}

impl Witness {
    /// A bank opens.
    pub(in super::super) fn bank(&mut self, seed: u64, number: BankNumber) {
        let facts = BankFacts {
            number: number.0,
            honest: true,
            sealing_secrets: vec![bank_sealing_secret(seed, number)],
            ..BankFacts::default()
        };
        self.banks.push(BankWitness { facts, ..BankWitness::default() });
    }

    /// A gateway hands items over to its bank.
    pub(in super::super) fn submitted(
        &mut self,
        bank: u32,
        network: &NetworkId,
        items: &[Vec<u8>],
    ) {
        for item in items {
            if let Some(record) = item.strip_prefix(&[ITEM_PROOF])
                && let Ok(proof) = Proof::decode(network, record)
            {
                let proofs = &mut self.banks[bank as usize].proofs;
                proofs.extend(proof.claims().iter().map(|claim| (claim.id, item.clone())));
            }
        }
    }

    /// What a bank has decided is durable and may be told.
    pub(in super::super) fn told(
        &mut self,
        bank: u32,
        network: &NetworkId,
        told: &Told,
        bug: Option<Bug>,
    ) {
        for event in &told.events {
            self.happened(bank, network, event);
        }
        for record in &told.records {
            if record.first().is_some_and(|tag| *tag <= ITEM_BANK_LAST) {
                let number = self.facts.items.note(record);
                self.banks[bank as usize].facts.signed.push(number);
            }
        }
        for answer in &told.answers {
            let (at, mut answer) = (&mut self.banks[bank as usize], answer.clone());
            let again = at.said.contains_key(&answer.entry);
            if let Some(bug) = bug {
                bug.bend_answer(&mut answer, again);
            }
            let said = (answer.outcome, answer.amount, answer.last);
            if at.said.insert(answer.entry, said) != Some(said) {
                at.facts.answers.push(answer);
            }
        }
    }

    fn happened(&mut self, bank: u32, network: &NetworkId, event: &Event) {
        let (step, clock_s) = (self.next(), seconds(event.at));
        let at = &mut self.banks[bank as usize];
        if let Some(item) = at.arrived(network, event) {
            let (item, at_ms) =
                (self.facts.items.note(&item), 1_000 * event.at.saturating_sub(u64::from(START)));
            // The database stands at the first gateway of its bank.
            let gateway = bank as u16;
            at.facts.arrivals.push(Arrival { item, step, at_ms, gateway, clock_s });
        }
        match &event.change {
            Change::Enrolled { author: key, customer, .. } => {
                let author = author(AuthorId { bank: BankNumber(at.facts.number), key: *key });
                at.facts.holders.push(Holder { author, customer: number_of(customer) });
            }
            Change::Linked { a, b } => at.facts.links.push([number_of(a), number_of(b)]),
            Change::Drawn { author: key, .. } => {
                let author = author(AuthorId { bank: BankNumber(at.facts.number), key: *key });
                at.facts.draws.push(Draw { author, clock_s, step });
            }
            _ => {}
        }
        for posted in &event.transactions {
            let transaction = at.transaction(posted, step, clock_s);
            at.facts.transactions.push(transaction);
        }
    }
}

impl BankWitness {
    /// The item that an event makes durable, as it was sent.
    fn arrived(&self, network: &NetworkId, event: &Event) -> Option<Vec<u8>> {
        match &event.change {
            Change::EntryReceived { header, body, .. } => {
                let head = header.header.head();
                Some([&[ITEM_ENTRY], &head[..], &header.signature.0, body].concat())
            }
            Change::HeaderReceived { header } => {
                self.proofs.get(&header.header.id(network)).cloned()
            }
            Change::ReceiptWaiting { record, .. } | Change::ReceiptTaken { record, .. } => {
                (!record.is_empty()).then(|| [&[ITEM_RECEIPT], &record[..]].concat())
            }
            _ => None,
        }
    }

    fn transaction(&mut self, posted: &Posted, step: u64, clock_s: u32) -> Transaction {
        let currency = letters(posted.currency());
        let postings = posted.postings().iter().map(|posting| Posting {
            account: self.account(&posting.account),
            currency,
            amount: i64::try_from(posting.signed()).unwrap_or(i64::MAX),
        });
        let postings = postings.collect();
        Transaction { step, clock_s, entry: entry_of(posted.key()), postings }
    }

    fn account(&mut self, booked: &Booked) -> Account {
        match booked {
            Booked::Nostro => Account::Nostro,
            Booked::Customer(customer) => Account::Customer(number_of(customer)),
            Booked::Reserve(of, serial) => {
                Account::Reserve { author: author(*of), serial: serial.0 }
            }
            Booked::PendingIn(Party::Customer(customer)) => Account::PendingIn(number_of(customer)),
            Booked::PendingIn(Party::Author(stranger)) => {
                let next = STRANGERS + self.strangers.len() as u64;
                Account::PendingIn(*self.strangers.entry(*stranger).or_insert(next))
            }
            Booked::CreditCommitted => Account::CreditCommitted,
            Booked::CustomerLoan(customer) => Account::CustomerLoan(number_of(customer)),
            Booked::GuaranteePool => Account::GuaranteePool,
            Booked::DoubleSpendReceivable(customer) => {
                Account::DoubleSpendReceivable(number_of(customer))
            }
            Booked::LossExpense => Account::LossExpense,
            Booked::Suspense(_) => Account::Suspense,
            Booked::DueTo(bank) => Account::DueTo(bank.0),
            Booked::DueFrom(bank) => Account::DueFrom(bank.0),
        }
    }

    /// The balances that the bank states.
    fn states(&mut self, bank: &Bank) {
        let rows = bank.books().trial_balance().map(|row| Posting {
            account: self.account(&row.account),
            currency: letters(row.currency),
            amount: i64::try_from(row.balance).unwrap_or(i64::MAX),
        });
        self.facts.balances = rows.collect();
    }
}

impl World {
    /// Banks state their balances; what is on its way to their disks becomes durable.
    pub(super) fn witness_books(&mut self) {
        for bank in 0..self.hosts.len() as u32 {
            let host = &mut self.hosts[bank as usize];
            let told = host.sync();
            self.books_events(bank, &told);
            let host = &mut self.hosts[bank as usize];
            let at = &mut self.witness.banks[bank as usize];
            at.facts.clock_s = seconds(u64::from(START) + self.schedule.now_ms() / 1_000);
            // What it signed from two copies of its books has two contents.
            at.facts.honest = !self.truth.contradicting.contains(&host.number);
            if host.bank.is_none()
                && let Err(error) = host.start()
            {
                let what = format!("bank {bank}: {error:#}");
                return self.violated(super::Invariant::Durable, what);
            }
            if let Some(bank) = &host.bank {
                at.states(bank);
            }
        }
        self.witness.facts.banks = self.witness.banks.drain(..).map(|bank| bank.facts).collect();
    }
}

/// The entry that a transaction pays or takes back.
fn entry_of(key: Key) -> Option<[u8; 32]> {
    match key {
        Key::Settle(entry)
        | Key::Refund(entry)
        | Key::Return(entry)
        | Key::Provisional(entry)
        | Key::Review(entry)
        | Key::Reverse(entry) => Some(entry.0),
        Key::Operation(_) | Key::Grant(..) | Key::Release(..) | Key::Suspense(..) => None,
    }
}

/// The number of a customer: in a run the first bytes tell them apart.
fn number_of(customer: &CustomerId) -> u64 {
    let [a, b, c, d, ..] = customer.0;
    u64::from(u32::from_le_bytes([a, b, c, d]))
}

fn letters(currency: Currency) -> [u8; 3] {
    let mut letters = [0; 3];
    letters.copy_from_slice(&codec::encode(&currency));
    letters
}

fn seconds(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
