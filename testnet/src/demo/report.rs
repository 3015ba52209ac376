//! What a run came to: a table for people, one JSON object for programs.

use super::expect::{Expectation, Expectations};
use super::script::Script;
use super::world::World;
use crate::answers::Book;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Payments by what became of them. What was accepted is settled or contested in the end.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Payments {
    /// Signed, the cheat's included.
    pub made: u64,
    /// Accepted by their payees, offline.
    pub accepted: u64,
    /// Settled by the bank.
    pub settled: u64,
    /// Refused by their payees.
    pub refused: u64,
    /// Under review after the contradiction.
    pub contested: u64,
    /// Refunds signed and accepted.
    pub refunded: u64,
    /// Not signed by the payer's own device: payees would not have accepted.
    pub held_back: u64,
}

/// What one payee of the cheat got.
#[derive(Clone, Debug, Serialize)]
pub struct PayeeLine {
    /// Who.
    pub name: String,
    /// The payment's place in the cheat's log.
    pub sequence: u32,
    /// What was promised, minor units.
    pub amount_minor: u64,
    /// What the bank has paid, minor units.
    pub got_minor: u64,
    /// How the bank decided.
    pub outcome: String,
}

/// The double spend.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Equivocations {
    /// Tried.
    pub attempted: u64,
    /// Proven.
    pub proven: u64,
    /// Honest nodes and gateways that hold the proof in the end.
    pub nodes_with_proof: usize,
    /// What each payee got by the loss rule.
    pub payees: Vec<PayeeLine>,
}

/// Digest and entries of one node, at two moments.
#[derive(Clone, Debug)]
pub struct NodeLine {
    /// Whose it is.
    pub name: String,
    /// Before the gateway was reached.
    pub before: Option<(String, u64)>,
    /// In the end.
    pub end: Option<(String, u64)>,
}

/// What was found out while it ran.
#[derive(Debug, Default)]
pub struct Facts {
    /// Payments.
    pub payments: Payments,
    /// The double spend.
    pub equivocations: Equivocations,
    /// From signing to the payee's verdict at the payer.
    pub answered: Vec<Duration>,
    /// From signing until a whole village held it.
    pub spread: Vec<Duration>,
    /// From the courier's setting out until a whole village held the proof.
    pub proof_spread: Vec<Duration>,
    /// From the courier's setting out until the bank had decided everything.
    pub bank: Option<Duration>,
    /// The books, by currency.
    pub books: BTreeMap<String, Book>,
    /// What the bank's audit said.
    pub audited: Option<bool>,
    /// All honest nodes, then the gateway.
    pub lines: Vec<NodeLine>,
    /// Whether all honest nodes agreed before the gateway was reached, entries as counted.
    pub converged_before_gateway: bool,
    /// Whether all honest nodes and the gateway agreed in the end.
    pub converged: bool,
}

/// A run's result.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    nodes: usize,
    honest_nodes: usize,
    facts: Facts,
    expectations: Vec<Expectation>,
    elapsed_ms: u64,
}

impl Report {
    pub(super) fn new(
        seed: u64,
        script: &Script,
        facts: Facts,
        expectations: Expectations,
        elapsed_ms: u64,
    ) -> Self {
        let honest_nodes = script.people.len();
        // The cheat and its clone.
        let nodes = honest_nodes + 2;
        let expectations = expectations.all().to_vec();
        Self { seed, nodes, honest_nodes, facts, expectations, elapsed_ms }
    }

    /// Whether every expectation held, and the run came to its end.
    pub fn held(&self) -> bool {
        self.facts.converged && self.expectations.iter().all(|one| one.held)
    }

