//! The loss rule as banks publish it, step 3: what is left after the end of claims, and the guarantee.
//!
//! The order of payments is keyed with randomness in a way that the documents do not fix, so what is
//! judged is what holds in any order: who may be paid and when, how much, and that nobody is passed over
//! who would still fit in the end.

use super::broken;
use super::solvency::{authors_of, guarantee_paid};
use crate::books::{Books, Paid};
use crate::contradiction::contradict;
use crate::facts::Account;
use crate::intake::{Case, Decision, Due};
use crate::known::Known;
use crate::records::{Author, Grant, SignedHeader};
use crate::run::{Bank, Broken, Invariant};
use std::collections::BTreeMap;

/// Step 3 of the loss rule.
pub(crate) fn judge(known: &Known<'_>, bank: &Bank<'_>) -> Vec<Broken> {
    let mut found = pool_exceeded(bank);
    let mut payees: BTreeMap<((Author, u16), Author), i128> = BTreeMap::new();
    for (id, paid) in &bank.books.paid {
        let Some(decision) = bank.intake.decisions.get(id) else { continue };
        let (Some(grant), Some(payee)) = (decision.grant, decision.payee()) else { continue };
        let key = (grant.author, grant.serial);
        *payees.entry((key, payee)).or_default() += paid.guarantee;
        if (paid.provisional || paid.guarantee > 0)
            && let Some(why) = undue(known, bank, decision, grant, paid)
        {
            let what = format!("{} paid as by the guarantee, {why}", paid.most);
            found.push(broken(Invariant::LossRule, what, &[*id]));
        }
    }
    for ((key, payee), paid) in &payees {
        let shared = shared(bank, key.0);
        if paid * 2 > i128::from(shared) {
            let what = format!("one payee got {paid} of a guarantee of {shared}");
            found.push(broken(Invariant::LossRule, what, &[payee.key]));
        }
    }
    if known.facts.liveness {
        for (key, case) in &bank.intake.cases {
            found.extend(passed_over(known, bank, *key, case));
        }
    }
    found
}

/// The guarantee that all grants of the customer of an author share.
fn shared(bank: &Bank<'_>, author: Author) -> u64 {
    let group = authors_of(bank, author);
    let grants = bank.intake.grants.values().filter(|grant| group.contains(&grant.author));
    grants.map(|grant| grant.guarantee).max().unwrap_or(0)
}

/// Why a payment of this step should not have been made.
fn undue(
    known: &Known<'_>,
    bank: &Bank<'_>,
    decision: &Decision<'_>,
    grant: &Grant,
    paid: &Paid,
) -> Option<&'static str> {
    let payee = decision.payee()?;
    let drawn = || {
        let mut draws = bank.facts.draws.iter().filter(|draw| draw.author == grant.author);
        draws.any(|draw| draw.clock_s >= grant.claim_until && draw.step <= paid.step)
    };
    if !bank.intake.cases.contains_key(&(grant.author, grant.serial)) {
        Some("without a contradiction")
    } else if paid.clock_s < grant.claim_until {
        Some("before the end of claims")
    } else if grant.flags == 1 {
        Some("under a bearer grant")
    } else if paid.guarantee > 0 && !drawn() {
        Some("and no randomness drawn for the order after the end of claims")
    } else if linked(bank, grant.author, payee) {
        Some("to a payee that belongs to the payer")
    } else if accepted_both(known, bank, decision, payee, Some(paid.step)) {
        Some("to a payee that accepted what contradicts it, too")
    } else {
        None
    }
}

/// Whether a payee is the payer's customer itself or linked to it.
fn linked(bank: &Bank<'_>, payer: Author, payee: Author) -> bool {
    let customer = |author: Author| {
        let holder = bank.facts.holders.iter().find(|holder| holder.author == author);
        holder.map(|holder| holder.customer)
    };
    let (Some(a), Some(b)) = (customer(payer), customer(payee)) else { return payer == payee };
    a == b || bank.facts.links.iter().any(|link| *link == [a, b] || *link == [b, a])
}

/// Whether the payee said that it accepts this payment and another that contradicts it, both before a step
/// if one is given.
fn accepted_both(
    known: &Known<'_>,
    bank: &Bank<'_>,
    decision: &Decision<'_>,
    payee: Author,
    before: Option<u64>,
) -> bool {
    let header = |id: &[u8; 32]| {
        let entry = known.entry(id)?;
        let header = entry.header.clone();
        // Signatures are no matter here: both are known to hold.
        Some(SignedHeader { id: entry.id, header, signature: [0; 64] })
    };
    let Some(this) = header(&decision.entry.id) else { return false };
    let accepted = |id: &&[u8; 32]| {
        let mut told = bank.intake.receipts.of(id, payee);
        told.any(|told| told.verdict == 0 && before.is_none_or(|step| told.step < step))
    };
    accepted(&&this.id)
        && bank
            .intake
            .receipts
            .accepted_by(payee)
            .filter(accepted)
            .any(|id| header(id).is_some_and(|other| contradict(&this, &other)))
}

