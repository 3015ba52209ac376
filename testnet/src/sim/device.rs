//! One device: the real engine, its disk, and a driver that keeps the engine's contract the way
//! the real one does. What is held back waits for the disk in order; a crash loses it.

use super::disk::{Disk, Health, Image};
use super::identity::{Identity, START};
use super::random::{Dice, Purpose};
use super::trace::Trace;
use super::witness::OwnWrite;
use hundi_engine::output::CloseReason;
use hundi_engine::{
    Answer, Config, Engine, Event, Input, LinkId, Opening, Output, Payload, Verdict,
};
use hundi_ledger::record::network::Network;
use hundi_ledger::replica::Shelf;
use hundi_ledger::sign::Verifier;
use hundi_ledger::sync::TAG_ITEM;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;

/// What verifies for everybody in a run, and remembers: all hear the same of one another.
pub(super) type SharedVerifier = Rc<RefCell<Verifier>>;

/// Something to carry out, its bytes fetched.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Send(LinkId, Vec<u8>),
    Publish(Vec<u8>),
    Validate(u64, Verdict),
    Close(LinkId, CloseReason),
    Answer(u64, Answer),
    Event(Event, Option<Vec<u8>>),
    /// The disk has been given something.
    Syncing,
    /// The store has failed; the device does nothing more until it starts again.
    Failed,
    /// To be woken at this time of the run.
    Wake(u64),
}

/// What a device's clock shows: true time, off by so much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// Milliseconds off at the start of the run.
    pub(super) offset_ms: i64,
    /// Millionths by which it runs fast.
    pub(super) drift_ppm: i64,
}

impl Clock {
    /// What it shows, Unix milliseconds.
    pub(super) fn shows(self, now_ms: u64) -> u64 {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let drift = now / 1_000_000 * self.drift_ppm + now % 1_000_000 * self.drift_ppm / 1_000_000;
        u64::from(START) * 1000 + now_ms.saturating_add_signed(self.offset_ms + drift)
    }
}

/// Why a device did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StartFailed(pub(super) String);

pub(super) struct Device {
    config: Config,
    network: Network,
    pub(super) identity: Option<Identity>,
    pub(super) engine: Option<Engine>,
    pub(super) disk: Disk,
    /// How often it has started: what was meant for an earlier life reaches nobody.
    pub(super) life: u32,
    pub(super) clock: Clock,
    held: VecDeque<(u64, Action)>,
    /// The last persist that the engine gave out, and the last that is durable.
    asked: u64,
    durable: u64,
    entropy: Dice,
    /// Its store has failed in this life.
    failed: bool,
    /// The engine broke its part of the contract.
    pub(super) breach: Option<String>,
    /// Own items that were given to the disk since somebody looked.
    pub(super) written: Vec<OwnWrite>,
    /// Sends leave before what they wait for is durable: a bug for the canary to have.
    pub(super) sends_early: bool,
    /// A read that fails is taken for one that finds nothing: another one.
    pub(super) ignores_read_errors: bool,
    verifier: SharedVerifier,
}

impl Device {
    pub(super) fn new(
        seed: u64,
        node: u32,
        config: Config,
        network: Network,
        identity: Option<Identity>,
        verifier: SharedVerifier,
    ) -> Self {
        Self {
            config,
            network,
            identity,
            engine: None,
            disk: Disk::new(Image::default()),
            life: 0,
            clock: Clock::default(),
            held: VecDeque::new(),
            asked: 0,
            durable: 0,
            entropy: Dice::new(seed, Purpose::Entropy(node)),
            failed: false,
            breach: None,
            written: Vec::new(),
            sends_early: false,
            ignores_read_errors: false,
            verifier,
        }
    }

    /// Opens the store as the node does: from summaries where they are whole, else in full.
    pub(super) fn start(&mut self) -> Result<(), StartFailed> {
        self.life += 1;
        self.failed = false;
        (self.asked, self.durable) = (0, 0);
        self.held.clear();
        let engine = match self.opened()? {
            Some(engine) => engine,
            None => self.loaded()?,
        };
        if self.disk.failed_reads.get() > 0 && !self.ignores_read_errors {
            return Err(StartFailed("a read failed".into()));
        }
        self.engine = Some(engine);
        Ok(())
    }

    /// The engine from its summaries; none where they are not all there.
    pub(super) fn opened(&self) -> Result<Option<Engine>, StartFailed> {
        let image = self.disk.image();
        let author = self.identity.map(Identity::author);
        let banks = image.about_banks();
        let mut opening = Opening::new(&self.config, self.network.clone(), author, banks);
        image.state().for_each(|(key, bytes)| opening.state(key, bytes));
        if !opening.is_complete() {
            return Ok(None);
        }
        let keys = self.identity.map(Identity::keys);
        let engine = opening.finish(self.config.clone(), keys, &self.disk);
        engine.map(Some).map_err(|error| StartFailed(error.to_string()))
    }

