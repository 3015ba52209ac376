//! A device whose store is larger than what should be in memory: a million entries of a hundred
//! thousand authors. It is opened as the daemon opens it, takes entries, and meets a copy of
//! itself; what counts is how long that takes and what is in memory meanwhile.
//!
//! `device` fills, opens and drives it; `meeting` is the contact. Opening is measured by the
//! clock on the wall; rates are by the thread's own processor time, and singly verified
//! signatures, which applying is compared with, take turns with it in the same run.

mod device;
mod meeting;

use super::Options;
use super::measure::thread_ns;
use super::report::{Report, SESSION_BYTES_MAX};
use super::signer::{BATCH, Shape, Signer};
use crate::demo::Progress;
use crate::process::check_interrupted;
use anyhow::{Context, Result, ensure};
use device::{Device, Work};
use hundi_ledger::record::item::Item;
use hundi_node::engine::limits::PUBLISH_ITEMS_MAX;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;
use std::collections::BTreeSet;

/// What each author holds: ten entries under its two grants.
pub const SHAPE: Shape = Shape { enrolled: true, entries: 10 };
/// The world's seed.
const SEED: u64 = 3;
/// Entries that each author adds where they come grouped.
const GROUP: u32 = 5;
/// Authors that add a group, and authors that add one entry, unless there are too few.
const GROUPED_AUTHORS: usize = 2_000;
const SCATTERED_AUTHORS: usize = 10_000;
/// Authors that differ where the device meets its copy.
const DIFFERENCE: usize = 10;

/// What opening may take, milliseconds.
const OPEN_MS_MAX: u64 = 1_000;
/// What the replica may hold in memory, bytes, bodies being on disk.
const REPLICA_BYTES_MAX: u64 = 64 << 20;
/// Time of applying in hundredths of verifying singly, the highest: 0.9 of the rate.
const APPLY_PERCENT_MAX: u64 = 111;

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Disk {
    /// Authors in the store.
    pub authors: u64,
    /// Entries in the store.
    pub entries: u64,
    /// Bytes of the segment files.
    pub store_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// From nothing to an open store, milliseconds.
    pub store_open_ms: u64,
    /// From nothing to an engine that takes inputs, milliseconds. It is the first start after everything was written,
    /// at which the index reads its whole log.
    pub open_ms: u64,
    /// The same, at the next start.
    pub reopen_ms: u64,
    /// Processor time of it, all threads, milliseconds.
    pub open_cpu_ms: u64,
    /// The most that was in memory while it opened, bytes.
    pub open_peak_bytes: u64,
    /// What the engine holds when it is open, bytes: the replica and nothing else to speak of.
    pub replica_bytes: u64,
    /// The same after it has taken entries, with the authors that it keeps at hand.
    pub replica_working_bytes: u64,
    /// What the open store holds, its cache included, bytes.
    pub store_memory_bytes: u64,
    /// Memory of the whole process when both are open, the bench's own included, bytes.
    pub process_bytes: u64,
    /// The core's digest and a keyed value of it, microseconds.
    pub summarise_us: u64,
    /// Signatures verified singly in a second.
    pub verified_per_second: u64,
    /// Entries decoded, verified and applied in a second where they come grouped by author.
    pub applied_grouped_per_second: u64,
    /// Its share of the rate of verifying, percent.
    pub grouped_percent: u64,
    /// Entries decoded, verified and applied in a second where each is of another author.
    pub applied_scattered_per_second: u64,
    /// Its share of the rate of verifying, percent.
    pub scattered_percent: u64,
    /// Entries made durable in a second, on a thread of its own in a daemon.
    pub stored_per_second: u64,
    /// Bytes that the contact with a copy took, both directions.
    pub contact_bytes: u64,
    /// The most that a session of it held, bytes.
    pub session_bytes: u64,
    /// Of the two, how many do not hold everything after it.
    pub unequal: u64,
}

