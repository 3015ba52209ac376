//! Ranges: which authors differ, found by comparing sums over ranges of positions and splitting those
//! that differ. The fallback that always ends, whatever the difference, and needs nothing in memory.
//!
//! After Meyer, "Range-Based Set Reconciliation" (2023). Tags are keyed with the link's handshake
//! hash, so nobody can prepare collisions; the sum of a range is that of the wide tags in it.

use super::keys::Keys;
use super::message::{Bucket, Content, FAN_BITS, FAN_OUT, LIST_MAX};
use crate::id::AuthorId;
use crate::replica::Replica;
use crate::replica::range::Range;
use alloc::vec::Vec;

/// Elements that a range lists instead of splitting further.
pub(super) const LISTED: usize = LIST_MAX;

/// What comparing one range with the peer's says.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// Ranges to ask about further.
    pub(super) ranges: Vec<Range>,
    /// Authors that both hold and that differ, or, without an id, that only the other side holds.
    pub(super) differing: Vec<(u64, Option<AuthorId>)>,
    /// Authors that the other side lacks.
    pub(super) lacking: Vec<AuthorId>,
}

/// Compares a range of the peer with ours.
pub(super) fn compare(replica: &Replica, keys: &Keys, bucket: &Bucket, into: &mut Differences) {
    match &bucket.content {
        Content::Children(theirs) => {
            let ours = sums(replica, keys, &bucket.range);
            let differ = |at: &usize| ours[*at] != theirs[*at];
            into.ranges
                .extend((0..FAN_OUT).filter(differ).filter_map(|at| child(&bucket.range, at)));
        }
        Content::Elements(theirs) => {
            compare_elements(&elements(replica, keys, &bucket.range), theirs, into)
        }
    }
}

/// What this side says of a range.
pub(super) fn bucket(replica: &Replica, keys: &Keys, range: Range) -> Bucket {
    let few = replica.authors_in(range).take(LISTED + 1).count() <= LISTED;
    let content = match few || range.bits() > 64 - FAN_BITS {
        true => {
            let listed = elements(replica, keys, &range).into_iter().take(LISTED);
            Content::Elements(listed.map(|(author, state, _)| (author, state)).collect())
        }
        false => Content::Children(sums(replica, keys, &range)),
    };
    Bucket { range, content }
}

fn child(range: &Range, at: usize) -> Option<Range> {
    let bits = range.bits().checked_add(FAN_BITS).filter(|bits| *bits <= 64)?;
    Range::new(bits, range.first() | (at as u64) << (64 - u32::from(bits)))
}

fn sums(replica: &Replica, keys: &Keys, range: &Range) -> [u64; FAN_OUT] {
    let mut sums = [0u64; FAN_OUT];
    if range.bits() > 64 - FAN_BITS {
        return sums; // No children: nothing to compare.
    }
    let shift = 64 - u32::from(range.bits() + FAN_BITS);
    for (position, _, element) in replica.positioned_in(*range) {
        let at = (position >> shift) as usize % FAN_OUT;
        sums[at] = sums[at].wrapping_add(keys.wide_tag(element));
    }
    sums
}

/// The authors of a range, ascending by tag.
fn elements(replica: &Replica, keys: &Keys, range: &Range) -> Vec<(u64, u32, AuthorId)> {
    let of =
        |(author, element): (&AuthorId, _)| (keys.author(author), keys.state(element), *author);
    let mut elements: Vec<_> = replica.authors_in(*range).map(of).collect();
    elements.sort_unstable_by_key(|(author, ..)| *author);
    elements.dedup_by_key(|(author, ..)| *author);
    elements
}

/// Walks both ascending lists once.
fn compare_elements(ours: &[(u64, u32, AuthorId)], theirs: &[(u64, u32)], into: &mut Differences) {
    let mut ours = ours.iter().peekable();
    for (author, state) in theirs {
        while let Some((_, _, id)) = ours.next_if(|(ours, ..)| ours < author) {
            into.lacking.push(*id);
        }
        match ours.next_if(|(ours, ..)| ours == author) {
            Some((_, ours, _)) if ours == state => {}
            Some((_, _, id)) => into.differing.push((*author, Some(*id))),
            None => into.differing.push((*author, None)),
        }
    }
    into.lacking.extend(ours.map(|(_, _, id)| *id));
}
