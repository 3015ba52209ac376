//! What a side that sent a have-vector lacks, and what it has that this side lacks.

use super::keys::Keys;
use super::message::BankVector;
use super::vector::{Held, Run, Serials, Want};
use crate::codec::List;
use crate::id::{AuthorId, BankNumber, Hash, Serial};
use crate::record::entry::Class;
use crate::record::proof::Claim;
use crate::replica::author::Author;
use crate::replica::{Key, Replica};
use crate::trust::Trust;
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

impl Serials {
    fn of(author: &Author, keys: &Keys) -> Self {
        let ids: Vec<Hash> = author.grants().map(|grant| grant.id()).collect();
        let mut serials = Self { tag: keys.short_tag(&ids), ..Self::default() };
        for serial in author.grants().rev().map(|grant| grant.serial) {
            if serial == Serial::ENROLMENT {
                serials.enrolled = true;
                continue;
            }
            if serials.bitmap == 0 {
                serials.top = serial.0;
            }
            serials.bitmap |= serials.bit(serial).unwrap_or(0);
        }
        serials
    }

    /// The bit that stands for a serial.
    fn bit(&self, Serial(serial): Serial) -> Option<u64> {
        1u64.checked_shl(u32::from(self.top.checked_sub(serial)?))
    }

    /// Whether the grant is not among those held: of one too far below nothing can be said.
    fn lacks(&self, serial: Serial) -> bool {
        match self.bit(serial) {
            _ if serial == Serial::ENROLMENT => !self.enrolled,
            Some(bit) => self.bitmap & bit == 0,
            None => serial.0 > self.top,
        }
    }
}

/// What this side holds of an author.
pub(super) fn held(author: &Author, keys: &Keys) -> Held {
    let entries = author.carried();
    let run = |class| {
        let of_class = entries.iter().filter(|claim| claim.kind.class() == class);
        Run::of(of_class.map(|claim| (claim.sequence(), keys.tag(&claim.id))))
    };
    let checkpoint = author.checkpoint();
    Held {
        serials: Serials::of(author, keys),
        checkpoint: checkpoint.map(|it| (it.certificate, it.number, keys.short_tag(&[it.id()]))),
        freeze: author.freeze().map(|held| keys.short_tag(&[held.id()])),
        proven: author.proof().is_some(),
        money: run(Class::Money),
        documents: run(Class::Document),
    }
}

/// Everything about an author, for a side that holds nothing of it.
pub(super) fn all(author: &Author, id: AuthorId, own: bool, due: &mut Vec<Due>) {
    let proven = author.proof().is_some();
    records(author, id, own, proven || author.freeze().is_some(), |_| true, due);
    due.extend(author.checkpoint().map(|_| checkpoint(id, own)));
    due.extend(author.freeze().map(|_| (Rank::Evidence, 0, Key::Freeze(id))));
    due.extend(author.proof().map(|_| (Rank::Evidence, 1, Key::Proof(id))));
    due.extend(author.carried().iter().map(|claim| entry(claim, id, own)));
}

fn entry(claim: &Claim, id: AuthorId, own: bool) -> Due {
    let rank = if own { Rank::OwnEntry } else { Rank::Entry };
    (rank, claim.sequence(), Key::Entry(id, claim.id))
}

fn checkpoint(id: AuthorId, own: bool) -> Due {
    (if own { Rank::OwnCheckpoint } else { Rank::Checkpoint }, 0, Key::Checkpoint(id))
}

fn records(
    author: &Author,
    id: AuthorId,
    own: bool,
    barred: bool,
    wanted: impl Fn(Serial) -> bool,
    due: &mut Vec<Due>,
) {
    let rank = match (barred, own) {
        (true, _) => Rank::EvidenceGrant,
        (false, true) => Rank::OwnGrant,
        (false, false) => Rank::Grant,
    };
    for serial in author.grants().map(|held| held.serial).filter(|serial| wanted(*serial)) {
        due.push((rank, u32::from(serial.0), Key::Grant(id, serial)));
    }
}

/// What comparing a vector with what is held here says.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// What the other side lacks.
    pub(super) due: Vec<Due>,
    /// What this side lacks.
    pub(super) want: Want,
    /// The other side has the newer checkpoint: which entries it lacks is seen once that is here.
    pub(super) later: bool,
}

/// Compares what the other side holds of an author with what is held here.
pub(super) fn compare(
    trust: &Trust,
    author: &Author,
    id: AuthorId,
    keys: &Keys,
    theirs: &Held,
    own: bool,
) -> Compared {
    let mut compared = Compared::default();
    let ours = held(author, keys);
    compare_records(author, id, &ours, theirs, own, &mut compared);
    if theirs.proven || ours.proven {
        return compared; // Entries of a proven author travel in the cache.
    }
    // A checkpoint without effect decides nothing.
    let decided = author.checkpoint_in_effect(trust).map_or(0, |held| held.undecided_from());
    let wanted = |class, decided| {
        let Some(run) = theirs.run(class) else { return 0 };
        let lacking = run.sequences().filter(|(_, sequence)| *sequence >= decided);
        let ours = ours.run(class);
        let lacking =
            lacking.filter(|(_, sequence)| ours.is_none_or(|ours| !ours.holds(*sequence)));
        lacking.fold(0, |bits, (bit, _)| bits | 1 << bit)
    };
    // What a newer checkpoint of theirs decides is in no run of theirs.
    compared.want.money = wanted(Class::Money, decided);
    compared.want.documents = wanted(Class::Document, 0);
    compared.later = version(theirs) > version(&ours);
    if !compared.later {
        entries(author, id, keys, theirs, own, &mut compared.due);
    }
    compared
}

