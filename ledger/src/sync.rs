//! A sync session: two nodes that meet make each other's core equal, bytes in, bytes out.
//!
//! The initiator opens with two salted fingerprints. Where they differ the sides take turns: they
//! compare ranges of short ids until they know which authors differ (`range`), tell each other
//! what they hold of those (`have`), and send the items that the other side lacks, evidence
//! first. The cache is offered after the core. No state survives a contact: cut at any byte, both
//! sides keep what arrived, and the next difference is smaller. A session says it is in sync only
//! if the last fingerprints of both sides were equal.

mod guard;
mod have;
mod keys;
mod message;
mod offer;
mod range;

use crate::codec::{DecodeError, List};
use crate::id::{AuthorId, Hash};
use crate::record::item::Item;
use crate::replica::author::Author;
use crate::replica::range::Range;
use crate::replica::{Key, Replica, Shelf};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Deref;
use guard::Guard;
use have::{Due, Rank};
use keys::Keys;
use message::{
    AuthorVector, Bucket, Have, Message, Open, PER_MESSAGE_MAX, Turn, in_messages, send_tags,
};
pub use message::{MESSAGE_BYTES_MAX, TAG_ITEM};
use offer::{compare_evidence, evidence_items, evidence_tags};
use range::{Differences, Element, Snapshot};
use thiserror::Error;

/// Turns that one session takes at most, both sides together: the depth of the deepest split, and
/// as many again for what arrives meanwhile.
pub const TURNS_MAX: u32 = 40;
/// Items that one turn sends at most; what is left waits for the next session.
pub const ITEMS_PER_TURN_MAX: usize = 8 * 1024;
/// Differing authors that one turn works on at most.
pub const AUTHORS_PER_TURN_MAX: usize = 2 * PER_MESSAGE_MAX;
/// Differing authors that one session keeps in mind at most: what a full message of ranges lists.
const AUTHORS_ASKED_MAX: usize = PER_MESSAGE_MAX * range::LISTED;
/// Messages besides items in one turn at most: evidence, vectors and ranges of their largest
/// numbers fit three times.
const MESSAGES_PER_TURN_MAX: u32 = 512;
/// Tags of evidence or cached items that are kept in mind at most.
const TAGS_MAX: usize = 64 * PER_MESSAGE_MAX;
/// Cached items that one session offers at most.
pub const CACHE_OFFERS_MAX: usize = 1024;

/// What the session is to do.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// This device's own authors: their entries go first and outside the budget.
    pub own: BTreeSet<AuthorId>,
    /// Items of others (entries and cached items) that this session may send.
    pub others_items_max: usize,
    /// Reconcile even if the fingerprints are equal.
    pub force: bool,
    /// Cached items already offered on this link, by id.
    pub offered: BTreeSet<Hash>,
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
        /// Whether the last fingerprints of both sides were equal.
        in_sync: bool,
    },
}

/// The peer does not keep to the protocol: end the session, and count it against the link.
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
    /// A message after the end, or an opening where none is due.
    #[error("a message that is not due")]
    NotDue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The responder waits for the opening.
    Waiting,
    /// The initiator waits for the answer to its opening, or either side for the other's turn.
    Running,
    Done,
}

/// The replica during one call, and where its authors are read from.
struct Known<'a> {
    replica: &'a Replica,
    shelf: &'a dyn Shelf,
}

impl<'a> Known<'a> {
    fn author(&self, author: &AuthorId) -> Option<&'a Author> {
        self.replica.author(author, self.shelf)
    }
}

impl Deref for Known<'_> {
    type Target = Replica;
    fn deref(&self) -> &Replica {
        self.replica
    }
}

