//! Receipts in the cache: the newest of each certified signer, in no digest.

use super::{Applied, Change, Key, Replica, Status, put};
use crate::id::{AuthorId, Hash};
use crate::limits::CACHE_RECEIPTS_PER_SIGNER_MAX;
use crate::record::item::Item;
use crate::record::receipt::Receipt;
use crate::record::{Signed, Verified};

impl Replica {
    /// Receipts held in the cache, by signer, oldest first.
    pub fn receipts(&self) -> impl Iterator<Item = (&AuthorId, &Hash)> {
        self.receipts.iter().flat_map(|(signer, ids)| ids.iter().map(move |id| (signer, id)))
    }

    pub(super) fn apply_receipt(&mut self, receipt: Verified<Signed<Receipt>>) -> Applied {
        let (signer, id) = (receipt.signer, receipt.id());
        if !self.is_certified(&signer) {
            return Applied::only(Status::MissingGrant);
        }
        let held = self.receipts.entry(signer).or_default();
        if held.contains(&id) {
            return Applied::only(Status::Known);
        }
        held.push_back(id);
        self.changed.insert(signer);
        let mut changes = put(&Item::Receipt((*receipt).clone()));
        if held.len() > CACHE_RECEIPTS_PER_SIGNER_MAX
            && let Some(oldest) = held.pop_front()
        {
            changes.push(Change::Delete { key: Key::receipt(signer, oldest) });
        }
        Applied { changes, ..Applied::only(Status::Cached) }
    }

    /// Forgets a cached receipt, once its payee sees that a checkpoint names the entry.
    pub fn forget_receipt(&mut self, signer: &AuthorId, id: &Hash) -> Option<Change> {
        let held = self.receipts.get_mut(signer)?;
        let at = held.iter().position(|one| one == id)?;
        held.remove(at);
        self.changed.insert(*signer);
        Some(Change::Delete { key: Key::receipt(*signer, *id) })
    }
}
