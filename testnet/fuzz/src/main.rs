//! Drives the target named by `HUNDI_FUZZ_TARGET` with libFuzzer. Use `run.sh`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

fn chosen() -> hundi_fuzz::Target {
    static CHOSEN: OnceLock<hundi_fuzz::Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("HUNDI_FUZZ_TARGET").unwrap_or_default();
        hundi_fuzz::target(&name).unwrap_or_else(|| {
            let names: Vec<&str> = hundi_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
            eprintln!("HUNDI_FUZZ_TARGET must be one of {}", names.join(", "));
            std::process::exit(2);
        })
    })
}

fuzz_target!(|bytes: &[u8]| chosen()(bytes));
