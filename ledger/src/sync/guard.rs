//! What of the entries that a peer sends is worth verifying: signatures are the costly part of an
//! entry, and whoever sends it chooses how many there are (invariant I8).

use crate::id::AuthorId;
use crate::limits::{CARRY_WINDOW, PROVEN_VERIFICATIONS_PER_SESSION_MAX};
use crate::record::entry::Entry;
use crate::record::proof::Claim;
use crate::replica::{Replica, Shelf};
use alloc::collections::BTreeMap;

/// Entries of one author that fit into its core which one session passes on: a full window of
/// both its logs. More can only be forged: verified ones would have filled the window.
const FITTING_MAX: u32 = 2 * CARRY_WINDOW;

/// Entries of authors that no grant certifies which one session passes on. An honest peer sends
/// the grant first.
const UNCERTIFIED_MAX: u32 = 64;

/// Authors that are counted at once.
const AUTHORS_MAX: usize = 1024;

/// Counts what one session has passed on.
#[derive(Debug, Default)]
pub(super) struct Guard {
    fitting: BTreeMap<AuthorId, u32>,
    /// Entries that the records do not admit, or that contradict what is held.
    odd: BTreeMap<AuthorId, u32>,
    uncertified: u32,
}

impl Guard {
    /// Whether the entry is passed on to be verified, and whether it may show a contradiction. One
    /// that is held needs no verification.
    pub(super) fn passes(
        &mut self,
        entry: &Entry,
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> (bool, bool) {
        let claim = Claim::of(entry.header(), entry.id());
        let id = entry.header().author;
        let bank_time = replica.bank_time(id.bank);
        let Some(author) =
            replica.peek(&id, shelf).filter(|known| known.is_certified(replica.trust(), bank_time))
        else {
            self.uncertified = self.uncertified.saturating_add(1);
            return (self.uncertified <= UNCERTIFIED_MAX, false);
        };
        if author.holds(&claim) {
            return (true, false);
        }
        let fits = author.admits(replica.trust(), bank_time, &claim).is_ok()
            && author.contradicted_by(&claim).is_none();
        let (counts, max) = match fits {
            true => (&mut self.fitting, FITTING_MAX),
            // However many entries one equivocator signs, they cost little.
            false => (&mut self.odd, PROVEN_VERIFICATIONS_PER_SESSION_MAX),
        };
        if counts.len() >= AUTHORS_MAX && !counts.contains_key(&id) {
            if !fits {
                return (false, true);
            }
            counts.clear(); // Rather count honest ones again than keep them all.
        }
        let count = counts.entry(id).or_default();
        *count = count.saturating_add(1);
        (*count <= max, !fits)
    }

    pub(super) fn bytes(&self) -> usize {
        2 * (self.fitting.len() + self.odd.len()) * size_of::<(AuthorId, u32)>()
    }
}
