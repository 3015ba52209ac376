//! What a set of runs has reached: which fault struck a device in which state, beside which
//! adversary.

use super::adversary::Kind as Adversary;
use super::fault::Kind as Fault;
use super::scenario::Scenario;
use super::world::World;
use hundi_engine::wallet::PaymentState;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a device is in the middle of when a fault strikes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was down.
    Down,
    /// Something was on its way to its disk.
    Writing,
    /// A payment of its own was signed and not answered.
    Paying,
    /// A sync session was running.
    Syncing,
    /// It had links and nothing to do.
    Linked,
    /// It was alone.
    Alone,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Down, Self::Writing, Self::Paying, Self::Syncing, Self::Linked, Self::Alone];
}

impl State {
    /// Whether a fault can meet a device in this state. A gateway has no wallet: it never pays.
    pub fn may_meet(self, fault: Fault) -> bool {
        let strikes_gateways = matches!(fault, Fault::GatewayCrash | Fault::BankRestored);
        !(strikes_gateways && self == Self::Paying)
    }
}

/// A fault, the adversary beside it (none for an honest world), and the state it met.
pub type Case = (Fault, Option<Adversary>, State);

/// What was reached, and how often.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    adversaries: BTreeSet<Option<Adversary>>,
    reached: BTreeMap<Case, u64>,
    acted: BTreeSet<Adversary>,
}

impl Coverage {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut adversaries: BTreeSet<_> = scenario.adversaries.iter().copied().map(Some).collect();
        if adversaries.is_empty() {
            adversaries.insert(None);
        }
        Self { adversaries, reached: BTreeMap::new(), acted: BTreeSet::new() }
    }

    fn note(&mut self, fault: Fault, state: State) {
        for adversary in &self.adversaries {
            *self.reached.entry((fault, *adversary, state)).or_default() += 1;
        }
    }

    /// Adds what another run has reached.
    pub fn add(&mut self, other: &Self) {
        for (case, times) in &other.reached {
            *self.reached.entry(*case).or_default() += times;
        }
        self.acted.extend(&other.acted);
    }

    pub(super) fn note_act(&mut self, adversary: Adversary) {
        self.acted.insert(adversary);
    }

    /// Adversaries that did what no honest device does.
    pub fn acted(&self) -> &BTreeSet<Adversary> {
        &self.acted
    }

    /// How many cases were reached.
    pub fn reached(&self) -> usize {
        self.reached.len()
    }

    /// What was never reached.
    pub fn missing(&self) -> Vec<Case> {
        let adversaries: Vec<Option<Adversary>> =
            std::iter::once(None).chain(Adversary::ALL.into_iter().map(Some)).collect();
        let mut missing = Vec::new();
        for fault in Fault::ALL {
            for adversary in &adversaries {
                let states = State::ALL.into_iter().filter(|state| state.may_meet(fault));
                let cases = states.map(|state| (fault, *adversary, state));
                missing.extend(cases.filter(|case| !self.reached.contains_key(case)));
            }
        }
        missing
    }
}

impl World {
    /// Notes that a fault strikes a node in the state that it is in.
    pub(super) fn reached(&mut self, fault: Fault, node: u32) {
        let state = self.state_of(node);
        self.coverage.note(fault, state);
    }

    /// Whether a node is in a state.
    pub(super) fn is_in(&self, node: u32, state: State) -> bool {
        let device = &self.nodes[node as usize].device;
        match state {
            State::Down => !device.is_up(),
            State::Writing => device.is_up() && device.disk.unsynced() > 0,
            _ => self.state_of(node) == state,
        }
    }

    fn state_of(&self, node: u32) -> State {
        let at = &self.nodes[node as usize];
        let Some(engine) = &at.device.engine else { return State::Down };
        let paying = || {
            let history = engine.history(&at.device.disk);
            let open = [PaymentState::Signed, PaymentState::Delivered];
            history.iter().any(|view| view.outgoing && open.contains(&view.state))
        };
        if at.device.disk.unsynced() > 0 {
            State::Writing
        } else if self.owed(node) > 0 || paying() {
            State::Paying
        } else if engine.peers().iter().any(|peer| peer.syncing) {
            State::Syncing
        } else if !at.links.is_empty() {
            State::Linked
        } else {
            State::Alone
        }
    }
}
