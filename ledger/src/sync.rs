//! A sync session: two nodes that meet make each other's core equal, bytes in, bytes out.
//!
//! The initiator opens with two salted values. Where they differ the sides take turns: symbols tell
//! which authors differ (`symbols`, `streams`), vectors what each side holds of those (`vector`,
//! `have`), and then go the items that the other side lacks, evidence first. Where symbols do not
//! do, ranges are compared (`range`). The cache is offered after the core. No state survives a
//! contact: cut at any byte, both sides keep what arrived, and the next difference is smaller. A
//! session says it is in sync only if the last values of both sides were equal.
//!
//! This file is the state of a session and its turns; `hear` takes messages, `speak` makes them.

mod field;
mod guard;
mod have;
mod hear;
mod keys;
mod message;
mod offer;
mod range;
mod sketch;
mod speak;
mod streams;
mod symbols;
mod vector;
mod wire;

use crate::codec::DecodeError;
use crate::id::{AuthorId, BankNumber};
use crate::replica::range::Range;
use crate::replica::{Key, Replica, Shelf};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use guard::Guard;
use have::{Due, Told};
use keys::Keys;
pub use message::{MESSAGE_BYTES_MAX, TAG_ITEM};
use message::{Message, OPEN_FORCE, PER_MESSAGE_MAX, Stream, Turn, Values};
use streams::{FIRST_CORE, FIRST_HEAD, Receiver, Sender};
use thiserror::Error;
use vector::{Held, Want};

/// Turns of the other side that one session takes at most: with full windows, more than a quarter
/// of a gigabyte.
pub const TURNS_MAX: u32 = 1024;
/// Items that one turn sends at most; what is left waits for the next turn.
pub const ITEMS_PER_TURN_MAX: usize = 1024;
/// Bytes of items in the first turn of a side, about. The window doubles with every turn: a short
/// contact serves both sides, a long one has few turns.
const WINDOW_FIRST: usize = 16 * 1024;
/// Bytes of items in one turn at most, about.
const WINDOW_MAX: usize = 256 * 1024;
/// Differing authors whose vectors one turn has at most.
const VECTORS_PER_TURN_MAX: usize = 1024;
/// Differing authors that are kept in mind at most, each way.
const AUTHORS_KEPT_MAX: usize = 2048;
/// Authors of whom everything or something is still to be sent, above which no more symbols are
/// wanted.
const BUSY_AUTHORS: usize = 512;
/// Messages besides items in one turn at most.
const MESSAGES_PER_TURN_MAX: u32 = 512;
/// Symbols in one turn at most.
const SYMBOLS_PER_TURN_MAX: usize = 4096;
/// Items of evidence that are remembered as sent, so that they do not go twice.
const EVIDENCE_SENT_MAX: usize = 1024;
/// Authors that may turn out to contradict themselves and are kept in mind at most.
const SUSPECTS_MAX: usize = 256;
/// Cached items that one session offers at most.
pub const CACHE_OFFERS_MAX: usize = 1024;
/// Cached items that are remembered as offered on one link; beyond, nothing more is offered on it.
pub const CACHE_OFFERED_MAX: usize = 4096;

/// What the session is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// This device's own authors: their entries go first and outside the budget.
    pub own: BTreeSet<AuthorId>,
    /// Items of others (entries and cached items) that this session may send.
    pub others_items_max: usize,
    /// Reconcile even if the values are equal.
    pub force: bool,
    /// Whether the initiator knows that the cores differ (from a value that the other side
    /// advertises, or since the last session): symbols then come with the opening.
    pub differs: bool,
    /// What this session may look at, over and over counted: authors, cached items and symbols.
    /// Every message of the peer may cost a walk over a part of the replica, and symbols an answer
    /// that is longer than the question.
    pub looks_max: u64,
    /// Bytes of the longest message besides items, at most [`MESSAGE_BYTES_MAX`].
    pub message_bytes_max: usize,
    /// Cached items already offered on this link.
    pub offered: BTreeSet<Key>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            own: BTreeSet::new(),
            others_items_max: 0,
            force: false,
            differs: false,
            looks_max: u64::MAX,
            message_bytes_max: 32 * 1024,
            offered: BTreeSet::new(),
        }
    }
}

/// What the driver does next, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// Send this message.
    Send(Vec<u8>),
    /// Send the item stored under the key, behind [`TAG_ITEM`].
    SendItem(Key),
    /// An item arrived: verify and apply it before the next message is handled. One that is held
    /// need not be verified.
    Received(Vec<u8>),
    /// The session is over.
    Done {
        /// Whether the last values of both sides were equal.
        in_sync: bool,
    },
}

