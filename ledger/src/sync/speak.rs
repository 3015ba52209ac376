//! The half of a session that speaks: one turn, in the order in which things matter.

use super::have::{self, Due, Rank, Told, bank_vector, held};
use super::hear::stream_symbols;
use super::message::{
    Banks, Bucket, Content, Estimate, MESSAGE_BYTES_MAX, Message, Stream, Turn, in_messages,
};
use super::range;
use super::symbols::SYMBOL_BYTES;
use super::vector::{Vector, Want};
use super::{
    CACHE_OFFERED_MAX, CACHE_OFFERS_MAX, EVIDENCE_SENT_MAX, ITEMS_PER_TURN_MAX, Out, Session,
    VECTORS_PER_TURN_MAX, WINDOW_MAX, Work,
};
use crate::codec::List;
use crate::id::{AuthorId, Hash};
use crate::replica::range::Range;
use crate::replica::{Key, Replica, Shelf};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Bits of the range in which the other side looks for an author outside this side's scope.
const OUTSIDE_BITS: u8 = 16;
/// Authors' items that are spelled out at once, so that they go by rank.
const SPELLED_OUT: usize = 512;

impl Session {
    /// Says everything gathered, and ends the turn.
    pub(super) fn speak(&mut self, replica: &Replica, shelf: &dyn Shelf, outs: &mut Vec<Out>) {
        let before = outs.len();
        let new = !self.peer_busy && !self.is_busy();
        if self.turns <= 1
            && !core::mem::replace(&mut self.scope_told, true)
            && replica.scope() != Range::ALL
        {
            outs.push(Out::Send(Message::Scope(replica.scope()).encode()));
        }
        self.speak_tags(outs, Message::HeadAsk);
        self.speak_items(replica, shelf, outs);
        self.speak_banks(replica, outs);
        let wants = core::mem::take(&mut self.wants);
        let mut leads_to_items = !wants.is_empty();
        self.in_messages(
            wants,
            |want: &Want| bytes_of(|bytes| want.put(bytes)),
            outs,
            Message::Wants,
        );
        self.speak_vectors(replica, shelf, outs);
        leads_to_items |= !self.told.is_empty();
        self.speak_more(replica, shelf, outs);
        self.speak_ranges(replica, outs);
        // The first items come before more of what may lead to items: a contact that ends then has
        // gained.
        self.speak_symbols(new && (self.gained || !leads_to_items), replica, outs);
        self.speak_cache_ask(outs);
        // What comes with the opening is no answer yet, and nothing is over.
        let opening = self.initiator && self.turns == 0;
        if outs.len() == before && !opening && self.is_silent_but_cache() {
            self.offer_cache(replica, shelf, outs);
        }
        self.finished = outs.len() == before && !opening && self.is_silent_but_cache();
        let turn = match (self.finished, self.is_busy()) {
            (true, _) => Turn::Finished(self.value(replica, self.initiator)),
            (false, true) => Turn::Busy,
            (false, false) => Turn::More,
        };
        outs.push(Out::Send(Message::Turn(turn).encode()));
    }

    fn message_bytes(&self) -> usize {
        self.config.message_bytes_max.min(MESSAGE_BYTES_MAX)
    }

    fn in_messages<T>(
        &self,
        values: impl IntoIterator<Item = T>,
        bytes: impl Fn(&T) -> usize,
        outs: &mut Vec<Out>,
        message: impl Fn(Vec<T>) -> Message,
    ) {
        in_messages(values, self.message_bytes().saturating_sub(16), bytes, outs, message);
    }

    fn speak_tags(&mut self, outs: &mut Vec<Out>, message: fn(Vec<u64>) -> Message) {
        let tags = core::mem::take(&mut self.head_ask);
        self.in_messages(tags, |_| 5, outs, message);
    }

    /// Of more than one turn sends, the first by rank go: evidence before all else.
    pub(super) fn add_due(&mut self, due: Vec<Due>) {
        for item in due {
            let evidence = matches!(item.0, Rank::EvidenceGrant | Rank::Evidence);
            if !evidence && self.evidence_sent.contains(&item.2) {
                continue;
            }
            if self.due.insert(item) && self.due.len() > 2 * ITEMS_PER_TURN_MAX {
                self.due.pop_last();
            }
        }
    }

