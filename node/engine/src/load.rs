//! Loading an engine from all that its store holds: for a store without summaries, or one that is
//! not trusted to the last byte. Items are verified again, the replica is rebuilt from them, and
//! what the store holds beyond it is let go with the first persist. The usual start is `open.rs`.

use crate::engine::{Config, Engine, Keys};
use crate::open::{is_summary_in, is_summary_or_mark, new_replica};
use crate::wallet::Wallet;
use crate::wallet::record::{self, OpenRequest, Record};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use borsh::BorshDeserialize;
use hundi_ledger::codec::DecodeError;
use hundi_ledger::id::AuthorId;
use hundi_ledger::log::Log;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Network;
use hundi_ledger::replica::{Change, Key, Shelf};
use hundi_ledger::sign::Verifier;
use thiserror::Error;

/// Why an engine cannot be loaded. The store is damaged or belongs to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// A stored item is no item of this network.
    #[error("a stored item cannot be read ({0}): is this the store of another network?")]
    Item(DecodeError),
    /// A part of the engine's own state cannot be read.
    #[error("the stored state under {0:?} cannot be read: restore the store, or enrol a new key")]
    State(Vec<u8>),
    /// The signing key is not the author's.
    #[error("the signing key is not that of author {0}")]
    Key(AuthorId),
    /// The store holds the log of another author.
    #[error("the store belongs to author {0}: use its keys, or another directory")]
    OtherAuthor(AuthorId),
    /// The store holds entries of a log, but not the log.
    #[error("the store has lost the state of the log: enrol a new key")]
    LogMissing,
}

impl Engine {
    /// An engine as it was when the last acknowledged persist was written: `items` and `state` are
    /// all that the store holds, in any order. Without `keys` it is a relay. `verifier` verifies them.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(
        config: Config,
        network: Network,
        keys: Option<Keys>,
        items: Vec<Vec<u8>>,
        state: Vec<(Vec<u8>, Vec<u8>)>,
        verifier: &mut Verifier,
    ) -> Result<Self, LoadError> {
        let id = network.id();
        let mut decoded = Vec::new();
        let mut shelf: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
        for bytes in items {
            let item = Item::decode(&id, &bytes).map_err(LoadError::Item)?;
            shelf.insert(Key::of(&item), bytes);
            decoded.push(item);
        }
        let (summaries, state): (Vec<_>, Vec<_>) =
            state.into_iter().partition(|(key, _)| is_summary_or_mark(key));
        let (wallet, faults) = load_state(keys, state)?;
        let author = wallet.as_ref().map(|wallet| wallet.keys.author);
        let mut replica = new_replica(&config, network, author);
        // Bank time comes last, so that nothing depends on the order of what it lets lapse.
        decoded.sort_by_key(rank);
        let mut held = BTreeSet::new();
        for item in decoded {
            // What no certificate that is held certifies has no effect and is let go.
            let Ok(verified) = replica.trust().verify_with(item, verifier) else { continue };
            for change in replica.apply(verified, &shelf).changes {
                match change {
                    Change::Put { key, bytes } => {
                        held.insert(key);
                        shelf.insert(key, bytes);
                    }
                    Change::Delete { key } => {
                        held.remove(&key);
                    }
                }
            }
        }
        let mut engine = Engine::assemble(config, replica, wallet);
        engine.faults = faults;
        // The mark goes with the first call and comes back with the last summary; those of authors
        // that are known are written over.
        let summaries = summaries.into_iter().map(|(key, _)| key);
        engine.stale = summaries.filter(|key| !is_summary_in(key, &engine.replica)).collect();
        engine.restore_wallet(&shelf);
        let kept = |key: &Key| {
            held.contains(key) || engine.wallet.as_ref().is_some_and(|wallet| wallet.keeps(key))
        };
        let gone: Vec<Key> = shelf.keys().filter(|key| !kept(key)).copied().collect();
        engine.superfluous = gone;
        Ok(engine)
    }

    /// The wallet's records that the bank may still decide.
    pub(crate) fn open_records(&self) -> impl Iterator<Item = &Record> {
        let wallet = self.wallet.iter();
        wallet.flat_map(|wallet| wallet.open.iter().filter_map(|id| wallet.records.get(id)))
    }

    /// What a wallet keeps in memory beside its stored state.
    pub(crate) fn restore_wallet(&mut self, shelf: &dyn Shelf) {
        let Some(wallet) = &self.wallet else { return };
        let me = wallet.keys.author;
        let open: Vec<Record> = self.open_records().cloned().collect();
        for record in open {
            let key = Key::entry(record.author(), record.id);
            if !self.holds(&key, shelf) {
                self.stored.set_aside(key);
            }
            if record.outgoing {
                if let Some(wallet) = &mut self.wallet {
                    let header = &record.signed.header;
                    let key = wallet.own_content_key(&self.network, header, &record.bank_sealing);
                    wallet.content.extend(key.map(|key| (record.id, key)));
                }
            } else if record.is_waiting()
                && let Some(waiting) = self.reopen(&record, shelf)
                && let Some(wallet) = &mut self.wallet
            {
                wallet.waiting.insert(record.id, waiting);
            }
        }
        // A store older than its key's own entries: this device must not go on where it left off.
        let elsewhere = self.is_used_elsewhere(&me, shelf);
        if let Some(wallet) = self.wallet.as_mut().filter(|_| elsewhere) {
            wallet.log.stop();
        }
    }
}

/// The order in which stored items are applied.
fn rank(item: &Item) -> u8 {
    match item {
        Item::Certificate(_) => 0,
        Item::Grant(_) => 1,
        Item::Checkpoint(_) => 2,
        Item::Freeze(_) => 3,
        Item::Proof(_) => 4,
        Item::Entry(_) => 5,
        Item::Receipt(_) => 6,
        Item::Bulletin(_) => 7,
    }
}

pub(crate) type Loaded = (Option<Wallet>, BTreeSet<hundi_ledger::id::Hash>);

pub(crate) fn load_state(
    keys: Option<Keys>,
    state: Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<Loaded, LoadError> {
    let mut faults = BTreeSet::new();
    let mut log: Option<Log> = None;
    let mut wallet = keys.map(Wallet::new);
    for (key, bytes) in state {
        if record::is_fault_key(&key) {
            let held = key.get(key.len().saturating_sub(32)..).and_then(|id| id.try_into().ok());
            faults.insert(hundi_ledger::id::Hash(held.ok_or(LoadError::State(key))?));
        } else if key == record::LOG_KEY {
            log = Some(read(&key, &bytes)?);
        } else if let Some(wallet) = &mut wallet {
            if record::is_state_key(&key) {
                wallet.index(read::<Record>(&key, &bytes)?);
            } else if record::is_request_key(&key) {
                let request: OpenRequest = read(&key, &bytes)?;
                wallet.requests.insert(request.id, request);
            } else {
                return Err(LoadError::State(key));
            }
        }
    }
    if let Some(wallet) = &mut wallet {
        let author = wallet.keys.author;
        if wallet.keys.signing.public() != author.key {
            return Err(LoadError::Key(author));
        }
        match log {
            Some(log) if log.author() != author => {
                return Err(LoadError::OtherAuthor(log.author()));
            }
            Some(log) => wallet.log = log,
            None if !wallet.own.is_empty() => return Err(LoadError::LogMissing),
            None => {}
        }
    }
    Ok((wallet, faults))
}

fn read<T: BorshDeserialize>(key: &[u8], bytes: &[u8]) -> Result<T, LoadError> {
    T::try_from_slice(bytes).map_err(|_| LoadError::State(key.to_vec()))
}
