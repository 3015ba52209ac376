//! What is written to a device's store: batches of puts and deletes, each a function of its number,
//! in segments so small that new ones and compaction are cut as well.

use super::contents::{Failure, Found, Load, Model};
use super::writer::Said;
use anyhow::Result;
use hundi_node::store::{Store, StoreOptions, Write};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;

/// Where the number of the last batch stands.
const COUNTER: (&[u8], &[u8]) = (b"counter", b"batch");
/// Bytes of a segment.
const SEGMENT_BYTES: u64 = 64 * 1024;
/// Bytes that are looked at for compaction after every batch.
const COMPACTION_BYTES: u64 = 16 * 1024;

type Contents = BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>;

/// Batch number `n`.
fn batch(n: u64) -> Vec<Write> {
    let mut dice = ChaCha8Rng::seed_from_u64(n);
    let mut below = |bound: u64| dice.next_u64() % bound;
    let mut batch = Vec::new();
    for _ in 0..1 + below(12) {
        let subject = vec![below(12) as u8; 33];
        let key = below(30).to_le_bytes().to_vec();
        if below(4) == 0 {
            batch.push(Write::Delete { subject, key });
        } else {
            let value = vec![n as u8; below(900) as usize];
            batch.push(Write::Put { subject, key, value });
        }
    }
    let (subject, key) = (COUNTER.0.to_vec(), COUNTER.1.to_vec());
    batch.push(Write::Put { subject, key, value: n.to_le_bytes().to_vec() });
    batch
}

fn options(options: StoreOptions) -> StoreOptions {
    StoreOptions { segment_bytes: SEGMENT_BYTES, ..options }
}

fn count(store: &Store) -> Result<u64> {
    let value = store.get(COUNTER.0, COUNTER.1)?;
    Ok(match value {
        Some(value) => u64::from_le_bytes(value.as_slice().try_into()?),
        None => 0,
    })
}

/// The writing side.
pub(super) struct Writing {
    store: Store,
    done: u64,
}

impl Writing {
    /// Opens the store and goes on after what is there.
    pub(super) fn open(dir: &Path, store: StoreOptions) -> Result<Self> {
        let (store, _) = Store::open(dir, options(store))?;
        let done = count(&store)?;
        Ok(Self { store, done })
    }
}

impl Load for Writing {
    fn done(&self) -> u64 {
        self.done
    }

    fn write(&mut self) -> Result<bool> {
        self.done += 1;
        self.store.commit(&batch(self.done))?;
        Ok(self.store.compact(COMPACTION_BYTES)?.freed_bytes > 0)
    }
}

/// What must be in the store.
#[derive(Default)]
pub(super) struct Expected {
    done: u64,
    contents: Contents,
}

impl Expected {
    fn follow(&mut self, done: u64) {
        for write in (self.done + 1..=done).flat_map(batch) {
            match write {
                Write::Put { subject, key, value } => {
                    drop(self.contents.insert((subject, key), value));
                }
                Write::Delete { subject, key } => drop(self.contents.remove(&(subject, key))),
            }
        }
        self.done = done;
    }
}

impl Model for Expected {
    fn done(&self) -> u64 {
        self.done
    }

    fn verify(&mut self, dir: &Path, said: &Said) -> Result<Found, Failure> {
        let (store, opened) = Store::open(dir, options(StoreOptions::default()))
            .map_err(|error| Failure::Unopened(error.to_string()))?;
        let found = count(&store)?;
        if found < self.done {
            return Err(Failure::Lost(format!("{found} batches, there were {}", self.done)));
        }
        said.is_kept_by(found)?;
        self.follow(found);
        let mut contents = Contents::new();
        let visited = store.for_each(|subject, key, value| {
            contents.insert((subject.to_vec(), key.to_vec()), value.to_vec());
        });
        visited.map_err(|error| Failure::Contradiction(error.to_string()))?;
        if contents != self.contents {
            let finding = format!("batch {found} or one before it is not whole");
            return Err(Failure::Contradiction(finding));
        }
        Failure::from_check(&store)?;
        Ok(Found { done: found, opened })
    }
}
