//! All slots, in the order of their authors' positions, so that a range of positions is a range of
//! the map and costs only what is in it.

use super::range::{Positions, Range};
use super::slot::Slot;
use crate::id::{AuthorId, NetworkId, PublicKey};
use alloc::collections::BTreeMap;

/// The slots of all authors.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    positions: Positions,
    slots: BTreeMap<(u64, AuthorId), Slot>,
}

impl Slots {
    pub(super) fn new(network: &NetworkId) -> Self {
        Self { positions: Positions::new(network), slots: BTreeMap::new() }
    }

    pub(super) fn positions(&self) -> &Positions {
        &self.positions
    }

    fn place(&self, author: &AuthorId) -> (u64, AuthorId) {
        (self.positions.of(author), *author)
    }

    pub(super) fn get(&self, author: &AuthorId) -> Option<&Slot> {
        self.slots.get(&self.place(author))
    }

    pub(super) fn get_mut(&mut self, author: &AuthorId) -> Option<&mut Slot> {
        let place = self.place(author);
        self.slots.get_mut(&place)
    }

    pub(super) fn get_or_insert_with(
        &mut self,
        author: AuthorId,
        slot: impl FnOnce() -> Slot,
    ) -> &mut Slot {
        let place = self.place(&author);
        self.slots.entry(place).or_insert_with(slot)
    }

    pub(super) fn remove(&mut self, author: &AuthorId) {
        let place = self.place(author);
        self.slots.remove(&place);
    }

    /// Every author, by position.
    pub(super) fn authors(&self) -> impl ExactSizeIterator<Item = &AuthorId> {
        self.slots.keys().map(|(_, author)| author)
    }

    /// Every author and its slot, by position.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&AuthorId, &Slot)> {
        self.slots.iter().map(|((_, author), slot)| (author, slot))
    }

    /// The authors whose position lies in a range, by position.
    pub(super) fn range(&self, range: Range) -> impl Iterator<Item = (u64, &AuthorId, &Slot)> {
        let slots = self.slots.range((range.first(), LOWEST)..=(range.last(), HIGHEST));
        slots.map(|((position, author), slot)| (*position, author, slot))
    }
}

const LOWEST: AuthorId = AuthorId { bank: crate::id::BankNumber(0), key: PublicKey([0; 32]) };
const HIGHEST: AuthorId =
    AuthorId { bank: crate::id::BankNumber(u16::MAX), key: PublicKey([0xff; 32]) };
