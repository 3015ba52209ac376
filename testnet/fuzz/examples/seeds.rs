//! Writes the seeds of every target into the corpus directory given as argument:
//! `cargo run -p hundi-fuzz --example seeds -- testnet/fuzz/corpus`. Files that a fuzzer found
//! stay where they are.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let Some(corpus) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: seeds DIRECTORY");
        std::process::exit(2);
    };
    for (target, seeds) in hundi_fuzz::seeds() {
        let directory = corpus.join(target);
        std::fs::create_dir_all(&directory)?;
        for (at, seed) in seeds.iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{at:02}")), seed)?;
        }
        println!("{target}: {} seeds", seeds.len());
    }
    Ok(())
}
