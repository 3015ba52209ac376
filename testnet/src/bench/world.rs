//! The world that the bench measures in: one bank, any number of authors with real keys, and a
//! node that holds everything they have. All of it follows from one seed, and every record is
//! signed by whom it names. Bodies are random bytes of the length of a sealed payment with a
//! 16-byte memo, because that is what a relay sees of one.

use crate::process::check_interrupted;
use anyhow::{Result, anyhow, bail};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, SealingKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::bulletin::{Bulletin, freezes_digest};
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::entry::{Entry, Header, Kind, Position, body_hash};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank, Definition, Network};
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::replica::{Change, Key, Replica, Shelf, Status};
use hundi_ledger::sign::SecretKey;
use hundi_ledger::trust::VerifiedItem;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// When the network starts, Unix seconds.
const START: u32 = 1_700_000_000;
/// Seconds over which the authors' days are spread: thirty days.
const SPREAD_SECONDS: u32 = 30 * 86_400;
/// Bytes of the sealed body of a payment with a 16-byte memo.
const BODY_BYTES: usize = 127;
/// The one bank.
const BANK: BankNumber = BankNumber(1);
/// Authors that are signed for before they are applied: what a batch holds stays small.
pub const BATCH: usize = 8 * 1024;
/// What every grant of the world allows, minor units.
const LIMIT_MINOR: u64 = 1_000_000;

/// What every author of a world holds at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Whether an enrolment grant stands beside the grant that is spent from.
    pub enrolled: bool,
    /// Entries, 1 to 64: what relays carry of one author without a checkpoint.
    pub entries: u32,
}

/// An item of a world.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Where it is stored.
    pub key: Key,
    /// Its own time, Unix seconds: the entry's, or when the grant begins.
    pub time: u32,
    /// The id of the record.
    pub id: Hash,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
}

/// An author and where its log ends.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The author.
    pub id: AuthorId,
    number: u64,
    last: Option<(u32, Hash)>,
    spent: u64,
    /// The time of its newest item, Unix seconds.
    pub time: u32,
}

/// An author with its items, in an order in which they can be taken.
pub type Enrolled = (Writer, Vec<(Piece, VerifiedItem)>);

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
    }
}

/// Everything that is the same for all measurements of one size.
#[derive(Debug)]
pub struct World {
    seed: u64,
    shape: Shape,
    network: Network,
    online: SecretKey,
    currency: Currency,
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
        let root = secret(seed, u64::MAX);
        let network = network(&root)?;
        let base = Node { replica: Replica::new(network.clone()), shelf: Layers::default() };
        let mut world = Self {
            seed,
            shape,
            network,
            online: secret(seed, u64::MAX - 1),
            currency: Currency::new("INR")?,
            base,
            writers: Vec::with_capacity(authors),
            by_time: Vec::new(),
            catalogue: Vec::new(),
        };
        for item in world.bank_items()? {
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
        let replica = Replica::new(self.network.clone());
        let mut node = Node { replica, shelf: Layers::default() };
        for item in self.bank_items()? {
            node.take(&item)?;
        }
        node.settle();
        Ok(node)
    }

    fn network_id(&self) -> NetworkId {
        self.network.id()
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

    /// The network of this world.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The bank's certificate and bulletin, as items.
    ///
    /// # Errors
    /// When a record breaks a rule of the ledger.
    pub fn bank_items(&self) -> Result<[Vec<u8>; 2]> {
        let root = &secret(self.seed, u64::MAX);
        let certificate = Certificate {
            version: VERSION,
            bank: BANK,
            number: 1,
            key: self.online.public(),
            roles: ROLE_ISSUE | ROLE_SETTLE,
            honours: List::default(),
        };
        let bulletin = Bulletin {
            version: VERSION,
            bank: BANK,
            certificate: 1,
            epoch: 1,
            time: START,
            freezes: 0,
            freezes_digest: freezes_digest(&self.network_id(), Vec::new()),
            journal_head: Hash([1; 32]),
        };
        let certificate = sign(&self.network_id(), certificate, root)?.into_inner();
        let bulletin = sign(&self.network_id(), bulletin, &self.online)?.into_inner();
        Ok([Item::Certificate(certificate).encode(), Item::Bulletin(bulletin).encode()])
    }

    /// Signs for a range of authors and applies what they signed. The signer's own verdict is
    /// enough here: what a node receives is decoded and verified.
    fn add(&mut self, numbers: Range<usize>) -> Result<()> {
        for (writer, items) in self.sign(numbers)? {
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

    /// What the authors of these numbers hold at the start. Signs on every core.
    ///
    /// # Errors
    /// When a record breaks a rule of the ledger.
    pub fn sign(&self, numbers: Range<usize>) -> Result<Vec<Enrolled>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let numbers: Vec<usize> = numbers.collect();
        let share = numbers.len().div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let work = |share: &[usize]| share.iter().map(|at| self.author(*at)).collect();
            let workers: Vec<_> = numbers
                .chunks(share)
                .map(|share| scope.spawn(move || -> Result<Vec<_>> { work(share) }))
                .collect();
            let mut all = Vec::with_capacity(numbers.len());
            for worker in workers {
                all.extend(worker.join().map_err(|_| anyhow!("a signing thread died"))??);
            }
            Ok(all)
        })
    }

