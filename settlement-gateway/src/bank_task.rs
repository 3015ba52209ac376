//! The one thread that owns the bank. Requests come over a bounded channel; those that have queued
//! up are decided one after the other and made durable in one unit of work; only then is anything
//! answered or published.
//!
//! When the store fails, the bank in memory is ahead of it: the thread ends, nobody is answered,
//! and the gateway stops. The next start replays what is durable.

use crate::journal_store::{AccountRow, JournalStore, Unit};
use crate::limits::{GROUP_BYTES_MAX, REQUESTS_MAX};
use crate::monitor::{Monitor, Queue};
use data_encoding::HEXLOWER;
use hundi_journal::account::CustomerId;
use hundi_journal::bank::{Bank, HandleError};
use hundi_journal::input::{Input, Keys};
use hundi_journal::output::{Notification, Outputs};
use hundi_node::store::CommitError;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::Span;

/// Why the bank did not do what was asked.
#[derive(Debug, Error)]
pub enum AskBankError {
    /// It was refused; nothing of that input has changed anything.
    #[error(transparent)]
    Refused(#[from] HandleError),
    /// The gateway is stopping.
    #[error("the gateway is stopping: ask again when it runs")]
    Stopping,
}

/// Why the bank's thread ended.
#[derive(Debug, Error)]
pub enum BankTaskError {
    /// The store failed.
    #[error("the bank's store failed; nothing more is decided: {0}")]
    Store(#[from] CommitError),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(String),
}

type Question = Box<dyn FnOnce(&Bank) + Send>;

enum Request {
    Handle {
        inputs: Vec<Input>,
        accounts: Vec<(CustomerId, AccountRow)>,
        /// Of whoever asked, so that what is logged while it is decided names the request.
        span: Span,
        reply: oneshot::Sender<Decided>,
    },
    Ask(Question),
    Stop,
}

/// Where requests to the bank go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BankHandle(mpsc::Sender<Request>);

impl BankHandle {
    /// Has the inputs decided in order; the answer comes when what they changed is durable.
    ///
    /// # Errors
    /// The first refusal; what the inputs before it changed stays.
    pub async fn handle(&self, inputs: Vec<Input>) -> Result<Vec<Outputs>, AskBankError> {
        self.handle_with(inputs, Vec::new()).await
    }

    /// As [`BankHandle::handle`], with rows of customers that become durable in the same unit of
    /// work unless an input is refused.
    ///
    /// # Errors
    /// See [`BankHandle::handle`].
    pub async fn handle_with(
        &self,
        inputs: Vec<Input>,
        accounts: Vec<(CustomerId, AccountRow)>,
    ) -> Result<Vec<Outputs>, AskBankError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Handle { inputs, accounts, span: Span::current(), reply };
        self.0.send(request).await.map_err(|_| AskBankError::Stopping)?;
        Ok(answer.await.map_err(|_| AskBankError::Stopping)??)
    }

    /// Asks the bank something, when everything that it has decided is durable.
    ///
    /// # Errors
    /// When the gateway is stopping.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Bank) -> T + Send + 'static,
    ) -> Result<T, AskBankError> {
        let (reply, answer) = oneshot::channel();
        // Nobody waits any more otherwise: nothing to tell.
        let question = Box::new(move |bank: &Bank| drop(reply.send(question(bank))));
        self.0.send(Request::Ask(question)).await.map_err(|_| AskBankError::Stopping)?;
        answer.await.map_err(|_| AskBankError::Stopping)
    }

    /// What waits for the bank's thread. It keeps nothing open.
    pub(crate) fn queue(&self) -> Queue {
        queue("bank", &self.0)
    }

    /// Has the thread end when it has worked off what is queued now.
    pub async fn stop(&self) {
        // It has ended already otherwise.
        drop(self.0.send(Request::Stop).await);
    }
}

/// Starts the thread. Records to publish go to `publish` in batches.
pub fn start(
    bank: Bank,
    keys: Keys,
    journal: Arc<JournalStore>,
    publish: mpsc::Sender<Vec<Vec<u8>>>,
) -> (BankHandle, JoinHandle<Result<(), BankTaskError>>) {
    start_watched(bank, keys, journal, publish, Arc::new(Monitor::new()))
}

/// As [`start`]; what the thread does is told to `monitor`, which has seen all events so far.
pub(crate) fn start_watched(
    bank: Bank,
    keys: Keys,
    journal: Arc<JournalStore>,
    publish: mpsc::Sender<Vec<Vec<u8>>>,
    monitor: Arc<Monitor>,
) -> (BankHandle, JoinHandle<Result<(), BankTaskError>>) {
    let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
    let owner = Owner { bank, keys, journal, publish, inbox, monitor };
    (BankHandle(requests), tokio::task::spawn_blocking(move || owner.run()))
}

