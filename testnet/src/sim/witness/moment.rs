//! What all nodes hold at one moment.

use super::super::world::{Node, World};
use super::Witness;
use hundi_auditor::facts::{Counters, Moment, NodeFacts};
use hundi_auditor::sync::Range;
use hundi_ledger::limits::{CACHE_ENTRIES_PER_AUTHOR_MAX, CACHE_RECEIPTS_PER_SIGNER_MAX};
use hundi_ledger::replica::{Key, Shelf};
use std::collections::{BTreeMap, BTreeSet};

/// Nodes of which every item is written down: in a large run every n-th.
const WHOLE_NODES_MAX: usize = 64;

impl World {
    /// Writes down what all honest nodes hold; `quiet` says that they must hold the same.
    pub(in super::super) fn witness_moment(&mut self, quiet: bool) {
        let honest = || (0..).zip(&self.nodes).filter(|(_, node)| node.is_honest());
        let stride = honest().count().div_ceil(WHOLE_NODES_MAX);
        let nodes = honest().enumerate().filter_map(|(at, (number, node))| {
            self.witness.node(number, node, at.is_multiple_of(stride))
        });
        let nodes = nodes.collect();
        self.witness.facts.moments.push(Moment { quiet, nodes });
    }
}

impl Witness {
    fn node(&mut self, number: u32, node: &Node, whole: bool) -> Option<NodeFacts> {
        let (engine, disk) = (node.device.engine.as_ref()?, &node.device.disk);
        let (replica, shelf) = (engine.replica(), engine.view(disk));
        let (mut core, mut cache) = (Vec::new(), Vec::new());
        let mut entries = BTreeSet::new();
        if whole {
            replica.for_each_author(&shelf, |id, author| {
                entries.extend(author.entries().map(|claim| Key::Entry(*id, claim.id)));
            });
        }
        let keys = if whole { engine.keys(disk) } else { Vec::new() };
        for key in keys {
            let Some(bytes) = shelf.item(&key) else { continue };
            let item = self.facts.items.note(&bytes);
            let in_core = match key {
                // A wallet keeps open payments of its own even where its replica holds them no more.
                Key::Entry(..) => entries.contains(&key),
                Key::Receipt(..) => false,
                _ => true,
            };
            if in_core { core.push(item) } else { cache.push(item) }
        }
        let mut receipts: BTreeMap<_, u64> = BTreeMap::new();
        for (signer, _) in replica.receipts() {
            *receipts.entry(*signer).or_default() += 1;
        }
        let status = engine.status();
        let scope = replica.scope();
        let scope = (scope.bits() > 0).then(|| Range { bits: scope.bits(), first: scope.first() });
        let cache_max = CACHE_ENTRIES_PER_AUTHOR_MAX * status.authors
            + CACHE_RECEIPTS_PER_SIGNER_MAX * receipts.len();
        Some(NodeFacts {
            node: number,
            honest: true,
            component: 0,
            core: whole.then_some(core),
            cache,
            digest: Some(status.digest.0),
            scope,
            counters: Some(Counters {
                core_entries: status.entries as u64,
                cache_items: [status.cached as u64, cache_max as u64],
                receipts_of_one: receipts.into_values().max().unwrap_or(0),
                // What sessions verify is counted by nobody.
                ..Counters::default()
            }),
        })
    }
}