/// One side of a session.
pub struct Session {
    keys: Keys,
    config: Config,
    initiator: bool,
    stage: Stage,
    snapshot: Snapshot,
    turns: u32,
    messages: u32,
    finished: bool,
    others_items_left: usize,
    guard: Guard,
    cache_offered: bool,
    /// Gathered while the peer speaks, said in our turn.
    due: BTreeSet<Due>,
    sent: BTreeSet<Key>,
    buckets: Vec<Bucket>,
    /// Where the ranges of the peer's turn may still start.
    ranges_from: u128,
    requests: BTreeSet<u64>,
    answers: BTreeSet<u64>,
    /// Authors of ours that the peer does not have.
    lacking: BTreeSet<u64>,
    banks_answered: bool,
    /// The peer's evidence, told in its turn.
    evidence: Option<BTreeSet<u64>>,
    evidence_ask: Vec<u64>,
    cache_ask: Vec<u64>,
    /// Vectors of the peer to look at again once its newer checkpoint has arrived.
    deferred: Vec<AuthorVector>,
}

impl Session {
    /// Starts a session; the initiator's first message is in the outputs.
    pub fn open(
        initiator: bool,
        handshake_hash: &[u8; 32],
        replica: &Replica,
        shelf: &dyn Shelf,
        config: Config,
    ) -> (Self, Vec<Out>) {
        let replica = &Known { replica, shelf };
        let keys = Keys::new(handshake_hash);
        let mut session = Self {
            snapshot: snapshot(replica, &keys),
            others_items_left: config.others_items_max,
            stage: if initiator { Stage::Running } else { Stage::Waiting },
            keys,
            config,
            initiator,
            turns: 0,
            messages: 0,
            finished: false,
            guard: Guard::default(),
            cache_offered: false,
            due: BTreeSet::new(),
            sent: BTreeSet::new(),
            buckets: Vec::new(),
            ranges_from: 0,
            requests: BTreeSet::new(),
            answers: BTreeSet::new(),
            lacking: BTreeSet::new(),
            banks_answered: false,
            evidence: None,
            evidence_ask: Vec::new(),
            cache_ask: Vec::new(),
            deferred: Vec::new(),
        };
        let outs = if initiator { alloc::vec![session.opening(replica)] } else { Vec::new() };
        (session, outs)
    }

    /// The cached items offered on this link so far, to be given to its next session.
    pub fn into_offered(self) -> BTreeSet<Hash> {
        self.config.offered
    }