/// The peer does not keep to the protocol, or asks for too much: end the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SyncError {
    /// Not a message of a session.
    #[error("not a sync message: {0}")]
    Decode(#[from] DecodeError),
    /// More turns than any honest session takes.
    #[error("the session takes more than {TURNS_MAX} turns")]
    TooManyTurns,
    /// More messages than any honest turn has.
    #[error("a turn has more than {MESSAGES_PER_TURN_MAX} messages")]
    TooManyMessages,
    /// More symbols than any honest turn has.
    #[error("a turn has more than {SYMBOLS_PER_TURN_MAX} symbols")]
    TooManySymbols,
    /// The session has cost as many looks as it may.
    #[error("the session has looked at as much as it may")]
    TooManyLooks,
    /// A message after the end, or an opening where none is due.
    #[error("a message that is not due")]
    NotDue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The responder waits for the opening.
    Waiting,
    /// The responder has the opening, and waits for the end of the initiator's turn.
    Opened {
        force: bool,
        values: Values,
    },
    /// Either side waits for the other's turn.
    Running,
    Done,
}

/// Something to send of an author; spelled out as items only when there is room.
#[derive(Clone, Debug)]
enum Work {
    /// Everything.
    All(AuthorId),
    /// What the other side lacks by its vector.
    Lacking(AuthorId, Held),
    /// The core entries that it lacks by its vector.
    Entries(AuthorId, Held),
    /// What it asked for.
    Wanted(Want, Told),
}

/// One side of a session.
pub struct Session {
    keys: Keys,
    config: Config,
    initiator: bool,
    stage: Stage,
    turns: u32,
    messages: u32,
    symbols_heard: usize,
    looks: u64,
    finished: bool,
    /// The range of which the other side keeps the core.
    peer_scope: Range,
    scope_told: bool,
    /// Symbols of the core came.
    core_heard: bool,
    peer_busy: bool,
    /// An item has gone either way.
    gained: bool,
    window: usize,
    others_items_left: usize,
    guard: Guard,
    sender: Sender,
    receiver: Receiver,
    sketched: bool,
    /// Where ranges of the peer's turn may still start: they ascend and do not overlap.
    ranges_from: Option<u64>,
    /// Ranges to compare further.
    ranges: BTreeSet<Range>,
    /// Authors whose vectors are to be told, with the range in which they are to be found.
    asks: VecDeque<(Range, u64, Option<AuthorId>)>,
    /// Authors whose vectors were told in the last turn, in that order.
    told: Vec<Option<Told>>,
    /// Vectors heard in this turn.
    heard: u16,
    wants: Vec<Want>,
    work: VecDeque<Work>,
    /// Of whom entries wait for the other side's newer checkpoint.
    later: BTreeMap<AuthorId, Held>,
    /// Of those, whose checkpoint came in this turn.
    arrived: BTreeSet<AuthorId>,
    due: BTreeSet<Due>,
    evidence_sent: BTreeSet<Key>,
    suspects: BTreeSet<AuthorId>,
    /// Banks whose vectors are to be told, and whether as an answer.
    banks: BTreeSet<(bool, BankNumber)>,
    head_ask: Vec<u64>,
    cache_ask: Vec<u64>,
    cache_offered: bool,
}

impl Session {
    /// Starts a session; the initiator's first messages are in the outputs.
    pub fn open(
        initiator: bool,
        handshake_hash: &[u8; 32],
        replica: &Replica,
        shelf: &dyn Shelf,
        config: Config,
    ) -> (Self, Vec<Out>) {
        let mut session = Self {
            keys: Keys::new(handshake_hash),
            others_items_left: config.others_items_max,
            initiator,
            stage: if initiator { Stage::Running } else { Stage::Waiting },
            turns: 0,
            messages: 0,
            symbols_heard: 0,
            looks: 0,
            finished: false,
            peer_scope: Range::ALL,
            scope_told: false,
            core_heard: false,
            peer_busy: false,
            gained: false,
            window: WINDOW_FIRST,
            guard: Guard::default(),
            sender: Sender::default(),
            receiver: Receiver::default(),
            sketched: false,
            ranges_from: Some(0),
            ranges: BTreeSet::new(),
            asks: VecDeque::new(),
            told: Vec::new(),
            heard: 0,
            wants: Vec::new(),
            work: VecDeque::new(),
            later: BTreeMap::new(),
            arrived: BTreeSet::new(),
            due: BTreeSet::new(),
            evidence_sent: BTreeSet::new(),
            suspects: BTreeSet::new(),
            banks: BTreeSet::new(),
            head_ask: Vec::new(),
            cache_ask: Vec::new(),
            cache_offered: false,
            config,
        };
        let outs = if initiator { session.opening(replica, shelf) } else { Vec::new() };
        (session, outs)
    }

