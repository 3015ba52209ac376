//! I2, by "What an honest payee's verdict accepts, the bank settles", and by the sections "Grant"
//! (`claim_until`) and "Checkpoint" (outcomes) of the protocol.

use super::broken;
use crate::intake::{Decision, Due};
use crate::known::Known;
use crate::run::{Bank, Broken, Invariant};
use crate::sealing::Plaintext;
use std::collections::BTreeSet;

/// I2: a payment by an author that does not contradict itself, which reached the bank in time, is settled;
/// all the more if an honest payee has accepted it from an honest payer.
pub(crate) fn judge(known: &Known<'_>, bank: &Bank<'_>) -> Vec<Broken> {
    let honest = &known.facts.honest;
    let accepted: BTreeSet<[u8; 32]> = known
        .facts
        .acceptances
        .iter()
        .filter(|one| honest.contains(&one.payee))
        .filter(|one| {
            let entry = known.entry(&one.entry);
            entry.is_some_and(|entry| honest.contains(&entry.header.author))
        })
        .map(|one| one.entry)
        .collect();
    let mut found = wrong_amounts(known);
    for (id, decision) in &bank.intake.decisions {
        let author = decision.entry.header.author;
        if bank.intake.contradicted.contains_key(&author) {
            continue;
        }
        let in_time =
            decision.grant.is_some_and(|grant| decision.arrival.clock_s < grant.claim_until);
        let owed = decision.due == Due::Paid || accepted.contains(id) && in_time;
        if owed && let Some(how) = lost(known, bank, decision) {
            let what = format!(
                "of bank {} a payment of {} that came in time at gateway {}, {} ms, {how}",
                bank.facts.number,
                decision.entry.header.amount,
                decision.arrival.gateway,
                decision.arrival.at_ms
            );
            found.push(broken(Invariant::NoHonestLoss, what, &[*id]));
        }
    }
    found
}

/// How the payee of a payment that is due has not got it; none if it has, or still may get it.
pub(super) fn lost(known: &Known<'_>, bank: &Bank<'_>, decision: &Decision<'_>) -> Option<String> {
    let id = &decision.entry.id;
    if bank.books.paid(id).most >= i128::from(decision.entry.header.amount)
        || given_up(bank, decision)
    {
        return None;
    }
    let answers = || bank.facts.answers.iter().filter(|answer| answer.entry == *id);
    if let Some(answer) = answers().find(|answer| answer.last) {
        let outcome = answer.outcome.map_or("none".to_owned(), |outcome| outcome.to_string());
        return Some(format!("was not paid, by the final outcome {outcome}"));
    }
    known.facts.liveness.then(|| "was never paid".to_owned())
}

/// Whether the payee itself does not want or may not have the money: it refused, it knew of a freeze, or it
/// returns the payment.
fn given_up(bank: &Bank<'_>, decision: &Decision<'_>) -> bool {
    let Some(payee) = decision.payee() else { return false };
    let mut told = bank.intake.receipts.of(&decision.entry.id, payee);
    told.any(|told| told.verdict != 0 || told.knew)
        || bank.intake.decisions.values().any(|other| {
            matches!(&other.plaintext, Some(Plaintext::Refund { original, .. })
                if *original == decision.entry.id && other.entry.header.author == payee)
        })
}

/// An honest payee shows the amount that the header states.
fn wrong_amounts(known: &Known<'_>) -> Vec<Broken> {
    let shown = known.facts.acceptances.iter();
    let shown = shown.filter(|one| known.facts.honest.contains(&one.payee));
    let wrong = shown.filter_map(|one| {
        let amount = known.entry(&one.entry)?.header.amount;
        (amount != one.amount).then(|| {
            let what =
                format!("accepted as {} at {} ms, signed as {amount}", one.amount, one.at_ms);
            broken(Invariant::NoHonestLoss, what, &[one.entry])
        })
    });
    wrong.collect()
}