    /// One object for programs.
    pub fn to_json(&self) -> Value {
        let facts = &self.facts;
        let balanced = !facts.books.is_empty()
            && facts.books.values().all(|book| book.balanced && book.sum == 0);
        let sums: BTreeMap<&String, i64> =
            facts.books.iter().map(|(currency, book)| (currency, book.sum)).collect();
        let digests: Vec<Value> = facts
            .lines
            .iter()
            .map(|line| {
                let core = |core: &Option<(String, u64)>| {
                    core.as_ref()
                        .map(|(digest, entries)| json!({ "digest": digest, "entries": entries }))
                };
                json!({ "name": line.name, "before": core(&line.before), "end": core(&line.end) })
            })
            .collect();
        json!({
            "ok": self.held(),
            "seed": self.seed,
            "nodes": self.nodes,
            "gateways": 1,
            "honest_nodes": self.honest_nodes,
            "payments": facts.payments,
            "equivocations": facts.equivocations,
            "journal": { "balanced": balanced, "sum": sums, "audited": facts.audited },
            "converged_before_gateway": facts.converged_before_gateway,
            "converged": facts.converged,
            "spread_ms": {
                "answer": span(&facts.answered),
                "village": span(&facts.spread),
                "proof": facts.proof_spread.iter().map(millis).collect::<Vec<_>>(),
                "settlement": facts.bank.as_ref().map(millis),
            },
            "digests": digests,
            "elapsed_ms": self.elapsed_ms,
            "expectations": self.expectations,
        })
    }

    fn write_cheat(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Equivocations { attempted, proven, nodes_with_proof, payees } =
            &self.facts.equivocations;
        writeln!(
            out,
            "\nTHE DOUBLE SPEND: one device copied, one sequence number in two villages"
        )?;
        writeln!(
            out,
            "  {attempted} tried, {proven} proven; the proof is held by {nodes_with_proof} of {} \
             honest nodes and gateways",
            self.honest_nodes + 1
        )?;
        for payee in payees {
            writeln!(
                out,
                "  sequence {}  {:<16} was promised {:>9}, got {:>9}  {}",
                payee.sequence,
                payee.name,
                major(payee.amount_minor),
                major(payee.got_minor),
                payee.outcome
            )?;
        }
        Ok(())
    }

    fn write_nodes(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\nNODES                 before the bank was reached     in the end")?;
        for line in &self.facts.lines {
            let core = |core: &Option<(String, u64)>| {
                core.as_ref().map_or_else(String::new, |(digest, entries)| {
                    let short: String = digest.chars().take(12).collect();
                    format!("{short}  {entries:>4} entries")
                })
            };
            let (before, end) = (core(&line.before), core(&line.end));
            writeln!(out, "  {:<18}  {before:<30}  {end}", line.name)?;
        }
        let word = |yes: bool| if yes { "all agree" } else { "DO NOT AGREE" };
        let (before, end) = (self.facts.converged_before_gateway, self.facts.converged);
        writeln!(out, "  {:<18}  {:<30}  {}", "", word(before), word(end))
    }

    fn write_expectations(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed: Vec<_> = self.expectations.iter().filter(|one| !one.held).collect();
        writeln!(out)?;
        for one in &failed {
            writeln!(out, "NOT HELD: {}", one.name)?;
            writeln!(out, "  expected {}\n  seen     {}", one.expected, one.seen)?;
        }
        let seconds = self.elapsed_ms / 1000;
        let all = self.expectations.len();
        if self.held() {
            writeln!(out, "All {all} expectations held, in {seconds} s.")
        } else {
            writeln!(out, "{} of {all} expectations did not hold, after {seconds} s.", failed.len())
        }
    }
}

