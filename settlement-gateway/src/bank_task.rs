//! The one thread that owns the bank. Requests come over a bounded channel; those that have queued
//! up are a group. What it submits is prepared by other threads (`pipeline`) while this one decides
//! the group before it, request after request, and makes that durable in a unit of work; only then is
//! anything answered or published. Checkpoints come later: when no request comes for a moment, or
//! when somebody has waited for one for seconds, so that one tells of many entries.
//!
//! When the store fails, the bank in memory is ahead of it: the thread ends, nobody is answered,
//! and the gateway stops. The next start replays what is durable.

use crate::journal_store::{AccountRow, JournalStore, Unit};
use crate::limits::{
    AHEAD_ITEMS_MIN, CHECKPOINT_PAUSE, CHECKPOINT_SECONDS_MAX, CHECKPOINTS_AT_ONCE,
    GROUP_BYTES_MAX, GROUP_ITEMS_MAX, REQUESTS_MAX,
};
use crate::monitor::{Monitor, Queue};
use crate::pipeline::{BrokenDown, Pipeline, Preparing};
use crate::signer::{Signer, Signing};
use crate::waiting::{Waited, receive_within};
use data_encoding::HEXLOWER;
use hundi_journal::account::CustomerId;
use hundi_journal::bank::{Bank, HandleError};
use hundi_journal::input::{Input, Keys};
use hundi_journal::output::{Notification, Outputs};
use hundi_journal::prepare::Submission;
use hundi_ledger::id::NetworkId;
use hundi_node::store::CommitError;
use std::mem;
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
    /// The system gives no thread.
    #[error("the system gives no thread to prepare submissions or to sign on: {0}")]
    Thread(std::io::Error),
    /// A defect.
    #[error("a thread that prepares submissions or signs broke down")]
    BrokenDown,
}

impl From<BrokenDown> for BankTaskError {
    fn from(BrokenDown: BrokenDown) -> Self {
        Self::BrokenDown
    }
}

type Question = Box<dyn FnOnce(&Bank) + Send>;

/// One thing to decide.
enum Step {
    Input(Input),
    Submission(Submission),
}

impl Step {
    fn items(&self) -> usize {
        match self {
            Step::Input(_) => 0,
            Step::Submission(submission) => submission.len(),
        }
    }
}

enum Request {
    Handle {
        steps: Vec<Step>,
        accounts: Vec<(CustomerId, AccountRow)>,
        /// Of whoever asked, so that what is logged while it is decided names the request.
        span: Span,
        reply: oneshot::Sender<Decided>,
    },
    Ask(Question),
    Sign,
    Stop,
}

/// Where requests to the bank go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BankHandle {
    requests: mpsc::Sender<Request>,
    network: NetworkId,
}

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
        // Items are decoded here, by whoever hands them in, and not by the one thread.
        let step = |input| match input {
            Input::Submit { items } => Step::Submission(Submission::decode(&self.network, &items)),
            input => Step::Input(input),
        };
        self.decide(inputs.into_iter().map(step).collect(), accounts).await
    }

    /// As [`BankHandle::handle`] with [`Input::Submit`], for items that are decoded already.
    ///
    /// # Errors
    /// When the gateway is stopping.
    pub async fn submit(&self, submission: Submission) -> Result<Outputs, AskBankError> {
        let decided = self.decide(vec![Step::Submission(submission)], Vec::new()).await?;
        decided.into_iter().next().ok_or(AskBankError::Stopping)
    }

    async fn decide(
        &self,
        steps: Vec<Step>,
        accounts: Vec<(CustomerId, AccountRow)>,
    ) -> Result<Vec<Outputs>, AskBankError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Handle { steps, accounts, span: Span::current(), reply };
        self.requests.send(request).await.map_err(|_| AskBankError::Stopping)?;
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
        self.requests.send(Request::Ask(question)).await.map_err(|_| AskBankError::Stopping)?;
        answer.await.map_err(|_| AskBankError::Stopping)
    }

    /// What waits for the bank's thread. It keeps nothing open.
    pub(crate) fn queue(&self) -> Queue {
        queue("bank", &self.requests)
    }

    /// Lets checkpoints be signed from now on. Not before the bank has looked at what the mesh holds
    /// with its signature: books that were restored from a copy would tell a second thing under a
    /// number that is used.
    pub async fn begin_signing(&self) {
        // It has ended already otherwise.
        drop(self.requests.send(Request::Sign).await);
    }

    /// Has the thread end when it has worked off what is queued now.
    pub async fn stop(&self) {
        // It has ended already otherwise.
        drop(self.requests.send(Request::Stop).await);
    }
}

