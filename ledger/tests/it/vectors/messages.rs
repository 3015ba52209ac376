//! Builds the files of `docs/vectors` about sync: digests, and whole sessions between replicas of
//! fixed content.

use super::json::{hex, unhex};
use super::message_json;
use super::payments;
use super::world::{self, amount, signing};
use hundi_ledger::codec::{self, List};
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, Serial};
use hundi_ledger::record::checkpoint::{Checkpoint, Frontier, Live};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::replica::accumulator::Accumulator;
use hundi_ledger::replica::author::Author;
use hundi_ledger::replica::{Change, Key, Replica, Shelf};
use hundi_ledger::sign::SecretKey;
use hundi_ledger::sync::{Config, Out, Session, TAG_ITEM};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// The names of the two sides, initiator first.
pub(crate) const SIDES: [&str; 2] = ["initiator", "responder"];

/// A replica with the bytes of what it holds.
pub(crate) struct Node {
    pub(crate) replica: Replica,
    pub(crate) shelf: Stored,
}

#[derive(Default)]
pub(crate) struct Stored(BTreeMap<Key, Vec<u8>>);

impl Shelf for Stored {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        self.0.item(key)
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        self.0.items(author)
    }
}

impl Node {
    /// What is held of an author.
    pub(crate) fn author(&self, author: &AuthorId) -> Option<&Author> {
        self.replica.author(author, &self.shelf)
    }

    /// A node of the vectors' network that has taken these items.
    pub(crate) fn with(items: &[Vec<u8>]) -> Self {
        let replica = Replica::new(world::network());
        let mut node = Self { replica, shelf: Stored::default() };
        items.iter().for_each(|item| node.take(item));
        node
    }

    fn take(&mut self, bytes: &[u8]) {
        let item = Item::decode(&self.replica.network(), bytes).unwrap();
        let verified = self.replica.trust().verify(item).unwrap();
        for change in self.replica.apply(verified, &self.shelf).changes {
            match change {
                Change::Put { key, bytes } => drop(self.shelf.0.insert(key, bytes)),
                Change::Delete { key } => drop(self.shelf.0.remove(&key)),
            }
        }
    }
}

/// One session: what each side holds and wants.
pub(crate) struct Meeting {
    pub(crate) handshake_hash: [u8; 32],
    pub(crate) items: [Vec<Vec<u8>>; 2],
    pub(crate) own: [Vec<AuthorId>; 2],
    pub(crate) force: [bool; 2],
}

/// What a session came to.
pub(crate) struct Told {
    /// The messages: which side sent them, and their bytes.
    pub(crate) messages: Vec<(usize, Vec<u8>)>,
    pub(crate) in_sync: [Option<bool>; 2],
    /// The digests of both sides before and after.
    pub(crate) digests: [[Hash; 2]; 2],
    /// All that each side holds at the end.
    pub(crate) nodes: [Node; 2],
}

impl Meeting {
    fn new(link: u8, items: [Vec<Vec<u8>>; 2]) -> Self {
        Self { handshake_hash: [link; 32], items, own: [vec![], vec![]], force: [false; 2] }
    }

    pub(crate) fn config(&self, side: usize) -> Config {
        Config {
            own: self.own[side].iter().copied().collect(),
            others_items_max: usize::MAX,
            force: self.force[side],
            ..Config::default()
        }
    }

