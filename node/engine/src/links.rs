//! Links: what is said when one comes up, whose sync session runs on it, what its peer has proved,
//! and how much of its misbehaviour is borne.

use crate::engine::Engine;
use crate::input::{LinkId, LinkKind};
use crate::limits::{
    CERTIFIED_SCANS_PER_MINUTE, JUDGE_AGAIN_MS, LINKS_MAX, MISBEHAVIOUR_FORGIVEN_MS,
    MISBEHAVIOUR_MAX, OWN_PUSHES_MAX, SCAN_AUTHORS_MIN, STRANGER_ITEM_MS, STRANGER_ITEMS_MAX,
    STRANGER_SCANS_PER_MINUTE, SYNC_BACKOFF_MAX, SYNC_FORCED_ONE_IN, SYNC_STALL_MS,
};
use crate::message::{Message, Prove, Reply, TAG_SYNC_LAST, TAG_SYNC_OPEN, TAG_SYNC_OPEN_MORE};
use crate::output::{CloseReason, Event, Output, Payload, Published};
use crate::prove;
use crate::relay::{Offered, Source};
use crate::step::Step;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use hundi_ledger::id::AuthorId;
use hundi_ledger::offer::Offer;
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::sync::{Config as SyncConfig, Out, Session, SyncError, TAG_ITEM};

/// A live link.
pub(crate) struct Link {
    handshake_hash: [u8; 32],
    initiator: bool,
    pub(crate) kind: LinkKind,
    session: Option<Session>,
    /// Something went over the session that runs.
    busy: bool,
    heard_ms: u64,
    next_sync_ms: u64,
    quiet: u32,
    in_sync: Option<bool>,
    /// The value of the core when the last session ended in sync.
    synced_value: Option<[u8; 8]>,
    looks: Looks,
    /// What the cache has offered here, between sessions.
    offered: BTreeSet<Key>,
    /// Own items pushed here.
    pushed: BTreeSet<Key>,
    proven: Option<AuthorId>,
    misbehaviour: u32,
    forgiven_ms: u64,
    stranger_items: u32,
    stranger_ms: u64,
}

/// How many authors a peer has had this node look at: every comparison walks over a part of what is
/// held, and it is the peer that asks for it.
#[derive(Clone, Copy, Debug)]
struct Looks {
    spent: u64,
    since_ms: u64,
}

impl Looks {
    /// What is left of so many `scans` of the whole core in a minute, with `core` authors held.
    fn left(&mut self, now_ms: u64, scans: u64, core: u64) -> u64 {
        let per_minute = scans.saturating_mul(core.max(SCAN_AUTHORS_MIN));
        let earned = now_ms.saturating_sub(self.since_ms).saturating_mul(per_minute) / 60_000;
        if earned > 0 {
            self.spent = self.spent.saturating_sub(earned);
            self.since_ms = now_ms;
        }
        per_minute.saturating_sub(self.spent)
    }
}

/// A peer, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The link.
    pub link: LinkId,
    /// Whether this end opened it.
    pub initiator: bool,
    /// Whose key the peer has proved to hold, if that key is certified.
    pub author: Option<AuthorId>,
    /// Whether the last session ended in sync; none before the first has ended.
    pub in_sync: Option<bool>,
    /// Whether a session is running.
    pub syncing: bool,
}

impl Link {
    pub(crate) fn new(
        now_ms: u64,
        handshake_hash: [u8; 32],
        initiator: bool,
        kind: LinkKind,
    ) -> Self {
        Self {
            handshake_hash,
            initiator,
            kind,
            session: None,
            busy: false,
            heard_ms: now_ms,
            next_sync_ms: now_ms,
            quiet: 0,
            in_sync: None,
            synced_value: None,
            looks: Looks { spent: 0, since_ms: now_ms },
            offered: BTreeSet::new(),
            pushed: BTreeSet::new(),
            proven: None,
            misbehaviour: 0,
            forgiven_ms: now_ms,
            stranger_items: STRANGER_ITEMS_MAX,
            stranger_ms: now_ms,
        }
    }

