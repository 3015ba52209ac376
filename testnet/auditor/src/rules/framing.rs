//! I7, by the sections "Contradictions" and "Receipt" of the protocol.

use super::broken;
use crate::contradiction;
use crate::facts::ItemNumber;
use crate::known::Known;
use crate::records::{Record, SignedHeader};
use crate::run::{Bank, Broken, Invariant};
use std::collections::{BTreeMap, BTreeSet};

/// I7: nobody honest is ever seen to contradict itself, whatever proofs and entries there are; nothing
/// carries its signature that it did not sign; nothing left before it was durable; and a stopped key signs
/// nothing more.
pub(crate) fn judge(known: &Known<'_>) -> Vec<Broken> {
    let mut found = contradictions(known);
    found.extend(not_durable(known));
    found.extend(signed_after_stop(known));
    found
}

/// Items that were signed, and lost in a crash before they were durable or had left: nobody ever sees them.
fn lost(known: &Known<'_>) -> BTreeSet<ItemNumber> {
    let facts = known.facts;
    let left: BTreeSet<ItemNumber> = facts.departures.iter().map(|one| one.item).collect();
    let lost = facts.signings.iter().filter(|one| one.durable.is_none());
    lost.map(|one| one.item).filter(|item| !left.contains(item)).collect()
}

fn contradictions(known: &Known<'_>) -> Vec<Broken> {
    let (facts, lost) = (known.facts, lost(known));
    let signed: BTreeSet<[u8; 32]> = facts
        .signings
        .iter()
        .filter_map(|signing| known.item(signing.item).map(|item| item.id))
        .collect();
    let mut found = Vec::new();
    for (author, items) in known.logs() {
        if !facts.honest.contains(&author) {
            continue;
        }
        let seen = items.into_iter().filter(|number| !lost.contains(number));
        let headers: Vec<SignedHeader> = seen.flat_map(|number| known.headers(number)).collect();
        if let Some(pair) = contradiction::find(&headers) {
            let what = "somebody honest signed two headers that contradict each other".to_owned();
            found.push(broken(Invariant::NoFraming, what, &pair.map(|header| header.id)));
        }
        let foreign: BTreeSet<[u8; 32]> =
            headers.iter().map(|header| header.id).filter(|id| !signed.contains(id)).collect();
        for id in foreign {
            let what = "a signature of somebody honest that it never made".to_owned();
            found.push(broken(Invariant::NoFraming, what, &[id]));
        }
    }
    found
}

fn not_durable(known: &Known<'_>) -> Vec<Broken> {
    let durable: BTreeMap<ItemNumber, Option<u64>> =
        known.facts.signings.iter().map(|signing| (signing.item, signing.durable)).collect();
    let early = known.facts.departures.iter().filter(|departure| {
        let durable = durable.get(&departure.item).copied().flatten();
        durable.is_none_or(|durable| durable >= departure.step)
    });
    let found = early.filter_map(|departure| {
        let id = known.item(departure.item)?.id;
        let what = format!("left at step {}, and was not durable before", departure.step);
        Some(broken(Invariant::NoFraming, what, &[id]))
    });
    found.collect()
}

fn signed_after_stop(known: &Known<'_>) -> Vec<Broken> {
    let mut found = Vec::new();
    for signing in &known.facts.signings {
        let Some(item) = known.item(signing.item) else { continue };
        let signer = match &item.record {
            Record::Receipt(receipt) => Some(receipt.signer),
            _ => item.author(),
        };
        let stops = known.facts.stops.iter();
        let mut stops = stops.filter(|stop| Some(stop.author) == signer);
        if let Some(stop) = stops.find(|stop| stop.step < signing.step) {
            let what = format!(
                "signed at step {} with a key that was stopped at {}",
                signing.step, stop.step
            );
            found.push(broken(Invariant::NoFraming, what, &[item.id]));
        }
    }
    found
}

/// I7, for payees: by the receipts that reached a bank, nobody honest signs two verdicts on one entry.
pub(crate) fn two_verdicts(known: &Known<'_>, bank: &Bank<'_>) -> Vec<Broken> {
    let at_odds = bank.intake.receipts.at_odds();
    let honest = at_odds.filter(|(signer, _)| known.facts.honest.contains(signer));
    honest
        .map(|(_, entry)| {
            let what = "somebody honest signed two verdicts on one entry".to_owned();
            broken(Invariant::NoFraming, what, &[*entry])
        })
        .collect()
}
