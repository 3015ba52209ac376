//! Power cuts under load, of a device's store and of a bank's: a writer says what it has begun and
//! what is durable, the power goes, and when it is back everything acknowledged must be there,
//! every batch whole, every store open. Two thirds of the cuts fall between the moment when a batch
//! is in the store and its acknowledgement, because the writer is held there; the rest fall
//! wherever it is. Without the barrier the same rig must find losses, or it sees nothing.

mod books;
mod contents;
mod device;
pub mod report;
pub mod writer;

use crate::demo::Progress;
use crate::disk::Disk;
use crate::process::check_interrupted;
use anyhow::{Context, Result};
use clap::ValueEnum;
use contents::{Failure, Model};
use hundi_node::store::IndexState;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use report::{Counts, Report};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use writer::{Hold, Said, Writer, WriterOptions};

/// Bytes of a disk.
const DISK_BYTES: u64 = 96 << 20;
/// Cuts that one store lives through before a new one begins: creating one is cut as well, and what
/// a cut must be compared with stays short.
const CUTS_PER_STORE: u64 = 12;
/// Batches before a cut, at most.
const BATCHES_MAX: u64 = 60;
/// Batches before a cut without the barrier: enough that some of them must be lost.
const BATCHES_WITHOUT_BARRIER: u64 = 100;

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// A device's.
    Node,
    /// A bank's.
    Journal,
}

impl StoreKind {
    fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Journal => "journal",
        }
    }
}

/// How the rig runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Power cuts of each store.
    pub cuts: u64,
    /// Chooses the instants.
    pub seed: u64,
    /// Whether the stores make anything durable.
    pub barrier: bool,
}

/// Cuts the power of both stores as often as the options say.
///
/// # Errors
/// When the machine lacks what the rig needs, or a person interrupts. What the stores do wrong is
/// in the report.
pub fn run(options: &Options) -> Result<Report> {
    let progress = Progress::new(Instant::now());
    let node = cut_often(StoreKind::Node, options, &progress)?;
    let journal = cut_often(StoreKind::Journal, options, &progress)?;
    let elapsed_ms = progress.elapsed_ms();
    Ok(Report { seed: options.seed, barrier: options.barrier, node, journal, elapsed_ms })
}

fn cut_often(kind: StoreKind, options: &Options, progress: &Progress) -> Result<Counts> {
    progress.say(&format!("{} power cuts of the {} store", options.cuts, kind.word()));
    let mut dice = ChaCha8Rng::seed_from_u64(options.seed);
    let mut counts = Counts::default();
    let mut rig = Rig::new(kind)?;
    for round in 0..options.cuts {
        check_interrupted()?;
        if round > 0 && (round.is_multiple_of(CUTS_PER_STORE) || !options.barrier) {
            rig = Rig::new(kind)?;
        }
        if !options.barrier {
            rig.write_durably()?;
        }
        let verdict = rig.cut(round, options.barrier, &mut dice, &mut counts)?;
        if let Err(failure) = verdict {
            let line = format!("{} store, cut {}: {failure}", kind.word(), round + 1);
            progress.say(&line);
            counts.note(&failure, line);
            // What it holds is no measure for the cuts to come, and is for somebody to look at.
            let failed = std::mem::replace(&mut rig, Rig::new(kind)?);
            if options.barrier {
                progress.say(&format!("its disk is kept in {}", failed.keep().display()));
            }
        }
    }
    Ok(counts)
}

/// A disk, the store on it, and what must be in that store.
struct Rig {
    kind: StoreKind,
    // Unmounted before its directory goes.
    disk: Disk,
    dir: tempfile::TempDir,
    model: Box<dyn Model>,
}

impl Rig {
    fn new(kind: StoreKind) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("hundi-power-cut-").tempdir();
        let dir = dir.context("cannot make a temporary directory")?;
        let disk = Disk::make(dir.path(), DISK_BYTES)?;
        Ok(Self { kind, disk, dir, model: model(kind)? })
    }

    /// Writes some batches that are durable: what is not synced after them must be missed, and not
    /// only be a store that never came to be.
    fn write_durably(&mut self) -> Result<()> {
        let (dir, hold) = (self.store_dir(), None);
        let options = WriterOptions { store: self.kind, dir: dir.clone(), barrier: true, hold };
        let mut writer = Writer::start(&options, self.model.done())?;
        writer.hear_acknowledged(BATCHES_MAX);
        let said = writer.kill()?;
        self.model.verify(&dir, &said).context("a store whose power was not cut")?;
        Ok(())
    }

    fn store_dir(&self) -> PathBuf {
        self.disk.root().join("store")
    }

    /// Leaves the image of its disk.
    fn keep(self) -> PathBuf {
        drop(self.disk);
        self.dir.keep()
    }

    /// One cut: has a writer write, cuts, and looks at what is there when the power is back.
    fn cut(
        &mut self,
        round: u64,
        barrier: bool,
        dice: &mut ChaCha8Rng,
        counts: &mut Counts,
    ) -> Result<Result<(), Failure>> {
        let times = 1 + dice.next_u64() % BATCHES_MAX;
        let hold = match round % 3 {
            _ if !barrier => None,
            0 => None,
            1 => Some(Hold::before_index(times)),
            _ => Some(Hold::before_barrier(times)),
        };
        let dir = self.store_dir();
        let options = WriterOptions { store: self.kind, dir: dir.clone(), barrier, hold };
        let cutter = self.disk.cutter()?;
        let mut writer = Writer::start(&options, self.model.done())?;
        match hold {
            None if barrier => {
                writer.hear_acknowledged(times);
                // Anywhere in the batch that follows.
                std::thread::sleep(Duration::from_micros(dice.next_u64() % 3_000));
            }
            None => writer.hear_acknowledged(BATCHES_WITHOUT_BARRIER),
            Some(_) => while !writer.said.held && writer.hear() {},
        }
        // After the cut a writer that runs on must fail; before it, it must not.
        let failed = writer.said.failed.clone();
        cutter.cut()?;
        let said = writer.kill()?;
        counts.cut(&said, hold);
        self.disk.reboot()?;
        if let Some(reason) = failed {
            return Ok(Err(Failure::Contradiction(format!("the writer failed: {reason}"))));
        }
        Ok(self.look(&dir, &said, counts))
    }

    /// What is there now, compared with what was said.
    fn look(&mut self, dir: &Path, said: &Said, counts: &mut Counts) -> Result<(), Failure> {
        let before = self.model.done();
        let found = self.model.verify(dir, said)?;
        counts.batches += found.done - before;
        counts.unacknowledged_found += u64::from(found.done > said.acknowledged);
        counts.torn_tails += u64::from(found.opened.torn_bytes > 0);
        match found.opened.index {
            IndexState::Fresh => {}
            IndexState::Replayed { .. } => counts.indexes_caught_up += 1,
            IndexState::Rebuilt { .. } => counts.indexes_rebuilt += 1,
        }
        Ok(())
    }
}

fn model(kind: StoreKind) -> Result<Box<dyn Model>> {
    Ok(match kind {
        StoreKind::Node => Box::new(device::Expected::default()),
        StoreKind::Journal => Box::new(books::Expected::new()?),
    })
}
