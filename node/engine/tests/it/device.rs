//! One device under test: an engine, its store, and a driver that keeps the contract and checks
//! that the engine does.

use crate::bank::{Bank, author, keys};
use hundi_engine::limits::OUTPUTS_MAX;
use hundi_engine::{
    Answer, Command, Config, Engine, Event, Input, LinkId, Opening, Output, Payload, Verdict, Write,
};
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::item::Subject;
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::sign::Verifier;
use hundi_ledger::sync::TAG_ITEM;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is durable.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Store {
    pub items: BTreeMap<Key, Vec<u8>>,
    pub state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Shelf for Store {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        self.items.item(key)
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        self.items.items(author)
    }
}

impl Store {
    /// The engine of this store: from its summaries where it has them, and then what is loaded in
    /// full must be the same.
    pub fn open(&self, bank: &Bank, seed: Option<u8>, config: &Config) -> Engine {
        let loaded = self.load(bank, seed, config);
        let Some(opening) = self.opening(bank, seed, config) else { return loaded };
        let opened = opening.finish(config.clone(), seed.map(keys), self).unwrap();
        let (one, other) = (loaded.replica(), opened.replica());
        assert_eq!(one.head_fingerprint(&[1; 32]), other.head_fingerprint(&[1; 32]));
        assert_eq!(one.core_len(), other.core_len());
        assert_eq!(loaded.status(), opened.status());
        assert_eq!(loaded.history(self), opened.history(self));
        let in_order = |engine: &Engine| BTreeSet::from_iter(engine.keys(self));
        assert_eq!(in_order(&loaded), in_order(&opened));
        opened
    }

    /// The engine loaded in full, whatever summaries there are.
    pub fn load(&self, bank: &Bank, seed: Option<u8>, config: &Config) -> Engine {
        let items = self.items.values().cloned().collect();
        let state = self.state.clone().into_iter().collect();
        let network = bank.network.clone();
        Engine::load(
            config.clone(),
            network,
            seed.map(keys),
            items,
            state,
            &mut Verifier::default(),
        )
        .unwrap()
    }

    /// What opens the engine from summaries, if all of them are there.
    pub fn opening(&self, bank: &Bank, seed: Option<u8>, config: &Config) -> Option<Opening> {
        let about_banks = |key: &&Key| matches!(key.subject(), Subject::Bank(_));
        let banks = self.items.keys().filter(about_banks).map(|key| self.items[key].clone());
        let mut opening =
            Opening::new(config, bank.network.clone(), seed.map(author), banks.collect());
        self.state.iter().for_each(|(key, bytes)| opening.state(key, bytes));
        opening.is_complete().then_some(opening)
    }

    fn write(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Item { key, bytes } => drop(self.items.insert(key, bytes)),
                Write::DeleteItem { key } => drop(self.items.remove(&key)),
                Write::State { key, bytes } => drop(self.state.insert(key, bytes)),
                Write::DeleteState { key } => drop(self.state.remove(&key)),
            }
        }
    }
}

/// What leaves a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaves {
    Frame { link: LinkId, bytes: Vec<u8> },
    Gossip { bytes: Vec<u8> },
    Forward { handle: u64 },
    Close { link: LinkId },
}

/// One recorded call: the inputs without keys, and the outputs as bytes.
pub struct Call {
    pub now_ms: u64,
    pub entropy: [u8; 32],
    pub input: Vec<u8>,
    pub outputs: Vec<u8>,
    /// What the engine could read during the call.
    pub shelf: Store,
}

pub struct Device {
    pub seed: Option<u8>,
    pub config: Config,
    pub engine: Engine,
    pub store: Store,
    /// Given out and not yet durable.
    persists: VecDeque<(u64, Vec<Write>)>,
    durable: u64,
    last: u64,
    held: Vec<Output>,
    pub leaves: Vec<Leaves>,
    pub answers: BTreeMap<u64, Answer>,
    pub events: Vec<Event>,
    pub verdicts: Vec<Verdict>,
    pub wake_ms: Option<u64>,
    /// Whether persists are acknowledged at once.
    pub acknowledges: bool,
    pub recording: Option<Vec<Call>>,
    pub calls: u64,
    /// Sends that the engine has asked for, durable or not.
    pub sends: usize,
}

impl Device {
    pub fn new(bank: &Bank, seed: Option<u8>, config: Config, store: Store) -> Self {
        let engine = store.open(bank, seed, &config);
        Self {
            seed,
            config,
            engine,
            store,
            persists: VecDeque::new(),
            durable: 0,
            last: 0,
            held: Vec::new(),
            leaves: Vec::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            verdicts: Vec::new(),
            wake_ms: None,
            acknowledges: true,
            recording: None,
            calls: 0,
            sends: 0,
        }
    }

