//! Nothing is told before it is durable; what was told survives; a run is a file.

use crate::bank::{author, keys};
use crate::device::{Device, Store};
use crate::world::{Over, World, pay};
use hundi_engine::output::{PayError, SignError, Unable};
use hundi_engine::{Answer, Config, Engine, Input, Output, Outputs, Write};
use hundi_ledger::sign::Verifier;
use std::collections::BTreeMap;

#[test]
fn nothing_leaves_before_its_persist_is_acknowledged() {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 0);
    world.connect(payer, payee, Over::Link);
    world.run();
    let request = world.request(payee, 1_000);
    world.devices[payer].acknowledges = false;
    let sends = world.devices[payer].sends;
    let command = world.begin(payer, pay(&request));
    assert!(world.devices[payer].sends > sends, "the offer is asked for");
    let delivered = world.delivered;
    world.run();
    assert_eq!(world.delivered, delivered, "but nothing has left");
    assert!(!world.devices[payer].answers.contains_key(&command), "nobody was told");
    assert!(world.devices[payee].engine.history(&world.devices[payee].store).is_empty());
    world.acknowledge(payer);
    let Some(Answer::Pay(Ok(id))) = world.devices[payer].answers.remove(&command) else { panic!() };
    // The payee's verdict is held back just the same.
    world.devices[payee].acknowledges = false;
    world.run();
    assert_eq!(world.word(payee, &id), "received");
    assert_eq!(world.word(payer, &id), "signed");
    world.acknowledge(payee);
    world.devices[payer].acknowledges = true;
    world.run();
    assert_eq!(world.word(payer, &id), "received");
}

#[test]
fn a_failed_persist_stops_signing_and_sending() {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 0);
    let link = world.connect(payer, payee, Over::Link);
    world.run();
    let request = world.request(payee, 1_000);
    world.devices[payer].acknowledges = false;
    world.begin(payer, pay(&request));
    let now_ms = world.now_ms;
    world.devices[payer].fail(now_ms);
    let sends = world.devices[payer].sends;
    let failed = PayError::Sign(SignError::Unable(Unable::StoreFailed));
    assert_eq!(world.try_pay(payer, &request), Err(failed));
    world.input(payer, Input::Tick);
    world.input(payer, Input::Message { link, bytes: vec![1; 14] });
    world.input(payer, Input::LinkDown { link });
    let bytes = world.bank.certificate();
    world.input(payer, Input::Gossip { handle: 1, bytes });
    world.run();
    assert_eq!(world.devices[payer].sends, sends);
    assert!(world.devices[payee].engine.history(&world.devices[payee].store).is_empty());
    // Loaded anew from what is durable, it signs what never left, without contradiction.
    world.crash(payer);
    assert!(world.devices[payer].engine.history(&world.devices[payer].store).is_empty());
    let id = world.pay(payer, &request);
    world.connect(payer, payee, Over::Link);
    world.run();
    assert_eq!(world.word(payer, &id), "received");
    assert!(!world.holds_proof(payee, &author(1)));
}

#[test]
fn a_crash_between_persist_and_send_resumes_and_pays_once() {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 0);
    let request = world.request(payee, 1_000);
    // Durable, but there was no link to send on.
    let id = world.pay(payer, &request);
    world.crash(payer);
    assert_eq!(world.word(payer, &id), "signed");
    assert_eq!(world.try_pay(payer, &request), Ok(id), "the payment that was made");
    world.connect(payer, payee, Over::Link);
    world.run();
    assert_eq!(world.word(payer, &id), "received");
    assert_eq!(world.devices[payee].engine.history(&world.devices[payee].store).len(), 1);
    let next = world.request(payee, 10);
    let next = world.pay(payer, &next);
    world.run();
    assert_eq!(world.word(payer, &next), "received");
    assert_eq!(world.view(payer, &next).sequence, 1);
    assert!(!world.is_stopped(payer));
}

#[test]
fn crashes_at_every_step_of_a_payment_end_in_one_received_payment() {
    for steps in 0.. {
        let mut world = World::new();
        let payer = world.add(1, 10_000);
        let payee = world.add(2, 0);
        world.connect(payer, payee, Over::Link);
        world.run();
        let request = world.request(payee, 1_000);
        let id = world.pay(payer, &request);
        let done = (0..steps).any(|_| !world.deliver_one());
        for device in [payer, payee] {
            world.crash(device);
        }
        assert_eq!(world.try_pay(payer, &request), Ok(id));
        world.connect(payer, payee, Over::Link);
        world.run();
        for device in [payer, payee] {
            assert_eq!(world.word(device, &id), "received", "after {steps} steps");
            assert!(!world.is_stopped(device));
        }
        world.assert_converged();
        if done {
            assert!(steps > 1, "offer and answer were cut");
            break;
        }
    }
}

