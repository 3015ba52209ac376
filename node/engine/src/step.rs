//! One call of the engine while it is being worked on: its time and entropy, what it writes and
//! what it says. At the end the writes become one persist, and everything said waits for it or,
//! when nothing was written, for the last one before: the engine tells nothing that is not
//! durable.

use crate::input::LinkId;
use crate::output::{Answer, Event, Output, Payload, Write};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use borsh::BorshSerialize;
use hundi_ledger::codec;
use hundi_ledger::replica::{Change, Key, Shelf};

/// Writes that have been given out and are not durable yet: number and bytes, none when deleted.
pub(crate) type Pending = BTreeMap<Key, (u64, Option<Vec<u8>>)>;

pub(crate) struct Step<'a> {
    pub(crate) now_ms: u64,
    entropy: [u8; 32],
    draws: u32,
    shelf: &'a dyn Shelf,
    pub(crate) pending: Pending,
    last: u64,
    writes: Vec<Write>,
    outputs: Vec<Output>,
}

impl<'a> Step<'a> {
    /// A call after the persist with number `last`.
    pub(crate) fn new(
        now_ms: u64,
        entropy: [u8; 32],
        shelf: &'a dyn Shelf,
        pending: Pending,
        last: u64,
    ) -> Self {
        let (writes, outputs) = (Vec::new(), Vec::new());
        Self { now_ms, entropy, draws: 0, shelf, pending, last, writes, outputs }
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
        self.pending.insert(key, (self.last + 1, Some(bytes.clone())));
        self.writes.push(Write::Item { key, bytes });
    }

    pub(crate) fn delete_item(&mut self, key: Key) {
        self.pending.insert(key, (self.last + 1, None));
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

    /// The outputs, the number of the last persist now, and what is not durable yet.
    pub(crate) fn finish(self) -> (Vec<Output>, u64, Pending) {
        let Self { writes, mut outputs, last, pending, .. } = self;
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
        (outputs, number, pending)
    }
}

impl Shelf for Step<'_> {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        match self.pending.get(key) {
            Some((_, bytes)) => bytes.clone(),
            None => self.shelf.item(key),
        }
    }
}
