//! One call of the engine while it is being worked on: its time and entropy, what it writes and
//! what it says. At the end the writes become one persist, and everything said waits for it or,
//! when nothing was written, for the last one before: the engine tells nothing that is not
//! durable.

use crate::input::LinkId;
use crate::output::{Answer, Event, Output, Payload, Write};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use borsh::BorshSerialize;
use hundi_ledger::codec;
use hundi_ledger::id::{AuthorId, Hash, NetworkId};
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::replica::{Change, Key, Shelf};

/// Writes about one subject: the number of their persist, and bytes, none when deleted.
type Writes = BTreeMap<Key, (u64, Option<Vec<u8>>)>;

/// What the engine knows better than the store that its driver shows.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Writes that have been given out and are not durable yet, by whom they are about.
    pending: BTreeMap<Subject, Writes>,
    /// Entries that only the wallet keeps: stored, but no part of what the replica holds.
    aside: BTreeSet<Key>,
}

impl Stored {
    /// Forgets the writes up to `number`: the shelf shows them now.
    pub(crate) fn durable(&mut self, number: u64) {
        self.pending.retain(|_, writes| {
            writes.retain(|_, (at, _)| *at > number);
            !writes.is_empty()
        });
    }

    /// Notes that only the wallet keeps an entry.
    pub(crate) fn set_aside(&mut self, key: Key) {
        if matches!(key, Key::Entry(..)) {
            self.aside.insert(key);
        }
    }

    fn write(&mut self, number: u64, key: Key, bytes: Option<Vec<u8>>) {
        self.aside.remove(&key);
        self.pending.entry(key.subject()).or_default().insert(key, (number, bytes));
    }

    fn get(&self, key: &Key) -> Option<&Option<Vec<u8>>> {
        Some(&self.pending.get(&key.subject())?.get(key)?.1)
    }
}

/// The store as the engine sees it: the driver's shelf, less what only the wallet keeps, and with
/// what the shelf may not show yet.
pub(crate) struct View<'a> {
    pub(crate) network: NetworkId,
    pub(crate) shelf: &'a dyn Shelf,
    pub(crate) stored: &'a Stored,
}

impl Shelf for View<'_> {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        match self.stored.get(key) {
            Some(bytes) => bytes.clone(),
            None => self.shelf.item(key),
        }
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        let mut items = self.shelf.items(author);
        let pending = self.stored.pending.get(&Subject::Author(*author));
        let entry = |fill: u8| Key::Entry(*author, Hash([fill; 32]));
        let mut aside = self.stored.aside.range(entry(0)..=entry(0xff)).peekable();
        if pending.is_none() && aside.peek().is_none() {
            return items;
        }
        let older = |key: &Key| pending.is_none_or(|pending| !pending.contains_key(key));
        let held = |key: &Key| !self.stored.aside.contains(key);
        items.retain(|bytes| {
            let item = Item::decode(&self.network, bytes).ok();
            item.map(|item| Key::of(&item)).is_none_or(|key| older(&key) && held(&key))
        });
        let pending = pending.into_iter().flatten().filter(|(key, _)| held(key));
        items.extend(pending.filter_map(|(_, (_, bytes))| bytes.clone()));
        items
    }
}

pub(crate) struct Step<'a> {
    pub(crate) now_ms: u64,
    entropy: [u8; 32],
    draws: u32,
    network: NetworkId,
    shelf: &'a dyn Shelf,
    pub(crate) stored: Stored,
    last: u64,
    writes: Vec<Write>,
    outputs: Vec<Output>,
}

impl<'a> Step<'a> {
    /// A call after the persist with number `last`.
    pub(crate) fn new(
        now_ms: u64,
        entropy: [u8; 32],
        network: NetworkId,
        shelf: &'a dyn Shelf,
        stored: Stored,
        last: u64,
    ) -> Self {
        let (writes, outputs) = (Vec::new(), Vec::new());
        Self { now_ms, entropy, draws: 0, network, shelf, stored, last, writes, outputs }
    }

