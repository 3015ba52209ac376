//! Sync sessions through a byte pipe: what they reach, what they cost, and what a faulty link or a
//! hostile peer can and cannot do.

use crate::generate::{self, Reached, over_seeds};
use crate::world::{
    A, Dice, Node, Writer, author, certificate, checkpoint_at, checkpoint_with, freeze_with, grant,
    grant_with, id, proof, receipt,
};
use hundi_ledger::limits::PROVEN_VERIFICATIONS_PER_SESSION_MAX;
use hundi_ledger::record::entry::{Header, Kind};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::proof::Claim;
use hundi_ledger::replica::{Key, Shelf, Status};
use hundi_ledger::sync::{Config, Out, Session, SyncError, TAG_ITEM, TURNS_MAX};
use std::collections::{BTreeSet, VecDeque};

const TAG_OPEN: u8 = 1;
const TAG_TURN: u8 = 4;
const TAG_CACHE: u8 = 8;
const TAG_WANTS: u8 = 10;
const TAG_EQUAL: u8 = 15;
/// How a turn ends.
const MORE: u8 = 0;
const FINISHED: u8 = 2;

/// What became of one contact.
#[derive(Debug, Default)]
struct Contact {
    /// What each side said at its end, initiator first.
    done: [Option<bool>; 2],
    /// Every message: who sent it, and its bytes.
    sent: Vec<(usize, Vec<u8>)>,
    /// Signatures of entries that each side verified.
    verified: [u32; 2],
    offered: [BTreeSet<Key>; 2],
    errors: usize,
}

impl Contact {
    fn bytes(&self, items: bool) -> usize {
        let of = self.sent.iter().filter(|(_, bytes)| (bytes[0] == TAG_ITEM) == items);
        of.map(|(_, bytes)| bytes.len()).sum()
    }

    fn turns(&self) -> usize {
        self.sent.iter().filter(|(_, bytes)| bytes[0] == TAG_TURN).count()
    }

    /// The items that one side sent, in order.
    fn items(&self, side: usize) -> Vec<Item> {
        let of = self.sent.iter().filter(|(from, bytes)| *from == side && bytes[0] == TAG_ITEM);
        of.map(|(_, bytes)| Item::decode(&id(), &bytes[1..]).unwrap()).collect()
    }
}

/// What the link does with a message.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Arrives,
    Twice,
    Lost,
    Cut,
}

/// One item at a node the way a driver takes it.
fn receive(node: &mut Node, bytes: &[u8], verified: &mut u32) {
    if let Ok(Item::Entry(entry)) = Item::decode(&id(), bytes) {
        let claim = Claim::of(entry.header(), entry.id());
        let known = node.replica.author(&entry.header().author, &node.shelf);
        if known.is_some_and(|known| known.holds(&claim)) {
            return;
        }
        *verified += 1;
    }
    node.take(bytes);
}

