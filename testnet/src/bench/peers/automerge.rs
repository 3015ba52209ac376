//! Automerge on the items of two nodes: a document per side, a map from author to a map from item
//! to its bytes. Both documents share the world's one, which has one change for each author: a
//! change for each item would be nearer to how they were made and costs Automerge four times as
//! much metadata and memory, and a single change has it send the whole document. What was made
//! after the world has a change for each item. The sides meet for the first time, with fresh sync
//! states, and each side speaks as soon as it has heard.
//!
//! Automerge merges inside the call that takes a message, so its processor time includes what is
//! left out of the others': taking what arrived. It verifies no signatures.

use crate::bench::difference::Difference;
use crate::bench::measure::{LENGTH_BYTES, Meter, Sample};
use crate::bench::world::{Piece, World};
use crate::process::check_interrupted;
use ::automerge::sync::{Message, State, SyncDoc};
use ::automerge::transaction::Transactable;
use ::automerge::{Automerge, ObjType, ROOT, ReadDoc};
use anyhow::{Context, Result, bail};
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::item::Subject;
use hundi_ledger::replica::Key;
use std::fmt::Write as _;

/// Trips after which an exchange is given up.
const TRIPS_MAX: u64 = 1_000;

/// The document that holds a whole world.
///
/// # Errors
/// When Automerge does not take it.
pub fn document(world: &World) -> Result<Automerge> {
    let mut document = Automerge::new();
    for writer in &world.writers {
        check_interrupted()?;
        let mut transaction = document.transaction();
        let map = transaction.put_object(ROOT, author_name(&writer.id), ObjType::Map)?;
        for (key, bytes) in world.pieces_of(&writer.id) {
            transaction.put(&map, item_name(key), bytes.clone())?;
        }
        transaction.commit();
    }
    Ok(document)
}

/// Two documents that share a world's.
pub struct Documents([Automerge; 2]);

impl Documents {
    /// Two copies of a world's document.
    pub fn new(base: &Automerge) -> Self {
        Self([base.fork(), base.fork()])
    }

    /// Has each side hold what it alone holds, then lets them meet.
    ///
    /// # Errors
    /// When Automerge fails, or the sides do not end with the same items.
    pub fn exchange(&mut self, difference: &Difference) -> Result<Sample> {
        for (document, pieces) in self.0.iter_mut().zip(&difference.only) {
            for piece in pieces {
                add(document, piece)?;
            }
        }
        let mut told = self.meet(difference.only.iter().all(Vec::is_empty))?;
        told.items = difference.bytes();
        self.check(difference)?;
        Ok(told)
    }

    fn meet(&mut self, equal: bool) -> Result<Sample> {
        let mut told = Sample { contacts: 1, ..Sample::default() };
        let mut states = [State::new(), State::new()];
        let mut meter = Meter::default();
        // The initiator speaks first; from then on whoever has heard something answers.
        let mut flying = [self.speak(0, &mut states, &mut meter), None];
        for trip in 1..=TRIPS_MAX {
            if flying.iter().all(Option::is_none) {
                told.meter = meter;
                return Ok(told);
            }
            let mut heard = [false; 2];
            for (from, message) in std::mem::take(&mut flying).into_iter().enumerate() {
                let Some(bytes) = message else { continue };
                told.sent[from] += bytes.len() as u64 + LENGTH_BYTES;
                let (to, state) = (1 - from, &mut states[1 - from]);
                let document = &mut self.0[to];
                let held = document.get_heads();
                meter.run(
                    to,
                    || -> Result<()> {
                        let message = Message::decode(&bytes)?;
                        Ok(document.receive_sync_message(state, message)?)
                    },
                    |_| 0,
                )?;
                if document.get_heads() != held {
                    told.half_trips = trip;
                    told.half_trips_first.get_or_insert(trip);
                }
                heard[to] = true;
            }
            if equal {
                told.half_trips = trip;
            }
            for side in [0, 1] {
                if heard[side] {
                    flying[side] = self.speak(side, &mut states, &mut meter);
                }
            }
        }
        bail!("Automerge takes more than {TRIPS_MAX} trips")
    }

    fn speak(&self, side: usize, states: &mut [State; 2], meter: &mut Meter) -> Option<Vec<u8>> {
        let (document, state) = (&self.0[side], &mut states[side]);
        meter.run(
            side,
            || document.generate_sync_message(state).map(Message::encode),
            |message| message.as_ref().map_or(0, Vec::capacity),
        )
    }

    fn check(&self, difference: &Difference) -> Result<()> {
        let [first, second] = &self.0;
        if first.get_heads() != second.get_heads() {
            bail!("Automerge leaves the sides with different documents");
        }
        for piece in difference.only.iter().flatten() {
            for document in &self.0 {
                let (_, map) = document
                    .get(ROOT, author_name(&author(&piece.key)?))?
                    .context("Automerge has lost an author")?;
                let held = document.get(map, item_name(&piece.key))?;
                if held.and_then(|(value, _)| value.as_bytes().map(<[u8]>::to_vec))
                    != Some(piece.bytes.clone())
                {
                    bail!("Automerge has lost an item");
                }
            }
        }
        Ok(())
    }
}

/// Adds one item as a change of its own.
fn add(document: &mut Automerge, piece: &Piece) -> Result<()> {
    let name = author_name(&author(&piece.key)?);
    let known = document.get(ROOT, &name)?.map(|(_, map)| map);
    let mut transaction = document.transaction();
    let map = match known {
        Some(map) => map,
        None => transaction.put_object(ROOT, &name, ObjType::Map)?,
    };
    transaction.put(&map, item_name(&piece.key), piece.bytes.clone())?;
    transaction.commit();
    Ok(())
}

fn author(key: &Key) -> Result<AuthorId> {
    match key.subject() {
        Subject::Author(author) => Ok(author),
        Subject::Bank(_) => bail!("an item about no author"),
    }
}

fn author_name(author: &AuthorId) -> String {
    hex(&author.key.0)
}

/// What tells the items of one author apart.
fn item_name(key: &Key) -> String {
    match key {
        Key::Grant(_, serial) => format!("g{}", serial.0),
        other => hex(&other.within()[1..9]),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::difference::{Mix, Pair, Placement};
    use crate::bench::world::Shape;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn both_sides_end_with_everything_that_was_missing() {
        let world = World::new(1, 60, Shape { enrolled: true, entries: 2 }).unwrap();
        let base = document(&world).unwrap();
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for authors in [0, 1, 20] {
            let mut pair = Pair::new(&world);
            let difference =
                pair.differ(Mix::Mixed, Placement::Recent, authors, &mut dice).unwrap();
            let told = Documents::new(&base).exchange(&difference).unwrap();
            assert_eq!(told.items, difference.bytes());
            assert_eq!(told.half_trips_first.is_some(), authors > 0);
            assert!(told.sent.iter().all(|bytes| *bytes > 0));
        }
    }
}
