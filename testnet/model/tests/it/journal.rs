//! The real journal decides as the model does: both are walked through every book that can arise,
//! and asked everything in each.
//!
//! The gateways are in the model only. A unit of work is written to the book as it was read, so
//! that whatever two gateways do, the book goes through decisions made one after the other; these
//! are what is compared here. Clocks go forwards and back, as those of two gateways would.

use crate::real::Stage;
use hundi_journal::bank::Bank;
use hundi_journal::input::Input;
use hundi_journal::output::Verdict;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_model::book::{Account, Book, Case, Standing};
use hundi_model::bug::Bug;
use hundi_model::cast::{Author, Entry};
use hundi_model::rule::{Draw, Request, View};
use hundi_model::world::requests;
use std::collections::HashSet;

/// Calls with randomness of their own that are made where the order drawn matters.
const DRAWS: u8 = 8;

/// All that both books say.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    entries: Vec<(Standing, i8)>,
    balances: Vec<i8>,
    cases: Vec<(Case, Option<i8>)>,
    grants: Vec<(bool, i8)>,
}

fn seen_in_model(book: &Book) -> Seen {
    let settled = |author: Author| author.entries().map(|entry| book.moved(entry)).sum();
    Seen {
        entries: Entry::ALL.map(|entry| (book.standing(entry), book.moved(entry))).to_vec(),
        balances: accounts().map(|(currency, account)| book.balance(currency, account)).collect(),
        cases: Author::ALL.map(|author| (book.case(author), book.lowest(author))).to_vec(),
        grants: Author::ALL.map(|author| (book.claims_ended(author), settled(author))).to_vec(),
    }
}

fn seen_in_journal(stage: &Stage, bank: &Bank) -> Seen {
    let entry = |entry| (stage.standing(bank, entry), stage.moved(bank, entry));
    Seen {
        entries: Entry::ALL.map(entry).to_vec(),
        balances: accounts().map(|(of, account)| stage.balance(bank, of, account)).collect(),
        cases: Author::ALL.map(|author| stage.case(bank, author)).to_vec(),
        grants: Author::ALL.map(|author| stage.grant(bank, author)).to_vec(),
    }
}

fn accounts() -> impl Iterator<Item = (Author, Account)> {
    Author::ALL.into_iter().flat_map(|author| Account::ALL.map(|account| (author, account)))
}

/// What a walk has been through.
#[derive(Debug, Default)]
struct Walked {
    books: usize,
    decisions: u32,
    draws: u32,
}

/// Both sides, asked the same.
struct Walk {
    stage: Stage,
    bug: Option<Bug>,
}

impl Walk {
    /// From the funded book to every other one, or to the first difference.
    fn everywhere(&self) -> Result<Walked, String> {
        let mut walked = Walked::default();
        let mut known = HashSet::from([Book::funded()]);
        let mut next = vec![(Book::funded(), self.stage.bank())];
        while let Some((book, bank)) = next.pop() {
            for (request, late) in requests().flat_map(|it| [(it, false), (it, true)]) {
                let orders = self.model_after(&book, late, request);
                walked.decisions += 1;
                walked.draws += u32::from(orders.len() > 1);
                for (after, bank) in self.compare(&book, &bank, late, request, &orders)? {
                    if known.insert(after.clone()) {
                        next.push((after, bank));
                    }
                }
            }
        }
        walked.books = known.len();
        Ok(walked)
    }

    /// What the model makes of a request, for each order that may be drawn.
    fn model_after(&self, book: &Book, late: bool, request: Request) -> Vec<Book> {
        let view = View { book, late, taken: 0, bug: self.bug };
        let orders = match request {
            Request::EndClaims(_) => [Draw::Ascending, Draw::Descending].map(Request::EndClaims),
            other => [other, other],
        };
        let mut after = orders
            .map(|request| {
                let mut after = book.clone();
                view.decide(request).into_iter().for_each(|step| after.apply(step));
                after
            })
            .to_vec();
        after.dedup();
        after
    }

