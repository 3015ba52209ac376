//! What travels between nodes, against `docs/vectors`: payment requests, offers, digests and whole
//! sync sessions. Short ids, tags, fingerprints and digests are computed here a second time, from
//! what `docs/protocol.md` says.

use crate::vectors::json::{hex, unhex};
use crate::vectors::messages::{self, Node, SIDES};
use crate::vectors::{array, file, network, rows, world};
use hundi_ledger::codec::DecodeError;
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::offer::Offer;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::replica::accumulator::Accumulator;
use hundi_ledger::request::{ParseRequestError, PaymentRequest};
use hundi_ledger::sync::{Session, SyncError};
use serde_json::Value;
use std::collections::BTreeSet;

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
        let known = node.author(&payer).unwrap();
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

fn keyed<const N: usize>(key: &[u8; 32], bytes: &[u8]) -> [u8; N] {
    *blake3::keyed_hash(key, bytes).as_bytes().first_chunk().unwrap()
}

/// The 2,048 bytes of the sum of elements.
fn sum(elements: &[[u8; 32]]) -> Vec<u8> {
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
    let known = of.author(author).unwrap();
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
            let known = of.author(author).unwrap();
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

#[test]
fn elements_digests_and_fingerprints() {
    let meeting = messages::meeting(&file("sync.json")["sessions"][0]);
    let told = meeting.run();
    let [first, second] = &meeting.items;
    let nodes = [Node::with(first), Node::with(second)];
    let file = file("digests.json");
    let replicas = [&nodes[0], &nodes[1], &told.nodes[0]];
    assert_eq!(rows(&file["replicas"]).len(), replicas.len());
    for (row, node) in rows(&file["replicas"]).iter().zip(replicas) {
        let replica = &node.replica;
        let key = |purpose| messages::session_key(purpose, &array(&row["handshake_hash"]));
        let mut elements = Vec::new();
        for (row, (subject, _)) in rows(&row["core"]).iter().zip(replica.elements()) {
            elements.push(array(&row["element"]));
            assert_eq!(element(node, &subject), array(&row["element"]));
            if let Subject::Author(author) = &subject {
                assert_eq!(keyed(&key("short id"), &author.to_bytes()), array::<8>(&row["short"]));
                assert_eq!(
                    keyed(&key("tag"), &array::<32>(&row["element"])),
                    array::<8>(&row["tag"])
                );
            }
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
        for (row, (author, _)) in rows(&row["evidence"]).iter().zip(replica.evidence_elements()) {
            let parts = evidence_parts(node, author).unwrap();
            let made = hash("hundi v1 evidence", &[&author.to_bytes(), parts.as_flattened()]);
            assert_eq!(made, array(&row["element"]));
            elements.push(made);
        }
        assert_eq!(elements.len(), replica.evidence_elements().count());
        let said: [u8; 6] = array(&row["fingerprint_evidence"]);
        assert_eq!(keyed(&key("initiator"), &sum(&elements)), said);
    }
}

#[test]
fn sessions_run_byte_for_byte_as_told() {
    let file = file("sync.json");
    let mut seen = BTreeSet::new();
    for row in rows(&file["sessions"]) {
        let name = row["name"].as_str().unwrap();
        let told = messages::meeting(row).run();
        let transcript = rows(&row["transcript"]);
        for (at, (line, (from, bytes))) in transcript.iter().zip(&told.messages).enumerate() {
            assert_eq!(line["from"], SIDES[*from], "{name}, message {at}");
            assert_eq!(*bytes, unhex(&line["bytes"]), "{name}, message {at}");
            let end = line["fields"]["end"].as_str().unwrap_or_default();
            seen.insert((line["message"].as_str().unwrap().to_string(), end.to_string()));
            if line["message"] == "ranges" {
                let split = line["fields"][0].get("children").is_some();
                seen.insert(("ranges".to_string(), format!("split {split}")));
            }
        }
        assert_eq!(transcript.len(), told.messages.len(), "{name}");
        for (at, side) in SIDES.iter().enumerate() {
            let [before, after] = [told.digests[0][at], told.digests[1][at]];
            assert_eq!(hex(before.0), row[side]["digest_before"], "{name}");
            assert_eq!(hex(after.0), row[side]["digest_after"], "{name}");
            assert_eq!(told.in_sync[at], row[side]["in_sync"].as_bool(), "{name}");
        }
        assert_eq!(row[SIDES[0]]["digest_after"], row[SIDES[1]]["digest_after"], "{name}");
    }
    let every = ["open", "ranges", "have", "turn", "item", "evidence", "evidence ask", "cache"];
    for message in every.into_iter().chain(["cache ask"]) {
        assert!(seen.iter().any(|(kind, _)| kind == message), "{message} is shown");
    }
    for (message, which) in [
        ("turn", "more"),
        ("turn", "finished"),
        ("turn", "equal"),
        ("ranges", "split true"),
        ("ranges", "split false"),
    ] {
        assert!(seen.contains(&(message.to_string(), which.to_string())), "{message} {which}");
    }
}

/// What a have-vector says of the payer, against the tags of what its side holds.
#[test]
fn vectors_say_what_is_held() {
    let file = file("sync.json");
    let row = &file["sessions"][0];
    let key = |purpose| messages::session_key(purpose, &array(&row["handshake_hash"]));
    let tag = |id: Hash| -> [u8; 4] {
        let wide: [u8; 8] = keyed(&key("tag"), &id.0);
        *wide.last_chunk().unwrap()
    };
    let short: [u8; 8] = keyed(&key("short id"), &world::payer().to_bytes());
    let node = Node::with(&messages::meeting(row).items[0]);
    let known = node.author(&world::payer()).unwrap();
    let vectors = rows(&row["transcript"])
        .iter()
        .filter(|line| line["message"] == "have" && line["from"] == "initiator");
    let authors: Vec<&Value> = vectors.flat_map(|line| rows(&line["fields"]["authors"])).collect();
    let of_payer: Vec<&&Value> =
        authors.iter().filter(|author| array::<8>(&author["short"]) == short).collect();
    let [vector] = of_payer[..] else { panic!("the initiator says once what it holds") };
    for (row, grant) in rows(&vector["grants"]).iter().zip(known.grants()) {
        assert_eq!(
            (row["serial"].as_u64(), array(&row["tag"])),
            (Some(grant.serial.0.into()), tag(grant.id()))
        );
    }
    assert_eq!(rows(&vector["grants"]).len(), known.grants().count());
    let checkpoint = known.checkpoint().unwrap();
    assert_eq!(vector["checkpoint"]["certificate"], checkpoint.certificate);
    assert_eq!(vector["checkpoint"]["number"], checkpoint.number);
    assert_eq!(array(&vector["checkpoint"]["tag"]), tag(checkpoint.id()));
    let mut told = Vec::new();
    for run in rows(&vector["runs"]) {
        let bitmap = u64::from_le_bytes(array(&run["bitmap"]));
        let held = (0..64u64).filter(|at| bitmap >> at & 1 == 1);
        let base = run["base"].as_u64().unwrap();
        let tags = rows(&run["tags"]);
        assert_eq!(bitmap.count_ones() as usize, tags.len());
        told.extend(held.zip(tags).map(|(at, tag)| (run["class"].clone(), base + at, array(tag))));
    }
    let entries = known.entries().map(|claim| {
        let class = Value::from(claim.kind.class() as u8);
        (class, u64::from(claim.sequence()), tag(claim.id))
    });
    assert_eq!(told, entries.collect::<Vec<_>>());
    assert_eq!(told.len(), 6, "both classes");
}

#[test]
fn messages_that_are_none_end_a_session_and_later_ones_do_not() {
    let file = file("sync.json");
    let Node { replica, shelf } = Node::with(&[]);
    let config = hundi_ledger::sync::Config::default;
    let session = || Session::open(false, &[1; 32], &replica, &shelf, config());
    assert!(rows(&file["refused"]).len() > 10);
    for row in rows(&file["refused"]) {
        let (mut session, _) = session();
        let error = session.handle(&unhex(&row["bytes"]), &replica, &shelf).unwrap_err();
        assert!(matches!(error, SyncError::Decode(_)), "{}: {error}", row["name"]);
        assert!(session.is_done());
    }
    // Due only in a session that runs: they are read, and come too early here.
    for row in rows(&file["taken"]) {
        let (mut session, _) = session();
        let error = session.handle(&unhex(&row["bytes"]), &replica, &shelf).unwrap_err();
        assert_eq!(error, SyncError::NotDue, "{}", row["name"]);
    }
    for bytes in rows(&file["skipped"]) {
        let (mut session, _) = session();
        assert_eq!(session.handle(&unhex(bytes), &replica, &shelf), Ok(vec![]));
        assert!(!session.is_done());
    }
}