    /// Carries every message to the other side, one at a time.
    pub(crate) fn run(&self) -> Told {
        let mut nodes = [Node::with(&self.items[0]), Node::with(&self.items[1])];
        let before = [nodes[0].replica.digest(), nodes[1].replica.digest()];
        let open = |side: usize| {
            let Node { replica, shelf } = &nodes[side];
            Session::open(side == 0, &self.handshake_hash, replica, shelf, self.config(side))
        };
        let ((first, outs), (second, _)) = (open(0), open(1));
        let mut sessions = [first, second];
        let (mut messages, mut in_sync) = (Vec::new(), [None; 2]);
        let mut queue = VecDeque::new();
        let mut pending = Some((0, outs));
        loop {
            if let Some((side, outs)) = pending.take() {
                for out in outs {
                    match out {
                        Out::Send(bytes) => queue.push_back((side, bytes)),
                        Out::SendItem(key) => {
                            let item = nodes[side].shelf.item(&key).unwrap();
                            queue.push_back((side, [&[TAG_ITEM][..], &item].concat()));
                        }
                        Out::Received(item) => nodes[side].take(&item),
                        Out::Done { in_sync: so } => in_sync[side] = Some(so),
                    }
                }
            }
            let Some((from, bytes)) = queue.pop_front() else { break };
            let to = 1 - from;
            let outs = sessions[to].handle(&bytes, &nodes[to].replica, &nodes[to].shelf).unwrap();
            messages.push((from, bytes));
            pending = Some((to, outs));
        }
        let after = [nodes[0].replica.digest(), nodes[1].replica.digest()];
        Told { messages, in_sync, digests: [before, after], nodes }
    }
}

