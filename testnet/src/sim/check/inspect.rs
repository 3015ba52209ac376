//! Now and then: storage stays within its bounds (I8), and the books add up as a whole.

use super::super::event::Event;
use super::super::world::World;
use super::super::Invariant;
use hundi_ledger::limits::{CACHE_ENTRIES_PER_AUTHOR_MAX, CARRY_WINDOW};

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

    /// What a device holds of one author is at most its window and its part of the cache (I8).
    fn storage_is_bounded(&mut self, node: u32) {
        let device = &self.nodes[node as usize].device;
        let Some(engine) = &device.engine else { return };
        let mut worst = None;
        for author in engine.replica().authors() {
            let Some(known) = engine.author(author, &device.disk) else { continue };
            let (core, cached) = (known.entries().len(), known.cached().count());
            let fits = core <= 2 * CARRY_WINDOW as usize + 2
                && cached <= CACHE_ENTRIES_PER_AUTHOR_MAX;
            if !fits {
                worst = Some((*author, core, cached));
            }
        }
        if let Some((author, core, cached)) = worst {
            let what = format!("node {node} holds {core} and {cached} entries of {author}");
            self.violated(Invariant::Bounded, what);
        }
    }
}
