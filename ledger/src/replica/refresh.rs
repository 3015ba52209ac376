//! What a record of a bank does to what is held of the bank's authors: grants lapse, certificates
//! deny effect, entries move between core, cache and oblivion.
//!
//! Bank time concerns only the authors whose earliest grant it passes. A change in what
//! certificates honour may concern everybody: then the authors are read one after the other, so
//! that memory stays bounded.

use super::slot::Slot;
use super::{Change, Key, Replica, Shelf};
use crate::id::{AuthorId, BankNumber};
use crate::sign::Verifier;
use crate::trust::Trust;
use alloc::vec::Vec;

impl Replica {
    /// Forgets what the bank signed with a key that is no longer certified: displaced by another
    /// certificate of the same number, or older than the certificates that are held. Whoever never
    /// held that certificate cannot verify it, and both must agree.
    pub(super) fn drop_unverifiable(&mut self, bank: BankNumber) -> Vec<Change> {
        let mut changes = Vec::new();
        let bulletin = self.bulletins.get(&bank);
        if bulletin.is_some_and(|held| {
            self.trust.verify_record((**held).clone(), &mut Verifier::default()).is_err()
        }) {
            self.bulletins.remove(&bank);
            changes.push(Change::Delete { key: Key::Bulletin(bank) });
        }
        changes
    }

    /// Brings every author of a bank in line with its certificates, which were `before`, with bank
    /// time at `bank_time`. `verify` says whether some of what they signed may not be verifiable any
    /// more.
    pub(super) fn refresh_bank(
        &mut self,
        bank: BankNumber,
        verify: bool,
        (before, bank_time): (&Trust, u32),
        shelf: &dyn Shelf,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for author in self.authors_of(bank, |_| true) {
            let read = self.load_as_before(&author, shelf, before, bank_time);
            if verify && let Some((known, trust)) = self.author_mut(&author, shelf) {
                changes.extend(known.drop_unverifiable(trust, author));
            }
            changes.extend(self.refresh_author(author, shelf));
            self.drop_again(&author, read);
        }
        changes
    }

    /// Lets lapse what bank time has passed since it was at `before`.
    pub(super) fn lapse_bank(
        &mut self,
        bank: BankNumber,
        before: u32,
        shelf: &dyn Shelf,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let bank_time = self.bank_time(bank);
        for author in self.authors_of(bank, |slot| slot.lapses < bank_time) {
            let read = self.load_as_before(&author, shelf, &self.trust, before);
            changes.extend(self.refresh_author(author, shelf));
            self.drop_again(&author, read);
        }
        changes
    }

    fn authors_of(&self, bank: BankNumber, concerned: impl Fn(&Slot) -> bool) -> Vec<AuthorId> {
        let of_bank = self.slots.iter().filter(|(author, _)| author.bank == bank);
        of_bank.filter(|(_, slot)| concerned(slot)).map(|(author, _)| *author).collect()
    }

    /// Drops an author that was read only to be refreshed. The changes have not been stored yet,
    /// but nobody asks for the author before they are.
    fn drop_again(&mut self, author: &AuthorId, read: bool) {
        if read && let Some(slot) = self.slots.get_mut(author) {
            slot.unload();
        }
    }

    /// Forgets an author and everything that is held of it.
    pub(super) fn forget(&mut self, author: AuthorId, shelf: &dyn Shelf) -> Vec<Change> {
        let keys = self.author(&author, shelf).map(|known| known.keys(author)).unwrap_or_default();
        let mut changes: Vec<Change> = keys.into_iter().map(|key| Change::Delete { key }).collect();
        self.remove(&author);
        let receipts = self.receipts.remove(&author).unwrap_or_default();
        changes.extend(
            receipts.into_iter().map(|id| Change::Delete { key: Key::receipt(author, id) }),
        );
        changes
    }

    /// Brings what is held of an author, and its slot, in line with its records.
    pub(super) fn refresh_author(&mut self, author: AuthorId, shelf: &dyn Shelf) -> Vec<Change> {
        let bank_time = self.bank_time(author.bank);
        let Some((known, trust)) = self.author_mut(&author, shelf) else { return Vec::new() };
        let mut changes = known.lapse(author, bank_time);
        changes.extend(known.sweep(trust, bank_time, author));
        if known.is_empty() {
            changes.extend(self.forget(author, shelf));
        } else {
            self.settle(author);
        }
        changes
    }
}