    pub fn handle(&mut self, now_ms: u64, input: Input) {
        self.calls += 1;
        let mut entropy = [self.seed.unwrap_or(0); 32];
        entropy[..8].copy_from_slice(&self.calls.to_le_bytes());
        let bytes = borsh::to_vec(&input).unwrap();
        let before = self.recording.is_some().then(|| self.store.clone());
        // What is foreseen is handled as if it had not been: replays do without.
        if self.calls.is_multiple_of(2) {
            self.engine.foresee(entropy, items(&input), &self.store);
        }
        let outputs = self.engine.handle(now_ms, entropy, input, &self.store);
        if let (Some(calls), Some(shelf)) = (&mut self.recording, before) {
            let outputs = borsh::to_vec(&outputs).unwrap();
            calls.push(Call { now_ms, entropy, input: bytes, outputs, shelf });
        }
        self.check(&outputs);
        for output in outputs {
            match output {
                Output::Persist { number, writes } => self.persists.push_back((number, writes)),
                Output::WakeAt { ms } => self.wake_ms = Some(ms),
                other => {
                    self.sends += usize::from(matches!(other, Output::Send { .. }));
                    self.held.push(other);
                }
            }
        }
        self.release();
        if self.acknowledges && !self.persists.is_empty() {
            self.acknowledge(now_ms);
        }
    }

    /// The engine's part of the contract: one persist at most, first, numbered on by one; and
    /// everything else waits for the last one given out, so that nothing that is not durable is
    /// told.
    fn check(&mut self, outputs: &[Output]) {
        assert!(outputs.len() <= OUTPUTS_MAX);
        for (at, output) in outputs.iter().enumerate() {
            match output {
                Output::Persist { number, writes } => {
                    assert_eq!((at, *number), (0, self.last + 1));
                    assert!(!writes.is_empty());
                    self.last = *number;
                }
                Output::Send { after, .. }
                | Output::Publish { after, .. }
                | Output::GossipVerdict { after, .. }
                | Output::Answer { after, .. }
                | Output::Event { after, .. } => {
                    let failed = self.engine.status().failed;
                    assert!(*after == self.last || failed && *after == 0, "{output:?}");
                }
                Output::CloseLink { .. } | Output::WakeAt { .. } => {}
            }
        }
    }

    /// How many persists have been given out and not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.persists.len()
    }

    /// Makes everything given out durable.
    pub fn acknowledge(&mut self, now_ms: u64) {
        while let Some((number, writes)) = self.persists.pop_front() {
            self.store.write(writes);
            self.durable = number;
            self.release();
            self.handle_persisted(now_ms, number);
        }
    }

    fn handle_persisted(&mut self, now_ms: u64, number: u64) {
        let input = Input::Persisted { number };
        let acknowledges = std::mem::replace(&mut self.acknowledges, false);
        self.handle(now_ms, input);
        self.acknowledges = acknowledges;
    }

    /// The store loses what it was given and says so.
    pub fn fail(&mut self, now_ms: u64) {
        self.persists.clear();
        self.held.clear();
        self.handle(now_ms, Input::PersistFailed);
    }

    /// Carries out what no longer waits.
    fn release(&mut self) {
        let durable = self.durable;
        let (ready, held) = self.held.drain(..).partition(|output| match output {
            Output::Send { after, .. }
            | Output::Publish { after, .. }
            | Output::GossipVerdict { after, .. }
            | Output::Answer { after, .. }
            | Output::Event { after, .. } => *after <= durable,
            _ => true,
        });
        self.held = held;
        let ready: Vec<Output> = ready;
        for output in ready {
            match output {
                Output::Send { link, payload, .. } => {
                    let bytes = match payload {
                        Payload::Message(bytes) => Some(bytes),
                        Payload::Item(key) => self.store.item(&key).map(|item| {
                            let mut bytes = vec![TAG_ITEM];
                            bytes.extend(item);
                            bytes
                        }),
                    };
                    self.leaves.extend(bytes.map(|bytes| Leaves::Frame { link, bytes }));
                }
                Output::Publish { key, .. } => {
                    let item = self.store.item(&key);
                    self.leaves.extend(item.map(|bytes| Leaves::Gossip { bytes }));
                }
                Output::GossipVerdict { handle, verdict, .. } => {
                    self.verdicts.push(verdict);
                    if verdict == Verdict::Accept {
                        self.leaves.push(Leaves::Forward { handle });
                    }
                }
                Output::CloseLink { link, .. } => self.leaves.push(Leaves::Close { link }),
                Output::Answer { id, answer, .. } => drop(self.answers.insert(id, answer)),
                Output::Event { event, .. } => self.events.push(event),
                Output::Persist { .. } | Output::WakeAt { .. } => unreachable!(),
            }
        }
    }

    /// A power cut: what is not durable is lost.
    pub fn crash(self, bank: &Bank) -> Self {
        let calls = self.calls + 1_000_000;
        Self { calls, ..Self::new(bank, self.seed, self.config, self.store) }
    }
}

/// The encoded items of an input.
fn items(input: &Input) -> Vec<&[u8]> {
    match input {
        Input::Message { bytes, .. } => bytes.strip_prefix(&[TAG_ITEM]).into_iter().collect(),
        Input::Gossip { bytes, .. } => vec![bytes],
        Input::Command { command: Command::Publish { items }, .. } => {
            items.iter().map(Vec::as_slice).collect()
        }
        _ => Vec::new(),
    }
}
