//! The world that the bench measures in: a node that holds everything that the bank and the authors
//! of a [`Signer`] have signed, and copies of it.

pub use super::signer::{BATCH, Enrolled, Piece, Shape, Writer};
use super::signer::{START, Signer};
use crate::process::check_interrupted;
use anyhow::{Result, bail};
use hundi_ledger::id::{AuthorId, Hash, Serial};
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::{Change, Key, Replica, Shelf, Status};
use hundi_ledger::trust::VerifiedItem;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Stored items: those that all nodes of a world started with, and a node's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    base: Arc<BTreeMap<Key, Vec<u8>>>,
    own: BTreeMap<Key, Option<Vec<u8>>>,
}

impl Shelf for Layers {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        match self.own.get(key) {
            Some(own) => own.clone(),
            None => self.base.get(key).cloned(),
        }
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        let base = pieces(&self.base, author).filter(|(key, _)| !self.own.contains_key(key));
        let own = pieces(&self.own, author).filter_map(|(_, bytes)| bytes.as_ref());
        base.map(|(_, bytes)| bytes).chain(own).cloned().collect()
    }
}

/// The grants and entries of an author: the bench has no other items about one.
fn pieces<'a, T>(
    items: &'a BTreeMap<Key, T>,
    author: &AuthorId,
) -> impl Iterator<Item = (&'a Key, &'a T)> {
    let grants = Key::Grant(*author, Serial(0))..=Key::Grant(*author, Serial(u16::MAX));
    let entries = Key::Entry(*author, Hash([0; 32]))..=Key::Entry(*author, Hash([0xff; 32]));
    items.range(grants).chain(items.range(entries))
}

/// A replica and what it has stored.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it knows.
    pub replica: Replica,
    pub(super) shelf: Layers,
}

impl Node {
    /// The bytes stored under a key.
    pub fn stored(&self, key: &Key) -> Option<Vec<u8>> {
        self.shelf.item(key)
    }

    /// Takes encoded bytes the way a driver does: decode, verify, apply, store.
    ///
    /// # Errors
    /// When they do not decode or do not verify.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Status> {
        let item = Item::decode(&self.replica.network(), bytes)?;
        let item = self.replica.trust().verify(item)?;
        Ok(self.apply(item))
    }

    fn apply(&mut self, item: VerifiedItem) -> Status {
        let applied = self.replica.apply(item, &self.shelf);
        for change in applied.changes {
            match change {
                Change::Put { key, bytes } => self.shelf.own.insert(key, Some(bytes)),
                Change::Delete { key } => self.shelf.own.insert(key, None),
            };
        }
        applied.status
    }

    /// Has everything stored so far shared by all copies that are made from now on.
    fn settle(&mut self) {
        let own = std::mem::take(&mut self.shelf.own);
        let base = Arc::make_mut(&mut self.shelf.base);
        base.extend(own.into_iter().filter_map(|(key, bytes)| Some((key, bytes?))));
        self.replica.evict(0);
    }
}

/// Everything that is the same for all measurements of one size.
#[derive(Debug)]
pub struct World {
    /// Who signs in it.
    pub signer: Signer,
    /// A node that holds all of it.
    pub base: Node,
    /// Every author, by number.
    pub writers: Vec<Writer>,
    /// The numbers of the authors by the time of their newest item, oldest first.
    pub by_time: Vec<usize>,
    /// Time and id of every item about an author.
    pub catalogue: Vec<(u32, Hash)>,
}

impl World {
    /// Signs and applies a world. Uses every core.
    ///
    /// # Errors
    /// When a record breaks a rule of the ledger, or is not taken.
    pub fn new(seed: u64, authors: usize, shape: Shape) -> Result<Self> {
        let signer = Signer::new(seed, shape)?;
        let replica = Replica::new(signer.network().clone());
        let mut world = Self {
            signer,
            base: Node { replica, shelf: Layers::default() },
            writers: Vec::with_capacity(authors),
            by_time: Vec::new(),
            catalogue: Vec::new(),
        };
        for item in world.signer.bank_items()? {
            world.base.take(&item)?;
        }
        for first in (0..authors).step_by(BATCH) {
            check_interrupted()?;
            world.add(first..authors.min(first + BATCH))?;
        }
        world.base.settle();
        world.by_time = (0..authors).collect();
        world.by_time.sort_by_key(|at| (world.writers[*at].time, *at));
        Ok(world)
    }

    /// A node that holds the bank's records and nothing of any author.
    ///
    /// # Errors
    /// As for [`World::new`].
    pub fn empty_node(&self) -> Result<Node> {
        let replica = Replica::new(self.signer.network().clone());
        let mut node = Node { replica, shelf: Layers::default() };
        for item in self.signer.bank_items()? {
            node.take(&item)?;
        }
        node.settle();
        Ok(node)
    }

    /// Takes the node that holds all of the world out of it, where there is no memory for another
    /// copy of it. No more copies can be made of what is left.
    ///
    /// # Errors
    /// As for [`World::new`].
    pub fn take_base(&mut self) -> Result<Node> {
        let empty = self.empty_node()?;
        Ok(std::mem::replace(&mut self.base, empty))
    }

    /// Signs for a range of authors and applies what they signed. The signer's own verdict is
    /// enough here: what a node receives is decoded and verified.
    fn add(&mut self, numbers: Range<usize>) -> Result<()> {
        for (writer, items) in self.signer.sign(numbers)? {
            for (piece, item) in items {
                let status = self.base.apply(item);
                if status != Status::Stored {
                    bail!("an item of the world is not taken: {status:?}");
                }
                self.catalogue.push((piece.time, piece.id));
            }
            self.writers.push(writer);
        }
        Ok(())
    }

    /// The time of the newest item, Unix seconds.
    pub fn newest(&self) -> u32 {
        self.by_time.last().map_or(START, |at| self.writers[*at].time)
    }

    /// Every item of one author, grants first, as the base node has stored them.
    pub fn pieces_of(&self, author: &AuthorId) -> impl Iterator<Item = (&Key, &Vec<u8>)> {
        pieces(&self.base.shelf.base, author)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_one_world_and_all_of_it_verifies() {
        let shape = Shape { enrolled: true, entries: 2 };
        let world = World::new(7, 20, shape).unwrap();
        let again = World::new(7, 20, shape).unwrap();
        assert_eq!(world.base.replica.digest(), again.base.replica.digest());
        assert_ne!(
            world.base.replica.digest(),
            World::new(8, 20, shape).unwrap().base.replica.digest()
        );
        assert_eq!(world.catalogue.len(), 20 * 4);
        let mut node = world.empty_node().unwrap();
        for writer in &world.writers {
            for (_, bytes) in world.pieces_of(&writer.id) {
                assert_eq!(node.take(bytes).unwrap(), Status::Stored);
            }
        }
        assert_eq!(node.replica.digest(), world.base.replica.digest());
    }
}
