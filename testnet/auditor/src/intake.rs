//! What a bank should have decided, told from what reached it and in which order: the sections
//! "Checkpoint" (outcomes), "Contradictions" and "Receipt" of the protocol, and the loss rule as it is
//! published to banks (`docs/operators.md`).
//!
//! Arrivals are gone through in the order in which the bank made them durable. Of every entry it is said
//! what is due then ([`Due`]). Where the documents leave a choice, that is [`Due::Open`], and what the
//! bank did is taken as it is; all sums go on from what was really paid, so that one wrong decision is
//! reported once. What is paid after the end of claims is judged by [`crate::rules::guarantee`].

mod receipts;
mod refunds;

use crate::books::{Books, Paid};
use crate::contradiction::contradict;
use crate::facts::{Arrival, BankFacts};
use crate::known::Known;
use crate::opening::Opening;
use crate::records::{Author, CLOSE, Entry, Grant, PAYMENT, REFUND, Record, SignedHeader};
use crate::sealing::{Closed, Plaintext};
pub(crate) use receipts::{Receipts, Told};
use std::collections::{BTreeMap, BTreeSet};

/// What the rules say of an entry when it comes to its decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is to be paid whole out of the reserve.
    Paid,
    /// It is never to be paid, for this reason.
    Unpaid(&'static str),
    /// It does not fit into what is left of the reserve, and waits for the end of claims.
    Contested,
    /// The documents allow both.
    Open,
}

/// An entry that came to its decision.
#[derive(Clone, Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) arrival: &'a Arrival,
    pub(crate) grant: Option<&'a Grant>,
    pub(crate) plaintext: Option<Plaintext>,
    pub(crate) due: Due,
}

impl Decision<'_> {
    /// Whom it pays.
    pub(crate) fn payee(&self) -> Option<Author> {
        self.plaintext.as_ref()?.payee()
    }

    /// The sum of a refund that claims nothing of its author's grant.
    pub(crate) fn beside_the_grant(&self) -> Option<u64> {
        match (&self.plaintext, self.entry.header.amount) {
            (Some(Plaintext::Refund { sum, .. }), 0) => Some(*sum),
            _ => None,
        }
    }

    /// What it may move at most.
    pub(crate) fn worth(&self) -> u64 {
        self.beside_the_grant().unwrap_or(self.entry.header.amount)
    }

    /// What it has moved by the books.
    pub(crate) fn moved(&self, books: &Books) -> i128 {
        let paid = books.paid(&self.entry.id);
        // Of any other entry, what leaves a balance is taken back from its payee.
        paid.most + self.beside_the_grant().map_or(0, |_| paid.balance)
    }
}

/// A contradiction under one grant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The lowest start among the contradicting headers.
    pub(crate) lowest: u64,
    /// When the bank first had two of them.
    pub(crate) since: u64,
}

/// All decisions of a bank.
pub(crate) struct Intake<'a> {
    /// The grants that the bank signed.
    pub(crate) grants: BTreeMap<(Author, u16), &'a Grant>,
    /// By id of the entry.
    pub(crate) decisions: BTreeMap<[u8; 32], Decision<'a>>,
    /// Ids in the order of decisions.
    pub(crate) order: Vec<[u8; 32]>,
    pub(crate) receipts: Receipts,
    /// By grant, money only: what its contradictions come to in the end.
    pub(crate) cases: BTreeMap<(Author, u16), Case>,
    /// Authors of whom the bank had two contradicting headers of any class, and since when.
    pub(crate) contradicted: BTreeMap<Author, u64>,
    /// When a close of a grant came, and its total.
    pub(crate) closes: BTreeMap<(Author, u16), (u64, u64)>,
}

impl<'a> Intake<'a> {
    /// Goes through all arrivals of a bank.
    pub(crate) fn of(known: &'a Known<'_>, bank: &'a BankFacts, books: &Books) -> Self {
        let mut replay = Replay {
            known,
            bank,
            books,
            opening: Opening::new(&known.network.id, bank),
            logs: BTreeMap::new(),
            placed: BTreeMap::new(),
            waiting: BTreeMap::new(),
            waited: BTreeSet::new(),
            intake: Self {
                grants: grants(known, bank),
                decisions: BTreeMap::new(),
                order: Vec::new(),
                receipts: Receipts::new(known, bank),
                cases: BTreeMap::new(),
                contradicted: BTreeMap::new(),
                closes: BTreeMap::new(),
            },
        };
        bank.arrivals.iter().for_each(|arrival| replay.take(arrival));
        replay.give_up();
        replay.intake
    }

    /// Whether an entry claims above the lowest start among the headers that contradict under its grant.
    pub(crate) fn is_above(&self, entry: &Entry) -> bool {
        let case = self.cases.get(&(entry.header.author, entry.header.serial));
        case.is_some_and(|case| entry.header.spent_total > case.lowest)
    }

