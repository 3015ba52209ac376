//! The sections "What is held" and "Digests": the core that a set of items comes to, whatever order
//! they came in. This is the auditor's own join; I1 compares it with what nodes say.

use crate::facts::ItemNumber;
use crate::hashes::hash;
use crate::known::Known;
use crate::records::{
    Author, Bulletin, Certificate, Checkpoint, Entry, Freeze, Grant, Item, Record,
};
use crate::sync;
use std::collections::{BTreeMap, BTreeSet};

/// Certificates of one bank, and grants of one author besides serial 0, that are held.
const HELD_MAX: usize = 16;
/// Sequence numbers of one class that are carried.
const WINDOW: u32 = 64;

/// What items come to.
pub(crate) struct Core {
    /// The digest of all elements.
    pub(crate) digest: [u8; 32],
    /// The elements of banks by number.
    pub(crate) banks: BTreeMap<u16, [u8; 32]>,
    /// The elements of authors.
    pub(crate) authors: BTreeMap<Author, [u8; 32]>,
    /// Authors that a grant certifies.
    pub(crate) certified: BTreeSet<Author>,
    /// Certified authors of which a proof is held.
    pub(crate) proven: BTreeSet<Author>,
    /// How many entries are in it.
    pub(crate) entries: u64,
}

/// Certificate, number or epoch, and id.
type Version = (u16, u32, [u8; 32]);
/// Of records with an id each, the one that is greatest by a rank, the id last.
type Kept<'a, Rank, T> = Option<(Rank, &'a T)>;

fn keep<'a, Rank: Ord, T>(held: &mut Kept<'a, Rank, T>, rank: Rank, record: &'a T) {
    if held.as_ref().is_none_or(|(best, _)| *best < rank) {
        *held = Some((rank, record));
    }
}

/// What is held of an author.
#[derive(Default)]
struct Log<'a> {
    grants: BTreeMap<u16, Kept<'a, [u8; 32], Grant>>,
    checkpoint: Kept<'a, Version, Checkpoint>,
    /// Turned round, because the lowest is kept.
    freeze: Kept<'a, std::cmp::Reverse<(u32, [u8; 32])>, Freeze>,
    proven: bool,
    entries: Vec<&'a Entry>,
}

/// What is held of all banks.
#[derive(Default)]
struct Banks<'a> {
    certificates: BTreeMap<u16, BTreeMap<u16, ([u8; 32], &'a Certificate)>>,
    bulletins: BTreeMap<u16, Kept<'a, Version, Bulletin>>,
}

impl<'a> Banks<'a> {
    /// Certificates first: which are held decides what else verifies.
    fn of(known: &'a Known<'_>, items: &[ItemNumber]) -> Self {
        let mut banks = Self::default();
        for number in items {
            if let Some(Item { id, record: Record::Certificate(record), .. }) = known.good(*number)
            {
                let of = banks.certificates.entry(record.bank).or_default();
                let held = of.entry(record.number).or_insert((*id, record));
                if held.0 < *id {
                    *held = (*id, record);
                }
            }
        }
        for of in banks.certificates.values_mut() {
            while of.len() > HELD_MAX {
                of.pop_first();
            }
        }
        for number in items {
            if banks.verifies(known, *number)
                && let Some(Item { id, record: Record::Bulletin(record), .. }) = known.item(*number)
            {
                let rank = (record.certificate, record.epoch, *id);
                keep(banks.bulletins.entry(record.bank).or_default(), rank, record);
            }
        }
        banks
    }

    /// Whether a bank's record verifies under the certificate held of that number.
    fn verifies(&self, known: &Known<'_>, number: ItemNumber) -> bool {
        let named = known.item(number).and_then(|item| crate::known::certificate_of(&item.record));
        let held = named.and_then(|(bank, number)| self.certificates.get(&bank)?.get(&number));
        held.is_some_and(|(id, _)| known.good_under(number, id))
    }

    /// The section "Who may sign": whether a record of that certificate and epoch has effect.
    fn honour(&self, bank: u16, certificate: u16, epoch: u32) -> bool {
        let later = self.certificates.get(&bank).into_iter().flatten();
        let mut bounds = later
            .filter(|(number, _)| **number > certificate)
            .flat_map(|(_, (_, later))| &later.honours)
            .filter(|bound| bound.certificate == certificate);
        bounds.all(|bound| epoch <= bound.epoch_last)
    }

    fn time(&self, bank: u16) -> u32 {
        match self.bulletins.get(&bank) {
            Some(Some((_, held))) if self.honour(bank, held.certificate, held.epoch) => held.time,
            _ => 0,
        }
    }

    fn elements(&self, network: &[u8; 32]) -> BTreeMap<u16, [u8; 32]> {
        let element = |(bank, of): (&u16, &BTreeMap<u16, ([u8; 32], &Certificate)>)| {
            let mut ids: Vec<[u8; 32]> = of.values().map(|(id, _)| *id).collect();
            if let Some(Some(((_, _, id), _))) = self.bulletins.get(bank) {
                ids.push(*id);
            }
            let name = bank.to_le_bytes();
            (*bank, hash("hundi v1 core element", network, &[&name, ids.as_flattened()]))
        };
        self.certificates.iter().map(element).collect()
    }
}