    /// Drops the session that runs, keeping what its cache has offered.
    pub(crate) fn end_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.looks.spent = self.looks.spent.saturating_add(session.looks());
            self.offered = session.into_offered();
        }
    }

    /// Takes one item from the budget of a peer that has proved no certified key.
    fn spend_stranger_item(&mut self, now_ms: u64) -> bool {
        let earned = now_ms.saturating_sub(self.stranger_ms) / STRANGER_ITEM_MS;
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.stranger_items =
                self.stranger_items.saturating_add(earned).min(STRANGER_ITEMS_MAX);
            self.stranger_ms = now_ms;
        }
        match self.stranger_items.checked_sub(1) {
            Some(left) => {
                self.stranger_items = left;
                true
            }
            None => false,
        }
    }

    /// Counts one point of misbehaviour; returns whether the link is to be closed.
    fn misbehaves(&mut self, now_ms: u64) -> bool {
        let forgiven = now_ms.saturating_sub(self.forgiven_ms) / MISBEHAVIOUR_FORGIVEN_MS;
        if forgiven > 0 {
            let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
            self.misbehaviour = self.misbehaviour.saturating_sub(forgiven);
            self.forgiven_ms = now_ms;
        }
        self.misbehaviour += 1;
        self.misbehaviour >= MISBEHAVIOUR_MAX
    }
}

impl Engine {
    pub(crate) fn link_up(&mut self, step: &mut Step<'_>, id: LinkId, link: Link) {
        if self.links.len() >= LINKS_MAX && !self.links.contains_key(&id) {
            return step.say(Output::CloseLink { link: id, reason: CloseReason::TooManyLinks });
        }
        if link.kind == LinkKind::Payment {
            self.links.insert(id, link);
            return;
        }
        if let Some(wallet) = self.wallet.as_ref().filter(|wallet| !wallet.log.is_stopped())
            && self.config.prove_links
        {
            let Link { handshake_hash, initiator, .. } = &link;
            let (author, key) = (wallet.keys.author, &wallet.keys.signing);
            let signature = prove::sign(&self.network, handshake_hash, *initiator, &author, key);
            let message = Message::Prove(Prove { author, signature }).encode();
            step.send(id, Payload::Message(message));
        }
        let initiator = link.initiator;
        self.links.insert(id, link);
        if initiator {
            self.start_session(step, id);
        }
        self.offer_again(step, id);
    }

    pub(crate) fn message(&mut self, step: &mut Step<'_>, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.heard_ms = step.now_ms;
        let mesh = link.kind != LinkKind::Payment;
        match bytes.first() {
            Some(1..=TAG_SYNC_LAST) if !mesh => self.misbehaved(step, id),
            Some(&TAG_ITEM) if link.session.is_none() => {
                let published = self.take(step, &bytes[1..], Source::Link(id));
                self.judge_published(step, id, published);
            }
            Some(1..=TAG_SYNC_LAST) => self.sync_message(step, id, bytes),
            _ => match Message::decode(bytes) {
                Ok(Message::Offer(offer)) => self.offered(step, id, offer),
                Ok(Message::Reply(Reply::Receipt(item))) => {
                    let published = self.take(step, &item, Source::Link(id));
                    self.judge_published(step, id, published);
                }
                Ok(Message::Reply(Reply::NotNow { entry, reason })) => {
                    self.not_now_arrived(step, &entry, reason);
                }
                Ok(Message::Prove(prove)) if mesh => self.proved(step, id, prove),
                Ok(Message::Prove(_)) | Err(_) => self.misbehaved(step, id),
            },
        }
    }

    fn judge_published(&mut self, step: &mut Step<'_>, id: LinkId, published: Published) {
        if published == Published::Invalid {
            self.misbehaved(step, id);
        }
    }

    fn misbehaved(&mut self, step: &mut Step<'_>, id: LinkId) {
        let closes = self.links.get_mut(&id).is_some_and(|link| link.misbehaves(step.now_ms));
        if closes {
            self.links.remove(&id);
            step.say(Output::CloseLink { link: id, reason: CloseReason::Misbehaviour });
        }
    }

    fn offered(&mut self, step: &mut Step<'_>, id: LinkId, offer: Offer) {
        for record in offer.records.iter() {
            let published = self.take(step, record, Source::Link(id));
            self.judge_published(step, id, published);
        }
        match Item::decode(&self.network, &offer.entry) {
            Ok(Item::Entry(entry)) => {
                let how = Offered { offered: true, previous: offer.previous };
                let published = self.take_entry(step, entry, how, Source::Link(id));
                self.judge_published(step, id, published);
            }
            _ => self.misbehaved(step, id),
        }
    }

    fn proved(&mut self, step: &mut Step<'_>, id: LinkId, prove: Prove) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Prove { author, signature } = prove;
        let theirs = !link.initiator;
        if !prove::holds(&self.network, &link.handshake_hash, theirs, &author, &signature) {
            return self.misbehaved(step, id);
        }
        link.proven = Some(author);
        step.event(Event::LinkProved { link: id, author });
    }

    /// Whose key the peer has proved, if it is certified by now.
    pub(crate) fn proven_peer(&self, id: LinkId) -> Option<AuthorId> {
        let author = self.links.get(&id)?.proven?;
        self.is_certified(&author).then_some(author)
    }