    /// The cached items offered on this link so far, to be given to its next session.
    pub fn into_offered(self) -> BTreeSet<Key> {
        self.config.offered
    }

    /// Whether the session is over.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// What this session has looked at so far, as [`Config::looks_max`] counts.
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// Bytes of memory that the session holds, about: what is on the heap beside the session
    /// itself, with what its containers keep in reserve.
    pub fn memory_bytes(&self) -> usize {
        // A node of a B-tree is half full at worst.
        fn tree<T>(length: usize) -> usize {
            2 * length * size_of::<T>()
        }
        let run = |held: &Held| {
            let tags =
                |run: &Option<vector::Run>| run.as_ref().map_or(0, |run| run.tags.capacity());
            4 * (tags(&held.money) + tags(&held.documents))
        };
        let tags = |work: &Work| match work {
            Work::All(_) | Work::Wanted(..) => 0,
            Work::Lacking(_, held) | Work::Entries(_, held) => run(held),
        };
        let later = self.later.values().map(run).sum::<usize>();
        size_of::<Self>()
            + self.sender.bytes()
            + self.receiver.bytes()
            + self.guard.bytes()
            + tree::<Range>(self.ranges.len())
            + self.asks.capacity() * size_of::<(Range, u64, Option<AuthorId>)>()
            + self.told.capacity() * size_of::<Option<Told>>()
            + self.wants.capacity() * size_of::<Want>()
            + self.work.capacity() * size_of::<Work>()
            + self.work.iter().map(tags).sum::<usize>()
            + tree::<(AuthorId, Held)>(self.later.len())
            + later
            + tree::<Due>(self.due.len())
            + tree::<Key>(self.evidence_sent.len())
            + tree::<AuthorId>(self.suspects.len() + self.arrived.len() + self.config.own.len())
            + tree::<(bool, BankNumber)>(self.banks.len())
            + (self.head_ask.capacity() + self.cache_ask.capacity()) * 8
            + tree::<Key>(self.config.offered.len())
    }

    fn opening(&mut self, replica: &Replica, shelf: &dyn Shelf) -> Vec<Out> {
        let values = Values {
            core: self.value(replica, self.initiator),
            head: short(&replica.head_fingerprint(&self.keys.initiator)),
        };
        let scoped = replica.scope() != Range::ALL;
        if !self.config.force && !self.config.differs && !scoped {
            return alloc::vec![Out::Send(Message::Open(values).encode())];
        }
        let flags = if self.config.force { OPEN_FORCE } else { 0 };
        let mut outs = alloc::vec![Out::Send(Message::OpenMore(flags, values).encode())];
        if self.config.differs {
            self.sender.begin(Stream::Core(replica.scope()), FIRST_CORE);
        }
        self.speak(replica, shelf, &mut outs);
        outs
    }

    /// The range of which both sides keep the core.
    fn whole(&self, replica: &Replica) -> Option<Range> {
        replica.scope().and(&self.peer_scope)
    }

    /// The value of our core as the side named says it; of the common part where scopes differ.
    fn value<const N: usize>(&self, replica: &Replica, initiator: bool) -> [u8; N] {
        let key = if initiator { &self.keys.initiator } else { &self.keys.responder };
        if replica.scope() == self.peer_scope {
            return short(&replica.fingerprint(key));
        }
        let common = self.whole(replica).into_iter().flat_map(|range| replica.authors_in(range));
        let tags = common.map(|(_, element)| self.keys.wide_tag(element));
        let hash = blake3::keyed_hash(key, &tags.fold(0, u64::wrapping_add).to_le_bytes());
        core::array::from_fn(|at| hash.as_bytes()[at])
    }

    /// Whether the peer's value says that its core is ours.
    fn agrees<const N: usize>(&self, replica: &Replica, theirs: [u8; N]) -> bool {
        theirs == self.value(replica, !self.initiator)
    }