    /// Has the real bank decide, as often as it takes to see every order, and pairs each book that
    /// the model expects with a bank that agrees.
    fn compare(
        &self,
        book: &Book,
        bank: &Bank,
        late: bool,
        request: Request,
        expected: &[Book],
    ) -> Result<Vec<(Book, Bank)>, String> {
        let mut agreed: Vec<(Book, Bank)> = Vec::new();
        for entropy in 0..if expected.len() > 1 { DRAWS } else { 1 } {
            let mut bank = bank.clone();
            self.ask(book, &mut bank, late, entropy, request, &expected[0])?;
            let seen = seen_in_journal(&self.stage, &bank);
            let after = expected.iter().find(|after| seen_in_model(after) == seen);
            let after = after.ok_or_else(|| {
                format!("{request:?}, late: {late}, in {book:?}: {seen:?}, expected {expected:?}")
            })?;
            if agreed.iter().all(|(known, _)| known != after) {
                agreed.push((after.clone(), bank));
            }
        }
        if agreed.len() < expected.len() {
            return Err(format!("{request:?} in {book:?}: an order is never drawn"));
        }
        Ok(agreed)
    }

    /// Asks the real bank; what it answers must be what the model expects.
    fn ask(
        &self,
        book: &Book,
        bank: &mut Bank,
        late: bool,
        entropy: u8,
        request: Request,
        expected: &Book,
    ) -> Result<(), String> {
        let input = self.input(book, request);
        let answer = self.stage.handle(bank, late, entropy, input);
        let view = View { book, late, taken: 0, bug: self.bug };
        let agrees = match (request, &answer) {
            (Request::Submit(entry), Ok(outputs)) => {
                let repeated = book.standing(entry) != Standing::Absent;
                // A retry writes nothing.
                repeated == outputs.events.is_empty()
                    && matches!(&outputs.verdicts[..], [Verdict::Decided { outcome, duplicate, .. }]
                        if outcome_of(expected.standing(entry)) == Some(*outcome)
                            && *duplicate == repeated)
            }
            (Request::Submit(_), Err(_)) => false,
            (Request::EndClaims(_), answer) => answer.is_ok(),
            (Request::CloseCase { .. }, answer) => view.refuses(request) == answer.is_err(),
        };
        let different = || format!("{request:?}, late: {late}, in {book:?}: {answer:?}");
        if agrees { Ok(()) } else { Err(different()) }
    }

    fn input(&self, book: &Book, request: Request) -> Input {
        match request {
            Request::Submit(entry) => Input::Submit { items: vec![self.stage.item(entry)] },
            Request::EndClaims(_) => Input::Tick,
            Request::CloseCase { denied } => {
                let author = Author::Equivocator;
                let provisional = |it| denied && matches!(it, Standing::Provisional { .. });
                let entries = author.entries().filter(|entry| provisional(book.standing(*entry)));
                let denied = entries.map(|entry| self.stage.id(entry)).collect();
                Input::CloseCase { author: self.stage.key(author), denied }
            }
        }
    }
}

fn outcome_of(standing: Standing) -> Option<Outcome> {
    match standing {
        Standing::Absent => None,
        Standing::Settled => Some(Outcome::Settled),
        Standing::Contested | Standing::Provisional { .. } => Some(Outcome::Contested),
        Standing::Uncovered => Some(Outcome::RejectedUncovered),
        Standing::Late => Some(Outcome::RejectedLate),
    }
}

#[test]
fn the_real_journal_decides_as_the_model_does_in_every_book() {
    let walked = Walk { stage: Stage::new(), bug: None }.everywhere().unwrap();
    println!("{walked:?}");
    assert!(walked.draws > 0, "the order drawn has decided who is paid");
}

/// Bugs in what one gateway decides; the others are in how two of them write.
#[test]
fn a_model_with_another_rule_disagrees_with_the_real_journal() {
    for bug in [
        Bug::ForgetsVerdicts,
        Bug::DrawsBeforeClaimsEnd,
        Bug::GuaranteesEachPayment,
        Bug::SetsNothingAside,
        Bug::ReleasesUnderReview,
        Bug::TrustsItsOwnClock,
    ] {
        let walked = Walk { stage: Stage::new(), bug: Some(bug) }.everywhere();
        assert!(walked.is_err(), "{bug:?} makes no difference");
    }
}