/// One contact of two nodes on a link with that handshake hash.
fn contact(
    nodes: &mut [Node; 2],
    link: u8,
    configs: [Config; 2],
    mut fate: impl FnMut(usize) -> Fate,
) -> Contact {
    let mut told = Contact::default();
    let mut queue: VecDeque<(usize, Vec<u8>)> = VecDeque::new();
    let [config, other] = configs;
    let (first, outs) =
        Session::open(true, &[link; 32], &nodes[0].replica, &nodes[0].shelf, config);
    let (second, none) =
        Session::open(false, &[link; 32], &nodes[1].replica, &nodes[1].shelf, other);
    assert!(none.is_empty());
    let mut sessions = [first, second];
    let mut pending = vec![(0, outs)];
    loop {
        for (side, outs) in pending.drain(..) {
            for out in outs {
                match out {
                    Out::Send(bytes) => queue.push_back((side, bytes)),
                    Out::SendItem(key) => {
                        if let Some(item) = nodes[side].shelf.item(&key) {
                            queue.push_back((side, [&[TAG_ITEM][..], &item].concat()));
                        }
                    }
                    Out::Received(item) => {
                        receive(&mut nodes[side], &item, &mut told.verified[side]);
                    }
                    Out::Done { in_sync } => {
                        assert_eq!(told.done[side].replace(in_sync), None, "done once");
                    }
                }
            }
        }
        let Some((from, bytes)) = queue.pop_front() else { break };
        let fate = fate(told.sent.len());
        told.sent.push((from, bytes.clone()));
        if fate == Fate::Cut {
            break;
        }
        let to = 1 - from;
        for _ in
            0..[Fate::Lost, Fate::Arrives, Fate::Twice].iter().position(|it| *it == fate).unwrap()
        {
            match sessions[to].handle(&bytes, &nodes[to].replica, &nodes[to].shelf) {
                Ok(outs) => {
                    // What arrives is applied before the next message is handled.
                    let (items, rest) =
                        outs.into_iter().partition(|out| matches!(out, Out::Received(_)));
                    let items: Vec<Out> = items;
                    for out in items {
                        let Out::Received(item) = out else { unreachable!() };
                        receive(&mut nodes[to], &item, &mut told.verified[to]);
                    }
                    pending.push((to, rest));
                }
                Err(_) => told.errors += 1,
            }
        }
    }
    told.offered = sessions.map(Session::into_offered);
    told
}

fn open_handed() -> Config {
    Config { others_items_max: usize::MAX, ..Config::default() }
}

fn configs() -> [Config; 2] {
    [open_handed(), open_handed()]
}

/// A contact on a link that does nothing wrong.
fn meet(nodes: &mut [Node; 2], link: u8) -> Contact {
    let told = contact(nodes, link, configs(), |_| Fate::Arrives);
    assert_eq!(told.errors, 0);
    let equal = nodes[0].digest() == nodes[1].digest();
    assert_eq!(told.done, [Some(equal); 2], "both say what is so");
    told
}

/// Nodes that know the first bank and one author with its grants.
fn pair() -> ([Node; 2], Writer) {
    let writer = Writer::new(A, 1);
    let node = Node::with(&[certificate(A, 1, &[]), grant(writer.id, 0), grant(writer.id, 1)]);
    ([node.clone(), node], writer)
}

fn two_nodes(dice: &mut Dice, wild: bool, reached: &mut Reached) -> [Node; 2] {
    let items = if wild { generate::wild(dice, reached) } else { generate::orderly(dice, reached) };
    [0; 2].map(|_| {
        let share = dice.below(5);
        generate::node(dice, &items, share, wild, reached)
    })
}

#[test]
fn one_contact_makes_orderly_cores_equal() {
    over_seeds(60, |dice, reached| {
        let mut nodes = two_nodes(dice, false, reached);
        let mut merged = nodes[0].clone();
        merged.merge(&nodes[1]);
        let mut told = meet(&mut nodes, 1);
        // What arrives may uncover more; a second contact has the rest.
        if told.done != [Some(true); 2] {
            reached.count("second contact", 1);
            told = meet(&mut nodes, 2);
        }
        assert_eq!(told.done, [Some(true); 2]);
        assert_eq!(nodes[0].digest(), merged.digest(), "and it is the join");
    });
}

#[test]
fn contacts_make_wild_cores_equal() {
    let reached = over_seeds(60, |dice, reached| {
        let mut nodes = two_nodes(dice, true, reached);
        for link in 0..6 {
            if meet(&mut nodes, link).done == [Some(true); 2] {
                return reached.count("contacts", usize::from(link) + 1);
            }
        }
        panic!("six contacts, and still different");
    });
    reached.expect("sync", &["contacts"]);
}

