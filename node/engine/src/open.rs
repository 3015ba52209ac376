//! Opening an engine from summaries: the usual start. Banks' records are verified anew, every author
//! is taken from its summary, and the items stay where they are until somebody asks for them.
//!
//! Summaries are part of the engine's own state and are stored with the items that they sum up, as
//! one unit. A store of an earlier build has none: it is loaded in full once (`load.rs`), and its
//! summaries follow over the next calls; a mark says when all of them are there.

use crate::engine::{Config, Engine, Keys};
use crate::limits::SUMMARIES_PER_CALL_MAX;
use crate::load::{LoadError, load_state};
use crate::step::Step;
use crate::wallet::record::Record;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use hundi_ledger::codec;
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::record::network::Network;
use hundi_ledger::replica::key::{subject_bytes, subject_from_bytes};
use hundi_ledger::replica::range::{Positions, Range};
use hundi_ledger::replica::{Change, Key, Replica, Shelf};

const SUMMARY_PREFIX: &[u8] = b"author/";
/// Stored while every author has a summary that holds.
const MARK_KEY: &[u8] = b"authors";
/// What summaries say and how they are spelled; another number is loaded in full.
const MARK: u8 = 1;

/// An engine that is about to be opened, while its stored state is read.
pub struct Opening {
    replica: Replica,
    state: Vec<(Vec<u8>, Vec<u8>)>,
    marked: bool,
    sound: bool,
}

impl Opening {
    /// Begins with the stored items about banks: certificates and bulletins. `config` and `author`,
    /// whose device this is, say what is kept of others.
    pub fn new(
        config: &Config,
        network: Network,
        author: Option<AuthorId>,
        banks: Vec<Vec<u8>>,
    ) -> Self {
        let mut replica = new_replica(config, network, author);
        let id = replica.network();
        let rank = |bytes: &Vec<u8>| {
            let item = Item::decode(&id, bytes).ok()?;
            matches!(item.subject(), Subject::Bank(_))
                .then(|| (matches!(item, Item::Bulletin(_)), item))
        };
        let mut items: Vec<(bool, Item)> = banks.iter().filter_map(rank).collect();
        let mut sound = items.len() == banks.len();
        items.sort_by_key(|(bulletin, _)| *bulletin);
        for (_, item) in items {
            let nothing: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
            let verified = replica.trust().verify(item).ok();
            let applied = verified.map(|item| replica.apply(item, &nothing));
            // What is stored is what was held, all of it.
            sound &= applied.is_some_and(|applied| applied.changes.len() == 1);
        }
        Self { replica, state: Vec::new(), marked: false, sound }
    }

    /// Takes one part of the engine's own state, in any order.
    pub fn state(&mut self, key: &[u8], bytes: &[u8]) {
        if key == MARK_KEY {
            self.marked = bytes == codec::encode(&mark(&self.replica));
        } else if is_summary_key(key) {
            let restored = author_of(key).map(|author| self.replica.restore(author, bytes).is_ok());
            self.sound &= restored == Some(true);
        } else {
            self.state.push((key.to_vec(), bytes.to_vec()));
        }
    }

    /// Whether everything that it takes was there. Otherwise use [`Engine::load`].
    pub fn is_complete(&self) -> bool {
        self.marked && self.sound
    }

    /// The engine as it was when the last acknowledged persist was written. Without `keys` it is a
    /// relay. `shelf` shows what is stored.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn finish(
        self,
        config: Config,
        keys: Option<Keys>,
        shelf: &dyn Shelf,
    ) -> Result<Engine, LoadError> {
        let (wallet, faults) = load_state(keys, self.state)?;
        let mut engine = Engine::assemble(config, self.replica, wallet);
        engine.faults = faults;
        engine.summarised = true;
        // What only the wallet kept may be admitted by now, as it would be by a load in full.
        let mut authors: BTreeSet<AuthorId> = engine.open_records().map(Record::author).collect();
        authors.extend(engine.wallet.as_ref().map(|wallet| wallet.keys.author));
        for author in authors {
            engine.replica.reread(author, shelf);
        }
        engine.retake_receipts(shelf);
        engine.restore_wallet(shelf);
        Ok(engine)
    }
}

impl Engine {
    /// Shows the replica the receipts that only the wallet kept.
    fn retake_receipts(&mut self, shelf: &dyn Shelf) {
        let receipts = self.own_keys().into_iter().filter(|key| matches!(key, Key::Receipt(..)));
        let lacking: Vec<Key> = receipts.filter(|key| !self.replica.is_cached(key)).collect();
        for key in lacking {
            let item = shelf.item(&key).and_then(|item| Item::decode(&self.network, &item).ok());
            let verified = item.and_then(|item| self.replica.trust().verify(item).ok());
            let applied = verified.map(|item| self.replica.apply(item, shelf));
            for change in applied.into_iter().flat_map(|applied| applied.changes) {
                let kept = |key: &Key| self.wallet.as_ref().is_some_and(|it| it.keeps(key));
                if let Change::Delete { key } = change
                    && !kept(&key)
                {
                    self.superfluous.push(key);
                }
            }
        }
    }
}

impl Engine {
    /// Stores the summaries of the authors that changed, with what changed them. After a load in
    /// full there are many: a part of them with each call, and the mark with the last.
    pub(crate) fn write_summaries(&mut self, step: &mut Step<'_>) {
        let count = if self.summarised { usize::MAX } else { SUMMARIES_PER_CALL_MAX };
        for (author, summary) in self.replica.take_summaries(count) {
            step.write_summary(summary_key(&author), summary);
        }
        if !self.summarised && !self.replica.has_summaries() && step.has_writes() {
            step.put_state(MARK_KEY.to_vec(), &mark(&self.replica));
            self.summarised = true;
        }
    }

    /// Whether summaries wait for the next call.
    pub(crate) fn owes_summaries(&self) -> bool {
        !self.summarised && self.replica.has_summaries()
    }
}

/// A replica that keeps what the configuration says. The scope of a device with a small budget is
/// the one in which its own author lies, so that its own log is a part of what it agrees on.
pub(crate) fn new_replica(config: &Config, network: Network, author: Option<AuthorId>) -> Replica {
    let position = author.map_or(0, |author| Positions::new(&network.id()).of(&author));
    let scope = Range::around(config.scope_bits, position);
    Replica::scoped(network, scope, author.into_iter().collect())
}

/// What the mark says: how summaries are spelled, and of which scope they are.
fn mark(replica: &Replica) -> (u8, u8, u64) {
    (MARK, replica.scope().bits(), replica.scope().first())
}

/// Whether a part of the state is the mark or a summary.
pub(crate) fn is_summary_or_mark(key: &[u8]) -> bool {
    key == MARK_KEY || is_summary_key(key)
}

/// Whether a part of the state is the summary of an author that `replica` knows.
pub(crate) fn is_summary_in(key: &[u8], replica: &Replica) -> bool {
    author_of(key).is_some_and(|author| replica.knows(&author))
}

fn is_summary_key(key: &[u8]) -> bool {
    key.starts_with(SUMMARY_PREFIX)
}

fn summary_key(author: &AuthorId) -> Vec<u8> {
    [SUMMARY_PREFIX, &subject_bytes(&Subject::Author(*author))].concat()
}

fn author_of(key: &[u8]) -> Option<AuthorId> {
    match subject_from_bytes(key.strip_prefix(SUMMARY_PREFIX)?)? {
        Subject::Author(author) => Some(author),
        Subject::Bank(_) => None,
    }
}
