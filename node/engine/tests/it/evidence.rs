//! Contradictions, cloned and restored devices, floods.

use crate::bank::{amount, author, keys, sealing};
use crate::world::{Over, World};
use hundi_engine::output::{PayError, Published, SignError};
use hundi_engine::{Answer, Command, Event, Input};
use hundi_ledger::id::{Hash, Serial};
use hundi_ledger::log::Log;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::entry::{Class, Entry, Kind, body_hash};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::PayeeVerdict;
use hundi_ledger::replica::Key;
use std::collections::BTreeSet;

/// Entries of an author that nobody's wallet made: `count` in a row, spending one each.
pub fn chain(world: &World, seed: u8, count: u32, mark: u8) -> Vec<Vec<u8>> {
    let network = world.bank.id();
    let mut log = Log::new(author(seed), Class::Money);
    let entry = |_| {
        let mut header = log.draft(Kind::PAYMENT, Serial(1), amount(1), world.now()).unwrap();
        let body = vec![mark; 80];
        header.body_hash = body_hash(&network, &body);
        let entry = Entry::sign(&network, header, body, &keys(seed).signing).unwrap();
        assert!(log.append(entry.claim()));
        Item::Entry(entry.into_inner()).encode()
    };
    (0..count).map(entry).collect()
}

#[test]
fn a_clone_that_spends_twice_is_proven_everywhere_and_stops() {
    for over in [Over::Link, Over::Gossip] {
        let mut world = World::new();
        let first = world.add(1, 10_000);
        let payees = [world.add(2, 0), world.add(3, 0)];
        let store = world.devices[first].store.clone();
        let second = world.add_with(Some(1), Default::default(), store);
        let bystander = world.add(4, 0);
        let mut ids = Vec::new();
        for (clone, payee) in [(first, payees[0]), (second, payees[1])] {
            world.connect(clone, payee, over);
            world.run();
            let request = world.request(payee, 6_000);
            let id = world.pay(clone, &request);
            world.run();
            assert_eq!(world.word(clone, &id), "received", "each village sees one payment");
            ids.push(id);
        }
        assert!(!world.is_stopped(first) && !world.is_stopped(second));
        world.connect(payees[0], payees[1], over);
        world.connect(payees[1], bystander, over);
        world.pass(120);
        for device in [first, second, payees[0], payees[1], bystander] {
            assert!(world.holds_proof(device, &author(1)), "device {device}");
        }
        for clone in [first, second] {
            assert!(world.is_stopped(clone));
            assert_eq!(
                world.devices[clone].events.iter().filter(|e| **e == Event::Stopped).count(),
                1
            );
            let request = world.request(payees[0], 1);
            let stopped = Err(PayError::Sign(SignError::Stopped));
            assert_eq!(world.try_pay(clone, &request), stopped);
            world.crash(clone);
            assert_eq!(world.try_pay(clone, &request), stopped, "for ever");
        }
        world.pass(60);
        // Each payee keeps what pays it, with its receipt, for the bank.
        for (payee, id) in payees.iter().zip(&ids) {
            let key = Key::entry(author(1), *id);
            assert!(world.devices[*payee].store.items.contains_key(&key));
        }
        let contested: Vec<(u32, Hash, Outcome)> =
            ids.iter().map(|id| (0, *id, Outcome::Contested)).collect();
        let checkpoint = world.bank.checkpoint(author(1), 1, None, &contested);
        world.publish(bystander, vec![checkpoint]);
        world.pass(60);
        for (payee, id) in payees.iter().zip(&ids) {
            assert_eq!(world.word(*payee, id), "contested");
        }
    }
}

#[test]
fn a_proof_made_from_gossip_is_gossiped_itself() {
    let mut world = World::new();
    let (cheat, middle, witness) = (world.add(1, 10_000), world.add(2, 0), world.add(3, 0));
    world.connect(middle, witness, Over::Gossip);
    let link = world.connect(cheat, middle, Over::Link);
    world.run();
    world.cut(link);
    for mark in [7, 8] {
        world.gossip_to(middle, &chain(&world, 1, 1, mark)[0]);
    }
    assert!(world.holds_proof(middle, &author(1)));
    world.run();
    assert!(world.holds_proof(witness, &author(1)), "without either entry, and at once");
}

