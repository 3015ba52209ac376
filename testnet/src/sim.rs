//! The deterministic simulator: whole devices (the real engine) and whole banks (the real journal)
//! in one thread on virtual time, driven by one seed. The same seed and scenario give the same run
//! to the byte on every machine.
//!
//! [`scenario`] says what a run is made of, `setup` makes the world of its first moment, and `world`
//! lets one event after the other happen. Around the parts under test stand `device` and `bank`,
//! drivers that keep their contracts, on a simulated `disk`; `radio` and `movement` are where they
//! live, `people` what they are used for, [`fault`] and [`adversary`] what befalls them. `check` is
//! the judge: safety at every step, then, when faults have stopped, liveness within a bound. A
//! `witness` writes down what the independent auditor judges at the end.

pub mod adversary;
mod bank;
pub mod canary;
mod check;
pub mod command;
pub mod coverage;
mod device;
mod disk;
mod event;
pub mod fault;
mod gateway;
pub mod graph;
mod identity;
mod movement;
pub mod partitions;
mod people;
mod radio;
mod random;
pub mod replay;
pub mod report;
mod restore;
pub mod scenario;
mod schedule;
mod setup;
pub mod shrink;
pub mod spread;
mod stage;
mod trace;
mod witness;
mod world;

use crate::bench::measure::thread_ns;
use anyhow::Result;
use canary::Bug;
use coverage::Coverage;
use hundi_auditor::facts::Facts;
use report::Counters;
use scenario::Scenario;
use serde::Serialize;
use std::fmt;
use world::World;

/// What must always hold; the numbers are those of the design and of `docs/architecture.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// I1: once the network is quiet, all honest nodes hold the same core.
    Convergence,
    /// I2: what an honest payee accepted from an honest payer settles.
    NoLoss,
    /// I3: no grant settles above its limit and guarantee.
    Solvency,
    /// I4: every transaction balances.
    Conservation,
    /// I5: an entry settles at most once, and nobody is told otherwise.
    ExactlyOnce,
    /// What a cheat costs a bank is bounded by the loss rule.
    LossBound,
    /// I6: two headers that contradict each other end as a proof everywhere.
    Evidence,
    /// I7: nobody honest is accused, and nothing leaves before it is durable.
    NoFraming,
    /// I8: what others can make a node hold is bounded.
    Bounded,
    /// What was acknowledged is there after any crash.
    Durable,
    /// A part under test kept its contract with its driver.
    Contract,
    /// The loss rule: who is paid, from what, in which order, and when reserves return.
    LossRule,
    /// What a bank signs verifies, has one content, and says what its books say.
    BankRecords,
}

/// What a run violated, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What.
    pub invariant: Invariant,
    /// How it showed.
    pub what: String,
    /// Milliseconds since the run began.
    pub at_ms: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {} s: {}", self.invariant, self.at_ms / 1000, self.what)
    }
}

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// What it was made of.
    pub scenario: Scenario,
    /// What was violated, if anything was.
    pub violation: Option<Violation>,
    /// The digest of everything that happened.
    pub trace_digest: [u8; 32],
    /// What happened.
    pub counters: Counters,
    /// What was reached.
    pub coverage: Coverage,
}

/// Runs one seed of one scenario.
///
/// # Errors
/// When the world cannot be made: a defect of the simulator.
pub fn run(seed: u64, scenario: &Scenario, canary: Option<Bug>) -> Result<Run> {
    witnessed(seed, scenario, canary).map(|(run, _)| run)
}

/// Runs one seed, and hands over what its auditor judged.
///
/// # Errors
/// As for [`run`].
pub fn witnessed(seed: u64, scenario: &Scenario, canary: Option<Bug>) -> Result<(Run, Facts)> {
    let mut world = World::new(seed, scenario.clone(), canary)?;
    let facts = live(&mut world);
    Ok((finish(world), facts))
}

/// What a run cost, nanoseconds of this thread's processor time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Making the world: banks, keys, enrolment.
    pub morning_ns: u64,
    /// The minutes that the scenario asks for.
    pub storm_ns: u64,
    /// The calm after them and the end of all claims, where the scenario heals, and the audit.
    pub after_ns: u64,
}

/// Runs one seed of one scenario, and says what each part of it cost.
///
/// # Errors
/// As for [`run`].
pub fn run_measured(seed: u64, scenario: &Scenario) -> Result<(Run, Cost)> {
    let from = thread_ns();
    let mut world = World::new(seed, scenario.clone(), None)?;
    let made = thread_ns();
    storm(&mut world);
    let stormed = thread_ns();
    heal(&mut world);
    let cost = Cost {
        morning_ns: made.saturating_sub(from),
        storm_ns: stormed.saturating_sub(made),
        after_ns: thread_ns().saturating_sub(stormed),
    };
    Ok((finish(world), cost))
}

/// Lets a world live: the storm, the calm after it, the end of all claims. Then it is audited.
fn live(world: &mut World) -> Facts {
    storm(world);
    heal(world)
}

fn storm(world: &mut World) {
    world.run_until(u64::from(world.scenario.minutes) * 60_000);
}

fn heal(world: &mut World) -> Facts {
    let acts: [fn(&mut World); 2] = [World::calm_down, World::end_claims];
    for act in acts {
        if world.scenario.heals && world.violation.is_none() && !world.stopped {
            act(world);
        }
    }
    let facts = world.facts();
    world.audit(&facts);
    facts
}

fn finish(world: World) -> Run {
    let mut counters = world.counters;
    counters.events = world.trace.events();
    Run {
        seed: world.seed,
        scenario: world.scenario,
        violation: world.violation,
        trace_digest: world.trace.digest(),
        counters,
        coverage: world.coverage,
    }
}