#[test]
fn cut_lost_and_repeated_messages_only_delay() {
    let reached = over_seeds(60, |dice, reached| {
        let mut nodes = two_nodes(dice, false, reached);
        let mut merged = nodes[0].clone();
        merged.merge(&nodes[1]);
        for link in 0..8 {
            let (cut, odd) = (dice.below(60) as usize, dice.below(4));
            let told = contact(&mut nodes, link, configs(), |at| match odd {
                0 if at == cut => Fate::Cut,
                1 if at % 7 == cut % 7 => Fate::Lost,
                2 if at % 5 == cut % 5 => Fate::Twice,
                _ => Fate::Arrives,
            });
            let equal = nodes[0].digest() == nodes[1].digest();
            for done in told.done.into_iter().flatten() {
                assert!(!done || equal, "in sync is never said in vain");
            }
            reached.count(["cut", "lost", "twice", "clean"][odd as usize], 1);
        }
        meet(&mut nodes, 98);
        let told = meet(&mut nodes, 99);
        assert_eq!(told.done, [Some(true); 2]);
        assert_eq!(nodes[0].digest(), merged.digest());
    });
    reached.expect("links", &["cut", "lost", "twice", "clean"]);
}

/// Cut after any message, both keep what arrived, and what is missing only shrinks.
#[test]
fn every_cut_gains() {
    let (nodes, mut writer) = pair();
    let [mut full, empty] = nodes;
    let written: Vec<_> = (0..12).map(|_| writer.pay(1)).collect();
    written.iter().for_each(|one| assert_eq!(full.take(&one.bytes), Some(Status::Stored)));
    let length = meet(&mut [full.clone(), empty.clone()], 1).sent.len();
    let mut last = 0;
    for cut in 0..length {
        let mut nodes = [full.clone(), empty.clone()];
        let fate = |at| if at == cut { Fate::Cut } else { Fate::Arrives };
        contact(&mut nodes, 1, configs(), fate);
        let gained = nodes[1].core(&writer.id).len();
        assert!(gained >= last, "a later cut keeps more");
        last = gained;
        assert_eq!(meet(&mut nodes, 2).done, [Some(true); 2]);
    }
    assert_eq!(last, 12);
}

#[test]
fn in_sync_costs_sixteen_bytes() {
    let (mut nodes, _) = pair();
    let told = meet(&mut nodes, 1);
    let bytes = told.bytes(false);
    println!("in sync: {bytes} bytes, {} messages", told.sent.len());
    assert!(bytes <= 16 && told.sent.len() == 2);
    // Now and then nodes reconcile all the same.
    let config = || Config { force: true, ..open_handed() };
    let told = contact(&mut nodes, 1, [config(), open_handed()], |_| Fate::Arrives);
    assert_eq!(told.done, [Some(true); 2]);
    assert!(told.sent.len() > 2);
}

#[test]
fn ten_of_a_thousand_authors_differ() {
    let mut records = vec![certificate(A, 1, &[])];
    records.extend((0..1_000).map(|number| grant(author(A, number), 0)));
    let node = Node::with(&records);
    let mut nodes = [node.clone(), node];
    for number in 0..10 {
        let mut writer = Writer::new(A, number * 97);
        let one = writer.append(Kind::REFUND, 0, 0, b"");
        nodes[(number % 2) as usize].take(&one.bytes).unwrap();
    }
    let told = meet(&mut nodes, 3);
    println!(
        "10 of 1,000: {} bytes of metadata, {} of items, {} turns",
        told.bytes(false),
        told.bytes(true),
        told.turns()
    );
    assert_eq!(told.done, [Some(true); 2]);
    assert_eq!(told.items(0).len() + told.items(1).len(), 10, "nothing but what is missing");
    assert!(told.bytes(false) < 6_000);
}

#[test]
fn an_empty_node_gets_everything_in_one_contact() {
    let mut records = vec![certificate(A, 1, &[])];
    records.extend((0..300).map(|number| grant(author(A, number), 0)));
    let mut nodes = [Node::default(), Node::with(&records)];
    for side in [0, 1] {
        let mut nodes = nodes.clone();
        nodes.rotate_left(side);
        let told = meet(&mut nodes, 1);
        assert_eq!(told.done, [Some(true); 2]);
        println!("300 grants to an empty node: {} turns", told.turns());
    }
    nodes.reverse();
}

