//! Range reconciliation: which authors differ, found by comparing fingerprints of ranges of short
//! ids and splitting those that differ. The fallback that always ends, whatever the difference.
//!
//! After Meyer, "Range-Based Set Reconciliation" (2023). Short ids and tags are keyed with the
//! link's handshake hash, so nobody can prepare collisions; a range's fingerprint is the wrapping
//! sum of the tags in it.

use super::message::{Bucket, Content, FAN_OUT, LIST_MAX};
use crate::codec::List;
use crate::id::AuthorId;
use alloc::vec::Vec;

const NIBBLES: u8 = 16;

/// Elements that a range lists instead of splitting further.
pub(super) const LISTED: usize = LIST_MAX;

/// One author in the session's order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    pub(super) short: u64,
    pub(super) tag: u64,
    pub(super) author: AuthorId,
}

/// The authors of the core at the start of a session, by short id.
#[derive(Clone, Debug)]
pub(super) struct Snapshot(Vec<Element>);

/// What comparing one range with the peer's says.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// Ranges to ask about further.
    pub(super) buckets: Vec<Bucket>,
    /// Short ids that differ, or that this side lacks.
    pub(super) shorts: Vec<u64>,
    /// Short ids that the other side lacks.
    pub(super) lacking: Vec<u64>,
}

impl Snapshot {
    pub(super) fn new(mut elements: Vec<Element>) -> Self {
        elements.sort_unstable_by_key(|element| element.short);
        Self(elements)
    }

    /// The author of a short id, if there is one here.
    pub(super) fn author(&self, short: u64) -> Option<AuthorId> {
        let at = self.0.binary_search_by_key(&short, |element| element.short).ok()?;
        self.0.get(at).map(|element| element.author)
    }

    /// The opening range: everything.
    pub(super) fn root(&self) -> Bucket {
        self.bucket(0, 0)
    }

    /// Compares a range of the peer with ours. `from` is where ranges may still start in this
    /// turn: they ascend and do not overlap, so that no peer makes us look at ours twice.
    pub(super) fn compare(&self, bucket: &Bucket, from: &mut u128, differences: &mut Differences) {
        if bucket.depth > NIBBLES || bucket.prefix != floor(bucket.prefix, bucket.depth) {
            return; // No such range: a lie that gains nothing.
        }
        if u128::from(bucket.prefix) < *from {
            return;
        }
        *from = u128::from(bucket.prefix | ceiling(bucket.depth)) + 1;
        match &bucket.content {
            Content::Children(theirs) if bucket.depth < NIBBLES => {
                for (at, theirs) in theirs.iter().enumerate() {
                    let (depth, prefix) = child(bucket, at);
                    if fingerprint(self.range(depth, prefix)) != *theirs {
                        differences.buckets.push(self.bucket(depth, prefix));
                    }
                }
            }
            Content::Children(_) => {}
            Content::Elements(theirs) => {
                let ours = self.range(bucket.depth, bucket.prefix);
                let inside = |short: u64| floor(short, bucket.depth) == bucket.prefix;
                let ascending = theirs.windows(2).all(|pair| pair[0].0 < pair[1].0);
                if ascending && theirs.iter().all(|(short, _)| inside(*short)) {
                    compare_elements(ours, theirs, differences);
                }
            }
        }
    }

    fn bucket(&self, depth: u8, prefix: u64) -> Bucket {
        let elements = self.range(depth, prefix);
        if elements.len() <= LIST_MAX || depth >= NIBBLES {
            let listed = elements.iter().take(LIST_MAX).map(|one| (one.short, one.tag)).collect();
            let content = Content::Elements(List::new(listed).unwrap_or_default());
            return Bucket { depth, prefix, content };
        }
        let mut children = [0; FAN_OUT];
        let whole = Bucket { depth, prefix, content: Content::Children(children) };
        for (at, sum) in children.iter_mut().enumerate() {
            let (depth, prefix) = child(&whole, at);
            *sum = fingerprint(self.range(depth, prefix));
        }
        Bucket { content: Content::Children(children), ..whole }
    }

    fn range(&self, depth: u8, prefix: u64) -> &[Element] {
        let last = prefix | ceiling(depth);
        let from = self.0.partition_point(|element| element.short < prefix);
        let to = self.0.partition_point(|element| element.short <= last);
        self.0.get(from..to).unwrap_or_default()
    }
}

