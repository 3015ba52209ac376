//! I1, I6 and I8: what nodes hold.

use super::making::{self, Draft, Made};
use super::world::{Person, World, good_day, village};
use super::{breaks, holds};
use crate::{array, bytes, file, rows};
use hundi_auditor::contradiction::find;
use hundi_auditor::facts::{Counters, Facts, ItemNumber, Moment, NodeFacts};
use hundi_auditor::records::{Author, Item, Network, Record, SignedHeader};
use hundi_auditor::run::Invariant::{Bounded, Convergence, Evidence};
use hundi_auditor::run::judge;
use hundi_auditor::sync::{Message, Range};
use std::collections::BTreeMap;

/// The join by the vectors: ties, branches, freezes, proofs and gaps included, it comes to the digests
/// that the sides of every session have before and after it.
#[test]
fn the_join_has_the_digests_of_the_vectors() {
    let mut sides = 0;
    for session in rows(&file("sync.json")["sessions"]) {
        let lost: Vec<usize> = serde_json::from_value(session["lost"].clone()).unwrap();
        for side in ["initiator", "responder"] {
            let definition = bytes(&file("network.json")["bytes"]);
            let mut facts = Facts { network: definition, ..Facts::default() };
            let first = rows(&session[side]["items"]).iter();
            let mut items: Vec<_> = first.map(|it| facts.items.note(&bytes(it))).collect();
            items.extend(own_proofs(&mut facts, &items));
            let before = node(&items, array(&session[side]["digest_before"]));
            for (at, line) in rows(&session["transcript"]).iter().enumerate() {
                let said = Message::read(&bytes(&line["bytes"])).unwrap();
                if let Message::Item(item) = said
                    && line["from"] != side
                    && !lost.contains(&at)
                {
                    items.push(facts.items.note(&item));
                }
            }
            items.extend(own_proofs(&mut facts, &items));
            let after = node(&items, array(&session[side]["digest_after"]));
            facts.moments.push(Moment { quiet: false, nodes: vec![before, after] });
            assert_eq!(judge(&facts).unwrap(), [], "{} {side}", session["name"]);
            sides += 1;
        }
    }
    assert!(sides >= 20);
}

/// The proofs that a node makes of what it has come to hold, where none came.
fn own_proofs(facts: &mut Facts, items: &[ItemNumber]) -> Vec<ItemNumber> {
    let network = Network::read(&facts.network).unwrap().id;
    let mut logs: BTreeMap<Author, Vec<Made>> = BTreeMap::new();
    for number in items {
        let bytes = facts.items.bytes(*number).to_vec();
        let item = Item::read(&network, &bytes).unwrap();
        if let Record::Entry(entry) = item.record {
            let made = Made { id: entry.id, bytes, content_key: [0; 32] };
            logs.entry(entry.header.author).or_default().push(made);
        }
    }
    let proofs = logs.into_iter().filter_map(|(author, made)| {
        let headers = made.iter().map(|made| Item::read(&network, &made.bytes).unwrap().headers());
        let headers: Vec<SignedHeader> = headers.flatten().collect();
        let pair =
            find(&headers)?.map(|header| made.iter().find(|made| made.id == header.id).unwrap());
        Some(facts.items.note(&making::proof(&network, author, pair)))
    });
    proofs.collect()
}

fn node(items: &[ItemNumber], digest: [u8; 32]) -> NodeFacts {
    let core = Some(items.to_vec());
    NodeFacts { honest: true, core, digest: Some(digest), ..NodeFacts::default() }
}

#[test]
fn a_digest_that_is_not_that_of_the_items() {
    let (mut world, _, _) = good_day();
    holds(&world.facts());
    world.facts.moments[0].quiet = false;
    world.facts.moments[0].nodes[1].digest = Some([1; 32]);
    breaks(&world.facts(), Convergence, "node 1 states another digest");
}

#[test]
fn a_quiet_component_that_does_not_agree() {
    let (mut world, people, made) = good_day();
    let less = world.node(1, &[&made[0]]);
    world.facts.moments[0].nodes[1] = less.clone();
    breaks(&world.facts(), Convergence, "differ in 1 authors");
    let found = judge(&world.facts()).unwrap();
    assert_eq!(found[0].items, [people[0].author().key], "the author is named");
    // Where only digests were written down, they are compared.
    for node in &mut world.facts.moments[0].nodes {
        node.core = None;
    }
    breaks(&world.facts(), Convergence, "state different digests");
    // Apart, on the way, or outside the rules they may differ.
    world.facts.moments[0].nodes[1].component = 1;
    holds(&world.facts());
    world.facts.moments[0].nodes[1].component = 0;
    world.facts.moments[0].quiet = false;
    holds(&world.facts());
}

#[test]
fn scopes_agree_as_far_as_they_reach() {
    let (mut world, people, made) = good_day();
    let place =
        hundi_auditor::sync::position(&world.network, &people[0].author().to_bytes()) >> 63 << 63;
    let less = world.node(1, &[&made[0]]);
    let scoped = |first| NodeFacts { scope: Some(Range { bits: 1, first }), ..less.clone() };
    world.facts.moments[0].nodes[1] = scoped(place ^ 1 << 63);
    holds(&world.facts());
    world.facts.moments[0].nodes[1] = scoped(place);
    breaks(&world.facts(), Convergence, "differ in 1 authors");
}

