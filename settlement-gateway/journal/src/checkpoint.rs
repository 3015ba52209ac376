//! Checkpoints: what the bank tells about an author, drafted from the state, signed by whoever has
//! the key and the time, and recorded if the state would still be told in the same words.

use crate::bank::{Bank, sign_draft};
use crate::event::Change;
use crate::input::Keys;
use crate::output::Outputs;
use crate::state::State;
use alloc::vec::Vec;
use hundi_ledger::codec::List;
use hundi_ledger::id::{Hash, NetworkId, PublicKey};
use hundi_ledger::limits::{CARRY_WINDOW, LIVE_SERIALS_MAX, NAMES_DECIDED, NAMES_MAX};
use hundi_ledger::record::checkpoint::{Checkpoint, Live, Name, Outcome, tag};
use hundi_ledger::record::entry::Class;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::{Signed, VERSION};

/// A checkpoint that wants its signature.
#[derive(Clone, Debug)]
pub struct Draft {
    network: NetworkId,
    checkpoint: Checkpoint,
    /// Number of the last event when it was drafted.
    after: u64,
}

/// A draft with its signature.
#[derive(Clone, Debug)]
pub struct SignedDraft {
    checkpoint: Signed<Checkpoint>,
    after: u64,
}

impl Draft {
    /// Signs it, on any thread.
    #[must_use]
    pub fn sign(self, keys: &Keys) -> SignedDraft {
        let Self { network, checkpoint, after } = self;
        SignedDraft { checkpoint: sign_draft(&network, checkpoint, &keys.settle), after }
    }
}

impl Bank {
    /// Since when the oldest of the checkpoints is due that may be signed now, Unix seconds; none
    /// when nothing is due, or the bank has stopped.
    pub fn checkpoint_due(&self) -> Option<u64> {
        let first = self.state.due.values().next().filter(|_| self.state.fault.is_none());
        first.map(|(_, at)| *at)
    }

    /// Drafts at most `max` of the checkpoints that are due, those first that have been for longest.
    /// `entropy` is 32 fresh random bytes.
    pub fn draft_checkpoints(&self, entropy: [u8; 32], keys: &Keys, max: usize) -> Vec<Draft> {
        if self.state.fault.is_some() {
            return Vec::new();
        }
        let (network, after) = (self.network.id(), self.state.number);
        let draft = |(author, _): &(PublicKey, u64)| {
            let salt = salt(&entropy, author);
            let checkpoint = self.state.draft(author, keys.settle_certificate, salt)?;
            Some(Draft { network, checkpoint, after })
        };
        self.state.due.values().take(max).filter_map(draft).collect()
    }

    /// Records and publishes those that say what would be drafted now. The others were overtaken:
    /// they are still due.
    pub fn record_checkpoints(&mut self, now: u64, signed: Vec<SignedDraft>) -> Outputs {
        let mut outputs = Outputs::default();
        for draft in signed {
            if !self.is_current(&draft) {
                continue;
            }
            let checkpoint = draft.checkpoint;
            let change = Change::CheckpointSigned {
                author: checkpoint.author.key,
                number: checkpoint.number,
                carry_to: checkpoint.carry_to,
                id: checkpoint.id(),
            };
            outputs.events.push(self.record(now, change, Vec::new()));
            outputs.records.push(Item::Checkpoint(checkpoint).encode());
        }
        outputs
    }

    /// Drafts, signs and records all checkpoints that are due.
    pub fn sign_checkpoints(&mut self, now: u64, entropy: [u8; 32], keys: &Keys) -> Outputs {
        let mut drafts = self.draft_checkpoints(entropy, keys, usize::MAX);
        drafts.sort_by_key(|draft| draft.checkpoint.author.key);
        let signed = drafts.into_iter().map(|draft| draft.sign(keys)).collect();
        self.record_checkpoints(now, signed)
    }

    fn is_current(&self, SignedDraft { checkpoint, after }: &SignedDraft) -> bool {
        let (state, key) = (&self.state, &checkpoint.author.key);
        let Some(author) = state.authors.get(key) else { return false };
        let current = state.fault.is_none()
            && checkpoint.epoch == state.epoch
            && author.checkpoint.checked_add(1) == Some(checkpoint.number)
            && author.changed <= *after;
        debug_assert!(
            !current
                || state.draft(key, checkpoint.certificate, checkpoint.salt).as_ref()
                    == Some(&**checkpoint),
            "a draft that is current is what would be drafted now"
        );
        current
    }
}

/// The salt of an author's checkpoint.
fn salt(entropy: &[u8; 32], author: &PublicKey) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("hundi v1 journal checkpoint salt");
    hasher.update(entropy).update(&author.0);
    let mut salt = [0; 16];
    hasher.finalize_xof().fill(&mut salt);
    salt
}

impl State {
    /// What is to be told about an author now; none when it is not here, or there is no number for
    /// another checkpoint.
    fn draft(&self, key: &PublicKey, certificate: u16, salt: [u8; 16]) -> Option<Checkpoint> {
        let author = self.authors.get(key)?;
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
        Some(Checkpoint {
            version: VERSION,
            author: self.author_id(*key),
            certificate,
            number,
            epoch: self.epoch,
            carry_to: carry_to.min(window),
            salt,
            frontier: author.frontier,
            live: List::new(live).ok()?,
            names: List::new(names).ok()?,
        })
    }

    /// What a checkpoint names: what is decided beyond the frontier, the last decided, and older
    /// outcomes other than settled until their grant's claim-until; and whether the list is so
    /// full that another window of names may not fit.
    fn names(&self, key: &PublicKey, undecided: u32, salt: &[u8; 16]) -> (Vec<Name>, bool) {
        let Some(author) = self.authors.get(key) else { return (Vec::new(), false) };
        let decided = u32::try_from(NAMES_DECIDED).unwrap_or(u32::MAX);
        let recent = undecided.saturating_sub(decided);
        let mut names: Vec<Name> = Vec::new();
        let outcome = |id: &Hash| self.entries.get(id)?.standing.outcome();
        let name = |names: &mut Vec<Name>, sequence: u32, ids: &[Hash], live: bool| {
            for id in ids {
                let grant = self.entries.get(id).map(|it| it.header.header.serial);
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
