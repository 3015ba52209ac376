//! A bank: the real journal, driven as the gateway drives it. What it decides goes to its disk as
//! one unit of work, and only then is anything published or told. A start replays what is durable.

use super::device::SharedVerifier;
use super::disk::Image;
use super::identity::{START, bank_keys};
use super::random::{Dice, Purpose};
use super::trace::Trace;
use super::witness;
use anyhow::{Context, Result};
use hundi_auditor::facts::Answer;
use hundi_journal::bank::{Bank, HandleError, Profile};
use hundi_journal::event::Event;
use hundi_journal::input::{Input, Keys};
use hundi_journal::output::Notification;
use hundi_ledger::id::{AuthorId, BankNumber, Serial};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::Network;
use hundi_ledger::replica::Key;
use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::rc::Rc;

/// What becomes durable together, and may be told then.
struct Unit {
    events: usize,
    records: Vec<Vec<u8>>,
    notifications: Vec<Notification>,
    /// What is recorded as outcomes of entries, and what is answered to who submitted them.
    outcomes: Vec<Answer>,
    answers: Vec<Answer>,
}

/// The bank's store: events that are durable or on their way, and the newest records signed.
#[derive(Clone, Default)]
pub(super) struct Journal {
    events: Vec<Event>,
    records: BTreeMap<Key, Vec<u8>>,
}

/// What may be told, now that it is durable.
pub(super) struct Told {
    pub(super) events: Vec<Event>,
    pub(super) records: Vec<Vec<u8>>,
    pub(super) notifications: Vec<Notification>,
    pub(super) answers: Vec<Answer>,
}

pub(super) struct Host {
    pub(super) number: BankNumber,
    network: Network,
    keys: Keys,
    /// The bank in memory; none while its process is down.
    pub(super) bank: Option<Bank>,
    journal: Journal,
    pending: VecDeque<Unit>,
    pub(super) life: u32,
    entropy: Dice,
    verifier: SharedVerifier,
    /// What an operator has copied: the books, and the store of the node that stands beside them.
    pub(super) copy: Option<(Journal, Image)>,
    /// The newer books that a copy has replaced, where they will be found.
    pub(super) newer: Option<Journal>,
    /// An operator is on the way.
    pub(super) operator_called: bool,
}

impl Host {
    pub(super) fn new(
        seed: u64,
        number: BankNumber,
        network: Network,
        verifier: SharedVerifier,
    ) -> Self {
        let keys = bank_keys(seed, number);
        let entropy = Dice::new(seed, Purpose::Entropy((1 << 24) + u32::from(number.0)));
        Self {
            number,
            network,
            keys,
            bank: None,
            journal: Journal::default(),
            pending: VecDeque::new(),
            life: 0,
            entropy,
            verifier,
            copy: None,
            newer: None,
            operator_called: false,
        }
    }

    /// A second instance of the bank, from a copy of its books and its keys.
    pub(super) fn twin(&self, seed: u64, entropy: Dice) -> Option<Self> {
        let mut twin =
            Self::new(seed, self.number, self.network.clone(), Rc::clone(&self.verifier));
        twin.entropy = entropy;
        twin.journal = self.durable();
        twin.start().ok()?;
        Some(twin)
    }

    /// A copy of what is durable.
    pub(super) fn durable(&self) -> Journal {
        let mut copy = self.journal.clone();
        copy.events.truncate(self.journal.events.len() - self.pending_events());
        copy
    }

    /// Puts other books in the place of those that are here, while the process is down.
    pub(super) fn replace_books(&mut self, books: Journal) -> Journal {
        std::mem::replace(&mut self.journal, books)
    }

    /// Whether the bank has stopped signing for a fault.
    pub(super) fn is_stopped(&self) -> bool {
        self.bank.as_ref().is_some_and(|bank| bank.fault().is_some())
    }

    /// Replays what is durable.
    pub(super) fn start(&mut self) -> Result<()> {
        self.life += 1;
        let mut bank = Bank::new(self.network.clone(), self.number, Profile::default())
            .context("a bank of the network")?;
        for event in &self.journal.events {
            let number = event.number;
            bank.apply(event).with_context(|| format!("event {number} does not follow"))?;
        }
        self.bank = Some(bank);
        Ok(())
    }