/// Somebody who pays two people with one interval.
fn double_spend(world: &mut World, people: &[Person; 3]) -> [Made; 2] {
    let [payer, first, second] = people;
    world.facts.honest.remove(&payer.author());
    let draft = payer.next(1, 100);
    [first, second].map(|payee| world.sign(&payer.keys, &draft, &making::payment(payee.author())))
}

#[test]
fn two_headers_in_a_component_without_a_proof() {
    let (mut world, people) = village();
    let made = double_spend(&mut world, &people);
    let both = [&made[0], &made[1]];
    let nodes = [0, 1].map(|node| world.node(node, &both));
    world.quiet(nodes.to_vec());
    breaks(&world.facts(), Evidence, "node 1 holds no proof");
    // The proof takes the entries out of the core, and the digest of the tests knows no evidence.
    let proof = making::proof(&world.network, people[0].author(), both);
    let proof = world.facts.items.note(&proof);
    for node in &mut world.facts.moments[0].nodes {
        node.core.as_mut().unwrap().push(proof);
        node.digest = None;
    }
    holds(&world.facts());
    // A proof is in the core of all or of none.
    world.facts.moments[0].nodes[0].core.as_mut().unwrap().pop();
    world.facts.moments[0].nodes[0].component = 1;
    breaks(&world.facts(), Evidence, "node 0 holds no proof");
}

#[test]
fn two_headers_each_in_its_own_component_are_no_evidence() {
    let (mut world, people) = village();
    let made = double_spend(&mut world, &people);
    let mut nodes = [world.node(0, &[&made[0]]), world.node(1, &[&made[1]])];
    nodes[1].component = 1;
    world.quiet(nodes.to_vec());
    holds(&world.facts());
}

/// Of whom nothing is certified any more, no proof is held.
#[test]
fn two_headers_of_somebody_that_nobody_certifies() {
    let (mut world, people) = village();
    let made = double_spend(&mut world, &people);
    let mut node = world.node(0, &[&made[0], &made[1]]);
    let core = node.core.as_mut().unwrap();
    let grant = |item: &ItemNumber| world.facts.items.bytes(*item)[0] == 2;
    core.retain(|item| !grant(item));
    node.digest = None;
    world.quiet(vec![node]);
    holds(&world.facts());
}

#[test]
fn quiet_nodes_that_differ_in_records_of_banks() {
    let (mut world, _, _) = good_day();
    let bulletin = making::bulletin(&world.network, &world.online, 1, 5);
    let bulletin = world.facts.items.note(&bulletin);
    let node = &mut world.facts.moments[0].nodes[1];
    node.core.as_mut().unwrap().push(bulletin);
    node.digest = None;
    breaks(&world.facts(), Convergence, "differ in records of banks");
}

#[test]
fn a_bank_that_does_not_freeze() {
    let (mut world, people) = village();
    let made = double_spend(&mut world, &people);
    let [payer, first, _] = &people;
    world.through(&made[0], payer, first, 100);
    let proof = making::proof(&world.network, payer.author(), [&made[0], &made[1]]);
    world.arrive(&proof);
    breaks(&world.facts(), Evidence, "froze nobody");
    world.freeze(payer);
    holds(&world.facts());
}

/// What is beyond a window is in no core.
#[test]
fn a_core_beyond_its_windows() {
    let (mut world, people) = village();
    let payer = &people[0];
    world.facts.honest.remove(&payer.author());
    let made: Vec<Made> = (0..70)
        .map(|sequence| {
            let spent_total = u64::from(sequence) + 1;
            let previous = [u8::from(sequence > 0); 32];
            let draft = Draft { sequence, previous, spent_total, ..payer.next(1, 1) };
            world.sign(&payer.keys, &draft, &making::payment(people[1].author()))
        })
        .collect();
    let mut node = world.node(0, &made.iter().collect::<Vec<_>>());
    // The digest of the tests knows no windows.
    node.digest = None;
    node.counters = Some(Counters { core_entries: 64, ..Counters::default() });
    world.facts.moments.push(Moment { quiet: false, nodes: vec![node] });
    holds(&world.facts());
    world.facts.moments[0].nodes[0].counters.as_mut().unwrap().core_entries = 65;
    breaks(&world.facts(), Bounded, "counts 65 core entries, at most 64");
}

#[test]
fn counters_above_their_limits() {
    let within = Counters {
        core_entries: 2,
        cache_items: [10, 10],
        receipts_of_one: 128,
        verified_admitted: 128,
        verified_refused: 3,
        verified_uncertified: 64,
    };
    let (mut world, _, _) = good_day();
    world.facts.moments[0].nodes[0].counters = Some(within.clone());
    holds(&world.facts());
    let beyond = [
        (Counters { core_entries: 3, ..within.clone() }, "core entries"),
        (Counters { cache_items: [11, 10], ..within.clone() }, "cached items"),
        (Counters { receipts_of_one: 129, ..within.clone() }, "receipts"),
        (Counters { verified_admitted: 129, ..within.clone() }, "that are admitted"),
        (Counters { verified_refused: 4, ..within.clone() }, "that are not admitted"),
        (Counters { verified_uncertified: 65, ..within }, "nothing certifies"),
    ];
    for (counters, words) in beyond {
        world.facts.moments[0].nodes[0].counters = Some(counters);
        breaks(&world.facts(), Bounded, words);
    }
}
