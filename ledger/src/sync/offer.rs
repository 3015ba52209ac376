//! What is told apart from the authors' vectors: evidence (freezes and proofs), which goes first,
//! and the cache, which goes last.

use super::Known;
use super::have::{Due, Rank};
use super::keys::Keys;
use crate::id::AuthorId;
use crate::replica::Key;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// The tag of every frozen or proven author's evidence.
pub(super) fn evidence_tags(replica: &Known<'_>, keys: &Keys) -> BTreeMap<u64, AuthorId> {
    let elements = replica.evidence_elements();
    elements.map(|(author, element)| (keys.wide_tag(element), *author)).collect()
}

/// Compares evidence with the peer's: what it lacks is due, what we lack is returned.
pub(super) fn compare_evidence(
    replica: &Known<'_>,
    keys: &Keys,
    theirs: &BTreeSet<u64>,
    due: &mut Vec<Due>,
) -> Vec<u64> {
    let ours = evidence_tags(replica, keys);
    for (_, author) in ours.iter().filter(|(tag, _)| !theirs.contains(tag)) {
        evidence_items(replica, *author, due);
    }
    theirs.iter().copied().filter(|tag| !ours.contains_key(tag)).collect()
}

/// The freeze and proof of an author, behind the grants that certify it.
pub(super) fn evidence_items(replica: &Known<'_>, id: AuthorId, due: &mut Vec<Due>) {
    let Some(author) = replica.author(&id) else { return };
    for held in author.grants() {
        let order = u32::from(held.serial.0);
        due.push((Rank::EvidenceGrant, order, Key::Grant(id, held.serial)));
    }
    due.extend(author.freeze().map(|_| (Rank::Evidence, 0, Key::Freeze(id))));
    due.extend(author.proof().map(|_| (Rank::Evidence, 1, Key::Proof(id))));
}
