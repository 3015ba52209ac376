//! A small world for the laws: a network of two banks with several certificates each, authors with
//! deterministic keys, one function per record that fills in what a test does not care about, a
//! node (a replica with its shelf in memory), and dice, so that a whole world follows from a seed.

use hundi_ledger::body::{Payment, Plaintext};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, RequestId, SealingKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::bulletin::{Bulletin, freezes_digest};
use hundi_ledger::record::certificate::{Certificate, Honour, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::checkpoint::{Checkpoint, Frontier, Live, Name, Outcome, tag};
use hundi_ledger::record::entry::{Entry, Header, Kind, Position, body_hash};
use hundi_ledger::record::freeze::{Freeze, FreezeReason};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank, Definition, Network};
use hundi_ledger::record::proof::{Claim, Proof};
use hundi_ledger::record::receipt::{Receipt, STATEMENT_BYTES};
use hundi_ledger::record::{Record, VERSION, Verified, sign};
use hundi_ledger::replica::author::Author;
use hundi_ledger::replica::{Applied, Change, Key, Replica, Shelf, Status};
use hundi_ledger::sign::SecretKey;
use hundi_ledger::trust::VerifiedItem;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

/// When bank time starts.
pub(crate) const START: u32 = 1_700_000_000;
/// Seconds per epoch.
pub(crate) const EPOCH: u32 = 3_600;
/// The first bank.
pub(crate) const A: BankNumber = BankNumber(1);
/// The second bank.
pub(crate) const B: BankNumber = BankNumber(2);
/// A moment within every grant that a test does not change.
pub(crate) const NOW: u32 = START + 100;

/// A key from its name.
pub(crate) fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(blake3::hash(name.as_bytes()).as_bytes())
}

/// The root of a bank.
pub(crate) fn root(bank: BankNumber) -> SecretKey {
    key(&format!("root {bank}"))
}

/// The online key that a certificate of a bank names.
pub(crate) fn online(bank: BankNumber, certificate: u16) -> SecretKey {
    key(&format!("online {bank} {certificate}"))
}

/// The key of the author with that number.
pub(crate) fn author_key(number: u32) -> SecretKey {
    key(&format!("author {number}"))
}

/// The author with that number at a bank.
pub(crate) fn author(bank: BankNumber, number: u32) -> AuthorId {
    AuthorId { bank, key: author_key(number).public() }
}

pub(crate) fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

pub(crate) fn inr() -> Currency {
    Currency::new("INR").unwrap()
}

/// The network of a name: names tell networks apart.
pub(crate) fn network_named(name: &str) -> Network {
    let bank = |number| Bank {
        number,
        root: root(number).public(),
        name: Text::new(format!("Bank {number}")).unwrap(),
    };
    Network::new(Definition {
        version: VERSION,
        name: Text::new(name).unwrap(),
        start: START,
        epoch_seconds: EPOCH,
        banks: List::new(vec![bank(A), bank(B)]).unwrap(),
    })
    .unwrap()
}

thread_local! {
    static NETWORK: Network = network_named("Laws");
    /// Entries, proofs and receipts that have verified: no replica can change that verdict.
    static VERIFIED: RefCell<HashMap<Vec<u8>, VerifiedItem>> = RefCell::new(HashMap::new());
}

/// The network of most tests.
pub(crate) fn network() -> Network {
    NETWORK.with(Clone::clone)
}

pub(crate) fn id() -> NetworkId {
    NETWORK.with(Network::id)
}

/// Signs a record and encodes it as an item.
pub(crate) fn signed<T: Record>(
    record: T,
    key: &SecretKey,
    wrap: fn(hundi_ledger::record::Signed<T>) -> Item,
) -> Vec<u8> {
    wrap(sign(&id(), record, key).unwrap().into_inner()).encode()
}

/// A certificate with both roles and bounds on earlier ones.
pub(crate) fn certificate(bank: BankNumber, number: u16, bounds: &[(u16, u32)]) -> Vec<u8> {
    certificate_with(bank, number, bounds, |_| {})
}

