//! What payees told a bank of entries, and what follows: the section "Receipt" of the protocol, and who
//! is not paid because it refused or knew.

use crate::facts::BankFacts;
use crate::known::Known;
use crate::records::{Author, Record, Statement};
use std::collections::BTreeMap;

/// One payee's word on one entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) signer: Author,
    /// 0 accepted, else refused.
    pub(crate) verdict: u8,
    /// Whether it held a freeze of the payer as it said so.
    pub(crate) knew: bool,
    /// When it reached the bank.
    pub(crate) step: u64,
}

/// All receipts that reached a bank, by the entry they answer.
pub(crate) struct Receipts {
    told: BTreeMap<[u8; 32], Vec<Told>>,
    keys: BTreeMap<[u8; 32], Vec<[u8; 32]>>,
    /// The lowest epoch of each author's freezes.
    freezes: BTreeMap<Author, u32>,
    /// Authors of entries, as far as a copy verifies.
    authors: BTreeMap<[u8; 32], Author>,
}

impl Receipts {
    pub(super) fn new(known: &Known<'_>, bank: &BankFacts) -> Self {
        let mut freezes = BTreeMap::new();
        for number in &bank.signed {
            if let Some(Record::Freeze(freeze)) = known.good(*number).map(|item| &item.record) {
                let lowest = freezes.entry(freeze.author).or_insert(freeze.epoch);
                *lowest = freeze.epoch.min(*lowest);
            }
        }
        let entries =
            bank.arrivals.iter().filter_map(|arrival| match &known.item(arrival.item)?.record {
                Record::Entry(entry) => Some((entry.id, entry.header.author)),
                _ => None,
            });
        let authors = entries.collect();
        Self { told: BTreeMap::new(), keys: BTreeMap::new(), freezes, authors }
    }

    pub(super) fn note(&mut self, signer: Author, statement: &Statement, key: [u8; 32], step: u64) {
        let freeze = self.authors.get(&statement.entry).and_then(|it| self.freezes.get(it));
        // Epoch 0 in a statement says that no digest is held in full.
        let knew = statement.freezes_epoch > 0
            && freeze.is_some_and(|epoch| *epoch <= statement.freezes_epoch);
        let told = Told { signer, verdict: statement.verdict, knew, step };
        self.told.entry(statement.entry).or_default().push(told);
        self.keys.entry(statement.entry).or_default().push(key);
    }

    /// Content keys that receipts of an entry disclosed.
    pub(super) fn keys(&self, entry: &[u8; 32]) -> &[[u8; 32]] {
        self.keys.get(entry).map_or(&[], Vec::as_slice)
    }

    /// What a payee told of an entry.
    pub(crate) fn of(&self, entry: &[u8; 32], payee: Author) -> impl Iterator<Item = &Told> {
        self.told.get(entry).into_iter().flatten().filter(move |told| told.signer == payee)
    }

    /// Entries of which this payee said that it accepts them.
    pub(crate) fn accepted_by(&self, payee: Author) -> impl Iterator<Item = &[u8; 32]> {
        let by = move |told: &Told| told.signer == payee && told.verdict == 0;
        self.told.iter().filter(move |(_, told)| told.iter().any(by)).map(|(entry, _)| entry)
    }

    /// Every two receipts of one signer that say different things of one entry.
    pub(crate) fn at_odds(&self) -> impl Iterator<Item = (Author, &[u8; 32])> {
        self.told.iter().flat_map(|(entry, told)| {
            let odd = told.iter().filter(|one| {
                let same = |other: &&Told| other.signer == one.signer;
                told.iter().filter(same).any(|other| other.verdict < one.verdict)
            });
            odd.map(move |one| (one.signer, entry))
        })
    }

    /// Why a payee, by what it has told so far, is not to be paid.
    pub(super) fn excludes(&self, entry: &[u8; 32], payee: Author) -> Option<&'static str> {
        if self.of(entry, payee).any(|told| told.verdict != 0) {
            return Some("the payee refused it with a signature");
        }
        let knew = self.of(entry, payee).any(|told| told.knew);
        knew.then_some("its author was frozen, and the payee knew")
    }
}
