//! Between engine and store: names of items as subjects and keys of the store, and the writes that
//! are on their way but not durable yet, which reads must already see.

use super::StartError;
use crate::store::{ReadError, Store, Write as StoreWrite};
use hundi_engine::{Config as EngineConfig, Engine, Keys, Opening, Write};
use hundi_ledger::id::{AuthorId, BankNumber};
use hundi_ledger::record::item::Subject;
use hundi_ledger::record::network::Network;
use hundi_ledger::replica::key::subject_bytes;
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::sign::Verifier;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The subject under which the engine's own state is stored: longer than a bank, shorter than an
/// author, so no subject of an item.
const STATE_SUBJECT: &[u8] = b"state";

/// A place in the store: subject and key.
type Place = (Vec<u8>, Vec<u8>);

/// Writes under one subject, by key: the number of their persist, and the value, none when deleted.
type Writes = BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>;

/// The store as the engine sees it: what is durable, and the writes that are on their way.
pub struct Overlay {
    store: Arc<Store>,
    /// The newest write of each place that is not durable yet, with its persist's number, by
    /// subject.
    pending: HashMap<Vec<u8>, Writes>,
    /// The first read that failed: whoever reads is told that nothing is there, which may be wrong.
    failed: Mutex<Option<ReadError>>,
}

impl Overlay {
    /// A store with nothing on its way.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, pending: HashMap::new(), failed: Mutex::new(None) }
    }

    /// Notes a persist that is on its way, and spells it for the store.
    pub fn add(&mut self, number: u64, writes: Vec<Write>) -> Vec<StoreWrite> {
        writes
            .into_iter()
            .map(|write| {
                let (place, value) = spell(write);
                let (subject, key) = place;
                let pending = self.pending.entry(subject.clone()).or_default();
                pending.insert(key.clone(), (number, value.clone()));
                match value {
                    Some(value) => StoreWrite::Put { subject, key, value },
                    None => StoreWrite::Delete { subject, key },
                }
            })
            .collect()
    }

    /// Why a read has failed, if one has. What was decided since the last question rests on items
    /// that seemed not to be there: it must not be carried out, and the engine not be used again.
    pub fn take_failure(&mut self) -> Option<ReadError> {
        self.failed.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note_failure<T: Default>(&self, read: Result<T, ReadError>) -> T {
        read.unwrap_or_else(|error| {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert(error);
            T::default()
        })
    }

    /// Forgets what is durable by now: everything up to the persist of that number.
    pub fn durable(&mut self, number: u64) {
        self.pending.retain(|_, writes| {
            writes.retain(|_, (at, _)| *at > number);
            !writes.is_empty()
        });
    }
}

impl Shelf for Overlay {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        let (subject, key) = place(key);
        let pending = self.pending.get(&subject);
        if let Some((_, value)) = pending.and_then(|writes| writes.get(&key)) {
            return value.clone();
        }
        self.note_failure(self.store.get(&subject, &key))
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        let subject = subject_bytes(&Subject::Author(*author));
        let stored = self.note_failure(self.store.values(&subject));
        let Some(pending) = self.pending.get(&subject) else {
            return stored.into_iter().map(|(_, item)| item).collect();
        };
        let older = stored.into_iter().filter(|(key, _)| !pending.contains_key(key));
        let newer = pending.values().filter_map(|(_, item)| item.clone());
        older.map(|(_, item)| item).chain(newer).collect()
    }
}

fn place(key: &Key) -> Place {
    (subject_bytes(&key.subject()), key.within())
}

fn spell(write: Write) -> (Place, Option<Vec<u8>>) {
    match write {
        Write::Item { key, bytes } => (place(&key), Some(bytes)),
        Write::DeleteItem { key } => (place(&key), None),
        Write::State { key, bytes } => ((STATE_SUBJECT.to_vec(), key), Some(bytes)),
        Write::DeleteState { key } => ((STATE_SUBJECT.to_vec(), key), None),
    }
}

/// Opens the engine from its summaries, or loads it in full where they are missing or `sound` says
/// that the store had to be mended.
///
/// # Errors
/// When the store cannot be read, or what it holds makes no engine.
pub fn open_engine(
    config: EngineConfig,
    network: Network,
    keys: Option<Keys>,
    store: &Arc<Store>,
    sound: bool,
) -> Result<Engine, StartError> {
    if sound {
        let mut banks = Vec::new();
        for bank in network.definition().banks.iter() {
            let values = store.values(&subject_bytes(&Subject::Bank(bank.number)))?;
            banks.extend(values.into_iter().map(|(_, item)| item));
        }
        let mut opening =
            Opening::new(&config, network.clone(), keys.as_ref().map(|keys| keys.author), banks);
        store.for_each_of(STATE_SUBJECT, |key, value| opening.state(key, value))?;
        if opening.is_complete() {
            let mut shelf = Overlay::new(Arc::clone(store));
            let engine = opening.finish(config, keys, &shelf);
            return match shelf.take_failure() {
                Some(error) => Err(error.into()),
                None => Ok(engine?),
            };
        }
    }
    tracing::info!("reading and verifying every item");
    let (items, state) = read_all(store)?;
    Ok(Engine::load(config, network, keys, items, state, &mut Verifier::default())?)
}

/// Items, and the engine's own state.
type Stored = (Vec<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>);

/// Everything stored: items in an order in which they can be applied, and the engine's state.
fn read_all(store: &Store) -> Result<Stored, ReadError> {
    let (mut items, mut state) = (Vec::new(), Vec::new());
    store.for_each(|subject, key, value| {
        if subject == STATE_SUBJECT {
            state.push((key.to_vec(), value.to_vec()));
        } else {
            items.push((order(subject, key), value.to_vec()));
        }
    })?;
    items.sort_unstable();
    Ok((items.into_iter().map(|(_, item)| item).collect(), state))
}

/// Banks' certificates and bulletins, then by tag: grants before what they certify.
fn order(subject: &[u8], key: &[u8]) -> (bool, u8) {
    let bank = hundi_ledger::replica::key::subject_from_bytes(subject)
        .is_some_and(|subject| matches!(subject, Subject::Bank(BankNumber(_))));
    (!bank, key.first().copied().unwrap_or(u8::MAX))
}
