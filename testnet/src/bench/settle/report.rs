//! What the bench of settling came to: tables for people, one JSON object for programs, curves,
//! and whether what must hold did. Ratios are in thousandths and times in microseconds inside; they
//! are printed as decimals.

use super::ceiling::Ceiling;
use super::engine::Ended;
use super::load::{Offered, Row};
use super::postgres::Handwritten;
use super::profile::Profile;
use crate::bench::Outcome;
use crate::bench::drawing::{self, Panel, Scale};
use crate::bench::expectation::Expectation;
use crate::bench::figures::{decimal, thousandths};
use serde_json::{Map, Value, json};
use std::fmt;

/// The least part of the batched ceiling that is to be settled, thousandths.
const RATIO_MIN: u64 = 800;
/// The most that p99 is to be at half of the most load, microseconds.
const HALF_P99_US_MAX: u64 = 50_000;
/// The least of the first throughput that is to be left when the books have grown tenfold,
/// thousandths: flat, but for noise.
const GROWTH_MIN: u64 = 900;
/// The most memory meanwhile, in thousandths of the first.
const GROWTH_MEMORY_MAX: u64 = 1_100;
/// What the issue of this bench names and nothing measures yet; no figure stands for it.
const MISSING: &str = "Not measured yet: postings without signatures and the account that receives all of them, the \
     engine on PostgreSQL, and growth beyond the payments above, to ten million.";
/// A colour for every panel.
const COLOURS: [&str; 4] = ["#0b6e4f", "#c8553d", "#588bae", "#d9a441"];

/// A run's result.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    authors: u32,
    entries: u32,
    elapsed_ms: u64,
    ceiling: Option<Ceiling>,
    /// The engine, by payments of a batch.
    pub(super) rows: Vec<Row>,
    /// One payment at a time.
    pub(super) one_at_a_time: Option<Row>,
    /// At half of the most load.
    pub(super) half: Vec<Offered>,
    /// Payments settled so far, and the part that led there.
    pub(super) growth: Vec<(u64, Row)>,
    /// What opening the grown store took.
    pub(super) reopened: Option<Ended>,
    /// Where the time goes.
    pub(super) profiles: Vec<Profile>,
    /// What statements written by hand do.
    pub(super) handwritten: Option<Handwritten>,
    audits: u64,
    findings: Vec<String>,
    expectations: Vec<Expectation>,
}

impl Report {
    pub(super) fn new(seed: u64, authors: u32, entries: u32) -> Self {
        Self {
            seed,
            authors,
            entries,
            elapsed_ms: 0,
            ceiling: None,
            rows: Vec::new(),
            one_at_a_time: None,
            half: Vec::new(),
            growth: Vec::new(),
            reopened: None,
            profiles: Vec::new(),
            handwritten: None,
            audits: 0,
            findings: Vec::new(),
            expectations: Vec::new(),
        }
    }

    /// The row with the most payments in a second.
    pub(super) fn best(&self) -> Option<&Row> {
        self.rows.iter().max_by_key(|row| row.per_s())
    }

    /// Notes what an engine left, and whether it is what was answered.
    pub(super) fn audited(&mut self, ended: &Ended, answered: u64) {
        self.audits += 1;
        self.findings.extend(ended.findings.iter().cloned());
        if ended.settled != answered {
            let what = format!("{answered} payments were answered, {} are settled", ended.settled);
            self.findings.push(what);
        }
    }

