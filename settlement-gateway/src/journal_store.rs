//! The bank's durable side: its events in order, the newest records that it signed, and the names
//! of its customers, in one store below the gateway's directory.
//!
//! A unit of work is one batch of the store, or none of it is there. One that is too large for a
//! batch is staged in several; the number of the last event of the last complete unit, written
//! with the last batch, makes it count. Names stand in rows of their own and never in an event, so
//! that a row can go without touching what was decided.

use crate::limits::BATCH_BYTES_MAX;
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_journal::account::CustomerId;
use hundi_journal::event::Event;
use hundi_ledger::codec::{self, DecodeError};
use hundi_ledger::id::NetworkId;
use hundi_ledger::money::Currency;
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::Key;
use hundi_ledger::replica::key::subject_bytes;
use hundi_node::store::{
    CommitError, OpenError, OpenReport, ReadError, Store, StoreOptions, Write,
};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use thiserror::Error;

const EVENTS: &[u8] = b"events";
const HEAD: &[u8] = b"head";
const HEAD_KEY: &[u8] = b"number";
const STAGED: &[u8] = b"staged";
const ACCOUNTS: &[u8] = b"accounts";
/// Before the subject of a record, so that it is none of the above.
const RECORD: u8 = b'r';
/// What the store adds around a write, at most.
const WRITE_OVERHEAD_BYTES: usize = 160;

/// Why the bank's store is not usable.
#[derive(Debug, Error)]
pub enum OpenJournalError {
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It opens and cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An unfinished unit of work could not be cleared away.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// An event is damaged.
    #[error("event {number} in {dir} is damaged ({error}): restore the directory from a copy")]
    Event {
        /// Its number.
        number: u64,
        /// Where.
        dir: String,
        /// What is wrong.
        error: DecodeError,
    },
    /// An event is missing.
    #[error("event {number} is missing in {dir}: restore the directory from a copy")]
    Missing {
        /// Its number.
        number: u64,
        /// Where.
        dir: String,
    },
}

/// What people call a customer, and the currency of its account. Erasable.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccountRow {
    /// The name.
    pub name: String,
    /// The currency.
    pub currency: Currency,
}

/// One unit of work: what becomes durable together.
#[derive(Debug, Default)]
pub struct Unit {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Encoded items that the bank signed.
    pub records: Vec<Vec<u8>>,
    /// Rows of customers.
    pub accounts: Vec<(CustomerId, AccountRow)>,
}

impl Unit {
    /// Whether there is nothing to make durable.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.records.is_empty() && self.accounts.is_empty()
    }
}

/// How the bank's store is opened.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// The store below.
    pub store: StoreOptions,
    /// Encoded bytes of one batch; a larger unit of work is staged in several.
    pub batch_bytes_max: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { store: StoreOptions::default(), batch_bytes_max: BATCH_BYTES_MAX }
    }
}

/// The bank's store.
pub struct JournalStore {
    store: Store,
    opened: OpenReport,
    network: NetworkId,
    batch_bytes_max: usize,
    /// Number of the last event of the last complete unit. One appends at a time.
    head: Mutex<u64>,
}

impl std::fmt::Debug for JournalStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JournalStore").field("dir", &self.store.dir()).finish_non_exhaustive()
    }
}

impl JournalStore {
    /// Opens or creates the store in `dir` and reads all events of complete units, in order.
    ///
    /// # Errors
    /// See [`OpenJournalError`].
    pub fn open(dir: &Path, network: NetworkId) -> Result<(Self, Vec<Event>), OpenJournalError> {
        Self::open_with(dir, network, JournalOptions::default())
    }

    /// As [`JournalStore::open`], for whoever cuts its power or watches it.
    ///
    /// # Errors
    /// See [`OpenJournalError`].
    pub fn open_with(
        dir: &Path,
        network: NetworkId,
        JournalOptions { store, batch_bytes_max }: JournalOptions,
    ) -> Result<(Self, Vec<Event>), OpenJournalError> {
        let (store, opened) = Store::open(dir, store)?;
        tracing::info!(report = ?opened, "the bank's store is open");
        let head = store.get(HEAD, HEAD_KEY)?.and_then(|bytes| number_of(&bytes)).unwrap_or(0);
        let mut journal = Self { store, opened, network, batch_bytes_max, head: Mutex::new(head) };
        let events = journal.clear_unfinished(head)?;
        Ok((journal, events))
    }

