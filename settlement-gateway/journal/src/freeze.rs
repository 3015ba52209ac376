//! Freezes: the home bank stops an author. The record carries the open epoch, so that the next
//! bulletin's digest covers it and a payee that holds that digest in full knows of it.

use crate::bank::{HandleError, Work};
use crate::event::Change;
use alloc::vec::Vec;
use hundi_ledger::id::{Hash, PublicKey};
use hundi_ledger::record::VERSION;
use hundi_ledger::record::freeze::{Freeze, FreezeReason};
use hundi_ledger::record::item::Item;

impl Work<'_> {
    pub(crate) fn freeze_by_decision(
        &mut self,
        author: PublicKey,
        reason: FreezeReason,
    ) -> Result<(), HandleError> {
        self.author(&author)?;
        self.freeze(author, reason);
        Ok(())
    }

    /// Freezes an author that is not frozen.
    pub(crate) fn freeze(&mut self, author: PublicKey, reason: FreezeReason) {
        let frozen = self.state().authors.get(&author).is_none_or(|it| it.freeze.is_some());
        if frozen {
            return;
        }
        let epoch = self.state().epoch;
        let freeze = Freeze {
            version: VERSION,
            author: self.author_id(author),
            certificate: self.keys.issue_certificate,
            epoch,
            reason,
        };
        let signed = self.sign(freeze, &self.keys.issue);
        self.record(Change::Frozen { author, epoch, reason, id: signed.id() }, Vec::new());
        self.publish(&Item::Freeze(signed));
    }

    /// Whether the payee of an entry stated that it held the freeze of the entry's author.
    pub(crate) fn payee_knew(&self, id: &Hash) -> bool {
        let state = self.state();
        let Some(entry) = state.entries.get(id) else { return false };
        let author = state.authors.get(&entry.header.header.author.key);
        let freeze = author.and_then(|author| author.freeze);
        // Epoch 0 states that no digest is held; no freeze is made in it.
        freeze.zip(entry.freezes_epoch).is_some_and(|(freeze, held)| held >= freeze.epoch)
    }
}