    /// Judges, when everything has run.
    pub(super) fn finish(&mut self, ceiling: Option<Ceiling>, elapsed_ms: u64) {
        (self.ceiling, self.elapsed_ms) = (ceiling, elapsed_ms);
        let mut all = Vec::new();
        if let Some(ratio) = self.best().and_then(|row| self.ratio(row)) {
            let name = "settled, thousandths of the batched ceiling".to_owned();
            all.push(Expectation::at_least(name, ratio, RATIO_MIN));
        }
        for Offered { kept_up, row, .. } in &self.half {
            let name = format!("half of the most load in submissions of {}", row.batch);
            let p99 = format!("{name}: p99, us");
            all.push(Expectation::at_most(p99, row.latency_us.p99, HALF_P99_US_MAX));
            let behind = format!("{name}: times that the engine fell behind");
            all.push(Expectation::at_most(behind, u64::from(!kept_up), 0));
        }
        if let Some((ratio, memory)) = self.growth_ratios() {
            let name = "throughput after tenfold growth, thousandths of the first".to_owned();
            all.push(Expectation::at_least(name, ratio, GROWTH_MIN));
            let name = "memory after tenfold growth, thousandths of the first".to_owned();
            all.push(Expectation::at_most(name, memory, GROWTH_MEMORY_MAX));
        }
        if self.audits > 0 {
            let refused: u64 = self.all_rows().map(|row| row.not_settled).sum();
            let name = "payments that were answered and not settled".to_owned();
            all.push(Expectation::at_most(name, refused, 0));
            let name = format!("findings of {} audits of the books", self.audits);
            all.push(Expectation::at_most(name, self.findings.len() as u64, 0));
        }
        if let Some(handwritten) = &self.handwritten {
            let name = "findings in the books of hand-written SQL".to_owned();
            all.push(Expectation::at_most(name, handwritten.findings.len() as u64, 0));
        }
        self.expectations = all;
    }

    fn all_rows(&self) -> impl Iterator<Item = &Row> {
        let half = self.half.iter().map(|offered| &offered.row);
        let growth = self.growth.iter().map(|(_, row)| row);
        self.rows.iter().chain(&self.one_at_a_time).chain(half).chain(growth)
    }

    /// A row's payments in a second, in thousandths of the batched ceiling.
    fn ratio(&self, row: &Row) -> Option<u64> {
        (row.per_s() * 1_000).checked_div(self.ceiling?.batched.per_s)
    }

    /// Throughput and memory of the last part of the growth, in thousandths of the first.
    fn growth_ratios(&self) -> Option<(u64, u64)> {
        let ((_, first), (_, last)) = self.growth.first().zip(self.growth.last())?;
        let of = |last: u64, first: u64| (last * 1_000).checked_div(first).unwrap_or(u64::MAX);
        Some((of(last.per_s(), first.per_s()), of(last.peak_bytes, first.peak_bytes)))
    }

    fn row_json(&self, row: &Row) -> Map<String, Value> {
        let latency = &row.latency_us;
        let value = json!({
            "batch": row.batch,
            "payments": row.payments,
            "per_s": row.per_s(),
            "cpu_us": decimal(row.cpu_ns_each()),
            "submissions": row.submissions,
            "p50_ms": decimal(latency.p50),
            "p95_ms": decimal(latency.p95),
            "p99_ms": decimal(latency.p99),
            "max_ms": decimal(latency.max),
            "peak_mib": decimal(mib_thousandths(row.peak_bytes)),
        });
        let Value::Object(mut map) = value else { return Map::new() };
        if let Some(clients) = row.clients {
            map.insert("clients".to_owned(), json!(clients));
        }
        if let Some(ratio) = self.ratio(row) {
            map.insert("ratio_to_ceiling".to_owned(), decimal(ratio));
        }
        map
    }

    fn embedded_json(&self) -> Option<Value> {
        let mut embedded = self.row_json(self.best()?);
        let rows: Vec<_> = self.rows.iter().map(|row| self.row_json(row)).collect();
        embedded.insert("batches".to_owned(), json!(rows));
        if let Some(row) = &self.one_at_a_time {
            embedded.insert("one_at_a_time".to_owned(), json!(self.row_json(row)));
        }
        if !self.half.is_empty() {
            let half = self.half.iter().map(|Offered { per_s, kept_up, row }| {
                let mut map = self.row_json(row);
                map.insert("offered_per_s".to_owned(), json!(per_s));
                map.insert("kept_up".to_owned(), json!(kept_up));
                map
            });
            embedded.insert("half_load".to_owned(), json!(half.collect::<Vec<_>>()));
        }
        Some(Value::Object(embedded))
    }

    fn growth_json(&self) -> Option<Value> {
        let ended = self.reopened.as_ref()?;
        let parts = self.growth.iter().map(|(settled, row)| {
            let mut map = self.row_json(row);
            map.insert("settled".to_owned(), json!(settled));
            map
        });
        Some(json!({
            "parts": parts.collect::<Vec<_>>(),
            "memory_ratio": decimal(self.growth_ratios()?.1),
            "events": ended.events,
            "open_ms": ended.open_ms,
            "replay_ms": ended.replay_ms,
        }))
    }
}