    fn spell_out(&mut self, replica: &Replica, shelf: &dyn Shelf) {
        while self.due.len() < SPELLED_OUT {
            let Some(work) = self.work.pop_front() else { return };
            let mut due = Vec::new();
            let id = match &work {
                Work::All(id) | Work::Lacking(id, _) | Work::Entries(id, _) => *id,
                Work::Wanted(_, told) => told.author,
            };
            let own = self.config.own.contains(&id);
            let Some(author) = replica.peek(&id, shelf) else { continue };
            match work {
                Work::All(_) => have::all(&author, id, own, &mut due),
                Work::Lacking(_, theirs) => {
                    due = have::compare(replica.trust(), &author, id, &self.keys, &theirs, own).due;
                }
                Work::Entries(_, theirs) => {
                    have::entries(&author, id, &self.keys, &theirs, own, &mut due);
                }
                Work::Wanted(want, told) => have::wanted(&author, id, &want, &told, own, &mut due),
            }
            self.add_due(due);
        }
    }

    fn speak_items(&mut self, replica: &Replica, shelf: &dyn Shelf, outs: &mut Vec<Out>) {
        let (mut bytes, mut items) = (0, 0);
        while bytes < self.window && items < ITEMS_PER_TURN_MAX {
            if self.due.is_empty() {
                self.spell_out(replica, shelf);
            }
            let Some((rank, _, key)) = self.due.pop_first() else { break };
            if matches!(rank, Rank::Entry | Rank::Cache) {
                if self.others_items_left == 0 {
                    continue;
                }
                self.others_items_left -= 1;
            }
            if matches!(rank, Rank::EvidenceGrant | Rank::Evidence) {
                if self.evidence_sent.contains(&key) {
                    continue;
                }
                if self.evidence_sent.len() < EVIDENCE_SENT_MAX {
                    self.evidence_sent.insert(key);
                }
            }
            outs.push(Out::SendItem(key));
            self.gained = true;
            bytes += about_bytes(&key);
            items += 1;
        }
        self.window = (self.window * 2).min(WINDOW_MAX);
    }

    fn speak_banks(&mut self, replica: &Replica, outs: &mut Vec<Out>) {
        let banks = core::mem::take(&mut self.banks);
        for answer in [true, false] {
            let of = banks.iter().filter(|(of, _)| *of == answer);
            let vectors = of.map(|(_, bank)| bank_vector(replica, &self.keys, *bank));
            let size = |vector: &_| crate::codec::encode(vector).len();
            self.in_messages(vectors, size, outs, |banks| {
                Message::Banks(Banks { answer, banks: List::new(banks).unwrap_or_default() })
            });
        }
    }

    fn speak_vectors(&mut self, replica: &Replica, shelf: &dyn Shelf, outs: &mut Vec<Out>) {
        while let Some((range, ..)) = self.asks.front().copied() {
            if self.told.len() >= VECTORS_PER_TURN_MAX {
                return;
            }
            let mut vectors = Vec::new();
            while let Some((_, author, id)) = self.asks.pop_front_if(|(of, ..)| *of == range) {
                let known = id.and_then(|id| Some((id, replica.peek(&id, shelf)?)));
                let known = known.map(|(id, author)| (id, held(&author, &self.keys)));
                self.told.push(known.as_ref().map(|(id, held)| Told::of(*id, held)));
                vectors.push(Vector { author, held: known.map(|(_, held)| held) });
                if self.told.len() >= VECTORS_PER_TURN_MAX {
                    break;
                }
            }
            let size = |vector: &Vector| bytes_of(|bytes| vector.put(bytes));
            self.in_messages(vectors, size, outs, |vectors| Message::Have(range, vectors));
        }
    }

    fn speak_more(&mut self, replica: &Replica, shelf: &dyn Shelf, outs: &mut Vec<Out>) {
        let whole = self.whole(replica);
        for (stream, next, close) in self.receiver.ask() {
            let sketches = !close && !self.sketched;
            let whole = whole.filter(|whole| sketches && stream == Stream::Core(*whole));
            self.sketched |= whole.is_some();
            let estimate = whole.map(|whole| {
                let own = self.own_positions(replica, shelf);
                let own = own.into_iter().map(|position| (position >> 48) as u16).collect();
                Estimate { sketch: self.sketch(replica, whole), own }
            });
            outs.push(Out::Send(
                Message::More(stream, next as u16, estimate.map(Box::new)).encode(),
            ));
        }
    }