#[test]
fn a_payee_that_knows_of_the_contradiction_refuses_for_good() {
    let mut world = World::new();
    let first = world.add(1, 10_000);
    let payee = world.add(2, 0);
    let store = world.devices[first].store.clone();
    let second = world.add_with(Some(1), Default::default(), store);
    let links = [first, second].map(|clone| world.connect(clone, payee, Over::Link));
    world.run();
    world.cut(links[1]);
    let requests = [world.request(payee, 10), world.request(payee, 20)];
    let one = world.pay(first, &requests[0]);
    world.run();
    assert_eq!(world.word(payee, &one), "received");
    let two = world.pay(second, &requests[1]);
    world.connect(second, payee, Over::Link);
    world.run();
    assert_eq!(world.view(payee, &two).verdict, Some(PayeeVerdict::RefusedContradiction));
    assert_eq!(world.word(payee, &one), "received", "the verdict given stands");
    assert!(world.is_stopped(second));
}

#[test]
fn a_restored_backup_that_meets_its_newer_entry_stops() {
    // By the entry itself, and by a checkpoint.
    for by_checkpoint in [false, true] {
        let mut world = World::new();
        let device = world.add(1, 10_000);
        let payee = world.add(2, 0);
        let backup = world.devices[device].store.clone();
        let link = world.connect(device, payee, Over::Link);
        world.run();
        let request = world.request(payee, 100);
        let id = world.pay(device, &request);
        world.run();
        world.cut(link);
        let restored = world.add_with(Some(1), Default::default(), backup);
        assert!(!world.is_stopped(restored));
        if by_checkpoint {
            let checkpoint = world.bank.checkpoint(author(1), 1, Some((0, id)), &[]);
            world.publish(restored, vec![checkpoint]);
        } else {
            world.connect(payee, restored, Over::Link);
            world.run();
        }
        assert!(world.is_stopped(restored), "by checkpoint: {by_checkpoint}");
        assert!(!world.holds_proof(payee, &author(1)), "and nothing was signed twice");
        let request = world.request(payee, 5);
        let stopped = Err(PayError::Sign(SignError::Stopped));
        assert_eq!(world.try_pay(restored, &request), stopped);
        // The original device is none the worse.
        assert!(!world.is_stopped(device));
    }
}

#[test]
fn an_entry_of_its_own_key_stops_a_device_even_where_no_relay_carries_it() {
    let mut world = World::new();
    let device = world.add(1, 10_000);
    let beyond = chain(&world, 1, 60, 7).remove(59);
    let mut forged = beyond.clone();
    forged[100] ^= 1;
    world.publish(device, vec![forged]);
    assert!(!world.is_stopped(device), "nobody else can stop it");
    world.publish(device, vec![beyond.clone()]);
    assert!(world.is_stopped(device));
    // Nor does it take a grant.
    let bare = world.add_with(Some(1), Default::default(), Default::default());
    world.input(bare, Input::Gossip { handle: 1, bytes: beyond });
    assert!(world.is_stopped(bare));
}

#[test]
fn a_store_that_holds_more_of_its_key_than_its_log_never_signs() {
    let mut world = World::new();
    let device = world.add(1, 10_000);
    let mut store = world.devices[device].store.clone();
    let entry = chain(&world, 1, 1, 7).remove(0);
    let Ok(item) = Item::decode(&world.bank.id(), &entry) else { panic!() };
    store.items.insert(Key::of(&item), entry);
    let loaded = world.add_with(Some(1), Default::default(), store);
    assert!(world.devices[loaded].engine.status().stopped);
}

