//! What the clients were told, kept outside the programs: the measure for everything that is read
//! from them later.

use super::load::{Acknowledged, HandedIn, Paid};
use super::report::Facts;
use crate::answers::Row;
use crate::demo::world::World;
use crate::phone::Signed;
use anyhow::Result;
use hundi_node::client::ClientError;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Entries at the bank that are looked for after a restart besides those of the round: the newest
/// of the earlier ones. In the end all of them are.
const EARLIER_LOOKED_AT: usize = 32;

/// Everything acknowledged so far.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Payments between devices.
    pub(super) paid: Vec<Acknowledged>,
    /// Payments that are in a device's store although nobody was told.
    pub(super) unacknowledged: BTreeSet<String>,
    /// Entries that the gateway has settled.
    pub(super) settled: Vec<Signed>,
    /// Entries that were handed in and not answered for.
    pub(super) unanswered: Vec<Signed>,
}

#[derive(Deserialize)]
struct EntryAtBank {
    outcome: Option<String>,
}

/// What a device has made known of itself: its payments by id.
pub(super) type History = BTreeMap<String, Row>;

impl Memory {
    /// Takes over what a round's load was told.
    pub(super) fn take(&mut self, paid: &[Paid], handed_in: &HandedIn) {
        self.paid.extend(paid.iter().flat_map(|one| one.acknowledged.iter().cloned()));
        self.settled.extend(handed_in.acknowledged.iter().cloned());
        let unanswered = handed_in.unanswered.iter().flat_map(|(_, batch)| batch.iter().cloned());
        self.unanswered.extend(unanswered);
    }

    /// Everything that a device acknowledged is in its history. Returns how many payments are there
    /// that it had not acknowledged, and that were not known before.
    pub(super) fn check_device(
        &mut self,
        world: &World,
        device: usize,
        facts: &mut Facts,
    ) -> Result<usize> {
        let rows = history(world, device)?;
        for one in &self.paid {
            let row = rows.get(&one.id);
            if one.payer == device {
                let kept = row.is_some_and(|row| {
                    row.direction == "out" && (!one.received || is_sure(&row.state))
                });
                facts.expect_kept(kept, &format!("payment {} at its payer", one.id));
            }
            if one.payee == device && one.received {
                let kept = row.is_some_and(|row| row.direction == "in" && is_sure(&row.state));
                facts.expect_kept(kept, &format!("payment {} at its payee", one.id));
            }
        }
        let status = world.devices[device].status()?;
        let sound = !status.stopped && status.proofs.is_empty();
        facts.expect_no_contradiction(sound, &format!("device {device}: {status:?}"));
        let known: BTreeSet<&str> = self.paid.iter().map(|one| one.id.as_str()).collect();
        let new = |row: &&Row| {
            let known = known.contains(row.id.as_str()) || self.unacknowledged.contains(&row.id);
            row.direction == "out" && !known
        };
        let new: Vec<String> = rows.values().filter(new).map(|row| row.id.clone()).collect();
        let count = new.len();
        self.unacknowledged.extend(new);
        Ok(count)
    }

    /// What the gateway settled last is settled still.
    pub(super) fn check_gateway(
        &self,
        world: &World,
        round: usize,
        facts: &mut Facts,
    ) -> Result<()> {
        for entry in self.settled.iter().rev().take(round + EARLIER_LOOKED_AT) {
            let kept = is_at_bank(world, entry)?;
            facts.expect_kept(kept, &format!("entry {} at the bank", entry.id));
        }
        Ok(())
    }
}

/// Whether the bank has settled an entry.
pub(super) fn is_at_bank(world: &World, entry: &Signed) -> Result<bool> {
    match world.gateway.client().get::<EntryAtBank>(&format!("/v1/entries/{}", entry.id)) {
        Ok(found) => Ok(found.outcome.as_deref() == Some("settled")),
        Err(ClientError::Refused { status: 404, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A device's payments.
pub(super) fn history(world: &World, device: usize) -> Result<History> {
    let rows = world.devices[device].history()?.payments;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

fn is_sure(state: &str) -> bool {
    matches!(state, "received" | "settled")
}