impl Disk {
    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let kib = |bytes: u64| bytes.div_ceil(1_024);
        vec![
            format!(
                "{} entries of {} authors: {} KiB in segments, {} KiB of index",
                self.entries,
                self.authors,
                kib(self.store_bytes),
                kib(self.index_bytes)
            ),
            format!(
                "open in {} ms, {} of them the store, and again in {} ms; processor {} ms, memory at most {} KiB",
                self.open_ms,
                self.store_open_ms,
                self.reopen_ms,
                self.open_cpu_ms,
                kib(self.open_peak_bytes)
            ),
            format!(
                "memory: replica {} KiB, at work {} KiB; store {} KiB; process {} KiB",
                kib(self.replica_bytes),
                kib(self.replica_working_bytes),
                kib(self.store_memory_bytes),
                kib(self.process_bytes)
            ),
            format!(
                "verified singly {}/s; applied {}/s grouped by author ({} %), {}/s scattered ({} %); \
                 stored {}/s",
                self.verified_per_second,
                self.applied_grouped_per_second,
                self.grouped_percent,
                self.applied_scattered_per_second,
                self.scattered_percent,
                self.stored_per_second
            ),
            format!(
                "digest and value in {} us; {DIFFERENCE} differ: {} bytes, session {} KiB",
                self.summarise_us,
                self.contact_bytes,
                kib(self.session_bytes)
            ),
        ]
    }

    fn expect(&self, report: &mut Report, grouped: &Rate) {
        let mut at_most = |what: &str, measured, limit| {
            report.at_most(format!("{} entries on disk: {what}", self.entries), measured, limit);
        };
        at_most("opening, milliseconds", self.open_ms, OPEN_MS_MAX);
        at_most("memory of the replica, bytes", self.replica_working_bytes, REPLICA_BYTES_MAX);
        let percent = grouped.applied_ns * 100 / grouped.verified_ns.max(1);
        at_most("applying, percent of the time of verifying", percent, APPLY_PERCENT_MAX);
        at_most("memory of a session, bytes", self.session_bytes, SESSION_BYTES_MAX);
        at_most("nodes that lack something after a contact", self.unequal, 0);
    }
}

/// Entries that were verified, and applied by a device, in turns.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    entries: u64,
    verified_ns: u64,
    applied_ns: u64,
    stored_ns: u64,
}

impl Rate {
    fn per_second(&self, ns: u64) -> u64 {
        self.entries * 1_000_000_000 / ns.max(1)
    }

    fn percent(&self) -> u64 {
        self.verified_ns * 100 / self.applied_ns.max(1)
    }
}

/// Measures the device on disk.
///
/// # Errors
/// When a part fails or a person interrupts.
pub(super) fn run(options: &Options, report: &mut Report, progress: &Progress) -> Result<()> {
    let authors = options.authors;
    let dir = tempfile::tempdir().context("cannot make a directory for the store")?;
    let signer = Signer::new(SEED, SHAPE)?;
    progress.say(&format!("filling a store: {authors} authors with {} entries", SHAPE.entries));
    fill(dir.path(), &signer, authors)?;

    let (device, first) = Device::open(dir.path(), &signer)?;
    let stats = device.store_stats()?;
    let replica_bytes = device.close().engine_bytes;
    let (mut device, again) = Device::open(dir.path(), &signer)?;
    let chosen = choose(authors);
    let (grouping, scattering) = chosen.split_at(chosen.len() / 2);
    let grouping = &grouping[..grouping.len().min(GROUPED_AUTHORS)];
    let scattering = &scattering[..scattering.len().min(SCATTERED_AUTHORS)];
    progress.say("verifying and applying");
    let grouped = apply(&mut device, &next_entries(&signer, grouping, GROUP)?)?;
    let scattered = apply(&mut device, &next_entries(&signer, scattering, 1)?)?;
    let from = thread_ns();
    let sums = (device.engine().digest(), device.engine().replica().fingerprint(&[7; 32]));
    let summarise_us = thread_ns().saturating_sub(from) / 1_000;
    ensure!(sums == (device.engine().digest(), device.engine().replica().fingerprint(&[7; 32])));
    let differing = &grouping[..grouping.len().min(DIFFERENCE)];
    let signed = next_entries(&signer, differing, GROUP + 1)?;
    // What comes after the entries that were applied.
    let fresh: Vec<_> =
        signed.into_iter().skip(GROUP as usize).step_by(GROUP as usize + 1).collect();
    let met = meeting::meet(&device, &fresh)?;
    let closed = device.close();

    let disk = Disk {
        authors: authors as u64,
        entries: authors as u64 * u64::from(SHAPE.entries),
        store_bytes: stats.segment_bytes,
        index_bytes: stats.index_bytes,
        store_open_ms: first.store_ms,
        open_ms: first.open_ms,
        reopen_ms: again.open_ms,
        open_cpu_ms: first.cpu_ms,
        open_peak_bytes: first.peak_bytes,
        replica_bytes,
        replica_working_bytes: closed.engine_bytes,
        store_memory_bytes: closed.store_bytes,
        process_bytes: first.process_bytes,
        summarise_us,
        verified_per_second: grouped.per_second(grouped.verified_ns),
        applied_grouped_per_second: grouped.per_second(grouped.applied_ns),
        grouped_percent: grouped.percent(),
        applied_scattered_per_second: scattered.per_second(scattered.applied_ns),
        scattered_percent: scattered.percent(),
        stored_per_second: grouped.per_second(grouped.stored_ns),
        contact_bytes: met.bytes,
        session_bytes: met.session_bytes,
        unequal: met.unequal,
    };
    disk.lines().iter().for_each(|line| progress.say(line));
    disk.expect(report, &grouped);
    report.disk = Some(disk);
    Ok(())
}

