//! The file of `docs/vectors` about Bluetooth against the code. It is written by the example
//! `ble_vectors` alone; here it is read.

mod build;

use data_encoding::HEXLOWER;
use hundi_transports::ble::{advertisement, fragment, hint, info};
use serde_json::Value;

fn file() -> Value {
    let path = format!("{}/../docs/vectors/{}", env!("CARGO_MANIFEST_DIR"), build::NAME);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn rows<'a>(file: &'a Value, name: &str) -> &'a [Value] {
    file[name].as_array().unwrap()
}

#[test]
fn the_file_is_what_the_example_writes() {
    assert!(file() == build::file(), "ble.json differs: the encoding changed, or the file did");
}

#[test]
fn what_the_file_shows_decodes_and_what_it_refuses_does_not() {
    let file = file();
    for row in rows(&file, "fragments") {
        let encoded = bytes(&row["bytes"]);
        assert_eq!(fragment::decode(&encoded).unwrap().encode(), encoded);
    }
    for row in rows(&file, "refused_fragments") {
        assert!(fragment::decode(&bytes(&row["bytes"])).is_err(), "{row}");
    }
    for row in rows(&file, "advertisements") {
        let sighting = advertisement::decode(&bytes(&row["bytes"]));
        assert!(sighting.beacon.is_some() || sighting.services.len() == 1, "{row}");
    }
    for row in rows(&file, "infos") {
        let decoded = info::decode(&bytes(&row["bytes"])).unwrap();
        assert_eq!(decoded.psm.map(u64::from), row["psm"].as_u64());
    }
    for row in rows(&file, "hints") {
        let decoded = hint::decode(row["text"].as_str().unwrap()).unwrap();
        assert_eq!(decoded.key.to_vec(), bytes(&row["key"]));
    }
    for row in rows(&file, "refused_hints") {
        assert!(hint::decode(row["text"].as_str().unwrap()).is_err(), "{row}");
    }
    for row in rows(&file, "exchanges") {
        let events = row["events"].as_array().unwrap();
        let ups: Vec<&Value> = events.iter().filter(|event| !event["up"].is_null()).collect();
        assert_eq!((ups.len(), &ups[0]["up"]), (2, &ups[1]["up"]), "both ends agree");
    }
}
