//! Summaries: what a later start needs of an author, so that it can leave the author's items where
//! they are.
//!
//! A summary says what the slot of an author says, and what is listed of all authors at once: its
//! evidence and the ids of its cached items. It is stored with the items that made it, as one unit,
//! so that it never speaks of another state than they do. It is this node's own and leaves it never.

use super::Replica;
use super::elements::Evidence;
use super::slot::Slot;
use crate::codec::{self, DecodeError};
use crate::id::{AuthorId, Hash};
use crate::limits::{CACHE_ENTRIES_PER_AUTHOR_MAX, CACHE_RECEIPTS_PER_SIGNER_MAX};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// Bytes of the longest summary: both lists full, and what is fixed.
const SUMMARY_BYTES_MAX: usize =
    32 * (CACHE_ENTRIES_PER_AUTHOR_MAX + CACHE_RECEIPTS_PER_SIGNER_MAX) + 128;

#[derive(BorshSerialize, BorshDeserialize)]
struct Summary {
    element: Option<Hash>,
    lapses: u32,
    entries: u16,
    freeze: Option<(u32, Hash)>,
    proven: bool,
    cached: Vec<Hash>,
    receipts: Vec<Hash>,
}

impl Replica {
    /// The summaries of at most `count` authors that have changed since they were taken last: what
    /// to store for each, none to forget it. Stored as one unit with the changes told since then.
    pub fn take_summaries(&mut self, count: usize) -> Vec<(AuthorId, Option<Vec<u8>>)> {
        let mut taken = Vec::new();
        while taken.len() < count
            && let Some(author) = self.changed.pop_first()
        {
            taken.push((author, self.summary(&author)));
        }
        taken
    }

    /// Whether summaries wait to be taken.
    pub fn has_summaries(&self) -> bool {
        !self.changed.is_empty()
    }

    fn summary(&self, author: &AuthorId) -> Option<Vec<u8>> {
        let slot = self.slots.get(author)?;
        let evidence = self.evidence.get(author);
        Some(codec::encode(&Summary {
            element: slot.element,
            lapses: slot.lapses,
            entries: slot.entries,
            freeze: evidence.and_then(|held| held.freeze),
            proven: evidence.is_some_and(|held| held.proven),
            cached: self.cached.get(author).cloned().unwrap_or_default(),
            receipts: self.receipts.get(author).into_iter().flatten().copied().collect(),
        }))
    }

    /// Takes back the summary of an author, which this replica does not know yet. The records of
    /// the banks must be held by then: nothing that follows looks at the author before it is asked
    /// for.
    ///
    /// # Errors
    /// When the bytes are no summary: read every item instead.
    pub fn restore(&mut self, author: AuthorId, summary: &[u8]) -> Result<(), DecodeError> {
        let summary: Summary = codec::decode(summary, SUMMARY_BYTES_MAX)?;
        let Summary { element, lapses, entries, freeze, proven, cached, receipts } = summary;
        self.slots.get_or_insert_with(author, Slot::default);
        self.set_slot(author, element, lapses, entries);
        if self.is_outside(&author) {
            self.outside.push_back(author);
        }
        if freeze.is_some() || proven {
            let held = Evidence { freeze, proven, element: None };
            let held = held.certified(&self.network(), author, element.is_some());
            self.set_evidence(author, Some(held));
        }
        self.set_cached(author, cached);
        if !receipts.is_empty() {
            self.receipts.insert(author, receipts.into());
        }
        Ok(())
    }

    /// Reads an author anew and brings its slot in line with what is stored: for one whose stored
    /// items may be more than what was held of it.
    pub fn reread(&mut self, author: AuthorId, shelf: &dyn super::Shelf) {
        if let Some(slot) = self.slots.get_mut(&author) {
            slot.unload();
        }
        if self.author(&author, shelf).is_some() {
            self.settle(author);
        }
    }
}