/// Signs the world and has a device take it: the banks' records, then every author's items in an
/// order in which they can be taken, as many at once as a command takes.
fn fill(dir: &std::path::Path, signer: &Signer, authors: usize) -> Result<()> {
    let (mut device, _) = Device::open(dir, signer)?;
    device.publish(signer.bank_items()?.to_vec())?;
    for first in (0..authors).step_by(BATCH) {
        let signed = signer.sign(first..authors.min(first + BATCH))?;
        let pieces = signed.into_iter().flat_map(|(_, items)| items);
        let items: Vec<Vec<u8>> = pieces.map(|(piece, _)| piece.bytes).collect();
        for items in items.chunks(PUBLISH_ITEMS_MAX) {
            check_interrupted()?;
            device.publish(items.to_vec())?;
        }
    }
    Ok(())
}

/// The numbers of authors that add entries, each once: all of them, or as many as are needed.
fn choose(authors: usize) -> Vec<usize> {
    let mut dice = ChaCha8Rng::seed_from_u64(SEED);
    let wanted = authors.min(2 * SCATTERED_AUTHORS);
    let (mut seen, mut chosen) = (BTreeSet::new(), Vec::with_capacity(wanted));
    while chosen.len() < wanted {
        let number = usize::try_from(dice.next_u64() % authors as u64).unwrap_or(0);
        if seen.insert(number) {
            chosen.push(number);
        }
    }
    chosen
}

/// What these authors sign next, author by author, encoded.
fn next_entries(signer: &Signer, numbers: &[usize], each: u32) -> Result<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    for number in numbers {
        let (mut writer, _) = signer.author(*number)?;
        for _ in 0..each {
            let time = writer.time + 60;
            entries.push(signer.pay(&mut writer, time)?.0.bytes);
        }
    }
    Ok(entries)
}

/// Verifies and applies, in turns.
fn apply(device: &mut Device, fresh: &[Vec<u8>]) -> Result<Rate> {
    let network = device.engine().replica().network();
    let mut rate = Rate { entries: fresh.len() as u64, ..Rate::default() };
    for items in fresh.chunks(PUBLISH_ITEMS_MAX) {
        check_interrupted()?;
        let mut entries = Vec::with_capacity(items.len());
        for bytes in items {
            if let Item::Entry(entry) = Item::decode(&network, bytes)? {
                entries.push(entry);
            }
        }
        let from = thread_ns();
        for entry in entries {
            entry.verify()?;
        }
        rate.verified_ns += thread_ns().saturating_sub(from);
        let Work { applied_ns, stored_ns } = device.publish(items.to_vec())?;
        rate.applied_ns += applied_ns;
        rate.stored_ns += stored_ns;
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::world::World;

    #[test]
    fn the_store_holds_the_world_and_opens_as_it_was() {
        let shape = Shape { entries: 3, ..SHAPE };
        let world = World::new(9, 30, shape).unwrap();
        let signer = Signer::new(9, shape).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), &signer, 30).unwrap();
        let (mut device, _) = Device::open(dir.path(), &signer).unwrap();
        assert_eq!(device.engine().digest(), world.base.replica.digest());
        assert_eq!(device.engine().status().entries, 90);
        let numbers: Vec<usize> = (0..20).collect();
        let rate = apply(&mut device, &next_entries(&signer, &numbers, 2).unwrap()).unwrap();
        assert_eq!(rate.entries, 40);
        assert!(rate.verified_ns > 0 && rate.applied_ns > 0);
        assert_eq!(device.engine().status().entries, 130);
        let others: Vec<usize> = (20..30).collect();
        let met = meeting::meet(&device, &next_entries(&signer, &others, 1).unwrap()).unwrap();
        assert_eq!(met.unequal, 0);
        assert!(met.bytes > 0);
    }

    #[test]
    fn every_author_is_chosen_once() {
        let mut chosen = choose(500);
        chosen.sort_unstable();
        assert_eq!(chosen, (0..500).collect::<Vec<_>>());
    }
}
