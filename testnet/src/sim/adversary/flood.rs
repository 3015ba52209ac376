//! Floods: from somebody without a certificate, who may cost others little, and from somebody with
//! one, whose window is the bound.

use super::super::identity::{Identity, START};
use super::super::world::World;
use super::forge::{self, Place};
use hundi_ledger::id::{BankNumber, Hash, Serial};

/// Frames in one moment.
const FRAMES: u64 = 12;
/// Numbers of keys that no bank knows.
const UNKNOWN_KEYS: u32 = 1 << 20;

/// Sends bytes that mean nothing, and entries of keys that nobody knows.
pub(in super::super) struct Flooder;

impl Flooder {
    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        for link in world.node(me).links.clone() {
            for _ in 0..FRAMES {
                let dice = world.schemes.get_mut(&me)?;
                let frame = if dice.percent(50) {
                    let mut frame = dice.bytes().to_vec();
                    frame[0] %= 20;
                    frame
                } else {
                    let number = UNKNOWN_KEYS + dice.below(1 << 16) as u32;
                    let stranger = Identity::new(world.seed, number, BankNumber(1));
                    forge::as_item(&entry(world, me, stranger, 0)?)
                };
                world.transmit(me, link, frame);
            }
        }
        let dice = world.schemes.get_mut(&me)?;
        Some(dice.between(5_000, 60_000))
    }
}

/// Signs what nobody will ever settle: beyond the window, and one place again and again.
#[derive(Default)]
pub(in super::super) struct CertifiedFlooder {
    sequence: u32,
}

impl CertifiedFlooder {
    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        for link in world.node(me).links.clone() {
            self.link_up(world, me, link);
        }
        let dice = world.schemes.get_mut(&me)?;
        Some(dice.between(10_000, 120_000))
    }

    pub(super) fn link_up(&mut self, world: &mut World, me: u32, link: u64) {
        let Some(identity) = world.node(me).device.identity else { return };
        for _ in 0..FRAMES {
            let Some(dice) = world.schemes.get_mut(&me) else { return };
            // Half of them in a row, far beyond the window; the others anywhere below.
            let sequence = if dice.percent(50) {
                self.sequence += 1;
                self.sequence
            } else {
                dice.below(80) as u32
            };
            let Some(entry) = entry(world, me, identity, sequence) else { return };
            world.transmit(me, link, forge::as_item(&entry));
        }
    }
}

/// An entry that pays nobody in particular.
fn entry(
    world: &mut World,
    me: u32,
    identity: Identity,
    sequence: u32,
) -> Option<hundi_ledger::record::entry::Entry> {
    let time = START + (world.now_ms() / 1000) as u32;
    let dice = world.schemes.get_mut(&me)?;
    let (previous, minor) = (Hash(dice.bytes()), dice.between(1, 30));
    let request = forge::request(world, identity, time)?;
    let start = 30 * u64::from(sequence.min(100));
    let (serial, wrong_key) = (Serial(1), false);
    let place = Place { sequence, previous, serial, start, time, wrong_key };
    forge::payment(world, identity, &place, minor, &request)
}
