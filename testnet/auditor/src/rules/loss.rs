//! The loss rule as banks publish it, steps 1, 2 and 4, and the reasons of the section "Checkpoint": what
//! each bank decided of each entry beside what it should have decided.

use super::broken;
use super::exactly_once::REJECTED;
use super::honest_loss::lost;
use crate::books::sum;
use crate::facts::{Account, Answer};
use crate::intake::{Decision, Due, early};
use crate::known::Known;
use crate::records::{Author, PAYMENT, REFUND};
use crate::run::{Bank, Broken, Invariant};

/// "Does not open" is no verdict before this long after claim-until.
const OPENING_S: u32 = 7 * 24 * 3600;

/// Nobody is paid who is not to be, and nobody in another's place; below a contradiction everybody is paid, and at it who came first and
/// fits; payments are whole; and whoever is rejected is so for a reason that is there.
pub(crate) fn judge(known: &Known<'_>, bank: &Bank<'_>) -> Vec<Broken> {
    let mut found = misdirected(bank);
    for id in &bank.intake.order {
        let decision = &bank.intake.decisions[id];
        found.extend(wrongly_paid(bank, decision));
        found.extend(wrongly_passed_over(known, bank, decision));
    }
    for answer in bank.facts.answers.iter().filter(|answer| answer.last) {
        if let Some(decision) = bank.intake.decisions.get(&answer.entry)
            && let Some(what) = unfounded(bank, decision, answer)
        {
            found.push(broken(Invariant::LossRule, what, &[answer.entry]));
        }
    }
    found
}

/// What leaves a reserve for an entry, or is paid beyond it, goes to the entry's payee.
fn misdirected(bank: &Bank<'_>) -> Vec<Broken> {
    let found = bank.facts.transactions.iter().filter_map(|transaction| {
        let id = transaction.entry?;
        let payee = bank.intake.decisions.get(&id)?.payee()?;
        let left = -sum(transaction, |account| {
            matches!(account, Account::Reserve { .. } | Account::DoubleSpendReceivable(_))
        });
        let to_payee = sum(transaction, |account| belongs(bank, account, payee));
        (left > 0 && to_payee != left).then(|| {
            let what = format!("of {left} paid {to_payee} went to the payee");
            broken(Invariant::LossRule, what, &[id])
        })
    });
    found.collect()
}

/// Whether a payee is paid on this account. Whom the bank does not know yet it pays into suspense,
/// whom another bank knows over that bank.
fn belongs(bank: &Bank<'_>, account: &Account, payee: Author) -> bool {
    let holder = bank.facts.holders.iter().find(|holder| holder.author == payee);
    let customer = holder.map(|holder| holder.customer);
    match account {
        Account::Customer(its) => customer == Some(*its),
        Account::PendingIn(its) => customer.is_none_or(|customer| customer == *its),
        Account::Suspense => payee.bank == bank.facts.number,
        Account::DueTo(other) => payee.bank == *other,
        _ => false,
    }
}

fn wrongly_paid(bank: &Bank<'_>, decision: &Decision<'_>) -> Option<Broken> {
    let moved = decision.moved(&bank.books);
    let what = match decision.due {
        Due::Unpaid(reason) if moved > 0 => format!("paid {moved}, but {reason}"),
        Due::Contested if early(&bank.books.paid(&decision.entry.id)) > 0 => {
            format!("paid {moved} out of a reserve in which less was left")
        }
        _ if (1..i128::from(decision.worth())).contains(&moved) => {
            format!("paid {moved} of {}, not whole", decision.worth())
        }
        _ => return None,
    };
    Some(broken(Invariant::LossRule, what, &[decision.entry.id]))
}

/// Under a contradiction; else this is I2.
fn wrongly_passed_over(
    known: &Known<'_>,
    bank: &Bank<'_>,
    decision: &Decision<'_>,
) -> Option<Broken> {
    let header = &decision.entry.header;
    if decision.due != Due::Paid || !bank.intake.contradicted.contains_key(&header.author) {
        return None;
    }
    let provisional = bank.books.paid(&decision.entry.id).provisional;
    let how = lost(known, bank, decision)
        .or_else(|| provisional.then(|| "was paid provisionally only".to_owned()))?;
    let above = bank.intake.is_above(decision.entry);
    let place = if above { "first of those that contradict" } else { "below them" };
    let what = format!("{}, {place}, {how}", header.amount);
    Some(broken(Invariant::LossRule, what, &[decision.entry.id]))
}

/// Why a final rejection is for no reason; none if there is one, or the outcome gives none.
fn unfounded(bank: &Bank<'_>, decision: &Decision<'_>, answer: &Answer) -> Option<String> {
    let outcome = answer.outcome.filter(|outcome| *outcome >= REJECTED)?;
    let (grant, id) = (decision.grant?, &decision.entry.id);
    let told = |is: &dyn Fn(&crate::intake::Told) -> bool| {
        let payee = decision.payee();
        payee.is_some_and(|payee| bank.intake.receipts.of(id, payee).any(is))
    };
    let founded = match outcome {
        // For a bearer grant the first wins, and the others need not wait.
        16 if grant.flags == 0 && decision.due == Due::Contested => {
            answer.clock_s >= grant.claim_until
        }
        17 => decision.arrival.clock_s >= grant.claim_until,
        18 => told(&|told| told.knew),
        19 if decision.plaintext.is_some() => false,
        19 if decision.due == Due::Unpaid("its body says nothing") => true,
        19 => answer.clock_s >= grant.claim_until.saturating_add(OPENING_S),
        20 => decision.entry.header.kind == REFUND,
        21 => told(&|told| told.verdict != 0),
        22 => !matches!(decision.entry.header.kind, PAYMENT | REFUND),
        _ => true,
    };
    (!founded).then(|| format!("rejected by outcome {outcome}, for which there is no reason"))
}
