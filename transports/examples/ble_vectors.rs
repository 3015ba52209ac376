//! Writes the test vectors of Bluetooth into the directory given as argument:
//! `cargo run -p hundi-transports --example ble_vectors -- docs/vectors`.
//!
//! The test `ble_vectors` of this crate fails when the file differs from what this writes.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/it/ble_vectors/build.rs"]
mod build;

fn main() {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: ble_vectors DIRECTORY");
        std::process::exit(2);
    };
    let text = serde_json::to_string_pretty(&build::file()).unwrap() + "\n";
    std::fs::write(std::path::PathBuf::from(directory).join(build::NAME), text).unwrap();
    println!("{}", build::NAME);
}
