//! How the gateway is, for `/health`, `/ready`, `/metrics` and the status. The bank's thread tells what
//! it has made durable, the application which phase it is in; whoever asks reads it off here and
//! never has to wait for the bank.

use crate::limits::COMMIT_STUCK;
use crate::metrics::{Metrics, Readings};
use crate::words;
use hundi_journal::bank::Bank;
use hundi_journal::event::Event;
use hundi_journal::output::{Outputs, Verdict};
use hundi_journal::tally::Tally;
use hundi_ledger::record::checkpoint::Outcome;
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Where the gateway is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It opens its store and catches up with what happened while it did not run.
    #[default]
    Starting,
    /// It takes requests.
    Running,
    /// It takes nothing more and works off what it took.
    Draining,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Draining => "draining",
        }
    }
}

/// A queue that is watched.
pub(crate) struct Queue {
    pub(crate) name: &'static str,
    pub(crate) capacity: usize,
    pub(crate) depth: Box<dyn Fn() -> usize + Send + Sync>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What changes along the way.
#[derive(Debug, Default)]
struct Seen {
    phase: Phase,
    tally: Tally,
    stopped: bool,
    events: u64,
    epoch: u32,
    /// Since when the store is at a unit of work.
    commit_since: Option<Instant>,
    store_failed: bool,
}

/// Entries by what has become of them.
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) settled: u64,
    pub(crate) rejected: u64,
    pub(crate) contested: u64,
    pub(crate) returned: u64,
    pub(crate) waiting: u64,
    /// Since when the oldest that waits is durable, Unix seconds.
    pub(crate) oldest_waiting: Option<u64>,
    /// The same of those that are contested.
    pub(crate) oldest_contested: Option<u64>,
}

/// What is seen at one moment.
pub(crate) struct Glance {
    pub(crate) phase: Phase,
    pub(crate) stopped: bool,
    pub(crate) events: u64,
    pub(crate) epoch: u32,
    /// How long the store has been at the unit of work that it is at.
    pub(crate) committing: Option<Duration>,
    /// Why the gateway is not ready; nothing if it is.
    pub(crate) missing: Vec<&'static str>,
    pub(crate) counts: Counts,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Monitor {
    started: Instant,
    seen: Mutex<Seen>,
    queues: OnceLock<Vec<Queue>>,
    pub(crate) metrics: Metrics,
}

impl Monitor {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            seen: Mutex::default(),
            queues: OnceLock::new(),
            metrics: Metrics::new(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.seen().phase = phase;
    }

    /// Which queues there are; heard once.
    pub(crate) fn watch(&self, queues: Vec<Queue>) {
        drop(self.queues.set(queues));
    }

    /// The store begins with a unit of work.
    pub(crate) fn commit_begins(&self) {
        self.seen().commit_since = Some(Instant::now());
    }

    /// The unit of work that began last is durable.
    pub(crate) fn commit_ends(&self) {
        let since = self.seen().commit_since.take();
        self.metrics.committed(since.map_or(Duration::ZERO, |since| since.elapsed()));
    }

    /// The bank's thread has ended before its time.
    pub(crate) fn store_failed(&self) {
        self.seen().store_failed = true;
    }

    /// These events are durable, all since the last call; `bank` is as it is after them.
    pub(crate) fn durable(&self, events: &[Event], bank: &Bank) {
        let mut seen = self.seen();
        seen.tally.follow(events, bank);
        seen.stopped = bank.fault().is_some();
        seen.events = bank.events();
        seen.epoch = bank.epoch();
    }

    /// These outputs are about to be answered.
    pub(crate) fn answered(&self, outputs: &[Outputs]) {
        for given in outputs.iter().flat_map(|outputs| &outputs.verdicts) {
            let (verdict, reason) = words::verdict(given);
            let outcome = match given {
                Verdict::Decided { outcome, .. } => Some(words::outcome(*outcome)),
                _ => None,
            };
            self.metrics.answered(verdict, reason.or(outcome).unwrap_or("none"));
        }
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn glance(&self) -> Glance {
        let seen = self.seen();
        let committing = seen.commit_since.map(|since| since.elapsed());
        let missing = [
            ("caught_up", seen.phase == Phase::Starting),
            ("draining", seen.phase == Phase::Draining),
            ("store", seen.store_failed || committing.is_some_and(|it| it >= COMMIT_STUCK)),
            ("bank_stopped", seen.stopped),
        ];
        let missing = missing.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        let tally = &seen.tally;
        let counts = Counts {
            accepted: tally.accepted(),
            settled: tally.with_outcome(Outcome::Settled),
            rejected: tally.rejected(),
            contested: tally.contested(),
            returned: tally.with_outcome(Outcome::Returned),
            waiting: tally.waiting(),
            oldest_waiting: tally.oldest_waiting(),
            oldest_contested: tally.oldest_contested(),
        };
        let Seen { phase, stopped, events, epoch, .. } = *seen;
        Glance { phase, stopped, events, epoch, committing, missing, counts }
    }

    /// Name, depth and capacity of every queue.
    pub(crate) fn queues(&self) -> Vec<(&'static str, usize, usize)> {
        let queues = self.queues.get().map_or(&[][..], Vec::as_slice);
        queues.iter().map(|it| (it.name, (it.depth)(), it.capacity)).collect()
    }

    /// The metrics as text; `now` is Unix seconds.
    pub(crate) fn render(&self, now: u64) -> Result<String, fmt::Error> {
        let Glance { stopped, events, missing, counts, .. } = self.glance();
        let age = |at: Option<u64>| Duration::from_secs(at.map_or(0, |at| now.saturating_sub(at)));
        let (reviews, guarantees) = {
            let seen = self.seen();
            let guarantees = seen.tally.guarantees();
            let guarantees = guarantees.map(|(of, it)| (of.code(), it.pool, it.exposure));
            (seen.tally.reviews(), guarantees.collect())
        };
        self.metrics.render(&Readings {
            ready: missing.is_empty(),
            stopped,
            events,
            reviews,
            queues: self.queues(),
            entries: vec![
                ("settled", counts.settled),
                ("rejected", counts.rejected),
                ("contested", counts.contested),
                ("returned", counts.returned),
                ("waiting", counts.waiting),
            ],
            oldest: vec![
                ("waiting", age(counts.oldest_waiting)),
                ("contested", age(counts.oldest_contested)),
            ],
            guarantees,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let monitor = Monitor::new();
        assert_eq!(monitor.glance().missing, ["caught_up"]);
        monitor.enter(Phase::Running);
        monitor.commit_begins();
        assert!(monitor.glance().missing.is_empty(), "a unit of work takes its time");
        monitor.seen().commit_since = Instant::now().checked_sub(COMMIT_STUCK);
        assert_eq!(monitor.glance().missing, ["store"]);
        monitor.commit_ends();
        assert!(monitor.glance().missing.is_empty());
        monitor.seen().stopped = true;
        monitor.store_failed();
        monitor.enter(Phase::Draining);
        assert_eq!(monitor.glance().missing, ["draining", "store", "bank_stopped"]);
    }
}