#[test]
fn decided_entries_do_not_come_back() {
    for reverse in [false, true] {
        let (mut nodes, mut writer) = pair();
        let written: Vec<_> = (0..8).map(|_| writer.pay(1)).collect();
        for one in &written[..6] {
            nodes.iter_mut().for_each(|node| assert!(node.take(&one.bytes).unwrap().is_new()));
        }
        // One has the newer checkpoint, the other two newer entries.
        nodes[0].take(&checkpoint_at(writer.id, 2, &written[4].claim)).unwrap();
        nodes[1].take(&checkpoint_at(writer.id, 1, &written[1].claim)).unwrap();
        for one in &written[6..] {
            nodes[1].take(&one.bytes).unwrap();
        }
        if reverse {
            nodes.reverse();
        }
        let told = meet(&mut nodes, 4);
        assert_eq!(told.done, [Some(true); 2], "in one contact");
        for node in &nodes {
            assert_eq!(node.core(&writer.id), [5, 6, 7]);
        }
        let entries: Vec<u32> = told
            .items(0)
            .into_iter()
            .chain(told.items(1))
            .filter_map(|item| match item {
                Item::Entry(entry) => Some(entry.header().sequence()),
                _ => None,
            })
            .collect();
        assert_eq!(entries, [6, 7], "and nothing decided was sent");
    }
}

#[test]
fn own_entries_find_their_window_open() {
    let (mut nodes, mut writer) = pair();
    let written: Vec<_> = (0..60).map(|_| writer.append(Kind::REFUND, 0, 0, b"")).collect();
    nodes[0].take(&checkpoint_at(writer.id, 1, &written[49].claim)).unwrap();
    for one in &written[50..] {
        assert_eq!(nodes[0].take(&one.bytes), Some(Status::Stored));
    }
    let own = Config { own: [writer.id].into(), ..open_handed() };
    let told = contact(&mut nodes, 1, [own, open_handed()], |_| Fate::Arrives);
    assert_eq!(told.done, [Some(true); 2]);
    assert_eq!(nodes[1].core(&writer.id).len(), 10);
}

fn rank(item: &Item) -> u32 {
    match item {
        Item::Certificate(_) => 0,
        Item::Freeze(_) | Item::Proof(_) => 1,
        Item::Entry(_) => 3,
        _ => 2,
    }
}

#[test]
fn evidence_goes_first_whoever_opens() {
    for side in [0, 1] {
        let mut records = vec![certificate(A, 1, &[])];
        let mut entries = Vec::new();
        for number in 0..100 {
            let mut writer = Writer::new(A, number);
            records.push(grant(writer.id, 0));
            records.push(grant(writer.id, 1));
            entries.push(writer.pay(1).bytes);
        }
        let mut nodes = [Node::with(&records), Node::with(&records)];
        entries.iter().for_each(|item| drop(nodes[side].apply(item)));
        let cheat = Writer::new(A, 50);
        let pair = [40, 41].map(|minor| cheat.sign(cheat.at(9, 1, 500, minor), b""));
        nodes[side].take(&proof(&pair[0], &pair[1])).unwrap();
        nodes[side].take(&freeze_with(author(A, 51), |_| {})).unwrap();
        let told = meet(&mut nodes, 5);
        assert_eq!(told.done, [Some(true); 2]);
        let sent = told.items(side);
        let first: Vec<u32> = sent.iter().map(rank).collect();
        let evidence = first.iter().rposition(|rank| *rank == 1).unwrap();
        assert!(!first[..evidence].contains(&3), "before every entry: {first:?}");
        // In the first turn that this side speaks, and the other needs nothing before it.
        let turn = told
            .sent
            .iter()
            .position(|(_, bytes)| bytes[0] == TAG_ITEM && matches!(bytes[1], 4 | 6));
        let turns = told.sent[..turn.unwrap()].iter().filter(|(_, bytes)| bytes[0] == TAG_TURN);
        assert!(turns.count() <= 2, "the first turn after the values were compared");
    }
}