    /// Whether a header of this grant had contradicted another before this step.
    pub(crate) fn contested(&self, author: Author, serial: u16, before: u64) -> bool {
        self.cases.get(&(author, serial)).is_some_and(|case| case.since < before)
    }
}

/// The grants that a bank signed. It signs one of each serial; two are found by
/// [`crate::rules::bank_records`].
fn grants<'a>(known: &'a Known<'_>, bank: &BankFacts) -> BTreeMap<(Author, u16), &'a Grant> {
    let signed = bank.signed.iter().filter_map(|number| match &known.good(*number)?.record {
        Record::Grant(grant) => Some(((grant.author, grant.serial), grant)),
        _ => None,
    });
    signed.collect()
}

/// The headers of one author that a bank has, and which of them contradict others.
#[derive(Default)]
struct Log {
    headers: Vec<SignedHeader>,
    contradicting: BTreeSet<usize>,
}

impl Log {
    /// Adds a header; whether there are new ones that contradict.
    fn add(&mut self, header: SignedHeader) -> bool {
        if self.headers.iter().any(|held| held.id == header.id) {
            return false;
        }
        let before = self.contradicting.len();
        for (at, held) in self.headers.iter().enumerate() {
            if contradict(held, &header) {
                self.contradicting.extend([at, self.headers.len()]);
            }
        }
        self.headers.push(header);
        self.contradicting.len() > before
    }

    fn contradicts(&self, id: &[u8; 32]) -> bool {
        self.contradicting.iter().any(|at| self.headers[*at].id == *id)
    }
}

/// An interval that came to its decision, with what it was paid out of the reserve before the end of
/// claims.
struct Placed {
    end: u64,
    amount: u64,
    paid: i128,
}

struct Replay<'a, 'b, 'c> {
    known: &'a Known<'b>,
    bank: &'a BankFacts,
    books: &'c Books,
    opening: Opening<'a>,
    logs: BTreeMap<Author, Log>,
    placed: BTreeMap<(Author, u16), Vec<Placed>>,
    /// Entries whose body nobody can open yet, with their arrival.
    waiting: BTreeMap<[u8; 32], (&'a Entry, &'a Arrival)>,
    /// Grants under which something waited: the order of payments is then not told by the documents.
    waited: BTreeSet<(Author, u16)>,
    intake: Intake<'a>,
}

impl<'a> Replay<'a, '_, '_> {
    fn take(&mut self, arrival: &'a Arrival) {
        let Some(item) = self.known.good(arrival.item) else { return };
        match &item.record {
            Record::Proof(proof) if proof.author.bank == self.bank.number => {
                self.note(arrival);
            }
            Record::Receipt(receipt) => {
                if let Some((key, statement)) = self.opening.receipt(receipt) {
                    let id = statement.entry;
                    self.intake.receipts.note(receipt.signer, &statement, key, arrival.step);
                    if let Some((entry, arrival)) = self.waiting.remove(&id) {
                        self.decide(entry, arrival);
                    }
                }
            }
            Record::Entry(entry) if entry.header.author.bank == self.bank.number => {
                let known = self.intake.decisions.contains_key(&entry.id);
                if !known && !self.waiting.contains_key(&entry.id) {
                    self.note(arrival);
                    self.decide(entry, arrival);
                }
            }
            _ => {}
        }
    }

    /// Compares the headers of an item with all others of the author.
    fn note(&mut self, arrival: &Arrival) {
        for header in self.known.headers(arrival.item) {
            let author = header.header.author;
            let log = self.logs.entry(author).or_default();
            if !log.add(header) {
                continue;
            }
            self.intake.contradicted.entry(author).or_insert(arrival.step);
            for at in &log.contradicting {
                let header = &log.headers[*at].header;
                if header.is_document() {
                    continue;
                }
                let fresh = Case { lowest: header.start(), since: arrival.step };
                let case = self.intake.cases.entry((author, header.serial)).or_insert(fresh);
                case.lowest = case.lowest.min(header.start());
            }
        }
    }

    fn decide(&mut self, entry: &'a Entry, arrival: &'a Arrival) {
        let header = &entry.header;
        let grant = self.intake.grants.get(&(header.author, header.serial)).copied();
        let mut plaintext = None;
        if !header.is_document() && matches!(header.kind, PAYMENT | REFUND) {
            let disclosed = self.intake.receipts.keys(&entry.id);
            match grant.map(|grant| self.opening.body(grant, entry, disclosed)) {
                Some(Err(Closed::Commitment)) => {
                    self.waited.insert((header.author, header.serial));
                    self.waiting.insert(entry.id, (entry, arrival));
                    return;
                }
                Some(Ok(said)) => plaintext = Some(said),
                Some(Err(_)) | None => {}
            }
        }
        if header.kind == CLOSE {
            let close = (arrival.step, header.spent_total);
            self.intake.closes.entry((header.author, header.serial)).or_insert(close);
        }
        let mut decision = Decision { entry, arrival, grant, plaintext, due: Due::Open };
        decision.due = self.due(&decision);
        self.place(entry);
        self.intake.order.push(entry.id);
        self.intake.decisions.insert(entry.id, decision);
    }

