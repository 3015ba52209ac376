//! Writes the test vectors into the directory given as argument:
//! `cargo run -p hundi-ledger --example vectors -- docs/vectors`.
//!
//! The test `vectors` of this crate fails when the files differ from what this writes, so a change
//! of the encoding is seen in review as a change of the files.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

#[path = "../tests/it/vectors/build.rs"]
mod build;
#[path = "../tests/it/vectors/crafted.rs"]
mod crafted;
#[path = "../tests/it/vectors/invalid.rs"]
mod invalid;
#[path = "../tests/it/vectors/json.rs"]
mod json;
#[path = "../tests/it/vectors/message_json.rs"]
mod message_json;
#[path = "../tests/it/vectors/messages.rs"]
mod messages;
#[path = "../tests/it/vectors/payments.rs"]
mod payments;
#[path = "../tests/it/vectors/refused.rs"]
mod refused;
#[path = "../tests/it/vectors/sessions.rs"]
mod sessions;
#[path = "../tests/it/vectors/symbols.rs"]
mod symbols;
#[path = "../tests/it/vectors/world.rs"]
mod world;

fn main() {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: vectors DIRECTORY");
        std::process::exit(2);
    };
    let directory = std::path::PathBuf::from(directory);
    for (name, value) in build::files() {
        let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
        std::fs::write(directory.join(name), text).unwrap();
        println!("{name}");
    }
}