    /// What opening found and did.
    pub fn opened(&self) -> &OpenReport {
        &self.opened
    }

    /// Makes a unit of work durable. When this returns, all of it is there after any crash; on an
    /// error the store takes nothing more until it is opened again.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub fn append(&self, unit: &Unit) -> Result<(), CommitError> {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let number = unit.events.last().map_or(*head, |event| event.number);
        let events = unit.events.iter().map(event_write);
        let mut closing: Vec<Write> = unit.accounts.iter().map(account_write).collect();
        closing.push(put(HEAD, HEAD_KEY.to_vec(), number.to_be_bytes().to_vec()));
        let records = unit.records.iter().filter_map(|record| self.record_write(record));
        let mut writes: Vec<Write> = events.collect();
        let staged = writes.len();
        writes.extend(records);
        let bytes: usize = writes.iter().chain(&closing).map(size).sum();
        if bytes <= self.batch_bytes_max {
            writes.extend(closing);
            self.store.commit(&writes)?;
        } else {
            // Records take the place of older ones only when their events count.
            let records = writes.split_off(staged);
            writes.extend(records.iter().enumerate().map(|(at, write)| stage(number, at, write)));
            self.commit_in_parts(writes)?;
            self.store.commit(&closing)?;
            self.unstage()?;
        }
        *head = number;
        Ok(())
    }

    /// The newest of every record that the bank signed, certificates first: as an item each.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn records(&self) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut records = Vec::new();
        self.store.for_each(|subject, key, value| {
            if is_record(subject) {
                let place = (key.first().copied(), subject.to_vec(), key.to_vec());
                records.push((place, value.to_vec()));
            }
        })?;
        records.sort_unstable();
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }

    /// The newest record of that kind that the bank signed, as an item.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn record(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadError> {
        let (subject, key) = place(key);
        self.store.get(&subject, &key)
    }

    /// Whether this is the newest record of that kind that the bank signed, byte for byte.
    pub fn holds(&self, key: &Key, item: &[u8]) -> bool {
        matches!(self.record(key), Ok(Some(held)) if held == item)
    }

    /// All events, in order.
    ///
    /// # Errors
    /// See [`OpenJournalError`].
    pub fn events(&self) -> Result<Vec<Event>, OpenJournalError> {
        let head = *self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        self.store.for_each(|subject, key, value| {
            if let Some(number) = number_of(key).filter(|it| subject == EVENTS && *it <= head) {
                events.push((number, Event::decode(value)));
            }
        })?;
        events.sort_unstable_by_key(|(number, _)| *number);
        let dir = || self.store.dir().display().to_string();
        let mut expected = 1;
        let mut decoded = Vec::with_capacity(events.len());
        for (number, event) in events {
            if number != expected {
                return Err(OpenJournalError::Missing { number: expected, dir: dir() });
            }
            let event =
                event.map_err(|error| OpenJournalError::Event { number, dir: dir(), error })?;
            decoded.push(event);
            expected += 1;
        }
        if expected <= head {
            return Err(OpenJournalError::Missing { number: expected, dir: dir() });
        }
        Ok(decoded)
    }

    /// The row of a customer.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn account(&self, customer: &CustomerId) -> Result<Option<AccountRow>, ReadError> {
        let row = self.store.get(ACCOUNTS, &customer.0)?;
        Ok(row.and_then(|row| codec::decode(&row, row.len()).ok()))
    }

    /// Every customer's row.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn accounts(&self) -> Result<Vec<(CustomerId, AccountRow)>, ReadError> {
        let mut rows = Vec::new();
        for key in self.store.keys(ACCOUNTS)? {
            let Ok(id) = <[u8; 16]>::try_from(key.as_slice()) else { continue };
            let id = CustomerId(id);
            rows.extend(self.account(&id)?.map(|row| (id, row)));
        }
        Ok(rows)
    }

    /// After opening: takes away what an unfinished unit left, finishes what is complete, and
    /// reads the events.
    fn clear_unfinished(&mut self, head: u64) -> Result<Vec<Event>, OpenJournalError> {
        let mut unfinished = Vec::new();
        for subject in [EVENTS, STAGED] {
            for key in self.store.keys(subject)? {
                if number_of(&key).is_none_or(|number| number > head) {
                    unfinished.push(Write::Delete { subject: subject.to_vec(), key });
                }
            }
        }
        if !unfinished.is_empty() {
            tracing::warn!(writes = unfinished.len(), "an unfinished unit of work is taken back");
            self.commit_in_parts(unfinished)?;
        }
        self.unstage()?;
        self.events()
    }

    /// Moves staged records of complete units to their places.
    fn unstage(&self) -> Result<(), CommitError> {
        let mut writes = Vec::new();
        for key in self.store.keys(STAGED)? {
            let record = self.store.get(STAGED, &key)?;
            writes.extend(record.and_then(|record| self.record_write(&record)));
            writes.push(Write::Delete { subject: STAGED.to_vec(), key });
        }
        self.commit_in_parts(writes)
    }

    /// Commits writes whose order matters in as few batches as they need.
    fn commit_in_parts(&self, writes: Vec<Write>) -> Result<(), CommitError> {
        let (mut part, mut bytes) = (Vec::new(), 0);
        for write in writes {
            let more = size(&write);
            if bytes + more > self.batch_bytes_max && !part.is_empty() {
                self.store.commit(&part)?;
                part.clear();
                bytes = 0;
            }
            bytes += more;
            part.push(write);
        }
        if part.is_empty() { Ok(()) } else { self.store.commit(&part) }
    }

    fn record_write(&self, record: &[u8]) -> Option<Write> {
        let (subject, key) = self.record_place(record)?;
        Some(Write::Put { subject, key, value: record.to_vec() })
    }

    fn record_place(&self, record: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        Some(place(&Key::of(&Item::decode(&self.network, record).ok()?)))
    }
}

