//! Bulletins: the bank's clock, the digest of its freezes, the head of its journal.

use crate::bank::Work;
use crate::event::Change;
use alloc::vec::Vec;
use hundi_ledger::record::VERSION;
use hundi_ledger::record::bulletin::{Bulletin, freezes_digest};
use hundi_ledger::record::item::Item;

impl Work<'_> {
    /// Signs the bulletin of the open epoch and opens the next one. The epoch is the first that
    /// lets bank time reach the present; time is never stated beyond it.
    pub(crate) fn sign_bulletin(&mut self) {
        let definition = self.bank.network.definition();
        let (start, step) = (definition.start, definition.epoch_seconds);
        let elapsed = self.now_u32().saturating_sub(start);
        let epoch = self.state().epoch.max(elapsed.div_ceil(step));
        let reach = u64::from(start) + u64::from(epoch) * u64::from(step);
        let time = self.now.max(u64::from(start)).min(reach);
        let freezes: Vec<_> =
            self.state().authors.values().filter_map(|author| Some(author.freeze?.id)).collect();
        let network = self.bank.network.id();
        let bulletin = Bulletin {
            version: VERSION,
            bank: self.state().bank,
            certificate: self.keys.settle_certificate,
            epoch,
            time: u32::try_from(time).unwrap_or(u32::MAX),
            freezes: u32::try_from(freezes.len()).unwrap_or(u32::MAX),
            freezes_digest: freezes_digest(&network, freezes),
            journal_head: self.state().head,
        };
        let signed = self.sign(bulletin, &self.keys.settle);
        self.record(Change::BulletinSigned { epoch, id: signed.id() }, Vec::new());
        self.publish(&Item::Bulletin(signed));
    }
}
