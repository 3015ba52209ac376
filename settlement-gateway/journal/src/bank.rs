//! The bank: state, the one door for inputs and the one for events.
//!
//! [`Bank::handle`] decides events from the input and the state, applies each at once, and
//! returns them with what follows from them. [`Bank::apply`] is the only way the state changes,
//! so that applying the stored events to an empty bank gives the identical state and the
//! identical journal hash.

use crate::account::{Account, CustomerId};
use crate::apply::ApplyError;
use crate::books::Books;
use crate::event::{Change, Event};
use crate::grant::{EnrolError, IssueGrantError};
use crate::input::{Input, Keys};
use crate::limits::SHARED_SECRETS_MAX;
use crate::loss::CloseCaseError;
use crate::operation::{InstallError, OperateError};
use crate::output::{Notification, Outputs};
use crate::prepare::{Reading, Submission};
use crate::state::{Author, Case, Customer, EntryState, Fault, GrantState, State};
use crate::transaction::Transaction;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use hundi_ledger::codec;
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, PublicKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Network;
use hundi_ledger::record::{Record, Signed, sign};
use hundi_ledger::seal::shared::SharedSecrets;
use hundi_ledger::sign::{SecretKey, Verifier};
use hundi_ledger::trust::Trust;

/// The bank's choices that are not part of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Percent of a grant's guarantee that one payee may get (DESIGN §4, the loss rule).
    pub guarantee_per_payee_percent: u8,
}

impl Default for Profile {
    fn default() -> Self {
        Self { guarantee_per_payee_percent: crate::limits::GUARANTEE_PER_PAYEE_PERCENT }
    }
}