fn compare_records(
    author: &Author,
    id: AuthorId,
    ours: &Held,
    theirs: &Held,
    own: bool,
    compared: &mut Compared,
) {
    let Compared { due, want, .. } = compared;
    want.proof = theirs.proven && !ours.proven;
    if ours.proven && !theirs.proven {
        due.push((Rank::Evidence, 1, Key::Proof(id)));
    }
    if ours.serials.tag != theirs.serials.tag {
        let barred = author.freeze().is_some() || ours.proven;
        let held = author.grants().filter_map(|grant| theirs.serials.bit(grant.serial));
        want.serials = theirs.serials.bitmap & !held.fold(0, |held, bit| held | bit);
        want.enrolment = theirs.serials.enrolled && !ours.serials.enrolled;
        let before = due.len();
        records(author, id, own, barred, |serial| theirs.serials.lacks(serial), due);
        // No serial tells them apart: a bank signed two grants for one, or left gaps that a vector
        // cannot show. Both sides tell all, and the merge rule decides.
        if due.len() == before && want.serials == 0 && !want.enrolment {
            records(author, id, own, barred, |_| true, due);
            want.grants = true;
        }
    }
    // Likewise where the versions are the same and the tags are not.
    if ours.checkpoint != theirs.checkpoint {
        let (mine, other) = (version(ours), version(theirs));
        due.extend((mine >= other && mine.is_some()).then_some(checkpoint(id, own)));
        want.checkpoint = other >= mine && other.is_some();
    }
    if ours.freeze != theirs.freeze {
        due.extend(ours.freeze.map(|_| (Rank::Evidence, 0, Key::Freeze(id))));
        want.freeze = theirs.freeze.is_some();
    }
}

/// Certificate and number of the checkpoint held.
pub(super) fn version(held: &Held) -> Option<(u16, u32)> {
    held.checkpoint.map(|(certificate, number, _)| (certificate, number))
}

/// The core entries that the other side lacks.
pub(super) fn entries(
    author: &Author,
    id: AuthorId,
    keys: &Keys,
    theirs: &Held,
    own: bool,
    due: &mut Vec<Due>,
) {
    if theirs.proven || author.proof().is_some() {
        return;
    }
    for claim in &author.carried() {
        let sequence = claim.sequence();
        let run = theirs.run(claim.kind.class());
        // Where a run ends, the tag tells two branches apart: the header leads to the proof.
        let same = run
            .filter(|run| run.holds(sequence))
            .is_some_and(|run| run.tag(sequence).is_none_or(|tag| tag == keys.tag(&claim.id)));
        if !same {
            due.push(entry(claim, id, own));
        }
    }
}

/// Everything that a vector shows, for a side that holds nothing of the author.
pub(super) fn want_all(theirs: &Held, index: u16) -> Want {
    let bits = |run: &Option<Run>| run.as_ref().map_or(0, |run| run.bitmap);
    Want {
        index,
        checkpoint: theirs.checkpoint.is_some(),
        freeze: theirs.freeze.is_some(),
        proof: theirs.proven,
        enrolment: theirs.serials.enrolled,
        grants: true,
        serials: 0,
        money: bits(&theirs.money),
        documents: bits(&theirs.documents),
    }
}

/// The items that answer a want.
pub(super) fn wanted(
    author: &Author,
    id: AuthorId,
    want: &Want,
    told: &Told,
    own: bool,
    due: &mut Vec<Due>,
) {
    let barred = want.freeze || want.proof;
    let asked = |serial: Serial| match serial {
        _ if want.grants => true,
        Serial::ENROLMENT => want.enrolment,
        _ => told.serials.bit(serial).is_some_and(|bit| want.serials & bit != 0),
    };
    records(author, id, own, barred, asked, due);
    due.extend(author.checkpoint().filter(|_| want.checkpoint).map(|_| checkpoint(id, own)));
    let freeze = author.freeze().filter(|_| want.freeze);
    due.extend(freeze.map(|_| (Rank::Evidence, 0, Key::Freeze(id))));
    let proof = author.proof().filter(|_| want.proof);
    due.extend(proof.map(|_| (Rank::Evidence, 1, Key::Proof(id))));
    for claim in &author.carried() {
        let (bits, base) = match claim.kind.class() {
            Class::Money => (want.money, told.money),
            Class::Document => (want.documents, told.documents),
        };
        let bit = claim.sequence().checked_sub(base).filter(|bit| *bit < 64);
        if bit.is_some_and(|bit| bits >> bit & 1 == 1) {
            due.push(entry(claim, id, own));
        }
    }
}

/// What a vector that was sent said, as far as the answer to it needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) author: AuthorId,
    serials: Serials,
    money: u32,
    documents: u32,
}

impl Told {
    pub(super) fn of(author: AuthorId, held: &Held) -> Self {
        let base = |run: &Option<Run>| run.as_ref().map_or(0, |run| run.base);
        Self {
            author,
            serials: held.serials,
            money: base(&held.money),
            documents: base(&held.documents),
        }
    }
}