/// What is paid beyond reserves and not yet recovered or written off never exceeds the pool.
fn pool_exceeded(bank: &Bank<'_>) -> Vec<Broken> {
    let (mut books, mut found) = (Books::default(), Vec::new());
    let mut open: BTreeMap<[u8; 3], i128> = BTreeMap::new();
    for transaction in &bank.facts.transactions {
        books.post(transaction);
        for posting in &transaction.postings {
            if !matches!(posting.account, Account::DoubleSpendReceivable(_)) {
                continue;
            }
            let open = open.entry(posting.currency).or_default();
            *open -= i128::from(posting.amount);
            let pool = books.balances.get(&(Account::GuaranteePool, posting.currency));
            let pool = pool.copied().unwrap_or_default();
            if *open > pool && posting.amount < 0 {
                let what = format!("{open} open beyond reserves with {pool} in the pool");
                found.push(broken(Invariant::LossRule, what, transaction.entry.as_slice()));
            }
        }
    }
    found
}

/// Who would still fit after all that was paid, and was not.
fn passed_over(known: &Known<'_>, bank: &Bank<'_>, key: (Author, u16), case: &Case) -> Vec<Broken> {
    let Some(grant) = bank.intake.grants.get(&key) else { return Vec::new() };
    let drawn = bank.facts.draws.iter().any(|draw| draw.author == key.0);
    if grant.flags == 1 || !drawn || bank.facts.clock_s <= grant.claim_until {
        return Vec::new();
    }
    let settled = bank.books.grants.get(&key).map_or(0, |books| books.settled);
    let released = bank.books.released(key.0, key.1, case.since);
    let reserve = i128::from(grant.limit) - released - settled;
    let decisions = bank.intake.order.iter().map(|id| &bank.intake.decisions[id]);
    let of = decisions.filter(|decision| {
        let header = &decision.entry.header;
        (header.author, header.serial) == key && decision.due == Due::Contested
    });
    let unpaid = of.filter(|decision| bank.books.paid(&decision.entry.id).most == 0);
    let fits = unpaid.filter(|decision| {
        let Some(payee) = decision.payee() else { return false };
        let amount = i128::from(decision.worth());
        let told = || bank.intake.receipts.of(&decision.entry.id, payee);
        let excluded = told().any(|told| told.verdict != 0 || told.knew)
            || linked(bank, key.0, payee)
            || accepted_both(known, bank, decision, payee, None);
        !excluded && (amount <= reserve || amount <= beyond(bank, grant, payee))
    });
    let found = fits.map(|decision| {
        let amount = decision.worth();
        let what = format!("{amount} passed over after the end of claims, though it still fits");
        broken(Invariant::LossRule, what, &[decision.entry.id])
    });
    found.collect()
}

/// What a payee may still get beyond the reserve.
fn beyond(bank: &Bank<'_>, grant: &Grant, payee: Author) -> i128 {
    let group = authors_of(bank, grant.author);
    let shared = i128::from(shared(bank, grant.author).min(grant.guarantee));
    let paid = guarantee_paid(bank, &bank.books, &group);
    let same = authors_of(bank, payee);
    let to_payee = bank.books.paid.iter().filter(|(id, _)| {
        let decision = bank.intake.decisions.get(*id);
        decision.is_some_and(|decision| {
            group.contains(&decision.entry.header.author)
                && decision.payee().is_some_and(|payee| same.contains(&payee))
        })
    });
    let to_payee: i128 = to_payee.map(|(_, paid)| paid.guarantee).sum();
    let mut currency = [0; 3];
    currency.copy_from_slice(grant.currency.as_bytes());
    let pool = bank.books.balances.get(&(Account::GuaranteePool, currency));
    let open = bank.books.balances.iter().filter(|((account, its), _)| {
        matches!(account, Account::DoubleSpendReceivable(_)) && *its == currency
    });
    let open: i128 = open.map(|(_, balance)| -balance).sum();
    let pool = pool.copied().unwrap_or_default() - open;
    (shared - paid).min(shared / 2 - to_payee).min(pool)
}