/// Starts the thread. Records to publish go to `publish` in batches. It signs no checkpoints before
/// [`BankHandle::begin_signing`].
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
    let handle = BankHandle { requests, network: bank.network().id() };
    let (keys, batch) = (Arc::new(keys), Batch::default());
    let owner = Owner { bank, keys, journal, publish, inbox, monitor, batch, signs: false };
    (handle, tokio::task::spawn_blocking(move || owner.run()))
}

/// How many wait in a channel, for as long as it is used.
pub(crate) fn queue<T: Send + 'static>(name: &'static str, sender: &mpsc::Sender<T>) -> Queue {
    let (weak, capacity) = (sender.downgrade(), sender.max_capacity());
    let depth = move || weak.upgrade().map_or(0, |it| it.max_capacity() - it.capacity());
    Queue { name, capacity, depth: Box::new(depth) }
}

struct Owner {
    bank: Bank,
    keys: Arc<Keys>,
    journal: Arc<JournalStore>,
    publish: mpsc::Sender<Vec<Vec<u8>>>,
    inbox: mpsc::Receiver<Request>,
    monitor: Arc<Monitor>,
    batch: Batch,
    /// Whether checkpoints may be signed.
    signs: bool,
}

/// What the inputs of one request led to.
type Decided = Result<Vec<Outputs>, HandleError>;

/// An answer that waits for the unit of work.
type Reply = (oneshot::Sender<Decided>, Decided);

/// Requests that are prepared together.
#[derive(Default)]
struct Group {
    requests: Vec<Request>,
    items: usize,
}

impl Group {
    fn has_room(&self) -> bool {
        self.requests.len() < REQUESTS_MAX && self.items < GROUP_ITEMS_MAX
    }

    fn submissions(&mut self) -> Vec<&mut Submission> {
        let steps = self.requests.iter_mut().flat_map(|request| match request {
            Request::Handle { steps, .. } => steps.as_mut_slice(),
            Request::Ask(_) | Request::Sign | Request::Stop => &mut [],
        });
        let submissions = steps.filter_map(|step| match step {
            Step::Submission(submission) => Some(submission),
            Step::Input(_) => None,
        });
        submissions.collect()
    }
}

/// What was decided together and is not durable yet.
#[derive(Default)]
struct Batch {
    unit: Unit,
    bytes: usize,
    replies: Vec<Reply>,
    questions: Vec<Question>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.unit.is_empty() && self.replies.is_empty() && self.questions.is_empty()
    }

    /// Takes what the bank did into the unit of work; the rest of it is the answer.
    fn add(&mut self, outputs: &mut Outputs) {
        let events = outputs.events.iter().map(|event| event.encode().len());
        self.bytes += events.chain(outputs.records.iter().map(Vec::len)).sum::<usize>();
        self.unit.events.extend(outputs.events.iter().cloned());
        self.unit.records.append(&mut outputs.records);
    }

    /// Whether another request may join: what changes nothing takes no bytes, and must not keep
    /// others waiting either.
    fn has_room(&self) -> bool {
        self.bytes < GROUP_BYTES_MAX && self.replies.len() + self.questions.len() < REQUESTS_MAX
    }
}

impl Owner {
    fn run(mut self) -> Result<(), BankTaskError> {
        let pipeline = Pipeline::start(&self.keys).map_err(BankTaskError::Thread)?;
        let signer = Signer::start(&self.keys).map_err(BankTaskError::Thread)?;
        let mut gathered = Group::default();
        let mut ahead: Option<(Group, Preparing)> = None;
        loop {
            while gathered.has_room() {
                let Ok(next) = self.inbox.try_recv() else { break };
                self.gather(next, &mut gathered);
            }
            if ahead.is_none() && gathered.requests.is_empty() {
                if !self.batch.is_empty() {
                    self.finish(&signer)?;
                    continue;
                }
                match self.wait() {
                    Waited::Came(first) => self.gather(first, &mut gathered),
                    // Also when it ends: what was decided is told.
                    _ if self.is_due() => {
                        let signing = self.begin_signing(&signer)?;
                        self.record(signing)?;
                    }
                    Waited::Nothing => {}
                    Waited::Closed => return Ok(()),
                }
                continue;
            }
            // A small group waits for those whom the one before it answers: a unit of work for
            // all of them costs the disk as much as one for a few.
            let begin = ahead.is_none() || gathered.items >= AHEAD_ITEMS_MIN;
            let next = if begin { Some(self.begin(&pipeline, &mut gathered)?) } else { None };
            if let Some((mut group, preparing)) = mem::replace(&mut ahead, next) {
                preparing.finish(&mut group.submissions())?;
                self.decide_all(group, &signer)?;
            }
        }
    }

    /// Waits for a request; only for a moment while a checkpoint is due.
    fn wait(&mut self) -> Waited<Request> {
        if self.is_due() {
            return receive_within(&mut self.inbox, CHECKPOINT_PAUSE);
        }
        self.inbox.blocking_recv().map_or(Waited::Closed, Waited::Came)
    }

