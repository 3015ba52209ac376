//! The threads that prepare submissions: each verifies and opens its part of a group while the
//! bank's thread decides the group before it and makes that durable.

use crate::limits::PARTS_WAITING_MAX;
use hundi_journal::bank::Bank;
use hundi_journal::input::Keys;
use hundi_journal::limits::SHARED_SECRETS_MAX;
use hundi_journal::prepare::{Part, Submission};
use hundi_ledger::seal::shared::SharedSecrets;
use hundi_ledger::sign::Verifier;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot};

/// A thread ended before its time: a defect.
pub(crate) struct BrokenDown;

struct Job {
    part: Part,
    seed: [u8; 32],
    done: oneshot::Sender<Part>,
}

struct Worker {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

/// The threads, one for every core. They end when it is dropped.
pub(crate) struct Pipeline(Vec<Worker>);

/// Parts that the threads are at.
#[must_use = "what is being prepared has to be given back"]
pub(crate) struct Preparing(Vec<oneshot::Receiver<Part>>);

impl Pipeline {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start(keys: &Arc<Keys>) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let worker = |number| {
            let (jobs, inbox) = mpsc::channel(PARTS_WAITING_MAX);
            let keys = Arc::clone(keys);
            let thread = thread::Builder::new()
                .name(format!("prepare-{number}"))
                .spawn(move || work(inbox, &keys))?;
            Ok(Worker { jobs, thread })
        };
        (0..cores).map(worker).collect::<io::Result<_>>().map(Self)
    }

    /// Has everything prepared that `bank` has not recorded. `seed` is fresh randomness.
    pub(crate) fn begin(
        &self,
        bank: &Bank,
        submissions: &mut [&mut Submission],
        seed: [u8; 32],
    ) -> Result<Preparing, BrokenDown> {
        let parts = bank.divide(submissions, self.0.len());
        // The first part always goes to the first thread: parts are by ascending author, so that
        // most authors keep to the thread that knows their secret.
        let given = parts.into_iter().zip(&self.0).map(|(part, worker)| {
            let (done, prepared) = oneshot::channel();
            let job = Job { part, seed, done };
            worker.jobs.blocking_send(job).map_err(|_| BrokenDown)?;
            Ok(prepared)
        });
        given.collect::<Result<_, _>>().map(Preparing)
    }
}

impl Preparing {
    /// Waits until everything is prepared, and puts it back into the submissions that it is of.
    pub(crate) fn finish(self, submissions: &mut [&mut Submission]) -> Result<(), BrokenDown> {
        for prepared in self.0 {
            prepared.blocking_recv().map_err(|_| BrokenDown)?.give_back(submissions);
        }
        Ok(())
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        for Worker { jobs, thread } in self.0.drain(..) {
            drop(jobs);
            // Whoever waits for what it was at hears of it when it broke down.
            drop(thread.join());
        }
    }
}

fn work(mut jobs: mpsc::Receiver<Job>, keys: &Keys) {
    let mut verifier = Verifier::default();
    let mut shared = SharedSecrets::new(SHARED_SECRETS_MAX);
    while let Some(Job { part, seed, done }) = jobs.blocking_recv() {
        // Nobody waits any more otherwise.
        drop(done.send(part.prepare(seed, keys, &mut verifier, &mut shared)));
    }
}