#[test]
fn a_flood_by_an_uncertified_author_is_not_relayed() {
    let mut world = World::new();
    let relays = [world.add_relay(), world.add_relay()];
    world.connect(relays[0], relays[1], Over::Link);
    world.run();
    let digest = world.devices[relays[0]].engine.digest();
    let delivered = world.delivered;
    let items = chain(&world, 9, 200, 1);
    for (handle, bytes) in items.iter().cloned().enumerate() {
        world.input(relays[0], Input::Gossip { handle: handle as u64, bytes });
    }
    let answer = world.command(relays[0], Command::Publish { items });
    let Answer::Publish(all) = answer else { panic!() };
    assert!(all.iter().all(|one| *one == Published::Uncertified));
    assert!(world.devices[relays[0]].verdicts.iter().all(|v| *v == hundi_engine::Verdict::Ignore));
    world.run();
    assert_eq!(world.delivered, delivered, "nothing was passed on");
    assert_eq!(world.devices[relays[0]].engine.digest(), digest);
    assert_eq!(world.devices[relays[0]].store.items.len(), 1, "the certificate");
}

#[test]
fn a_certified_flooder_stops_at_its_window() {
    let mut world = World::new();
    let relays = [world.add_relay(), world.add_relay()];
    world.connect(relays[0], relays[1], Over::Link);
    let grants = [(0, 0), (1, 100_000)].map(|(serial, limit)| {
        let grant = world.bank.grant(author(9), sealing(9), serial, limit);
        world.bank.granted(grant)
    });
    world.publish(relays[0], grants.to_vec());
    let items = chain(&world, 9, 200, 1);
    let Answer::Publish(all) = world.command(relays[0], Command::Publish { items }) else {
        panic!()
    };
    assert_eq!(all.iter().filter(|one| **one == Published::Taken).count(), 41);
    assert_eq!(all.iter().filter(|one| **one == Published::NotCarried).count(), 159);
    world.run();
    for relay in relays {
        assert_eq!(world.devices[relay].engine.status().entries, 41);
    }
    // However many branches it signs, two headers and a bounded cache are all that is held.
    for mark in 2..40 {
        let items = chain(&world, 9, 3, mark);
        world.publish(relays[0], items);
    }
    world.pass(60);
    for relay in relays {
        assert!(world.holds_proof(relay, &author(9)));
        let status = world.devices[relay].engine.status();
        assert_eq!((status.entries, status.cached), (0, 16));
        assert!(world.devices[relay].store.items.len() <= 16 + 5);
    }
}

#[test]
fn a_contradiction_outside_the_window_is_proven_all_the_same() {
    let mut world = World::new();
    let relays = [world.add_relay(), world.add_relay()];
    world.connect(relays[0], relays[1], Over::Link);
    let grants = [(0, 0), (1, 100_000)].map(|(serial, limit)| {
        let grant = world.bank.grant(author(9), sealing(9), serial, limit);
        world.bank.granted(grant)
    });
    world.publish(relays[0], grants.to_vec());
    let items = chain(&world, 9, 41, 1);
    world.publish(relays[0], items);
    assert!(!world.holds_proof(relays[0], &author(9)));
    let beyond = chain(&world, 9, 42, 2).remove(41);
    world.publish(relays[0], vec![beyond]);
    world.run();
    for relay in relays {
        assert!(world.holds_proof(relay, &author(9)));
    }
}

#[test]
fn a_gateway_hears_of_entries_that_no_relay_carries() {
    let mut world = World::new();
    let config = hundi_engine::Config { intake: true, ..Default::default() };
    let gateway = world.add_with(None, config, Default::default());
    let mut items = vec![world.bank.certificate()];
    for (serial, limit) in [(0, 0), (1, 100_000)] {
        let grant = world.bank.grant(author(9), sealing(9), serial, limit);
        items.push(world.bank.granted(grant));
    }
    world.publish(gateway, items);
    let items = chain(&world, 9, 60, 1);
    world.publish(gateway, items.clone());
    let uncertified = chain(&world, 10, 3, 1);
    world.publish(gateway, uncertified);
    let heard: Vec<&Vec<u8>> = world.devices[gateway]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Intake { bytes } => Some(bytes),
            _ => None,
        })
        .collect();
    assert_eq!(heard, items[41..].iter().collect::<Vec<_>>());
}