pub(crate) fn encoded(items: &[Item]) -> Vec<Vec<u8>> {
    items.iter().map(Item::encode).collect()
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

/// The payer's checkpoint that has decided its first two entries.
pub(crate) fn checkpoint(network: &NetworkId) -> Item {
    let live = Live { serial: Serial(1), total: amount(2_500), settled: amount(2_500) };
    let record = Checkpoint {
        version: VERSION,
        author: world::payer(),
        certificate: 2,
        number: 2,
        epoch: 4,
        carry_to: 65,
        salt: [0x2f; 16],
        frontier: Some(Frontier { sequence: 1, hash: world::entries(network)[1].entry.id() }),
        live: List::new(vec![live]).unwrap(),
        names: List::default(),
    };
    Item::Checkpoint(world::by_bank(network, record).into_inner())
}

/// What the two sides of the small sessions hold, initiator first.
fn small(network: &NetworkId) -> [Vec<Vec<u8>>; 2] {
    let certificate =
        |at: usize| Item::Certificate(world::certificates(network)[at].1.clone().into_inner());
    let grant = |at: usize| Item::Grant(world::signed_grants(network)[at].1.clone().into_inner());
    let entry = |at: usize| Item::Entry(world::entries(network)[at].entry.clone().into_inner());
    let receipt = super::build::receipts(network).swap_remove(0);
    let first = Item::Checkpoint(world::checkpoints(network)[0].1.clone().into_inner());
    let freeze = Item::Freeze(world::freezes(network)[2].1.clone().into_inner());
    let bulletin = Item::Bulletin(world::by_bank(network, world::bulletin()).into_inner());
    let mut initiator = vec![certificate(0), certificate(1), certificate(3), grant(0), grant(1)];
    initiator.extend([enrolment(network, world::payee()), first]);
    initiator.extend([0, 1, 2, 3, 4, 9].map(entry));
    initiator.push(receipt);
    let mut responder = [0, 1, 2, 3].map(certificate).to_vec();
    responder.extend([grant(0), grant(1), grant(3), bulletin, checkpoint(network), freeze]);
    responder.extend([2, 3, 5].map(entry));
    [encoded(&initiator), encoded(&responder)]
}

/// Authors of bank 7, enrolled: enough of them that a range is split.
fn large(network: &NetworkId) -> [Vec<Vec<u8>>; 2] {
    let certificate = Item::Certificate(world::certificates(network)[3].1.clone().into_inner());
    let grant = |at: u8| {
        let key = SecretKey::from_seed(&[0x80 + at; 32]).public();
        enrolment(network, AuthorId { bank: BankNumber(7), key })
    };
    let with = |authors: &[u8]| {
        let grants = authors.iter().map(|at| grant(*at));
        encoded(&std::iter::once(certificate.clone()).chain(grants).collect::<Vec<_>>())
    };
    let (first, second): (Vec<u8>, Vec<u8>) =
        ((0..24).collect(), (0..26).filter(|at| *at != 5).collect());
    [with(&first), with(&second)]
}

/// Every session of the vectors, by name.
pub(crate) fn meetings(network: &NetworkId) -> Vec<(&'static str, Meeting)> {
    let mut apart = Meeting::new(0xb1, small(network));
    apart.own[0].push(world::payer());
    let same = || {
        let [items, _] = small(network);
        [items.clone(), items]
    };
    let mut forced = Meeting::new(0xb3, same());
    forced.force[0] = true;
    vec![
        ("small: two replicas that differ", apart),
        ("equal: nothing to reconcile", Meeting::new(0xb2, same())),
        ("forced: equal, reconciled all the same", forced),
        ("large: ranges are split", Meeting::new(0xb4, large(network))),
    ]
}

/// The keys of a session by the context that derives them.
pub(crate) fn session_key(purpose: &str, handshake_hash: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key(&format!("hundi v1 sync {purpose}"), handshake_hash)
}

pub(crate) fn subject(of: &Subject) -> Value {
    match of {
        Subject::Bank(bank) => json!({ "bank": bank.0 }),
        Subject::Author(author) => json!({ "bank": author.bank.0, "key": hex(author.key.0) }),
    }
}

fn sync(network: &NetworkId) -> Value {
    let sessions = meetings(network).into_iter().map(|(name, meeting)| {
        let told = meeting.run();
        let side = |at: usize| {
            json!({
                "items": meeting.items[at].iter().map(hex).collect::<Vec<_>>(),
                "own": meeting.own[at].iter().map(|own| subject(&Subject::Author(*own)))
                    .collect::<Vec<_>>(),
                "force": meeting.force[at],
                "digest_before": hex(told.digests[0][at].0),
                "digest_after": hex(told.digests[1][at].0),
                "in_sync": told.in_sync[at],
            })
        };
        let transcript = told.messages.iter().map(|(from, bytes)| {
            let (message, fields) = message_json::message(bytes);
            json!({ "from": SIDES[*from], "message": message, "fields": fields, "bytes": hex(bytes) })
        });
        let key = |purpose| hex(session_key(purpose, &meeting.handshake_hash));
        json!({
            "name": name,
            "handshake_hash": hex(meeting.handshake_hash),
            "keys": {
                "initiator": key("initiator"),
                "responder": key("responder"),
                "short_id": key("short id"),
                "tag": key("tag"),
            },
            "initiator": side(0),
            "responder": side(1),
            "transcript": transcript.collect::<Vec<_>>(),
        })
    });
    json!({
        "sessions": sessions.collect::<Vec<_>>(),
        "skipped": (10..=15u8).map(|tag| hex([tag, 0xff])).collect::<Vec<_>>(),
        "taken": taken_messages(),
        "refused": refused_messages(),
    })
}

/// A range that lists that many elements.
fn listed(count: usize) -> String {
    // Short ids ascend as little-endian integers.
    let elements: String = (0..count).map(|at| format!("{at:02x}{}", "00".repeat(15))).collect();
    format!("020100{}01{count:02x}00{elements}", "00".repeat(9))
}

/// What a side holds of bank 1, that many certificates.
fn certificates(count: usize) -> String {
    let row = |number: usize| format!("{number:02x}00aaaaaaaa");
    let rows: String = (1..=count).map(row).collect();
    format!("030001000100{count:02x}00{rows}000000")
}

/// What stands at the bounds that some refused messages are beyond.
fn taken_messages() -> Value {
    let rows = [
        ("ranges: as many elements as a listed range may have", listed(64)),
        ("have: as many certificates as a bank may have", certificates(16)),
    ];
    rows.map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).into()
}

fn refused_messages() -> Value {
    [
        ("no bytes", String::new()),
        ("tag 0", "00".into()),
        ("tag 16", "10".into()),
        ("open: a byte short", format!("01{}", "00".repeat(8))),
        ("open: a byte more", format!("01{}", "00".repeat(10))),
        ("ranges: content 2", format!("020100{}02", "00".repeat(9))),
        ("ranges: more elements than a listed range may have", listed(65)),
        ("have: answer 2", "030200000000".into()),
        ("have: more certificates than a bank may have", certificates(17)),
        ("turn: end 3", "0403000000000000".into()),
        ("turn: equal with six bytes", "0402000000000000".into()),
        ("evidence: fewer tags than counted", "060200aaaaaaaaaaaaaaaa".into()),
        ("cache: a byte after the tags", "08000000".into()),
    ]
    .map(|(name, bytes)| json!({ "name": name, "bytes": bytes }))
    .into()
}

