//! The settlement rule: what a bank decides about a request, from the book as it read it.
//!
//! It decides and writes nothing: the steps that it returns are one unit of work. With a [`Bug`] it
//! decides wrongly, in one way.

use crate::book::{Account, Book, Case, Standing, Step};
use crate::bug::Bug;
use crate::cast::{Author, Entry};

/// The order that is drawn among contested entries. There are never more than two, so that these
/// are all orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Draw {
    /// As in the log.
    Ascending,
    /// The other way round.
    Descending,
}

/// What a gateway is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// Take an entry, for the first time or again.
    Submit(Entry),
    /// Do what is due when claim-until has passed, with this order drawn.
    EndClaims(Draw),
    /// Close the equivocator's review: what was paid provisionally stays, or is denied.
    CloseCase {
        /// Whether the payees were found to be in it.
        denied: bool,
    },
}

/// What a gateway knows when it decides.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The book as it read it.
    pub book: &'a Book,
    /// Whether claim-until has passed by its own clock.
    pub late: bool,
    /// The entries that it took itself; only a bug asks.
    pub taken: u8,
    /// What is wrong with it.
    pub bug: Option<Bug>,
}

impl View<'_> {
    /// Whether a request is refused as a whole, or would change nothing.
    pub fn refuses(&self, request: Request) -> bool {
        match request {
            Request::Submit(entry) => {
                let known = self.book.standing(entry) != Standing::Absent;
                known && self.bug != Some(Bug::ForgetsVerdicts)
            }
            Request::EndClaims(_) => {
                !self.late || Author::ALL.iter().all(|author| self.book.claims_ended(*author))
            }
            Request::CloseCase { .. } => {
                let author = Author::Equivocator;
                let early = self.book.lowest(author).is_some() && !self.book.claims_ended(author);
                self.book.case(author) != Case::Open || early
            }
        }
    }

    /// The unit of work that a request leads to; nothing when it is refused.
    pub fn decide(self, request: Request) -> Vec<Step> {
        if self.refuses(request) {
            return Vec::new();
        }
        let mut work = Work { view: self, book: self.book.clone(), steps: Vec::new() };
        match request {
            Request::Submit(entry) => work.submit(entry),
            Request::EndClaims(draw) => {
                for author in Author::ALL {
                    work.end_claims(author, draw);
                }
            }
            Request::CloseCase { denied } => work.close_case(Author::Equivocator, denied),
        }
        work.steps
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }
}

/// One decision in progress: the book as it will be, and how it becomes so.
struct Work<'a> {
    view: View<'a>,
    book: Book,
    steps: Vec<Step>,
}

