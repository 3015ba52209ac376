//! What the machine can do at most: how many signatures all cores verify in a second, singly and in
//! batches, of the same entries that the bank then settles; and how often in a second a disk says
//! that four more kilobytes are durable.
//!
//! It is measured in rounds, in turns with the rest of the bench: machines are not equally fast at
//! different times.

use super::world::{Claim, World};
use crate::bench::measure::thread_ns;
use crate::process::check_interrupted;
use anyhow::{Context, Result, anyhow};
use hundi_ledger::sign::{verify, verify_batch};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Signatures of one batch.
const BATCHES: [usize; 5] = [512, 1_024, 2_048, 4_096, 8_192];
/// Entries that a round verifies singly.
const SINGLES: usize = 4_096;
/// Entries that it verifies in batches of each size.
const BATCHED: usize = 16_384;
/// Entries that a thread takes at once to verify them singly.
const SINGLES_AT_ONCE: usize = 64;
/// Bytes of one append.
const APPEND_BYTES: usize = 4_096;
/// How long a round appends.
const APPEND_TIME: Duration = Duration::from_millis(400);

/// Verifications by all cores together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    /// In a second.
    pub per_s: u64,
    /// Processor time of each, nanoseconds.
    pub cpu_ns: u64,
}

/// One round.
#[derive(Clone, Debug)]
pub struct Round {
    single: Rate,
    batched: Vec<(usize, Rate)>,
    fsync_per_s: u64,
}

impl Round {
    /// Verifies and appends; `dir` is on the disk that the engine uses.
    ///
    /// # Errors
    /// When a signature does not hold, or the disk refuses.
    pub fn measure(world: &World, dir: &Path) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let singles = &world.claims[..world.claims.len().min(SINGLES)];
        let parts: Vec<&[Claim]> = singles.chunks(SINGLES_AT_ONCE).collect();
        let single = on_all_cores(cores, &parts, |part| {
            part.iter().all(|(key, id, signature)| verify(key, id, signature).is_ok())
        })?;
        let claims = &world.claims[..world.claims.len().min(BATCHED)];
        // Every core has a batch at least, however few entries there are.
        let largest = (claims.len() / cores).max(1);
        let sizes = BATCHES.into_iter().filter(|size| *size <= largest);
        let sizes = if largest < BATCHES[0] { vec![largest] } else { sizes.collect() };
        let mut batched = Vec::new();
        for size in sizes {
            let whole = claims.chunks_exact(size);
            // The engine sorts as well: the equation shares work between signatures of one key.
            let parts: Vec<Vec<Claim>> = whole
                .map(|part| {
                    let mut part = part.to_vec();
                    part.sort_unstable_by_key(|(key, ..)| *key);
                    part
                })
                .collect();
            let parts: Vec<&[Claim]> = parts.iter().map(Vec::as_slice).collect();
            let rate = on_all_cores(cores, &parts, |part| verify_batch(part, [7; 32]).is_ok())?;
            batched.push((size, rate));
        }
        Ok(Self { single, batched, fsync_per_s: appends(dir)? })
    }
}

/// Has threads, one on each core, take parts until there are none.
fn on_all_cores(
    cores: usize,
    parts: &[&[Claim]],
    holds: impl Fn(&[Claim]) -> bool + Sync,
) -> Result<Rate> {
    check_interrupted()?;
    let (next, start) = (AtomicUsize::new(0), Barrier::new(cores + 1));
    let work = || {
        start.wait();
        let from = thread_ns();
        let mut all = true;
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            all &= holds(part);
        }
        all.then_some(thread_ns().saturating_sub(from))
    };
    let (cpu_ns, wall_ns) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        start.wait();
        let from = Instant::now();
        let cpu_ns: Option<Vec<u64>> =
            workers.into_iter().map(|worker| worker.join().ok().flatten()).collect();
        (cpu_ns, from.elapsed().as_nanos())
    });
    let cpu_ns: u64 =
        cpu_ns.ok_or_else(|| anyhow!("a signature of the bench does not hold"))?.iter().sum();
    let count = parts.iter().map(|part| part.len()).sum::<usize>() as u64;
    let per_s = u128::from(count) * 1_000_000_000 / wall_ns.max(1);
    Ok(Rate { per_s: u64::try_from(per_s)?, cpu_ns: cpu_ns / count.max(1) })
}

/// Durable appends in a second.
fn appends(dir: &Path) -> Result<u64> {
    let path = dir.join("appended");
    let mut file = File::create(&path).with_context(|| format!("cannot make {path:?}"))?;
    let block = [0x5a; APPEND_BYTES];
    let from = Instant::now();
    let mut count = 0_u128;
    while from.elapsed() < APPEND_TIME {
        file.write_all(&block).and_then(|()| file.sync_data()).context("an append")?;
        count += 1;
    }
    let per_s = count * 1_000_000_000 / from.elapsed().as_nanos().max(1);
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {path:?}"))?;
    Ok(u64::try_from(per_s)?)
}

/// The middle of all rounds.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    /// Rounds.
    pub rounds: u64,
    /// One signature after the other.
    pub single: Rate,
    /// In batches of the size that was fastest.
    pub batched: Rate,
    /// That size.
    pub batch: u64,
    /// Durable appends in a second.
    pub fsync_per_s: u64,
}

impl Ceiling {
    /// Of these rounds; none of none.
    pub fn of(rounds: &[Round]) -> Option<Self> {
        let rate = |pick: &dyn Fn(&Round) -> Rate| Rate {
            per_s: middle(rounds.iter().map(|round| pick(round).per_s)),
            cpu_ns: middle(rounds.iter().map(|round| pick(round).cpu_ns)),
        };
        let sizes = rounds.first()?.batched.iter().enumerate();
        let batched = sizes.map(|(at, (size, _))| (rate(&|round| round.batched[at].1), *size));
        let (batched, batch) = batched.max_by_key(|(rate, _)| rate.per_s)?;
        Some(Self {
            rounds: rounds.len() as u64,
            single: rate(&|round| round.single),
            batched,
            batch: batch as u64,
            fsync_per_s: middle(rounds.iter().map(|round| round.fsync_per_s)),
        })
    }
}

fn middle(values: impl Iterator<Item = u64>) -> u64 {
    crate::bench::measure::Spread::of(values).p50
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_round_counts_and_the_fastest_batch() {
        let rate = |per_s| Rate { per_s, cpu_ns: 1_000_000 / per_s };
        let round = |per_s: u64| Round {
            single: rate(per_s),
            batched: vec![(512, rate(2 * per_s)), (1_024, rate(3 * per_s)), (2_048, rate(per_s))],
            fsync_per_s: per_s / 10,
        };
        let ceiling = Ceiling::of(&[round(900), round(100), round(300)]).unwrap();
        assert_eq!((ceiling.single.per_s, ceiling.batched.per_s), (300, 900));
        assert_eq!((ceiling.batch, ceiling.fsync_per_s, ceiling.rounds), (1_024, 30, 3));
        assert!(Ceiling::of(&[]).is_none());
    }
}