pub(crate) fn certificate_with(
    bank: BankNumber,
    number: u16,
    bounds: &[(u16, u32)],
    change: impl FnOnce(&mut Certificate),
) -> Vec<u8> {
    let honours = bounds
        .iter()
        .map(|(certificate, epoch_last)| Honour {
            certificate: *certificate,
            epoch_last: *epoch_last,
        })
        .collect();
    let mut record = Certificate {
        version: VERSION,
        bank,
        number,
        key: online(bank, number).public(),
        roles: ROLE_ISSUE | ROLE_SETTLE,
        honours: List::new(honours).unwrap(),
    };
    change(&mut record);
    signed(record, &root(bank), Item::Certificate)
}

/// A grant of serial 0 that lives for ever, or of another serial with a limit of 1,000 and a day.
pub(crate) fn grant_record(author: AuthorId, serial: u16) -> Grant {
    let enrolment = serial == 0;
    Grant {
        version: VERSION,
        author,
        certificate: 1,
        epoch: 1,
        author_sealing: SealingKey([3; 32]),
        bank_sealing: SealingKey([4; 32]),
        serial: Serial(serial),
        currency: inr(),
        flags: 0,
        limit: amount(if enrolment { 0 } else { 1_000 }),
        cap: amount(if enrolment { 0 } else { 400 }),
        guarantee: Amount::ZERO,
        not_before: START,
        expiry: if enrolment { u32::MAX } else { START + 86_400 },
        claim_until: if enrolment { u32::MAX } else { START + 8 * 86_400 },
        first_sequence: 0,
        carry_to: 40,
        unsettled_max: 10,
        penalty_percent: 10,
        penalty_floor_percent: 30,
        policy: None,
        display_name: None,
    }
}

pub(crate) fn grant(author: AuthorId, serial: u16) -> Vec<u8> {
    grant_with(author, serial, |_| {})
}

pub(crate) fn grant_with(
    author: AuthorId,
    serial: u16,
    change: impl FnOnce(&mut Grant),
) -> Vec<u8> {
    let mut record = grant_record(author, serial);
    change(&mut record);
    let key = online(author.bank, record.certificate);
    signed(record, &key, Item::Grant)
}

/// A checkpoint of that number that has decided nothing and carries as far as a grant does.
pub(crate) fn checkpoint_with(
    author: AuthorId,
    number: u32,
    change: impl FnOnce(&mut Checkpoint),
) -> Vec<u8> {
    let mut record = Checkpoint {
        version: VERSION,
        author,
        certificate: 1,
        number,
        epoch: number,
        carry_to: 40,
        salt: [7; 16],
        frontier: None,
        live: List::default(),
        names: List::default(),
    };
    change(&mut record);
    let key = online(author.bank, record.certificate);
    signed(record, &key, Item::Checkpoint)
}

/// A checkpoint whose frontier is `last`, with the total of its serial, and a full window.
pub(crate) fn checkpoint_at(author: AuthorId, number: u32, last: &Claim) -> Vec<u8> {
    checkpoint_with(author, number, |record| {
        record.frontier = Some(Frontier { sequence: last.sequence(), hash: last.id });
        record.carry_to = last.sequence() + 64;
        record.live = live(last.serial.0, last.spent_total.minor());
    })
}

pub(crate) fn live(serial: u16, total: u64) -> List<Live, 17> {
    let one = Live { serial: Serial(serial), total: amount(total), settled: amount(total) };
    List::new(vec![one]).unwrap()
}

/// Names of `claims` under the salt that [`checkpoint_with`] uses.
pub(crate) fn names(claims: &[(&Claim, Outcome)]) -> List<Name, 512> {
    let name = |(claim, outcome): &(&Claim, Outcome)| Name {
        sequence: claim.sequence(),
        tag: tag(&[7; 16], &claim.id),
        outcome: *outcome,
    };
    let mut names: Vec<Name> = claims.iter().map(name).collect();
    names.sort();
    names.dedup();
    List::new(names).unwrap()
}

pub(crate) fn freeze_with(author: AuthorId, change: impl FnOnce(&mut Freeze)) -> Vec<u8> {
    let mut record =
        Freeze { version: VERSION, author, certificate: 1, epoch: 5, reason: FreezeReason::Lost };
    change(&mut record);
    let key = online(author.bank, record.certificate);
    signed(record, &key, Item::Freeze)
}

