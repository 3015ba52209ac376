//! Slots: what stays in memory of every author, and the way to the rest of it, which lies in the
//! store.
//!
//! A replica may know a hundred thousand authors; what it holds of each (grants, checkpoint, claims
//! of entries) is needed only when something of that author arrives or is asked for. So each author
//! has a small slot with what is needed of all of them at once, and the [`Author`] itself is read
//! from the [`Shelf`] when it is asked for, and dropped again by [`Replica::evict`]. What is in a
//! core is a function of the records held, so reading it anew gives what was there before.

use super::author::Author;
use super::{Replica, Shelf};
use crate::id::{AuthorId, Hash};
use crate::record::item::Item;
use crate::trust::Trust;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::cell::{Cell, OnceCell};

/// What stays in memory of an author.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// Its element of the core; none while no grant in effect certifies it.
    pub(super) element: Option<Hash>,
    /// The earliest claim-until of its grants, Unix seconds: no bulletin before it concerns it.
    pub(super) lapses: u32,
    /// Its entries in the core.
    pub(super) entries: u16,
    /// Asked for since eviction last looked.
    touched: Cell<bool>,
    resident: OnceCell<Box<Author>>,
}

impl Slot {
    /// What is in memory of the author, if it is.
    pub(super) fn resident(&self) -> Option<&Author> {
        self.resident.get().map(|author| &**author)
    }

    /// Drops the author from memory. Its changes must have been stored.
    pub(super) fn unload(&mut self) {
        self.resident.take();
    }
}

impl Replica {
    /// What is known about an author: from memory, or read from `shelf`, which must show every
    /// change that this replica has told.
    pub fn author(&self, author: &AuthorId, shelf: &dyn Shelf) -> Option<&Author> {
        let slot = self.slots.get(author)?;
        slot.touched.set(true);
        let known = slot.resident.get_or_init(|| {
            self.loaded.borrow_mut().push_back(*author);
            Box::new(self.read(author, shelf, &self.trust, self.bank_time(author.bank)))
        });
        Some(known)
    }

    /// What is known about an author, to be looked at once: one that is not in memory is read, and
    /// not kept there.
    pub fn peek(&self, author: &AuthorId, shelf: &dyn Shelf) -> Option<Cow<'_, Author>> {
        let slot = self.slots.get(author)?;
        Some(match slot.resident() {
            Some(known) => Cow::Borrowed(known),
            None => {
                let bank_time = self.bank_time(author.bank);
                Cow::Owned(self.read(author, shelf, &self.trust, bank_time))
            }
        })
    }

    /// Shows every author in order. One that is not in memory is read, shown and dropped.
    pub fn for_each_author(&self, shelf: &dyn Shelf, mut visit: impl FnMut(&AuthorId, &Author)) {
        for (author, slot) in self.slots.iter() {
            match slot.resident() {
                Some(known) => visit(author, known),
                None => {
                    let bank_time = self.bank_time(author.bank);
                    visit(author, &self.read(author, shelf, &self.trust, bank_time));
                }
            }
        }
    }

    /// Drops authors from memory beyond about `keep`, those that were asked for longest ago first.
    /// Call it when the shelf shows every change told so far: what is dropped is read from there.
    pub fn evict(&mut self, keep: usize) {
        let loaded = self.loaded.get_mut();
        while loaded.len() > keep {
            let Some(author) = loaded.pop_front() else { return };
            let Some(slot) = self.slots.get_mut(&author) else { continue };
            // A second chance for what was asked for; then it is due whatever happens meanwhile.
            if slot.touched.replace(false) {
                loaded.push_back(author);
            } else {
                slot.unload();
            }
        }
    }

    /// How many authors are in memory.
    pub fn resident(&self) -> usize {
        self.slots.iter().filter(|(_, slot)| slot.resident().is_some()).count()
    }

    /// The author to be changed, and the certificates that decide about it. [`Replica::settle`]
    /// must follow.
    pub(super) fn author_mut(
        &mut self,
        author: &AuthorId,
        shelf: &dyn Shelf,
    ) -> Option<(&mut Author, &Trust)> {
        self.author(author, shelf)?;
        let known = self.slots.get_mut(author)?.resident.get_mut()?;
        Some((known, &self.trust))
    }

    /// [`Replica::author_mut`], of an author that may be new.
    pub(super) fn author_or_new(
        &mut self,
        author: AuthorId,
        shelf: &dyn Shelf,
    ) -> Option<(&mut Author, &Trust)> {
        let outside = self.is_outside(&author);
        let (loaded, changed) = (self.loaded.get_mut(), &mut self.changed);
        self.slots.get_or_insert_with(author, || {
            loaded.push_back(author);
            changed.insert(author);
            let resident = OnceCell::from(Box::new(Author::new(outside)));
            Slot { resident, ..Slot::default() }
        });
        self.author_mut(&author, shelf)
    }

    /// Loads an author as it was under earlier certificates and bank time, and says whether it had
    /// to be read: then it does not count as asked for, and whoever calls drops it again.
    pub(super) fn load_as_before(
        &self,
        author: &AuthorId,
        shelf: &dyn Shelf,
        trust: &Trust,
        bank_time: u32,
    ) -> bool {
        let mut read = false;
        if let Some(slot) = self.slots.get(author) {
            slot.resident.get_or_init(|| {
                read = true;
                Box::new(self.read(author, shelf, trust, bank_time))
            });
        }
        read
    }

    fn read(&self, author: &AuthorId, shelf: &dyn Shelf, trust: &Trust, bank_time: u32) -> Author {
        // Receipts are listed apart.
        let items = shelf.items(author).into_iter().filter(|bytes| !Item::is_receipt(bytes));
        Author::from_stored(author, self.is_outside(author), items, trust, bank_time)
    }
}
