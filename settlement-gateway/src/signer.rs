//! The thread that signs checkpoints, while the bank's thread makes durable what they tell of.

use crate::pipeline::BrokenDown;
use hundi_journal::checkpoint::{Draft, SignedDraft};
use hundi_journal::input::Keys;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot};

struct Job {
    drafts: Vec<Draft>,
    done: oneshot::Sender<Vec<SignedDraft>>,
}

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Signer {
    /// Always there, until it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// Drafts that the thread is at.
#[must_use = "what is signed has to be recorded"]
pub(crate) struct Signing(oneshot::Receiver<Vec<SignedDraft>>);

impl Signer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start(keys: &Arc<Keys>) -> io::Result<Self> {
        // The bank's thread never has more than one job out.
        let (jobs, mut inbox) = mpsc::channel(1);
        let keys = Arc::clone(keys);
        let work = move || {
            while let Some(Job { drafts, done }) = inbox.blocking_recv() {
                // Nobody waits any more otherwise.
                drop(done.send(drafts.into_iter().map(|draft| draft.sign(&keys)).collect()));
            }
        };
        let thread = thread::Builder::new().name("sign".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has drafts signed.
    pub(crate) fn begin(&self, drafts: Vec<Draft>) -> Result<Signing, BrokenDown> {
        let (done, signed) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(BrokenDown)?;
        jobs.blocking_send(Job { drafts, done }).map_err(|_| BrokenDown)?;
        Ok(Signing(signed))
    }
}

impl Signing {
    /// Waits until all are signed.
    pub(crate) fn finish(self) -> Result<Vec<SignedDraft>, BrokenDown> {
        self.0.blocking_recv().map_err(|_| BrokenDown)
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // Whoever waits for what it was at hears of it when it broke down.
        drop(self.thread.take().map(JoinHandle::join));
    }
}
