//! I4: the double-entry books. Balances are those added up here from the postings.

use super::broken;
use crate::books::Books;
use crate::facts::{Account, Transaction};
use crate::run::{Bank, Broken, Invariant};
use std::collections::{BTreeMap, BTreeSet};

/// I4: every transaction sums to zero in every currency; a grant's reserve is in the grant's currency;
/// nobody is overdrawn; and the balances that the bank states are those of its postings.
pub(crate) fn judge(bank: &Bank<'_>) -> Vec<Broken> {
    let mut found = Vec::new();
    let mut books = Books::default();
    let mut overdrawn = BTreeSet::new();
    for transaction in &bank.facts.transactions {
        found.extend(balances(transaction));
        found.extend(currencies(bank, transaction));
        books.post(transaction);
        for posting in &transaction.postings {
            let key = (posting.account, posting.currency);
            let balance = books.balances.get(&key).copied().unwrap_or_default();
            if balance < 0 && never_overdrawn(&posting.account) && overdrawn.insert(key) {
                let what =
                    format!("{:?} at {balance} after step {}", posting.account, transaction.step);
                found.push(broken(Invariant::Conservation, what, transaction.entry.as_slice()));
            }
        }
    }
    found.extend(stated(bank));
    found
}

fn balances(transaction: &Transaction) -> Option<Broken> {
    let mut sums: BTreeMap<[u8; 3], i128> = BTreeMap::new();
    for posting in &transaction.postings {
        *sums.entry(posting.currency).or_default() += i128::from(posting.amount);
    }
    sums.values().any(|sum| *sum != 0).then(|| {
        let what = format!("the transaction of step {} does not balance", transaction.step);
        broken(Invariant::Conservation, what, transaction.entry.as_slice())
    })
}

fn currencies(bank: &Bank<'_>, transaction: &Transaction) -> Option<Broken> {
    let wrong = transaction.postings.iter().find(|posting| {
        let Account::Reserve { author, serial } = posting.account else { return false };
        let grant = bank.intake.grants.get(&(author, serial));
        grant.is_some_and(|grant| grant.currency.as_bytes() != posting.currency)
    })?;
    let what = format!("{:?} moved in a currency that is not its grant's", wrong.account);
    Some(broken(Invariant::Conservation, what, transaction.entry.as_slice()))
}

/// Accounts that hold somebody's money, which nobody can take twice.
fn never_overdrawn(account: &Account) -> bool {
    matches!(
        account,
        Account::Customer(_)
            | Account::Reserve { .. }
            | Account::PendingIn(_)
            | Account::GuaranteePool
            | Account::Suspense
    )
}

fn stated(bank: &Bank<'_>) -> Vec<Broken> {
    let mut left = bank.books.balances.clone();
    for posting in &bank.facts.balances {
        *left.entry((posting.account, posting.currency)).or_default() -= i128::from(posting.amount);
    }
    let wrong = left.into_iter().filter(|(_, difference)| *difference != 0);
    wrong
        .map(|((account, _), difference)| {
            let what = format!("{account:?} is stated {difference} below its postings");
            broken(Invariant::Conservation, what, &[])
        })
        .collect()
}