/// A bulletin of an epoch at that time, over no freezes.
pub(crate) fn bulletin_with(
    bank: BankNumber,
    epoch: u32,
    time: u32,
    change: impl FnOnce(&mut Bulletin),
) -> Vec<u8> {
    let mut record = Bulletin {
        version: VERSION,
        bank,
        certificate: 1,
        epoch,
        time,
        freezes: 0,
        freezes_digest: freezes_digest(&id(), vec![]),
        journal_head: Hash([1; 32]),
    };
    change(&mut record);
    let key = online(bank, record.certificate);
    signed(record, &key, Item::Bulletin)
}

/// A receipt that seals nothing anybody reads: enough for whoever carries it.
pub(crate) fn receipt(signer: AuthorId, number: u32, content: u8) -> Vec<u8> {
    let record = Receipt {
        version: VERSION,
        signer,
        signer_sealing: SealingKey([5; 32]),
        payer_bank: A,
        iv: Hash([content; 32]),
        wrapped_key: [content; 32],
        sealed: [content; STATEMENT_BYTES],
    };
    signed(record, &author_key(number), Item::Receipt)
}

/// An author that signs whatever it is told to.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) id: AuthorId,
    number: u32,
    /// What the last header claims, from which [`Writer::pay`] goes on.
    pub(crate) last: Option<Claim>,
}

/// A signed entry as an item, and what it claims.
#[derive(Clone)]
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) claim: Claim,
    pub(crate) entry: Verified<Entry>,
}

impl Writer {
    pub(crate) fn new(bank: BankNumber, number: u32) -> Self {
        Self { id: author(bank, number), number, last: None }
    }

    /// The header that honestly follows the last one.
    pub(crate) fn next(&self, kind: Kind, serial: u16, minor: u64) -> Header {
        let same = self.last.filter(|last| last.serial.0 == serial);
        let start = same.map_or(0, |last| last.spent_total.minor());
        let position = self.last.map_or(Position::First, |last| Position::After {
            sequence: last.sequence() + 1,
            previous: last.id,
        });
        Header {
            version: VERSION,
            kind,
            author: self.id,
            position,
            time: NOW,
            serial: Serial(serial),
            amount: amount(minor),
            spent_total: amount(start + minor),
            body_hash: Hash([0; 32]),
        }
    }

    /// Signs a header over `body`.
    pub(crate) fn sign(&self, mut header: Header, body: &[u8]) -> Written {
        header.body_hash = body_hash(&id(), body);
        let entry = Entry::sign(&id(), header, body.to_vec(), &author_key(self.number)).unwrap();
        let bytes = Item::Entry((*entry).clone()).encode();
        Written { bytes, claim: entry.claim(), entry }
    }

    /// The next payment under serial 1.
    pub(crate) fn pay(&mut self, minor: u64) -> Written {
        self.append(Kind::PAYMENT, 1, minor, b"")
    }

    /// The next entry, appended.
    pub(crate) fn append(&mut self, kind: Kind, serial: u16, minor: u64, body: &[u8]) -> Written {
        let written = self.sign(self.next(kind, serial, minor), body);
        self.last = Some(written.claim);
        written
    }

    /// A header anywhere: `previous` of a made-up hash.
    pub(crate) fn at(&self, sequence: u32, serial: u16, from: u64, minor: u64) -> Header {
        let position = match sequence {
            0 => Position::First,
            _ => Position::After { sequence, previous: Hash([9; 32]) },
        };
        let header = self.next(Kind::PAYMENT, serial, minor);
        Header { position, spent_total: amount(from + minor), ..header }
    }
}

/// The proof that two entries make.
pub(crate) fn proof(a: &Written, b: &Written) -> Vec<u8> {
    let proof = Proof::new(&id(), &a.entry.verified_header(), &b.entry.verified_header()).unwrap();
    Item::Proof(proof.into_inner()).encode()
}