/// Why an input changed nothing. Submissions never fail as a whole: see
/// [`crate::output::Verdict`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// Refused until [`Input::Resume`]: a record with the bank's signature does not agree with
    /// these books.
    #[error("the bank has stopped: a record with its signature does not agree with its books")]
    Stopped,
    /// No such customer. Open it first.
    #[error("no customer {0}")]
    UnknownCustomer(CustomerId),
    /// No such author. Enrol it first.
    #[error("no author with key {0}")]
    UnknownAuthor(PublicKey),
    /// The certificate was not installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The key was not enrolled.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// No grant was issued.
    #[error(transparent)]
    IssueGrant(#[from] IssueGrantError),
    /// The operation was not carried out.
    #[error(transparent)]
    Operate(#[from] OperateError),
    /// The case stays open.
    #[error(transparent)]
    CloseCase(#[from] CloseCaseError),
}

/// A bank's deciding half.
#[derive(Clone, Debug)]
pub struct Bank {
    pub(crate) network: Network,
    pub(crate) profile: Profile,
    pub(crate) state: State,
    /// This and what follows spare work and are no state: without them every answer is the same.
    pub(crate) verifier: Verifier,
    /// What the bank's sealing keys share with others.
    pub(crate) shared: SharedSecrets,
    /// The network's roots, and the first so many of this bank's certificates.
    pub(crate) trust: Trust,
    pub(crate) trusted: usize,
}

impl Bank {
    /// Bank `number` of `network` before its first event; none when the network has no such bank.
    pub fn new(network: Network, number: BankNumber, profile: Profile) -> Option<Self> {
        network.bank(number)?;
        Some(Self::with_state(network, profile, State::new(number)))
    }

    fn with_state(network: Network, profile: Profile, state: State) -> Self {
        let (verifier, shared) = (Verifier::default(), SharedSecrets::new(SHARED_SECRETS_MAX));
        let trust = Trust::new(network.clone());
        Self { network, profile, state, verifier, shared, trust, trusted: 0 }
    }

    /// [`Bank::decide`], and [`Bank::sign_checkpoints`] in the same unit of work: for whoever has no
    /// other thread to sign on, and no reason to sign less.
    ///
    /// # Errors
    /// When the input is refused as a whole; nothing has changed then.
    pub fn handle(
        &mut self,
        now: u64,
        entropy: [u8; 32],
        input: Input,
        keys: &Keys,
    ) -> Result<Outputs, HandleError> {
        let mut outputs = self.decide(now, entropy, input, keys)?;
        outputs.append(self.sign_checkpoints(now, entropy, keys));
        Ok(outputs)
    }

    /// Decides what `input` means at time `now` (Unix seconds by the bank's clock), changes the
    /// state accordingly and returns what to store, answer and publish; see [`Outputs`] for the
    /// order. `entropy` is 32 fresh random bytes. Checkpoints become due by it and are not signed.
    ///
    /// # Errors
    /// When the input is refused as a whole; nothing has changed then.
    pub fn decide(
        &mut self,
        now: u64,
        entropy: [u8; 32],
        input: Input,
        keys: &Keys,
    ) -> Result<Outputs, HandleError> {
        let answered = matches!(input, Input::Resume | Input::Submit { .. });
        if self.state.fault.is_some() && !answered {
            return Err(HandleError::Stopped);
        }
        let mut work = Work::new(self, now, entropy, keys);
        match input {
            Input::InstallCertificate { record } => work.install_certificate(record)?,
            Input::OpenCustomer { customer } => work.open_customer(customer),
            Input::Link { a, b } => work.link(a, b)?,
            Input::Enrol { customer, key, sealing, currency, display_name } => {
                work.enrol(customer, key, sealing, currency, display_name)?;
            }
            Input::Operate(operation) => work.operate(&operation)?,
            Input::IssueGrant { author, terms } => work.issue_grant(author, terms)?,
            Input::Freeze { author, reason } => work.freeze_by_decision(author, reason)?,
            Input::Submit { items } => {
                let submission = Submission::decode(&work.bank.network.id(), &items);
                work.submit(submission);
            }
            Input::Tick => work.tick(),
            Input::Bulletin => work.sign_bulletin(),
            Input::CloseCase { author, denied } => work.close_case(author, &denied)?,
            Input::Resume => work.resume(),
        }
        Ok(work.finish())
    }

    /// As [`Bank::decide`] with [`Input::Submit`] of the same items, with the same outputs, whatever
    /// of them has been prepared.
    pub fn submit(
        &mut self,
        now: u64,
        entropy: [u8; 32],
        submission: Submission,
        keys: &Keys,
    ) -> Outputs {
        let mut work = Work::new(self, now, entropy, keys);
        work.submit(submission);
        work.finish()
    }

    /// Applies the next stored event.
    ///
    /// # Errors
    /// When it does not follow: the store is damaged or not this bank's, and the bank must not be
    /// used any more.
    pub fn apply(&mut self, event: &Event) -> Result<(), ApplyError> {
        self.state.apply(&self.network.id(), event)
    }

    /// Makes the next event and applies it.
    pub(crate) fn record(
        &mut self,
        now: u64,
        change: Change,
        transactions: Vec<Transaction>,
    ) -> Event {
        let event = Event { number: self.state.number + 1, at: now, change, transactions };
        let applied = self.apply(&event);
        // Whoever records has checked everything an outsider could have caused.
        assert!(applied.is_ok(), "decided an event that does not apply: {applied:?}");
        event
    }

    /// What verifies all that arrives. Banks and devices in one process may share one that remembers, by
    /// swapping it in for a call.
    pub fn verifier(&mut self) -> &mut Verifier {
        &mut self.verifier
    }

    /// How often the bank had to agree on a secret with another key so far: once for each, as long as
    /// it is remembered.
    pub fn agreements(&self) -> u64 {
        self.shared.agreements()
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// This bank's number.
    pub fn number(&self) -> BankNumber {
        self.state.bank
    }

    /// Number of the last event; 0 before the first.
    pub fn events(&self) -> u64 {
        self.state.number
    }

    /// The journal hash: the head of the chain over all events.
    pub fn journal_head(&self) -> Hash {
        self.state.head
    }

    /// The open epoch: that of the next bulletin.
    pub fn epoch(&self) -> u32 {
        self.state.epoch
    }

    /// The books.
    pub fn books(&self) -> &Books {
        &self.state.books
    }

    /// The customers.
    pub fn customers(&self) -> &BTreeMap<CustomerId, Customer> {
        &self.state.customers
    }

    /// The authors, by key.
    pub fn authors(&self) -> &BTreeMap<PublicKey, Author> {
        &self.state.authors
    }

    /// What the guarantee of a customer may still cost the pool, in minor units: what was paid and is
    /// open, and what its largest live guarantee leaves.
    pub fn exposure(&self, customer: &CustomerId, currency: Currency) -> i128 {
        self.state.exposure(customer, currency, Amount::ZERO)
    }

    /// A grant.
    pub fn grant(&self, author: &PublicKey, serial: Serial) -> Option<&GrantState> {
        self.state.grant(author, serial)
    }

    /// An entry, by the hash of its header.
    pub fn entry(&self, id: &Hash) -> Option<&EntryState> {
        self.state.entries.get(id)
    }

    /// Every entry known, by the hash of its header.
    pub fn entries(&self) -> &BTreeMap<Hash, EntryState> {
        &self.state.entries
    }

    /// The review cases, open and closed, by the author's key.
    pub fn cases(&self) -> &BTreeMap<PublicKey, Case> {
        &self.state.cases
    }

    /// Why nothing is signed, if a fault was found.
    pub fn fault(&self) -> Option<&Fault> {
        self.state.fault.as_ref()
    }

    /// When [`Input::Tick`] has something to do next, Unix seconds.
    pub fn next_deadline(&self) -> Option<u64> {
        let grants = self.state.deadlines.first().map(|(at, ..)| *at);
        let refunds = self.state.refund_deadlines.first().map(|(at, _)| *at);
        grants.into_iter().chain(refunds).min()
    }

    /// The whole state as bytes: equal exactly when the states are. With
    /// [`Bank::restore`] a snapshot that saves replaying events from the beginning.
    pub fn snapshot(&self) -> Vec<u8> {
        codec::encode(&self.state)
    }

    /// A bank as it was when `snapshot` was taken; none when the bytes are no snapshot of a bank
    /// of this network.
    pub fn restore(network: Network, profile: Profile, snapshot: &[u8]) -> Option<Self> {
        let state: State = codec::decode(snapshot, usize::MAX).ok()?;
        network.bank(state.bank)?;
        Some(Self::with_state(network, profile, state))
    }
}

/// Signs what was drafted by the books.
pub(crate) fn sign_draft<T: Record>(network: &NetworkId, draft: T, key: &SecretKey) -> Signed<T> {
    match sign(network, draft, key) {
        Ok(signed) => signed.into_inner(),
        // Drafts keep the rules of their records by construction.
        Err(error) => panic!("drafted a record that breaks a rule: {error}"),
    }
}

/// One call in progress: what it may read and what it has produced so far.
pub(crate) struct Work<'a> {
    pub(crate) bank: &'a mut Bank,
    pub(crate) now: u64,
    pub(crate) keys: &'a Keys,
    pub(crate) out: Outputs,
    /// Accounts that were credited: what waited for a balance is tried again.
    pub(crate) credited: BTreeSet<Account>,
    /// Originals that were decided: refunds that waited for them are tried again.
    pub(crate) decided: BTreeSet<Hash>,
    /// The entry that is being taken, and what its body was found to say.
    pub(crate) reading: Option<(Hash, Reading)>,
    entropy: [u8; 32],
    drawn: u64,
}

impl<'a> Work<'a> {
    fn new(bank: &'a mut Bank, now: u64, entropy: [u8; 32], keys: &'a Keys) -> Self {
        Self {
            bank,
            now,
            keys,
            out: Outputs::default(),
            credited: BTreeSet::new(),
            decided: BTreeSet::new(),
            reading: None,
            entropy,
            drawn: 0,
        }
    }

    fn finish(mut self) -> Outputs {
        self.retry_waiting();
        self.out
    }

    pub(crate) fn state(&self) -> &State {
        &self.bank.state
    }

    /// Makes an event, applies it, and keeps it for the outputs.
    pub(crate) fn record(&mut self, change: Change, transactions: Vec<Transaction>) {
        for posting in transactions.iter().flat_map(Transaction::postings) {
            if posting.signed() > 0 {
                self.credited.insert(posting.account);
            }
        }
        let event = self.bank.record(self.now, change, transactions);
        self.out.events.push(event);
    }

    /// Signs a record of this bank.
    pub(crate) fn sign<T: Record>(&self, record: T, key: &SecretKey) -> Signed<T> {
        sign_draft(&self.bank.network.id(), record, key)
    }

    pub(crate) fn publish(&mut self, item: &Item) {
        self.out.records.push(item.encode());
    }

    pub(crate) fn notify(&mut self, notification: Notification) {
        self.out.notifications.push(notification);
    }

    /// 32 fresh bytes of this call's entropy.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let mut hasher = blake3::Hasher::new_derive_key("hundi v1 journal entropy");
        hasher.update(&self.entropy).update(&self.drawn.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    /// The bank's time as a record states it.
    pub(crate) fn now_u32(&self) -> u32 {
        u32::try_from(self.now).unwrap_or(u32::MAX)
    }

    pub(crate) fn author(&self, key: &PublicKey) -> Result<&Author, HandleError> {
        self.state().authors.get(key).ok_or(HandleError::UnknownAuthor(*key))
    }

    pub(crate) fn author_id(&self, key: PublicKey) -> AuthorId {
        self.state().author_id(key)
    }
}