#[test]
fn many_tags_of_evidence_send_only_what_lacks() {
    // More than one message of tags.
    let mut records = vec![certificate(A, 1, &[])];
    for number in 0..2_100 {
        records.push(grant(author(A, number), 0));
        records.push(freeze_with(author(A, number), |_| {}));
    }
    let node = Node::with(&records);
    let mut nodes = [node.clone(), node];
    nodes[0].take(&grant(author(A, 5_000), 0)).unwrap();
    nodes[0].take(&freeze_with(author(A, 5_000), |_| {})).unwrap();
    let told = meet(&mut nodes, 1);
    assert_eq!(told.done, [Some(true); 2]);
    assert_eq!(told.items(0).len(), 2, "a grant and a freeze");
    assert_eq!(told.items(1).len(), 0);
}

#[test]
fn the_cache_is_offered_after_the_core_and_once() {
    let (mut nodes, mut writer) = pair();
    let one = writer.pay(1);
    nodes[0].take(&one.bytes).unwrap();
    for content in 0..5 {
        nodes[0].take(&receipt(writer.id, 1, content)).unwrap();
    }
    // A peer that refuses them: on a link that loses every receipt.
    let told = contact(&mut nodes, 1, configs(), |_| Fate::Arrives);
    assert_eq!(told.done, [Some(true); 2]);
    assert_eq!(nodes[1].replica.receipts().count(), 5);
    let order: Vec<bool> =
        told.items(0).iter().map(|item| matches!(item, Item::Receipt(_))).collect();
    assert!(order.is_sorted(), "receipts last");
    let offer = told.sent.iter().position(|(_, bytes)| bytes[0] == TAG_CACHE).unwrap();
    let entry = told.sent.iter().position(|(_, bytes)| bytes[..2] == [TAG_ITEM, 7]).unwrap();
    assert!(entry < offer, "the core is through before the cache is offered");
    // Never twice on one link, whatever became of them.
    let [offered, other] = told.offered;
    assert_eq!(offered.len(), 5);
    nodes[1] = pair().0[1].clone();
    let again = |offered| Config { offered, force: true, ..open_handed() };
    let told = contact(&mut nodes, 1, [again(offered), again(other)], |_| Fate::Arrives);
    assert!(told.sent.iter().all(|(from, bytes)| *from == 1 || bytes[0] != TAG_CACHE));
}

#[test]
fn the_budget_for_others_holds() {
    let (mut nodes, mut writer) = pair();
    for _ in 0..9 {
        nodes[0].take(&writer.pay(1).bytes).unwrap();
    }
    let few = || Config { others_items_max: 3, ..Config::default() };
    let told = contact(&mut nodes, 1, [few(), few()], |_| Fate::Arrives);
    assert_eq!(told.done, [Some(false); 2]);
    assert_eq!(nodes[1].core(&writer.id), [0, 1, 2], "the oldest first");
    let own = Config { own: [writer.id].into(), ..Config::default() };
    let told = contact(&mut nodes, 2, [own, few()], |_| Fate::Arrives);
    assert_eq!(told.done, [Some(true); 2], "one's own are outside of it");
}

