//! The files of `docs/vectors` against the code. They are written by the example `vectors` alone;
//! here they are read.

pub(crate) mod build;
pub(crate) mod crafted;
mod invalid;
pub(crate) mod json;
mod message_json;
pub(crate) mod messages;
mod payments;
mod refused;
mod sessions;
pub(crate) mod symbols;
pub(crate) mod world;

use hundi_ledger::body::Plaintext;
use hundi_ledger::codec::{self, DecodeError};
use hundi_ledger::id::{Hash, NetworkId, PublicKey, Signature};
use hundi_ledger::record::bulletin::freezes_digest;
use hundi_ledger::record::checkpoint::tag;
use hundi_ledger::record::entry::{Header, Kind, body_hash};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Network;
use hundi_ledger::record::receipt::{STATEMENT_BYTES, Statement};
use hundi_ledger::seal::{self, ContentKey, OpenError, SealingSecret};
use hundi_ledger::sign::{self, KeyError, SecretKey};
use hundi_ledger::trust::{Trust, VerifyError};
use serde_json::Value;

pub(crate) fn file(name: &str) -> Value {
    let path = format!("{}/../docs/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    json::unhex(value).try_into().unwrap()
}

pub(crate) fn network() -> Network {
    Network::decode(&json::unhex(&file("network.json")["bytes"])).unwrap()
}

/// The network's trust with every certificate of the vectors.
pub(crate) fn trust() -> Trust {
    let mut trust = Trust::new(network());
    for (_, certificate) in world::certificates(&network().id()) {
        assert!(trust.insert(certificate));
    }
    trust
}

#[test]
fn files_are_what_the_example_writes() {
    for (name, built) in build::files() {
        assert!(file(name) == built, "{name} differs: the encoding changed, or the file did");
    }
}

#[test]
fn keys_and_network() {
    let keys = file("keys.json");
    for row in rows(&keys["signing"]) {
        let key = SecretKey::from_seed(&array(&row["seed"]));
        assert_eq!(key.public().0, array(&row["public"]));
        assert_eq!(sign::check_key(&key.public()), Ok(()));
    }
    for row in rows(&keys["sealing"]) {
        let key = SealingSecret::from_bytes(&array(&row["secret"]));
        assert_eq!(key.public().0, array(&row["public"]));
    }
    let row = file("network.json");
    assert_eq!(network().id().0, array(&row["id"]));
    assert_eq!(json::definition(network().definition()), row["fields"]);
    assert_eq!(network().encode(), json::unhex(&row["bytes"]));
}

#[test]
fn records_decode_verify_and_encode_again() {
    let (network, trust) = (network().id(), trust());
    let records = file("records.json");
    for row in rows(&records) {
        let name = &row["name"];
        let bytes = json::unhex(&row["item"]);
        let item = Item::decode(&network, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (kind, fields) = json::item(&item);
        assert_eq!((kind, &fields), (row["kind"].as_str().unwrap(), &row["fields"]), "{name}");
        assert_eq!(item.id().0, array(&row["id"]), "{name}");
        assert_eq!(item.encode(), bytes, "{name}");
        trust.verify(item).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let kinds: std::collections::BTreeSet<&str> =
        rows(&records).iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.len(), 8, "one record of every kind at least");
}

#[test]
fn hashes() {
    let (network, file) = (network().id(), file("hashes.json"));
    for row in rows(&file["checkpoint_tags"]) {
        assert_eq!(tag(&array(&row["salt"]), &Hash(array(&row["hash"]))), array(&row["tag"]));
    }
    for row in rows(&file["bodies"]) {
        assert_eq!(body_hash(&network, &json::unhex(&row["body"])).0, array(&row["body_hash"]));
    }
    for row in rows(&file["freezes_digests"]) {
        let mut ids: Vec<Hash> = rows(&row["ids"]).iter().map(|id| Hash(array(id))).collect();
        assert_eq!(freezes_digest(&network, ids.clone()).0, array(&row["digest"]));
        ids.reverse();
        assert_eq!(freezes_digest(&network, ids).0, array(&row["digest"]), "order is no matter");
    }
}

fn header_of(network: &NetworkId, head: &[u8], body: &[u8]) -> Header {
    let bytes = [head, &body_hash(network, body).0].concat();
    codec::decode(&bytes, bytes.len()).unwrap()
}

#[test]
fn sealed_bodies_and_receipts_open() {
    let (network, file) = (network().id(), file("sealing.json"));
    let payee = world::sealing("payee").agree(&world::sealing("payer").public()).unwrap();
    for row in rows(&file["bodies"]) {
        let body = json::unhex(&row["body"]);
        let header = header_of(&network, &json::unhex(&row["head"]), &body);
        let key = ContentKey::from_bytes(array(&row["content_key"]));
        assert_eq!(world::bank_content_key(&network, &header), key, "what the bank derives");
        let opened = seal::open(&network, &header, &body, &key).unwrap();
        assert_eq!(json::plaintext(&opened.plaintext), row["plaintext_fields"]);
        assert_eq!(opened.plaintext.encode(), json::unhex(&row["plaintext"]));
        let as_payee = seal::open_as_payee(&network, &header, &body, &payee);
        if header.kind == Kind::GRANT_REQUEST {
            assert_eq!(as_payee, Err(OpenError::NotForReader));
        } else {
            assert_eq!(as_payee, Ok(opened));
        }
    }
    let bank = world::sealing("bank_1").agree(&world::sealing("payee").public()).unwrap();
    for row in rows(&file["receipts"]) {
        let item = Item::decode(&network, &json::unhex(&row["item"])).unwrap();
        let Item::Receipt(receipt) = item else { panic!("a receipt") };
        let (statement, key) = seal::receipt::open_as_bank(&network, &receipt, &bank).unwrap();
        assert_eq!(json::statement(&statement), row["statement_fields"]);
        assert_eq!(codec::encode(&statement), json::unhex(&row["statement"]));
        assert_eq!(key.to_bytes(), array(&row["content_key"]), "disclosed");
        assert_eq!(seal::receipt::open(&network, &receipt, &key), Some(statement));
    }
    for row in rows(&file["refused_public_keys"]) {
        let key = hundi_ledger::id::SealingKey(array(&row["public"]));
        assert!(world::sealing("payer").agree(&key).is_err(), "{}", row["name"]);
    }
}

#[test]
fn bodies_that_must_not_open() {
    let (network, file) = (network().id(), file("sealing.json"));
    for row in rows(&file["refused_bodies"]) {
        let body = json::unhex(&row["body"]);
        let header = header_of(&network, &json::unhex(&row["head"]), &body);
        let reader = row["reader"].as_str().unwrap();
        let result = if reader == "bank" {
            seal::open(&network, &header, &body, &world::bank_content_key(&network, &header))
        } else {
            let shared = world::sealing(reader).agree(&world::sealing("payer").public()).unwrap();
            seal::open_as_payee(&network, &header, &body, &shared)
        };
        let error = match row["error"].as_str().unwrap() {
            "commitment" => OpenError::Commitment,
            "malformed" => OpenError::Malformed,
            "not for reader" => OpenError::NotForReader,
            other => panic!("{other}"),
        };
        assert_eq!(result, Err(error), "{}", row["name"]);
    }
}

#[test]
fn crafted_signatures_and_keys() {
    let file = file("signatures.json");
    for row in rows(&file["signatures"]) {
        let (key, message) = (PublicKey(array(&row["key"])), Hash(array(&row["message"])));
        let signature = Signature(array(&row["signature"]));
        let valid = row["valid"].as_bool().unwrap();
        let single = sign::verify(&key, &message, &signature);
        assert_eq!(single.is_ok(), valid, "{}, single", row["name"]);
        let batch = sign::verify_batch(&[(key, message, signature)], [7; 32]);
        assert_eq!(batch.is_ok(), valid, "{}, batch", row["name"]);
    }
    for row in rows(&file["keys"]) {
        let verdict = match sign::check_key(&PublicKey(array(&row["key"]))) {
            Ok(()) => "ok",
            Err(KeyError::NotCanonical) => "not canonical",
            Err(KeyError::SmallOrder) => "small order",
            Err(KeyError::Torsion) => "torsion",
        };
        assert_eq!(row["enrolment"], verdict, "{}", row["name"]);
    }
}

fn decode_error(error: DecodeError) -> &'static str {
    match error {
        DecodeError::TooLong => "length",
        DecodeError::NotCanonical => "canonical",
        DecodeError::Version(_) => "version",
        DecodeError::Tag(_) => "tag",
        DecodeError::Rule(_) => "rule",
    }
}

/// The step and error with which `input` is refused; none when it is taken.
fn refusal(trust: &Trust, input: &str, bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let plaintext = |kind| Plaintext::decode(kind, bytes).err();
    let decoded = match input {
        "item" => match Item::decode(&trust.network().id(), bytes) {
            Err(error) => Some(error),
            Ok(item) => {
                let error = match trust.verify(item).err()? {
                    VerifyError::UnknownBank(_) => "bank",
                    VerifyError::UnknownCertificate { .. } => "certificate",
                    VerifyError::Role { .. } => "role",
                    VerifyError::Rule(_) => "time",
                    VerifyError::Signature(_) => "signature",
                };
                return Some(("verify", error));
            }
        },
        "network" => Network::decode(bytes).err(),
        "payment plaintext" => plaintext(Kind::PAYMENT),
        "refund plaintext" => plaintext(Kind::REFUND),
        "grant request plaintext" => plaintext(Kind::GRANT_REQUEST),
        "statement" => codec::decode::<Statement>(bytes, STATEMENT_BYTES).err(),
        other => panic!("{other}"),
    };
    decoded.map(|error| ("decode", decode_error(error)))
}

#[test]
fn what_is_invalid_is_refused_for_its_reason() {
    let trust = trust();
    let file = file("invalid.json");
    assert!(rows(&file).len() > 120);
    for row in rows(&file) {
        let input = row["input"].as_str().unwrap();
        let refused = refusal(&trust, input, &json::unhex(&row["bytes"]));
        let expected = (row["step"].as_str().unwrap(), row["error"].as_str().unwrap());
        assert_eq!(refused, Some(expected), "{}", row["name"]);
    }
}
