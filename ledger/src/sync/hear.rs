//! The half of a session that takes messages: what each says that is to be done.

use super::have::{self, bank_lacks};
use super::message::{Banks, Bucket, Estimate, Message, OPEN_FORCE, Stream};
use super::offer::{head_items, head_subjects};
use super::range::{self, Differences};
use super::streams::Told as Heard;
use super::symbols::{Difference, Element, Symbol, sum};
use super::vector::{Vector, Want};
use super::{
    AUTHORS_KEPT_MAX, CACHE_OFFERS_MAX, EVIDENCE_SENT_MAX, MESSAGES_PER_TURN_MAX, Out,
    SUSPECTS_MAX, SYMBOLS_PER_TURN_MAX, Session, Stage, SyncError, VECTORS_PER_TURN_MAX, Work,
};
use crate::id::AuthorId;
use crate::record::item::{Item, Subject};
use crate::replica::range::Range;
use crate::replica::{Key, Replica, Shelf};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

impl Session {
    pub(super) fn hear(
        &mut self,
        message: Message,
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> Result<Vec<Out>, SyncError> {
        if !matches!(message, Message::Item(_)) {
            self.messages = self.messages.saturating_add(1);
            if self.messages > MESSAGES_PER_TURN_MAX {
                return Err(SyncError::TooManyMessages);
            }
        }
        match (self.stage, message) {
            (_, Message::Item(item)) => return Ok(self.received(item, replica, shelf)),
            (Stage::Waiting, Message::Open(values)) => {
                return Ok(self.answer_opening(false, values, replica, shelf));
            }
            (Stage::Waiting, Message::OpenMore(flags, values)) => {
                self.stage = Stage::Opened { force: flags & OPEN_FORCE != 0, values };
            }
            (Stage::Running, Message::Equal(value)) if self.initiator && self.turns == 0 => {
                self.stage = Stage::Done;
                return Ok(alloc::vec![Out::Done { in_sync: self.agrees(replica, value) }]);
            }
            (Stage::Waiting | Stage::Done, _) => return Err(SyncError::NotDue),
            (Stage::Opened { .. }, Message::Scope(range)) => self.peer_scope = range,
            (_, Message::Scope(range)) if self.initiator && self.turns == 0 => {
                self.peer_scope = range;
            }
            (_, Message::Turn(turn)) => return self.take_turn(turn, replica, shelf),
            (_, Message::Symbols(stream, start, symbols)) => {
                self.take_symbols(stream, usize::from(start), symbols, replica, shelf)?;
            }
            (Stage::Running, message) => self.take(message, replica, shelf)?,
            _ => return Err(SyncError::NotDue),
        }
        Ok(Vec::new())
    }

    fn take(
        &mut self,
        message: Message,
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> Result<(), SyncError> {
        match message {
            Message::Have(range, vectors) => self.take_vectors(range, vectors, replica, shelf)?,
            Message::Wants(wants) => self.take_wants(&wants),
            Message::More(stream, next, estimate) => {
                let estimate = estimate.map(|estimate| *estimate);
                self.take_more(stream, usize::from(next), estimate, replica, shelf)?;
            }
            Message::Ranges(buckets) => self.take_ranges(&buckets, replica)?,
            Message::Banks(banks) => self.take_banks(&banks, replica),
            Message::HeadAsk(tags) => {
                self.look(replica.head_elements().count() as u64)?;
                let tags: BTreeSet<u64> = tags.into_iter().collect();
                let mut due = Vec::new();
                for subject in head_subjects(replica, &self.keys, &tags) {
                    head_items(replica, shelf, &self.keys, &subject, &mut due);
                }
                self.add_due(due);
            }
            Message::Cache(tags) => {
                self.look(replica.cached_len() as u64)?;
                self.take_cache(&tags, replica);
            }
            Message::CacheAsk(tags) => {
                self.look(replica.cached_len() as u64)?;
                self.give_cache(&tags, replica);
            }
            _ => return Err(SyncError::NotDue),
        }
        Ok(())
    }

    fn received(&mut self, item: Vec<u8>, replica: &Replica, shelf: &dyn Shelf) -> Vec<Out> {
        self.gained = true;
        let passes = match Item::decode(&replica.network(), &item) {
            Ok(Item::Entry(entry)) => {
                let (passes, odd) = self.guard.passes(&entry, replica, shelf);
                if odd && passes && self.suspects.len() < SUSPECTS_MAX {
                    self.suspects.insert(entry.header().author);
                }
                passes
            }
            // What came from the peer need not go back there.
            Ok(Item::Proof(proof)) if self.evidence_sent.len() < EVIDENCE_SENT_MAX => {
                self.evidence_sent.insert(Key::Proof(proof.author()));
                true
            }
            Ok(Item::Checkpoint(record)) => {
                if self.later.contains_key(&record.author) {
                    self.arrived.insert(record.author);
                }
                true
            }
            _ => true,
        };
        if passes { alloc::vec![Out::Received(item)] } else { Vec::new() }
    }

    /// Counts what is looked at.
    pub(super) fn look(&mut self, looks: u64) -> Result<(), SyncError> {
        self.looks = self.looks.saturating_add(looks);
        if self.looks > self.config.looks_max { Err(SyncError::TooManyLooks) } else { Ok(()) }
    }

    fn take_symbols(
        &mut self,
        stream: Stream,
        start: usize,
        symbols: Vec<Symbol>,
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> Result<(), SyncError> {
        self.symbols_heard += symbols.len();
        if self.symbols_heard > SYMBOLS_PER_TURN_MAX {
            return Err(SyncError::TooManySymbols);
        }
        let whole = self.whole(replica);
        if let Stream::Core(range) = stream {
            if whole.and_then(|whole| whole.and(&range)) != Some(range) {
                return Ok(()); // Said before this side's scope was heard.
            }
            self.core_heard = true;
        }
        let whole = whole.unwrap_or_default();
        let keys = &self.keys;
        let mut looks = 0;
        let told = self.receiver.take(whole, stream, start, symbols, |count| {
            let (ours, looked) = stream_symbols(replica, keys, stream, count);
            // Every message has all symbols of its stream decoded anew.
            looks += looked + count as u64;
            ours
        });
        self.look(looks)?;
        match told {
            Heard::Nothing | Heard::More => Ok(()),
            Heard::TooMuch => {
                if let Stream::Core(range) = stream {
                    self.compare_later(range);
                }
                Ok(())
            }
            Heard::All(found) => {
                self.look(looks)?;
                self.differ(stream, &found, replica, shelf);
                Ok(())
            }
        }
    }

    /// Takes in which subjects differ.
    fn differ(
        &mut self,
        stream: Stream,
        found: &[Difference],
        replica: &Replica,
        shelf: &dyn Shelf,
    ) {
        let mut found: BTreeMap<u64, i64> =
            found.iter().map(|one| (one.author, one.delta)).collect();
        if found.is_empty() {
            return;
        }
        // Whether the other side holds the subject, if what was found makes sense.
        let theirs = |delta: i64, ours: u32| match u32::try_from(delta + i64::from(ours)) {
            Ok(0) => Some(false),
            Ok(_) => Some(true),
            Err(_) => None,
        };
        match stream {
            Stream::Core(range) => {
                let mut ours = Vec::new();
                for (id, element) in replica.authors_in(range) {
                    if let Some(delta) = found.remove(&self.keys.author(id)) {
                        ours.push((*id, theirs(delta, self.keys.state(element))));
                    }
                }
                for (id, held) in ours {
                    match held {
                        Some(true) => self.ask(range, self.keys.author(&id), Some(id)),
                        Some(false) => self.add_work(Work::All(id), id),
                        None => {}
                    }
                }
                let foreign =
                    found.into_iter().filter(|(_, delta)| theirs(*delta, 0) == Some(true));
                foreign.for_each(|(author, _)| self.ask(range, author, None));
            }
            Stream::Head => {
                let mut due = Vec::new();
                for (subject, element) in replica.head_elements() {
                    let Element { author, state } = self.keys.element(&subject, &element);
                    let Some(held) = found.remove(&author).and_then(|delta| theirs(delta, state))
                    else {
                        continue;
                    };
                    match subject {
                        Subject::Bank(bank) if held => drop(self.banks.insert((false, bank))),
                        _ => {
                            head_items(replica, shelf, &self.keys, &subject, &mut due);
                            self.head_ask.extend(held.then_some(author));
                        }
                    }
                }
                self.add_due(due);
                self.head_ask.extend(found.into_keys());
            }
        }
    }

    pub(super) fn ask(&mut self, range: Range, author: u64, id: Option<AuthorId>) {
        if self.asks.len() < AUTHORS_KEPT_MAX {
            self.asks.push_back((range, author, id));
        }
    }

    fn take_more(
        &mut self,
        stream: Stream,
        next: usize,
        estimate: Option<Estimate>,
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> Result<(), SyncError> {
        let whole = self.whole(replica).filter(|whole| stream == Stream::Core(*whole));
        let Some((whole, Estimate { sketch, own })) = whole.zip(estimate) else {
            self.sender.go_on(stream, next, 0);
            return Ok(());
        };
        self.look(replica.core_len() as u64)?;
        let ours = self.sketch(replica, whole);
        let differ = super::sketch::estimate(&ours, &sketch);
        let theirs = own.into_iter().map(|place| u64::from(place) << 48);
        let own: Vec<u64> = self.own_positions(replica, shelf).into_iter().chain(theirs).collect();
        self.sender.plan(whole, differ, next, &own, self.keys.start);
        Ok(())
    }

    pub(super) fn sketch(&self, replica: &Replica, whole: Range) -> super::sketch::Sketch {
        super::sketch::sketch(replica.authors_in(whole).map(|(id, element)| Element {
            author: self.keys.author(id),
            state: self.keys.state(element),
        }))
    }

    /// Where own authors lie that have something to send.
    pub(super) fn own_positions(&self, replica: &Replica, shelf: &dyn Shelf) -> Vec<u64> {
        let sends = |id: &&AuthorId| {
            replica.peek(id, shelf).is_some_and(|known| known.entries().next().is_some())
        };
        let own = self.config.own.iter().filter(sends).take(super::message::OWN_NAMED_MAX);
        own.map(|id| replica.positions().of(id)).collect()
    }

    fn take_vectors(
        &mut self,
        range: Range,
        vectors: Vec<Vector>,
        replica: &Replica,
        shelf: &dyn Shelf,
    ) -> Result<(), SyncError> {
        let mut by_tag: BTreeMap<u64, (u16, Vector)> = BTreeMap::new();
        for vector in vectors {
            let index = self.heard;
            self.heard = self.heard.saturating_add(1);
            if usize::from(self.heard) <= VECTORS_PER_TURN_MAX {
                by_tag.insert(vector.author, (index, vector));
            }
        }
        let mut looks = 0;
        for (id, _) in replica.authors_in(range) {
            looks += 1;
            let Some((index, vector)) = by_tag.remove(&self.keys.author(id)) else { continue };
            let Some(author) = replica.peek(id, shelf) else { continue };
            let Some(theirs) = vector.held else {
                self.add_work(Work::All(*id), *id);
                continue;
            };
            let own = self.config.own.contains(id);
            let compared = have::compare(replica.trust(), &author, *id, &self.keys, &theirs, own);
            let want = Want { index, ..compared.want };
            if !want.is_empty() {
                self.wants.push(want);
            }
            if compared.later && self.later.len() < VECTORS_PER_TURN_MAX {
                self.later.insert(*id, theirs.clone());
            }
            if !compared.due.is_empty() {
                self.add_work(Work::Lacking(*id, theirs), *id);
            }
        }
        // An author outside the other side's scope that is new here.
        if replica.scope().and(&range).is_some() {
            for (index, vector) in by_tag.into_values() {
                self.wants.extend(vector.held.map(|theirs| have::want_all(&theirs, index)));
            }
        }
        self.look(looks)
    }

    fn take_wants(&mut self, wants: &[Want]) {
        for want in wants {
            // Each vector is answered once.
            let told = self.told.get_mut(usize::from(want.index)).and_then(Option::take);
            if let Some(told) = told {
                self.add_work(Work::Wanted(*want, told), told.author);
            }
        }
    }

    fn take_ranges(&mut self, buckets: &[Bucket], replica: &Replica) -> Result<(), SyncError> {
        for bucket in buckets {
            let range = bucket.range;
            // Ascending and apart, so that no peer makes us look at ours twice in a turn.
            if self.ranges_from.is_none_or(|from| range.first() < from) {
                continue;
            }
            self.ranges_from = range.last().checked_add(1);
            self.look(replica.authors_in(range).count() as u64)?;
            let mut differences = Differences::default();
            range::compare(replica, &self.keys, bucket, &mut differences);
            differences.ranges.into_iter().for_each(|range| self.compare_later(range));
            for (author, id) in differences.differing {
                self.ask(range, author, id);
            }
            differences.lacking.into_iter().for_each(|id| self.add_work(Work::All(id), id));
        }
        Ok(())
    }

    fn take_banks(&mut self, banks: &Banks, replica: &Replica) {
        let mut due = Vec::new();
        for theirs in banks.banks.iter() {
            bank_lacks(replica, &self.keys, theirs, &mut due);
            if !banks.answer && replica.trust().network().bank(theirs.bank).is_some() {
                self.banks.insert((true, theirs.bank));
            }
        }
        self.add_due(due);
    }

    fn take_cache(&mut self, offered: &[u64], replica: &Replica) {
        let told: BTreeSet<u64> = offered.iter().copied().collect();
        let tags = replica.cached().map(|(_, id)| self.keys.wide_tag(&id));
        let held: BTreeSet<u64> = tags.filter(|tag| told.contains(tag)).collect();
        let wanted = offered.iter().copied().filter(|tag| !held.contains(tag));
        let room = CACHE_OFFERS_MAX.saturating_sub(self.cache_ask.len());
        self.cache_ask.extend(wanted.take(room));
    }

    fn give_cache(&mut self, asked: &[u64], replica: &Replica) {
        let asked: BTreeSet<u64> = asked.iter().copied().collect();
        let due = replica
            .cached()
            .filter(|(_, id)| asked.contains(&self.keys.wide_tag(id)))
            .map(|(key, _)| (have::Rank::Cache, 0, key))
            .collect();
        self.add_due(due);
    }
}

/// Symbols of this side of a stream from 0 on, and how many subjects were looked at.
pub(super) fn stream_symbols(
    replica: &Replica,
    keys: &super::keys::Keys,
    stream: Stream,
    count: usize,
) -> (Vec<Symbol>, u64) {
    let (mut symbols, mut looks) = (alloc::vec![Symbol::default(); count], 0);
    match stream {
        Stream::Core(range) => {
            let elements = replica.authors_in(range).map(|(id, element)| {
                looks += 1;
                Element { author: keys.author(id), state: keys.state(element) }
            });
            sum(elements, 0, &mut symbols);
        }
        Stream::Head => {
            let elements = replica.head_elements().map(|(subject, element)| {
                looks += 1;
                keys.element(&subject, &element)
            });
            sum(elements, 0, &mut symbols);
        }
    }
    (symbols, looks)
}
