//! A device that is driven as the daemon drives it, on one thread: an engine, and a store behind
//! it that the engine's writes go to.

use crate::bench::measure::thread_ns;
use crate::bench::signer::{START, Signer};
use anyhow::{Context, Result, ensure};
use hundi_node::daemon::{Overlay, open_engine};
use hundi_node::engine::output::Published;
use hundi_node::engine::{Answer, Command, Config, Engine, Input, Output};
use hundi_node::store::{IndexState, Store, StoreOptions, StoreStats};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The clock of the device: a day after the last entry of the world.
const NOW_MS: u64 = (START as u64 + 60 * 86_400) * 1_000;

/// An engine on a store.
pub(super) struct Device {
    engine: Engine,
    shelf: Overlay,
    store: Arc<Store>,
}

/// What opening took.
pub(super) struct Opened {
    /// Until the store was open, milliseconds.
    pub(super) store_ms: u64,
    /// Until the engine was, milliseconds.
    pub(super) open_ms: u64,
    /// Processor time until the engine was, all threads, milliseconds.
    pub(super) cpu_ms: u64,
    /// The most memory that was held on the way, bytes.
    pub(super) peak_bytes: u64,
    /// Memory of the process by then, bytes.
    pub(super) process_bytes: u64,
}

/// What publishing took.
pub(super) struct Work {
    /// The engine's part, and telling the shelf of it, nanoseconds.
    pub(super) applied_ns: u64,
    /// Making it durable, nanoseconds.
    pub(super) stored_ns: u64,
}

/// What was in memory until it was closed, bytes.
pub(super) struct Closed {
    /// Of the engine.
    pub(super) engine_bytes: u64,
    /// Of the store.
    pub(super) store_bytes: u64,
}

impl Device {
    /// Opens the store in a directory, and a relay on it.
    pub(super) fn open(dir: &Path, signer: &Signer) -> Result<(Self, Opened)> {
        PeakAlloc.reset_peak_usage();
        let before = PeakAlloc.current_usage();
        let (started, cpu) = (Instant::now(), process_ms());
        let elapsed_ms = || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (store, report) = Store::open(dir, StoreOptions::default())?;
        let store_ms = elapsed_ms();
        ensure!(
            report.created || report.index == IndexState::Fresh,
            "the index was {:?}",
            report.index
        );
        let store = Arc::new(store);
        let network = signer.network().clone();
        let engine = open_engine(Config::default(), network, None, &store, true)?;
        let opened = Opened {
            store_ms,
            open_ms: elapsed_ms(),
            cpu_ms: process_ms().saturating_sub(cpu),
            peak_bytes: PeakAlloc.peak_usage().saturating_sub(before) as u64,
            process_bytes: process_bytes()?,
        };
        let shelf = Overlay::new(Arc::clone(&store));
        Ok((Self { engine, shelf, store }, opened))
    }

    /// Has the engine take items, all of which must be news to it, and stores what it says.
    pub(super) fn publish(&mut self, items: Vec<Vec<u8>>) -> Result<Work> {
        let mut work = Work { applied_ns: 0, stored_ns: 0 };
        let from = thread_ns();
        self.engine.foresee([2; 32], items.iter().map(Vec::as_slice), &self.shelf);
        let input = Input::Command { id: 1, command: Command::Publish { items } };
        let outputs = self.engine.handle(NOW_MS, [1; 32], input, &self.shelf);
        let mut persist = None;
        let mut taken = false;
        for output in outputs {
            match output {
                Output::Persist { number, writes } => {
                    persist = Some((number, self.shelf.add(number, writes)));
                }
                Output::Answer { answer: Answer::Publish(said), .. } => {
                    taken = said.iter().all(|one| *one == Published::Taken);
                }
                _ => {}
            }
        }
        work.applied_ns += thread_ns().saturating_sub(from);
        ensure!(taken, "an item is not taken");
        let (number, writes) = persist.context("nothing is to be stored")?;
        let from = thread_ns();
        self.store.commit(&writes)?;
        work.stored_ns += thread_ns().saturating_sub(from);
        let from = thread_ns();
        self.shelf.durable(number);
        let outputs = self.engine.handle(NOW_MS, [1; 32], Input::Persisted { number }, &self.shelf);
        ensure!(outputs.is_empty(), "an acknowledged persist is followed by nothing");
        work.applied_ns += thread_ns().saturating_sub(from);
        Ok(work)
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(super) fn store_stats(&self) -> Result<StoreStats> {
        Ok(self.store.stats()?)
    }

    /// Closes both, and says what each has let go of.
    pub(super) fn close(self) -> Closed {
        let Self { engine, shelf, store } = self;
        let held = |thing: &mut dyn FnMut()| {
            let before = PeakAlloc.current_usage();
            thing();
            before.saturating_sub(PeakAlloc.current_usage()) as u64
        };
        let (mut engine, mut store) = (Some(engine), Some((shelf, store)));
        let engine_bytes = held(&mut || drop(engine.take()));
        let store_bytes = held(&mut || drop(store.take()));
        Closed { engine_bytes, store_bytes }
    }
}

/// Processor time of this process so far, milliseconds.
fn process_ms() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec * 1_000 + time.tv_nsec / 1_000_000).unwrap_or(0)
}

/// What of this process is in memory, as the system counts it.
fn process_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read own status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.context("no VmRSS in own status")?.trim().parse()?;
    Ok(kib * 1_024)
}
