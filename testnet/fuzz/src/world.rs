//! A small network with every kind of item, and more branches than are honest. Made once.

use crate::replica::Node;
use hundi_ledger::body::{Payment, Plaintext};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, RequestId, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::bulletin::{Bulletin, freezes_digest};
use hundi_ledger::record::certificate::{Certificate, Honour, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::checkpoint::{Checkpoint, Frontier, Live, Name, Outcome, tag};
use hundi_ledger::record::entry::{Entry, Header, Kind, Position, body_hash};
use hundi_ledger::record::freeze::{Freeze, FreezeReason};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank, Definition, Network};
use hundi_ledger::record::receipt::{PayeeVerdict, Statement};
use hundi_ledger::record::{BankRecord, Record, VERSION, sign};
use hundi_ledger::seal::{self, SealingSecret, Shared};
use hundi_ledger::sign::{SecretKey, Verifier};
use hundi_ledger::trust::{Trust, VerifiedItem};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The network, its trust, and every item that the replica target may choose.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) trust: Trust,
    pub(crate) pool: Vec<(Vec<u8>, VerifiedItem)>,
    /// The items of [`CROWD`] authors who are nobody in particular, by author.
    pub(crate) crowd: Vec<Vec<(Vec<u8>, VerifiedItem)>>,
    /// What verifies once its certificate is held, by its bytes.
    pub(crate) verified: BTreeMap<Vec<u8>, VerifiedItem>,
    pub(crate) payer: AuthorId,
    pub(crate) bank_and_payer: Shared,
    pub(crate) bank_and_payee: Shared,
    pub(crate) payee_and_payer: Shared,
}

const ROOT: u8 = 1;
const ONLINE: u8 = 2;
/// Seeds of the two authors.
pub(crate) const PAYER: u8 = 10;
pub(crate) const PAYEE: u8 = 11;
/// How many more there are: enough for sessions to cut their streams into ranges.
pub(crate) const CROWD: u8 = 96;
/// The seed of the first of them.
const CROWD_FIRST: u8 = 0x20;

/// The world, the same in every process.
pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| build().unwrap_or_else(|| panic!("the world keeps the rules")))
}

/// A node that holds one proven author and one that is not, for sessions.
pub(crate) fn full_node() -> &'static Node {
    // One per thread, for good: a replica is not shared between threads.
    thread_local! {
        static NODE: &'static Node = Box::leak(Box::new(fill_node()));
    }
    NODE.with(|node| *node)
}

fn fill_node() -> Node {
    let mut node = Node::new(world());
    for (bytes, item) in &world().pool {
        // Not what makes the rest lapse or lose its effect.
        let ends = match item {
            VerifiedItem::Bulletin(record) => record.time > 1_000,
            VerifiedItem::Certificate(record) => record.number > 1,
            _ => false,
        };
        if !ends {
            node.offer(item, bytes, world());
        }
    }
    node
}

/// Whether the certificate that an item names is held, so that a node would verify it.
pub(crate) fn certificate_held(trust: &Trust, item: &Item) -> bool {
    let named = match item {
        Item::Grant(record) => (record.bank(), record.certificate),
        Item::Checkpoint(record) => (record.bank(), record.certificate),
        Item::Freeze(record) => (record.bank(), record.certificate),
        Item::Bulletin(record) => (record.bank, record.certificate),
        Item::Certificate(_) | Item::Proof(_) | Item::Entry(_) | Item::Receipt(_) => return true,
    };
    trust.of(named.0).any(|held| held.number == named.1)
}

pub(crate) fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed(&[byte; 32])
}

pub(crate) fn secret(byte: u8) -> SealingSecret {
    SealingSecret::from_bytes(&[0x40 + byte; 32])
}

pub(crate) fn author(byte: u8) -> AuthorId {
    AuthorId { bank: BankNumber(1), key: key(byte).public() }
}

fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap_or(Amount::MAX)
}

fn shared(one: u8, other: u8) -> Option<Shared> {
    secret(one).agree(&secret(other).public()).ok()
}

/// Collects items and signs them.
struct Maker {
    network: NetworkId,
    items: Vec<Item>,
}

impl Maker {
    fn signed<T: BankRecord + Record>(&self, record: T) -> Option<hundi_ledger::record::Signed<T>> {
        Some(sign(&self.network, record, &key(ONLINE)).ok()?.into_inner())
    }

    fn certificate(&mut self, number: u16, honours: Vec<Honour>) -> Option<()> {
        let record = Certificate {
            version: VERSION,
            bank: BankNumber(1),
            number,
            key: key(ONLINE).public(),
            roles: ROLE_ISSUE | ROLE_SETTLE,
            honours: List::new(honours).ok()?,
        };
        let record = sign(&self.network, record, &key(ROOT)).ok()?;
        self.items.push(Item::Certificate(record.into_inner()));
        Some(())
    }

