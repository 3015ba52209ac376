//! What a run of chaos came to: lines for people, one JSON object for programs.

use super::instant::Histogram;
use crate::demo::expect::{Expectation, Expectations};
use serde_json::{Value, json};
use std::fmt;

/// What is shown of what was lost or contradicted, at most.
const FAILURES_MAX: usize = 20;
/// Kills of a hundred that must fall between persist and acknowledgement.
pub(super) const BETWEEN_PERCENT_MIN: u64 = 30;

/// What happened, counted while it ran.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Programs killed with SIGKILL under load, one at a time.
    pub(super) kills: u64,
    /// Programs stopped with SIGSTOP under load, and continued.
    pub(super) stops: u64,
    /// Power cuts under the whole town.
    pub(super) power_cuts: u64,
    /// Programs that met a full disk and ended, naming it.
    pub(super) disk_full: u64,
    /// Stores that were damaged on purpose.
    pub(super) corruptions: u64,
    /// Of them: the program refused to start, and named the damage.
    pub(super) refused: u64,
    /// Of them: it started, with everything acknowledged.
    pub(super) recovered: u64,
    /// Of them: neither, which must not be.
    pub(super) ended_badly: u64,
    /// Of those that were refused: salvage reads what is left.
    pub(super) salvaged: u64,
    /// Programs that panicked, and programs in which a panic of the index was caught.
    pub(super) panics: u64,
    pub(super) panics_caught: u64,
    /// Programs that ended on a full disk without naming it.
    pub(super) disk_full_unnamed: u64,
    /// Acknowledged things that were not there afterwards.
    pub(super) lost: u64,
    /// Things that contradict each other: proofs, findings of audits and checks, torn batches.
    pub(super) contradictions: u64,
    /// Programs that did not start again.
    pub(super) unopened: u64,
    /// Audits and checks of stores that found nothing, and how many there were.
    pub(super) audits_ok: u64,
    pub(super) audits: u64,
    /// When kills fell.
    pub(super) histogram: Histogram,
    /// Payments that devices acknowledged, and entries that the gateway did.
    pub(super) payments: u64,
    pub(super) entries: u64,
    /// What this machine does not let us do.
    pub(super) left_out: Vec<String>,
    /// The first things that went wrong, in words.
    pub(super) failures: Vec<String>,
}

impl Facts {
    pub(super) fn expect_kept(&mut self, kept: bool, what: &str) {
        if !kept {
            self.lost += 1;
            self.fail(format!("lost: {what}"));
        }
    }

    pub(super) fn expect_no_contradiction(&mut self, sound: bool, what: &str) {
        if !sound {
            self.contradictions += 1;
            self.fail(format!("contradiction: {what}"));
        }
    }

    /// Counts an audit or a check.
    pub(super) fn audit(&mut self, findings: &[String], what: &str) {
        self.audits += 1;
        self.audits_ok += u64::from(findings.is_empty());
        self.expect_no_contradiction(findings.is_empty(), &format!("{what}: {findings:?}"));
    }

    /// Keeps in words what went wrong.
    pub(super) fn fail(&mut self, what: String) {
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(what);
        }
    }
}

/// A run's result.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    facts: Facts,
    expectations: Vec<Expectation>,
    elapsed_ms: u64,
}

impl Report {
    pub(super) fn new(
        seed: u64,
        facts: Facts,
        mut expectations: Expectations,
        elapsed_ms: u64,
    ) -> Self {
        let none = [
            ("acknowledged and lost", facts.lost),
            ("contradictions", facts.contradictions),
            ("programs that do not start again", facts.unopened),
            ("programs that end on a full disk without naming it", facts.disk_full_unnamed),
            ("damaged stores neither refused nor recovered", facts.ended_badly),
            ("panics", facts.panics),
        ];
        for (name, count) in none {
            expectations.equal(name, &0, &count);
        }
        expectations.equal("audits and checks that hold", &facts.audits, &facts.audits_ok);
        let between = facts.histogram.before_acknowledgement();
        let percent = between * 100 / facts.kills.max(1);
        let seen = format!("{between} of {}, {percent} %", facts.kills);
        expectations.note(
            "kills between persist and acknowledgement",
            format!("{BETWEEN_PERCENT_MIN} % or more"),
            seen,
            percent >= BETWEEN_PERCENT_MIN,
        );
        Self { seed, facts, expectations: expectations.all().to_vec(), elapsed_ms }
    }

    /// Whether every expectation held.
    pub fn held(&self) -> bool {
        self.expectations.iter().all(|one| one.held)
    }

    /// One object for programs.
    pub fn to_json(&self) -> Value {
        let facts = &self.facts;
        json!({
            "ok": self.held(),
            "seed": self.seed,
            "kills": facts.kills,
            "kills_between_persist_and_ack": facts.histogram.before_acknowledgement(),
            "stops": facts.stops,
            "power_cuts": facts.power_cuts,
            "disk_full": facts.disk_full,
            "corruptions": facts.corruptions,
            "corruptions_refused": facts.refused,
            "corruptions_recovered": facts.recovered,
            "corruptions_salvaged": facts.salvaged,
            "panics": facts.panics,
            "panics_caught": facts.panics_caught,
            "lost": facts.lost,
            "contradictions": facts.contradictions,
            "unopened": facts.unopened,
            "audits": facts.audits,
            "audits_ok": facts.audits_ok,
            "payments": facts.payments,
            "entries": facts.entries,
            "histogram": facts.histogram.to_json(),
            "left_out": facts.left_out,
            "failures": facts.failures,
            "expectations": self.expectations,
            "elapsed_ms": self.elapsed_ms,
        })
    }
}

/// For people.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.facts;
        write!(out, "{}", facts.histogram)?;
        let rows = [
            ("kills", facts.kills),
            ("stops", facts.stops),
            ("power cuts", facts.power_cuts),
            ("programs that met a full disk", facts.disk_full),
            ("damaged stores", facts.corruptions),
            ("  refused", facts.refused),
            ("  of which salvage reads the rest", facts.salvaged),
            ("  recovered", facts.recovered),
            ("  panics of the index that were caught", facts.panics_caught),
            ("payments acknowledged", facts.payments),
            ("entries settled over HTTP", facts.entries),
        ];
        for (name, count) in rows {
            writeln!(out, "{name:<42}{count:>10}")?;
        }
        for one in &self.expectations {
            let held = if one.held { "ok" } else { "NOT HELD" };
            writeln!(out, "{held:<10}{}: {} (expected {})", one.name, one.seen, one.expected)?;
        }
        for line in &facts.failures {
            writeln!(out, "FAILED    {line}")?;
        }
        for line in &facts.left_out {
            writeln!(out, "left out  {line}")?;
        }
        write!(out, "seed {}, {} s", self.seed, self.elapsed_ms / 1_000)
    }
}