/// Invariant I8: whatever one author signs, a session verifies three of its odd entries.
#[test]
fn an_equivocator_costs_three_verifications() {
    let (nodes, mut writer) = pair();
    let [_, mut node] = nodes;
    let honest = writer.pay(5);
    node.take(&honest.bytes).unwrap();
    let (mut session, _) =
        Session::open(false, &[1; 32], &node.replica, &node.shelf, open_handed());
    let (mut verified, mut passed) = (0, 0);
    for time in 0..2_000 {
        let twin = writer.sign(Header { time, ..writer.at(0, 1, 0, 5) }, b"");
        let message = [&[TAG_ITEM][..], &twin.bytes].concat();
        for out in session.handle(&message, &node.replica, &node.shelf).unwrap() {
            let Out::Received(item) = out else { panic!("nothing else") };
            passed += 1;
            receive(&mut node, &item, &mut verified);
        }
    }
    assert!(node.proven(&writer.id));
    assert_eq!((verified, passed), (PROVEN_VERIFICATIONS_PER_SESSION_MAX, 3));
    // Entries beyond the window, and forged ones inside it, are bounded as well.
    let (mut session, _) =
        Session::open(false, &[2; 32], &node.replica, &node.shelf, open_handed());
    let other = Writer::new(A, 2);
    node.take(&grant(other.id, 0)).unwrap();
    node.take(&grant(other.id, 1)).unwrap();
    let mut passed = 0;
    for at in 0..2_000u32 {
        let far = other.sign(Header { time: at, ..other.at(41 + at, 1, 0, 1) }, b"");
        let mut forged = other.sign(Header { time: at, ..other.at(at % 40, 1, 0, 1) }, b"").bytes;
        forged[100] ^= 1;
        for bytes in [far.bytes, forged] {
            let message = [&[TAG_ITEM][..], &bytes].concat();
            passed += session.handle(&message, &node.replica, &node.shelf).unwrap().len();
        }
    }
    assert!(passed <= 3 + 128, "{passed}");
}

/// Several proven authors: each has its own three.
#[test]
fn cached_entries_of_several_authors_arrive() {
    let mut records = vec![certificate(A, 1, &[])];
    let mut nodes = [Node::default(), Node::default()];
    let mut entries = Vec::new();
    for number in 0..4 {
        let writer = Writer::new(A, number);
        records.extend([grant(writer.id, 0), grant(writer.id, 1)]);
        entries.extend([40, 41].map(|minor| writer.sign(writer.at(9, 1, 5, minor), b"").bytes));
    }
    records.iter().for_each(|item| nodes.iter_mut().for_each(|node| drop(node.apply(item))));
    entries.iter().for_each(|item| drop(nodes[0].apply(item)));
    let told = meet(&mut nodes, 1);
    assert_eq!(told.done, [Some(true); 2]);
    let cached = nodes[1].replica.cached().count();
    assert_eq!(cached, 8, "two of each");
}

/// A peer that repeats our own value does not make us say that we are in sync.
#[test]
fn an_echo_is_not_agreement() {
    let (nodes, _) = pair();
    let node = &nodes[0];
    let (mut session, outs) =
        Session::open(true, &[1; 32], &node.replica, &node.shelf, open_handed());
    let Out::Send(open) = &outs[0] else { panic!() };
    assert_eq!(open[0], TAG_OPEN);
    let core: Vec<u8> = open[1..7].to_vec();
    let mut said = Vec::new();
    for variant in [MORE, FINISHED, FINISHED, FINISHED] {
        let value = if variant == MORE { &[][..] } else { &core };
        let echo = [&[TAG_TURN, variant][..], value].concat();
        if session.is_done() {
            break;
        }
        said.extend(session.handle(&echo, &node.replica, &node.shelf).unwrap());
    }
    assert!(!said.contains(&Out::Done { in_sync: true }));
    let (mut session, _) = Session::open(true, &[1; 32], &node.replica, &node.shelf, open_handed());
    let equal = [&[TAG_EQUAL][..], &core[..2]].concat();
    assert_eq!(
        session.handle(&equal, &node.replica, &node.shelf),
        Ok(vec![Out::Done { in_sync: false }])
    );
}

