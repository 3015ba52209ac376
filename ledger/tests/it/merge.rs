//! The core as a join (DESIGN §3, §5; docs/decisions/0003-core-as-a-join.md).
//!
//! In an orderly world merging replicas is commutative, associative and idempotent, strictly. In
//! any world, wild ones included, it is idempotent, and re-exchange ends in one core.

use crate::generate::{self, Items, Reached, over_seeds};
use crate::world::{A, Dice, Node, Writer, certificate, checkpoint_with, grant, id};
use hundi_ledger::codec::List;
use hundi_ledger::id::Hash;
use hundi_ledger::record::checkpoint::{Name, Outcome, tag};
use hundi_ledger::record::item::Item;

/// Everything in the core, told apart: where digests differ this says how.
fn content(node: &Node) -> Vec<String> {
    let replica = &node.replica;
    let mut told: Vec<String> =
        replica.trust().certificates().map(|held| format!("certificate {:?}", held.id())).collect();
    for bank in replica.trust().network().definition().banks.iter() {
        let held = replica.bulletin(bank.number).map(|held| held.id());
        told.push(format!("bulletin {held:?}"));
    }
    for author in replica.authors() {
        let known = node.author(author).unwrap();
        if !known.is_certified(replica.trust(), replica.bank_time(author.bank)) {
            continue;
        }
        let grants: Vec<Hash> = known.grants().map(|held| held.id()).collect();
        let entries: Vec<_> = known.entries().map(|it| (it.kind, it.sequence(), it.id)).collect();
        told.push(format!(
            "{author:?} grants {grants:?} checkpoint {:?} freeze {:?} proven {} entries {entries:?}",
            known.checkpoint().map(|held| held.id()),
            known.freeze().map(|held| held.id()),
            known.proof().is_some(),
        ));
    }
    told
}

fn same(a: &Node, b: &Node, law: &str) {
    assert_eq!(content(a), content(b), "{law}");
    assert_eq!(a.digest(), b.digest(), "{law}: the digest says what the content says");
}

fn merged(a: &Node, b: &Node, reached: &mut Reached) -> Node {
    let mut both = a.clone();
    for item in b.items() {
        generate::take(&mut both, &item, reached);
    }
    both
}

fn three(dice: &mut Dice, items: &Items, shuffled: bool, reached: &mut Reached) -> [Node; 3] {
    [0; 3].map(|_| {
        let share = 1 + dice.below(4);
        generate::node(dice, items, share, shuffled, reached)
    })
}

#[test]
fn an_orderly_core_is_a_join() {
    let reached = over_seeds(90, |dice, reached| {
        let items = generate::orderly(dice, reached);
        let [a, b, c] = three(dice, &items, false, reached);
        same(&merged(&a, &a, reached), &a, "idempotent");
        let ab = merged(&a, &b, reached);
        same(&ab, &merged(&b, &a, reached), "commutative");
        same(&merged(&ab, &b, reached), &ab, "absorbing what is held");
        let (bc, left) = (merged(&b, &c, reached), merged(&ab, &c, reached));
        same(&left, &merged(&a, &bc, reached), "associative");
    });
    let wanted = [
        "freeze",
        "settled beyond the frontier",
        "full window or cache",
        "decided",
        "missing grant",
        "entry pruned",
        "contradiction found",
        "proof given as an item",
        "proof: same sequence",
        "proof: neighbour that does not fit",
        "proof: overlap across a gap",
        "proof: serial back",
        "proof: after a close",
        "three branches and more",
        "grant lapsed, dropped or bounded",
    ];
    reached.expect("orderly", &wanted);
}