impl Outcome for Report {
    fn held(&self) -> bool {
        self.expectations.iter().all(|one| one.held)
    }

    fn to_json(&self) -> Value {
        let mut report = json!({
            "ok": self.held(),
            "seed": self.seed,
            "authors": self.authors,
            "entries": self.entries,
            "cores": cores(),
            "elapsed_ms": self.elapsed_ms,
            "expectations": self.expectations,
        });
        if let Some(ceiling) = &self.ceiling {
            report["ceiling"] = json!({
                "rounds": ceiling.rounds,
                "single_per_s": ceiling.single.per_s,
                "single_cpu_us": decimal(ceiling.single.cpu_ns),
                "batched_per_s": ceiling.batched.per_s,
                "batched_cpu_us": decimal(ceiling.batched.cpu_ns),
                "batch": ceiling.batch,
                "fsync_per_s": ceiling.fsync_per_s,
            });
        }
        if let Some(embedded) = self.embedded_json() {
            report["embedded"] = embedded;
        }
        if let (Some(growth), Some((ratio, _))) = (self.growth_json(), self.growth_ratios()) {
            report["growth"] = growth;
            report["growth_ratio"] = decimal(ratio);
        }
        if !self.profiles.is_empty() {
            report["profile"] = self.profiles.iter().map(profile_json).collect();
        }
        if let Some(handwritten) = &self.handwritten {
            report["postgres"] = handwritten.to_json();
        }
        if self.audits > 0 {
            report["audit_ok"] = json!(self.findings.is_empty());
            report["audits"] = json!(self.audits);
            report["findings"] = json!(self.findings);
        }
        report
    }

    fn to_svg(&self) -> String {
        let panel = |title: &str, colour: &'static str, scales, points| Panel {
            title: title.to_owned(),
            scales,
            lines: vec![(colour, points)],
        };
        let by_batch = |value: &dyn Fn(&Row) -> u64| -> Vec<(u64, u64)> {
            self.rows.iter().map(|row| (row.batch as u64, value(row).max(1))).collect()
        };
        let by_size = |value: &dyn Fn(&Row) -> u64| -> Vec<(u64, u64)> {
            self.growth.iter().map(|(settled, row)| (*settled, value(row))).collect()
        };
        let logarithmic = [Scale::Logarithmic; 2];
        let linear = [Scale::Linear; 2];
        let panels = [
            panel("payments/s by batch", COLOURS[0], logarithmic, by_batch(&Row::per_s)),
            panel("p99 (us) by batch", COLOURS[1], logarithmic, by_batch(&|it| it.latency_us.p99)),
            panel("payments/s by payments settled", COLOURS[2], linear, by_size(&Row::per_s)),
            panel(
                "MiB by payments settled",
                COLOURS[3],
                linear,
                by_size(&|it| it.peak_bytes >> 20),
            ),
        ];
        let names = ["throughput", "latency", "growth", "memory"];
        let legend: Vec<_> = names.into_iter().zip(COLOURS).collect();
        drawing::svg(&panels, &legend)
    }

    fn to_markdown(&self, plot: Option<&str>) -> String {
        let picture = plot.map_or_else(String::new, |file| {
            format!(
                "![payments in a second and latency, by batch and as the books grow]({file})\n\n"
            )
        });
        format!(
            "# How fast a bank settles\n\n\
             Written by `hundi-testnet bench settle`; [for testers](testers.md#settling) says how it \
             measures and what the columns are.\n\n{picture}```text\n{self}```\n"
        )
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn mib_thousandths(bytes: u64) -> u64 {
    bytes.saturating_mul(1_000) >> 20
}

fn profile_json(profile: &Profile) -> Value {
    let each = |ns: u64| decimal(ns / profile.payments.max(1));
    let stages = profile.stages.named().map(|(name, ns)| (format!("{name}_us"), each(ns)));
    let mut map: Map<String, Value> = stages.into_iter().collect();
    map.insert("batch".to_owned(), json!(profile.batch));
    map.insert("payments".to_owned(), json!(profile.payments));
    map.insert("checkpoints".to_owned(), json!(profile.checkpoints));
    map.insert("total_us".to_owned(), each(profile.stages.total()));
    Value::Object(map)
}

/// Tables for people.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} authors, {} payments signed, {} cores, {} s",
            self.authors,
            self.entries,
            cores(),
            self.elapsed_ms / 1_000
        )?;
        if let Some(ceiling) = &self.ceiling {
            writeln!(
                out,
                "\nCEILING, all cores, the middle of {} rounds\n  {} verifications/s singly ({} us of \
                 processor time each), {} in batches of {} ({} us)\n  {} durable appends of 4 KiB/s",
                ceiling.rounds,
                ceiling.single.per_s,
                thousandths(ceiling.single.cpu_ns, 1),
                ceiling.batched.per_s,
                ceiling.batch,
                thousandths(ceiling.batched.cpu_ns, 1),
                ceiling.fsync_per_s
            )?;
        }
        if !self.rows.is_empty() {
            writeln!(out, "\nEMBEDDED ENGINE, payments that are durable and answered")?;
            write_head(out, "")?;
        }
        for row in &self.rows {
            self.write_row(out, "", row)?;
        }
        if let Some(row) = &self.one_at_a_time {
            self.write_row(out, "alone", row)?;
        }
        for Offered { per_s, kept_up, row } in &self.half {
            self.write_row(out, "half", row)?;
            let behind =
                if *kept_up { "" } else { "; the engine fell behind, and it was given up" };
            writeln!(out, "    offered {per_s} payments/s{behind}")?;
        }
        if !self.growth.is_empty() {
            writeln!(out, "\nGROWTH, by payments settled so far")?;
            write_head(out, "settled")?;
        }
        for (settled, row) in &self.growth {
            self.write_row(out, &settled.to_string(), row)?;
        }
        if let Some(ended) = &self.reopened {
            writeln!(
                out,
                "  opened again with {} events: read in {} ms, replayed in {} ms",
                ended.events, ended.open_ms, ended.replay_ms
            )?;
        }
        for profile in &self.profiles {
            write_profile(out, profile)?;
        }
        if let Some(handwritten) = &self.handwritten {
            write!(out, "\n{handwritten}")?;
        }
        for finding in &self.findings {
            writeln!(out, "FOUND: {finding}")?;
        }
        writeln!(out, "\n{MISSING}\n")?;
        Expectation::write_all(&self.expectations, out)
    }
}