impl Work<'_> {
    fn record(&mut self, step: Step) {
        self.book.apply(step);
        self.steps.push(step);
    }

    fn post(&mut self, currency: Author, account: Account, amount: i8, entry: Option<Entry>) {
        if amount != 0 {
            self.record(Step::Post { currency, account, amount, entry });
        }
    }

    fn submit(&mut self, entry: Entry) {
        let author = entry.author();
        let ended = self.book.claims_ended(author) && !self.view.has(Bug::TrustsItsOwnClock);
        let late = self.view.late || ended;
        self.look_for_contradiction(entry, late);
        if late {
            return self.record(Step::Stand(entry, Standing::Late));
        }
        let below = self.lowest(author).is_none_or(|lowest| entry.total() <= lowest);
        let left = if below { self.reserve(author) } else { self.unpromised(author) };
        if entry.amount() <= left {
            self.settle(entry);
        } else if self.lowest(author).is_none() {
            self.record(Step::Stand(entry, Standing::Uncovered));
        } else if !(self.view.has(Bug::DrawsBeforeClaimsEnd) && self.pay_provisionally(entry)) {
            self.record(Step::Stand(entry, Standing::Contested));
        }
    }

    /// Holds a new entry against all that is known of its author. What comes late lowers nothing,
    /// and so takes nothing from whoever came in time.
    fn look_for_contradiction(&mut self, entry: Entry, late: bool) {
        let author = entry.author();
        let found = self.known(author).into_iter().filter(|other| other.contradicts(entry));
        let start = found.map(|other| other.terms().start.min(entry.terms().start)).min();
        let Some(start) = start else { return };
        let held = self.book.lowest(author);
        let lower = Some(start).filter(|start| !late && held.is_none_or(|held| *start < held));
        if lower.is_some() || self.book.case(author) == Case::None {
            self.record(Step::Contradicted(author, lower));
        }
    }

    /// The entries of an author that a new one is held against.
    fn known(&self, author: Author) -> Vec<Entry> {
        let mut known = self.book.standing_so(author, |it| it != Standing::Absent);
        if self.view.has(Bug::KeepsConflictsToItself) {
            known.retain(|entry| self.view.taken & (1 << *entry as u8) != 0);
        }
        known
    }

    /// Where an author's contradiction starts, if there is one.
    fn lowest(&self, author: Author) -> Option<i8> {
        if !self.view.has(Bug::KeepsConflictsToItself) {
            return self.book.lowest(author);
        }
        let known = self.known(author);
        let contradicts = |entry: &&Entry| known.iter().any(|other| other.contradicts(**entry));
        known.iter().filter(contradicts).map(|entry| entry.terms().start).min()
    }

    fn reserve(&self, author: Author) -> i8 {
        self.book.balance(author, Account::Reserve)
    }

    /// What of a reserve is not set aside for what was promised below the contradiction.
    fn unpromised(&self, author: Author) -> i8 {
        let lowest = self.lowest(author).unwrap_or_default();
        let below = author.entries().filter(|entry| entry.total() <= lowest);
        let paid: i8 = below.map(|entry| self.book.moved(entry)).sum();
        let set_aside = if self.view.has(Bug::SetsNothingAside) { 0 } else { lowest - paid };
        self.reserve(author) - set_aside
    }

    fn settle(&mut self, entry: Entry) {
        let terms = entry.terms();
        self.post(terms.author, Account::Reserve, -terms.amount, Some(entry));
        self.post(terms.author, Account::Credited(terms.payee), terms.amount, Some(entry));
        self.record(Step::Stand(entry, Standing::Settled));
    }

    /// Claim-until has passed: what is left of the reserve returns, or under a contradiction pays
    /// those who were contested, in the order drawn, and then the guarantee does.
    fn end_claims(&mut self, author: Author, draw: Draw) {
        if self.book.claims_ended(author) {
            return;
        }
        self.record(Step::ClaimsEnded(author));
        if self.book.lowest(author).is_none() {
            return self.release(author);
        }
        let mut contested = self.book.standing_so(author, |it| it == Standing::Contested);
        if draw == Draw::Descending {
            contested.reverse();
        }
        for entry in contested {
            if !self.pay_provisionally(entry) {
                self.record(Step::Stand(entry, Standing::Uncovered));
            }
        }
        if self.view.has(Bug::ReleasesUnderReview) {
            self.release(author);
        }
    }

    /// Pays an entry whole until the review closes, or not at all.
    fn pay_provisionally(&mut self, entry: Entry) -> bool {
        let terms = entry.terms();
        let from_reserve = terms.amount.min(self.reserve(terms.author));
        let from_guarantee = terms.amount - from_reserve;
        let used = if self.view.has(Bug::GuaranteesEachPayment) {
            0
        } else {
            -self.book.balance(terms.author, Account::Receivable)
        };
        if from_guarantee > terms.author.guarantee() - used {
            return false;
        }
        self.post(terms.author, Account::Reserve, -from_reserve, Some(entry));
        self.post(terms.author, Account::Receivable, -from_guarantee, Some(entry));
        self.post(terms.author, Account::Pending(terms.payee), terms.amount, Some(entry));
        self.record(Step::Stand(entry, Standing::Provisional { from_guarantee }));
        true
    }

    fn close_case(&mut self, author: Author, denied: bool) {
        for entry in author.entries() {
            let Standing::Provisional { from_guarantee } = self.book.standing(entry) else {
                continue;
            };
            let terms = entry.terms();
            self.post(author, Account::Pending(terms.payee), -terms.amount, Some(entry));
            if denied {
                let from_reserve = terms.amount - from_guarantee;
                self.post(author, Account::Reserve, from_reserve, Some(entry));
                self.post(author, Account::Receivable, from_guarantee, Some(entry));
                self.record(Step::Stand(entry, Standing::Uncovered));
            } else {
                self.post(author, Account::Credited(terms.payee), terms.amount, Some(entry));
                self.record(Step::Stand(entry, Standing::Settled));
            }
        }
        // A case in which nobody claimed in time left the reserve to the end of claims.
        if self.book.lowest(author).is_some() {
            self.release(author);
        }
        self.record(Step::CaseClosed(author));
    }

    fn release(&mut self, author: Author) {
        let rest = self.reserve(author);
        self.post(author, Account::Reserve, -rest, None);
        self.post(author, Account::Payer, rest, None);
    }
}
