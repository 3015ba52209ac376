//! The embedded engine as a gateway runs it: the bank's own thread over its own store, behind the
//! handle that the gateway's HTTP interface and mesh intake use. What it publishes is taken and
//! dropped, so that the figures are the bank's and not a mesh node's.

use super::world::{World, keys};
use crate::phone::BANK;
use anyhow::{Context, Result};
use hundi_gateway::app::replay;
use hundi_gateway::audit::audit_events;
use hundi_gateway::bank_task::{self, BankHandle, BankTaskError};
use hundi_gateway::journal_store::JournalStore;
use hundi_ledger::id::Hash;
use peak_alloc::PeakAlloc;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches of records that wait for whoever publishes them, as in a gateway.
const PUBLISH_QUEUE: usize = 64;

/// Until the next look whether everything is told: longer than the bank waits for the next request.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An engine that runs.
#[derive(Debug)]
pub(super) struct Engine {
    /// What its tasks and its clients run on.
    pub(super) runtime: Runtime,
    /// Where requests go.
    pub(super) bank: BankHandle,
    task: JoinHandle<Result<(), BankTaskError>>,
    dir: TempDir,
    bytes_before: usize,
}

/// What an engine left behind, as opening its store again shows it.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// Payments that are settled in the store.
    pub(super) settled: u64,
    /// Events in the store.
    pub(super) events: u64,
    /// Opening the store and reading its events, milliseconds.
    pub(super) open_ms: u64,
    /// Bringing a bank to where they end, milliseconds.
    pub(super) replay_ms: u64,
    /// What the audit found.
    pub(super) findings: Vec<String>,
}

impl Engine {
    /// Starts the world's bank with a store of its own below `dir`.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub(super) fn start(world: &World, dir: &Path) -> Result<Self> {
        let dir = tempfile::tempdir_in(dir).context("cannot make a directory for the store")?;
        let bytes_before = PeakAlloc.current_usage();
        PeakAlloc.reset_peak_usage();
        let (bank, journal) = world.start(&journal_dir(&dir))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_time()
            .build()
            .context("cannot start a runtime")?;
        let (publish, mut published) = mpsc::channel(PUBLISH_QUEUE);
        runtime.spawn(async move { while published.recv().await.is_some() {} });
        let (bank, task) = {
            let _inside = runtime.enter();
            bank_task::start(bank, keys(), Arc::new(journal), publish)
        };
        runtime.block_on(bank.begin_signing());
        Ok(Self { runtime, bank, task, dir, bytes_before })
    }

    /// The most memory since it was started, or since the last call, bytes; without what the bench
    /// itself held before.
    pub(super) fn take_peak_bytes(&self) -> u64 {
        let peak = PeakAlloc.peak_usage().saturating_sub(self.bytes_before);
        PeakAlloc.reset_peak_usage();
        peak as u64
    }

    /// Stops it, opens its store again, and audits what is there against the bank that ran.
    ///
    /// # Errors
    /// When the bank's thread failed, or the store does not open.
    pub(super) fn end(self, world: &World) -> Result<Ended> {
        let Self { runtime, bank, task, dir, .. } = self;
        let held: Result<(u64, Hash)> = runtime.block_on(async {
            told(&bank).await?;
            let held = bank.ask(|bank| (bank.events(), bank.journal_head())).await?;
            bank.stop().await;
            task.await??;
            Ok(held)
        });
        let held = held?;
        drop(runtime);
        let network = world.network();
        let from = Instant::now();
        let (journal, events) = JournalStore::open(&journal_dir(&dir), network.id())?;
        let open_ms = ms_since(from);
        let from = Instant::now();
        let replayed = replay(network, BANK, &events)?;
        let replay_ms = ms_since(from);
        let mut audited = audit_events(&events, network.id(), BANK, Some(held), None);
        if (replayed.events(), replayed.journal_head()) != held {
            audited.findings.push("a replayed bank is not the bank that ran".to_owned());
        }
        drop(journal);
        Ok(Ended {
            settled: audited.report.settled,
            events: audited.report.events,
            open_ms,
            replay_ms,
            findings: audited.findings,
        })
    }
}

/// Waits until checkpoints tell of everything that was answered.
///
/// # Errors
/// When the engine stops.
pub(super) async fn told(bank: &BankHandle) -> Result<()> {
    while bank.ask(|bank| bank.checkpoint_due().is_some()).await? {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

fn journal_dir(dir: &TempDir) -> PathBuf {
    dir.path().join("journal")
}

fn ms_since(from: Instant) -> u64 {
    u64::try_from(from.elapsed().as_millis()).unwrap_or(u64::MAX)
}
