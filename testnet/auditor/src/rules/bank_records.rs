//! What an honest bank signs, by the sections "Who may sign", "What is held" and "Checkpoint" of the
//! protocol.

use super::broken;
use super::exactly_once::{REJECTED, SETTLED};
use crate::facts::ItemNumber;
use crate::known::Known;
use crate::records::{Author, Checkpoint, Item, Record};
use crate::run::{Bank, Broken, Invariant};
use std::collections::BTreeMap;

/// Everything that a bank signs verifies, what has one identity and version has one content, and
/// checkpoints say what the books say.
pub(crate) fn judge(known: &Known<'_>, bank: &Bank<'_>) -> Vec<Broken> {
    let mut found = two_contents(known, bank);
    for number in &bank.facts.signed {
        if known.good(*number).is_none() {
            let what = format!("bank {} signed what does not verify", bank.facts.number);
            let id: Vec<[u8; 32]> = known.item(*number).map(|item| item.id).into_iter().collect();
            found.push(broken(Invariant::BankRecords, what, &id));
        }
    }
    let paid = paid_under(bank);
    for (id, checkpoint) in newest(known, &bank.facts.signed).into_values() {
        found.extend(settled_as_booked(&paid, &id, checkpoint));
        found.extend(names_as_booked(bank, &id, checkpoint));
        found.extend(decided_is_paid(bank, &id, checkpoint));
    }
    found
}

/// Identity and version of a bank's record: kind, subject, certificate, number.
fn version(record: &Record) -> Option<(u8, Option<Author>, u16, u32)> {
    match record {
        Record::Certificate(one) => Some((1, None, one.number, 0)),
        Record::Grant(one) => Some((2, Some(one.author), one.serial, 0)),
        Record::Checkpoint(one) => Some((3, Some(one.author), one.certificate, one.number)),
        Record::Freeze(one) => Some((4, Some(one.author), one.certificate, one.epoch)),
        Record::Bulletin(one) => Some((5, None, one.certificate, one.epoch)),
        Record::Proof(_) | Record::Entry(_) | Record::Receipt(_) => None,
    }
}

fn two_contents(known: &Known<'_>, bank: &Bank<'_>) -> Vec<Broken> {
    let mut contents = BTreeMap::new();
    let mut found = Vec::new();
    for item in bank.facts.signed.iter().filter_map(|number| known.item(*number)) {
        let Some(version) = version(&item.record) else { continue };
        let first = *contents.entry(version).or_insert(item.id);
        if first != item.id {
            let what = format!("bank {} signed two contents of one version", bank.facts.number);
            found.push(broken(Invariant::BankRecords, what, &[first, item.id]));
        }
    }
    found
}

/// The newest checkpoint of each author.
fn newest<'a>(
    known: &'a Known<'_>,
    signed: &[ItemNumber],
) -> BTreeMap<Author, ([u8; 32], &'a Checkpoint)> {
    let mut newest: BTreeMap<Author, ([u8; 32], &Checkpoint)> = BTreeMap::new();
    for number in signed {
        let Some(Item { id, record: Record::Checkpoint(one), .. }) = known.good(*number) else {
            continue;
        };
        let rank = |id: [u8; 32], one: &Checkpoint| (one.certificate, one.number, id);
        let held = newest.entry(one.author).or_insert((*id, one));
        if rank(held.0, held.1) < rank(*id, one) {
            *held = (*id, one);
        }
    }
    newest
}

/// What was paid for the entries of each grant.
fn paid_under(bank: &Bank<'_>) -> BTreeMap<(Author, u16), i128> {
    let mut under = BTreeMap::new();
    for (id, paid) in &bank.books.paid {
        if let Some(decision) = bank.intake.decisions.get(id) {
            let header = &decision.entry.header;
            *under.entry((header.author, header.serial)).or_default() += paid.most;
        }
    }
    under
}

/// What a checkpoint states as settled is at most what was paid.
fn settled_as_booked(
    paid: &BTreeMap<(Author, u16), i128>,
    id: &[u8; 32],
    checkpoint: &Checkpoint,
) -> Vec<Broken> {
    let wrong = checkpoint.live.iter().filter_map(|live| {
        let paid = paid.get(&(checkpoint.author, live.serial)).copied().unwrap_or_default();
        (i128::from(live.settled) > paid).then(|| {
            let what = format!(
                "a checkpoint states {} settled of serial {}, and {paid} was paid",
                live.settled, live.serial
            );
            broken(Invariant::BankRecords, what, &[*id])
        })
    });
    wrong.collect()
}

/// What a checkpoint names as settled was paid, and what it names as rejected was not.
fn names_as_booked(bank: &Bank<'_>, id: &[u8; 32], checkpoint: &Checkpoint) -> Vec<Broken> {
    let mut found = Vec::new();
    for (entry, decision) in &bank.intake.decisions {
        let header = &decision.entry.header;
        if header.author != checkpoint.author || header.amount == 0 {
            continue;
        }
        let Some(outcome) = checkpoint.named(header.sequence, entry) else { continue };
        let paid = bank.books.paid(entry);
        let wrong = outcome == SETTLED && paid.most == 0 || outcome >= REJECTED && paid.total() > 0;
        if wrong {
            let what =
                format!("a checkpoint names outcome {outcome}, and {} was paid", paid.total());
            found.push(broken(Invariant::BankRecords, what, &[*id, *entry]));
        }
    }
    found
}

/// What is hash-linked to the frontier is settled unless named otherwise, while its grant is live.
fn decided_is_paid(bank: &Bank<'_>, id: &[u8; 32], checkpoint: &Checkpoint) -> Vec<Broken> {
    let (mut found, mut at) = (Vec::new(), checkpoint.frontier.map(|frontier| frontier.hash));
    while let Some(decision) = at.and_then(|at| bank.intake.decisions.get(&at)) {
        let (entry, header) = (decision.entry, &decision.entry.header);
        let live = checkpoint.live.iter().any(|live| live.serial == header.serial);
        let honoured = decision.grant.is_some_and(|it| bank.facts.clock_s < it.claim_until);
        let named = checkpoint.named(header.sequence, &entry.id).is_some();
        if header.amount > 0 && live && honoured && !named && bank.books.paid(&entry.id).most == 0 {
            let what = "a checkpoint calls decided what was neither paid nor named".to_owned();
            found.push(broken(Invariant::BankRecords, what, &[*id, entry.id]));
        }
        at = (header.sequence > 0).then_some(header.previous);
    }
    found
}
