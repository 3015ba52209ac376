//! The store's thread: makes persists durable in order, several at once when they queue up (group
//! commit), and tells the daemon's task which number is durable.

use crate::store::{CommitError, Store, Write};
use std::sync::Arc;
use std::thread;
use tokio::sync::mpsc;

/// Persists waiting for the disk. The engine keeps working meanwhile; when the queue is full the
/// daemon waits, which is the back-pressure that a slow disk must cause.
const QUEUE_MAX: usize = 1024;
/// Writes that one commit takes at most: bounds the latency that the first one sees.
const GROUP_WRITES_MAX: usize = 4096;
/// Bytes that one commit takes at most, below the store's own limit of one batch.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// Commits between two looks at the space that deleted items leave behind.
const COMMITS_PER_COMPACTION: u64 = 512;
/// Bytes that one such look moves at most: a few commits' worth of time.
const COMPACTION_BYTES_MAX: u64 = 8 << 20;

/// What the thread reports.
pub(super) enum Report {
    /// Everything up to this number is durable.
    Durable(u64),
    /// A commit failed; the store takes nothing more until it is reopened.
    Failed(CommitError),
}

/// One persist: its number and its writes.
pub(super) type Batch = (u64, Vec<Write>);

/// Starts the thread. It ends when the sender is dropped.
pub(super) fn start(store: Arc<Store>) -> (mpsc::Sender<Batch>, mpsc::Receiver<Report>) {
    let (batches, inbox) = mpsc::channel(QUEUE_MAX);
    let (outbox, reports) = mpsc::channel(QUEUE_MAX);
    thread::spawn(move || run(&store, inbox, &outbox));
    (batches, reports)
}

fn run(store: &Store, mut inbox: mpsc::Receiver<Batch>, outbox: &mpsc::Sender<Report>) {
    let mut next = inbox.blocking_recv();
    let mut commits: u64 = 0;
    while let Some((mut number, mut writes)) = next.take() {
        let mut bytes = size(&writes);
        // Whatever has queued up meanwhile goes into the same commit.
        while writes.len() < GROUP_WRITES_MAX && bytes < GROUP_BYTES_MAX {
            let Ok((later, more)) = inbox.try_recv() else { break };
            number = later;
            bytes += size(&more);
            writes.extend(more);
        }
        let report = match store.commit(&writes) {
            Ok(()) => Report::Durable(number),
            Err(error) => Report::Failed(error),
        };
        let failed = matches!(report, Report::Failed(_));
        if outbox.blocking_send(report).is_err() || failed {
            return;
        }
        commits += 1;
        if commits.is_multiple_of(COMMITS_PER_COMPACTION)
            && let Err(error) = store.compact(COMPACTION_BYTES_MAX)
        {
            // The reader is gone only when the daemon is.
            drop(outbox.blocking_send(Report::Failed(error)));
            return;
        }
        next = inbox.blocking_recv();
    }
}

fn size(writes: &[Write]) -> usize {
    let one = |write: &Write| match write {
        Write::Put { subject, key, value } => subject.len() + key.len() + value.len(),
        Write::Delete { subject, key } => subject.len() + key.len(),
    };
    writes.iter().map(one).sum()
}