/// The plaintext of a payment to `payee`.
pub(crate) fn plaintext(payee: AuthorId) -> Plaintext {
    Plaintext::Payment(Payment {
        payee,
        request: RequestId([1; 8]),
        memo: Text::default(),
        category: 0,
        place: None,
        group: None,
    })
}

/// Stored items in memory.
#[derive(Clone, Default)]
pub(crate) struct MemoryShelf(pub(crate) BTreeMap<Key, Vec<u8>>);

impl Shelf for MemoryShelf {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        self.0.item(key)
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        self.0.items(author)
    }
}

/// A replica with its shelf.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) replica: Replica,
    pub(crate) shelf: MemoryShelf,
    pub(crate) faults: usize,
}

impl Default for Node {
    fn default() -> Self {
        Self { replica: Replica::new(network()), shelf: MemoryShelf::default(), faults: 0 }
    }
}

impl Node {
    /// A node that has taken these items.
    pub(crate) fn with(items: &[Vec<u8>]) -> Self {
        let mut node = Self::default();
        for item in items {
            node.take(item);
        }
        node
    }

    /// Takes encoded bytes the way a driver does: decode, verify, apply, store.
    pub(crate) fn apply(&mut self, bytes: &[u8]) -> Option<Applied> {
        let cached = VERIFIED.with_borrow(|cache| cache.get(bytes).cloned());
        let item = match cached {
            Some(item) => item,
            None => {
                let item = self.replica.trust().verify(Item::decode(&id(), bytes).ok()?).ok()?;
                if matches!(
                    item,
                    VerifiedItem::Entry(_) | VerifiedItem::Proof(_) | VerifiedItem::Receipt(_)
                ) {
                    VERIFIED.with_borrow_mut(|cache| cache.insert(bytes.to_vec(), item.clone()));
                }
                item
            }
        };
        let applied = self.replica.apply(item, &self.shelf);
        for change in &applied.changes {
            match change {
                Change::Put { key, bytes } => drop(self.shelf.0.insert(*key, bytes.clone())),
                Change::Delete { key } => drop(self.shelf.0.remove(key)),
            }
        }
        self.faults += usize::from(applied.fault.is_some());
        Some(applied)
    }

    /// [`Node::apply`], told as a status; none when the bytes do not verify.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Option<Status> {
        self.apply(bytes).map(|applied| applied.status)
    }

    /// Everything held, records before entries, cached items last.
    pub(crate) fn items(&self) -> Vec<Vec<u8>> {
        let rank = |key: &Key| match key {
            Key::Certificate(..) => 0,
            Key::Bulletin(_) => 1,
            Key::Grant(..) => 2,
            Key::Checkpoint(_) => 3,
            Key::Freeze(_) => 4,
            Key::Proof(_) => 5,
            Key::Entry(author, id) => {
                let known = self.author(author).unwrap();
                if known.entries().any(|claim| claim.id == *id) { 6 } else { 7 }
            }
            Key::Receipt(..) => 8,
        };
        let mut held: Vec<_> = self.shelf.0.iter().map(|(key, item)| (rank(key), item)).collect();
        held.sort_by_key(|(rank, _)| *rank);
        held.into_iter().map(|(_, item)| item.clone()).collect()
    }

    /// Applies all that another node holds, records before entries.
    pub(crate) fn merge(&mut self, other: &Node) {
        for item in other.items() {
            self.take(&item);
        }
    }

    pub(crate) fn digest(&self) -> Hash {
        self.replica.digest()
    }

    /// What is held of an author.
    pub(crate) fn author(&self, author: &AuthorId) -> Option<&Author> {
        self.replica.author(author, &self.shelf)
    }

    /// Whether the author is proven here.
    pub(crate) fn proven(&self, author: &AuthorId) -> bool {
        self.replica.is_proven(author)
    }

    /// The sequence numbers of an author's core entries.
    pub(crate) fn core(&self, author: &AuthorId) -> Vec<u32> {
        let known = self.author(author);
        known.map_or(vec![], |known| known.entries().map(Claim::sequence).collect())
    }
}

/// Dice that follow from a seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// True once in `of` times.
    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    /// The values in another order.
    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            let other = self.below(at as u64 + 1) as usize;
            values.swap(at, other);
        }
    }
}
