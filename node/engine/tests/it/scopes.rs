//! Devices with little room: they carry a part of what others pay, and pay and are paid like anybody.

use crate::bank::{amount, author, sealing};
use crate::world::{Over, World};
use hundi_engine::{Config, Input};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::replica::range::Range;

fn small() -> Config {
    Config { scope_bits: 2, resident_authors: 0, ..Config::default() }
}

#[test]
fn devices_with_little_room_pay_each_other() {
    let mut paid = 0;
    for seeds in [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]] {
        let mut world = World::new();
        let [payer, payee] = seeds.map(|seed| world.add_as(seed, 10_000, small()));
        let relay = world.add_relay();
        world.connect(payer, payee, Over::Link);
        world.connect(payee, relay, Over::Link);
        world.run();
        let replica = world.devices[payee].engine.replica();
        assert_eq!(replica.scope().bits(), 2);
        assert!(!replica.is_outside(&author(seeds[1])), "a device is in its own scope");
        paid += u32::from(replica.is_outside(&author(seeds[0])));
        let mut ids = Vec::new();
        for at in 0..3 {
            let request = world.request(payee, 100 + at);
            ids.push(world.pay(payer, &request));
            world.run();
        }
        for id in &ids {
            for device in [payer, payee] {
                assert_eq!(world.word(device, id), "received", "{seeds:?}");
            }
        }
        // Carried on to whoever keeps everybody, with the session or the next.
        world.pass(60);
        assert_eq!(world.devices[relay].engine.status().entries, 3, "{seeds:?}");
        world.crash(payee);
        world.connect(payer, payee, Over::Link);
        world.run();
        let settled: Vec<_> =
            (0..3).zip(&ids).map(|(at, id)| (at, *id, Outcome::Settled)).collect();
        let checkpoint = world.bank.checkpoint(author(seeds[0]), 1, Some((2, ids[2])), &settled);
        world.publish(relay, vec![checkpoint]);
        world.connect(payer, relay, Over::Link);
        world.pass(60);
        for id in &ids {
            for device in [payer, payee] {
                assert_eq!(world.word(device, id), "settled", "{seeds:?}");
            }
        }
        let of = &world.devices[payee];
        let balance = of.engine.balance(world.now(), &of.store).unwrap();
        assert_eq!(balance.received_settled, amount(303));
    }
    assert!(paid >= 2, "some payers lie outside the scope of their payee");
}

/// Another scope on the next start: what is summed up is summed up anew.
#[test]
fn a_device_may_change_its_scope_between_starts() {
    let mut world = World::new();
    let device = world.add(1, 1_000);
    let grants: Vec<_> =
        (20..90).map(|seed| world.bank.grant(author(seed), sealing(seed), 0, 0)).collect();
    let items = grants.into_iter().map(|grant| world.bank.granted(grant)).collect();
    world.publish(device, items);
    let all = world.devices[device].engine.digest();
    assert_eq!(world.devices[device].engine.replica().core_len(), 71);
    for (bits, least, most) in [(2, 5, 40), (0, 71, 71), (1, 20, 60)] {
        world.devices[device].config.scope_bits = bits;
        world.crash(device);
        world.input(device, Input::Tick);
        let of = &world.devices[device];
        let replica = of.engine.replica();
        assert_eq!(replica.scope() == Range::ALL, bits == 0);
        assert!((least..=most).contains(&replica.core_len()), "{bits}: {}", replica.core_len());
        assert_eq!(of.engine.digest() == all, bits == 0);
        // Few enough to be kept in the cache: nothing is lost while the scope is narrow.
        assert_eq!(replica.authors().len(), 71);
        world.crash(device);
        assert_eq!(world.devices[device].engine.replica().scope().bits(), bits);
    }
}