/// Walks both ascending lists once: what this costs is bounded by what both sides hold.
fn compare_elements(ours: &[Element], theirs: &[(u64, u64)], differences: &mut Differences) {
    let mut ours = ours.iter().peekable();
    for (short, tag) in theirs {
        while let Some(before) = ours.next_if(|element| element.short < *short) {
            differences.lacking.push(before.short);
        }
        let same = ours.next_if(|element| element.short == *short);
        if same.is_none_or(|element| element.tag != *tag) {
            differences.shorts.push(*short);
        }
    }
    differences.lacking.extend(ours.map(|element| element.short));
}

fn fingerprint(elements: &[Element]) -> u64 {
    elements.iter().fold(0, |sum, element| sum.wrapping_add(element.tag))
}

/// The bits below the first `depth` nibbles, all set.
fn ceiling(depth: u8) -> u64 {
    u64::MAX.checked_shr(u32::from(depth) * 4).unwrap_or(0)
}

fn floor(prefix: u64, depth: u8) -> u64 {
    prefix & !ceiling(depth)
}

fn child(bucket: &Bucket, at: usize) -> (u8, u64) {
    let depth = bucket.depth.saturating_add(1);
    let shift = 64u32.saturating_sub(u32::from(depth) * 4);
    (depth, bucket.prefix | (at as u64) << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BankNumber, PublicKey};
    use alloc::collections::BTreeSet;

    fn element(short: u64, tag: u64) -> Element {
        Element { short, tag, author: AuthorId { bank: BankNumber(0), key: PublicKey([0; 32]) } }
    }

    fn mix(at: u64) -> u64 {
        let hash = blake3::hash(&at.to_le_bytes());
        u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap())
    }

    /// Both sides split until every difference is listed: exactly the differing ids are found.
    #[test]
    fn finds_exactly_the_differences() {
        let ours = Snapshot::new((0..3_000).map(|at| element(mix(at), mix(at ^ 7))).collect());
        let changed = |at: u64| at % 500 == 3;
        let theirs =
            (5..3_004).map(|at| element(mix(at), mix(at ^ 7 ^ u64::from(changed(at)) << 40)));
        let theirs = Snapshot::new(theirs.collect());
        let (mut found, mut messages) = (BTreeSet::new(), alloc::vec![ours.root()]);
        let mut sides = [&theirs, &ours].into_iter().cycle();
        while !messages.is_empty() {
            let mut differences = Differences::default();
            let side = sides.next().unwrap();
            let mut from = 0;
            for bucket in &messages {
                side.compare(bucket, &mut from, &mut differences);
            }
            found.extend(differences.shorts.into_iter().chain(differences.lacking));
            messages = differences.buckets;
        }
        let mut expected: BTreeSet<u64> = (0..5).chain(3_000..3_004).map(mix).collect();
        expected.extend((5..3_000).filter(|at| changed(*at)).map(mix));
        assert_eq!(found, expected);
    }

    #[test]
    fn ranges_are_looked_at_once() {
        let ours = Snapshot::new((0..1_000).map(|at| element(mix(at), 1)).collect());
        let content = || Content::Elements(List::default());
        let (mut from, mut differences) = (0, Differences::default());
        for _ in 0..2_000 {
            let root = Bucket { depth: 0, prefix: 0, content: content() };
            ours.compare(&root, &mut from, &mut differences);
        }
        assert_eq!(differences.lacking.len(), 1_000);
        for theirs in [[(2, 1), (1, 1)], [(1, 1), (1, 1)], [(1, 1), (u64::MAX, 1)]] {
            let content = Content::Elements(List::new(theirs.to_vec()).unwrap());
            let mut differences = Differences::default();
            let bucket = Bucket { depth: 1, prefix: 0, content };
            ours.compare(&bucket, &mut 0, &mut differences);
            assert!(differences.lacking.is_empty(), "not ascending, twice, outside");
        }
    }

    #[test]
    fn impossible_ranges_are_ignored() {
        let ours = Snapshot::new(alloc::vec![element(1, 1)]);
        for (depth, prefix) in [(17, 0), (255, 0), (1, 1), (16, 5)] {
            let mut differences = Differences::default();
            let content = Content::Children([9; FAN_OUT]);
            ours.compare(&Bucket { depth, prefix, content }, &mut 0, &mut differences);
            assert!(differences.buckets.is_empty() && differences.shorts.is_empty());
        }
    }
}