/// How many wait in a channel, for as long as it is used.
pub(crate) fn queue<T: Send + 'static>(name: &'static str, sender: &mpsc::Sender<T>) -> Queue {
    let (weak, capacity) = (sender.downgrade(), sender.max_capacity());
    let depth = move || weak.upgrade().map_or(0, |it| it.max_capacity() - it.capacity());
    Queue { name, capacity, depth: Box::new(depth) }
}

struct Owner {
    bank: Bank,
    keys: Keys,
    journal: Arc<JournalStore>,
    publish: mpsc::Sender<Vec<Vec<u8>>>,
    inbox: mpsc::Receiver<Request>,
    monitor: Arc<Monitor>,
}

/// What the inputs of one request led to.
type Decided = Result<Vec<Outputs>, HandleError>;

/// An answer that waits for the unit of work.
type Reply = (oneshot::Sender<Decided>, Decided);

/// What was decided together and is not durable yet.
#[derive(Default)]
struct Group {
    unit: Unit,
    bytes: usize,
    replies: Vec<Reply>,
    questions: Vec<Question>,
}

impl Group {
    /// Whether another request may join: what changes nothing takes no bytes, and must not keep
    /// others waiting either.
    fn has_room(&self) -> bool {
        self.bytes < GROUP_BYTES_MAX && self.replies.len() + self.questions.len() < REQUESTS_MAX
    }
}

impl Owner {
    fn run(mut self) -> Result<(), BankTaskError> {
        while let Some(first) = self.inbox.blocking_recv() {
            let mut group = Group::default();
            self.take(first, &mut group)?;
            while group.has_room() {
                let Ok(next) = self.inbox.try_recv() else { break };
                self.take(next, &mut group)?;
            }
            self.finish(group)?;
        }
        Ok(())
    }

    fn take(&mut self, request: Request, group: &mut Group) -> Result<(), BankTaskError> {
        match request {
            Request::Handle { inputs, accounts, span, reply } => {
                let answer = span.in_scope(|| self.decide(inputs, group))?;
                if answer.is_ok() {
                    group.unit.accounts.extend(accounts);
                }
                group.replies.push((reply, answer));
            }
            Request::Ask(question) => group.questions.push(question),
            // What is queued is still taken; nothing more can be sent.
            Request::Stop => self.inbox.close(),
        }
        Ok(())
    }

    fn decide(&mut self, inputs: Vec<Input>, group: &mut Group) -> Result<Decided, BankTaskError> {
        let mut answers = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut entropy = [0; 32];
            getrandom::fill(&mut entropy)
                .map_err(|error| BankTaskError::Random(error.to_string()))?;
            match self.bank.handle(now(), entropy, input, &self.keys) {
                Ok(mut outputs) => {
                    outputs.notifications.iter().for_each(log);
                    let events = outputs.events.iter().map(|event| event.encode().len());
                    group.bytes +=
                        events.chain(outputs.records.iter().map(Vec::len)).sum::<usize>();
                    group.unit.events.extend(outputs.events.iter().cloned());
                    group.unit.records.append(&mut outputs.records);
                    answers.push(outputs);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(answers))
    }

    fn finish(&mut self, group: Group) -> Result<(), BankTaskError> {
        if !group.unit.is_empty() {
            self.monitor.commit_begins();
            self.journal.append(&group.unit)?;
            self.monitor.commit_ends();
            self.monitor.durable(&group.unit.events, &self.bank);
        }
        for (reply, answer) in group.replies {
            self.monitor.answered(answer.as_deref().unwrap_or_default());
            // Whoever asked may be gone.
            drop(reply.send(answer));
        }
        for question in group.questions {
            question(&self.bank);
        }
        if !group.unit.records.is_empty() {
            // The mesh side has ended otherwise; the next start publishes everything again.
            drop(self.publish.blocking_send(group.unit.records));
        }
        Ok(())
    }
}

/// A fresh id for a request or a submission, to find it in the log.
pub(crate) fn draw_id() -> String {
    let mut bytes = [0; 16];
    // Without randomness the bank decides nothing, and says so; here the clock will do.
    if getrandom::fill(&mut bytes).is_err() {
        bytes[8..].copy_from_slice(&now().to_be_bytes());
    }
    HEXLOWER.encode(&bytes)
}

/// The bank's clock, Unix seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Ids only: no amounts, no names.
fn log(notification: &Notification) {
    match notification {
        Notification::Outcome { entry, outcome, .. } => {
            tracing::debug!(%entry, ?outcome, "an entry has an outcome");
        }
        Notification::GrantRequested { author, serial, .. } => {
            tracing::info!(%author, %serial, "an author asks for its next grant: use `grant issue`");
        }
        Notification::CaseOpened { author, .. } => {
            tracing::warn!(%author, "an author contradicted itself: a review case is open");
        }
        Notification::CaseClosed { author } => tracing::info!(%author, "a review case is closed"),
        Notification::InSuspense { author, .. } => {
            tracing::warn!(%author, "money waits in suspense for an author that is not enrolled");
        }
        Notification::Stopped => {
            tracing::error!(
                "a record with this bank's signature is not in its books: the bank has stopped"
            );
        }
    }
}