/// A table for people.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.facts;
        let Payments { made, accepted, settled, refused, contested, refunded, held_back } =
            facts.payments;
        writeln!(out, "\n{} devices and 1 gateway, seed {}", self.nodes, self.seed)?;
        writeln!(out, "\nPAYMENTS")?;
        writeln!(out, "  made       {made:>5}   signed offline, Mallory's three included")?;
        writeln!(out, "  accepted   {accepted:>5}   by their payees, with no bank in reach")?;
        writeln!(
            out,
            "  refused    {refused:>5}   by their payees: the request was answered already"
        )?;
        writeln!(out, "  settled    {settled:>5}   by the bank, once the courier reached it")?;
        writeln!(
            out,
            "  contested  {contested:>5}   one branch of the double spend: a review decides"
        )?;
        writeln!(out, "  refunded   {refunded:>5}   returned by their payees, and settled")?;
        writeln!(
            out,
            "  held back  {held_back:>5}   not signed: payees would not accept so much unsettled"
        )?;
        self.write_cheat(out)?;
        writeln!(out, "\nTIME TO SPREAD (this machine, all devices on it)")?;
        write_span(out, "a payment until its payer has the answer", &facts.answered)?;
        write_span(out, "a payment until its whole village has it", &facts.spread)?;
        write_span(out, "the proof, from the courier's setting out", &facts.proof_spread)?;
        write_span(out, "everything decided by the bank, likewise", facts.bank.as_slice())?;
        writeln!(out, "\nBOOKS OF THE BANK")?;
        for (currency, book) in &facts.books {
            let accounts = book.accounts.iter().filter(|(_, balance)| **balance != 0);
            for (kind, balance) in accounts {
                writeln!(out, "  {currency} {kind:<26} {:>14}", signed_major(*balance))?;
            }
            writeln!(out, "  {currency} {:<26} {:>14}", "sum", signed_major(book.sum))?;
        }
        if let Some(ok) = facts.audited {
            writeln!(out, "  audit: {}", if ok { "nothing found" } else { "SOMETHING FOUND" })?;
        }
        self.write_nodes(out)?;
        self.write_expectations(out)
    }
}

fn millis(duration: &Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Median and longest, in milliseconds.
fn span(durations: &[Duration]) -> Option<Value> {
    let mut sorted: Vec<u64> = durations.iter().map(millis).collect();
    sorted.sort_unstable();
    let longest = sorted.last()?;
    Some(json!({ "median": sorted[sorted.len() / 2], "longest": longest, "count": sorted.len() }))
}

fn write_span(out: &mut fmt::Formatter<'_>, what: &str, durations: &[Duration]) -> fmt::Result {
    let Some(span) = span(durations) else { return Ok(()) };
    let (median, longest) = (&span["median"], &span["longest"]);
    writeln!(out, "  {what:<42} median {median:>6} ms, longest {longest:>6} ms")
}

/// Minor units as people write them; the demo's currency has two decimals.
fn major(minor: u64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

fn signed_major(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}", major(minor.unsigned_abs()))
}

/// Leaves a network running and says how to talk to it.
pub(super) fn how_to_talk(world: World, dir: &Path) -> String {
    let gateway = world.gateway.dir.display().to_string();
    let devices: Vec<String> =
        world.devices.iter().map(|device| device.dir.display().to_string()).collect();
    let (hundi, bank) = world.programs();
    let (hundi, bank) = (hundi.display().to_string(), bank.display().to_string());
    let pids: Vec<String> = world.release().iter().map(u32::to_string).collect();
    let (one, two) = match devices.as_slice() {
        [one, two, ..] => (one.as_str(), two.as_str()),
        _ => ("DIR", "DIR"),
    };
    format!(
        "Everything is still running; its files are in {}.\nTalk to it:\n\
         \x20 {hundi} --dir {one} balance\n\
         \x20 {hundi} --dir {one} request 25.00 --memo tea\n\
         \x20 {hundi} --dir {two} pay HUNDI:...\n\
         \x20 {hundi} --dir {two} history\n\
         \x20 {bank} --dir {gateway} case list\n\
         \x20 {bank} --dir {gateway} audit\n\
         The devices: {}\n\
         Stop it with: kill {}\n",
        dir.display(),
        devices.join("\n             "),
        pids.join(" "),
    )
}
