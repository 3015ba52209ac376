//! Scopes: nodes with a small budget keep the core of a range of authors, and meet others all the same.

use crate::contacts::{configs, contact, meet};
use crate::world::{A, Node, Writer, author, certificate, freeze_with, grant, network, proof};
use hundi_ledger::id::AuthorId;
use hundi_ledger::limits::OUTSIDE_AUTHORS_MAX;
use hundi_ledger::record::item::Subject;
use hundi_ledger::replica::range::{Positions, Range};
use hundi_ledger::replica::{Replica, Status};
use std::collections::BTreeSet;

fn scoped(scope: Range, kept: &[AuthorId], items: &[Vec<u8>]) -> Node {
    let kept = kept.iter().copied().collect();
    let replica = Replica::scoped(network(), scope, kept);
    let mut node = Node { replica, ..Node::default() };
    items.iter().for_each(|item| {
        node.take(item);
    });
    node
}

/// Grants of authors, an entry of every third, a freeze of every seventh.
fn market(numbers: core::ops::Range<u32>) -> Vec<Vec<u8>> {
    let mut items = vec![certificate(A, 1, &[])];
    for number in numbers {
        let mut writer = Writer::new(A, number);
        items.extend([grant(writer.id, 0), grant(writer.id, 1)]);
        items.extend((number % 3 == 0).then(|| writer.pay(5).bytes));
        items.extend((number % 7 == 0).then(|| freeze_with(writer.id, |_| {})));
    }
    items
}

fn quarter(at: u64) -> Range {
    Range::new(2, at << 62).unwrap()
}

fn inside(node: &Node) -> BTreeSet<AuthorId> {
    let elements = node.replica.elements();
    elements
        .filter_map(|(subject, _)| match subject {
            Subject::Author(author) => Some(author),
            Subject::Bank(_) => None,
        })
        .collect()
}

fn frozen(node: &Node) -> BTreeSet<AuthorId> {
    node.replica.frozen().copied().collect()
}

#[test]
fn the_core_of_a_scope_is_what_lies_in_it() {
    let items = market(0..200);
    let full = Node::with(&items);
    let mut seen = BTreeSet::new();
    for at in 0..4 {
        let node = scoped(quarter(at), &[], &items);
        let positions = Positions::new(&network().id());
        let of = inside(&node);
        assert!(of.iter().all(|author| quarter(at).contains(positions.of(author))));
        assert_eq!(node.replica.core_len(), of.len());
        assert!(of.len() > 20 && seen.is_disjoint(&of));
        seen.extend(of);
        assert_eq!(frozen(&node), frozen(&full), "freezes are everybody's");
    }
    assert_eq!(seen, inside(&full));
}

#[test]
fn scoped_nodes_agree_on_what_lies_in_both() {
    let items = market(0..300);
    let eighth = Range::new(3, 0b101 << 61).unwrap();
    let scopes = [
        (Range::ALL, quarter(1)),
        (quarter(2), Range::ALL),
        (quarter(2), quarter(2)),
        (quarter(2), eighth),
        (eighth, quarter(2)),
        (quarter(0), quarter(3)),
    ];
    for (number, (ours, theirs)) in scopes.into_iter().enumerate() {
        // Each has seen another part of the market.
        let parts = [&items[..400], &items[250..]];
        let mut nodes = [scoped(ours, &[], parts[0]), scoped(theirs, &[], &items[..1])];
        parts[1].iter().for_each(|item| {
            nodes[1].take(item);
        });
        let link = 10 * number as u8;
        let mut met = meet(&mut nodes, link);
        if met.done != [Some(true); 2] {
            met = meet(&mut nodes, link + 1);
        }
        assert_eq!(met.done, [Some(true); 2], "{ours:?} {theirs:?}");
        assert_eq!(frozen(&nodes[0]), frozen(&nodes[1]));
        if let Some(common) = ours.and(&theirs) {
            let positions = Positions::new(&network().id());
            let of = |node: &Node| -> BTreeSet<AuthorId> {
                let all = inside(node).into_iter();
                all.filter(|author| common.contains(positions.of(author))).collect()
            };
            assert!(!of(&nodes[0]).is_empty());
            assert_eq!(of(&nodes[0]), of(&nodes[1]));
        }
        // Once more: nothing of the core is sent again.
        let met = meet(&mut nodes, link + 2);
        assert_eq!(met.done, [Some(true); 2]);
        println!("{ours:?} and {theirs:?}: {} items again", met.items);
    }
}

#[test]
fn what_lies_outside_is_bounded_and_the_kept_stay() {
    let kept = author(A, 1);
    let positions = Positions::new(&network().id());
    // A scope in which neither lies.
    let at = (0..4).find(|at| !quarter(*at).contains(positions.of(&kept))).unwrap();
    let mut node = scoped(quarter(at), &[kept], &[certificate(A, 1, &[]), grant(kept, 0)]);
    let cheat = (2..)
        .map(|number| Writer::new(A, number))
        .find(|writer| !quarter(at).contains(positions.of(&writer.id)))
        .unwrap();
    node.take(&grant(cheat.id, 0));
    node.take(&grant(cheat.id, 1));
    let pair = [40, 41].map(|minor| cheat.sign(cheat.at(9, 1, 500, minor), b""));
    assert_eq!(node.take(&proof(&pair[0], &pair[1])), Some(Status::Stored));
    for number in 1_000..2_000 {
        node.take(&grant(author(A, number), 0));
    }
    let outside = node.replica.authors().filter(|author| node.replica.is_outside(author)).count();
    assert_eq!(outside, OUTSIDE_AUTHORS_MAX);
    assert!(node.replica.knows(&kept) && node.replica.is_proven(&cheat.id));
    assert!(!node.replica.knows(&author(A, 1_000)) || !node.replica.is_outside(&author(A, 1_000)));
    // What was forgotten is gone from the shelf, too.
    let known = node.replica.authors().count();
    let grants =
        node.shelf.0.keys().filter(|key| matches!(key, hundi_ledger::replica::Key::Grant(..)));
    assert_eq!(grants.count(), known + 1, "the cheat has two");
}

/// What a phone carries for others reaches those who keep them, with what certifies it, and is not
/// offered twice on one link.
#[test]
fn what_lies_outside_is_carried_in_the_cache() {
    let positions = Positions::new(&network().id());
    let mut writers = (0..).map(|number| Writer::new(A, number));
    let mut writer = writers.find(|it| !quarter(0).contains(positions.of(&it.id))).unwrap();
    let base = vec![certificate(A, 1, &[])];
    let mut phone = scoped(quarter(0), &[], &base);
    phone.take(&grant(writer.id, 0));
    phone.take(&grant(writer.id, 1));
    assert_eq!(phone.take(&writer.pay(5).bytes), Some(Status::Cached));
    let mut nodes = [phone, Node::with(&base)];
    let met = meet(&mut nodes, 1);
    assert_eq!(met.done, [Some(true); 2]);
    assert_eq!(nodes[1].core(&writer.id), [0]);
    assert_eq!(met.items, 3, "two grants and the entry");
    let mut configs = configs();
    configs[0].offered = nodes[0].replica.cached().map(|(key, _)| key).collect();
    let mut other = [nodes[0].clone(), Node::with(&base)];
    let met = contact(&mut other, 2, configs, |_, _, _| true);
    assert_eq!((met.done, met.items), ([Some(true); 2], 0));
}
