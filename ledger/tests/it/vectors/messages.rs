//! Builds the files of `docs/vectors` about sync: digests, and whole sessions between replicas of
//! fixed content.

use super::json::{hex, unhex};
use super::sessions::meetings;
use super::symbols::{author_tag, state};
use super::{message_json, payments, refused, symbols, world};
use hundi_ledger::codec;
use hundi_ledger::id::{AuthorId, Hash, NetworkId};
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::replica::accumulator::Accumulator;
use hundi_ledger::replica::{Change, Key, Replica, Shelf};
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
    /// Whether the initiator opens as one that knows that the cores differ.
    pub(crate) differs: bool,
    /// Messages that never arrive, by their place in the transcript. A link loses none; what a
    /// stream that fails leads to is seen only so.
    pub(crate) lost: Vec<usize>,
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
    pub(crate) fn new(link: u8, items: [Vec<Vec<u8>>; 2]) -> Self {
        Self {
            handshake_hash: [link; 32],
            items,
            own: [vec![], vec![]],
            force: [false; 2],
            differs: false,
            lost: vec![],
        }
    }

    pub(crate) fn config(&self, side: usize) -> Config {
        Config {
            own: self.own[side].iter().copied().collect(),
            others_items_max: usize::MAX,
            force: self.force[side],
            differs: side == 0 && self.differs,
            ..Config::default()
        }
    }

    /// Carries every message to the other side, one at a time.
    pub(crate) fn run(&self) -> Told {
        self.run_watched(|_, _, _| {})
    }

    /// As `run`, and shows every message to `watch` with its sender, in what state it speaks.
    pub(crate) fn run_watched(&self, mut watch: impl FnMut(usize, &Node, &[u8])) -> Told {
        let mut nodes = [Node::with(&self.items[0]), Node::with(&self.items[1])];
        let before = [nodes[0].replica.digest(), nodes[1].replica.digest()];
        let open = |side: usize| {
            let Node { replica, shelf, .. } = &nodes[side];
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
                        Out::Send(bytes) => {
                            watch(side, &nodes[side], &bytes);
                            queue.push_back((side, bytes));
                        }
                        Out::SendItem(key) => {
                            let item = nodes[side].shelf.item(&key).unwrap();
                            let bytes = [&[TAG_ITEM][..], &item].concat();
                            watch(side, &nodes[side], &bytes);
                            queue.push_back((side, bytes));
                        }
                        Out::Received(item) => nodes[side].take(&item),
                        Out::Done { in_sync: so } => in_sync[side] = Some(so),
                    }
                }
            }
            let Some((from, bytes)) = queue.pop_front() else { break };
            let to = 1 - from;
            let Node { replica, shelf } = &nodes[to];
            if !self.lost.contains(&messages.len()) {
                let outs = sessions[to].handle(&bytes, replica, shelf);
                let outs =
                    outs.unwrap_or_else(|error| panic!("message {}: {error}", messages.len()));
                pending = Some((to, outs));
            }
            messages.push((from, bytes));
        }
        let after = [nodes[0].replica.digest(), nodes[1].replica.digest()];
        Told { messages, in_sync, digests: [before, after], nodes }
    }
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
            "differs": meeting.differs,
            "lost": meeting.lost,
            "initiator": side(0),
            "responder": side(1),
            "transcript": transcript.collect::<Vec<_>>(),
        })
    });
    json!({
        "sessions": sessions.collect::<Vec<_>>(),
        "taken": refused::taken(),
        "refused": refused::refused(),
    })
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

/// The bytes that name a subject: a bank's number, or an author.
pub(crate) fn subject_bytes(of: &Subject) -> Vec<u8> {
    match of {
        Subject::Bank(bank) => bank.0.to_le_bytes().to_vec(),
        Subject::Author(author) => author.to_bytes().to_vec(),
    }
}

fn replica(name: &str, of: &Replica, handshake_hash: &[u8; 32]) -> Value {
    let key = |purpose| session_key(purpose, handshake_hash);
    let element = |(about, element): (Subject, Hash)| {
        json!({
            "subject": subject(&about),
            "element": hex(element.0),
            "author_tag": hex(&author_tag(&key("short id"), &subject_bytes(&about)).to_le_bytes()[..5]),
            "state": hex(state(&key("tag"), &element.0).to_le_bytes()),
            "wide_tag": hex(symbols::wide(&key("tag"), &element.0).to_le_bytes()),
        })
    };
    let position = |author: &AuthorId| {
        let position = of.positions().of(author).to_be_bytes();
        json!({ "author": subject(&Subject::Author(*author)), "position": hex(position) })
    };
    json!({
        "name": name,
        "core": of.elements().map(element).collect::<Vec<_>>(),
        "head": of.head_elements().map(element).collect::<Vec<_>>(),
        "positions": of.authors().map(position).collect::<Vec<_>>(),
        "digest": hex(of.digest().0),
        "handshake_hash": hex(handshake_hash),
        "fingerprint_initiator": hex(of.fingerprint(&key("initiator"))),
        "fingerprint_responder": hex(of.fingerprint(&key("responder"))),
        "fingerprint_head": hex(of.head_fingerprint(&key("initiator"))),
    })
}

/// The files about messages by name.
pub(crate) fn files(network: &NetworkId) -> Vec<(&'static str, Value)> {
    vec![
        ("payments.json", payments::build(network)),
        ("digests.json", digests(network)),
        ("symbols.json", symbols::build()),
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
        differs: row["differs"].as_bool().unwrap(),
        lost: list(&row["lost"])
            .iter()
            .map(|at| usize::try_from(at.as_u64().unwrap()).unwrap())
            .collect(),
    }
}
