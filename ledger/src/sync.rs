//! A sync session: two nodes that meet make each other's core equal, bytes in, bytes out.
//!
//! The initiator opens with two salted fingerprints. Where they differ the sides take turns: they
//! compare ranges of short ids until they know which authors differ ([`range`]), tell each other
//! what they hold of those ([`have`]), and send the items that the other side lacks, evidence
//! first. The cache is offered after the core. No state survives a contact: cut at any byte, both
//! sides keep what arrived, and the next difference is smaller. A session says it is in sync only
//! if the last fingerprints of both sides were equal.

mod have;
mod message;
mod range;

use crate::codec::{DecodeError, List};
use crate::id::{AuthorId, Hash};
use crate::limits::PROVEN_VERIFICATIONS_PER_SESSION_MAX;
use crate::record::item::{Item, Subject};
use crate::replica::{Key, Replica, key};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use have::{Due, Rank};
use message::{
    AuthorVector, Bucket, Have, MESSAGE_BYTES_FULL, Message, Open, PER_MESSAGE_MAX, Turn,
};
pub use message::{MESSAGE_BYTES_MAX, TAG_ITEM};
use range::{Differences, Element, Snapshot};
use thiserror::Error;

/// Turns that one session takes at most, both sides together: the depth of the deepest split, and
/// as many again for what arrives meanwhile.
pub const TURNS_MAX: u32 = 40;
/// Items that one turn sends at most; what is left waits for the next session.
pub const ITEMS_PER_TURN_MAX: usize = 8 * 1024;
/// Differing authors that one turn works on at most.
pub const AUTHORS_PER_TURN_MAX: usize = 2 * PER_MESSAGE_MAX;
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
    /// An item arrived: verify and apply it before the next message is handled.
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
    /// A message after the end, or an opening where none is due.
    #[error("a message that is not due")]
    NotDue,
}

/// The keys of one session, from the link's handshake hash.
pub(crate) struct Keys {
    fingerprint: [u8; 32],
    short: [u8; 32],
    tag: [u8; 32],
}

impl Keys {
    fn new(handshake_hash: &[u8; 32]) -> Self {
        Self {
            fingerprint: blake3::derive_key("hundi v1 sync fingerprint", handshake_hash),
            short: blake3::derive_key("hundi v1 sync short id", handshake_hash),
            tag: blake3::derive_key("hundi v1 sync tag", handshake_hash),
        }
    }

    fn short(&self, author: &AuthorId) -> u64 {
        wide(&self.short, &key::subject_bytes(&Subject::Author(*author)))
    }

    fn wide_tag(&self, id: &Hash) -> u64 {
        wide(&self.tag, &id.0)
    }

    fn tag(&self, id: &Hash) -> u32 {
        (self.wide_tag(id) >> 32) as u32
    }
}

fn wide(key: &[u8; 32], bytes: &[u8]) -> u64 {
    let hash = blake3::keyed_hash(key, bytes);
    u64::from_le_bytes(core::array::from_fn(|at| hash.as_bytes()[at]))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The responder waits for the opening.
    Waiting,
    /// The initiator waits for the answer to its opening, or either side for the other's turn.
    Running,
    Done,
}

