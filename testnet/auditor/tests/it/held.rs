//! What a side of a session holds, from its items alone: the tables of "What is held" and the
//! elements of "Digests", as far as the sessions of the vectors need them.

use hundi_auditor::hashes::hash;
use hundi_auditor::records::{Author, Item, Record};
use hundi_auditor::sync::symbols::Pair;
use hundi_auditor::sync::{Range, pair, position, wide_tag};
use std::collections::{BTreeMap, BTreeSet};

/// Items that have arrived, in their order.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) network: [u8; 32],
    items: Vec<Item>,
}

/// The author that an item is about.
pub(crate) fn author_of(item: &Item) -> Option<Author> {
    match &item.record {
        Record::Grant(record) => Some(record.author),
        Record::Checkpoint(record) => Some(record.author),
        Record::Freeze(record) => Some(record.author),
        Record::Proof(record) => Some(record.headers[0].header.author),
        Record::Entry(record) => Some(record.header.author),
        Record::Certificate(_) | Record::Bulletin(_) | Record::Receipt(_) => None,
    }
}

impl Held {
    pub(crate) fn new(network: [u8; 32]) -> Self {
        Self { network, items: Vec::new() }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.items.push(Item::read(&self.network, bytes).unwrap());
    }

    /// The authors that a grant certifies.
    pub(crate) fn authors(&self) -> BTreeSet<Author> {
        let grants = self.items.iter().filter(|item| matches!(item.record, Record::Grant(_)));
        grants.filter_map(author_of).collect()
    }

    pub(crate) fn of(&self, author: Author) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| author_of(item) == Some(author))
    }

    /// Serials and ids of an author's grants: the highest id on a tie.
    pub(crate) fn grants(&self, author: Author) -> BTreeMap<u16, [u8; 32]> {
        let mut grants = BTreeMap::new();
        for item in self.of(author) {
            if let Record::Grant(record) = &item.record {
                let held = grants.entry(record.serial).or_insert(item.id);
                *held = item.id.max(*held);
            }
        }
        grants
    }

    /// Certificate, number and id of the checkpoint held: the highest.
    pub(crate) fn checkpoint(&self, author: Author) -> Option<(u16, u32, [u8; 32])> {
        let of = self.of(author).filter_map(|item| match &item.record {
            Record::Checkpoint(record) => Some((record.certificate, record.number, item.id)),
            _ => None,
        });
        of.max()
    }

    /// The id of the freeze held: the lowest by epoch.
    pub(crate) fn freeze(&self, author: Author) -> Option<[u8; 32]> {
        let of = self.of(author).filter_map(|item| match &item.record {
            Record::Freeze(record) => Some((record.epoch, item.id)),
            _ => None,
        });
        of.min().map(|(_, id)| id)
    }

    /// Class, sequence number and id of every entry, ascending.
    pub(crate) fn entries(&self, author: Author) -> BTreeSet<(bool, u32, [u8; 32])> {
        let of = self.of(author).filter_map(|item| match &item.record {
            Record::Entry(entry) => {
                Some((entry.header.is_document(), entry.header.sequence, item.id))
            }
            _ => None,
        });
        of.collect()
    }

    /// Whether no record but certificates, grants and entries has come, and of these no two at one
    /// number: then all entries are in the core, as these vectors have them.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = self.items.iter().all(|item| {
            matches!(item.record, Record::Certificate(_) | Record::Grant(_) | Record::Entry(_))
        });
        let one_log = |author| {
            let entries = self.entries(author);
            let places: BTreeSet<_> = entries.iter().map(|(class, at, _)| (class, at)).collect();
            places.len() == entries.len()
        };
        plain && self.authors().into_iter().all(one_log)
    }

    /// The element of an author of which nothing but grants and entries is held.
    fn element(&self, author: Author) -> [u8; 32] {
        let mark = |name| hash(&format!("hundi v1 element {name}"), &self.network, &[]);
        let mut parts: Vec<[u8; 32]> = self.grants(author).into_values().collect();
        parts.extend([mark("checkpoint"), mark("evidence"), mark("entries")]);
        parts.extend(self.entries(author).into_iter().map(|(_, _, id)| id));
        let name = author.to_bytes();
        hash("hundi v1 core element", &self.network, &[&name, parts.as_flattened()])
    }

    /// Subjects and elements of the banks of which certificates are held.
    pub(crate) fn banks(&self) -> BTreeMap<Vec<u8>, [u8; 32]> {
        let mut ids: BTreeMap<u16, BTreeMap<u16, [u8; 32]>> = BTreeMap::new();
        for item in &self.items {
            if let Record::Certificate(record) = &item.record {
                ids.entry(record.bank).or_default().insert(record.number, item.id);
            }
        }
        let element = |(bank, ids): (u16, BTreeMap<u16, [u8; 32]>)| {
            let (name, ids) = (bank.to_le_bytes(), ids.into_values().collect::<Vec<_>>());
            let parts = [&name[..], ids.as_flattened()];
            (name.to_vec(), hash("hundi v1 core element", &self.network, &parts))
        };
        ids.into_iter().map(element).collect()
    }

    /// Authors in a range, with their elements.
    fn in_range(&self, range: Range) -> impl Iterator<Item = (Author, [u8; 32])> {
        let place = |author: &Author| position(&self.network, &author.to_bytes());
        let inside = self.authors().into_iter().filter(move |author| range.contains(place(author)));
        inside.map(|author| (author, self.element(author)))
    }

    /// The pairs of a range.
    pub(crate) fn pairs(&self, link: &[u8; 32], range: Range) -> Vec<Pair> {
        let of = self.in_range(range);
        of.map(|(author, element)| pair(link, &author.to_bytes(), &element)).collect()
    }

    /// The sum of a range.
    pub(crate) fn sum(&self, link: &[u8; 32], range: Range) -> u64 {
        let of = self.in_range(range);
        of.fold(0, |sum, (_, element)| sum.wrapping_add(wide_tag(link, &element)))
    }

    /// All elements of the core.
    pub(crate) fn core(&self) -> Vec<[u8; 32]> {
        let authors = self.authors().into_iter().map(|author| self.element(author));
        self.banks().into_values().chain(authors).collect()
    }
}
