//! Authors that live on disk: dropped from memory, read again, and opened from summaries, a replica
//! is what it would be had it kept everything in memory.

use crate::generate::{self, Reached, over_seeds};
use crate::world::{
    A, Dice, Node, Writer, bulletin_with, certificate, freeze_with, grant, grant_with, id, network,
};
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::replica::range::{Positions, Range};
use hundi_ledger::replica::{Key, Replica, Shelf, Status};
use std::collections::{BTreeMap, BTreeSet};

/// A node, and the summaries stored with its items.
#[derive(Clone, Default)]
struct Opened {
    node: Node,
    summaries: BTreeMap<AuthorId, Vec<u8>>,
}

impl Opened {
    fn take(&mut self, bytes: &[u8]) -> Option<Status> {
        let status = self.node.take(bytes);
        for (author, summary) in self.node.replica.take_summaries(usize::MAX) {
            match summary {
                Some(summary) => drop(self.summaries.insert(author, summary)),
                None => drop(self.summaries.remove(&author)),
            }
        }
        status
    }

    /// The node as it is after a start: banks' records, and the summaries.
    fn open_again(&mut self) {
        let mut node = Node { shelf: self.node.shelf.clone(), ..Node::default() };
        let rank = |key: &Key| match key {
            Key::Certificate(..) => Some(0),
            Key::Bulletin(_) => Some(1),
            _ => None,
        };
        let mut banks: Vec<_> =
            self.node.shelf.0.iter().filter_map(|(key, item)| Some((rank(key)?, item))).collect();
        banks.sort_by_key(|(rank, _)| *rank);
        for (_, bytes) in banks {
            assert_eq!(node.take(bytes), Some(Status::Stored), "a bank's record that was held");
        }
        assert!(node.replica.take_summaries(usize::MAX).is_empty());
        for (author, summary) in &self.summaries {
            node.replica.restore(*author, summary).unwrap();
        }
        assert_eq!(node.replica.resident(), 0, "nothing is read before it is asked for");
        node.faults = self.node.faults;
        self.node = node;
    }
}

/// Everything that a replica says without reading an author.
fn said(replica: &Replica) -> impl PartialEq + std::fmt::Debug + use<> {
    let banks = replica.trust().network().definition().banks.iter().map(|bank| bank.number);
    let banks: Vec<_> =
        banks.map(|bank| (replica.bank_time(bank), replica.freezes_epoch(bank))).collect();
    let (frozen, proven): (Vec<AuthorId>, Vec<AuthorId>) =
        (replica.frozen().copied().collect(), replica.proven().copied().collect());
    let cached: BTreeSet<Key> = replica.cached().map(|(key, _)| key).collect();
    let certified: Vec<_> =
        replica.authors().map(|author| (*author, replica.is_certified(author))).collect();
    (
        (
            replica.digest(),
            replica.head_fingerprint(&[7; 32]),
            replica.evidence_fingerprint(&[7; 32]),
        ),
        (replica.elements().collect::<Vec<_>>(), replica.head_elements().collect::<Vec<_>>()),
        (replica.core_len(), replica.entries_len(), banks),
        (frozen, proven, cached, certified),
    )
}

/// Everything that is held of every author.
fn held(node: &Node) -> Vec<String> {
    let mut told = Vec::new();
    node.replica.for_each_author(&node.shelf, |author, known| {
        let entries: Vec<_> = known.entries().collect();
        let cached: Vec<_> = known.cached().collect();
        let (trust, bank_time) = (node.replica.trust(), node.replica.bank_time(author.bank));
        let certified = known.is_certified(trust, bank_time);
        assert_eq!(certified, node.replica.is_certified(author), "the slot says what is held");
        let grants: Vec<_> = known.grants().map(|held| held.id()).collect();
        told.push(format!(
            "{author:?} {grants:?} {:?} {:?} {} {entries:?} {cached:?}",
            known.checkpoint().map(|held| held.id()),
            known.freeze().map(|held| held.id()),
            known.proof().is_some(),
        ));
    });
    told
}

fn same(a: &Node, b: &Node, what: &str) {
    assert!(said(&a.replica) == said(&b.replica), "{what}: what is said of all authors");
    assert_eq!(held(a), held(b), "{what}: what is held of each");
    let stored = |node: &Node| -> BTreeSet<_> { node.shelf.0.clone().into_iter().collect() };
    let apart: Vec<_> = stored(a).symmetric_difference(&stored(b)).cloned().collect();
    assert_eq!(apart, [], "{what}: what is stored");
    assert_eq!(a.faults, b.faults, "{what}");
}