/// Everybody tells everybody everything, with duplicates, in any order, until nothing changes.
fn exchange(dice: &mut Dice, nodes: &mut [Node], reached: &mut Reached) {
    for round in 0..20 {
        let before: Vec<Hash> = nodes.iter().map(Node::digest).collect();
        if round > 0 && before.iter().all(|digest| *digest == before[0]) {
            reached.count("rounds of exchange", round);
            return;
        }
        for to in 0..nodes.len() {
            for from in 0..nodes.len() {
                if to == from {
                    continue;
                }
                let mut items = nodes[from].items();
                let order = dice.below(3);
                if order > 0 {
                    let again = items.clone();
                    items.extend(again);
                    dice.shuffle(&mut items);
                    // Lost on the way.
                    let keep = if order == 1 { items.len() } else { items.len() * 3 / 4 };
                    items.truncate(keep);
                }
                items.iter().for_each(|item| generate::take(&mut nodes[to], item, reached));
            }
        }
    }
    let told: Vec<_> = nodes.iter().map(content).collect();
    panic!("no agreement: {told:#?}");
}

#[test]
fn any_order_duplication_loss_and_exchange_end_in_one_core() {
    let reached = over_seeds(90, |dice, reached| {
        let items = generate::wild(dice, reached);
        let mut nodes = three(dice, &items, true, reached);
        for node in &nodes {
            same(&merged(node, node, reached), node, "idempotent");
        }
        exchange(dice, &mut nodes, reached);
        let [a, b, c] = &nodes;
        same(a, b, "exchanged");
        same(b, c, "exchanged");
    });
    let wanted = [
        "freeze",
        "full window or cache",
        "decided",
        "missing grant",
        "against the grant",
        "does not verify here",
        "entry pruned",
        "contradiction found",
        "tie of certificates",
        "tie of grants",
        "tie of checkpoints",
        "tie of freezes",
        "tie of bulletins",
        "checkpoint without effect",
        "freeze without effect",
        "certificate dropped",
        "grant lapsed, dropped or bounded",
        "three branches and more",
        "rounds of exchange",
    ];
    reached.expect("wild", &wanted);
}

/// Orderly worlds in any order: what is dropped for want of a record comes again.
#[test]
fn orderly_items_in_any_order_end_in_the_core_of_all() {
    over_seeds(40, |dice, reached| {
        let items = generate::orderly(dice, reached);
        let whole = generate::node(dice, &items, 4, false, reached);
        let mut late = generate::node(dice, &items, 4, true, reached);
        late.merge(&whole);
        same(&late, &merged(&whole, &late, reached), "late");
    });
}

/// Where a bank is at fault pruning loses, and exchange with whoever holds the entry heals: the
/// counter-example of docs/decisions/0003-core-as-a-join.md.
#[test]
fn what_a_faulty_bank_prunes_comes_back_from_any_holder() {
    let mut writer = Writer::new(A, 1);
    let base = [certificate(A, 1, &[]), grant(writer.id, 0), grant(writer.id, 1)];
    let entry = writer.pay(10);
    let names = |salt: u8| {
        checkpoint_with(writer.id, 1, |record| {
            record.salt = [salt; 16];
            let tag = tag(&record.salt, &entry.claim.id);
            let name = Name { sequence: 0, tag, outcome: Outcome::Settled };
            record.names = List::new(vec![name]).unwrap();
        })
    };
    let silent = checkpoint_with(writer.id, 1, |_| {});
    // Of two checkpoints of one number the higher hash wins: here the one that names nothing.
    let hash = |bytes: &[u8]| Item::decode(&id(), bytes).unwrap().id();
    let names = (0..=255).map(names).find(|named| hash(named) < hash(&silent)).unwrap();
    let with = |item: &Vec<u8>| Node::with(&[&base[..], core::slice::from_ref(item)].concat());
    let (k, x, other) = (with(&names), with(&entry.bytes), with(&silent));
    let mut reached = Reached::default();
    let kx = merged(&k, &x, &mut reached);
    let left = merged(&kx, &other, &mut reached);
    let right = merged(&k, &merged(&x, &other, &mut reached), &mut reached);
    assert_eq!((left.core(&writer.id), right.core(&writer.id)), (vec![], vec![0]));
    for holder in [&x, &right] {
        same(&merged(&left, holder, &mut reached), &right, "healed by any holder");
    }
    // Where nobody holds it the replicas agree as well.
    same(&left, &merged(&k, &other, &mut reached), "lost to all");
}
