//! The crate `negentropy` on the items of two nodes: pairs of an item's time and id, without a
//! frame limit. Ids alone are no entries, so what is found is exchanged on the same link: the
//! initiator sends the items that it has and the ids that it needs as soon as it knows them,
//! together with its next message, and the responder answers with the items.
//!
//! Its sorted store does not depend on the link and is kept between contacts, so building it is
//! counted neither as time nor as memory of a session; comparing it with a peer's is.

use crate::bench::difference::{Difference, Pair};
use crate::bench::measure::{LENGTH_BYTES, Meter, Sample};
use crate::bench::world::Piece;
use ::negentropy::{Id, Negentropy, NegentropyStorageVector};
use anyhow::{Context, Result, anyhow, bail};
use hundi_ledger::id::Hash;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of an id on the link.
const ID_BYTES: u64 = 32;
/// Bytes of the tag before an item, as our own session has it.
const TAG_BYTES: u64 = 1;

struct Exchange<'difference> {
    pieces: [BTreeMap<Hash, &'difference Piece>; 2],
    arrived: [BTreeSet<Hash>; 2],
    told: Sample,
}

/// Reconciles the two sides of a difference and exchanges what is missing.
///
/// # Errors
/// When the crate refuses its own messages, or the sides do not end with the same items.
pub fn exchange(pair: &Pair<'_>, difference: &Difference) -> Result<Sample> {
    let stores = [store(pair, &difference.only[0])?, store(pair, &difference.only[1])?];
    let mut sides = [Negentropy::borrowed(&stores[0], 0)?, Negentropy::borrowed(&stores[1], 0)?];
    let by_id = |side: usize| difference.only[side].iter().map(|one| (one.id, one)).collect();
    let mut exchange = Exchange {
        pieces: [by_id(0), by_id(1)],
        arrived: Default::default(),
        told: Sample { contacts: 1, ..Sample::default() },
    };
    let mut meter = Meter::default();
    let query = meter.run(0, || sides[0].initiate(), length)?;
    let mut query = Some(query);
    let mut needed: Vec<Id> = Vec::new();
    let mut trip = 0;
    loop {
        trip += 1;
        exchange.send_items(1, &std::mem::take(&mut needed), trip + 1)?;
        let Some(message) = query else { break };
        exchange.told.sent[0] += message.len() as u64 + LENGTH_BYTES;
        let answer = meter.run(1, || sides[1].reconcile(&message), length)?;
        exchange.told.sent[1] += answer.len() as u64 + LENGTH_BYTES;
        trip += 1;
        let mut have = Vec::new();
        query = meter.run(
            0,
            || sides[0].reconcile_with_ids(&answer, &mut have, &mut needed),
            |query| query.as_ref().map_or(0, |query| query.as_ref().map_or(0, Vec::capacity)),
        )?;
        if difference.only.iter().all(Vec::is_empty) {
            exchange.told.half_trips = trip;
        }
        exchange.send_items(0, &have, trip + 1)?;
        if !needed.is_empty() {
            exchange.told.sent[0] += needed.len() as u64 * ID_BYTES + LENGTH_BYTES;
        }
    }
    exchange.told.meter = meter;
    exchange.check()
}

impl Exchange<'_> {
    /// One side sends the items of these ids; they arrive at that trip.
    fn send_items(&mut self, from: usize, ids: &[Id], trip: u64) -> Result<()> {
        for id in ids {
            let id = Hash(**id);
            let piece = self.pieces[from].get(&id).context("an id that the peer holds too")?;
            let bytes = piece.bytes.len() as u64;
            self.told.sent[from] += bytes + TAG_BYTES + LENGTH_BYTES;
            if self.arrived[1 - from].insert(id) {
                self.told.items[from] += bytes;
                self.told.half_trips = self.told.half_trips.max(trip);
                self.told.half_trips_first.get_or_insert(trip);
            }
        }
        Ok(())
    }

    fn check(self) -> Result<Sample> {
        for side in [0, 1] {
            if !self.arrived[1 - side].iter().eq(self.pieces[side].keys()) {
                bail!("negentropy leaves the sides with different items");
            }
        }
        Ok(self.told)
    }
}

/// Everything that a side holds, sorted.
fn store(pair: &Pair<'_>, own: &[Piece]) -> Result<NegentropyStorageVector> {
    let kept = pair.world().catalogue.iter().chain(&pair.exchanged).copied();
    let mut store = NegentropyStorageVector::new();
    for (time, id) in kept.chain(own.iter().map(|piece| (piece.time, piece.id))) {
        store.insert(u64::from(time), Id::from_byte_array(id.0))?;
    }
    store.seal().map_err(|error| anyhow!("negentropy cannot sort: {error}"))?;
    Ok(store)
}

fn length<E>(message: &Result<Vec<u8>, E>) -> usize {
    message.as_ref().map_or(0, Vec::capacity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::difference::{Mix, Placement};
    use crate::bench::world::{Shape, World};
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn both_sides_end_with_everything_that_was_missing() {
        let world = World::new(1, 60, Shape { enrolled: true, entries: 2 }).unwrap();
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for authors in [0, 1, 20] {
            let mut pair = Pair::new(&world);
            let difference =
                pair.differ(Mix::Mixed, Placement::Recent, authors, &mut dice).unwrap();
            let told = exchange(&pair, &difference).unwrap();
            assert_eq!(told.items, difference.bytes());
            assert_eq!(told.half_trips_first.is_some(), authors > 0);
            assert!(told.metadata().iter().all(|bytes| *bytes > 0));
        }
    }
}
