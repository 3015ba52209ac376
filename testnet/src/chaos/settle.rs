//! The reckoning: everything that anybody signed is settled, once; histories, accounts, books and
//! audits agree; nobody has contradicted itself.

use super::memory::{History, history, is_at_bank};
use super::rounds::Chaos;
use super::town::{DEVICES, FUND_MINOR};
use super::{EACH_MINOR, load};
use crate::answers::{Audit, Books};
use crate::demo::expect::Expectations;
use crate::demo::world::World;
use anyhow::Result;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Entries that one request hands in.
const PART: usize = 500;

#[derive(Deserialize)]
struct Cases {
    cases: Vec<serde_json::Value>,
}

/// Waits until everything is settled, and compares.
pub(super) fn settle(chaos: &mut Chaos, expectations: &mut Expectations) -> Result<()> {
    hand_in_again(chaos, expectations)?;
    let world = &chaos.town.world;
    let histories =
        || (0..DEVICES).map(|device| history(world, device)).collect::<Result<Vec<_>>>();
    expectations.wait("payments not settled", &0, || {
        let unsettled = |rows: &History| rows.values().filter(|it| it.state != "settled").count();
        Ok(histories()?.iter().map(unsettled).sum::<usize>())
    })?;
    // The bank may have settled one while its payee's device was dead: it hears of it later.
    expectations.wait("payments made and not known to their payees, or the reverse", &0, || {
        let all = histories()?;
        Ok(payments(&all, "out").symmetric_difference(&payments(&all, "in")).count())
    })?;
    let all = histories()?;
    let made = payments(&all, "out");
    for one in &chaos.memory.paid {
        chaos.facts.expect_kept(made.contains(&one.id), &format!("payment {} in the end", one.id));
    }
    for entry in &chaos.memory.settled {
        let kept = is_at_bank(world, entry)?;
        chaos.facts.expect_kept(kept, &format!("entry {} in the end", entry.id));
    }
    chaos.facts.payments = chaos.memory.paid.len() as u64;
    chaos.facts.entries = chaos.memory.settled.len() as u64;
    check_sequences(chaos, &all);
    check_money(chaos, &all, expectations)
}

/// What was never answered is handed in again: it settles once, whether or not it was there.
fn hand_in_again(chaos: &mut Chaos, expectations: &mut Expectations) -> Result<()> {
    let gateway = chaos.town.world.gateway.client();
    let unanswered = std::mem::take(&mut chaos.memory.unanswered);
    let all: Vec<_> = chaos.memory.settled.iter().chain(&unanswered).cloned().collect();
    let mut answered = true;
    for part in all.chunks(PART) {
        answered &= load::is_settled(gateway, part)?;
    }
    expectations.equal("everything handed in again is settled", &true, &answered);
    chaos.memory.settled.extend(unanswered);
    Ok(())
}

fn payments(histories: &[History], direction: &str) -> BTreeSet<String> {
    let rows = histories.iter().flat_map(|rows| rows.values());
    rows.filter(|row| row.direction == direction).map(|row| row.id.clone()).collect()
}

/// One payment under every sequence number.
fn check_sequences(chaos: &mut Chaos, histories: &[History]) {
    for (device, rows) in histories.iter().enumerate() {
        let out = rows.values().filter(|row| row.direction == "out");
        let mut sequences: Vec<u32> = out.map(|row| row.sequence).collect();
        sequences.sort_unstable();
        let gapless = sequences.iter().copied().eq(0..sequences.len() as u32);
        let what = format!("device {device} has the sequence numbers {sequences:?}");
        chaos.facts.expect_no_contradiction(gapless, &what);
    }
}

/// Every account holds what it began with, less what it paid, and what it was paid.
fn check_money(
    chaos: &mut Chaos,
    histories: &[History],
    expectations: &mut Expectations,
) -> Result<()> {
    let world = &chaos.town.world;
    let rows: Vec<_> = histories.iter().flat_map(|rows| rows.values()).collect();
    let out = || rows.iter().filter(|row| row.direction == "out");
    for (at, account) in chaos.town.accounts.iter().enumerate() {
        let author = Some(world.devices[at].identity.author.clone());
        let paid = histories[at].values().filter(|row| row.direction == "out").count() as u64;
        let received = out().filter(|row| row.counterparty == author).count() as u64;
        let expected = FUND_MINOR + received * EACH_MINOR - paid * EACH_MINOR;
        expectations.equal(&format!("money of device {at}"), &expected, &wealth(world, account)?);
    }
    let entries = chaos.memory.settled.len() as u64;
    let [payer, payee] = &chaos.town.phone_accounts;
    let moved = entries * EACH_MINOR;
    expectations.equal(
        "money of the phone that paid",
        &(FUND_MINOR - moved),
        &wealth(world, payer)?,
    );
    expectations.equal(
        "money of the phone that was paid",
        &(FUND_MINOR + moved),
        &wealth(world, payee)?,
    );
    let settled = out().count() as u64 + entries;
    let intake = world.gateway.intake()?;
    let decided = (intake.settled, intake.rejected, intake.contested, intake.returned);
    expectations.equal("settled, rejected, contested, returned", &(settled, 0, 0, 0), &decided);
    let books: Books = world.gateway.client().get("/v1/books")?;
    let balanced = books.currencies.values().all(|book| book.balanced && book.sum == 0);
    expectations.equal("the books balance", &true, &balanced);
    let audit: Audit = world.gateway.client().get("/v1/audit")?;
    expectations.equal("settled by the audit", &settled, &audit.settled);
    chaos.facts.audit(&audit.findings, "audit of the running bank");
    let cases: Cases = world.gateway.client().get("/v1/cases")?;
    chaos.facts.expect_no_contradiction(cases.cases.is_empty(), &format!("{:?}", cases.cases));
    for device in &world.devices {
        let status = device.status()?;
        let sound = !status.stopped && status.proofs.is_empty();
        chaos.facts.expect_no_contradiction(sound, &format!("{}: {status:?}", device.name));
    }
    Ok(())
}

fn wealth(world: &World, account: &str) -> Result<u64> {
    let account = world.gateway.account(account)?;
    Ok(account.balance_minor + account.reserved_minor + account.pending_minor)
}
