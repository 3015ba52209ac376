//! What travels between nodes, against `docs/vectors`: payment requests, offers and digests.
//! Elements, positions, tags, fingerprints and digests are computed here a second time, from what
//! `docs/protocol.md` says. Sessions are in `sessions`.

use crate::vectors::json::unhex;
use crate::vectors::messages::{self, Node, SIDES};
use crate::vectors::symbols::{P, author_tag};
use crate::vectors::{array, file, network, rows};
use hundi_ledger::codec::DecodeError;
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::offer::Offer;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::replica::accumulator::Accumulator;
use hundi_ledger::request::{ParseRequestError, PaymentRequest};
use serde_json::Value;

#[test]
fn payment_requests() {
    let file = file("payments.json");
    for row in rows(&file["requests"]) {
        let uri = row["uri"].as_str().unwrap();
        for text in [uri, &uri.to_lowercase()] {
            let request = PaymentRequest::parse(text).unwrap();
            assert_eq!(hundi_ledger::codec::encode(&request), unhex(&row["bytes"]));
            assert_eq!(request.to_uri(), uri);
        }
        let checked = data_encoding::BASE32_NOPAD.decode(&uri.as_bytes()[6..]).unwrap();
        let (bytes, check) = checked.split_at(checked.len() - 4);
        assert_eq!(bytes, unhex(&row["bytes"]));
        assert_eq!(check, &blake3::derive_key("hundi v1 payment request", bytes)[..4]);
    }
    for row in rows(&file["refused_requests"]) {
        let error = match PaymentRequest::parse(row["uri"].as_str().unwrap()).unwrap_err() {
            ParseRequestError::Scheme => "scheme",
            ParseRequestError::Damaged => "damaged",
            ParseRequestError::Decode(DecodeError::Version(_)) => "version",
            ParseRequestError::Decode(_) => "canonical",
        };
        assert_eq!(row["error"], error, "{}", row["name"]);
    }
}

