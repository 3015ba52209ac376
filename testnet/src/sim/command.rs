//! The command `hundi-testnet sim`: consecutive seeds with progress, what failed and how to see it
//! again.

use super::canary::Bug;
use super::coverage::{Case, Coverage};
use super::replay::{record, replay};
use super::report::Counters;
use super::scenario::{Fixed, Scenario};
use super::shrink::shrink;
use super::{Run, run};
use crate::bench::measure::thread_ns;
use crate::process::check_interrupted;
use anyhow::{Context, Result};
use clap::Args;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Options of the simulator.
#[derive(Clone, Debug, Args)]
pub struct SimArgs {
    /// The first seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many consecutive seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    runs: u64,
    /// Phones, those of adversaries included. Each seed draws a number unless this one is given.
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
    /// Gateways.
    #[arg(long, value_name = "N")]
    gateways: Option<u32>,
    /// Hours with people, faults and adversaries.
    #[arg(long, value_name = "H")]
    hours: Option<u32>,
    /// Parts of a scenario: a JSON file, or the JSON itself. docs/simulator.md has the schema.
    #[arg(long, value_name = "FILE")]
    scenario: Option<String>,
    /// Print exactly one JSON object on standard output instead of a summary.
    #[arg(long)]
    pub json: bool,
    /// Report a failing seed as it is, without making its scenario smaller first.
    #[arg(long)]
    no_shrink: bool,
    /// Switch on a bug, to see the checkers catch it. Only in builds with the feature `canary`.
    #[cfg(feature = "canary")]
    #[arg(long, value_name = "BUG", value_enum)]
    canary: Option<Bug>,
    /// Run one seed and write every event, with the digest after it, into this file.
    #[arg(long, value_name = "FILE", conflicts_with = "runs")]
    record: Option<PathBuf>,
    /// Run a recording again, compare event by event, and show nodes as they are at the end.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "seed", "runs", "scenario"])]
    replay: Option<PathBuf>,
    /// With --replay: stop after the event of this number.
    #[arg(long, value_name = "N", requires = "replay")]
    until: Option<u64>,
    /// With --replay: show this node only; gateways come first, then phones.
    #[arg(long, value_name = "N", requires = "replay")]
    node: Option<u32>,
}

impl SimArgs {
    #[cfg(feature = "canary")]
    fn canary(&self) -> Option<Bug> {
        self.canary
    }

    #[cfg(not(feature = "canary"))]
    fn canary(&self) -> Option<Bug> {
        None
    }

    fn fixed(&self) -> Result<Fixed> {
        let parts = self.scenario.as_ref().map(|text| parts(text)).transpose()?;
        let (nodes, gateways, hours) = (self.nodes, self.gateways, self.hours);
        Ok(Fixed { nodes, gateways, hours, parts })
    }
}

fn parts(text: &str) -> Result<Value> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).context("the scenario is not JSON");
    }
    let file = std::fs::read_to_string(text).with_context(|| format!("cannot read {text}"))?;
    serde_json::from_str(&file).with_context(|| format!("{text} is not JSON"))
}

/// What a set of runs came to.
#[derive(Debug, Default)]
pub struct Outcome {
    runs: u64,
    failed: Vec<Run>,
    counters: Counters,
    coverage: Coverage,
    digest: blake3::Hasher,
    minutes: u64,
    cpu_ns: u64,
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The options do not make a scenario.
    #[error("{0:#}")]
    Usage(anyhow::Error),
    /// The simulator itself did not work.
    #[error("{0:#}")]
    Failed(anyhow::Error),
    /// A person interrupted.
    #[error("interrupted")]
    Interrupted,
}

/// Runs what the options say, with progress on standard error.
///
/// # Errors
/// See [`SimError`]. What was violated is in the outcome instead.
pub fn sim(args: &SimArgs) -> Result<Outcome, SimError> {
    let fixed = args.fixed().map_err(SimError::Usage)?;
    let mut outcome = Outcome::default();
    for seed in args.seed..args.seed.saturating_add(args.runs) {
        check_interrupted().map_err(|_| SimError::Interrupted)?;
        let scenario = Scenario::of(seed, &fixed).map_err(SimError::Usage)?;
        let from = thread_ns();
        let made = made(args, seed, &scenario).map_err(SimError::Failed)?;
        let cpu_ns = thread_ns().saturating_sub(from);
        progress(&made, cpu_ns);
        let failed = made.violation.is_some().then(|| made.clone());
        outcome.add(&made, cpu_ns);
        if let Some(failed) = failed {
            let least = match args.no_shrink {
                true => failed,
                false => shrink(&failed, args.canary()).map_err(SimError::Failed)?,
            };
            eprintln!("{}", reproduce(&least));
            outcome.failed.push(least);
        }
    }
    Ok(outcome)
}

