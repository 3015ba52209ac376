//! The valid vectors.

use super::{array, bytes, certificates, file, json, network, rows, sealed_kind};
use super::{sealing_public, sealing_secret};
use hundi_auditor::hashes::{body_hash, checkpoint_tag, freezes_digest};
use hundi_auditor::records::{Item, Network, Record};
use hundi_auditor::{contradiction, sealing, signatures};
use serde_json::json;

#[test]
fn network_definitions() {
    let row = file("network.json");
    let network = network();
    assert_eq!(network.id, array(&row["id"]));
    assert_eq!(json::network(&network), row["fields"]);
    let other = Network::read(&bytes(&row["other"]["bytes"])).unwrap();
    assert_eq!(other.id, array(&row["other"]["id"]));
}

#[test]
fn records_read_as_the_file_says_and_verify() {
    let network = network();
    let certificates = certificates(&network);
    let file = file("records.json");
    for row in rows(&file) {
        let item = Item::read(&network.id, &bytes(&row["item"]))
            .unwrap_or_else(|refused| panic!("{}: {refused}", row["name"]));
        let (kind, fields) = json::item(&item);
        assert_eq!(row["kind"], kind, "{}", row["name"]);
        assert_eq!(fields, row["fields"], "{}", row["name"]);
        assert_eq!(item.id, array(&row["id"]), "{}", row["name"]);
        assert_eq!(signatures::verify(&network, &certificates, &item), Ok(()), "{}", row["name"]);
    }
}

#[test]
fn headers_contradict_in_either_order() {
    let network = network();
    let file = file("records.json");
    let mut proofs = 0;
    for row in rows(&file) {
        let item = Item::read(&network.id, &bytes(&row["item"])).unwrap();
        if let Record::Proof(proof) = item.record {
            let [a, b] = &proof.headers;
            assert!(contradiction::contradict(b, a) && contradiction::contradict(a, b));
            assert!(!contradiction::contradict(a, a) && !contradiction::contradict(b, b));
            proofs += 1;
        }
    }
    assert!(proofs >= 9, "every form");
}

#[test]
fn hashes() {
    let (network, file) = (network(), file("hashes.json"));
    for row in rows(&file["checkpoint_tags"]) {
        let tag = checkpoint_tag(&array(&row["salt"]), &array(&row["hash"]));
        assert_eq!(tag, array(&row["tag"]));
    }
    for row in rows(&file["bodies"]) {
        assert_eq!(body_hash(&network.id, &bytes(&row["body"])), array(&row["body_hash"]));
    }
    for row in rows(&file["freezes_digests"]) {
        let ids: Vec<[u8; 32]> = rows(&row["ids"]).iter().map(array).collect();
        assert_eq!(freezes_digest(&network.id, &ids), array(&row["digest"]));
    }
}

#[test]
fn checkpoints_name_entries() {
    let network = network();
    let file = file("records.json");
    let items: Vec<Item> = rows(&file)
        .iter()
        .map(|row| Item::read(&network.id, &bytes(&row["item"])).unwrap())
        .collect();
    let checkpoint = items.iter().find_map(|item| match &item.record {
        Record::Checkpoint(record) if record.frontier.is_some() => Some(record),
        _ => None,
    });
    let checkpoint = checkpoint.unwrap();
    let mut named = Vec::new();
    for item in &items {
        if let Record::Entry(entry) = &item.record {
            let outcome = checkpoint.named(entry.header.sequence, &item.id);
            named.extend(outcome.map(|outcome| (entry.header.sequence, outcome)));
            let frontier = checkpoint.frontier.unwrap();
            let same = entry.header.sequence == frontier.sequence;
            assert_eq!(same, item.id == frontier.hash);
        }
    }
    let expected = [(0, 0), (1, 1), (2, 2), (3, 16), (4, 17), (5, 18), (6, 19), (7, 20)];
    assert_eq!(named, expected);
}

#[test]
fn sealed_bodies_and_receipts_open() {
    let (network, file) = (network(), file("sealing.json"));
    let agree = |secret: &str, public: &str| {
        sealing::agree(&sealing_secret(secret), &sealing_public(public)).unwrap()
    };
    for row in rows(&file["agreements"]) {
        let (a, b) = (row["secret"].as_str().unwrap(), row["public"].as_str().unwrap());
        assert_eq!(agree(a, b), array(&row["shared"]));
        assert_eq!(agree(b, a), array(&row["shared"]));
    }
    for row in rows(&file["bodies"]) {
        let kind = sealed_kind(row["kind"].as_u64().unwrap());
        let (head, body) = (bytes(&row["head"]), bytes(&row["body"]));
        let key = sealing::content_key(&network.id, &agree("bank_1", "payer"), &head);
        assert_eq!(key, array(&row["content_key"]), "{}", row["name"]);
        let plaintext = sealing::open(&network.id, kind, &head, &body, &key).unwrap();
        assert_eq!(json::plaintext(&plaintext), row["plaintext_fields"]);
        if row["view_tag"] != json!(null) {
            let shared = agree("payee", "payer");
            let read = sealing::open_as_payee(&network.id, kind, &head, &body, &shared);
            assert_eq!(read, Ok(plaintext));
        }
    }
    for row in rows(&file["receipts"]) {
        let item = Item::read(&network.id, &bytes(&row["item"])).unwrap();
        let Record::Receipt(receipt) = &item.record else { panic!("a receipt") };
        let key = sealing::disclosed(&network.id, receipt, &agree("bank_1", "payee"));
        assert_eq!(key, array(&row["content_key"]));
        let statement = sealing::open_receipt(&network.id, receipt, &key).unwrap();
        assert_eq!(json::statement(&statement), row["statement_fields"]);
    }
}
