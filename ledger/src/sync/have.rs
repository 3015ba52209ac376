//! Have-vectors: what one side holds of a subject that differs, short enough to send, and exact
//! enough that the other side sends only what is lacking. They cope with gaps and with two
//! branches; short tags are keyed with the link, so a collision does not outlive the contact.

use super::keys::Keys;
use super::message::{AuthorVector, BankVector, Run};
use crate::codec::List;
use crate::id::{AuthorId, BankNumber};
use crate::record::proof::Claim;
use crate::replica::author::Author;
use crate::replica::{Key, Replica};
use alloc::vec::Vec;

/// How early an item is sent (DESIGN §5): each after the records that its verification needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Certificate,
    /// What certifies the author of evidence.
    EvidenceGrant,
    Evidence,
    OwnGrant,
    /// Before the entries: it may raise what is carried of them.
    OwnCheckpoint,
    OwnEntry,
    Grant,
    Bulletin,
    Checkpoint,
    Entry,
    Cache,
}

/// An item to send, ordered by when.
pub(super) type Due = (Rank, u32, Key);

/// What this side holds of a bank.
pub(super) fn bank_vector(replica: &Replica, keys: &Keys, bank: BankNumber) -> BankVector {
    let certificates = replica.trust().of(bank).map(|held| (held.number, keys.tag(&held.id())));
    let bulletin = replica.bulletin(bank);
    BankVector {
        bank,
        certificates: List::new(certificates.collect()).unwrap_or_default(),
        bulletin: bulletin.map(|held| (held.certificate, held.epoch, keys.tag(&held.id()))),
    }
}

/// What the side that sent `theirs` lacks of a bank.
pub(super) fn bank_lacks(replica: &Replica, keys: &Keys, theirs: &BankVector, due: &mut Vec<Due>) {
    for held in replica.trust().of(theirs.bank) {
        if !theirs.certificates.contains(&(held.number, keys.tag(&held.id()))) {
            let key = Key::Certificate(theirs.bank, held.number);
            due.push((Rank::Certificate, u32::from(held.number), key));
        }
    }
    let Some(held) = replica.bulletin(theirs.bank) else { return };
    let ours = (held.certificate, held.epoch);
    let newer = theirs.bulletin.is_none_or(|(certificate, epoch, tag)| {
        ours > (certificate, epoch) || ours == (certificate, epoch) && keys.tag(&held.id()) != tag
    });
    if newer {
        due.push((Rank::Bulletin, 0, Key::Bulletin(theirs.bank)));
    }
}

/// The vector of a side that holds nothing of an author.
pub(super) fn nothing(short: u64) -> AuthorVector {
    AuthorVector {
        short,
        grants: List::default(),
        checkpoint: None,
        freeze: None,
        proven: false,
        runs: List::default(),
    }
}

/// What this side holds of an author; of one it does not know, nothing.
pub(super) fn author_vector(author: Option<&Author>, keys: &Keys, short: u64) -> AuthorVector {
    let mut vector = nothing(short);
    let Some(author) = author else { return vector };
    let grants = author.grants().map(|held| (held.serial, keys.tag(&held.id()))).collect();
    vector.grants = List::new(grants).unwrap_or_default();
    let checkpoint = author.checkpoint();
    vector.checkpoint =
        checkpoint.map(|held| (held.certificate, held.number, keys.tag(&held.id())));
    vector.freeze = author.freeze().map(|held| keys.tag(&held.id()));
    vector.proven = author.proof().is_some();
    vector.runs = runs(author.entries(), keys);
    vector
}

fn runs<'a>(entries: impl Iterator<Item = &'a Claim>, keys: &Keys) -> List<Run, 64> {
    let mut runs: Vec<(Run, Vec<u32>)> = Vec::new();
    for claim in entries {
        let (class, sequence, tag) = (claim.kind.class(), claim.sequence(), keys.tag(&claim.id));
        let fits = runs.last_mut().filter(|(run, _)| {
            run.class == class && sequence.checked_sub(run.base).is_some_and(|at| at < 64)
        });
        match fits {
            // A second branch at one number is not in the core; were it, it would be sent again.
            Some((run, tags)) => {
                let bit = 1u64 << (sequence - run.base);
                if run.bitmap & bit == 0 {
                    run.bitmap |= bit;
                    tags.push(tag);
                }
            }
            None => {
                let run = Run { class, base: sequence, bitmap: 1, tags: List::default() };
                runs.push((run, alloc::vec![tag]));
            }
        }
    }
    // The newest runs if there were ever more than fit: what is left out is sent again.
    let skip = runs.len().saturating_sub(64);
    let runs = runs.into_iter().skip(skip).map(|(mut run, tags)| {
        run.tags = List::new(tags).unwrap_or_default();
        run
    });
    List::new(runs.collect()).unwrap_or_default()
}

impl Run {
    fn holds(&self, claim: &Claim, tag: u32) -> bool {
        let at = claim.sequence().checked_sub(self.base).filter(|at| *at < 64);
        let Some(at) = at.filter(|_| self.class == claim.kind.class()) else { return false };
        let bit = 1u64 << at;
        let place = (self.bitmap & (bit - 1)).count_ones() as usize;
        self.bitmap & bit != 0 && self.tags.get(place) == Some(&tag)
    }
}

/// What the side that sent `theirs` lacks of an author. Returns whether entries were held back
/// because the other side has a newer checkpoint, which must be taken first.
pub(super) fn author_lacks(
    author: &Author,
    id: AuthorId,
    keys: &Keys,
    theirs: &AuthorVector,
    own: bool,
    due: &mut Vec<Due>,
) -> bool {
    let evidence = author.freeze().filter(|held| theirs.freeze != Some(keys.tag(&held.id())));
    let proof = author.proof().filter(|_| !theirs.proven);
    let barred = evidence.is_some() || proof.is_some();
    let grant_rank = match (barred, own) {
        (true, _) => Rank::EvidenceGrant,
        (false, true) => Rank::OwnGrant,
        (false, false) => Rank::Grant,
    };
    for held in author.grants() {
        if !theirs.grants.contains(&(held.serial, keys.tag(&held.id()))) {
            due.push((grant_rank, u32::from(held.serial.0), Key::Grant(id, held.serial)));
        }
    }
    due.extend(evidence.map(|_| (Rank::Evidence, 0, Key::Freeze(id))));
    due.extend(proof.map(|_| (Rank::Evidence, 1, Key::Proof(id))));
    let ours = author.checkpoint().map(|held| (held.certificate, held.number));
    let their = theirs.checkpoint.map(|(certificate, number, _)| (certificate, number));
    if let Some(held) = author.checkpoint() {
        let same = theirs.checkpoint.map(|(_, _, tag)| tag) == Some(keys.tag(&held.id()));
        if ours >= their && !same {
            let rank = if own { Rank::OwnCheckpoint } else { Rank::Checkpoint };
            due.push((rank, 0, Key::Checkpoint(id)));
        }
    }
    if their > ours {
        return true;
    }
    if theirs.proven {
        return false; // Entries of a proven author travel in the cache.
    }
    let rank = if own { Rank::OwnEntry } else { Rank::Entry };
    for claim in author.entries() {
        let tag = keys.tag(&claim.id);
        if !theirs.runs.iter().any(|run| run.holds(claim, tag)) {
            due.push((rank, claim.sequence(), Key::Entry(id, claim.id)));
        }
    }
    false
}
