//! Checkpoints: one per author of whom something was decided, made from the state that the same
//! unit of work stores.

use crate::bank::Work;
use crate::event::Change;
use alloc::vec::Vec;
use hundi_ledger::codec::List;
use hundi_ledger::id::{Hash, PublicKey};
use hundi_ledger::limits::{CARRY_WINDOW, LIVE_SERIALS_MAX, NAMES_DECIDED, NAMES_MAX};
use hundi_ledger::record::VERSION;
use hundi_ledger::record::checkpoint::{Checkpoint, Live, Name, Outcome, tag};
use hundi_ledger::record::entry::Class;
use hundi_ledger::record::item::Item;

impl Work<'_> {
    pub(crate) fn sign_checkpoints(&mut self) {
        for author in core::mem::take(&mut self.touched) {
            self.sign_checkpoint(author);
        }
    }

    fn sign_checkpoint(&mut self, key: PublicKey) {
        let salt = self.draw();
        let mut short = [0; 16];
        short.copy_from_slice(&salt[..16]);
        let Some((checkpoint, number)) = self.draft(key, short) else { return };
        let carry_to = checkpoint.carry_to;
        let signed = self.sign(checkpoint, &self.keys.settle);
        let change = Change::CheckpointSigned { author: key, number, carry_to, id: signed.id() };
        self.record(change, Vec::new());
        self.publish(&Item::Checkpoint(signed));
    }

    fn draft(&self, key: PublicKey, salt: [u8; 16]) -> Option<(Checkpoint, u32)> {
        let state = self.state();
        let author = state.authors.get(&key)?;
        let number = author.checkpoint.checked_add(1)?;
        let undecided = author.frontier.map_or(0, |it| it.sequence.saturating_add(1));
        let alive = author.grants.iter().filter(|(_, grant)| !grant.ended);
        let mut live: Vec<Live> = alive
            .map(|(serial, grant)| Live {
                serial: *serial,
                total: grant.frontier_total,
                settled: grant.settled,
            })
            .collect();
        // The bank keeps no more grants alive than fit.
        live.drain(..live.len().saturating_sub(LIVE_SERIALS_MAX));
        let (mut names, full) = self.names(key, undecided, &salt);
        names.sort_unstable_by_key(|name| (name.sequence, name.tag));
        let window = undecided.saturating_add(CARRY_WINDOW - 1);
        let carry_to = if full { author.carry_to } else { author.carry_to.max(window) };
        let checkpoint = Checkpoint {
            version: VERSION,
            author: self.author_id(key),
            certificate: self.keys.settle_certificate,
            number,
            epoch: state.epoch,
            carry_to: carry_to.min(window),
            salt,
            frontier: author.frontier,
            live: List::new(live).ok()?,
            names: List::new(names).ok()?,
        };
        Some((checkpoint, number))
    }

    /// What a checkpoint names: what is decided beyond the frontier, the last decided, and older
    /// outcomes other than settled until their grant's claim-until; and whether the list is so
    /// full that another window of names may not fit.
    fn names(&self, key: PublicKey, undecided: u32, salt: &[u8; 16]) -> (Vec<Name>, bool) {
        let state = self.state();
        let Some(author) = state.authors.get(&key) else { return (Vec::new(), false) };
        let decided = u32::try_from(NAMES_DECIDED).unwrap_or(u32::MAX);
        let recent = undecided.saturating_sub(decided);
        let mut names: Vec<Name> = Vec::new();
        let outcome = |id: &Hash| state.entries.get(id)?.standing.outcome();
        let name = |names: &mut Vec<Name>, sequence: u32, ids: &[Hash], live: bool| {
            for id in ids {
                let grant = state.entries.get(id).map(|it| it.header.header.serial);
                let grant = grant.and_then(|serial| author.grants.get(&serial));
                let lapsed = grant.is_some_and(|it| it.claims_ended && it.ended);
                match outcome(id) {
                    Some(outcome) if live || outcome != Outcome::Settled && !lapsed => {
                        names.push(Name { sequence, tag: tag(salt, id), outcome });
                    }
                    _ => {}
                }
            }
        };
        // One more than fits shows that it is full; no list grows with a hostile log.
        let at = |sequence| (Class::Money, sequence);
        for ((_, sequence), ids) in author.index.range(at(undecided)..=at(u32::MAX)) {
            if names.len() > NAMES_MAX {
                break;
            }
            name(&mut names, *sequence, ids, true);
        }
        for ((_, sequence), ids) in author.index.range(at(recent)..at(undecided)) {
            name(&mut names, *sequence, ids, true);
        }
        for sequence in author.unsettled.range(..recent).rev() {
            if names.len() > NAMES_MAX {
                break;
            }
            let ids = author.index.get(&at(*sequence)).map_or(&[][..], Vec::as_slice);
            name(&mut names, *sequence, ids, false);
        }
        let full = names.len() + CARRY_WINDOW as usize > NAMES_MAX;
        names.truncate(NAMES_MAX);
        (names, full)
    }
}