fn made(args: &SimArgs, seed: u64, scenario: &Scenario) -> Result<Run> {
    let Some(file) = &args.record else { return run(seed, scenario, args.canary()) };
    let (run, text) = record(seed, scenario, args.canary())?;
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(run)
}

/// Runs a recording again, if the options name one: what came of it, and whether it is the same.
///
/// # Errors
/// See [`SimError`].
pub fn follow(args: &SimArgs) -> Option<Result<(Value, bool), SimError>> {
    let file = args.replay.as_ref()?;
    let followed = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {}", file.display()))
        .and_then(|text| replay(&text, args.until, args.node, args.canary()));
    Some(followed.map_err(SimError::Usage).map(|followed| {
        let same = followed.differs.is_none();
        let value = json!({
            "events": followed.events, "differs_at": followed.differs,
            "violation": followed.violation, "nodes": followed.nodes,
        });
        (value, same)
    }))
}

fn progress(run: &Run, cpu_ns: u64) {
    let Run { seed, scenario, counters, .. } = run;
    let verdict = run.violation.as_ref().map_or("ok".into(), |violation| violation.to_string());
    eprintln!(
        "seed {seed}: {verdict} ({} phones, {} adversaries, {} min; {} payments, {} settled, {} \
         contacts, {} faults, {} crashes; calm after {} min; {} ms)",
        scenario.nodes,
        scenario.adversaries.len(),
        scenario.minutes,
        counters.payments,
        counters.settled,
        counters.contacts,
        counters.faults,
        counters.crashes,
        counters.calm_minutes,
        cpu_ns / 1_000_000
    );
}

/// One line that shows a failing run again.
fn reproduce(run: &Run) -> String {
    let what = run.violation.as_ref().map(ToString::to_string).unwrap_or_default();
    let scenario = serde_json::to_string(&run.scenario).unwrap_or_default();
    format!("{what}\n  hundi-testnet sim --no-shrink --seed {} --scenario '{scenario}'", run.seed)
}

impl Outcome {
    fn add(&mut self, run: &Run, cpu_ns: u64) {
        self.runs += 1;
        self.counters.add(&run.counters);
        self.coverage.add(&run.coverage);
        self.digest.update(&run.trace_digest);
        self.minutes += u64::from(run.scenario.minutes);
        self.cpu_ns += cpu_ns;
    }

    /// Whether nothing was violated.
    pub fn held(&self) -> bool {
        self.failed.is_empty()
    }

    /// Hours that all phones of a run live through together count once.
    fn village_hours(&self) -> f64 {
        Duration::from_millis(self.minutes * 1_000 / 60).as_secs_f64()
    }

    fn digest(&self) -> String {
        HEXLOWER.encode(self.digest.finalize().as_bytes())
    }

    /// One JSON object.
    pub fn to_json(&self) -> Value {
        let seeds: Vec<u64> = self.failed.iter().map(|run| run.seed).collect();
        let failures: Vec<Value> = self.failed.iter().map(|run| {
            json!({ "seed": run.seed, "violation": run.violation, "reproduce": reproduce(run) })
        }).collect();
        let missing: Vec<String> = self.coverage.missing().iter().map(name).collect();
        json!({
            "runs": self.runs,
            "failed": self.failed.len(),
            "failing_seeds": seeds,
            "failures": failures,
            "trace_digest": self.digest(),
            "payments": self.counters.payments,
            "faults": self.counters.faults,
            "village_hours": self.village_hours(),
            "cpu_s": Duration::from_nanos(self.cpu_ns).as_secs_f64(),
            "counters": self.counters,
            "coverage": { "reached": self.coverage.reached(), "never_reached": missing },
        })
    }
}

/// A summary for people.
impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters { payments, settled, faults, crashes, contacts, .. } = self.counters;
        let missing = self.coverage.missing();
        write!(
            out,
            "{} runs, {} failed: {payments} payments, {settled} settled, {faults} faults, \
             {crashes} crashes, {contacts} contacts\n{} village hours in {} ms of processor time\n\
             coverage: {} cases of fault, adversary and state reached, {} never\ntrace {}",
            self.runs,
            self.failed.len(),
            self.village_hours(),
            self.cpu_ns / 1_000_000,
            self.coverage.reached(),
            missing.len(),
            self.digest(),
        )
    }
}

/// What a case is called.
fn name((fault, adversary, state): &Case) -> String {
    let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let adversary = adversary.map_or("honest".into(), |it| word(json!(it)));
    format!("{} x {adversary} x {}", word(json!(fault)), word(json!(state)))
}