    fn grant(&mut self, who: u8, serial: u16, certificate: u16, claim_until: u32) -> Option<()> {
        let limit = if serial == 0 { Amount::ZERO } else { amount(1_000) };
        let record = self.signed(Grant {
            version: VERSION,
            author: author(who),
            certificate,
            epoch: u32::from(serial) + 1,
            author_sealing: secret(who).public(),
            bank_sealing: secret(ONLINE).public(),
            serial: Serial(serial),
            currency: Currency::new("INR").ok()?,
            flags: 0,
            limit,
            cap: limit,
            guarantee: Amount::ZERO,
            not_before: 0,
            expiry: claim_until / 2,
            claim_until,
            first_sequence: u32::from(serial),
            carry_to: u32::from(serial) + 6,
            unsettled_max: 10,
            penalty_percent: 10,
            penalty_floor_percent: 30,
            policy: None,
            display_name: None,
        })?;
        self.items.push(Item::Grant(record));
        Some(())
    }

    /// Signs an entry and returns its hash.
    fn entry(&mut self, header: Header, body: Vec<u8>) -> Option<Hash> {
        let byte = if header.author == author(PAYER) { PAYER } else { PAYEE };
        self.entry_by(byte, header, body)
    }

    fn entry_by(&mut self, who: u8, header: Header, body: Vec<u8>) -> Option<Hash> {
        let header = Header { body_hash: body_hash(&self.network, &body), ..header };
        let entry = Entry::sign(&self.network, header, body, &key(who)).ok()?;
        let id = entry.id();
        self.items.push(Item::Entry(entry.into_inner()));
        Some(id)
    }

    fn checkpoint(&mut self, who: u8, number: u32, frontier: Option<(u32, Hash)>) -> Option<()> {
        let salt = [u8::try_from(number).ok()?; 16];
        let name =
            |sequence, hash: &Hash, outcome| Name { sequence, tag: tag(&salt, hash), outcome };
        let names = frontier.map(|(at, hash)| name(at, &hash, Outcome::Settled)).into_iter();
        let record = self.signed(Checkpoint {
            version: VERSION,
            author: author(who),
            certificate: 1,
            number,
            epoch: number,
            carry_to: frontier.map_or(6, |(at, _)| at + 8),
            salt,
            frontier: frontier.map(|(sequence, hash)| Frontier { sequence, hash }),
            live: List::new(vec![Live {
                serial: Serial(1),
                total: amount(10),
                settled: amount(10),
            }])
            .ok()?,
            names: List::new(names.collect()).ok()?,
        })?;
        self.items.push(Item::Checkpoint(record));
        Some(())
    }
}

fn header(who: u8, kind: Kind, at: u32, previous: Hash, serial: u16, to: (u64, u64)) -> Header {
    let position =
        if at == 0 { Position::First } else { Position::After { sequence: at, previous } };
    Header {
        version: VERSION,
        kind,
        author: author(who),
        position,
        time: at,
        serial: Serial(serial),
        amount: amount(to.1 - to.0),
        spent_total: amount(to.1),
        body_hash: Hash([0; 32]),
    }
}

fn build() -> Option<World> {
    let bank = |number, byte| -> Option<Bank> {
        let name = Text::new("Bank").ok()?;
        Some(Bank { number: BankNumber(number), root: key(byte).public(), name })
    };
    let network = Network::new(Definition {
        version: VERSION,
        name: Text::new("Fuzz").ok()?,
        start: 0,
        epoch_seconds: 1_000,
        banks: List::new(vec![bank(1, ROOT)?, bank(2, 3)?]).ok()?,
    })
    .ok()?;
    let mut maker = Maker { network: network.id(), items: Vec::new() };
    maker.certificate(1, vec![])?;
    maker.certificate(2, vec![Honour { certificate: 1, epoch_last: 2 }])?;
    maker.certificate(2, vec![])?;
    for who in [PAYER, PAYEE] {
        for (serial, claim_until) in [(0, 90_000), (1, 3_000), (2, 6_000)] {
            maker.grant(who, serial, 1, claim_until)?;
        }
    }
    maker.grant(PAYER, 1, 2, 4_000)?;
    money(&mut maker)?;
    bank_words(&mut maker)?;
    receipts(&mut maker)?;

    let mut trust = Trust::new(network.clone());
    for item in &maker.items {
        if let Item::Certificate(record) = item {
            trust.insert(trust.verify_certificate(record.clone(), &mut Verifier::default()).ok()?);
        }
    }
    let verify = |items: Vec<Item>| -> Option<Vec<_>> {
        items.into_iter().map(|item| Some((item.encode(), trust.verify(item).ok()?))).collect()
    };
    let pool = verify(core::mem::take(&mut maker.items))?;
    let mut crowd = Vec::new();
    for at in 0..CROWD {
        somebody(&mut maker, CROWD_FIRST + at)?;
        crowd.push(verify(core::mem::take(&mut maker.items))?);
    }
    let verified = pool.iter().chain(crowd.iter().flatten()).cloned().collect();
    Some(World {
        network,
        trust,
        pool,
        crowd,
        verified,
        payer: author(PAYER),
        bank_and_payer: shared(ONLINE, PAYER)?,
        bank_and_payee: shared(ONLINE, PAYEE)?,
        payee_and_payer: shared(PAYEE, PAYER)?,
    })
}

