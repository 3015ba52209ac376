//! Measures the device's store in the directory given: durable commits, batches, space, reopening, rebuilding.
//! `cargo run -p hundi-node --example store_figures -- DIRECTORY [ITEMS]`

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use hundi_node::store::{Barrier, Store, StoreOptions, Write};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().context("name a directory that may be filled")?);
    let items: u64 = arguments.next().map_or(Ok(200_000), |items| items.parse())?;

    let (store, _) = Store::open(&dir.join("single"), StoreOptions::default())?;
    let started = Instant::now();
    for n in 0..2_000 {
        store.commit(&[put(n, items)])?;
    }
    report("durable commits of one item", 2_000, started);
    let started = Instant::now();
    for round in 0..500 {
        let batch: Vec<_> = (0..100).map(|n| put(2_000 + round * 100 + n, items)).collect();
        store.commit(&batch)?;
    }
    report("durable puts in batches of 100", 50_000, started);
    drop(store);

    // Filled without the barrier: space is the same, and the disk's speed was measured above.
    let full = dir.join("full");
    let options = || StoreOptions { barrier: Barrier::Off, ..StoreOptions::default() };
    let (store, _) = Store::open(&full, options())?;
    let started = Instant::now();
    for first in (0..items).step_by(100) {
        let batch: Vec<_> = (first..items.min(first + 100)).map(|n| put(n, items)).collect();
        store.commit(&batch)?;
    }
    report("puts in batches of 100 without the barrier", items, started);
    drop(store);
    let started = Instant::now();
    let (store, opened) = Store::open(&full, StoreOptions::default())?;
    println!("reopened in {:?} ({:?})", started.elapsed(), opened.index);
    println!("memory {}", resident()?);
    let stats = store.stats()?;
    println!("{stats:?}");
    println!(
        "per item: {} bytes in segments, {} in the index",
        stats.segment_bytes / stats.items,
        disk_bytes(&full.join("index"))? / stats.items
    );
    let started = Instant::now();
    let mut bytes = 0;
    store.for_each(|_, _, value| bytes += value.len())?;
    report("items read in disk order", items, started);
    let started = Instant::now();
    for n in (0..items).step_by(17) {
        let Write::Put { subject, key, .. } = put(n, items) else { continue };
        store.get(&subject, &key)?.context("an item is missing")?;
    }
    report("items read by key", items / 17, started);
    let started = Instant::now();
    let check = store.check()?;
    println!("checked in {:?}, {} findings", started.elapsed(), check.findings_total);
    drop(store);
    std::fs::remove_dir_all(full.join("index"))?;
    let started = Instant::now();
    let (_store, opened) = Store::open(&full, StoreOptions::default())?;
    println!("index rebuilt in {:?} ({:?})", started.elapsed(), opened.index);
    println!("rebuilt index: {} bytes", disk_bytes(&full.join("index"))?);
    Ok(())
}

/// Item `n` of `items`: 256 bytes under a 32-byte key, ten items to a 34-byte subject, in an order that mixes them.
fn put(n: u64, items: u64) -> Write {
    let subject = spread(n % (items / 10).max(1), 34);
    Write::Put { subject, key: spread(n, 32), value: spread(n, 256) }
}

fn spread(n: u64, bytes: usize) -> Vec<u8> {
    let mut number = n;
    let words = std::iter::repeat_with(|| {
        number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        (number ^ number >> 29).to_be_bytes()
    });
    words.flatten().take(bytes).collect()
}

fn report(what: &str, count: u64, started: Instant) {
    let elapsed = started.elapsed();
    let per_second = u128::from(count) * 1_000_000 / elapsed.as_micros().max(1);
    println!("{what}: {per_second}/s ({count} in {elapsed:?})");
}

fn disk_bytes(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

fn resident() -> anyhow::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    Ok(line.to_owned())
}