    /// Unix seconds.
    pub(crate) fn now(&self) -> u32 {
        u32::try_from(self.now_ms / 1000).unwrap_or(u32::MAX)
    }

    /// Fresh bytes, other ones at every call.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        self.draws += 1;
        let mut hasher = blake3::Hasher::new_derive_key("hundi v1 engine entropy");
        hasher.update(&self.entropy).update(&self.draws.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    pub(crate) fn put_item(&mut self, key: Key, bytes: Vec<u8>) {
        self.stored.write(self.last + 1, key, Some(bytes.clone()));
        self.writes.push(Write::Item { key, bytes });
    }

    /// Stores an item that the wallet needs and the replica does not hold.
    pub(crate) fn keep_item(&mut self, key: Key, bytes: Vec<u8>) {
        self.put_item(key, bytes);
        self.stored.set_aside(key);
    }

    /// Whether this call or one whose persist is not durable yet has stored an item, and none has
    /// deleted it since.
    pub(crate) fn has_put(&self, key: &Key) -> bool {
        matches!(self.stored.get(key), Some(Some(_)))
    }

    pub(crate) fn delete_item(&mut self, key: Key) {
        self.stored.write(self.last + 1, key, None);
        self.writes.push(Write::DeleteItem { key });
    }

    pub(crate) fn change(&mut self, change: Change) {
        match change {
            Change::Put { key, bytes } => self.put_item(key, bytes),
            Change::Delete { key } => self.delete_item(key),
        }
    }

    pub(crate) fn put_state<T: BorshSerialize>(&mut self, key: Vec<u8>, value: &T) {
        let bytes = codec::encode(value);
        // Within one unit only the last word on a key counts.
        self.writes.retain(|held| !matches!(held, Write::State { key: held, .. } if *held == key));
        self.writes.push(Write::State { key, bytes });
    }

    /// Stores the summary of an author, or forgets it: once in a call for each.
    pub(crate) fn write_summary(&mut self, key: Vec<u8>, bytes: Option<Vec<u8>>) {
        self.writes.push(match bytes {
            Some(bytes) => Write::State { key, bytes },
            None => Write::DeleteState { key },
        });
    }

    /// Whether anything is to be stored by now.
    pub(crate) fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    pub(crate) fn delete_state(&mut self, key: Vec<u8>) {
        self.writes.push(Write::DeleteState { key });
    }

    pub(crate) fn send(&mut self, link: LinkId, payload: Payload) {
        self.outputs.push(Output::Send { link, after: 0, payload });
    }

    pub(crate) fn answer(&mut self, id: u64, answer: Answer) {
        self.outputs.push(Output::Answer { after: 0, id, answer });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push(Output::Event { after: 0, event });
    }

    /// Says something else; its `after` is filled in at the end.
    pub(crate) fn say(&mut self, output: Output) {
        self.outputs.push(output);
    }

    /// The outputs, the number of the last persist now, and what the store does not show yet.
    pub(crate) fn finish(self) -> (Vec<Output>, u64, Stored) {
        let Self { writes, mut outputs, last, stored, .. } = self;
        let number = if writes.is_empty() { last } else { last + 1 };
        for output in &mut outputs {
            match output {
                Output::Send { after, .. }
                | Output::Publish { after, .. }
                | Output::GossipVerdict { after, .. }
                | Output::Answer { after, .. }
                | Output::Event { after, .. } => *after = number,
                Output::Persist { .. } | Output::CloseLink { .. } | Output::WakeAt { .. } => {}
            }
        }
        if number > last {
            outputs.insert(0, Output::Persist { number, writes });
        }
        (outputs, number, stored)
    }
}

impl Step<'_> {
    fn view(&self) -> View<'_> {
        View { network: self.network, shelf: self.shelf, stored: &self.stored }
    }
}

impl Shelf for Step<'_> {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        self.view().item(key)
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        self.view().items(author)
    }
}