/// Two logs, one of them with branches of every form; their checkpoints at the honest heads.
fn money(maker: &mut Maker) -> Option<()> {
    let pay = Kind::PAYMENT;
    let none = Hash([0; 32]);
    let elsewhere = Hash([9; 32]);
    for who in [PAYER, PAYEE] {
        let first = maker.entry(header(who, Kind::REFUND, 0, none, 0, (0, 0)), vec![1])?;
        let one = maker.entry(header(who, pay, 1, first, 1, (0, 10)), sealed(maker, who)?)?;
        let two = maker.entry(header(who, pay, 2, one, 1, (10, 30)), vec![2])?;
        let three = maker.entry(header(who, Kind::CLOSE, 3, two, 1, (30, 30)), vec![])?;
        maker.entry(header(who, pay, 4, three, 2, (0, 5)), vec![4])?;
        maker.entry(header(who, Kind::DOCUMENT, 0, none, 1, (0, 0)), vec![5])?;
        maker.checkpoint(who, 1, None)?;
        maker.checkpoint(who, 2, Some((1, one)))?;
        maker.checkpoint(who, 3, Some((3, three)))?;
    }
    // The payer's other stories.
    maker.entry(header(PAYER, pay, 2, elsewhere, 1, (10, 30)), vec![6])?;
    maker.entry(header(PAYER, pay, 3, elsewhere, 1, (20, 40)), vec![7])?;
    maker.entry(header(PAYER, pay, 5, elsewhere, 1, (50, 60)), vec![8])?;
    maker.entry(header(PAYER, Kind::DOCUMENT, 0, none, 1, (0, 0)), vec![9])?;
    maker.entry(header(PAYER, pay, 9, elsewhere, 2, (40, 60)), vec![10])?;
    maker.checkpoint(PAYER, 3, Some((2, elsewhere)))
}

/// An author that is enrolled; every second one has signed an entry.
fn somebody(maker: &mut Maker, who: u8) -> Option<()> {
    maker.grant(who, 0, 1, 90_000)?;
    if who.is_multiple_of(2) {
        let header = header(who, Kind::REFUND, 0, Hash([0; 32]), 0, (0, 0));
        maker.entry_by(who, header, vec![1])?;
    }
    Some(())
}

fn sealed(maker: &Maker, who: u8) -> Option<Vec<u8>> {
    let head = header(who, Kind::PAYMENT, 1, Hash([0; 32]), 1, (0, 10)).head();
    let plaintext = Plaintext::Payment(Payment {
        payee: author(PAYEE),
        request: RequestId([3; 8]),
        memo: Text::new("tea").ok()?,
        category: 0,
        place: None,
        group: None,
    });
    let key = seal::content_key(&maker.network, &shared(who, ONLINE)?, &head);
    let payee = shared(who, PAYEE)?;
    Some(seal::seal(&maker.network, &head, &key, Some(&payee), &plaintext))
}

/// Freezes, and bulletins at whose times grants lapse one after the other.
fn bank_words(maker: &mut Maker) -> Option<()> {
    let mut freezes = Vec::new();
    for (who, epoch) in [(PAYER, 2), (PAYER, 3), (PAYEE, 4)] {
        let reason = FreezeReason::Lost;
        let freeze =
            Freeze { version: VERSION, author: author(who), certificate: 1, epoch, reason };
        let record = maker.signed(freeze)?;
        freezes.push(record.id());
        maker.items.push(Item::Freeze(record));
    }
    for (certificate, epoch, time) in [(1, 1, 500), (1, 4, 3_500), (2, 4, 3_600), (2, 9, 8_000)] {
        let record = maker.signed(Bulletin {
            version: VERSION,
            bank: BankNumber(1),
            certificate,
            epoch,
            time,
            freezes: 2,
            freezes_digest: freezes_digest(&maker.network, vec![freezes[0], freezes[2]]),
            journal_head: Hash([0; 32]),
        })?;
        maker.items.push(Item::Bulletin(record));
    }
    Some(())
}

fn receipts(maker: &mut Maker) -> Option<()> {
    let signer = seal::receipt::Signer { author: author(PAYEE), sealing: secret(PAYEE).public() };
    let bank = shared(PAYEE, ONLINE)?;
    for verdict in [PayeeVerdict::Accepted, PayeeVerdict::RefusedDeclined] {
        let statement =
            Statement { entry: Hash([4; 32]), verdict, freezes_epoch: 0, checkpoint: 0 };
        let content = seal::ContentKey::from_bytes([5; 32]);
        let draft = seal::receipt::seal(
            &maker.network,
            &signer,
            BankNumber(1),
            &bank,
            &content,
            &statement,
        );
        let record = sign(&maker.network, draft, &key(PAYEE)).ok()?;
        maker.items.push(Item::Receipt(record.into_inner()));
    }
    Some(())
}
