//! Contacts that are too short for what they have to carry: a phone that walks between two
//! villages, and two nodes that differ by much and meet often. What counts is that every contact
//! gains, that nothing is lost, and how much more than the items has travelled in the end.

use super::Options;
use super::contact::{Contact, Opening, meet};
use super::difference::{Mix, Pair, Placement};
use super::report::{Report, Walk};
use super::sets::SHAPE;
use super::world::{Node, Shape, World};
use crate::demo::Progress;
use crate::process::check_interrupted;
use anyhow::Result;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Bytes of a contact of 3 seconds at 15 kB/s, both directions together.
pub const WALK_CONTACT_BYTES: u64 = 3 * 15_000;
/// Bytes of a short contact, both directions together.
pub const SHORT_CONTACT_BYTES: u64 = 10 * 1024;
/// Contacts in a row that bring nothing new after which a walk is given up.
const FRUITLESS_MAX: u64 = 16;

/// A handshake hash of its own for every contact.
pub(super) fn handshake(seed: u64, contact: u64) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&seed.to_le_bytes());
    hash[8..16].copy_from_slice(&contact.to_le_bytes());
    hash
}

/// Two villages whose devices hold what their own people have signed, and a phone that goes from
/// one to the other until both hold everything.
///
/// # Errors
/// When a part fails or a person interrupts.
pub(super) fn villages(options: &Options, report: &mut Report, progress: &Progress) -> Result<()> {
    let people = if options.quick { 20 } else { 100 };
    let entries = if options.quick { 10 } else { 50 };
    progress.say(&format!("two villages of {people} authors with {entries} entries each"));
    let world = World::new(2, 2 * people, Shape { enrolled: true, entries })?;
    let mut villages = [world.empty_node()?, world.empty_node()?];
    for (at, writer) in world.writers.iter().enumerate() {
        for (_, bytes) in world.pieces_of(&writer.id) {
            villages[at / people].take(bytes)?;
        }
    }
    let mut walk = Walk::new("villages", WALK_CONTACT_BYTES);
    let mut phone = world.empty_node()?;
    let [mut here, mut there] = villages;
    while !is_over(&walk, [&here, &there], &world) {
        check_interrupted()?;
        let mut nodes = [phone, here];
        let told = meet(
            &mut nodes,
            &handshake(3, walk.contacts),
            Opening::Advertised,
            Some(WALK_CONTACT_BYTES),
        )?;
        walk.add(&told);
        let visited;
        [phone, visited] = nodes;
        here = there;
        there = visited;
    }
    walk.converged = hold_everything([&here, &there], &world);
    walk.entries = u64::from(entries) * 2 * people as u64;
    report.expect_of_walk(&walk);
    progress.say(&walk.line());
    report.walks.push(walk);
    Ok(())
}

/// Two nodes that differ by many authors and meet for a few kilobytes at a time.
///
/// # Errors
/// When a part fails or a person interrupts.
pub(super) fn contacts(options: &Options, report: &mut Report, progress: &Progress) -> Result<()> {
    let difference = if options.quick { 100 } else { 1_000 };
    let world = World::new(4, 10 * difference, SHAPE)?;
    progress
        .say(&format!("{difference} differing authors in contacts of {SHORT_CONTACT_BYTES} bytes"));
    let mut pair = Pair::new(&world);
    let mut dice = ChaCha8Rng::seed_from_u64(5);
    pair.differ(Mix::Mixed, Placement::Scattered, difference, &mut dice)?;
    let mut walk = Walk::new("contacts", SHORT_CONTACT_BYTES);
    let equal = |pair: &Pair<'_>| {
        let [first, second] = &pair.nodes;
        first.replica.digest() == second.replica.digest()
    };
    while !equal(&pair) && walk.fruitless_in_a_row < FRUITLESS_MAX {
        check_interrupted()?;
        let hash = handshake(5, walk.contacts);
        let budget = Some(SHORT_CONTACT_BYTES);
        walk.add(&meet(&mut pair.nodes, &hash, Opening::Advertised, budget)?);
    }
    walk.converged = equal(&pair);
    walk.difference = difference as u64;
    report.expect_of_walk(&walk);
    progress.say(&walk.line());
    report.walks.push(walk);
    Ok(())
}

fn hold_everything(villages: [&Node; 2], world: &World) -> bool {
    let all = world.base.replica.digest();
    villages.iter().all(|village| village.replica.digest() == all)
}

fn is_over(walk: &Walk, villages: [&Node; 2], world: &World) -> bool {
    walk.fruitless_in_a_row >= FRUITLESS_MAX || hold_everything(villages, world)
}

impl Walk {
    fn add(&mut self, told: &Contact) {
        self.contacts += 1;
        self.total_bytes += told.cost.total();
        self.payload_bytes += told.cost.missing();
        self.items += told.new_items;
        let peak = told.cost.meter.peak_bytes.into_iter().max().unwrap_or(0);
        self.peak_session_bytes = self.peak_session_bytes.max(peak);
        if told.new_items == 0 {
            self.fruitless += 1;
            self.fruitless_in_a_row += 1;
        } else {
            self.fruitless_in_a_row = 0;
        }
    }
}