    /// Has the bank decide. What it decided is on its way to the disk.
    pub(super) fn handle(
        &mut self,
        now_ms: u64,
        input: Input,
        trace: &mut Trace,
    ) -> Option<Result<(), HandleError>> {
        let now = u64::from(START) + now_ms / 1000;
        let entropy = self.entropy.bytes();
        let bank = self.bank.as_mut()?;
        mem::swap(bank.verifier(), &mut self.verifier.borrow_mut());
        let handled = bank.handle(now, entropy, input, &self.keys);
        mem::swap(bank.verifier(), &mut self.verifier.borrow_mut());
        let outputs = match handled {
            Ok(outputs) => outputs,
            Err(error) => return Some(Err(error)),
        };
        trace.take(&outputs);
        let outcomes = witness::outcomes(&outputs, now);
        let answers = witness::answers(bank, &outputs, now);
        let events = outputs.events.len();
        self.journal.events.extend(outputs.events);
        let (records, notifications) = (outputs.records, outputs.notifications);
        self.pending.push_back(Unit { events, records, notifications, outcomes, answers });
        Some(Ok(()))
    }

    /// Units of work that are on their way to the disk.
    pub(super) fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// Everything given so far is durable.
    pub(super) fn sync(&mut self) -> Told {
        let from = self.journal.events.len() - self.pending_events();
        let mut told = Told {
            events: self.journal.events[from..].to_vec(),
            records: Vec::new(),
            notifications: Vec::new(),
            answers: Vec::new(),
        };
        for unit in std::mem::take(&mut self.pending) {
            for record in &unit.records {
                self.journal.keep(&self.network, record);
            }
            told.records.extend(unit.records);
            told.notifications.extend(unit.notifications);
            told.answers.extend(unit.outcomes.into_iter().chain(unit.answers));
        }
        told
    }

    /// The power goes: all but the first `kept` units that were on their way are gone. What of
    /// them had reached the disk is returned, because the next life will act on it.
    pub(super) fn crash(&mut self, kept: usize) -> Told {
        self.bank = None;
        while self.pending.len() > kept {
            let Some(unit) = self.pending.pop_back() else { break };
            let left = self.journal.events.len() - unit.events;
            self.journal.events.truncate(left);
        }
        // Nobody is left to answer; what is recorded stays recorded.
        self.pending.iter_mut().for_each(|unit| unit.answers.clear());
        self.sync()
    }

    fn pending_events(&self) -> usize {
        self.pending.iter().map(|unit| unit.events).sum()
    }

    /// Whether this is the newest record of its kind that the bank has signed.
    pub(super) fn holds(&self, key: &Key, item: &[u8]) -> bool {
        self.journal.records.get(key).is_some_and(|held| held == item)
    }

    /// The newest record of every kind, certificates first.
    pub(super) fn records(&self) -> Vec<Vec<u8>> {
        self.journal.records.values().cloned().collect()
    }

    /// The certificates of all banks that this one has installed: its own.
    pub(super) fn certificates(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let all =
            Key::Certificate(BankNumber(0), 0)..=Key::Certificate(BankNumber(u16::MAX), u16::MAX);
        self.journal.records.range(all).map(|(_, record)| record.clone())
    }

    /// The newest records about one author.
    pub(super) fn records_about(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        let grants = Key::Grant(*author, Serial(0))..=Key::Grant(*author, Serial(u16::MAX));
        let grants = self.journal.records.range(grants).map(|(_, record)| record);
        let others = [Key::Checkpoint(*author), Key::Freeze(*author), Key::Proof(*author)];
        let others = others.iter().filter_map(|key| self.journal.records.get(key));
        grants.chain(others).cloned().collect()
    }

    /// All events that are durable or on their way.
    pub(super) fn events(&self) -> &[Event] {
        &self.journal.events
    }
}

impl Journal {
    fn keep(&mut self, network: &Network, record: &[u8]) {
        if let Ok(item) = Item::decode(&network.id(), record) {
            self.records.insert(Key::of(&item), record.to_vec());
        }
    }
}
