//! Between the node and the bank: what the mesh brings goes to the bank's intake, what the bank
//! signs goes to the mesh.
//!
//! Nothing waits in a circle: the node never waits for either side here; the bank's thread waits
//! for the publisher, and the publisher only for the node.

use crate::bank_task::{self, BankHandle};
use crate::journal_store::JournalStore;
use crate::monitor::Monitor;
use hundi_journal::output::{Later, Verdict};
use hundi_journal::prepare::Submission;
use hundi_ledger::id::{BankNumber, NetworkId};
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::replica::Key;
use hundi_node::daemon::{Daemon, Heard, Listener};
use hundi_node::engine::limits::PUBLISH_ITEMS_MAX;
use hundi_node::engine::output::Published;
use hundi_node::engine::{Answer, Command, Event};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument;

/// Publishes first what the mesh may lack since the last run, then what the bank signs.
pub(crate) async fn publish(
    daemon: Daemon,
    first: Vec<Vec<u8>>,
    mut inbox: mpsc::Receiver<Vec<Vec<u8>>>,
) {
    let mut next = Some(first);
    while let Some(records) = next {
        for items in records.chunks(PUBLISH_ITEMS_MAX) {
            let command = Command::Publish { items: items.to_vec() };
            match daemon.command(command).await {
                Ok(Answer::Publish(outcomes)) => report(&outcomes),
                Ok(_) => tracing::error!("the node answered something else than was asked"),
                Err(stopped) => {
                    tracing::warn!(%stopped, "records wait for the next start to be published");
                    return;
                }
            }
        }
        next = inbox.recv().await;
    }
}

fn report(outcomes: &[Published]) {
    let refused = |outcome: &&Published| {
        matches!(outcome, Published::Uncertified | Published::Invalid | Published::Failed)
    };
    let refused = outcomes.iter().filter(refused).count();
    if refused > 0 {
        tracing::error!(refused, "the node refused records that this bank signed");
    }
}

/// The bank's intake from the mesh.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) daemon: Daemon,
    pub(crate) bank: BankHandle,
    pub(crate) journal: Arc<JournalStore>,
    pub(crate) network: NetworkId,
    pub(crate) number: BankNumber,
    pub(crate) rescan: Duration,
    pub(crate) monitor: Arc<Monitor>,
}

impl Intake {
    /// Hands over what the node hears, and now and then what it holds, until node or bank stops.
    pub(crate) async fn run(self, mut listener: Listener) {
        let mut rescan_at = Instant::now() + self.rescan;
        loop {
            if take_mark(&listener.missed) || rescan_at <= Instant::now() {
                rescan_at = Instant::now() + self.rescan;
                if !self.look_at_everything().await {
                    return;
                }
            }
            tokio::select! {
                heard = listener.events.recv() => {
                    let Some(heard) = heard else { return };
                    let mut submission = Submission::new(&self.network);
                    self.gather(heard, &mut submission);
                    while !submission.is_full() {
                        let Ok(heard) = listener.events.try_recv() else { break };
                        self.gather(heard, &mut submission);
                    }
                    if !self.submit(submission).await {
                        return;
                    }
                }
                () = tokio::time::sleep_until(rescan_at) => {}
            }
        }
    }

    /// Hands over everything that the node holds. Returns whether node and bank still run.
    pub(crate) async fn look_at_everything(&self) -> bool {
        let Ok(items) = self.daemon.items().await else { return false };
        let mut submission = Submission::new(&self.network);
        for bytes in items {
            self.add(&bytes, &mut submission);
            if submission.is_full() {
                let full = mem::replace(&mut submission, Submission::new(&self.network));
                if !self.submit(full).await {
                    return false;
                }
            }
        }
        self.submit(submission).await
    }

    fn gather(&self, heard: Heard, submission: &mut Submission) {
        let Heard { event, item } = heard;
        let arrived = match event {
            Event::ItemNew { .. } => item,
            // Two records where the bank may sign one: its own bank has to look at it.
            Event::Intake { bytes } | Event::BankFault { arrived: bytes, .. } => Some(bytes),
            _ => None,
        };
        if let Some(bytes) = arrived {
            self.add(&bytes, submission);
        }
    }

    fn add(&self, bytes: &[u8], submission: &mut Submission) {
        if let Ok(item) = Item::decode(&self.network, bytes)
            && self.wants(bytes, &item)
        {
            submission.push(bytes, item);
        }
    }

    /// Whether an item is of use to this bank: its authors' entries and proofs, receipts about
    /// entries of its authors, and its own records unless it has just signed them.
    fn wants(&self, bytes: &[u8], item: &Item) -> bool {
        let bank = match item.subject() {
            Subject::Bank(bank) => bank,
            Subject::Author(author) => author.bank,
        };
        match item {
            Item::Receipt(receipt) => receipt.payer_bank == self.number,
            Item::Entry(_) | Item::Proof(_) => bank == self.number,
            _ => bank == self.number && !self.journal.holds(&Key::of(item), bytes),
        }
    }

    /// Returns whether the bank still takes anything.
    async fn submit(&self, submission: Submission) -> bool {
        if submission.is_empty() {
            return true;
        }
        let items = submission.len();
        // As an error, so that it is there for whatever is logged inside.
        let span = tracing::error_span!("mesh", id = bank_task::draw_id());
        let since = Instant::now();
        let submitted = self.bank.submit(submission).instrument(span.clone()).await;
        let Ok(outputs) = submitted else { return false };
        self.monitor.metrics.submitted(since.elapsed());
        let later = outputs.verdicts.iter().filter(|verdict| is_later(verdict)).count();
        span.in_scope(|| tracing::debug!(items, later, "items from the mesh"));
        true
    }
}

/// Whether the item comes again with the next look at everything.
fn is_later(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Later(later) if !matches!(later, Later::OtherBank))
}

/// Takes down the mark before looking at everything, so that what is missed meanwhile sets it anew.
fn take_mark(missed: &AtomicBool) -> bool {
    missed.swap(false, Ordering::AcqRel)
}
