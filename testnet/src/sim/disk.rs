//! A device's disk, as far as its store promises: batches become durable in the order in which
//! they were given, each whole or not at all (a torn frame of the real store does not match its
//! checksum and is cut off when it is opened). What was not synced may be gone after a crash; what
//! had just been synced may be there although nobody was told.

use hundi_engine::Write;
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::item::Subject;
use hundi_ledger::replica::{Key, Shelf};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// Stored bytes. Many devices hold the same item, and images hold what the disk holds.
type Bytes = Rc<[u8]>;

/// What is on a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    items: BTreeMap<Subject, BTreeMap<Key, Bytes>>,
    state: BTreeMap<Vec<u8>, Bytes>,
}

/// How a disk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// As it should.
    Well,
    /// Every write takes seconds.
    Slow,
    /// No write is taken.
    Full,
}

/// What a write replaced.
enum Undo {
    Item(Key, Option<Bytes>),
    State(Vec<u8>, Option<Bytes>),
}

/// A batch that was given and is not known to be durable.
struct Batch {
    number: u64,
    undo: Vec<Undo>,
}

/// One device's disk. Reads show what has been given, durable or not, as the store's overlay does.
pub(super) struct Disk {
    image: Image,
    pending: VecDeque<Batch>,
    pub(super) health: Health,
    /// Reads that fail from now on.
    pub(super) failing_reads: Cell<u32>,
    /// Reads that have failed since the device started.
    pub(super) failed_reads: Cell<u32>,
    /// What it says to be durable is gone after a crash all the same: a bug for the canary to have.
    pub(super) lies: bool,
    /// It forgets no item: another one.
    pub(super) hoards: bool,
    /// What it has lied about.
    lied: Vec<Undo>,
    /// Items that were durable before what became durable last.
    replaced: BTreeSet<Key>,
}

impl Disk {
    pub(super) fn new(image: Image) -> Self {
        let (failing_reads, failed_reads) = (Cell::new(0), Cell::new(0));
        let pending = VecDeque::new();
        let (health, lies, hoards, lied) = (Health::Well, false, false, Vec::new());
        let replaced = BTreeSet::new();
        Self { image, pending, health, failing_reads, failed_reads, lies, hoards, lied, replaced }
    }

    /// Takes a batch; it is not durable yet. Returns whether there was room.
    pub(super) fn write(&mut self, number: u64, writes: Vec<Write>) -> bool {
        if self.health == Health::Full {
            return false;
        }
        let forgets = |write: &Write| matches!(write, Write::DeleteItem { .. });
        let writes = writes.into_iter().filter(|write| !self.hoards || !forgets(write));
        let undo = writes.map(|write| self.image.write(write)).collect();
        self.pending.push_back(Batch { number, undo });
        true
    }

    /// Makes the oldest batches durable, `count` at most: the number of the last of them.
    pub(super) fn sync(&mut self, count: usize) -> Option<u64> {
        let count = count.min(self.pending.len());
        let mut number = None;
        self.replaced.clear();
        for batch in self.pending.drain(..count) {
            number = Some(batch.number);
            self.replaced.extend(batch.undo.iter().filter_map(|undo| match undo {
                Undo::Item(key, Some(_)) => Some(*key),
                _ => None,
            }));
            if self.lies {
                self.lied.extend(batch.undo);
            }
        }
        number
    }

    /// Batches that are not durable yet.
    pub(super) fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// The power goes: all but the first `kept` batches that were on their way are gone.
    pub(super) fn crash(&mut self, kept: usize) {
        while self.pending.len() > kept {
            let Some(batch) = self.pending.pop_back() else { break };
            for undo in batch.undo.into_iter().rev() {
                self.image.undo(undo);
            }
        }
        self.pending.clear();
        for undo in std::mem::take(&mut self.lied).into_iter().rev() {
            self.image.undo(undo);
        }
        self.failing_reads.set(0);
        self.failed_reads.set(0);
    }

    /// How many entries of an author it holds.
    pub(super) fn entries_of(&self, author: &AuthorId) -> usize {
        self.image.entries_of(author)
    }

    /// A copy of what has been given so far: what a backup or a clone holds.
    pub(super) fn image(&self) -> Image {
        self.image.clone()
    }

    /// Whether an item came with a batch that is still on its way. One that was durable, and is forgotten
    /// and stored again while what it waits for becomes durable, did not.
    pub(super) fn is_on_its_way(&self, key: &Key) -> bool {
        if self.replaced.contains(key) {
            return false;
        }
        let mut undo = self.pending.iter().flat_map(|batch| &batch.undo);
        let about = |undo: &&Undo| matches!(undo, Undo::Item(held, _) if held == key);
        matches!(undo.find(about), Some(Undo::Item(_, None)))
    }