    /// Whether the session is over.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn opening(&mut self, replica: &Known<'_>) -> Out {
        let flags = if self.config.force { message::OPEN_FORCE } else { 0 };
        let core = self.fingerprint(replica, self.initiator);
        let evidence = self.evidence_value(replica);
        Out::Send(Message::Open(Open { flags, core, evidence }).encode())
    }

    /// The value of our core as the side named says it.
    fn fingerprint<const N: usize>(&self, replica: &Known<'_>, initiator: bool) -> [u8; N] {
        let key = if initiator { &self.keys.initiator } else { &self.keys.responder };
        let wide = replica.fingerprint(key);
        core::array::from_fn(|at| wide[at])
    }

    /// Whether the peer's value says that its core is ours.
    fn agrees<const N: usize>(&self, replica: &Known<'_>, theirs: [u8; N]) -> bool {
        theirs == self.fingerprint(replica, !self.initiator)
    }

    fn evidence_value(&self, replica: &Known<'_>) -> [u8; 2] {
        let wide = replica.evidence_fingerprint(&self.keys.initiator);
        [wide[0], wide[1]]
    }

    /// Takes one message of the peer.
    ///
    /// # Errors
    /// When the peer does not keep to the protocol; the session is over then.
    pub fn handle(
        &mut self,
        bytes: &[u8],
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> Result<Vec<Out>, SyncError> {
        let replica = &Known { replica, shelf };
        let handled = Message::decode(bytes)
            .map_err(SyncError::from)
            .and_then(|message| self.handle_message(message, replica));
        if handled.is_err() {
            self.stage = Stage::Done;
        }
        handled
    }

    fn handle_message(
        &mut self,
        message: Message,
        replica: &Known<'_>,
    ) -> Result<Vec<Out>, SyncError> {
        if !matches!(message, Message::Item(_)) {
            self.messages = self.messages.saturating_add(1);
            if self.messages > MESSAGES_PER_TURN_MAX {
                return Err(SyncError::TooManyMessages);
            }
        }
        match (self.stage, message) {
            (_, Message::Item(item)) => return Ok(self.received(item, replica)),
            (_, Message::Later) => {}
            (Stage::Waiting, Message::Open(open)) => return Ok(self.opened(open, replica)),
            (Stage::Running, Message::Ranges(buckets)) => self.compare(&buckets),
            (Stage::Running, Message::Have(have)) => self.take_have(&have, replica),
            (Stage::Running, Message::Evidence(tags)) => self.take_evidence(&tags),
            (Stage::Running, Message::EvidenceAsk(tags)) => self.give_evidence(&tags, replica),
            (Stage::Running, Message::Cache(tags)) => self.take_cache(&tags, replica),
            (Stage::Running, Message::CacheAsk(tags)) => self.give_cache(&tags, replica),
            (Stage::Running, Message::Turn(turn)) => return self.take_turn(turn, replica),
            _ => return Err(SyncError::NotDue),
        }
        Ok(Vec::new())
    }

    fn received(&mut self, item: Vec<u8>, replica: &Known<'_>) -> Vec<Out> {
        let passes = match Item::decode(&replica.network(), &item) {
            Ok(Item::Entry(entry)) => self.guard.passes(&entry, replica),
            _ => true,
        };
        if passes { alloc::vec![Out::Received(item)] } else { Vec::new() }
    }

    fn opened(&mut self, open: Open, replica: &Known<'_>) -> Vec<Out> {
        let forced = self.config.force || open.flags & message::OPEN_FORCE != 0;
        if !forced && self.agrees(replica, open.core) {
            self.stage = Stage::Done;
            let turn = Turn::Equal(self.fingerprint(replica, self.initiator));
            let turn = Out::Send(Message::Turn(turn).encode());
            return alloc::vec![turn, Out::Done { in_sync: true }];
        }
        self.stage = Stage::Running;
        let mut outs = Vec::new();
        if open.evidence != self.evidence_value(replica) {
            let tags: Vec<u64> = evidence_tags(replica, &self.keys).into_keys().collect();
            if tags.is_empty() {
                // To say that there is none is what makes the peer send its own first.
                outs.push(Out::Send(Message::Evidence(List::default()).encode()));
            }
            send_tags(tags, Message::Evidence, &mut outs);
        }
        self.speak_banks(false, replica, &mut outs);
        self.buckets.push(self.snapshot.root());
        self.speak(replica, &mut outs);
        outs
    }

    fn speak_banks(&self, answer: bool, replica: &Known<'_>, outs: &mut Vec<Out>) {
        in_messages(self.bank_vectors(replica).into_iter(), outs, |banks| {
            Message::Have(Have { answer, banks, authors: List::default() })
        });
    }

    fn bank_vectors(&self, replica: &Known<'_>) -> Vec<message::BankVector> {
        let banks = &replica.trust().network().definition().banks;
        banks.iter().map(|bank| have::bank_vector(replica, &self.keys, bank.number)).collect()
    }

    fn compare(&mut self, buckets: &[Bucket]) {
        let mut differences = Differences::default();
        for bucket in buckets {
            self.snapshot.compare(bucket, &mut self.ranges_from, &mut differences);
        }
        let room = PER_MESSAGE_MAX.saturating_sub(self.buckets.len());
        self.buckets.extend(differences.buckets.into_iter().take(room));
        self.lacking.extend(differences.lacking);
        let room = AUTHORS_ASKED_MAX.saturating_sub(self.requests.len());
        self.requests.extend(differences.shorts.into_iter().take(room));
    }

    fn take_have(&mut self, have: &Have, replica: &Known<'_>) {
        let mut due = Vec::new();
        for theirs in have.banks.iter() {
            have::bank_lacks(replica, &self.keys, theirs, &mut due);
        }
        if !have.answer && !have.banks.is_empty() {
            self.banks_answered = true;
        }
        for theirs in have.authors.iter() {
            self.answer_author(theirs, replica, &mut due);
            let lacking = theirs.grants.is_empty();
            if !have.answer && !lacking && self.answers.len() < AUTHORS_PER_TURN_MAX {
                self.answers.insert(theirs.short);
            }
        }
        self.add_due(due);
    }

    fn answer_author(&mut self, theirs: &AuthorVector, replica: &Known<'_>, due: &mut Vec<Due>) {
        // The session's order first; an author that arrived meanwhile is in neither side's way.
        let Some(id) = self.snapshot.author(theirs.short) else { return };
        let Some(author) = replica.author(&id) else { return };
        let own = self.config.own.contains(&id);
        let held_back = have::author_lacks(author, id, &self.keys, theirs, own, due);
        if held_back && self.deferred.len() < AUTHORS_PER_TURN_MAX {
            self.deferred.push(theirs.clone());
        }
    }

    /// Evidence may come in several messages: it is compared when the turn ends.
    fn take_evidence(&mut self, tags: &[u64]) {
        let theirs = self.evidence.get_or_insert_default();
        let room = TAGS_MAX.saturating_sub(theirs.len());
        theirs.extend(tags.iter().take(room));
    }

    fn give_evidence(&mut self, asked: &[u64], replica: &Known<'_>) {
        let ours = evidence_tags(replica, &self.keys);
        let mut due = Vec::new();
        for author in asked.iter().filter_map(|tag| ours.get(tag)) {
            evidence_items(replica, *author, &mut due);
        }
        self.add_due(due);
    }

    fn take_cache(&mut self, offered: &[u64], replica: &Known<'_>) {
        let held: BTreeSet<u64> = replica.cached().map(|(_, id)| self.keys.wide_tag(&id)).collect();
        let wanted = offered.iter().copied().filter(|tag| !held.contains(tag));
        let room = CACHE_OFFERS_MAX.saturating_sub(self.cache_ask.len());
        self.cache_ask.extend(wanted.take(room));
    }

    fn give_cache(&mut self, asked: &[u64], replica: &Known<'_>) {
        let asked: BTreeSet<u64> = asked.iter().copied().collect();
        let due = replica
            .cached()
            .filter(|(_, id)| asked.contains(&self.keys.wide_tag(id)))
            .map(|(key, _)| (Rank::Cache, 0, key))
            .collect();
        self.add_due(due);
    }

    /// Of more than one turn sends, the first by rank stay: evidence before all else.
    fn add_due(&mut self, due: Vec<Due>) {
        for item in due {
            let new = !self.sent.contains(&item.2) && self.due.insert(item);
            if new && self.due.len() > ITEMS_PER_TURN_MAX {
                self.due.pop_last();
            }
        }
    }

    /// Looks at what the turn that has just ended leaves to do.
    fn settle_turn(&mut self, replica: &Known<'_>) {
        self.messages = 0;
        self.ranges_from = 0;
        let mut due = Vec::new();
        if let Some(theirs) = self.evidence.take() {
            self.evidence_ask = compare_evidence(replica, &self.keys, &theirs, &mut due);
        }
        // Vectors that wait for the peer's checkpoint are looked at until it is here.
        for theirs in core::mem::take(&mut self.deferred) {
            self.answer_author(&theirs, replica, &mut due);
        }
        self.add_due(due);
        let mut authors = 0;
        while authors < AUTHORS_PER_TURN_MAX && self.due.len() < ITEMS_PER_TURN_MAX {
            let Some(short) = self.lacking.pop_first() else { break };
            let mut due = Vec::new();
            self.answer_author(&have::nothing(short), replica, &mut due);
            self.add_due(due);
            authors += 1;
        }
    }

    fn take_turn(&mut self, turn: Turn, replica: &Known<'_>) -> Result<Vec<Out>, SyncError> {
        self.turns = self.turns.saturating_add(1);
        let (theirs, peer_finished) = match turn {
            Turn::Equal(theirs) => {
                self.stage = Stage::Done;
                return Ok(alloc::vec![Out::Done { in_sync: self.agrees(replica, theirs) }]);
            }
            Turn::More(fingerprint) => (fingerprint, false),
            Turn::Finished(fingerprint) => (fingerprint, true),
        };
        if self.turns > TURNS_MAX {
            return Err(SyncError::TooManyTurns);
        }
        self.settle_turn(replica);
        let mut outs = Vec::new();
        let said = peer_finished && self.finished && self.is_silent();
        if !said {
            self.speak(replica, &mut outs);
        }
        if said || peer_finished && self.finished {
            self.stage = Stage::Done;
            outs.push(Out::Done { in_sync: self.agrees(replica, theirs) });
        }
        Ok(outs)
    }

    fn is_silent(&self) -> bool {
        self.cache_offered && self.is_silent_but_cache()
    }

    fn is_silent_but_cache(&self) -> bool {
        self.due.is_empty()
            && self.buckets.is_empty()
            && self.requests.is_empty()
            && self.answers.is_empty()
            && self.lacking.is_empty()
            && !self.banks_answered
            && self.evidence_ask.is_empty()
            && self.cache_ask.is_empty()
    }

    /// Says everything gathered, and ends the turn.
    fn speak(&mut self, replica: &Known<'_>, outs: &mut Vec<Out>) {
        let before = outs.len();
        send_tags(core::mem::take(&mut self.evidence_ask), Message::EvidenceAsk, outs);
        self.speak_items(outs);
        self.speak_vectors(replica, outs);
        self.speak_ranges(outs);
        send_tags(core::mem::take(&mut self.cache_ask), Message::CacheAsk, outs);
        if outs.len() == before && self.is_silent_but_cache() {
            self.offer_cache(replica, outs);
        }
        self.finished = outs.len() == before && self.is_silent_but_cache();
        let fingerprint = self.fingerprint(replica, self.initiator);
        let turn =
            if self.finished { Turn::Finished(fingerprint) } else { Turn::More(fingerprint) };
        outs.push(Out::Send(Message::Turn(turn).encode()));
    }

    fn speak_items(&mut self, outs: &mut Vec<Out>) {
        for (rank, _, key) in core::mem::take(&mut self.due) {
            if matches!(rank, Rank::Entry | Rank::Cache) {
                if self.others_items_left == 0 {
                    continue;
                }
                self.others_items_left -= 1;
            }
            if self.sent.insert(key) {
                outs.push(Out::SendItem(key));
            }
        }
    }

    fn speak_vectors(&mut self, replica: &Known<'_>, outs: &mut Vec<Out>) {
        if core::mem::take(&mut self.banks_answered) {
            self.speak_banks(true, replica, outs);
        }
        let later = match self.requests.iter().nth(AUTHORS_PER_TURN_MAX).copied() {
            Some(first) => self.requests.split_off(&first),
            None => BTreeSet::new(),
        };
        let requests = core::mem::replace(&mut self.requests, later);
        let answers = core::mem::take(&mut self.answers);
        self.speak_have(false, requests.into_iter(), replica, outs);
        self.speak_have(true, answers.into_iter(), replica, outs);
    }

    fn speak_have(
        &self,
        answer: bool,
        shorts: impl Iterator<Item = u64>,
        replica: &Known<'_>,
        outs: &mut Vec<Out>,
    ) {
        let vectors = shorts.map(|short| {
            let author = self.snapshot.author(short).and_then(|id| replica.author(&id));
            have::author_vector(author, &self.keys, short)
        });
        in_messages(vectors, outs, |authors| {
            Message::Have(Have { answer, banks: List::default(), authors })
        });
    }

    fn speak_ranges(&mut self, outs: &mut Vec<Out>) {
        in_messages(core::mem::take(&mut self.buckets).into_iter(), outs, Message::Ranges);
    }

    fn offer_cache(&mut self, replica: &Known<'_>, outs: &mut Vec<Out>) {
        if core::mem::replace(&mut self.cache_offered, true) {
            return;
        }
        let fresh: Vec<Hash> = replica
            .cached()
            .map(|(_, id)| id)
            .filter(|id| !self.config.offered.contains(id))
            .take(CACHE_OFFERS_MAX)
            .collect();
        let tags = fresh.iter().map(|id| self.keys.wide_tag(id)).collect();
        self.config.offered.extend(fresh);
        send_tags(tags, Message::Cache, outs);
    }
}

fn snapshot(replica: &Known<'_>, keys: &Keys) -> Snapshot {
    let elements = replica.authors_in(Range::ALL).map(|(author, element)| Element {
        short: keys.short(author),
        tag: keys.wide_tag(element),
        author: *author,
    });
    Snapshot::new(elements.collect())
}