    /// Whether a checkpoint is due, and may be signed.
    fn is_due(&self) -> bool {
        self.signs && self.bank.checkpoint_due().is_some()
    }

    /// Whether somebody has waited for a checkpoint for as long as may be.
    fn is_overdue(&self) -> bool {
        let since = self.bank.checkpoint_due().filter(|_| self.signs);
        since.is_some_and(|since| now().saturating_sub(since) >= CHECKPOINT_SECONDS_MAX)
    }

    /// Has checkpoints signed that are due.
    fn begin_signing(&self, signer: &Signer) -> Result<Signing, BankTaskError> {
        let drafts = self.bank.draft_checkpoints(random()?, &self.keys, CHECKPOINTS_AT_ONCE);
        Ok(signer.begin(drafts)?)
    }

    /// Takes what was signed into the next unit of work.
    fn record(&mut self, signing: Signing) -> Result<(), BankTaskError> {
        let mut outputs = self.bank.record_checkpoints(now(), signing.finish()?);
        self.batch.add(&mut outputs);
        Ok(())
    }

    fn gather(&mut self, request: Request, group: &mut Group) {
        match &request {
            Request::Handle { steps, .. } => {
                group.items += steps.iter().map(Step::items).sum::<usize>();
            }
            Request::Ask(_) => {}
            Request::Sign => {
                self.signs = true;
                return;
            }
            // What is queued is still taken; nothing more can be sent.
            Request::Stop => return self.inbox.close(),
        }
        group.requests.push(request);
    }

    /// Has what was gathered prepared.
    fn begin(
        &self,
        pipeline: &Pipeline,
        gathered: &mut Group,
    ) -> Result<(Group, Preparing), BankTaskError> {
        let mut group = mem::take(gathered);
        let preparing = pipeline.begin(&self.bank, &mut group.submissions(), random()?)?;
        Ok((group, preparing))
    }

    fn decide_all(&mut self, group: Group, signer: &Signer) -> Result<(), BankTaskError> {
        for request in group.requests {
            self.take(request)?;
            if !self.batch.has_room() {
                self.finish(signer)?;
            }
        }
        self.finish(signer)
    }

    fn take(&mut self, request: Request) -> Result<(), BankTaskError> {
        match request {
            Request::Handle { steps, accounts, span, reply } => {
                let answer = span.in_scope(|| self.decide(steps))?;
                if answer.is_ok() {
                    self.batch.unit.accounts.extend(accounts);
                }
                self.batch.replies.push((reply, answer));
            }
            Request::Ask(question) => self.batch.questions.push(question),
            Request::Sign | Request::Stop => {}
        }
        Ok(())
    }

    fn decide(&mut self, steps: Vec<Step>) -> Result<Decided, BankTaskError> {
        let mut answers = Vec::with_capacity(steps.len());
        for step in steps {
            let (now, entropy) = (now(), random()?);
            let decided = match step {
                Step::Input(input) => self.bank.decide(now, entropy, input, &self.keys),
                Step::Submission(it) => Ok(self.bank.submit(now, entropy, it, &self.keys)),
            };
            match decided {
                Ok(mut outputs) => {
                    outputs.notifications.iter().for_each(log);
                    self.batch.add(&mut outputs);
                    answers.push(outputs);
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(answers))
    }

    /// Makes the batch durable, and tells everybody.
    fn finish(&mut self, signer: &Signer) -> Result<(), BankTaskError> {
        let batch = mem::take(&mut self.batch);
        // Signed while the disk is busy, and recorded before anything else is decided, so that
        // nothing overtakes them, however many come.
        let overdue = self.is_overdue();
        let signing = if overdue { Some(self.begin_signing(signer)?) } else { None };
        if !batch.unit.is_empty() {
            self.monitor.commit_begins();
            self.journal.append(&batch.unit)?;
            self.monitor.commit_ends();
            self.monitor.durable(&batch.unit.events, &self.bank);
        }
        for (reply, answer) in batch.replies {
            self.monitor.answered(answer.as_deref().unwrap_or_default());
            // Whoever asked may be gone.
            drop(reply.send(answer));
        }
        for question in batch.questions {
            question(&self.bank);
        }
        if !batch.unit.records.is_empty() {
            // The mesh side has ended otherwise; the next start publishes everything again.
            drop(self.publish.blocking_send(batch.unit.records));
        }
        signing.map_or(Ok(()), |signing| self.record(signing))
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

/// 32 fresh random bytes.
fn random() -> Result<[u8; 32], BankTaskError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| BankTaskError::Random(error.to_string()))?;
    Ok(bytes)
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
