//! Honest devices under everything that may befall them (cuts, crashes, lost persists, gossip and
//! links mixed, clocks that pass): nobody is ever accused, everything ends in one verdict that
//! both sides know, and all hold the same core. The schedule follows from a seed.

use crate::bank::{amount, author};
use crate::world::{Over, World, pay};
use hundi_engine::wallet::{PaymentState, Purpose};
use hundi_engine::{Answer, Command, LinkId};
use hundi_ledger::id::Hash;
use hundi_ledger::record::receipt::PayeeVerdict;
use std::collections::BTreeMap;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

#[derive(Default, Debug)]
struct Reached {
    received: usize,
    refused: usize,
    refunds: usize,
    crashes: usize,
    lost_persists: usize,
    cuts: usize,
}

const DEVICES: usize = 5;

fn run(seed: u64, reached: &mut Reached) {
    let mut dice = Dice(seed);
    let mut world = World::new();
    for device in 0..DEVICES {
        world.add(device as u8 + 1, [20_000, 0][device % 2]);
    }
    let mut links: Vec<LinkId> = Vec::new();
    let mut told: BTreeMap<(usize, Hash), PaymentState> = BTreeMap::new();
    for _ in 0..200 {
        let (a, b) = (dice.roll(DEVICES), dice.roll(DEVICES));
        match dice.roll(12) {
            0 | 1 if a != b => {
                let over = [Over::Link, Over::Gossip][dice.roll(2)];
                links.push(world.connect(a, b, over));
            }
            2 if !links.is_empty() => {
                let at = dice.roll(links.len());
                world.cut(links.swap_remove(at));
                reached.cuts += 1;
            }
            3 | 4 if a != b => {
                let asked = 1 + dice.roll(300) as u64;
                // A request that is shown is durable.
                let acknowledges = std::mem::replace(&mut world.devices[b].acknowledges, true);
                world.acknowledge(b);
                let request = world.try_request(b, Some(asked), false);
                world.devices[b].acknowledges = acknowledges;
                if let Ok(request) = request {
                    world.begin(a, pay(&request));
                }
            }
            5 => {
                let history = world.devices[a].engine.history(&world.devices[a].store);
                let paid = history.iter().filter(|view| !view.outgoing);
                let paid: Vec<Hash> = paid.map(|view| view.id).collect();
                if !paid.is_empty() && dice.roll(3) == 0 {
                    let payment = paid[dice.roll(paid.len())];
                    let memo = hundi_ledger::codec::Text::default();
                    let command = Command::Refund { payment, sum: Some(amount(1)), memo };
                    world.begin(a, command);
                }
            }
            6 if dice.roll(4) == 0 => {
                world.crash(a);
                reached.crashes += 1;
            }
            7 if dice.roll(2) == 0 => world.devices[a].acknowledges = false,
            8 => {
                world.devices[a].acknowledges = true;
                if dice.roll(3) == 0 {
                    reached.lost_persists += world.devices[a].unacknowledged();
                    world.crash(a);
                } else {
                    world.acknowledge(a);
                }
            }
            9 => world.pass(1 + dice.roll(20) as u64),
            _ => {
                for _ in 0..dice.roll(40) {
                    world.deliver_one();
                }
            }
        }
        for (at, device) in world.devices.iter_mut().enumerate() {
            for (_, answer) in std::mem::take(&mut device.answers) {
                if let Answer::Pay(Ok(id)) | Answer::Refund(Ok(id)) = answer {
                    told.insert((at, id), PaymentState::Signed);
                }
            }
        }
    }
    // Heal: everybody meets everybody, nothing is lost any more.
    for device in 0..DEVICES {
        world.devices[device].acknowledges = true;
        world.acknowledge(device);
    }
    for device in 0..DEVICES {
        world.connect(device, (device + 1) % DEVICES, Over::Link);
    }
    world.pass(400);
    world.assert_converged();
    for device in 0..DEVICES {
        assert!(!world.is_stopped(device), "seed {seed}: nobody signed elsewhere");
        assert!(!world.holds_proof(device, &author(device as u8 + 1)));
    }
    for (payer, id) in told.keys() {
        assert!(
            world.devices[*payer].engine.payment(id, &world.devices[*payer].store).is_some(),
            "seed {seed}: told, then lost"
        );
    }
    let mut answered = BTreeMap::new();
    for payer in 0..DEVICES {
        for view in world.devices[payer].engine.history(&world.devices[payer].store) {
            let Some(party) = view.party.filter(|_| view.outgoing) else { continue };
            let payee = (0..DEVICES).find(|at| author(*at as u8 + 1) == party).unwrap();
            let theirs = world.view(payee, &view.id);
            assert_eq!(theirs.state, view.state, "seed {seed}: both know the same");
            assert_eq!(theirs.verdict, view.verdict);
            match view.verdict {
                Some(PayeeVerdict::Accepted) => {
                    reached.received += 1;
                    if let Purpose::Payment { request, .. } = view.purpose {
                        let other = answered.insert((payee, request.0), view.id);
                        assert_eq!(other, None, "seed {seed}: one request, one payment");
                    }
                }
                Some(_) => reached.refused += 1,
                None => panic!("seed {seed}: never answered: {view:?} {theirs:?}"),
            }
            reached.refunds += usize::from(matches!(view.purpose, Purpose::Refund { .. }));
        }
    }
}

#[test]
fn honest_devices_are_never_accused_and_always_agree() {
    let mut reached = Reached::default();
    for seed in 0..60 {
        run(seed, &mut reached);
    }
    println!("{reached:?}");
    assert!(reached.received > 300 && reached.refunds > 20, "{reached:?}");
    assert!(
        reached.crashes > 50 && reached.lost_persists > 20 && reached.cuts > 300,
        "{reached:?}"
    );
}