    /// Sends an item, unless it is somebody else's and the peer's budget is used up.
    pub(crate) fn send_item(&mut self, step: &mut Step<'_>, id: LinkId, key: Key) {
        let others = match key {
            Key::Entry(author, _) | Key::Receipt(author, _) => !self.is_own(&author, &key),
            _ => false,
        };
        let stranger = others && self.proven_peer(id).is_none();
        let Some(link) = self.links.get_mut(&id) else { return };
        if stranger && !link.spend_stranger_item(step.now_ms) {
            return;
        }
        step.send(id, Payload::Item(key));
    }

    fn start_session(&mut self, step: &mut Step<'_>, id: LinkId) {
        let force = step.draw()[0].is_multiple_of(SYNC_FORCED_ONE_IN);
        self.open_session(step, id, force);
    }

    fn open_session(&mut self, step: &mut Step<'_>, id: LinkId, force: bool) {
        let own = self.wallet.iter().map(|wallet| wallet.keys.author).collect();
        let scans = match self.proven_peer(id) {
            Some(_) => CERTIFIED_SCANS_PER_MINUTE,
            None => STRANGER_SCANS_PER_MINUTE,
        };
        let (core, value) = (self.replica.core_len() as u64, self.value());
        let Some(link) = self.links.get_mut(&id) else { return };
        link.end_session();
        let looks_max = link.looks.left(step.now_ms, scans, core);
        if looks_max < core {
            return self.schedule(step, id); // It has had its share for now.
        }
        link.offered.retain(|key| self.replica.is_cached(key));
        // Equal cores say nothing about the cache: what this link has not been offered is a
        // reason to talk all the same.
        let force = force || link.offered.len() < self.replica.cached_len();
        let config = SyncConfig {
            own,
            // The budget of strangers is kept where items are sent, pushed ones included.
            others_items_max: usize::MAX,
            force,
            // What gossip brings, the peer of such a link has as well.
            differs: match link.in_sync {
                None => false,
                Some(true) => link.kind != LinkKind::Gossip && link.synced_value != Some(value),
                Some(false) => true,
            },
            looks_max,
            offered: core::mem::take(&mut link.offered),
            ..SyncConfig::default()
        };
        let hash = &link.handshake_hash;
        let (session, outs) = Session::open(link.initiator, hash, &self.replica, step, config);
        link.session = Some(session);
        link.busy = false;
        self.sync_outs(step, id, outs);
    }

    fn sync_message(&mut self, step: &mut Step<'_>, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get(&id) else { return };
        if matches!(bytes.first(), Some(&(TAG_SYNC_OPEN | TAG_SYNC_OPEN_MORE))) {
            // Sessions are opened from one side only; the newer one replaces what runs.
            if link.initiator {
                return self.misbehaved(step, id);
            }
            self.open_session(step, id, false);
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        // Without a session this is what was under way when the last one ended.
        let Some(session) = &mut link.session else { return };
        match session.handle(bytes, &self.replica, step) {
            Ok(outs) => self.sync_outs(step, id, outs),
            Err(error) => {
                link.end_session();
                self.schedule(step, id);
                // A message of a replaced session may be late: that is nobody's fault.
                let misbehaved = match error {
                    SyncError::Decode(_) => true,
                    SyncError::TooManyMessages | SyncError::TooManySymbols => true,
                    SyncError::TooManyTurns | SyncError::TooManyLooks | SyncError::NotDue => false,
                };
                if misbehaved {
                    self.misbehaved(step, id);
                }
            }
        }
    }

    fn sync_outs(&mut self, step: &mut Step<'_>, id: LinkId, outs: Vec<Out>) {
        for out in outs {
            match out {
                Out::Send(message) => step.send(id, Payload::Message(message)),
                Out::SendItem(key) => {
                    self.mark_busy(id);
                    self.send_item(step, id, key);
                }
                Out::Received(item) => {
                    self.mark_busy(id);
                    let published = self.take(step, &item, Source::Link(id));
                    self.judge_published(step, id, published);
                }
                Out::Done { in_sync } => self.session_done(step, id, in_sync),
            }
        }
    }

    /// A short value of the core, to see whether it has changed.
    fn value(&self) -> [u8; 8] {
        self.replica.fingerprint(&[0; 32])
    }

    fn mark_busy(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.busy = true;
        }
    }

    fn session_done(&mut self, step: &mut Step<'_>, id: LinkId, in_sync: bool) {
        let value = self.value();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.end_session();
        link.synced_value = in_sync.then_some(value);
        link.in_sync = Some(in_sync);
        link.quiet = if in_sync && !link.busy { link.quiet.saturating_add(1) } else { 0 };
        step.event(Event::Synced { link: id, in_sync });
        self.schedule(step, id);
        if in_sync {
            self.all_carried(step, id);
        }
        self.push_own(step, id);
    }

