//! What the two sides of the sessions in `docs/vectors/sync.json` hold. Each session shows one
//! thing that a session can meet.

use super::messages::Meeting;
use super::world::{self, amount, signing};
use hundi_ledger::codec::List;
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, Serial};
use hundi_ledger::record::bulletin::Bulletin;
use hundi_ledger::record::checkpoint::{Checkpoint, Frontier, Live};
use hundi_ledger::record::entry::{Entry, Header, Kind, body_hash};
use hundi_ledger::record::freeze::{Freeze, FreezeReason};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::proof::Proof;
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::sign::SecretKey;

/// The items of two sides, initiator first.
type Sides = [Vec<Vec<u8>>; 2];

pub(crate) fn encoded(items: &[Item]) -> Vec<Vec<u8>> {
    items.iter().map(Item::encode).collect()
}

fn sides(initiator: &[Item], responder: &[Item]) -> Sides {
    [encoded(initiator), encoded(responder)]
}

/// An author of bank 7 that is nobody in particular.
struct Somebody {
    key: SecretKey,
}

impl Somebody {
    /// Another one for every number below 128.
    fn new(number: u8) -> Self {
        Self { key: SecretKey::from_seed(&[0x80 + number; 32]) }
    }

    fn author(&self) -> AuthorId {
        AuthorId { bank: BankNumber(7), key: self.key.public() }
    }

    /// Its grant that only enrols.
    fn grant(&self, network: &NetworkId) -> Item {
        enrolment(network, self.author())
    }

    /// An entry behind that of id `previous`; `body` makes it another one.
    fn entry(&self, network: &NetworkId, sequence: u32, previous: Hash, body: u8) -> Entry {
        let header = Header {
            author: self.author(),
            body_hash: body_hash(network, &[body]),
            ..world::draft(Kind::REFUND, world::position(sequence, previous), 0, 0, 0)
        };
        Entry::sign(network, header, vec![body], &self.key).unwrap().into_inner()
    }

    /// Its log: one entry for every body, the first at number 0.
    fn log(&self, network: &NetworkId, bodies: &[u8]) -> Vec<Entry> {
        let mut log: Vec<Entry> = Vec::new();
        for (sequence, body) in (0..).zip(bodies) {
            let previous = log.last().map_or(Hash([0; 32]), Entry::id);
            log.push(self.entry(network, sequence, previous, *body));
        }
        log
    }
}

/// A grant of bank 7 that only enrols.
fn enrolment(network: &NetworkId, author: AuthorId) -> Item {
    let nothing = amount(0);
    let grant = Grant {
        author,
        serial: Serial::ENROLMENT,
        limit: nothing,
        cap: nothing,
        guarantee: nothing,
        expiry: u32::MAX,
        claim_until: u32::MAX,
        first_sequence: 0,
        carry_to: 63,
        ..world::grant()
    };
    Item::Grant(sign(network, grant, &signing("online_7")).unwrap().into_inner())
}

fn certificate(network: &NetworkId, at: usize) -> Item {
    Item::Certificate(world::certificates(network)[at].1.clone().into_inner())
}

fn grant(network: &NetworkId, at: usize) -> Item {
    Item::Grant(world::signed_grants(network)[at].1.clone().into_inner())
}

/// An entry of the payer.
fn entry(network: &NetworkId, at: usize) -> Item {
    Item::Entry(world::entries(network)[at].entry.clone().into_inner())
}

/// The payer's first checkpoint, which decides nothing.
fn first_checkpoint(network: &NetworkId) -> Item {
    Item::Checkpoint(world::checkpoints(network)[0].1.clone().into_inner())
}

/// The payer's checkpoint that has decided its first two entries.
pub(crate) fn checkpoint(network: &NetworkId) -> Item {
    checkpoint_salted(network, 0x2f)
}

fn checkpoint_salted(network: &NetworkId, salt: u8) -> Item {
    let live = Live { serial: Serial(1), total: amount(2_500), settled: amount(2_500) };
    let record = Checkpoint {
        version: VERSION,
        author: world::payer(),
        certificate: 2,
        number: 2,
        epoch: 4,
        carry_to: 65,
        salt: [salt; 16],
        frontier: Some(Frontier { sequence: 1, hash: world::entries(network)[1].entry.id() }),
        live: List::new(vec![live]).unwrap(),
        names: List::default(),
    };
    Item::Checkpoint(world::by_bank(network, record).into_inner())
}