fn write_head(out: &mut impl fmt::Write, name: &str) -> fmt::Result {
    writeln!(
        out,
        "  {name:>8} {:>6} {:>7} {:>9} {:>10} {:>7} {:>8} {:>9} {:>9} {:>9} {:>8}",
        "batch",
        "clients",
        "payments",
        "payments/s",
        "ceiling",
        "cpu us",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "peak MiB"
    )
}

impl Report {
    fn write_row(&self, out: &mut impl fmt::Write, name: &str, row: &Row) -> fmt::Result {
        let clients = row.clients.map_or_else(|| "-".to_owned(), |it| it.to_string());
        let ratio = self.ratio(row).map_or_else(|| "-".to_owned(), |it| thousandths(it, 3));
        writeln!(
            out,
            "  {name:>8} {:>6} {:>7} {:>9} {:>10} {:>7} {:>8} {:>9} {:>9} {:>9} {:>8}",
            row.batch,
            clients,
            row.payments,
            row.per_s(),
            ratio,
            thousandths(row.cpu_ns_each(), 1),
            thousandths(row.latency_us.p50, 1),
            thousandths(row.latency_us.p95, 1),
            thousandths(row.latency_us.p99, 1),
            row.peak_bytes >> 20
        )
    }
}

fn write_profile(out: &mut impl fmt::Write, profile: &Profile) -> fmt::Result {
    writeln!(
        out,
        "\nPROFILE, one thread, batches of {}: us of a payment; {} payments, {} checkpoints",
        profile.batch, profile.payments, profile.checkpoints
    )?;
    let total = profile.stages.total().max(1);
    for (name, ns) in profile.stages.named() {
        let each = thousandths(ns / profile.payments.max(1), 1);
        writeln!(out, "  {name:<8} {each:>8} {:>4} %", ns * 100 / total)?;
    }
    let each = thousandths(profile.stages.total() / profile.payments.max(1), 1);
    writeln!(out, "  {:<8} {each:>8}", "all")
}
