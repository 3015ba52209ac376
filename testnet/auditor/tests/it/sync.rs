//! Sessions as the auditor reads them: every message, and what its values mean.

use super::{array, bytes, file, network, rows};
use hundi_auditor::records::{Item, Record};
use hundi_auditor::sync::{Message, Purpose, digest, keyed, sum, tag};

#[test]
fn sums_and_digests() {
    let (network, file) = (network(), file("digests.json"));
    for row in rows(&file["accumulators"]) {
        let elements: Vec<[u8; 32]> = rows(&row["elements"]).iter().map(array).collect();
        assert_eq!(digest(&network.id, &sum(&elements)), array(&row["digest"]));
    }
    for row in rows(&file["replicas"]) {
        let of = |set: &str| -> Vec<[u8; 32]> {
            rows(&row[set]).iter().map(|row| array(&row["element"])).collect()
        };
        let (core, evidence) = (sum(&of("core")), sum(&of("evidence")));
        assert_eq!(digest(&network.id, &core), array(&row["digest"]));
        let link = array(&row["handshake_hash"]);
        let said = array::<8>(&row["fingerprint_initiator"]);
        assert_eq!(keyed(&link, Purpose::Initiator, &core), said);
        let said = array::<8>(&row["fingerprint_responder"]);
        assert_eq!(keyed(&link, Purpose::Responder, &core), said);
        let said = array::<6>(&row["fingerprint_evidence"]);
        assert_eq!(keyed(&link, Purpose::Initiator, &evidence), said);
    }
}

/// The last turns of the first session carry the values of the core that both have then.
#[test]
fn values_of_a_session_are_those_of_its_replicas() {
    let (sync, digests) = (file("sync.json"), file("digests.json"));
    let (session, after) = (&sync["sessions"][0], &digests["replicas"][2]);
    let link = array(&session["handshake_hash"]);
    let elements: Vec<[u8; 32]> =
        rows(&after["core"]).iter().map(|row| array(&row["element"])).collect();
    let core = sum(&elements);
    for (side, purpose) in [("initiator", Purpose::Initiator), ("responder", Purpose::Responder)] {
        let last = rows(&session["transcript"]).iter().rfind(|line| line["from"] == side).unwrap();
        let message = Message::read(&bytes(&last["bytes"])).unwrap();
        assert_eq!(message, Message::Finished(keyed(&link, purpose, &core)), "{side}");
        assert_eq!(session[side]["digest_after"], after["digest"]);
    }
}

/// Whatever a vector lists by tag is an item that its side had, or had got.
#[test]
fn vectors_name_items_of_their_side() {
    let (network, sync) = (network(), file("sync.json"));
    let mut named = 0;
    for session in rows(&sync["sessions"]) {
        let link = array(&session["handshake_hash"]);
        let transcript = rows(&session["transcript"]);
        for (at, line) in transcript.iter().enumerate() {
            let Message::Have { authors, .. } = Message::read(&bytes(&line["bytes"])).unwrap()
            else {
                continue;
            };
            let side = line["from"].as_str().unwrap();
            let mut held: Vec<Vec<u8>> = rows(&session[side]["items"]).iter().map(bytes).collect();
            held.extend(transcript[..at].iter().filter(|line| line["from"] != side).filter_map(
                |line| match Message::read(&bytes(&line["bytes"])).unwrap() {
                    Message::Item(item) => Some(item),
                    _ => None,
                },
            ));
            let held: Vec<Item> =
                held.iter().map(|item| Item::read(&network.id, item).unwrap()).collect();
            for author in authors {
                let grants = author.grants.iter().map(|(_, tag)| tag);
                let entries = author.entries.iter().map(|(_, _, tag)| tag);
                for told in grants.chain(entries) {
                    assert!(held.iter().any(|item| tag(&link, &item.id) == *told));
                    named += 1;
                }
                for (class, sequence, told) in &author.entries {
                    let item = held.iter().find(|item| tag(&link, &item.id) == *told).unwrap();
                    let Record::Entry(entry) = &item.record else { panic!("no entry") };
                    assert_eq!(entry.header.sequence, *sequence);
                    assert_eq!(u8::from(entry.header.is_document()), *class);
                }
            }
        }
    }
    assert!(named >= 10);
}

#[test]
fn messages_are_taken_skipped_and_refused() {
    let file = file("sync.json");
    for row in rows(&file["taken"]) {
        assert!(Message::read(&bytes(&row["bytes"])).is_ok(), "{}", row["name"]);
    }
    for row in rows(&file["skipped"]) {
        assert_eq!(Message::read(&bytes(row)), Ok(Message::Later));
    }
    for row in rows(&file["refused"]) {
        assert!(Message::read(&bytes(&row["bytes"])).is_err(), "{}", row["name"]);
    }
}