fn bulletin(network: &NetworkId) -> Item {
    Item::Bulletin(world::by_bank(network, world::bulletin()).into_inner())
}

/// Two replicas that differ in most ways at once.
fn small(network: &NetworkId) -> Sides {
    let freeze = Item::Freeze(world::freezes(network)[2].1.clone().into_inner());
    let mut initiator: Vec<Item> = [0, 1, 3].map(|at| certificate(network, at)).into();
    initiator.extend([0, 1].map(|at| grant(network, at)));
    initiator.extend([enrolment(network, world::payee()), first_checkpoint(network)]);
    initiator.extend([0, 1, 2, 3, 4, 9].map(|at| entry(network, at)));
    initiator.push(super::build::receipts(network).swap_remove(0));
    let mut responder: Vec<Item> = (0..4).map(|at| certificate(network, at)).collect();
    responder.extend([0, 1, 3].map(|at| grant(network, at)));
    responder.extend([bulletin(network), checkpoint(network), freeze]);
    responder.extend([2, 3, 5].map(|at| entry(network, at)));
    sides(&initiator, &responder)
}

/// What the first side of the small session holds, without its cache.
fn equal(network: &NetworkId) -> Sides {
    let [mut items, _] = small(network);
    items.pop();
    [items.clone(), items]
}

/// A newer checkpoint at the initiator, entries that it decides and one that it does not at the
/// responder.
fn newer_checkpoint(network: &NetworkId) -> Sides {
    let common = [
        certificate(network, 0),
        certificate(network, 1),
        grant(network, 0),
        grant(network, 1),
        entry(network, 2),
    ];
    let initiator = [&common[..], &[checkpoint(network), entry(network, 5)]].concat();
    let responder =
        [&common[..], &[first_checkpoint(network)], &[0, 1, 3].map(|at| entry(network, at))];
    sides(&initiator, &responder.concat())
}

