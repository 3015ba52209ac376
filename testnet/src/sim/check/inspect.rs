//! Now and then: storage stays within its bounds (I8), and the books add up as a whole.

use super::super::Invariant;
use super::super::event::Event;
use super::super::world::World;
use hundi_engine::limits::UNDECIDED_PER_PAYER_MAX;
use hundi_ledger::limits::{BRANCHES_MAX, CACHE_ENTRIES_PER_AUTHOR_MAX, CARRY_WINDOW};

/// Milliseconds between two inspections.
pub(in super::super) const INSPECT_MS: u64 = 600_000;

impl World {
    /// Looks at everything.
    pub(in super::super) fn inspect(&mut self) {
        for node in 0..self.nodes.len() as u32 {
            self.storage_is_bounded(node);
        }
        if self.is_stormy() {
            self.schedule.after(INSPECT_MS, Event::Inspect);
        }
    }

    /// What a device holds of one author is at most its window, each place twice, its part of the
    /// cache, and what a wallet keeps to bring to somebody (I8).
    fn storage_is_bounded(&mut self, node: u32) {
        let device = &self.nodes[node as usize].device;
        let Some(engine) = &device.engine else { return };
        let most = BRANCHES_MAX * (CARRY_WINDOW as usize + 1) + CACHE_ENTRIES_PER_AUTHOR_MAX;
        let most = most + UNDECIDED_PER_PAYER_MAX;
        let held = engine.replica().authors().map(|it| (device.disk.entries_of(it), *it));
        if let Some((held, author)) = held.max().filter(|(held, _)| *held > most) {
            let what = format!("node {node} holds {held} entries of {author}");
            self.violated(Invariant::Bounded, what);
        }
    }
}
