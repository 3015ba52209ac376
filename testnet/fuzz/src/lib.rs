//! Judges: what must hold for any bytes that a peer, a file or a person can present.
//!
//! Every target is a function from bytes that panics when a law is broken: decoding never panics,
//! what decodes encodes to the same bytes, replicas that have seen the same items are equal. The
//! binary `fuzz` drives one of them with libFuzzer (`run.sh TARGET SECONDS`); the tests here replay
//! the corpus without it. The target `canary` must fail, to show that the net catches.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod engine;
mod links;
mod meeting;
mod records;
mod replica;
mod seeds;
mod session;
mod store;
mod symbols;
mod world;

pub use seeds::seeds;

/// A target: takes any bytes, panics if a law is broken.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("item", records::item),
    ("network", records::network),
    ("proof", records::proof),
    ("entry", records::entry),
    ("plaintext", records::plaintext),
    ("receipt", records::receipt),
    ("offer", records::offer),
    ("request", records::request),
    ("replica", replica::replica),
    ("session", session::session),
    ("engine", engine::engine),
    ("frame", links::frame),
    ("signal", links::signal),
    ("container", links::container),
    ("channel", links::channel),
    ("opening", links::opening),
    ("ble", links::ble),
    ("store", store::store),
    ("canary", canary),
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// Fails on purpose, but only for bytes that a fuzzer must learn one after the other.
fn canary(bytes: &[u8]) {
    if let [b'h', b'u', b'n', b'd', b'i', ..] = bytes {
        panic!("the canary sings");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    #[test]
    fn every_target_replays_its_corpus() {
        for (name, target) in TARGETS {
            let files = corpus(name);
            println!("{name}: {} inputs", files.len());
            assert!(!files.is_empty(), "{name} has no corpus");
            target(&[]);
            for (path, bytes) in files {
                let held = std::panic::catch_unwind(|| target(&bytes));
                assert!(held.is_ok(), "{} breaks a law", path.display());
            }
        }
    }

    /// Every message of a session is taken somewhere, *more* also with a sketch.
    #[test]
    fn the_corpus_reaches_every_message_of_a_session() {
        let mut reached = meeting::Reached::new();
        for (_, bytes) in corpus("session") {
            for (tag, count) in session::drive(&bytes) {
                *reached.entry(tag).or_default() += count;
            }
        }
        println!("messages taken, by tag: {reached:?}");
        for tag in (1..=15).chain([meeting::SKETCHED]) {
            assert!(reached.get(&tag).is_some_and(|count| *count > 0), "tag {tag}: {reached:?}");
        }
    }

    /// The dictionary of the target has the tags that mutation does not find.
    #[test]
    fn the_dictionary_has_the_extreme_tags() {
        let dictionary = include_str!("../session.dict");
        for tag in symbols::EXTREME_TAGS {
            let bytes = tag.to_le_bytes();
            let bytes: String = bytes[..5].iter().map(|byte| format!("\\x{byte:02x}")).collect();
            let line = format!("\"{bytes}\"");
            assert!(dictionary.lines().any(|known| known == line), "{tag}: {line}");
        }
    }

    #[test]
    fn the_canary_sings() {
        assert!(std::panic::catch_unwind(|| canary(b"hundi")).is_err());
        canary(b"hund");
    }

    #[test]
    fn the_corpus_is_small() {
        let sizes: Vec<usize> = TARGETS
            .iter()
            .flat_map(|(name, _)| corpus(name))
            .map(|(_, bytes)| bytes.len())
            .collect();
        assert!(sizes.len() <= 240 && sizes.iter().sum::<usize>() <= 500_000);
    }
}