/// One log with gaps on both sides.
fn gaps(network: &NetworkId) -> Sides {
    let one = Somebody::new(1);
    let log = one.log(network, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let with = |at: &[usize]| {
        let mut items = vec![certificate(network, 3), one.grant(network)];
        items.extend(at.iter().map(|at| Item::Entry(log[*at].clone())));
        items
    };
    sides(&with(&[0, 1, 3, 5, 6]), &with(&[1, 2, 5, 7]))
}

/// Two entries at one number, one on each side: a proof on both after it.
fn branches(network: &NetworkId) -> Sides {
    let one = Somebody::new(1);
    let log = |last: u8| {
        let log = one.log(network, &[1, 2, last]).into_iter().map(Item::Entry);
        [vec![certificate(network, 3), one.grant(network)], log.collect()].concat()
    };
    sides(&log(3), &log(4))
}

/// A proof and a freeze at the initiator, entries of the same authors at the responder.
fn evidence(network: &NetworkId) -> Sides {
    let (liar, thief) = (Somebody::new(1), Somebody::new(2));
    let [mine, other] = [3, 4].map(|last| liar.log(network, &[1, last]).swap_remove(1));
    let [a, b] = [&mine, &other].map(|of| of.clone().verify().unwrap().verified_header());
    let proof = Item::Proof(Proof::new(network, &a, &b).unwrap().into_inner());
    let freeze = Freeze {
        version: VERSION,
        author: thief.author(),
        certificate: 1,
        epoch: 2,
        reason: FreezeReason::Lost,
    };
    let freeze = Item::Freeze(sign(network, freeze, &signing("online_7")).unwrap().into_inner());
    let common = [certificate(network, 3), liar.grant(network), thief.grant(network)];
    let entries = [liar.log(network, &[1, 3, 5]), thief.log(network, &[1])].concat();
    let entries: Vec<Item> = entries.into_iter().map(Item::Entry).collect();
    sides(&[&common[..], &[proof, freeze]].concat(), &[&common[..], &entries[..]].concat())
}

/// Certificates and bulletins of two banks, and nothing else.
fn banks(network: &NetworkId) -> Sides {
    let newer = Bulletin { epoch: 5, time: world::bulletin().time + 60, ..world::bulletin() };
    let newer = Item::Bulletin(world::by_bank(network, newer).into_inner());
    let initiator = [certificate(network, 0), certificate(network, 1), newer];
    let mut responder: Vec<Item> = (0..4).map(|at| certificate(network, at)).collect();
    responder.push(bulletin(network));
    sides(&initiator, &responder)
}

/// Entries of a proven author on one side, beside a core that differs.
fn cache(network: &NetworkId) -> Sides {
    let (one, other) = (Somebody::new(1), Somebody::new(2));
    let [a, b] = [3, 4].map(|last| one.log(network, &[1, last]));
    let common = [certificate(network, 3), one.grant(network)];
    let [first, last] = [&a[1], &b[1]].map(|of| of.clone().verify().unwrap().verified_header());
    let proof = Item::Proof(Proof::new(network, &first, &last).unwrap().into_inner());
    let entries = [a[0].clone(), a[1].clone(), b[1].clone()].map(Item::Entry);
    let initiator = [&common[..], &[other.grant(network)], &entries].concat();
    sides(&initiator, &[&common[..], &[proof]].concat())
}

/// What a bank signed twice: grants of one serial, checkpoints of one number.
fn ties(network: &NetworkId) -> Sides {
    let twice = Grant { cap: amount(200_000), ..world::grant() };
    let twice = Item::Grant(world::by_bank(network, twice).into_inner());
    let common = [certificate(network, 0), certificate(network, 1), grant(network, 0)];
    let other = [twice, checkpoint_salted(network, 0x30)];
    sides(
        &[&common[..], &[grant(network, 1), checkpoint(network)]].concat(),
        &[&common[..], &other].concat(),
    )
}

/// Enrolled authors: those below `common` on both sides, then `each` more on each; the first
/// of these has an entry.
fn many(network: &NetworkId, common: u8, each: u8) -> Sides {
    let with = |more: std::ops::Range<u8>| {
        let mut items = vec![certificate(network, 3)];
        let log = Somebody::new(more.start).log(network, &[1]).into_iter().map(Item::Entry);
        items.extend((0..common).chain(more).map(|at| Somebody::new(at).grant(network)));
        items.extend(log);
        encoded(&items)
    };
    [with(common..common + each), with(common + each..common + 2 * each)]
}

/// Every session of the vectors, by name.
pub(crate) fn meetings(network: &NetworkId) -> Vec<(&'static str, Meeting)> {
    let mut apart = Meeting::new(0xb1, small(network));
    apart.own[0].push(world::payer());
    let mut forced = Meeting::new(0xb3, equal(network));
    forced.force[0] = true;
    let mut eager = Meeting::new(0xb4, many(network, 6, 2));
    eager.differs = true;
    let mut large = Meeting::new(0xbc, many(network, 4, 40));
    large.own = [4, 44].map(|at| vec![Somebody::new(at).author()]);
    let mut failed = Meeting::new(0xbd, many(network, 20, 17));
    // The symbols that answer the first request for more.
    failed.lost = vec![5];
    let mut unheard = Meeting::new(0xbe, many(network, 2, 1));
    unheard.lost = vec![1];
    vec![
        ("small: two replicas that differ", apart),
        ("equal: nothing to reconcile", Meeting::new(0xb2, equal(network))),
        ("forced: equal, reconciled all the same", forced),
        ("differs: symbols come with the opening", eager),
        ("a newer checkpoint on one side", Meeting::new(0xb5, newer_checkpoint(network))),
        ("gaps in one log on both sides", Meeting::new(0xb6, gaps(network))),
        ("two branches: a proof on both sides", Meeting::new(0xb7, branches(network))),
        ("a freeze and a proof go first", Meeting::new(0xb8, evidence(network))),
        ("banks differ, and nothing else", Meeting::new(0xb9, banks(network))),
        ("cache: entries of a proven author", Meeting::new(0xba, cache(network))),
        ("ties: a bank signed twice", Meeting::new(0xbb, ties(network))),
        ("large: a sketch, then streams over ranges", large),
        ("a stream that fails: ranges", failed),
        ("symbols that never came: not in sync", unheard),
    ]
}