#[test]
fn a_recorded_run_replays_to_the_same_outputs() {
    let mut world = World::new();
    let payer = world.add_with(Some(1), Config::default(), Store::default());
    world.devices[payer].recording = Some(Vec::new());
    let mut items = vec![world.bank.certificate()];
    for (serial, limit) in [(0, 0), (1, 10_000)] {
        let grant = world.bank.grant(author(1), crate::bank::sealing(1), serial, limit);
        items.push(world.bank.granted(grant));
    }
    world.publish(payer, items);
    let payee = world.add(2, 500);
    let relay = world.add_relay();
    world.connect(payer, relay, Over::Gossip);
    world.connect(payer, payee, Over::Link);
    world.run();
    let request = world.request(payee, 1_000);
    let id = world.pay(payer, &request);
    world.pass(40);
    world.try_refund(payee, id, None).unwrap();
    world.pass(40);
    let calls = world.devices[payer].recording.take().unwrap();
    assert!(calls.len() > 20);
    let network = world.bank.network.clone();
    let mut engine = Engine::load(
        Config::default(),
        network,
        Some(keys(1)),
        vec![],
        vec![],
        &mut Verifier::default(),
    )
    .unwrap();
    let secrets = [keys(1).signing.to_seed().to_vec(), keys(1).sealing.to_bytes().to_vec()];
    for (at, call) in calls.iter().enumerate() {
        let input: Input = borsh::from_slice(&call.input).unwrap();
        let outputs = engine.handle(call.now_ms, call.entropy, input, &call.shelf);
        let bytes = borsh::to_vec(&outputs).unwrap();
        assert_eq!(bytes, call.outputs, "call {at}");
        let again: Outputs = borsh::from_slice(&bytes).unwrap();
        assert_eq!(again, outputs);
        for secret in &secrets {
            let holds = |bytes: &[u8]| bytes.windows(32).any(|window| window == &secret[..]);
            assert!(!holds(&call.input) && !holds(&bytes), "a key in a recorded run");
        }
    }
}

#[test]
fn loading_restores_everything_that_is_shown() {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 500);
    world.connect(payer, payee, Over::Link);
    world.run();
    let request = world.request(payee, 1_000);
    let id = world.pay(payer, &request);
    world.run();
    world.try_refund(payee, id, Some(10)).unwrap();
    world.pass(60);
    for device in [payer, payee] {
        let device = &world.devices[device];
        let loaded = Device::new(&world.bank, device.seed, Config::default(), device.store.clone());
        let (old, new) = (&device.engine, &loaded.engine);
        assert_eq!(old.digest(), new.digest());
        let shelf = &device.store;
        assert_eq!(old.history(shelf), new.history(shelf));
        assert_eq!(old.balance(world.now(), shelf), new.balance(world.now(), shelf));
        assert_eq!(old.keys(shelf), new.keys(shelf));
        for key in old.keys(shelf) {
            assert!(device.store.items.contains_key(&key), "{key:?}");
        }
        assert_eq!(old.keys(shelf).len(), device.store.items.len(), "nothing else is stored");
    }
}

/// Certificate and a grant for each of many authors, published to a relay.
fn crowded() -> (World, usize) {
    let mut world = World::new();
    let relay = world.add_relay();
    let granted = |seed: u8| {
        let grant = world.bank.grant(author(seed), crate::bank::sealing(seed), 0, 0);
        world.bank.granted(grant)
    };
    let items = (1..=40).map(granted).collect();
    world.publish(relay, items);
    (world, relay)
}

#[test]
fn a_store_without_summaries_is_loaded_in_full_and_has_them_afterwards() {
    let (mut world, relay) = crowded();
    let store = &mut world.devices[relay].store;
    let with = store.state.clone();
    assert_eq!(with.len(), 40 + 1, "one for each author, and the mark");
    // As an earlier build left it, with one author in the state of whom nothing is known.
    let left = world.devices[relay].store.clone();
    let unknown = [&b"author/"[..], &author(77).to_bytes()].concat();
    let states = [
        BTreeMap::new(),
        BTreeMap::from([(unknown, vec![1, 2, 3])]),
        with.clone().into_iter().filter(|(key, _)| key != b"authors").collect(),
        with.clone().into_iter().map(|(key, bytes)| (key, [&bytes[..], &[9]].concat())).collect(),
    ];
    for state in states {
        let store = Store { state, ..left.clone() };
        assert!(store.opening(&world.bank, None, &Config::default()).is_none());
        let loaded = world.add_with(None, Config::default(), store);
        world.input(loaded, Input::Tick);
        assert_eq!(world.devices[loaded].store.state, with);
        assert!(
            world.devices[loaded].store.opening(&world.bank, None, &Config::default()).is_some()
        );
        world.crash(loaded);
        assert_eq!(world.devices[loaded].engine.digest(), world.devices[relay].engine.digest());
    }
}

/// The mark is gone before the first of the new summaries comes, and back with the last.
#[test]
fn summaries_that_are_cut_off_are_not_taken_for_whole() {
    let (world, relay) = crowded();
    let device = &world.devices[relay];
    let mut engine = device.store.load(&world.bank, None, &Config::default());
    let outputs = engine.handle(world.now_ms, [1; 32], Input::Tick, &device.store);
    let Some(Output::Persist { writes, .. }) = outputs.first() else { panic!("{outputs:?}") };
    let mark = |write: &Write| match write {
        Write::DeleteState { key } => key == b"authors",
        _ => false,
    };
    assert!(mark(&writes[0]));
    let last = writes.last().unwrap();
    assert!(matches!(last, Write::State { key, .. } if key == b"authors"), "{last:?}");
    assert_eq!(writes.len(), 1 + 40 + 1);
}
