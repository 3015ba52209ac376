//! The auditor against the test vectors of the protocol: what it reads is what they say, and it
//! refuses what they say must be refused, for that reason.
#![allow(clippy::unwrap_used, missing_docs)]

mod held;
mod json;
mod run;
mod sync;
mod valid;

use data_encoding::HEXLOWER;
use hundi_auditor::Refused;
use hundi_auditor::records::{Certificate, Item, Network, Record, Statement};
use hundi_auditor::sealing::{self, Closed, Plaintext, Sealed};
use hundi_auditor::signatures::{self, Unverified};
use serde_json::Value;

fn file(name: &str) -> Value {
    let path = format!("{}/../../docs/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn network() -> Network {
    Network::read(&bytes(&file("network.json")["bytes"])).unwrap()
}

/// The certificates of the vectors, verified under the roots.
fn certificates(network: &Network) -> Vec<Certificate> {
    let records = file("records.json");
    let held: Vec<Certificate> = rows(&records)
        .iter()
        .map(|row| Item::read(&network.id, &bytes(&row["item"])).unwrap())
        .filter(|item| signatures::verify(network, &[], item).is_ok())
        .filter_map(|item| match item.record {
            Record::Certificate(record) => Some(record),
            _ => None,
        })
        .collect();
    assert_eq!(held.len(), 4);
    held
}

/// The secret of that name in `keys.json`.
fn sealing_secret(name: &str) -> [u8; 32] {
    let keys = file("keys.json");
    let row = rows(&keys["sealing"]).iter().find(|row| row["name"] == name).unwrap();
    array(&row["secret"])
}

fn sealing_public(name: &str) -> [u8; 32] {
    let keys = file("keys.json");
    let row = rows(&keys["sealing"]).iter().find(|row| row["name"] == name).unwrap();
    array(&row["public"])
}

fn sealed_kind(number: u64) -> Sealed {
    match number {
        1 => Sealed::Payment,
        2 => Sealed::Refund,
        3 => Sealed::GrantRequest,
        other => panic!("kind {other}"),
    }
}

fn name_of(refused: Refused) -> &'static str {
    match refused {
        Refused::Length => "length",
        Refused::Canonical => "canonical",
        Refused::Version => "version",
        Refused::Tag => "tag",
        Refused::Rule(_) => "rule",
    }
}

#[test]
fn what_is_invalid_is_refused_for_its_reason() {
    let network = network();
    let certificates = certificates(&network);
    let file = file("invalid.json");
    for row in rows(&file) {
        let given = bytes(&row["bytes"]);
        let plaintext = |kind| Plaintext::read(kind, &given).err();
        let refused = match row["input"].as_str().unwrap() {
            "item" => match Item::read(&network.id, &given) {
                Err(refused) => Some(refused),
                Ok(item) => {
                    let error = match signatures::verify(&network, &certificates, &item) {
                        Err(Unverified::Bank) => "bank",
                        Err(Unverified::Certificate) => "certificate",
                        Err(Unverified::Role) => "role",
                        Err(Unverified::Time) => "time",
                        Err(Unverified::Signature) => "signature",
                        Ok(()) => panic!("taken: {}", row["name"]),
                    };
                    assert_eq!(row["step"], "verify", "{}", row["name"]);
                    assert_eq!(row["error"], error, "{}", row["name"]);
                    continue;
                }
            },
            "network" => Network::read(&given).err(),
            "payment plaintext" => plaintext(Sealed::Payment),
            "refund plaintext" => plaintext(Sealed::Refund),
            "grant request plaintext" => plaintext(Sealed::GrantRequest),
            "statement" => Statement::read(&given).err(),
            other => panic!("{other}"),
        };
        assert_eq!(row["step"], "decode", "{}", row["name"]);
        let refused = refused.unwrap_or_else(|| panic!("taken: {}", row["name"]));
        assert_eq!(row["error"], name_of(refused), "{}", row["name"]);
    }
}

#[test]
fn signatures_have_the_verdict_of_the_file() {
    let file = file("signatures.json");
    for row in rows(&file["signatures"]) {
        let holds = signatures::holds(
            &array(&row["key"]),
            &array(&row["message"]),
            &array(&row["signature"]),
        );
        assert_eq!(row["valid"], holds, "{}", row["name"]);
    }
}

#[test]
fn bodies_that_must_not_open() {
    let network = network();
    let file = file("sealing.json");
    for row in rows(&file["refused_bodies"]) {
        let (head, body) = (bytes(&row["head"]), bytes(&row["body"]));
        let payer = sealing_public("payer");
        let result = match row["reader"].as_str().unwrap() {
            "bank" => {
                let shared = sealing::agree(&sealing_secret("bank_1"), &payer).unwrap();
                let key = sealing::content_key(&network.id, &shared, &head);
                sealing::open(&network.id, Sealed::Payment, &head, &body, &key)
            }
            reader => {
                let shared = sealing::agree(&sealing_secret(reader), &payer).unwrap();
                sealing::open_as_payee(&network.id, Sealed::Payment, &head, &body, &shared)
            }
        };
        let error = match result.unwrap_err() {
            Closed::Malformed => "malformed",
            Closed::NotForReader => "not for reader",
            Closed::Commitment => "commitment",
            Closed::Nothing(_) => "nothing",
        };
        assert_eq!(row["error"], error, "{}", row["name"]);
    }
    for row in rows(&file["refused_public_keys"]) {
        let shared = sealing::agree(&sealing_secret("payer"), &array(&row["public"]));
        assert_eq!(shared, None, "{}", row["name"]);
    }
}