    /// Records decide anew what a core admits of this author: what was pushed is pushed once more.
    pub(crate) fn push_again(&mut self, author: &AuthorId) {
        for link in self.links.values_mut() {
            link.pushed.retain(|key| key.author() != Some(*author));
        }
    }

    /// Own items that no session is sure to carry, because the core does not hold them (any more):
    /// once per link and state of the author's records.
    fn push_own(&mut self, step: &mut Step<'_>, id: LinkId) {
        let own: BTreeSet<Key> = self.own_keys().into_iter().collect();
        if own.is_empty() {
            return;
        }
        let carried = |key: &Key| match key {
            // Of what the core does not admit, a peer verifies a few in one session: what pays this
            // device may not be among them, even if it lies in the cache.
            Key::Entry(author, _) => {
                let honest = self.replica.is_outside(author) && !self.replica.is_proven(author);
                self.is_core(key, step) || honest && self.replica.is_cached(key)
            }
            Key::Receipt(..) => self.replica.is_cached(key),
            _ => true,
        };
        let Some(link) = self.links.get(&id) else { return };
        let fresh = own.iter().filter(|key| !link.pushed.contains(*key) && !carried(key));
        let keys: Vec<Key> = fresh.take(OWN_PUSHES_MAX).copied().collect();
        if let Some(link) = self.links.get_mut(&id) {
            link.pushed.retain(|key| own.contains(key));
            link.pushed.extend(&keys);
        }
        keys.into_iter().for_each(|key| self.send_item(step, id, key));
    }

    /// Whether an entry is in the core, which sessions carry by themselves.
    pub(crate) fn is_core(&self, key: &Key, shelf: &dyn Shelf) -> bool {
        let Key::Entry(author, id) = key else { return false };
        let known = self.replica.author(author, shelf);
        known.is_some_and(|known| known.entries().any(|claim| claim.id == *id))
    }

    /// When the next session on a link is due: the interval, doubled while nothing happens, within
    /// a quarter either way, so that nodes do not all speak at once.
    fn schedule(&mut self, step: &mut Step<'_>, id: LinkId) {
        let jitter = u64::from(step.draw()[0]);
        let interval = self.config.sync_interval_ms;
        let Some(link) = self.links.get_mut(&id) else { return };
        let backed_off = interval.saturating_mul(1 << link.quiet.min(SYNC_BACKOFF_MAX));
        let spread = backed_off / 2 * jitter / 255;
        let wait = (backed_off - backed_off / 4).saturating_add(spread);
        link.next_sync_ms = step.now_ms.saturating_add(wait);
    }

    pub(crate) fn tick(&mut self, step: &mut Step<'_>) {
        let due: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.opens_sessions() && link.due_ms() <= step.now_ms)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            if let Some(link) = self.links.get_mut(&id) {
                link.heard_ms = step.now_ms;
            }
            self.start_session(step, id);
        }
        if step.now_ms >= self.judged_ms.saturating_add(JUDGE_AGAIN_MS) {
            self.judged_ms = step.now_ms;
            self.judge_waiting(step, None);
        }
    }

    /// Says when the next tick is due.
    pub(crate) fn wake(&mut self, step: &mut Step<'_>) {
        let opening = self.links.values().filter(|link| link.opens_sessions());
        let syncs = opening.map(Link::due_ms).min();
        // Time alone may let a waiting payment be judged.
        let waits = self.has_waiting().then(|| self.judged_ms.saturating_add(JUDGE_AGAIN_MS));
        let owes = self.owes_summaries().then_some(step.now_ms);
        if let Some(ms) = syncs.into_iter().chain(waits).chain(owes).min() {
            step.say(Output::WakeAt { ms });
        }
    }

    /// The peers, by link.
    pub fn peers(&self) -> Vec<Peer> {
        let peer = |(id, link): (&LinkId, &Link)| Peer {
            link: *id,
            initiator: link.initiator,
            author: self.proven_peer(*id),
            in_sync: link.in_sync,
            syncing: link.session.is_some(),
        };
        self.links.iter().map(peer).collect()
    }
}

impl Link {
    fn opens_sessions(&self) -> bool {
        self.initiator && self.kind != LinkKind::Payment
    }

    /// When something is to be done here: the next session, or a new one in place of one on which
    /// nothing is heard.
    fn due_ms(&self) -> u64 {
        match self.session {
            Some(_) => self.heard_ms.saturating_add(SYNC_STALL_MS),
            None => self.next_sync_ms,
        }
    }
}