fn digests(network: &NetworkId) -> Value {
    let key = [0x6b; 32];
    let elements: Vec<Hash> = (1..=4u8).map(|at| Hash([at; 32])).collect();
    let accumulators = (0..=elements.len()).map(|count| {
        let mut sum = Accumulator::default();
        elements[..count].iter().for_each(|element| sum.replace(None, Some(element)));
        json!({
            "elements": elements[..count].iter().map(|element| hex(element.0)).collect::<Vec<_>>(),
            "digest": hex(sum.digest(network).0),
            "key": hex(key),
            "fingerprint": hex(sum.fingerprint(&key)),
        })
    });
    let (_, meeting) = meetings(network).swap_remove(0);
    let told = meeting.run();
    let before = [Node::with(&meeting.items[0]), Node::with(&meeting.items[1])];
    let [initiator, responder] = &before;
    let rows = [
        ("the initiator before", initiator),
        ("the responder before", responder),
        ("both after", &told.nodes[0]),
    ];
    let replicas = rows.map(|(name, node)| replica(name, &node.replica, &meeting.handshake_hash));
    json!({ "accumulators": accumulators.collect::<Vec<_>>(), "replicas": replicas })
}

fn replica(name: &str, of: &Replica, handshake_hash: &[u8; 32]) -> Value {
    let keyed = |purpose, bytes: &[u8]| {
        let hash = blake3::keyed_hash(&session_key(purpose, handshake_hash), bytes);
        hex(&hash.as_bytes()[..8])
    };
    let element = |(about, element): (Subject, &Hash)| {
        let mut row = json!({
            "subject": subject(&about),
            "element": hex(element.0),
        });
        if let Subject::Author(author) = &about {
            row["short"] = keyed("short id", &author.to_bytes()).into();
            row["tag"] = keyed("tag", &element.0).into();
        }
        row
    };
    let [initiator, responder] =
        ["initiator", "responder"].map(|side| session_key(side, handshake_hash));
    let evidence = of.evidence_elements();
    json!({
        "name": name,
        "core": of.elements().map(|(about, of)| element((about, &of))).collect::<Vec<_>>(),
        "evidence": evidence.map(|(author, of)| element((Subject::Author(*author), of)))
            .collect::<Vec<_>>(),
        "digest": hex(of.digest().0),
        "handshake_hash": hex(handshake_hash),
        "fingerprint_initiator": hex(of.fingerprint(&initiator)),
        "fingerprint_responder": hex(of.fingerprint(&responder)),
        "fingerprint_evidence": hex(of.evidence_fingerprint(&initiator)),
    })
}

/// The files about messages by name.
pub(crate) fn files(network: &NetworkId) -> Vec<(&'static str, Value)> {
    vec![
        ("payments.json", payments::build(network)),
        ("digests.json", digests(network)),
        ("sync.json", sync(network)),
    ]
}

/// The meeting that a row of `sync.json` describes.
pub(crate) fn meeting(row: &Value) -> Meeting {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let author = |value: &Value| {
        let bank = u16::try_from(value["bank"].as_u64().unwrap()).unwrap().to_le_bytes();
        codec::decode(&[&bank[..], &unhex(&value["key"])].concat(), 34).unwrap()
    };
    Meeting {
        handshake_hash: unhex(&row["handshake_hash"]).try_into().unwrap(),
        items: SIDES.map(|side| list(&row[side]["items"]).iter().map(unhex).collect()),
        own: SIDES.map(|side| list(&row[side]["own"]).iter().map(author).collect()),
        force: SIDES.map(|side| row[side]["force"].as_bool().unwrap()),
    }
}
