//! What is told apart from the authors' vectors: the head (banks, freezes and proofs), which goes
//! first, and the cache, which goes last.

use super::have::{Due, Rank, bank_lacks};
use super::keys::Keys;
use super::message::BankVector;
use crate::codec::List;
use crate::id::{AuthorId, BankNumber};
use crate::record::item::Subject;
use crate::replica::{Key, Replica, Shelf};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Everything of a subject of the head.
pub(super) fn head_items(
    replica: &Replica,
    shelf: &dyn Shelf,
    keys: &Keys,
    subject: &Subject,
    due: &mut Vec<Due>,
) {
    match subject {
        Subject::Author(author) => evidence_items(replica, shelf, *author, due),
        Subject::Bank(bank) => bank_lacks(replica, keys, &no_bank(*bank), due),
    }
}

/// The vector of a side that knows nothing of a bank.
fn no_bank(bank: BankNumber) -> BankVector {
    BankVector { bank, certificates: List::default(), bulletin: None }
}

/// The freeze and proof of an author, behind the grants that certify it.
fn evidence_items(replica: &Replica, shelf: &dyn Shelf, id: AuthorId, due: &mut Vec<Due>) {
    let Some(author) = replica.peek(&id, shelf) else { return };
    for held in author.grants() {
        let order = u32::from(held.serial.0);
        due.push((Rank::EvidenceGrant, order, Key::Grant(id, held.serial)));
    }
    due.extend(author.freeze().map(|_| (Rank::Evidence, 0, Key::Freeze(id))));
    due.extend(author.proof().map(|_| (Rank::Evidence, 1, Key::Proof(id))));
}

/// The subjects of the head that tags stand for.
pub(super) fn head_subjects(replica: &Replica, keys: &Keys, tags: &BTreeSet<u64>) -> Vec<Subject> {
    let subjects = replica.head_elements().map(|(subject, _)| subject);
    subjects.filter(|subject| tags.contains(&keys.subject(subject))).collect()
}