    /// The engine from everything that is stored.
    pub(super) fn loaded(&self) -> Result<Engine, StartFailed> {
        let image = self.disk.image();
        let items = image.every_item().map(|(_, bytes)| bytes.to_vec()).collect();
        let state = image.state().map(|(key, bytes)| (key.to_vec(), bytes.to_vec())).collect();
        let keys = self.identity.map(Identity::keys);
        let mut verifier = self.verifier.borrow_mut();
        Engine::load(self.config.clone(), self.network.clone(), keys, items, state, &mut verifier)
            .map_err(|error| StartFailed(error.to_string()))
    }

    /// Whether it runs.
    pub(super) fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    /// The last persist that is known to be durable.
    pub(super) fn durable(&self) -> u64 {
        self.durable
    }

    /// Whether its store has failed and it has not been started again.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// The power goes. `kept` of the batches on their way have reached the disk.
    pub(super) fn crash(&mut self, kept: usize) {
        self.engine = None;
        self.held.clear();
        self.disk.crash(kept);
    }

    /// Hands one input over; what is to be carried out now, in order.
    pub(super) fn handle(&mut self, now_ms: u64, input: Input, trace: &mut Trace) -> Vec<Action> {
        let shown = self.clock.shows(now_ms);
        let entropy = self.entropy.bytes();
        let Some(engine) = &mut self.engine else { return Vec::new() };
        mem::swap(engine.verifier(), &mut self.verifier.borrow_mut());
        let outputs = engine.handle(shown, entropy, input, &self.disk);
        mem::swap(engine.verifier(), &mut self.verifier.borrow_mut());
        trace.take(&outputs);
        if self.disk.failed_reads.get() > 0 && !self.ignores_read_errors && !self.failed {
            return vec![Action::Failed]; // Nothing that rests on it is carried out.
        }
        let mut ready = Vec::new();
        for output in outputs {
            self.output(output, &mut ready, (now_ms, shown));
        }
        self.release(&mut ready);
        ready
    }

    fn output(&mut self, output: Output, ready: &mut Vec<Action>, (now_ms, shown): (u64, u64)) {
        if let Output::Persist { number, writes } = output {
            if number != self.asked + 1 || writes.is_empty() {
                self.breach = Some(format!("persist {number} after {}", self.asked));
            }
            self.asked = number;
            let me = self.identity.map(Identity::author);
            self.written.extend(OwnWrite::of(number, &writes, me));
            let taken = self.disk.write(number, writes);
            return ready.push(if taken { Action::Syncing } else { Action::Failed });
        }
        let (after, action) = match output {
            Output::Persist { .. } => return,
            Output::WakeAt { ms } => {
                return ready.push(Action::Wake(now_ms + ms.saturating_sub(shown)));
            }
            Output::CloseLink { link, reason } => return ready.push(Action::Close(link, reason)),
            Output::Send { link, after, payload } => {
                let bytes = match payload {
                    Payload::Message(bytes) => Some(bytes),
                    Payload::Item(key) => {
                        self.disk.item(&key).map(|item| [&[TAG_ITEM], item.as_slice()].concat())
                    }
                };
                (after, bytes.map(|bytes| Action::Send(link, bytes)))
            }
            Output::Publish { after, key } => (after, self.disk.item(&key).map(Action::Publish)),
            Output::GossipVerdict { after, handle, verdict } => {
                (after, Some(Action::Validate(handle, verdict)))
            }
            Output::Answer { after, id, answer } => (after, Some(Action::Answer(id, answer))),
            Output::Event { after, event } => {
                let item = match &event {
                    Event::ItemNew { key } => self.disk.item(key),
                    _ => None,
                };
                (after, Some(Action::Event(event, item)))
            }
        };
        // The engine's part of the contract: nothing is told before all that it rests on is durable.
        if after != self.asked && !(self.failed && after == 0) {
            self.breach = Some(format!("{action:?} waits for {after}, not for {}", self.asked));
        }
        let after = if self.sends_early { 0 } else { after };
        self.held.extend(action.map(|action| (after, action)));
    }

    fn release(&mut self, ready: &mut Vec<Action>) {
        while self.held.front().is_some_and(|(after, _)| *after <= self.durable) {
            ready.extend(self.held.pop_front().map(|(_, action)| action));
        }
    }

    /// The oldest batches are durable, `count` at most.
    pub(super) fn synced(&mut self, now_ms: u64, count: usize, trace: &mut Trace) -> Vec<Action> {
        let Some(number) = self.disk.sync(count) else { return Vec::new() };
        self.durable = number;
        let mut ready = Vec::new();
        self.release(&mut ready);
        ready.extend(self.handle(now_ms, Input::Persisted { number }, trace));
        ready
    }

    /// The store takes nothing: what waits for it is dropped.
    pub(super) fn persist_failed(&mut self, now_ms: u64, trace: &mut Trace) -> Vec<Action> {
        self.held.clear();
        self.failed = true;
        self.handle(now_ms, Input::PersistFailed, trace)
    }

    /// Another disk in the same device.
    pub(super) fn replace_disk(&mut self, image: Image) {
        let (lies, hoards) = (self.disk.lies, self.disk.hoards);
        self.disk = Disk::new(image);
        (self.disk.lies, self.disk.hoards) = (lies, hoards);
    }

    /// Faults of the disk pass.
    pub(super) fn mend(&mut self) {
        self.disk.health = Health::Well;
        self.disk.failing_reads.set(0);
        self.disk.failed_reads.set(0);
    }
}