    /// An author of the world with what it holds at the start.
    fn author(&self, number: usize) -> Result<Enrolled> {
        let number = u64::try_from(number)?;
        let time =
            START + u32::try_from(dice(self.seed, number).next_u64() % u64::from(SPREAD_SECONDS))?;
        self.enrol(number, time)
    }

    /// A new author whose days begin at `time`: its grants and first entries.
    ///
    /// # Errors
    /// When a record breaks a rule of the ledger.
    pub fn enrol(&self, number: u64, time: u32) -> Result<Enrolled> {
        let key = secret(self.seed, number);
        let id = AuthorId { bank: BANK, key: key.public() };
        let mut writer = Writer { id, number, last: None, spent: 0, time };
        let mut items = Vec::new();
        let serials = if self.shape.enrolled { 0..=1 } else { 1..=1 };
        for serial in serials {
            items.push(self.grant(&writer, serial)?);
        }
        for _ in 0..self.shape.entries {
            let time = writer.time + 60;
            items.push(self.pay(&mut writer, time)?);
        }
        Ok((writer, items))
    }

    fn grant(&self, writer: &Writer, serial: u16) -> Result<(Piece, VerifiedItem)> {
        let mut dice = dice(self.seed ^ 1, writer.number);
        let enrolment = serial == 0;
        let limit = amount(if enrolment { 0 } else { LIMIT_MINOR })?;
        let record = Grant {
            version: VERSION,
            author: writer.id,
            certificate: 1,
            epoch: 1,
            author_sealing: SealingKey(random(&mut dice)),
            bank_sealing: SealingKey([4; 32]),
            serial: Serial(serial),
            currency: self.currency,
            flags: 0,
            limit,
            cap: limit,
            guarantee: Amount::ZERO,
            not_before: writer.time,
            expiry: u32::MAX,
            claim_until: u32::MAX,
            first_sequence: 0,
            carry_to: 63,
            unsettled_max: 10,
            penalty_percent: 10,
            penalty_floor_percent: 30,
            policy: None,
            display_name: None,
        };
        let signed = sign(&self.network_id(), record, &self.online)?;
        let item = Item::Grant((*signed).clone());
        Ok((piece(&item, writer.time), VerifiedItem::Grant(signed)))
    }

    /// The author's next payment, signed at `time`.
    ///
    /// # Errors
    /// When the record breaks a rule of the ledger.
    pub fn pay(&self, writer: &mut Writer, time: u32) -> Result<(Piece, VerifiedItem)> {
        let sequence = writer.last.map_or(0, |(sequence, _)| sequence + 1);
        let position = writer
            .last
            .map_or(Position::First, |(_, previous)| Position::After { sequence, previous });
        let mut dice = dice(self.seed ^ 2, writer.number << 8 | u64::from(sequence));
        let body = random::<BODY_BYTES>(&mut dice).to_vec();
        let minor = 1 + dice.next_u64() % 9_999;
        let header = Header {
            version: VERSION,
            kind: Kind::PAYMENT,
            author: writer.id,
            position,
            time,
            serial: Serial(1),
            amount: amount(minor)?,
            spent_total: amount(writer.spent + minor)?,
            body_hash: body_hash(&self.network_id(), &body),
        };
        let key = secret(self.seed, writer.number);
        let entry = Entry::sign(&self.network_id(), header, body, &key)?;
        writer.last = Some((sequence, entry.id()));
        writer.spent += minor;
        writer.time = time;
        let item = Item::Entry((*entry).clone());
        Ok((piece(&item, time), VerifiedItem::Entry(entry)))
    }

    /// The time of the newest item, Unix seconds.
    pub fn newest(&self) -> u32 {
        self.by_time.last().map_or(START, |at| self.writers[*at].time)
    }

    /// Every item of one author, grants first, as the base node has stored them.
    pub fn pieces_of(&self, author: &AuthorId) -> impl Iterator<Item = (&Key, &Vec<u8>)> {
        let base = &self.base.shelf.base;
        let grants = Key::Grant(*author, Serial(0))..=Key::Grant(*author, Serial(u16::MAX));
        let entries = Key::Entry(*author, Hash([0; 32]))..=Key::Entry(*author, Hash([0xff; 32]));
        base.range(grants).chain(base.range(entries))
    }
}

fn piece(item: &Item, time: u32) -> Piece {
    Piece { key: Key::of(item), time, id: item.id(), bytes: item.encode() }
}

fn amount(minor: u64) -> Result<Amount> {
    Ok(Amount::new(minor)?)
}

/// Random numbers of one thing in one world.
fn dice(seed: u64, of: u64) -> ChaCha8Rng {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    dice.set_stream(of);
    dice
}

fn random<const N: usize>(dice: &mut ChaCha8Rng) -> [u8; N] {
    let mut bytes = [0; N];
    dice.fill_bytes(&mut bytes);
    bytes
}

fn secret(seed: u64, number: u64) -> SecretKey {
    SecretKey::from_seed(&random(&mut dice(seed ^ 3, number)))
}

fn network(root: &SecretKey) -> Result<Network> {
    let bank = Bank { number: BANK, root: root.public(), name: Text::new("Bank")? };
    let definition = Definition {
        version: VERSION,
        name: Text::new("Bench")?,
        start: START,
        epoch_seconds: 3_600,
        banks: List::new(vec![bank])?,
    };
    Ok(Network::new(definition)?)
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