#[test]
fn offers() {
    let network = network().id();
    for row in rows(&file("payments.json")["offers"]) {
        let bytes = unhex(&row["bytes"]);
        let offer = Offer::decode(&bytes).unwrap();
        assert_eq!(offer.encode(), bytes);
        assert_eq!(unhex(&row["message"]), [&[16][..], &bytes].concat());
        let records: Vec<Vec<u8>> = offer.records.iter().map(|item| item.to_vec()).collect();
        assert_eq!(records, rows(&row["records"]).iter().map(unhex).collect::<Vec<_>>());
        assert_eq!(offer.entry.to_vec(), unhex(&row["entry"]));
        // What is sent is enough: a node that knows nothing holds its payer's grants after it.
        let Ok(Item::Entry(entry)) = Item::decode(&network, &offer.entry) else { panic!() };
        let payer = entry.header().author;
        let node = Node::with(&records);
        let known = node.replica.author(&payer, &node.shelf).unwrap();
        assert!(known.grant(entry.header().serial).is_some() && known.checkpoint().is_some());
        let previous = offer.previous.unwrap().verify(&network).unwrap();
        assert_eq!(previous.header.sequence() + 1, entry.header().sequence());
        entry.verify().unwrap();
        assert!(Offer::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Offer::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}

/// H(context; parts) of the vectors' network.
fn hash(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    blake3::derive_key(context, &[&network().id().0[..], &parts.concat()].concat())
}

pub(crate) fn keyed<const N: usize>(key: &[u8; 32], bytes: &[u8]) -> [u8; N] {
    *blake3::keyed_hash(key, bytes).as_bytes().first_chunk().unwrap()
}

/// The 2,048 bytes of the sum of elements.
pub(crate) fn sum(elements: &[[u8; 32]]) -> Vec<u8> {
    let mut lanes = [0u16; 1024];
    for element in elements {
        let mut hasher = blake3::Hasher::new_derive_key("hundi v1 accumulator lane");
        let mut reader = hasher.update(element).finalize_xof();
        for lane in &mut lanes {
            let mut two = [0; 2];
            reader.fill(&mut two);
            *lane = lane.wrapping_add(u16::from_le_bytes(two));
        }
    }
    lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()
}

#[test]
fn accumulators() {
    for row in rows(&file("digests.json")["accumulators"]) {
        let elements: Vec<[u8; 32]> = rows(&row["elements"]).iter().map(array).collect();
        let sum = sum(&elements);
        assert_eq!(hash("hundi v1 accumulator digest", &[&sum]), array(&row["digest"]));
        assert_eq!(keyed(&array(&row["key"]), &sum), array::<8>(&row["fingerprint"]));
        let mut code = Accumulator::default();
        elements.iter().rev().for_each(|element| code.replace(None, Some(&Hash(*element))));
        assert_eq!(code.digest(&network().id()).0, array(&row["digest"]));
        assert_eq!(code.fingerprint(&array(&row["key"])), array(&row["fingerprint"]));
    }
}

fn evidence_parts(of: &Node, author: &AuthorId) -> Option<[[u8; 32]; 2]> {
    let known = of.replica.author(author, &of.shelf).unwrap();
    let freeze = known.freeze().map(|freeze| freeze.id().0);
    let proven = known.proof().is_some();
    (freeze.is_some() || proven).then(|| [freeze.unwrap_or([0; 32]), [u8::from(proven); 32]])
}

/// The element of a subject from the ids of what is held of it.
fn element(of: &Node, subject: &Subject) -> [u8; 32] {
    let mut parts = Vec::new();
    let name = match subject {
        Subject::Bank(bank) => {
            parts.extend(of.replica.trust().of(*bank).map(|held| held.id().0));
            parts.extend(of.replica.bulletin(*bank).map(|held| held.id().0));
            bank.0.to_le_bytes().to_vec()
        }
        Subject::Author(author) => {
            let known = of.replica.author(author, &of.shelf).unwrap();
            parts.extend(known.grants().map(|held| held.id().0));
            parts.push(hash("hundi v1 element checkpoint", &[]));
            parts.extend(known.checkpoint().map(|held| held.id().0));
            parts.push(hash("hundi v1 element evidence", &[]));
            parts.extend(evidence_parts(of, author).into_iter().flatten());
            parts.push(hash("hundi v1 element entries", &[]));
            parts.extend(known.entries().map(|claim| claim.id.0));
            [&author.bank.0.to_le_bytes()[..], &author.key.0].concat()
        }
    };
    hash("hundi v1 core element", &[&name, parts.as_flattened()])
}

/// The element of an author's freeze and proof alone.
fn evidence_element(of: &Node, author: &AuthorId) -> [u8; 32] {
    let parts = evidence_parts(of, author).unwrap();
    hash("hundi v1 evidence", &[&author.to_bytes(), parts.as_flattened()])
}

/// The position of an author.
pub(crate) fn position(author: &AuthorId) -> u64 {
    let key = blake3::derive_key("hundi v1 position", &network().id().0);
    u64::from_be_bytes(keyed(&key, &author.to_bytes()))
}

/// What a row about an element says of its subject on the link.
fn check_row(row: &Value, subject: &Subject, element: [u8; 32], link: &[u8; 32]) {
    let key = |purpose| messages::session_key(purpose, link);
    assert_eq!(element, array(&row["element"]));
    let tag = author_tag(&key("short id"), &messages::subject_bytes(subject));
    assert_eq!(tag.to_le_bytes()[..5], array::<5>(&row["author_tag"]));
    assert!(0 < tag && tag < P);
    let wide: [u8; 8] = keyed(&key("tag"), &element);
    assert_eq!(wide, array(&row["wide_tag"]));
    assert_eq!(wide[4..], array::<4>(&row["state"]));
}

#[test]
fn elements_digests_and_fingerprints() {
    let meeting = messages::meeting(&file("sync.json")["sessions"][0]);
    let told = meeting.run();
    let [first, second] = &meeting.items;
    let nodes = [Node::with(first), Node::with(second)];
    let file = file("digests.json");
    let nodes = [&nodes[0], &nodes[1], &told.nodes[0]];
    assert_eq!(rows(&file["replicas"]).len(), nodes.len());
    for (row, node) in rows(&file["replicas"]).iter().zip(nodes) {
        let replica = &node.replica;
        let link = array(&row["handshake_hash"]);
        let key = |purpose| messages::session_key(purpose, &link);
        let mut elements = Vec::new();
        for (row, subject) in rows(&row["core"]).iter().zip(replica.elements()) {
            let subject = &subject.0;
            elements.push(element(node, subject));
            check_row(row, subject, element(node, subject), &link);
        }
        assert_eq!(elements.len(), replica.elements().count());
        let core = sum(&elements);
        assert_eq!(hash("hundi v1 accumulator digest", &[&core]), array(&row["digest"]));
        assert_eq!(replica.digest().0, array(&row["digest"]));
        for side in SIDES {
            let said: [u8; 8] = array(&row[format!("fingerprint_{side}")]);
            assert_eq!(keyed(&key(side), &core), said);
            assert_eq!(replica.fingerprint(&key(side)), said);
        }
        let mut elements = Vec::new();
        let head: Vec<_> = replica.head_elements().collect();
        assert_eq!(rows(&row["head"]).len(), head.len());
        for (row, (subject, _)) in rows(&row["head"]).iter().zip(head) {
            let made = match &subject {
                Subject::Bank(_) => element(node, &subject),
                Subject::Author(author) => evidence_element(node, author),
            };
            check_row(row, &subject, made, &link);
            elements.push(made);
        }
        let said: [u8; 8] = array(&row["fingerprint_head"]);
        assert_eq!(keyed(&key("initiator"), &sum(&elements)), said);
        assert_eq!(replica.head_fingerprint(&key("initiator")), said);
        assert_eq!(rows(&row["positions"]).len(), replica.authors().len());
        for (row, author) in rows(&row["positions"]).iter().zip(replica.authors()) {
            assert_eq!(array(&row["position"]), position(author).to_be_bytes());
            assert_eq!(replica.positions().of(author), position(author));
        }
    }
}
