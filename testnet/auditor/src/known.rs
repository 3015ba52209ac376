//! What the facts hold, read once: every item decoded, and its signature verified at most once.

use crate::facts::{Facts, ItemNumber};
use crate::read::Refused;
use crate::records::{Author, Certificate, Entry, Item, Network, Record, SignedHeader};
use crate::signatures;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

/// Certificates and their ids, by bank and number.
type Certificates = BTreeMap<(u16, u16), Vec<([u8; 32], Certificate)>>;

/// The facts with their items read.
pub(crate) struct Known<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) network: Network,
    items: Vec<Option<Item>>,
    holds: Vec<OnceCell<bool>>,
    /// All certificates that verify; adversaries make several of one number.
    certificates: Certificates,
    /// Whether a record verifies under the certificate of that id, where its number names several.
    under: RefCell<BTreeMap<(ItemNumber, [u8; 32]), bool>>,
    entries: BTreeMap<[u8; 32], Vec<ItemNumber>>,
}

impl<'a> Known<'a> {
    pub(crate) fn read(facts: &'a Facts) -> Result<Self, Refused> {
        let network = Network::read(&facts.network)?;
        let (mut items, mut holds) = (Vec::new(), Vec::new());
        let mut entries: BTreeMap<[u8; 32], Vec<ItemNumber>> = BTreeMap::new();
        for (number, bytes, checked) in facts.items.rows() {
            // Bytes that are no item are an adversary's, and prove nothing.
            let item = Item::read(&network.id, bytes).ok();
            if let Some(Item { id, record: Record::Entry(_), .. }) = &item {
                entries.entry(*id).or_default().push(number);
            }
            items.push(item);
            holds.push(checked.map_or_else(OnceCell::new, OnceCell::from));
        }
        let mut known = Self {
            facts,
            network,
            items,
            holds,
            certificates: BTreeMap::new(),
            under: RefCell::default(),
            entries,
        };
        known.certificates = known.certificates();
        Ok(known)
    }

    fn certificates(&self) -> Certificates {
        let mut certificates = Certificates::new();
        for (number, _, _) in self.facts.items.rows() {
            if let Some(Item { id, record: Record::Certificate(record), .. }) = self.item(number)
                && self.holds(number)
            {
                let named = certificates.entry((record.bank, record.number)).or_default();
                named.push((*id, record.clone()));
            }
        }
        certificates
    }

    /// An item, whether or not it verifies.
    pub(crate) fn item(&self, number: ItemNumber) -> Option<&Item> {
        self.items.get(number.index())?.as_ref()
    }

    /// An item that verifies.
    pub(crate) fn good(&self, number: ItemNumber) -> Option<&Item> {
        self.item(number).filter(|_| self.holds(number))
    }

    fn holds(&self, number: ItemNumber) -> bool {
        *self.holds[number.index()].get_or_init(|| {
            let Some(item) = self.item(number) else { return false };
            let Some(named) = certificate_of(&item.record) else {
                return signatures::verify(&self.network, &[], item).is_ok();
            };
            let named = self.certificates.get(&named).map_or(&[][..], Vec::as_slice);
            named.iter().any(|(_, certificate)| {
                let certificate = std::slice::from_ref(certificate);
                signatures::verify(&self.network, certificate, item).is_ok()
            })
        })
    }

    /// A bank's record that verifies under the certificate of that id.
    pub(crate) fn good_under(&self, number: ItemNumber, certificate: &[u8; 32]) -> bool {
        let Some(item) = self.good(number) else { return false };
        let Some(named) = certificate_of(&item.record) else { return false };
        let Some(named) = self.certificates.get(&named) else { return false };
        if let [(only, _)] = &named[..] {
            return only == certificate;
        }
        let Some((id, record)) = named.iter().find(|(id, _)| id == certificate) else {
            return false;
        };
        *self.under.borrow_mut().entry((number, *id)).or_insert_with(|| {
            signatures::verify(&self.network, std::slice::from_ref(record), item).is_ok()
        })
    }

    /// The entry of that id, if a copy of it verifies.
    pub(crate) fn entry(&self, id: &[u8; 32]) -> Option<&Entry> {
        self.entries.get(id)?.iter().find_map(|number| match &self.good(*number)?.record {
            Record::Entry(entry) => Some(entry),
            _ => None,
        })
    }

    /// The headers that an item shows, if it verifies: one of an entry, two of a proof.
    pub(crate) fn headers(&self, number: ItemNumber) -> Vec<SignedHeader> {
        self.good(number).map(Item::headers).unwrap_or_default()
    }

    /// All items that any author's log is in, by author, verified or not.
    pub(crate) fn logs(&self) -> BTreeMap<Author, Vec<ItemNumber>> {
        let mut logs: BTreeMap<Author, Vec<ItemNumber>> = BTreeMap::new();
        for (number, _, _) in self.facts.items.rows() {
            match self.item(number).map(|item| &item.record) {
                Some(Record::Entry(entry)) => {
                    logs.entry(entry.header.author).or_default().push(number);
                }
                Some(Record::Proof(proof)) => logs.entry(proof.author).or_default().push(number),
                _ => {}
            }
        }
        logs
    }
}

/// Bank and number of the certificate that a record names.
pub(crate) fn certificate_of(record: &Record) -> Option<(u16, u16)> {
    match record {
        Record::Grant(record) => Some((record.author.bank, record.certificate)),
        Record::Checkpoint(record) => Some((record.author.bank, record.certificate)),
        Record::Freeze(record) => Some((record.author.bank, record.certificate)),
        Record::Bulletin(record) => Some((record.bank, record.certificate)),
        Record::Certificate(_) | Record::Proof(_) | Record::Entry(_) | Record::Receipt(_) => None,
    }
}
