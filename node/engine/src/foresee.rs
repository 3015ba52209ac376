//! Looking ahead at what has arrived already and waits for its turn: its authors are read from the
//! store once, and signatures are verified in one batch, which costs half of verifying them singly.
//!
//! Nothing here decides. Whatever is foreseen is handled afterwards exactly as if it had not been,
//! only faster: a signature has one verdict, alone or in a batch.

use crate::engine::Engine;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::proof::Claim;
use hundi_ledger::replica::Shelf;

impl Engine {
    /// Prepares for items that come with the next inputs, given as they are encoded. `entropy` and
    /// `shelf` as in [`Engine::handle`]; calling it is never needed.
    ///
    /// Only entries that handling would verify are verified: those of certified authors that are
    /// not held, fit the records, and contradict neither what is held nor each other. So a flood
    /// costs no more than without.
    pub fn foresee<'a>(
        &mut self,
        entropy: [u8; 32],
        items: impl IntoIterator<Item = &'a [u8]>,
        shelf: &dyn Shelf,
    ) {
        let mut coming: BTreeMap<AuthorId, Vec<Claim>> = BTreeMap::new();
        let mut due = Vec::new();
        for bytes in items {
            let Ok(Item::Entry(entry)) = Item::decode(&self.network, bytes) else { continue };
            let (author, claim) = (entry.header().author, Claim::of(entry.header(), entry.id()));
            let beside = coming.entry(author).or_default();
            let repeats = |one: &Claim| one.id == claim.id || one.contradicts(&claim);
            if self.fits(&author, &claim, shelf) && !beside.iter().any(repeats) {
                beside.push(claim);
                due.push((author.key, entry.id(), entry.signature()));
            }
        }
        if due.len() > 1 {
            self.verifier.verify_ahead(&due, entropy);
        }
    }

    /// Whether an entry would go into the core if its signature holds.
    fn fits(&self, author: &AuthorId, claim: &Claim, shelf: &dyn Shelf) -> bool {
        if !self.is_certified(author) {
            return false;
        }
        let Some(known) = self.author(author, shelf) else { return false };
        let bank_time = self.replica.bank_time(author.bank);
        !known.holds(claim)
            && known.admits(self.replica.trust(), bank_time, claim).is_ok()
            && known.contradicted_by(claim).is_none()
    }
}
