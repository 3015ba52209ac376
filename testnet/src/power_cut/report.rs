//! What the power cuts came to: lines for people, one JSON object for programs.

use super::contents::Failure;
use super::writer::{Hold, Said};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;

/// What is shown of failures, at most.
const FAILURES_MAX: usize = 20;

/// A row of the table: its name, and what stands in it.
type Row = (&'static str, fn(&Counts) -> u64);

/// The cuts of one store.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Power cuts.
    pub cuts: u64,
    /// Of them, while a batch was in the store and not acknowledged, because the writer was held.
    pub cuts_between_persist_and_ack: u64,
    /// Batches that were acknowledged before a cut.
    pub acknowledged: u64,
    /// Batches that were compared.
    pub batches: u64,
    /// Cuts after which a batch was there that had not been acknowledged.
    pub unacknowledged_found: u64,
    /// Cuts that tore a batch, which was cut off.
    pub torn_tails: u64,
    /// Cuts after which the index lacked batches that the segments had.
    pub indexes_caught_up: u64,
    /// Cuts after which the index was built anew.
    pub indexes_rebuilt: u64,
    /// Times that space was given back before a cut.
    pub freed: u64,
    /// Cuts that lost something acknowledged.
    pub lost: u64,
    /// Cuts after which the store did not open.
    pub unopened: u64,
    /// Cuts after which what was there did not fit together.
    pub contradictions: u64,
    /// The first failures, in words.
    pub failures: Vec<String>,
}

impl Counts {
    pub(super) fn cut(&mut self, said: &Said, hold: Option<Hold>) {
        self.cuts += 1;
        self.cuts_between_persist_and_ack += u64::from(said.held && hold.is_some());
        self.freed += said.freed;
        self.acknowledged += said.acknowledged_here();
    }

    pub(super) fn note(&mut self, failure: &Failure, line: String) {
        match failure {
            Failure::Lost(_) => self.lost += 1,
            Failure::Unopened(_) => self.unopened += 1,
            Failure::Contradiction(_) => self.contradictions += 1,
        }
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(line);
        }
    }

    fn held(&self) -> bool {
        (self.lost, self.unopened, self.contradictions) == (0, 0, 0)
    }
}

/// A run's result.
#[derive(Clone, Debug)]
pub struct Report {
    /// What chose the instants.
    pub seed: u64,
    /// Whether the stores made anything durable.
    pub barrier: bool,
    /// A device's store.
    pub node: Counts,
    /// A bank's store.
    pub journal: Counts,
    /// How long it all took.
    pub elapsed_ms: u64,
}

impl Report {
    /// Whether no store lost, broke or contradicted anything.
    pub fn held(&self) -> bool {
        self.node.held() && self.journal.held()
    }

    /// One object for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "ok": self.held(),
            "seed": self.seed,
            "barrier": self.barrier,
            "node": self.node,
            "journal": self.journal,
            "elapsed_ms": self.elapsed_ms,
        })
    }
}

/// For people.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<36}{:>10}{:>10}", "POWER CUTS", "node", "journal")?;
        let rows: [Row; 11] = [
            ("cuts", |it| it.cuts),
            ("between persist and acknowledgement", |it| it.cuts_between_persist_and_ack),
            ("batches acknowledged", |it| it.acknowledged),
            ("batches compared", |it| it.batches),
            ("found unacknowledged", |it| it.unacknowledged_found),
            ("torn tails cut off", |it| it.torn_tails),
            ("indexes caught up", |it| it.indexes_caught_up),
            ("indexes rebuilt", |it| it.indexes_rebuilt),
            ("LOST", |it| it.lost),
            ("UNOPENED", |it| it.unopened),
            ("CONTRADICTIONS", |it| it.contradictions),
        ];
        for (name, count) in rows {
            writeln!(out, "{name:<36}{:>10}{:>10}", count(&self.node), count(&self.journal))?;
        }
        for failure in self.node.failures.iter().chain(&self.journal.failures) {
            writeln!(out, "FAILED {failure}")?;
        }
        let barrier = if self.barrier { "" } else { ", without the barrier" };
        write!(out, "seed {}{barrier}, {} s", self.seed, self.elapsed_ms / 1_000)
    }
}