    fn read_fails(&self) -> bool {
        let left = self.failing_reads.get();
        if left > 0 {
            self.failing_reads.set(left - 1);
            self.failed_reads.set(self.failed_reads.get() + 1);
        }
        left > 0
    }
}

impl Shelf for Disk {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        // The driver looks afterwards whether a read has failed.
        if self.read_fails() { None } else { self.image.item(key).map(|bytes| bytes.to_vec()) }
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        if self.read_fails() { Vec::new() } else { self.image.items(author) }
    }
}

impl Image {
    fn write(&mut self, write: Write) -> Undo {
        match write {
            Write::Item { key, bytes } => {
                let held = self.items.entry(key.subject()).or_default();
                Undo::Item(key, held.insert(key, bytes.into()))
            }
            Write::DeleteItem { key } => {
                let held = self.items.get_mut(&key.subject());
                Undo::Item(key, held.and_then(|held| held.remove(&key)))
            }
            Write::State { key, bytes } => {
                let old = self.state.insert(key.clone(), bytes.into());
                Undo::State(key, old)
            }
            Write::DeleteState { key } => {
                let old = self.state.remove(&key);
                Undo::State(key, old)
            }
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Item(key, Some(old)) => {
                self.items.entry(key.subject()).or_default().insert(key, old);
            }
            Undo::Item(key, None) => {
                self.items.get_mut(&key.subject()).map(|held| held.remove(&key));
            }
            Undo::State(key, Some(old)) => drop(self.state.insert(key, old)),
            Undo::State(key, None) => drop(self.state.remove(&key)),
        }
    }

    fn item(&self, key: &Key) -> Option<&Bytes> {
        self.items.get(&key.subject())?.get(key)
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        let held = self.items.get(&Subject::Author(*author));
        held.into_iter().flat_map(|held| held.values()).map(|bytes| bytes.to_vec()).collect()
    }

    /// How many entries of an author there are.
    pub(super) fn entries_of(&self, author: &AuthorId) -> usize {
        let held = self.items.get(&Subject::Author(*author));
        let keys = held.into_iter().flat_map(|held| held.keys());
        keys.filter(|key| matches!(key, Key::Entry(..))).count()
    }

    /// Every item about banks: what an opening begins with.
    pub(super) fn about_banks(&self) -> Vec<Vec<u8>> {
        let banks = self.items.iter().filter(|(subject, _)| matches!(subject, Subject::Bank(_)));
        banks.flat_map(|(_, held)| held.values()).map(|bytes| bytes.to_vec()).collect()
    }

    /// Every part of the engine's own state.
    pub(super) fn state(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.state.iter().map(|(key, bytes)| (key.as_slice(), &**bytes))
    }

    /// Every item.
    pub(super) fn every_item(&self) -> impl Iterator<Item = (&Key, &[u8])> {
        self.items.values().flatten().map(|(key, bytes)| (key, &**bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hundi_ledger::id::{BankNumber, Hash, PublicKey};

    fn put(key: u8, value: u8) -> Vec<Write> {
        vec![Write::State { key: vec![key], bytes: vec![value] }]
    }

    fn held(disk: &Disk) -> Vec<(u8, u8)> {
        disk.image.state().map(|(key, bytes)| (key[0], bytes[0])).collect()
    }

    #[test]
    fn a_crash_keeps_a_first_part_of_what_was_given() {
        let mut disk = Disk::new(Image::default());
        assert!(disk.write(1, put(1, 1)));
        assert_eq!(disk.sync(1), Some(1));
        assert!(disk.write(2, put(1, 2)) && disk.write(3, put(2, 3)));
        assert!(disk.write(4, vec![Write::DeleteState { key: vec![1] }]));
        assert_eq!(held(&disk), [(2, 3)]);
        disk.crash(1);
        assert_eq!(held(&disk), [(1, 2)], "the first of three was on the disk already");
        assert!(disk.write(5, put(1, 9)));
        disk.crash(0);
        assert_eq!(held(&disk), [(1, 2)]);
        disk.health = Health::Full;
        assert!(!disk.write(6, put(3, 3)));
    }

    #[test]
    fn what_is_forgotten_and_stored_again_was_durable_before() {
        let author = AuthorId { bank: BankNumber(1), key: PublicKey([1; 32]) };
        let key = Key::Entry(author, Hash([2; 32]));
        let (put, delete) = (Write::Item { key, bytes: vec![1] }, Write::DeleteItem { key });
        let mut disk = Disk::new(Image::default());
        assert!(disk.write(1, vec![put.clone()]) && disk.is_on_its_way(&key));
        assert_eq!(disk.sync(1), Some(1));
        assert!(disk.write(2, vec![delete.clone(), put.clone()]) && !disk.is_on_its_way(&key));
        assert!(disk.write(3, vec![delete]) && disk.write(4, vec![put]));
        assert_eq!(disk.sync(2), Some(3));
        assert!(!disk.is_on_its_way(&key), "what waited for 1 leaves now");
    }
}