/// Subject and key of a record.
fn place(key: &Key) -> (Vec<u8>, Vec<u8>) {
    let mut subject = vec![RECORD];
    subject.extend(subject_bytes(&key.subject()));
    (subject, key.within())
}

fn is_record(subject: &[u8]) -> bool {
    // Longer or shorter than the subjects above: a bank's number or an author behind the mark.
    subject.first() == Some(&RECORD) && matches!(subject.len(), 3 | 35)
}

fn put(subject: &[u8], key: Vec<u8>, value: Vec<u8>) -> Write {
    Write::Put { subject: subject.to_vec(), key, value }
}

fn event_write(event: &Event) -> Write {
    put(EVENTS, event.number.to_be_bytes().to_vec(), event.encode())
}

fn account_write((customer, row): &(CustomerId, AccountRow)) -> Write {
    put(ACCOUNTS, customer.0.to_vec(), codec::encode(row))
}

fn stage(number: u64, at: usize, record: &Write) -> Write {
    let mut key = number.to_be_bytes().to_vec();
    key.extend((at as u64).to_be_bytes());
    match record {
        Write::Put { value, .. } => put(STAGED, key, value.clone()),
        Write::Delete { .. } => Write::Delete { subject: STAGED.to_vec(), key },
    }
}

fn size(write: &Write) -> usize {
    WRITE_OVERHEAD_BYTES
        + match write {
            Write::Put { value, .. } => value.len(),
            Write::Delete { .. } => 0,
        }
}

