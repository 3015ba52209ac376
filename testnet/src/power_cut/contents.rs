//! What both stores have in this rig: a side that writes, numbered from 1, and a side that knows
//! what must be there after so many; and what may be wrong when the power is back.

use super::writer::Said;
use anyhow::Result;
use hundi_node::store::{OpenReport, Store};
use std::path::Path;
use thiserror::Error;

/// The writing side of a store, in a process of its own.
pub(super) trait Load {
    /// The number of the last batch that is in the store.
    fn done(&self) -> u64;

    /// Writes the next batch durably. Returns whether space was given back on the way.
    fn write(&mut self) -> Result<bool>;
}

/// What must be in the store.
pub(super) trait Model {
    /// The number of the last batch that was found.
    fn done(&self) -> u64;

    /// Opens the store and compares: everything acknowledged, nothing that was never begun, every
    /// batch whole.
    fn verify(&mut self, dir: &Path, said: &Said) -> Result<Found, Failure>;
}

/// A store that is as it must be.
#[derive(Debug)]
pub(super) struct Found {
    /// The number of its last batch.
    pub(super) done: u64,
    /// What opening had to do.
    pub(super) opened: OpenReport,
}

/// What is wrong with a store.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// Something that was acknowledged is not there.
    #[error("lost: {0}")]
    Lost(String),
    /// It does not open.
    #[error("does not open: {0}")]
    Unopened(String),
    /// What is there does not fit together.
    #[error("contradicts itself: {0}")]
    Contradiction(String),
}

/// What cannot be read although the store has opened does not fit together.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Contradiction(format!("{error:#}"))
    }
}

impl Failure {
    /// The store's own check of every checksum, and of its index.
    pub(super) fn from_check(store: &Store) -> Result<(), Self> {
        let check = store.check().map_err(|error| Self::Contradiction(error.to_string()))?;
        if check.findings_total == 0 {
            return Ok(());
        }
        Err(Self::Contradiction(format!("{:?}", check.findings)))
    }
}
