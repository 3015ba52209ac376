//! I3, by the sections "Grant" and "Checkpoint" of the protocol.

use super::broken;
use crate::books::Books;
use crate::facts::{Account, Posting};
use crate::records::Author;
use crate::run::{Bank, Broken, Invariant};
use std::collections::BTreeMap;

/// I3: at every instant, what was settled under a grant is at most its limit, and with what was paid
/// beyond the reserve at most limit and guarantee; the grants of one customer share the largest of their
/// guarantees.
pub(crate) fn judge(bank: &Bank<'_>) -> Vec<Broken> {
    let (mut books, mut found) = (Books::default(), BTreeMap::new());
    for transaction in &bank.facts.transactions {
        books.post(transaction);
        let Some(id) = transaction.entry else { continue };
        let Some(decision) = bank.intake.decisions.get(&id) else { continue };
        let author = decision.entry.header.author;
        // By serial, not by entry: postings tell from which reserve it was.
        for posting in &transaction.postings {
            if let Account::Reserve { author, serial } = posting.account
                && let Some(what) = reserve_exceeded(bank, &books, author, serial)
            {
                found.entry((author, serial)).or_insert((what, id));
            }
        }
        let beyond =
            |posting: &Posting| matches!(posting.account, Account::DoubleSpendReceivable(_));
        if transaction.postings.iter().any(beyond)
            && let Some(what) = guarantee_exceeded(bank, &books, author)
        {
            found.entry((author, decision.entry.header.serial)).or_insert((what, id));
        }
    }
    let all = found.into_values();
    all.map(|(what, id)| broken(Invariant::Solvency, what, &[id])).collect()
}

/// Out of a reserve never goes more than the limit.
fn reserve_exceeded(bank: &Bank<'_>, books: &Books, author: Author, serial: u16) -> Option<String> {
    let limit = bank.intake.grants.get(&(author, serial)).map_or(0, |grant| grant.limit);
    let settled = books.grants.get(&(author, serial))?.settled;
    (settled > i128::from(limit))
        .then(|| format!("settled {settled} out of serial {serial} with limit {limit}"))
}

/// Beyond the reserves of a customer never goes more than one guarantee.
fn guarantee_exceeded(bank: &Bank<'_>, books: &Books, author: Author) -> Option<String> {
    let group = authors_of(bank, author);
    let grants = bank.intake.grants.values().filter(|grant| group.contains(&grant.author));
    let most = grants.map(|grant| grant.guarantee).max().unwrap_or(0);
    let paid = guarantee_paid(bank, books, &group);
    (paid > i128::from(most)).then(|| format!("paid {paid} beyond reserves with guarantee {most}"))
}

/// All authors of the customer of an author.
pub(super) fn authors_of(bank: &Bank<'_>, author: Author) -> Vec<Author> {
    let holders = || bank.facts.holders.iter();
    let customer = holders().find(|holder| holder.author == author).map(|holder| holder.customer);
    let Some(customer) = customer else { return vec![author] };
    holders().filter(|holder| holder.customer == customer).map(|holder| holder.author).collect()
}

/// What entries of these authors were paid beyond reserves.
pub(super) fn guarantee_paid(bank: &Bank<'_>, books: &Books, authors: &[Author]) -> i128 {
    let paid = books.paid.iter().filter(|(_, paid)| paid.guarantee != 0);
    let by = paid.filter(|(id, _)| {
        let decision = bank.intake.decisions.get(*id);
        decision.is_some_and(|decision| authors.contains(&decision.entry.header.author))
    });
    by.map(|(_, paid)| paid.guarantee).sum()
}