    /// Takes one message of the peer.
    ///
    /// # Errors
    /// When the peer does not keep to the protocol or asks for too much; the session is over then.
    pub fn handle(
        &mut self,
        bytes: &[u8],
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> Result<Vec<Out>, SyncError> {
        let handled = Message::decode(bytes)
            .map_err(SyncError::from)
            .and_then(|message| self.hear(message, replica, shelf));
        if handled.is_err() {
            self.stage = Stage::Done;
        }
        handled
    }

    /// The responder answers the opening, once the initiator's turn is over.
    fn answer_opening(
        &mut self,
        force: bool,
        values: Values,
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> Vec<Out> {
        let comparable = replica.scope() == self.peer_scope;
        if comparable && !force && !self.config.force && self.agrees(replica, values.core) {
            self.stage = Stage::Done;
            let equal = Message::Equal(self.value(replica, self.initiator));
            return alloc::vec![Out::Send(equal.encode()), Out::Done { in_sync: true }];
        }
        self.stage = Stage::Running;
        if values.head != short::<2>(&replica.head_fingerprint(&self.keys.initiator)) {
            self.sender.begin(Stream::Head, FIRST_HEAD);
        }
        if let Some(whole) = self.whole(replica).filter(|_| !self.core_heard) {
            self.sender.begin(Stream::Core(whole), FIRST_CORE);
        }
        let mut outs = Vec::new();
        self.end_of_turn(replica, shelf);
        self.speak(replica, shelf, &mut outs);
        outs
    }

    fn take_turn(
        &mut self,
        turn: Turn,
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> Result<Vec<Out>, SyncError> {
        self.turns = self.turns.saturating_add(1);
        if self.turns > TURNS_MAX {
            return Err(SyncError::TooManyTurns);
        }
        self.look(0)?;
        if let Stage::Opened { force, values } = self.stage {
            return Ok(self.answer_opening(force, values, replica, shelf));
        }
        let theirs = match turn {
            Turn::More | Turn::Busy => None,
            Turn::Finished(value) => Some(value),
        };
        self.peer_busy = turn == Turn::Busy;
        self.end_of_turn(replica, shelf);
        let mut outs = Vec::new();
        let over = theirs.is_some() && self.finished && self.is_silent();
        if !over {
            self.speak(replica, shelf, &mut outs);
        }
        if let Some(theirs) = theirs.filter(|_| self.finished) {
            self.stage = Stage::Done;
            outs.push(Out::Done { in_sync: self.agrees(replica, theirs) });
        }
        Ok(outs)
    }

    /// Looks at what the turn that has just ended leaves to do.
    fn end_of_turn(&mut self, replica: &Replica, shelf: &dyn Shelf) {
        (self.messages, self.symbols_heard, self.heard) = (0, 0, 0);
        self.ranges_from = Some(0);
        self.told.clear();
        for stream in self.receiver.give_up() {
            match stream {
                Stream::Core(range) => self.compare_later(range),
                Stream::Head => self.banks.extend(all_banks(replica)),
            }
        }
        // Vectors that wait for the peer's checkpoint are looked at again when one has come.
        for id in core::mem::take(&mut self.arrived) {
            let Some(theirs) = self.later.remove(&id) else { continue };
            let Some(author) = replica.peek(&id, shelf) else { continue };
            let ours = author.checkpoint().map(|held| (held.certificate, held.number));
            if have::version(&theirs) > ours {
                self.later.insert(id, theirs);
            } else {
                self.add_work(Work::Entries(id, theirs), id);
            }
        }
        let Self { suspects, due, .. } = self;
        suspects.retain(|id| {
            let proven = replica.is_proven(id);
            if proven {
                due.insert((have::Rank::Evidence, 1, Key::Proof(*id)));
            }
            !proven
        });
    }

    fn compare_later(&mut self, range: Range) {
        if self.ranges.len() < PER_MESSAGE_MAX {
            self.ranges.insert(range);
        }
    }

    /// Own authors go first.
    fn add_work(&mut self, work: Work, author: AuthorId) {
        if self.work.len() >= AUTHORS_KEPT_MAX {
            return; // Left for another session.
        }
        if self.config.own.contains(&author) {
            self.work.push_front(work);
        } else {
            self.work.push_back(work);
        }
    }

    fn is_busy(&self) -> bool {
        self.work.len() >= BUSY_AUTHORS
    }

    /// Whether there is nothing to say.
    fn is_silent(&self) -> bool {
        self.cache_offered && self.is_silent_but_cache()
    }

    fn is_silent_but_cache(&self) -> bool {
        self.due.is_empty()
            && self.work.is_empty()
            && self.sender.is_done()
            && self.receiver.is_done()
            && self.ranges.is_empty()
            && self.asks.is_empty()
            && self.wants.is_empty()
            && self.banks.is_empty()
            && self.head_ask.is_empty()
            && self.cache_ask.is_empty()
    }
}

fn short<const N: usize>(wide: &[u8; 8]) -> [u8; N] {
    core::array::from_fn(|at| wide[at])
}

fn all_banks(replica: &Replica) -> impl Iterator<Item = (bool, BankNumber)> {
    let banks = &replica.trust().network().definition().banks;
    banks.iter().map(|bank| (false, bank.number))
}
