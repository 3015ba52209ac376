//! Three replicas driven by arbitrary actions: whatever arrives where and in which order, once all
//! have been offered the same items they are equal, and what each asks its store to hold decodes
//! and stands under its own key.

use crate::world::{self, World};
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::{Change, Key, Replica, Shelf};
use hundi_ledger::trust::VerifiedItem;
use std::collections::BTreeMap;

const REPLICAS: usize = 3;
/// Actions of one input that are looked at.
const ACTIONS_MAX: usize = 96;

/// A store in memory.
#[derive(Clone, Default)]
pub(crate) struct Memory(pub(crate) BTreeMap<Key, Vec<u8>>);

impl Shelf for Memory {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        self.0.item(key)
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        self.0.items(author)
    }
}

/// A replica and what it asked to be stored.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) replica: Replica,
    pub(crate) shelf: Memory,
}

impl Node {
    pub(crate) fn new(world: &World) -> Self {
        Self { replica: Replica::new(world.network.clone()), shelf: Memory::default() }
    }

    /// Offers item number `at` of `pool`, as a node would: not before its certificate is held.
    /// Returns what the replica wants stored.
    pub(crate) fn offer(
        &mut self,
        item: &VerifiedItem,
        bytes: &[u8],
        world: &World,
    ) -> Vec<Vec<u8>> {
        let network = world.network.id();
        let decoded = Item::decode(&network, bytes).unwrap_or_else(|error| panic!("{error}"));
        if !world::certificate_held(self.replica.trust(), &decoded) {
            return Vec::new();
        }
        let applied = self.replica.apply(item.clone(), &self.shelf);
        let mut stored = Vec::new();
        for change in applied.changes {
            match change {
                Change::Put { key, bytes } => {
                    let item = Item::decode(&network, &bytes);
                    assert!(item.is_ok_and(|item| Key::of(&item) == key), "under another key");
                    stored.push(bytes.clone());
                    self.shelf.0.insert(key, bytes);
                }
                Change::Delete { key } => drop(self.shelf.0.remove(&key)),
            }
        }
        stored
    }
}

/// Each byte is an action: the low two bits choose the replica (3: all), the others add to a
/// running choice of the item.
pub(crate) fn replica(bytes: &[u8]) {
    let world = world::world();
    let network = world.network.id();
    let mut nodes: Vec<Node> = (0..REPLICAS).map(|_| Node::new(world)).collect();
    let mut pool: BTreeMap<Vec<u8>, VerifiedItem> = BTreeMap::new();
    let mut at = 0;
    for action in bytes.iter().take(ACTIONS_MAX) {
        at = (at + usize::from(action >> 2)) % world.pool.len();
        let (item_bytes, item) = &world.pool[at];
        pool.insert(item_bytes.clone(), item.clone());
        let chosen = usize::from(action & 3);
        for (number, node) in nodes.iter_mut().enumerate() {
            if chosen == number || chosen == REPLICAS {
                for stored in node.offer(item, item_bytes, world) {
                    remember(&mut pool, stored, &network, world);
                }
            }
        }
    }
    // Then everybody is offered everything until nothing changes.
    for round in 0.. {
        assert!(round < 12, "no fixed point");
        let before: Vec<_> = nodes.iter().map(|node| node.replica.digest()).collect();
        let known = pool.len();
        for (bytes, item) in pool.clone() {
            for node in &mut nodes {
                for stored in node.offer(&item, &bytes, world) {
                    remember(&mut pool, stored, &network, world);
                }
            }
        }
        let after: Vec<_> = nodes.iter().map(|node| node.replica.digest()).collect();
        if before == after && known == pool.len() {
            assert!(after.windows(2).all(|pair| pair[0] == pair[1]), "replicas differ");
            break;
        }
    }
    for node in &nodes {
        node.replica.for_each_author(&node.shelf, |author, known| {
            let entries: Vec<_> = known.entries().collect();
            assert!(entries.len() <= 2 * 64, "more of {author} than its windows");
            if known.proof().is_some() {
                assert!(entries.is_empty(), "a proven author's entries in the core");
            }
            let contradiction =
                entries.iter().any(|a| entries.iter().any(|b| a.id != b.id && a.contradicts(b)));
            assert!(!contradiction, "a contradiction of {author} in the core without a proof");
            assert!(
                entries
                    .iter()
                    .all(|claim| { node.shelf.0.contains_key(&Key::Entry(*author, claim.id)) })
            );
        });
    }
}

/// Takes up an item that a replica made: a proof.
fn remember(
    pool: &mut BTreeMap<Vec<u8>, VerifiedItem>,
    bytes: Vec<u8>,
    network: &hundi_ledger::id::NetworkId,
    world: &World,
) {
    if pool.contains_key(&bytes) {
        return;
    }
    let verified =
        Item::decode(network, &bytes).ok().and_then(|item| world.trust.verify(item).ok());
    let verified = verified.unwrap_or_else(|| panic!("a replica stored what does not verify"));
    pool.insert(bytes, verified);
}
