//! What has been looked at ahead is handled as if it had not been.

use crate::bank::{author, keys};
use crate::evidence::chain;
use crate::world::World;
use hundi_engine::output::Published;
use hundi_engine::{Answer, Command, Event, Input};

/// Publishes these items to a relay that knows the author, after `foresee` has looked at them.
fn publish(items: &[Vec<u8>], foreseen: &[&[u8]]) -> (Vec<Published>, Vec<Event>) {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let relay = world.add_relay();
    let grants: Vec<Vec<u8>> = world.devices[payer].store.items.values().cloned().collect();
    let now_ms = u64::from(world.now()) * 1_000;
    let device = &mut world.devices[relay];
    let input = |items: &[Vec<u8>]| Input::Command {
        id: 1,
        command: Command::Publish { items: items.to_vec() },
    };
    device.handle(now_ms, input(&grants));
    device.events.clear();
    device.engine.foresee([3; 32], foreseen.iter().copied(), &device.store);
    device.handle(now_ms, input(items));
    let Some(Answer::Publish(said)) = device.answers.remove(&1) else { panic!("no answer") };
    assert_eq!(device.engine.replica().is_proven(&author(1)), said.len() > 7);
    (said, device.events.clone())
}

#[test]
fn forged_doubled_and_contradicting_entries_are_told_apart_in_a_batch() {
    let world = World::new();
    let mut items = chain(&world, 1, 4, 0);
    let mut forged = items[3].clone();
    let end = forged.len() - 90; // within the signature, which is before the body of 80 bytes
    forged[end] ^= 1;
    items.insert(2, forged);
    items.push(items[0].clone());
    items.push(keys(1).signing.public().0.to_vec());
    let all: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
    let honest: Vec<&[u8]> =
        all.iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, item)| *item).collect();
    let alone = publish(&items, &[]);
    use Published::{Invalid, Known, Taken};
    assert_eq!(alone.0, [Taken, Taken, Invalid, Taken, Taken, Known, Invalid]);
    assert_eq!(publish(&items, &all), alone);
    assert_eq!(publish(&items, &honest), alone);

    items.extend(chain(&world, 1, 2, 1));
    let all: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
    let alone = publish(&items, &[]);
    assert_eq!(alone.0[7..], [Taken; 2]);
    assert_eq!(publish(&items, &all), alone);
}
