//! Whoever signs in the world that the bench measures in: one bank and any number of authors with
//! real keys. All of it follows from one seed, and every record is signed by whom it names. Bodies
//! are random bytes of the length of a sealed payment with a 16-byte memo, because that is what a
//! relay sees of one.

use anyhow::{Result, anyhow};
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
use hundi_ledger::replica::Key;
use hundi_ledger::sign::SecretKey;
use hundi_ledger::trust::VerifiedItem;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::ops::Range;

/// When the network starts, Unix seconds.
pub(super) const START: u32 = 1_700_000_000;
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
    pub(super) number: u64,
    pub(super) last: Option<(u32, Hash)>,
    spent: u64,
    /// The time of its newest item, Unix seconds.
    pub time: u32,
}

/// An author with its items, in an order in which they can be taken.
pub type Enrolled = (Writer, Vec<(Piece, VerifiedItem)>);

/// Signs for everybody.
#[derive(Debug)]
pub struct Signer {
    seed: u64,
    shape: Shape,
    network: Network,
    online: SecretKey,
    currency: Currency,
}

impl Signer {
    /// The signer of a seed.
    ///
    /// # Errors
    /// When the network's definition breaks a rule of the ledger.
    pub fn new(seed: u64, shape: Shape) -> Result<Self> {
        Ok(Self {
            seed,
            shape,
            network: network(&secret(seed, u64::MAX))?,
            online: secret(seed, u64::MAX - 1),
            currency: Currency::new("INR")?,
        })
    }

    /// The network of this world.
    pub fn network(&self) -> &Network {
        &self.network
    }

    fn network_id(&self) -> NetworkId {
        self.network.id()
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
    ///
    /// # Errors
    /// When a record breaks a rule of the ledger.
    pub fn author(&self, number: usize) -> Result<Enrolled> {
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