    /// What never opened is never paid.
    fn give_up(&mut self) {
        for (id, (entry, arrival)) in std::mem::take(&mut self.waiting) {
            let header = &entry.header;
            let grant = self.intake.grants.get(&(header.author, header.serial)).copied();
            let due = Due::Unpaid("nobody could open its body");
            let decision = Decision { entry, arrival, grant, plaintext: None, due };
            self.intake.order.push(id);
            self.intake.decisions.insert(id, decision);
        }
    }

    fn place(&mut self, entry: &Entry) {
        let (header, paid) = (&entry.header, early(&self.books.paid(&entry.id)));
        let placed = self.placed.entry((header.author, header.serial)).or_default();
        placed.push(Placed { end: header.spent_total, amount: header.amount, paid });
    }

    fn due(&self, decision: &Decision<'_>) -> Due {
        let header = &decision.entry.header;
        if header.amount == 0 {
            return self.due_without_amount(decision);
        }
        if !matches!(header.kind, PAYMENT | REFUND) {
            return Due::Unpaid("spends, but of a kind that no bank knows");
        }
        let Some(grant) = decision.grant else {
            return Due::Unpaid("the bank signed no grant of that serial");
        };
        if decision.arrival.clock_s > grant.claim_until {
            return Due::Unpaid("reached the bank after claim-until");
        }
        let Some(payee) = decision.payee() else {
            return Due::Unpaid("its body says nothing");
        };
        if let Some(reason) = self.intake.receipts.excludes(&decision.entry.id, payee) {
            return Due::Unpaid(reason);
        }
        if header.kind == REFUND {
            return self.refund_due(decision).map_or(Due::Open, Due::Unpaid);
        }
        if decision.arrival.clock_s == grant.claim_until || !self.plain(grant, header) {
            return Due::Open;
        }
        self.out_of_reserve(decision, grant)
    }

    /// Only refunds move money without claiming any.
    fn due_without_amount(&self, decision: &Decision<'_>) -> Due {
        match decision.plaintext {
            Some(Plaintext::Refund { .. }) => {
                self.refund_due(decision).map_or(Due::Open, Due::Unpaid)
            }
            _ => Due::Unpaid("promises nothing"),
        }
    }

    /// Whether the grant's terms, of which the documents do not say whether a bank looks at them too, are
    /// kept, and the grant is funded.
    fn plain(&self, grant: &Grant, header: &crate::records::Header) -> bool {
        let funded = self.books.grants.get(&(grant.author, grant.serial));
        header.spent_total <= grant.limit
            && header.amount <= grant.cap
            && header.sequence >= grant.first_sequence
            && grant.policy.is_none()
            && funded.is_some_and(|books| books.funded >= i128::from(grant.limit))
    }

    /// Steps 1 and 2 of the loss rule.
    fn out_of_reserve(&self, decision: &Decision<'_>, grant: &Grant) -> Due {
        let (header, key) = (&decision.entry.header, (grant.author, grant.serial));
        let Some(case) = self.intake.cases.get(&key) else { return Due::Paid };
        if header.spent_total <= case.lowest {
            return Due::Paid;
        }
        let contradicts =
            self.logs.get(&grant.author).is_some_and(|log| log.contradicts(&decision.entry.id));
        if grant.flags == 1 || !contradicts || self.waited.contains(&key) {
            return Due::Open;
        }
        let [least, most] = self.left(grant, case.lowest, decision.arrival.step);
        match i128::from(header.amount) {
            amount if amount <= least => Due::Paid,
            amount if amount > most => Due::Contested,
            _ => Due::Open,
        }
    }

    /// What is left of the reserve beside what is set aside below `lowest`: at least, if what was decided
    /// there without being paid stays set aside, and at most, if it does not.
    fn left(&self, grant: &Grant, lowest: u64, step: u64) -> [i128; 2] {
        let key = (grant.author, grant.serial);
        let released = self.books.released(grant.author, grant.serial, step);
        let placed = self.placed.get(&key).map_or(&[][..], Vec::as_slice);
        let paid: i128 = placed.iter().map(|one| one.paid).sum();
        let below = || placed.iter().filter(|one| one.end <= lowest);
        let paid_below: i128 = below().map(|one| one.paid).sum();
        let unpaid_below: i128 =
            below().filter(|one| one.paid == 0).map(|one| i128::from(one.amount)).sum();
        let aside = i128::from(lowest) - paid_below;
        let least = i128::from(grant.limit) - released - paid - aside;
        [least, least + unpaid_below]
    }
}

/// What was paid out of the reserve other than provisionally.
pub(crate) fn early(paid: &Paid) -> i128 {
    if paid.provisional { 0 } else { paid.most }
}