/// One side of a session.
pub struct Session {
    keys: Keys,
    config: Config,
    stage: Stage,
    snapshot: Snapshot,
    turns: u32,
    finished: bool,
    others_items_left: usize,
    proven_received: u32,
    cache_offered: bool,
    /// Gathered while the peer speaks, said in our turn.
    due: BTreeSet<Due>,
    sent: BTreeSet<Key>,
    buckets: Vec<Bucket>,
    requests: BTreeSet<u64>,
    answers: BTreeSet<u64>,
    banks_answered: bool,
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
        config: Config,
    ) -> (Self, Vec<Out>) {
        let keys = Keys::new(handshake_hash);
        let mut session = Self {
            snapshot: snapshot(replica, &keys),
            others_items_left: config.others_items_max,
            stage: if initiator { Stage::Running } else { Stage::Waiting },
            keys,
            config,
            turns: 0,
            finished: false,
            proven_received: 0,
            cache_offered: false,
            due: BTreeSet::new(),
            sent: BTreeSet::new(),
            buckets: Vec::new(),
            requests: BTreeSet::new(),
            answers: BTreeSet::new(),
            banks_answered: false,
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

    fn opening(&mut self, replica: &Replica) -> Out {
        let flags = if self.config.force { message::OPEN_FORCE } else { 0 };
        let core = self.fingerprint(replica);
        let evidence = replica.evidence_fingerprint(&self.keys.fingerprint);
        Out::Send(Message::Open(Open { flags, core, evidence }).encode())
    }

    fn fingerprint(&self, replica: &Replica) -> [u8; 6] {
        let wide = replica.fingerprint(&self.keys.fingerprint);
        core::array::from_fn(|at| wide[at])
    }

    /// Takes one message of the peer.
    ///
    /// # Errors
    /// When the peer does not keep to the protocol; the session is over then.
    pub fn handle(&mut self, bytes: &[u8], replica: &Replica) -> Result<Vec<Out>, SyncError> {
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
        replica: &Replica,
    ) -> Result<Vec<Out>, SyncError> {
        match (self.stage, message) {
            (_, Message::Item(item)) => return Ok(self.received(item, replica)),
            (_, Message::Later) => {}
            (Stage::Waiting, Message::Open(open)) => return Ok(self.opened(open, replica)),
            (Stage::Running, Message::Ranges(buckets)) => self.compare(&buckets),
            (Stage::Running, Message::Have(have)) => self.take_have(&have, replica),
            (Stage::Running, Message::Evidence(tags)) => self.take_evidence(&tags, replica),
            (Stage::Running, Message::EvidenceAsk(tags)) => self.give_evidence(&tags, replica),
            (Stage::Running, Message::Cache(tags)) => self.take_cache(&tags, replica),
            (Stage::Running, Message::CacheAsk(tags)) => self.give_cache(&tags, replica),
            (Stage::Running, Message::Turn(turn)) => return self.take_turn(turn, replica),
            _ => return Err(SyncError::NotDue),
        }
        Ok(Vec::new())
    }

    fn received(&mut self, item: Vec<u8>, replica: &Replica) -> Vec<Out> {
        let barred = match Item::decode(&replica.network(), &item) {
            Ok(Item::Entry(entry)) => {
                let author = replica.author(&entry.header().author);
                author.is_some_and(|author| author.proof().is_some())
            }
            _ => false,
        };
        if barred {
            // However many entries one equivocator signs, they cost little (invariant I8).
            self.proven_received = self.proven_received.saturating_add(1);
            if self.proven_received > PROVEN_VERIFICATIONS_PER_SESSION_MAX {
                return Vec::new();
            }
        }
        alloc::vec![Out::Received(item)]
    }

    fn opened(&mut self, open: Open, replica: &Replica) -> Vec<Out> {
        let evidence = replica.evidence_fingerprint(&self.keys.fingerprint);
        let equal = open.core == self.fingerprint(replica) && open.evidence == evidence;
        if equal && open.flags & message::OPEN_FORCE == 0 && !self.config.force {
            self.stage = Stage::Done;
            let turn = Message::Turn(Turn::Equal).encode();
            return alloc::vec![Out::Send(turn), Out::Done { in_sync: true }];
        }
        self.stage = Stage::Running;
        let mut outs = Vec::new();
        let tags: Vec<u64> = evidence_tags(replica, &self.keys).into_keys().collect();
        if open.evidence != evidence {
            send_tags(tags, Message::Evidence, &mut outs);
        }
        let banks = List::new(self.bank_vectors(replica)).unwrap_or_default();
        let have = Have { answer: false, banks, authors: List::default() };
        outs.push(Out::Send(Message::Have(have).encode()));
        self.buckets.push(self.snapshot.root());
        self.speak(replica, &mut outs);
        outs
    }

    fn bank_vectors(&self, replica: &Replica) -> Vec<message::BankVector> {
        let banks = &replica.trust().network().definition().banks;
        banks.iter().map(|bank| have::bank_vector(replica, &self.keys, bank.number)).collect()
    }

    fn compare(&mut self, buckets: &[Bucket]) {
        let mut differences = Differences::default();
        for bucket in buckets {
            self.snapshot.compare(bucket, &mut differences);
        }
        let room = PER_MESSAGE_MAX.saturating_sub(self.buckets.len());
        self.buckets.extend(differences.buckets.into_iter().take(room));
        for short in differences.shorts {
            if self.requests.len() < AUTHORS_PER_TURN_MAX {
                self.requests.insert(short);
            }
        }
    }

    fn take_have(&mut self, have: &Have, replica: &Replica) {
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

    fn answer_author(&mut self, theirs: &AuthorVector, replica: &Replica, due: &mut Vec<Due>) {
        // The session's order first; an author that arrived meanwhile is in neither side's way.
        let Some(id) = self.snapshot.author(theirs.short) else { return };
        let Some(author) = replica.author(&id) else { return };
        let own = self.config.own.contains(&id);
        let held_back = have::author_lacks(author, id, &self.keys, theirs, own, due);
        if held_back && self.deferred.len() < AUTHORS_PER_TURN_MAX {
            self.deferred.push(theirs.clone());
        }
    }

    fn take_evidence(&mut self, theirs: &[u64], replica: &Replica) {
        let ours = evidence_tags(replica, &self.keys);
        let theirs: BTreeSet<u64> = theirs.iter().copied().collect();
        let mut due = Vec::new();
        for (tag, author) in &ours {
            if !theirs.contains(tag) {
                evidence_items(replica, *author, &mut due);
            }
        }
        self.add_due(due);
        let unknown = theirs.into_iter().filter(|tag| !ours.contains_key(tag));
        self.evidence_ask.extend(unknown.take(PER_MESSAGE_MAX));
    }

    fn give_evidence(&mut self, asked: &[u64], replica: &Replica) {
        let ours = evidence_tags(replica, &self.keys);
        let mut due = Vec::new();
        for author in asked.iter().filter_map(|tag| ours.get(tag)) {
            evidence_items(replica, *author, &mut due);
        }
        self.add_due(due);
    }

    fn take_cache(&mut self, offered: &[u64], replica: &Replica) {
        let held: BTreeSet<u64> =
            cache_items(replica).map(|(_, id)| self.keys.wide_tag(&id)).collect();
        let wanted = offered.iter().copied().filter(|tag| !held.contains(tag));
        self.cache_ask.extend(wanted.take(PER_MESSAGE_MAX));
    }

    fn give_cache(&mut self, asked: &[u64], replica: &Replica) {
        let asked: BTreeSet<u64> = asked.iter().copied().collect();
        let due = cache_items(replica)
            .filter(|(_, id)| asked.contains(&self.keys.wide_tag(id)))
            .map(|(key, _)| (Rank::Cache, 0, key))
            .collect();
        self.add_due(due);
    }

    fn add_due(&mut self, due: Vec<Due>) {
        for item in due {
            if self.due.len() < ITEMS_PER_TURN_MAX && !self.sent.contains(&item.2) {
                self.due.insert(item);
            }
        }
    }

    fn take_turn(&mut self, turn: Turn, replica: &Replica) -> Result<Vec<Out>, SyncError> {
        self.turns = self.turns.saturating_add(1);
        let (theirs, peer_finished) = match turn {
            Turn::Equal => {
                self.stage = Stage::Done;
                return Ok(alloc::vec![Out::Done { in_sync: true }]);
            }
            Turn::More(fingerprint) => (fingerprint, false),
            Turn::Finished(fingerprint) => (fingerprint, true),
        };
        if self.turns > TURNS_MAX {
            return Err(SyncError::TooManyTurns);
        }
        let mut due = Vec::new();
        for theirs in core::mem::take(&mut self.deferred) {
            self.answer_author(&theirs, replica, &mut due);
        }
        // Looked at once more, with the newer checkpoint held; not a third time.
        self.deferred.clear();
        self.add_due(due);
        let mut outs = Vec::new();
        let already_finished = self.finished;
        if peer_finished && already_finished && self.is_silent() {
            self.stage = Stage::Done;
            outs.push(Out::Done { in_sync: theirs == self.fingerprint(replica) });
            return Ok(outs);
        }
        self.speak(replica, &mut outs);
        if peer_finished && self.finished {
            self.stage = Stage::Done;
            outs.push(Out::Done { in_sync: theirs == self.fingerprint(replica) });
        }
        Ok(outs)
    }

    fn is_silent(&self) -> bool {
        self.due.is_empty()
            && self.buckets.is_empty()
            && self.requests.is_empty()
            && self.answers.is_empty()
            && !self.banks_answered
            && self.evidence_ask.is_empty()
            && self.cache_ask.is_empty()
            && self.cache_offered
    }

    /// Says everything gathered, and ends the turn.
    fn speak(&mut self, replica: &Replica, outs: &mut Vec<Out>) {
        let before = outs.len();
        send_tags(core::mem::take(&mut self.evidence_ask), Message::EvidenceAsk, outs);
        self.speak_items(outs);
        self.speak_vectors(replica, outs);
        self.speak_ranges(outs);
        send_tags(core::mem::take(&mut self.cache_ask), Message::CacheAsk, outs);
        self.offer_cache(replica, outs);
        self.finished = outs.len() == before;
        let fingerprint = self.fingerprint(replica);
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

    fn speak_vectors(&mut self, replica: &Replica, outs: &mut Vec<Out>) {
        if core::mem::take(&mut self.banks_answered) {
            let banks = List::new(self.bank_vectors(replica)).unwrap_or_default();
            let have = Have { answer: true, banks, authors: List::default() };
            outs.push(Out::Send(Message::Have(have).encode()));
        }
        let requests = core::mem::take(&mut self.requests);
        let answers = core::mem::take(&mut self.answers);
        self.speak_have(false, requests.into_iter(), replica, outs);
        self.speak_have(true, answers.into_iter(), replica, outs);
    }

    fn speak_have(
        &self,
        answer: bool,
        shorts: impl Iterator<Item = u64>,
        replica: &Replica,
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

    fn offer_cache(&mut self, replica: &Replica, outs: &mut Vec<Out>) {
        if core::mem::replace(&mut self.cache_offered, true) {
            return;
        }
        let fresh: Vec<Hash> = cache_items(replica)
            .map(|(_, id)| id)
            .filter(|id| !self.config.offered.contains(id))
            .take(CACHE_OFFERS_MAX)
            .collect();
        let tags = fresh.iter().map(|id| self.keys.wide_tag(id)).collect();
        self.config.offered.extend(fresh);
        send_tags(tags, Message::Cache, outs);
    }
}

fn snapshot(replica: &Replica, keys: &Keys) -> Snapshot {
    let elements = replica.elements().iter().filter_map(|(subject, element)| match subject {
        Subject::Author(author) => Some(Element {
            short: keys.short(author),
            tag: keys.wide_tag(element),
            author: *author,
        }),
        Subject::Bank(_) => None,
    });
    Snapshot::new(elements.collect())
}

/// The tag of every frozen or proven author's evidence.
fn evidence_tags(replica: &Replica, keys: &Keys) -> BTreeMap<u64, AuthorId> {
    let elements = replica.evidence_elements();
    elements.map(|(author, element)| (keys.wide_tag(element), *author)).collect()
}

fn evidence_items(replica: &Replica, id: AuthorId, due: &mut Vec<Due>) {
    let Some(author) = replica.author(&id) else { return };
    for held in author.grants() {
        let order = u32::from(held.serial.0);
        due.push((Rank::EvidenceGrant, order, Key::Grant(id, held.serial)));
    }
    due.extend(author.freeze().map(|_| (Rank::Evidence, 0, Key::Freeze(id))));
    due.extend(author.proof().map(|_| (Rank::Evidence, 1, Key::Proof(id))));
}

fn cache_items(replica: &Replica) -> impl Iterator<Item = (Key, Hash)> {
    let entries = replica.authors().flat_map(|(author, known)| {
        known.cached().map(move |claim| (Key::Entry(*author, claim.id), claim.id))
    });
    entries.chain(replica.receipts().map(|(signer, id)| (Key::Receipt(*signer, *id), *id)))
}

fn send_tags(
    tags: Vec<u64>,
    message: fn(List<u64, PER_MESSAGE_MAX>) -> Message,
    outs: &mut Vec<Out>,
) {
    for chunk in tags.chunks(PER_MESSAGE_MAX) {
        let tags = List::new(chunk.to_vec()).unwrap_or_default();
        outs.push(Out::Send(message(tags).encode()));
    }
}

/// Sends values in as many messages as they need.
fn in_messages<T: borsh::BorshSerialize>(
    values: impl Iterator<Item = T>,
    outs: &mut Vec<Out>,
    message: impl Fn(List<T, PER_MESSAGE_MAX>) -> Message,
) {
    let mut flush = |values: &mut Vec<T>| {
        let values = core::mem::take(values);
        if !values.is_empty() {
            let list = List::new(values).unwrap_or_default();
            outs.push(Out::Send(message(list).encode()));
        }
    };
    let (mut pending, mut bytes) = (Vec::new(), 0);
    for value in values {
        bytes += crate::codec::encode(&value).len();
        pending.push(value);
        if bytes >= MESSAGE_BYTES_FULL || pending.len() >= PER_MESSAGE_MAX {
            flush(&mut pending);
            bytes = 0;
        }
    }
    flush(&mut pending);
}
