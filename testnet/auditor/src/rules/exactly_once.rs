//! I5, by the sections "Entry" (ids cover what is signed, not signatures) and "Checkpoint" (outcomes).

use super::broken;
use crate::facts::Answer;
use crate::known::Known;
use crate::run::{Bank, Broken, Invariant};
use std::collections::BTreeMap;

/// The outcomes of the document's table that have a say here.
pub(super) const SETTLED: u8 = 0;
pub(super) const RETURNED: u8 = 2;
/// This one and those above reject.
pub(super) const REJECTED: u8 = 16;

/// I5: an entry is paid at most what it promises, from a complete copy that verified; it has one final
/// answer for ever; and the answer is what the books say.
pub(crate) fn judge(known: &Known<'_>, bank: &Bank<'_>) -> Vec<Broken> {
    let mut found = Vec::new();
    for id in bank.books.paid.keys() {
        let Some(decision) = bank.intake.decisions.get(id) else {
            let what = "paid, and no copy that verifies has reached the bank".to_owned();
            found.push(broken(Invariant::ExactlyOnce, what, &[*id]));
            continue;
        };
        let moved = decision.moved(&bank.books);
        if moved > i128::from(decision.worth()) {
            let what = format!("paid {moved} of a promise of {}", decision.worth());
            found.push(broken(Invariant::ExactlyOnce, what, &[*id]));
        }
    }
    let mut answers: BTreeMap<[u8; 32], Vec<&Answer>> = BTreeMap::new();
    for answer in bank.facts.answers.iter().filter(|answer| answer.last) {
        answers.entry(answer.entry).or_default().push(answer);
    }
    for (id, answers) in answers {
        found.extend(one_answer(bank, &id, &answers));
        found.extend(as_booked(bank, &id, &answers));
    }
    if known.facts.liveness {
        found.extend(unanswered(bank));
    }
    found
}

/// A final answer is repeated for ever; only a signed refusal turns settled into returned.
fn one_answer(bank: &Bank<'_>, id: &[u8; 32], answers: &[&Answer]) -> Option<Broken> {
    let changed = answers.iter().zip(answers.iter().skip(1)).find(|(one, next)| {
        let returned = one.outcome == Some(SETTLED) && next.outcome == Some(RETURNED);
        (one.outcome, one.amount) != (next.outcome, next.amount) && !(returned && refused(bank, id))
    })?;
    let what = format!("answered {:?}, later {:?}", changed.0.outcome, changed.1.outcome);
    Some(broken(Invariant::ExactlyOnce, what, &[*id]))
}

/// Whether the payee of an entry has refused it with a signature.
fn refused(bank: &Bank<'_>, id: &[u8; 32]) -> bool {
    let payee = bank.intake.decisions.get(id).and_then(crate::intake::Decision::payee);
    payee.is_some_and(|payee| bank.intake.receipts.of(id, payee).any(|told| told.verdict != 0))
}

/// What is settled was paid, and what is rejected was not.
fn as_booked(bank: &Bank<'_>, id: &[u8; 32], answers: &[&Answer]) -> Option<Broken> {
    let (last, paid) = (answers.last()?, bank.books.paid(id));
    let decision = bank.intake.decisions.get(id);
    let moved = decision.map_or(paid.most, |decision| decision.moved(&bank.books));
    let fits = match last.outcome {
        Some(SETTLED) => [paid.most, moved].contains(&i128::from(last.amount)),
        Some(outcome) if outcome >= REJECTED => paid.total() == 0,
        _ => true,
    };
    (!fits).then(|| {
        let what = format!(
            "finally answered {:?} with {}, paid {}",
            last.outcome,
            last.amount,
            paid.total()
        );
        broken(Invariant::ExactlyOnce, what, &[*id])
    })
}

/// Who asks about what was paid gets an answer.
fn unanswered(bank: &Bank<'_>) -> Vec<Broken> {
    let answered: std::collections::BTreeSet<_> =
        bank.facts.answers.iter().map(|answer| answer.entry).collect();
    let silent = bank.books.paid.keys().filter(|id| !answered.contains(*id));
    silent
        .map(|id| broken(Invariant::ExactlyOnce, "paid and never answered".to_owned(), &[*id]))
        .collect()
}