fn number_of(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hundi_journal::bank::{Bank, Profile};
    use hundi_journal::input::{Input, Keys};
    use hundi_ledger::codec::{List, Text};
    use hundi_ledger::id::BankNumber;
    use hundi_ledger::record::VERSION;
    use hundi_ledger::record::network::{Bank as NetworkBank, Definition, Network};
    use hundi_ledger::seal::SealingSecret;
    use hundi_ledger::sign::SecretKey;

    fn keys() -> Keys {
        Keys {
            issue: SecretKey::from_seed(&[1; 32]),
            issue_certificate: 1,
            settle: SecretKey::from_seed(&[2; 32]),
            settle_certificate: 2,
            sealing: vec![SealingSecret::from_bytes(&[3; 32])],
        }
    }

    fn network() -> Network {
        let root = SecretKey::from_seed(&[4; 32]).public();
        let name = Text::new("bank").unwrap();
        let bank = NetworkBank { number: BankNumber(1), root, name };
        Network::new(Definition {
            version: VERSION,
            name: Text::new("test").unwrap(),
            start: 1_000,
            epoch_seconds: 60,
            banks: List::new(vec![bank]).unwrap(),
        })
        .unwrap()
    }

    /// Customers with one device each: events and records.
    fn units(bank: &mut Bank, from: u8, to: u8) -> Unit {
        let mut unit = Unit::default();
        for seed in from..to {
            let customer = CustomerId([seed; 16]);
            let key = SecretKey::from_seed(&[seed; 32]).public();
            let sealing = SealingSecret::from_bytes(&[seed; 32]).public();
            let currency = Currency::new("INR").unwrap();
            let enrol = Input::Enrol { customer, key, sealing, currency, display_name: None };
            for input in [Input::OpenCustomer { customer }, enrol] {
                let outputs = bank.handle(2_000, [seed; 32], input, &keys()).unwrap();
                unit.events.extend(outputs.events);
                unit.records.extend(outputs.records);
            }
            unit.accounts.push((customer, AccountRow { name: format!("{seed}"), currency }));
        }
        unit
    }

    fn in_parts() -> JournalOptions {
        JournalOptions { batch_bytes_max: 2_000, ..JournalOptions::default() }
    }

    fn bank() -> Bank {
        Bank::new(network(), BankNumber(1), Profile::default()).unwrap()
    }

    #[test]
    fn a_unit_is_read_back_with_its_records_and_rows() {
        let dir = tempfile::tempdir().unwrap();
        let unit = units(&mut bank(), 5, 8);
        let (journal, events) = JournalStore::open(dir.path(), network().id()).unwrap();
        assert!(events.is_empty());
        journal.append(&unit).unwrap();
        drop(journal);
        let (journal, events) = JournalStore::open(dir.path(), network().id()).unwrap();
        assert_eq!(events, unit.events);
        let mut records = unit.records.clone();
        records.sort();
        let mut held = journal.records().unwrap();
        held.sort();
        assert_eq!(held, records);
        let key = |record: &Vec<u8>| Key::of(&Item::decode(&network().id(), record).unwrap());
        assert!(records.iter().all(|record| journal.holds(&key(record), record)));
        assert_eq!(journal.accounts().unwrap(), unit.accounts);
    }

    #[test]
    fn a_unit_in_parts_counts_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let mut bank = bank();
        let (first, second) = (units(&mut bank, 5, 7), units(&mut bank, 7, 30));
        let open = || JournalStore::open_with(dir.path(), network().id(), in_parts()).unwrap();
        let (journal, _) = open();
        journal.append(&first).unwrap();
        // What a crash before the last batch leaves: events and staged records beyond the head.
        let number = second.events.last().unwrap().number;
        let mut writes: Vec<Write> = second.events.iter().map(event_write).collect();
        let records: Vec<Write> =
            second.records.iter().filter_map(|record| journal.record_write(record)).collect();
        writes.extend(records.iter().enumerate().map(|(at, write)| stage(number, at, write)));
        journal.commit_in_parts(writes).unwrap();
        drop(journal);
        let (journal, events) = open();
        assert_eq!(events, first.events);
        assert_eq!(journal.records().unwrap().len(), first.records.len());

        // The whole unit, and what a crash right after its last batch leaves.
        journal.append(&second).unwrap();
        let record = journal.record_write(&second.records[0]).unwrap();
        journal.store.commit(&[stage(number, 0, &record)]).unwrap();
        drop(journal);
        let (journal, events) = open();
        assert_eq!(events.len(), first.events.len() + second.events.len());
        assert_eq!(journal.records().unwrap().len(), first.records.len() + second.records.len());
        assert!(journal.store.keys(STAGED).unwrap().is_empty());
    }

    #[test]
    fn a_missing_event_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let unit = units(&mut bank(), 5, 8);
        let (journal, _) = JournalStore::open(dir.path(), network().id()).unwrap();
        journal.append(&unit).unwrap();
        let key = 3_u64.to_be_bytes().to_vec();
        journal.store.commit(&[Write::Delete { subject: EVENTS.to_vec(), key }]).unwrap();
        drop(journal);
        let opened = JournalStore::open(dir.path(), network().id());
        assert!(matches!(opened, Err(OpenJournalError::Missing { number: 3, .. })));
    }
}
