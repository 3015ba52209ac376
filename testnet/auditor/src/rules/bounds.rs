//! I8, by the sections "What is held", "Order of items" and "Limits" of the protocol.

use super::broken;
use crate::facts::{Counters, NodeFacts};
use crate::known::Known;
use crate::rules::convergence::Joined;
use crate::run::{Broken, Invariant};

/// Receipts held of one signer.
const RECEIPTS_MAX: u64 = 128;
/// Signatures verified in one session: of one author, of what its records admit.
const VERIFIED_ADMITTED_MAX: u64 = 128;
/// Of one author, of what they do not admit or what contradicts.
const VERIFIED_REFUSED_MAX: u64 = 3;
/// Of all authors that no grant certifies.
const VERIFIED_UNCERTIFIED_MAX: u64 = 64;

/// I8: a core has no more entries than the windows of its records admit, and what is cached or verified
/// stays within the limits.
pub(crate) fn judge(known: &Known<'_>) -> Vec<Broken> {
    let (mut found, mut joined) = (Vec::new(), Joined::default());
    for node in known.facts.moments.iter().flat_map(|moment| &moment.nodes) {
        if !node.honest {
            continue;
        }
        let Some(counters) = &node.counters else { continue };
        // The join admits no more than one window of each class of an author.
        let admitted = joined.of(known, node).map(|core| core.entries);
        found.extend(
            admitted
                .and_then(|admitted| above(node, "core entries", counters.core_entries, admitted)),
        );
        found.extend(
            limits(counters)
                .into_iter()
                .filter_map(|(what, counted, limit)| above(node, what, counted, limit)),
        );
    }
    found
}

fn limits(counters: &Counters) -> [(&'static str, u64, u64); 5] {
    let [cached, cached_max] = counters.cache_items;
    [
        ("cached items", cached, cached_max),
        ("receipts of one signer", counters.receipts_of_one, RECEIPTS_MAX),
        ("verified entries that are admitted", counters.verified_admitted, VERIFIED_ADMITTED_MAX),
        ("verified entries that are not admitted", counters.verified_refused, VERIFIED_REFUSED_MAX),
        (
            "verified entries that nothing certifies",
            counters.verified_uncertified,
            VERIFIED_UNCERTIFIED_MAX,
        ),
    ]
}

fn above(node: &NodeFacts, what: &str, counted: u64, limit: u64) -> Option<Broken> {
    (counted > limit).then(|| {
        let what =
            format!("node {} counts {counted} {what}, at most {limit} are allowed", node.node);
        broken(Invariant::Bounded, what, &[])
    })
}