fn run(dice: &mut Dice, items: &generate::Items, shuffled: bool, reached: &mut Reached) {
    let mut all: Vec<&Vec<u8>> = items.records.iter().chain(&items.entries).collect();
    if shuffled {
        dice.shuffle(&mut all);
    }
    let (mut whole, mut evicting, mut opening) =
        (Node::default(), Node::default(), Opened::default());
    for (at, bytes) in items.base.iter().chain(all).enumerate() {
        // The one that keeps everything in memory counts what was reached.
        generate::take(&mut whole, bytes, reached);
        evicting.take(bytes);
        opening.take(bytes);
        let keep = dice.below(3) as usize;
        for node in [&mut evicting, &mut opening.node] {
            // Twice, because what was asked for since the last time is spared once.
            (0..2).for_each(|_| node.replica.evict(keep));
            assert!(node.replica.resident() <= keep);
        }
        if dice.one_in(6) {
            opening.open_again();
            reached.count("opened again", 1);
        }
        if at % 5 == 0 {
            same(&whole, &evicting, "evicted");
            same(&whole, &opening.node, "opened");
        }
    }
    same(&whole, &evicting, "evicted");
    same(&whole, &opening.node, "opened");
    reached.count("cached entry", usize::from(whole.replica.cached().next().is_some()));
    reached.count("proven", usize::from(whole.replica.proven().next().is_some()));
    reached.count("frozen", usize::from(whole.replica.frozen().next().is_some()));
}

const WANTED: [&str; 7] = [
    "contradiction found",
    "missing grant",
    "grant lapsed, dropped or bounded",
    "opened again",
    "cached entry",
    "proven",
    "frozen",
];

#[test]
fn what_is_dropped_from_memory_changes_nothing_in_an_orderly_world() {
    let reached = over_seeds(40, |dice, reached| {
        let items = generate::orderly(dice, reached);
        run(dice, &items, false, reached);
    });
    reached.expect("orderly", &WANTED);
}

#[test]
fn what_is_dropped_from_memory_changes_nothing_in_any_world() {
    let reached = over_seeds(60, |dice, reached| {
        let items = generate::wild(dice, reached);
        run(dice, &items, true, reached);
    });
    reached.expect("wild", &WANTED);
    let more = [
        "entry pruned",
        "certificate dropped",
        "freeze without effect",
        "checkpoint without effect",
    ];
    reached.expect("wild", &more);
}

/// A shelf that counts who is asked for.
struct Counting<'a>(&'a Node, std::cell::RefCell<BTreeSet<AuthorId>>);

impl Shelf for Counting<'_> {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        self.0.shelf.item(key)
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        self.1.borrow_mut().insert(*author);
        self.0.shelf.items(author)
    }
}

/// Bank time reads the authors whose grants it passes, and nobody else; a certificate that bounds
/// nothing reads nobody.
#[test]
fn bank_records_read_only_whom_they_concern() {
    let mut node = Node::with(&[certificate(A, 1, &[])]);
    let authors: Vec<AuthorId> = (1..=6).map(|seed| Writer::new(A, seed).id).collect();
    for (at, author) in authors.iter().enumerate() {
        node.take(&grant_with(*author, 1, |grant| grant.claim_until += at as u32 * 1_000));
    }
    node.take(&freeze_with(authors[3], |_| {}));
    let first = node.author(&authors[0]).unwrap().grants().next().unwrap().claim_until;
    (0..2).for_each(|_| node.replica.evict(0));
    for (bytes, read) in [
        (certificate(A, 2, &[]), 0),
        (bulletin_with(A, 100_001, first, |_| {}), 0),
        (bulletin_with(A, 100_002, first + 1, |_| {}), 1),
        (bulletin_with(A, 100_003, first + 2_001, |_| {}), 2),
        (certificate(A, 3, &[(1, 60)]), 3),
    ] {
        let before = node.clone();
        let counting = Counting(&before, Default::default());
        let item = Item::decode(&network().id(), &bytes).unwrap();
        let item = node.replica.trust().verify(item).unwrap();
        let _ = node.replica.apply(item, &counting);
        assert_eq!(counting.1.borrow().len(), read);
        assert_eq!(node.replica.resident(), 0, "who was read for it is dropped again");
        // What the shelf of the next round shows.
        let mut again = before.clone();
        again.take(&bytes);
        node.shelf = again.shelf;
    }
    assert_eq!(node.replica.authors().len(), 3);
}

/// A range holds exactly the authors whose position lies in it.
#[test]
fn ranges_share_the_authors_out() {
    let positions = Positions::new(&id());
    let mut items = vec![certificate(A, 1, &[])];
    items.extend((1..=40).map(|seed| grant(Writer::new(A, seed).id, 0)));
    let node = Node::with(&items);
    let all: Vec<AuthorId> = node.replica.authors_in(Range::ALL).map(|(id, _)| *id).collect();
    assert_eq!((all.len(), node.replica.core_len()), (40, 40));
    for bits in [0u8, 1, 3, 8, 64] {
        for author in &all {
            let shift = 64 - u32::from(bits);
            let prefix = positions.of(author).checked_shr(shift).unwrap_or(0).checked_shl(shift);
            let range = Range::new(bits, prefix.unwrap_or(0)).unwrap();
            let inside: Vec<AuthorId> =
                all.iter().filter(|other| range.contains(positions.of(other))).copied().collect();
            let found: Vec<AuthorId> = node.replica.authors_in(range).map(|(id, _)| *id).collect();
            assert!(found.contains(author) && found == inside);
        }
    }
    let elements: BTreeMap<Subject, _> = node.replica.elements().collect();
    for (author, element) in node.replica.authors_in(Range::ALL) {
        assert_eq!(elements[&Subject::Author(*author)], *element);
    }
}