#[test]
fn turns_and_messages_end() {
    let (nodes, _) = pair();
    let node = &nodes[0];
    let (mut session, _) = Session::open(true, &[1; 32], &node.replica, &node.shelf, open_handed());
    let turn = [TAG_TURN, MORE];
    let mut handled = 0;
    let error = loop {
        match session.handle(&turn, &node.replica, &node.shelf) {
            Ok(_) => handled += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((handled, error), (TURNS_MAX, SyncError::TooManyTurns));
    assert!(session.is_done());
    let (mut session, _) = Session::open(true, &[1; 32], &node.replica, &node.shelf, open_handed());
    let messages = (0..10_000)
        .map(|_| session.handle(&[TAG_WANTS], &node.replica, &node.shelf))
        .position(|it| it.is_err());
    assert!(messages.is_some(), "a turn without end");
    // A message that is not due.
    let (mut session, _) =
        Session::open(false, &[1; 32], &node.replica, &node.shelf, open_handed());
    assert_eq!(session.handle(&turn, &node.replica, &node.shelf), Err(SyncError::NotDue));
}

/// Bytes of nobody's making, and honest messages with bytes changed.
#[test]
fn a_hostile_peer_gains_nothing() {
    let reached = over_seeds(40, |dice, reached| {
        let nodes = two_nodes(dice, false, reached);
        let [node, other] = nodes;
        let honest = meet(&mut [node.clone(), other.clone()], 1).sent;
        let mut victim = node.clone();
        let initiator = dice.one_in(2);
        let (mut session, _) =
            Session::open(initiator, &[1; 32], &victim.replica, &victim.shelf, open_handed());
        for _ in 0..200 {
            let at = dice.below(honest.len() as u64) as usize;
            let mut message = honest[at].1.clone();
            match dice.below(4) {
                0 => {
                    let length = dice.below(300) as usize;
                    message = (0..length).map(|_| dice.roll() as u8).collect();
                }
                1 => {
                    let place = dice.below(message.len() as u64) as usize;
                    message[place] ^= 1 << dice.below(8);
                }
                2 => message.truncate(dice.below(message.len() as u64 + 1) as usize),
                _ => {}
            }
            match session.handle(&message, &victim.replica, &victim.shelf) {
                Ok(outs) => {
                    reached.count("taken", 1);
                    for out in outs {
                        match out {
                            Out::Received(item) => receive(&mut victim, &item, &mut 0),
                            Out::Done { in_sync } => {
                                // The values that were repeated are the honest peer's own.
                                assert!(!in_sync || was_said(&honest, &message));
                                reached.count("ended", 1);
                            }
                            Out::Send(bytes) => assert!(bytes.len() <= 64 * 1024),
                            Out::SendItem(_) => {}
                        }
                    }
                }
                Err(_) => {
                    reached.count("refused", 1);
                    let (next, _) = Session::open(
                        initiator,
                        &[1; 32],
                        &victim.replica,
                        &victim.shelf,
                        open_handed(),
                    );
                    session = next;
                }
            }
        }
    });
    reached.expect("hostile", &["taken", "refused", "ended"]);
}

/// The value of a core that a message states, if it states one.
fn value(message: &[u8]) -> Option<&[u8]> {
    match message.first() {
        Some(&TAG_OPEN) => message.get(1..7),
        Some(&TAG_TURN) => message.get(2..),
        Some(&TAG_EQUAL) => message.get(1..),
        _ => None,
    }
}

/// Whether the value in a message was said by one who held that core.
fn was_said(honest: &[(usize, Vec<u8>)], message: &[u8]) -> bool {
    honest.iter().any(|(_, bytes)| value(bytes).is_some() && value(bytes) == value(message))
}

#[test]
fn grants_that_only_one_side_may_forget() {
    // A tie of checkpoints: both are sent, one wins, and entries that the loser had pruned return.
    let (mut nodes, mut writer) = pair();
    let written: Vec<_> = (0..6).map(|_| writer.pay(1)).collect();
    for one in &written {
        nodes.iter_mut().for_each(|node| assert!(node.take(&one.bytes).unwrap().is_new()));
    }
    nodes[0].take(&checkpoint_at(writer.id, 1, &written[3].claim)).unwrap();
    nodes[1].take(&checkpoint_with(writer.id, 1, |_| {})).unwrap();
    nodes[1].take(&grant_with(writer.id, 2, |_| {})).unwrap();
    assert_eq!(meet(&mut nodes, 1).done, [Some(true); 2]);
    assert_eq!(nodes[0].core(&writer.id), nodes[1].core(&writer.id));
    assert!(nodes.iter().any(|node| node.faults == 1));
}
