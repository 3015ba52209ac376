//! What an outsider could have seen of a run, for auditors that do their own decoding and adding
//! up: bytes only, nothing of what the simulator knows.

use super::canary::Bug;
use super::scenario::Scenario;
use super::world::World;
use super::{Run, finish, live};
use anyhow::Result;
use std::collections::BTreeSet;

/// Everything that was on the air or published, and what every bank has stored.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The network's definition, encoded.
    pub network: Vec<u8>,
    /// Every item that left a device or a bank, encoded with its tag.
    pub items: BTreeSet<Vec<u8>>,
    /// For every bank, numbered from 1, its events in order, encoded.
    pub journals: Vec<Vec<Vec<u8>>>,
}

/// Runs a seed and keeps what could be seen of it.
///
/// # Errors
/// As for [`super::run`].
pub fn collect(seed: u64, scenario: &Scenario, canary: Option<Bug>) -> Result<(Run, Evidence)> {
    let mut world = World::new(seed, scenario.clone(), canary)?;
    world.evidence = Some(Evidence { network: world.network.encode(), ..Evidence::default() });
    live(&mut world);
    let mut evidence = world.evidence.take().unwrap_or_default();
    for host in &world.hosts {
        evidence.items.extend(host.records());
        evidence.journals.push(host.events().iter().map(|event| event.encode()).collect());
    }
    Ok((finish(world), evidence))
}

impl World {
    /// An item left a device.
    pub(super) fn seen(&mut self, item: &[u8]) {
        if let Some(evidence) = self.evidence.as_mut().filter(|it| !it.items.contains(item)) {
            evidence.items.insert(item.to_vec());
        }
    }
}