    fn speak_ranges(&mut self, replica: &Replica, outs: &mut Vec<Out>) {
        let ranges = core::mem::take(&mut self.ranges);
        let mut ranges: Vec<Range> = ranges.into_iter().collect();
        ranges.sort_unstable_by_key(Range::first);
        let authors = |range: &Range| replica.authors_in(*range).count() as u64;
        self.looks = self.looks.saturating_add(ranges.iter().map(authors).sum());
        let buckets = ranges.into_iter().map(|range| range::bucket(replica, &self.keys, range));
        let size = |bucket: &Bucket| match &bucket.content {
            Content::Children(sums) => 10 + 8 * sums.len(),
            Content::Elements(elements) => 10 + 9 * elements.len(),
        };
        self.in_messages(buckets, size, outs, Message::Ranges);
    }

    fn speak_symbols(&mut self, new: bool, replica: &Replica, outs: &mut Vec<Out>) {
        let per_message = (self.message_bytes().saturating_sub(16) / SYMBOL_BYTES).max(1);
        for due in self.sender.turn(new) {
            let (symbols, looks) = stream_symbols(replica, &self.keys, due.stream, due.to);
            // Beyond the limit the next look ends the session; what is begun is said.
            self.looks = self.looks.saturating_add(looks + due.to as u64);
            let from = self.sender.send_from(&due, &symbols);
            let chunks = symbols.get(from..).unwrap_or_default().chunks(per_message);
            for (at, chunk) in chunks.enumerate() {
                let start = (from + at * per_message) as u16;
                let message = Message::Symbols(due.stream, start, chunk.to_vec());
                outs.push(Out::Send(message.encode()));
            }
        }
    }

    fn speak_cache_ask(&mut self, outs: &mut Vec<Out>) {
        let asked = core::mem::take(&mut self.cache_ask);
        let message = |tags| Message::CacheAsk(List::new(tags).unwrap_or_default());
        self.in_messages(asked, |_| 8, outs, message);
    }

    fn offer_cache(&mut self, replica: &Replica, shelf: &dyn Shelf, outs: &mut Vec<Out>) {
        if core::mem::replace(&mut self.cache_offered, true) {
            return;
        }
        let room = CACHE_OFFERED_MAX.saturating_sub(self.config.offered.len());
        let cached = replica.cached().filter(|(key, _)| !self.config.offered.contains(key));
        let fresh: Vec<(Key, Hash)> = cached.take(CACHE_OFFERS_MAX.min(room)).collect();
        // As a whole: a thousand insertions cost more than the rest of a session.
        self.config.offered.append(&mut fresh.iter().map(|(key, _)| *key).collect());
        // Entries of authors outside the scope are nobody's cache elsewhere: their vectors tell.
        let is_outside = |key: &Key| match key {
            Key::Entry(author, _) => replica.is_outside(author) && !replica.is_proven(author),
            _ => false,
        };
        let (outside, fresh): (Vec<_>, Vec<_>) =
            fresh.into_iter().partition(|(key, _)| is_outside(key));
        let authors: BTreeSet<AuthorId> =
            outside.iter().filter_map(|(key, _)| key.author()).collect();
        for id in authors {
            let range = Range::around(OUTSIDE_BITS, replica.positions().of(&id));
            self.ask(range, self.keys.author(&id), Some(id));
        }
        self.speak_vectors(replica, shelf, outs);
        let tags: Vec<u64> = fresh.iter().map(|(_, id)| self.keys.wide_tag(id)).collect();
        let message = |tags| Message::Cache(List::new(tags).unwrap_or_default());
        self.in_messages(tags, |_| 8, outs, message);
    }
}

/// Bytes of an item, about: what the window counts.
fn about_bytes(key: &Key) -> usize {
    match key {
        Key::Checkpoint(_) | Key::Proof(_) | Key::Grant(..) => 400,
        _ => 300,
    }
}

fn bytes_of(put: impl FnOnce(&mut Vec<u8>)) -> usize {
    let mut bytes = Vec::new();
    put(&mut bytes);
    bytes.len()
}