impl<'a> Log<'a> {
    fn take(&mut self, banks: &Banks<'_>, id: [u8; 32], record: &'a Record) {
        match record {
            Record::Grant(grant) => keep(self.grants.entry(grant.serial).or_default(), id, grant),
            Record::Checkpoint(one) => {
                keep(&mut self.checkpoint, (one.certificate, one.number, id), one);
            }
            Record::Freeze(one) if banks.honour(one.author.bank, one.certificate, one.epoch) => {
                keep(&mut self.freeze, std::cmp::Reverse((one.epoch, id)), one);
            }
            Record::Proof(_) => self.proven = true,
            Record::Entry(entry) => self.entries.push(entry),
            _ => {}
        }
    }

    /// Besides serial 0 the highest are kept.
    fn trim(&mut self) {
        let enrolled = usize::from(self.grants.contains_key(&0));
        while self.grants.len() > HELD_MAX + enrolled {
            let lowest = self.grants.keys().copied().find(|serial| *serial > 0);
            lowest.map(|serial| self.grants.remove(&serial));
        }
    }

    fn grants(&self) -> impl Iterator<Item = (&[u8; 32], &'a Grant)> {
        self.grants.values().flatten().map(|(id, grant)| (id, *grant))
    }

    fn in_force(banks: &Banks<'_>, grant: &Grant) -> bool {
        let bank = grant.author.bank;
        banks.honour(bank, grant.certificate, grant.epoch) && grant.claim_until >= banks.time(bank)
    }

    fn certified(&self, banks: &Banks<'_>) -> bool {
        self.grants().any(|(_, grant)| Self::in_force(banks, grant))
    }

    /// The core entries: ascending by class, sequence number and id.
    fn core_entries(&self, banks: &Banks<'_>) -> BTreeSet<(bool, u32, [u8; 32])> {
        if self.proven {
            return BTreeSet::new();
        }
        let checkpoint = self.checkpoint.as_ref().map(|(_, held)| *held);
        let checkpoint =
            checkpoint.filter(|one| banks.honour(one.author.bank, one.certificate, one.epoch));
        let effective = self
            .grants()
            .filter(|(_, grant)| banks.honour(grant.author.bank, grant.certificate, grant.epoch));
        let carried = effective.map(|(_, grant)| grant.carry_to);
        let carry_to = carried.chain(checkpoint.map(|one| one.carry_to)).max().unwrap_or(0);
        let admitted = |entry: &&&Entry| {
            let (header, id) = (&entry.header, &entry.id);
            let grant = self.grants.get(&header.serial).and_then(Option::as_ref);
            let granted = grant.is_some_and(|(_, grant)| {
                Self::in_force(banks, grant)
                    && header.spent_total <= grant.limit
                    && header.sequence >= grant.first_sequence
            });
            if header.is_document() {
                return granted && header.sequence < WINDOW;
            }
            let carried = header.sequence <= carry_to && carry_to - header.sequence < WINDOW;
            let undecided = checkpoint.is_none_or(|one| {
                one.frontier.is_none_or(|frontier| header.sequence > frontier.sequence)
                    && one.named(header.sequence, id).is_none()
            });
            granted && carried && undecided
        };
        let place = |entry: &&Entry| (entry.header.is_document(), entry.header.sequence, entry.id);
        self.entries.iter().filter(admitted).map(place).collect()
    }

    fn element(
        &self,
        network: &[u8; 32],
        author: Author,
        entries: &BTreeSet<(bool, u32, [u8; 32])>,
    ) -> [u8; 32] {
        let mark = |name| hash(&format!("hundi v1 element {name}"), network, &[]);
        let mut parts: Vec<[u8; 32]> = self.grants().map(|(id, _)| *id).collect();
        parts.push(mark("checkpoint"));
        parts.extend(self.checkpoint.as_ref().map(|((_, _, id), _)| *id));
        parts.push(mark("evidence"));
        if self.freeze.is_some() || self.proven {
            parts.push(self.freeze.as_ref().map_or([0; 32], |(rank, _)| rank.0.1));
            parts.push([u8::from(self.proven); 32]);
        }
        parts.push(mark("entries"));
        parts.extend(entries.iter().map(|(_, _, id)| *id));
        hash("hundi v1 core element", network, &[&author.to_bytes(), parts.as_flattened()])
    }
}

/// The core of whoever holds these items.
pub(crate) fn join(known: &Known<'_>, items: &[ItemNumber]) -> Core {
    let network = &known.network.id;
    let banks = Banks::of(known, items);
    let mut logs: BTreeMap<Author, Log<'_>> = BTreeMap::new();
    for number in items {
        let Some(item) = known.good(*number) else { continue };
        let by_bank = crate::known::certificate_of(&item.record).is_some();
        if let Some(author) = item.author()
            && (!by_bank || banks.verifies(known, *number))
        {
            logs.entry(author).or_default().take(&banks, item.id, &item.record);
        }
    }
    let mut core = Core {
        digest: [0; 32],
        banks: banks.elements(network),
        authors: BTreeMap::new(),
        certified: BTreeSet::new(),
        proven: BTreeSet::new(),
        entries: 0,
    };
    for (author, mut log) in logs {
        log.trim();
        if !log.certified(&banks) {
            continue;
        }
        let entries = log.core_entries(&banks);
        core.authors.insert(author, log.element(network, author, &entries));
        core.certified.insert(author);
        core.entries += entries.len() as u64;
        if log.proven {
            core.proven.insert(author);
        }
    }
    let elements: Vec<[u8; 32]> =
        core.banks.values().chain(core.authors.values()).copied().collect();
    core.digest = sync::digest(network, &sync::sum(&elements));
    core
}