/// The ids of the entries that a device has told its bank of.
fn told(world: &World, gateway: usize) -> BTreeSet<Hash> {
    let network = world.bank.id();
    let arrived = world.devices[gateway].events.iter().filter_map(|event| match event {
        Event::ItemNew { key: Key::Entry(_, id) } => Some(*id),
        Event::Intake { bytes } => match Item::decode(&network, bytes) {
            Ok(Item::Entry(entry)) => Some(entry.id()),
            _ => None,
        },
        _ => None,
    });
    arrived.collect()
}

/// A session verifies few entries of a proven author, so what it carries of the cache may be passed
/// over where it arrives: what pays a payee has to come by itself.
#[test]
fn every_payee_of_an_equivocator_brings_its_payment_to_the_gateway() {
    let mut world = World::new();
    let cheat = world.add(1, 10_000);
    let store = world.devices[cheat].store.clone();
    let mut paid = Vec::new();
    for seed in 2..26 {
        let clone = world.add_with(Some(1), Default::default(), store.clone());
        let payee = world.add(seed, 0);
        let link = world.connect(clone, payee, Over::Link);
        world.run();
        let request = world.request(payee, 1_000);
        let id = world.pay(clone, &request);
        world.run();
        assert_eq!(world.word(payee, &id), "received");
        world.cut(link);
        paid.push((payee, id));
    }
    for (payee, _) in &paid[1..] {
        world.connect(paid[0].0, *payee, Over::Link);
    }
    world.pass(600);
    assert!(paid.iter().all(|(payee, _)| world.holds_proof(*payee, &author(1))));
    world.cut_all();
    let config = hundi_engine::Config { intake: true, ..Default::default() };
    let gateway = world.add_with(None, config, Default::default());
    let certificate = world.bank.certificate();
    world.publish(gateway, vec![certificate]);
    for (payee, _) in &paid {
        world.connect(*payee, gateway, Over::Link);
    }
    world.pass(1_800);
    let told = told(&world, gateway);
    let lacking = paid.iter().filter(|(_, id)| !told.contains(id)).count();
    assert_eq!(lacking, 0, "of {} payments", paid.len());
    let status = world.devices[gateway].engine.status();
    assert_eq!(status.entries, 0, "{status:?}");
}

#[test]
fn a_body_swapped_for_another_burns_nobodys_verdict() {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 0);
    let link = world.connect(payer, payee, Over::Link);
    world.run();
    let request = world.request(payee, 500);
    world.cut(link);
    let id = world.pay(payer, &request);
    let key = Key::entry(author(1), id);
    let mut swapped = world.devices[payer].store.items[&key].clone();
    *swapped.last_mut().unwrap() ^= 1;
    let Answer::Publish(all) = world.command(payee, Command::Publish { items: vec![swapped] })
    else {
        panic!()
    };
    assert_eq!(all, [Published::Invalid]);
    world.connect(payer, payee, Over::Link);
    world.run();
    assert_eq!(world.word(payer, &id), "received");
}

#[test]
fn two_records_of_a_bank_with_one_version_are_kept_as_evidence() {
    let mut world = World::new();
    let device = world.add(1, 10_000);
    let ids = [Hash([1; 32]), Hash([2; 32])];
    let relay = world.add_relay();
    world.connect(device, relay, Over::Link);
    world.run();
    let words =
        ids.map(|id| world.bank.checkpoint(author(1), 1, None, &[(0, id, Outcome::Settled)]));
    let before = world.devices[relay].engine.status().faults;
    world.publish(relay, words.to_vec());
    assert_eq!((before, world.devices[relay].engine.status().faults), (0, 1));
    world.crash(relay);
    assert_eq!(world.devices[relay].engine.status().faults, 1);
}
