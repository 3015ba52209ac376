//! What a bench came to: tables for people, one JSON object for programs, and whether what must
//! hold did. Time is in microseconds and ratios are in thousandths inside; both are printed as
//! decimals.

use super::difference::{Mix, Placement};
use super::measure::{Sample, Spread};
use super::{Options, contact};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// What a contact may cost where nothing differs, bytes, both directions together.
const EQUAL_BYTES_MAX: u64 = 16;
/// What finding and fetching ten differing authors may cost besides the items, bytes.
const TEN_METADATA_BYTES_MAX: u64 = 1_024;
/// One-way trips that it may take.
const TEN_HALF_TRIPS_MAX: u64 = 4;
/// What the totals may be above their share of what was missing, bytes.
const TOTAL_SLACK_BYTES: u64 = 1_024;
/// What a walk's contact may cost besides its share, bytes.
const WALK_CONTACT_SLACK_BYTES: u64 = 2_048;
/// Hundredths of the payload that a walk may move in all.
const WALK_PERCENT_MAX: u64 = 110;
/// Memory of a session, bytes.
const SESSION_BYTES_MAX: u64 = 1 << 20;

/// One expectation.
#[derive(Clone, Debug, Serialize)]
pub struct Expectation {
    /// What it is about.
    pub name: String,
    /// Whether it holds.
    pub held: bool,
    /// What was measured.
    pub measured: u64,
    /// The most that it may be.
    pub limit: u64,
}

/// The figures of one protocol in one row, over all seeds.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// How many differences were measured.
    pub seeds: u64,
    /// Bytes besides items from the initiator, from the responder, and of both.
    pub metadata: [Spread; 3],
    /// All bytes on the link.
    pub total: Spread,
    /// Bytes of the items that were missing.
    pub missing: Spread,
    /// Total in thousandths of what was missing.
    pub ratio: Option<Spread>,
    /// One-way trips until both held everything.
    pub half_trips: Spread,
    /// One-way trips until the first item.
    pub half_trips_first: Option<Spread>,
    /// Processor time of each side, microseconds.
    pub cpu_us: [Spread; 2],
    /// Processor time for taking what arrived, microseconds, both sides; none where it is in
    /// `cpu_us`.
    pub apply_us: Option<Spread>,
    /// The larger of both sides' peaks, bytes.
    pub peak_bytes: Spread,
    /// The most contacts that one difference took.
    pub contacts: u64,
    /// Total above 1.25 times what was missing, bytes, the highest.
    above_125: u64,
    /// Total above 1.15 times what was missing, bytes, the highest.
    above_115: u64,
}

impl Figures {
    /// Of all samples of a row.
    pub fn of(samples: &[Sample]) -> Self {
        let spread = |figure: &dyn Fn(&Sample) -> u64| Spread::of(samples.iter().map(figure));
        let above = |percent: u64| {
            spread(&|one| one.total().saturating_sub(one.missing() * percent / 100)).max
        };
        let ratios: Vec<u64> = samples.iter().filter_map(Sample::ratio_thousandths).collect();
        let firsts: Vec<u64> = samples.iter().filter_map(|one| one.half_trips_first).collect();
        let applies: Vec<u64> = samples
            .iter()
            .filter_map(|one| one.apply_ns.map(|ns| (ns[0] + ns[1]) / 1_000))
            .collect();
        let some = |values: Vec<u64>| (!values.is_empty()).then(|| Spread::of(values.into_iter()));
        Self {
            seeds: samples.len() as u64,
            metadata: [
                spread(&|one| one.metadata()[0]),
                spread(&|one| one.metadata()[1]),
                spread(&|one| one.total().saturating_sub(one.missing())),
            ],
            total: spread(&Sample::total),
            missing: spread(&Sample::missing),
            ratio: some(ratios),
            half_trips: spread(&|one| one.half_trips),
            half_trips_first: some(firsts),
            cpu_us: [0, 1].map(|side| spread(&|one| one.meter.cpu_ns[side] / 1_000)),
            apply_us: some(applies),
            peak_bytes: spread(&|one| one.meter.peak_bytes.into_iter().max().unwrap_or(0)),
            contacts: spread(&|one| one.contacts).max,
            above_125: above(125),
            above_115: above(115),
        }
    }

    fn to_json(self) -> Map<String, Value> {
        let [up, down, both] = self.metadata;
        let halves = |spread: Spread, pick: fn(Spread) -> u64| decimal(pick(spread) * 500);
        let (p50, p95): (fn(Spread) -> u64, fn(Spread) -> u64) = (|one| one.p50, |one| one.p95);
        let first = self.half_trips_first;
        let figures = json!({
            "seeds": self.seeds,
            "opening": contact::OPENING,
            "metadata_bytes_up": up.p50,
            "metadata_bytes_up_p95": up.p95,
            "metadata_bytes_down": down.p50,
            "metadata_bytes_down_p95": down.p95,
            "metadata_bytes": both.p50,
            "metadata_bytes_p95": both.p95,
            "total_bytes": self.total.p50,
            "total_bytes_p95": self.total.p95,
            "missing_bytes": self.missing.p50,
            "ratio_to_missing": self.ratio.map(|ratio| decimal(ratio.p50)),
            "ratio_to_missing_p95": self.ratio.map(|ratio| decimal(ratio.p95)),
            "round_trips": halves(self.half_trips, p50),
            "round_trips_p95": halves(self.half_trips, p95),
            "round_trips_first_item": first.map(|first| halves(first, p50)),
            "round_trips_first_item_p95": first.map(|first| halves(first, p95)),
            "contacts_max": self.contacts,
            "cpu_ms_a": decimal(self.cpu_us[0].p50),
            "cpu_ms_a_p95": decimal(self.cpu_us[0].p95),
            "cpu_ms_b": decimal(self.cpu_us[1].p50),
            "cpu_ms_b_p95": decimal(self.cpu_us[1].p95),
            "apply_ms": self.apply_us.map(|apply| decimal(apply.p50)),
            "peak_session_bytes": self.peak_bytes.max,
        });
        match figures {
            Value::Object(figures) => figures,
            _ => Map::new(),
        }
    }

    fn write(&self, out: &mut String, name: &str) -> std::fmt::Result {
        let [up, down, _] = self.metadata;
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| thousandths(ratio.p50, 3));
        let trips = |halves: u64| thousandths(halves * 500, 1);
        writeln!(
            out,
            "  {name:<11}{:>5} {:>17} {:>17} {:>10} {:>7} {:>9} {:>9} {:>9} {:>9}",
            self.seeds,
            format!("{} / {}", up.p50, up.p95),
            format!("{} / {}", down.p50, down.p95),
            self.total.p50,
            ratio,
            format!("{} / {}", trips(self.half_trips.p50), trips(self.half_trips.p95)),
            thousandths(self.cpu_us[0].p50, 1),
            thousandths(self.cpu_us[1].p50, 1),
            self.peak_bytes.max.div_ceil(1_024),
        )
    }
}

/// One line of a table: our session and the peers on the same differences.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which case.
    pub case: &'static str,
    /// Authors that both sides share.
    pub authors: u64,
    /// Authors that differ.
    pub difference: u64,
    /// How they differ.
    pub mix: Mix,
    /// Which differ.
    pub placement: Placement,
    /// The least that any protocol has to say, bytes (see [`super::bound`]).
    pub minimum_bytes: u64,
    /// Differences after which our two sides did not hold the same, or more than was missing
    /// had travelled as missing.
    pub unequal: u64,
    /// Our session.
    pub ours: Figures,
    /// The crate `negentropy`.
    pub negentropy: Figures,
    /// Automerge, where it was measured.
    pub automerge: Option<Figures>,
}

impl Row {
    fn name(&self) -> String {
        format!(
            "{} authors, {} differ ({}, {})",
            self.authors,
            self.difference,
            self.mix.name(),
            self.placement.name()
        )
    }

    /// One line about it for people who wait.
    pub(super) fn line(&self) -> String {
        let bytes = |figures: &Figures| figures.metadata[2].p95;
        let automerge =
            self.automerge.as_ref().map_or_else(|| "-".to_owned(), |one| bytes(one).to_string());
        format!(
            "{}: metadata p95 {} bytes, negentropy {}, Automerge {automerge}",
            self.name(),
            bytes(&self.ours),
            bytes(&self.negentropy),
        )
    }

    fn to_json(&self) -> Value {
        let mut row = self.ours.to_json();
        let about = json!({
            "case": self.case,
            "authors": self.authors,
            "difference": self.difference,
            "mix": self.mix.name(),
            "placement": self.placement.name(),
            "minimum_bytes": self.minimum_bytes,
            "unequal": self.unequal,
            "peers": {
                "negentropy": self.negentropy.to_json(),
                "automerge": self.automerge.map(Figures::to_json),
            },
        });
        if let Value::Object(about) = about {
            row.extend(about);
        }
        Value::Object(row)
    }
}

/// Contacts that were too short.
#[derive(Clone, Debug, Serialize)]
pub struct Walk {
    /// Which.
    pub name: &'static str,
    /// Authors that differ, where that was chosen.
    pub difference: u64,
    /// Entries that both ends must hold, where that was chosen.
    pub entries: u64,
    /// What one contact carries, bytes.
    pub contact_bytes: u64,
    /// Contacts that it took.
    pub contacts: u64,
    /// Contacts that brought nothing new, the last one included if nothing was left.
    pub fruitless: u64,
    /// How many of them were the last ones.
    pub fruitless_in_a_row: u64,
    /// Everything on the links.
    pub total_bytes: u64,
    /// Canonical bytes of items that the receiver lacked.
    pub payload_bytes: u64,
    /// How many items these are.
    pub items: u64,
    /// The most that one session held, bytes.
    pub peak_session_bytes: u64,
    /// Whether both ends hold everything.
    pub converged: bool,
}

impl Walk {
    pub(super) fn new(name: &'static str, contact_bytes: u64) -> Self {
        Self {
            name,
            difference: 0,
            entries: 0,
            contact_bytes,
            contacts: 0,
            fruitless: 0,
            fruitless_in_a_row: 0,
            total_bytes: 0,
            payload_bytes: 0,
            items: 0,
            peak_session_bytes: 0,
            converged: false,
        }
    }

    pub(super) fn line(&self) -> String {
        format!(
            "{}: {} contacts of {} bytes ({} without gain), {} bytes for {} bytes of items{}",
            self.name,
            self.contacts,
            self.contact_bytes,
            self.fruitless,
            self.total_bytes,
            self.payload_bytes,
            if self.converged { "" } else { ", and NOT everything everywhere" },
        )
    }
}

/// A run's result.
#[derive(Debug)]
pub struct Report {
    seeds: u64,
    authors: u64,
    quick: bool,
    /// Every row, in order.
    pub rows: Vec<Row>,
    /// Every walk, in order.
    pub walks: Vec<Walk>,
    /// What must hold.
    pub expectations: Vec<Expectation>,
    /// How long all took.
    pub elapsed_ms: u64,
}

impl Report {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            seeds: options.seeds,
            authors: options.authors as u64,
            quick: options.quick,
            rows: Vec::new(),
            walks: Vec::new(),
            expectations: Vec::new(),
            elapsed_ms: 0,
        }
    }

    /// Whether every expectation held.
    pub fn held(&self) -> bool {
        self.expectations.iter().all(|one| one.held)
    }

    fn at_most(&mut self, name: String, measured: u64, limit: u64) {
        self.expectations.push(Expectation { name, held: measured <= limit, measured, limit });
    }

    /// Notes what must hold of a row, whatever it is about.
    pub(super) fn expect_equal(&mut self, row: &Row) {
        let name = format!("{}: differences that did not end equal", row.name());
        self.at_most(name, row.unequal, 0);
        let name = format!("{}: peak memory of a session, bytes", row.name());
        self.at_most(name, row.ours.peak_bytes.max, SESSION_BYTES_MAX);
    }

    /// Notes what must hold of a row of the case `sets`.
    pub(super) fn expect_of_set(&mut self, row: &Row) {
        self.expect_equal(row);
        let name = row.name();
        let ours = &row.ours;
        match (row.mix, row.difference) {
            (_, 0) => {
                let what = format!("{name}: bytes on the link");
                self.at_most(what, ours.total.max, EQUAL_BYTES_MAX);
            }
            (Mix::Mixed, 10) => {
                let what = format!("{name}: metadata at p95, bytes");
                self.at_most(what, ours.metadata[2].p95, TEN_METADATA_BYTES_MAX);
                let what = format!("{name}: one-way trips at p95");
                self.at_most(what, ours.half_trips.p95, TEN_HALF_TRIPS_MAX);
            }
            (Mix::One, _) => {
                let what = format!("{name}: bytes above 1.25 times what was missing");
                self.at_most(what, ours.above_125, TOTAL_SLACK_BYTES);
            }
            (Mix::Three, _) => {
                let what = format!("{name}: bytes above 1.15 times what was missing");
                self.at_most(what, ours.above_115, TOTAL_SLACK_BYTES);
            }
            (Mix::Mixed, _) => {}
        }
    }

    /// Notes what must hold of a walk.
    pub(super) fn expect_of_walk(&mut self, walk: &Walk) {
        let name = walk.name;
        let lost = format!("{name}: ends that do not hold everything");
        self.at_most(lost, u64::from(!walk.converged), 0);
        // A walk may come once too often to a village that holds all that the phone carries.
        let in_vain = u64::from(walk.entries > 0);
        self.at_most(format!("{name}: contacts without gain"), walk.fruitless, in_vain);
        let memory = format!("{name}: peak memory of a session, bytes");
        self.at_most(memory, walk.peak_session_bytes, SESSION_BYTES_MAX);
        if walk.entries > 0 {
            let limit = walk.payload_bytes * WALK_PERCENT_MAX / 100
                + walk.contacts * WALK_CONTACT_SLACK_BYTES;
            self.at_most(format!("{name}: bytes in all"), walk.total_bytes, limit);
        }
    }

    /// One object for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "ok": self.held(),
            "seeds": self.seeds,
            "authors": self.authors,
            "quick": self.quick,
            "cases": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "walks": self.walks,
            "expectations": self.expectations,
            "elapsed_ms": self.elapsed_ms,
        })
    }

    /// Tables for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        match self.write(&mut text) {
            Ok(()) => text,
            // Writing to a string does not fail.
            Err(error) => error.to_string(),
        }
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let mut case = "";
        for row in &self.rows {
            if row.case != case {
                case = row.case;
                writeln!(out, "\n{}", case.to_uppercase())?;
                writeln!(
                    out,
                    "  {:<11}{:>5} {:>17} {:>17} {:>10} {:>7} {:>9} {:>9} {:>9} {:>9}",
                    "",
                    "seeds",
                    "up p50 / p95",
                    "down p50 / p95",
                    "total",
                    "ratio",
                    "trips",
                    "ms a",
                    "ms b",
                    "KiB peak"
                )?;
            }
            writeln!(out, "{}; at least {} bytes", row.name(), row.minimum_bytes)?;
            row.ours.write(out, "hundi")?;
            row.negentropy.write(out, "negentropy")?;
            match &row.automerge {
                Some(automerge) => automerge.write(out, "Automerge")?,
                None => writeln!(out, "  Automerge  left out: its documents do not fit")?,
            }
        }
        if !self.walks.is_empty() {
            writeln!(out, "\nSHORT CONTACTS")?;
        }
        for walk in &self.walks {
            writeln!(out, "  {}", walk.line())?;
        }
        self.write_expectations(out)
    }

    fn write_expectations(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out)?;
        for one in self.expectations.iter().filter(|one| !one.held) {
            writeln!(out, "NOT HELD: {}: {}, at most {}", one.name, one.measured, one.limit)?;
        }
        let failed = self.expectations.iter().filter(|one| !one.held).count();
        let (all, seconds) = (self.expectations.len(), self.elapsed_ms / 1_000);
        if failed == 0 {
            writeln!(out, "All {all} expectations held, in {seconds} s.")
        } else {
            writeln!(out, "{failed} of {all} expectations did not hold, in {seconds} s.")
        }
    }
}

/// Thousandths as a decimal with so many places, at most three.
fn thousandths(value: u64, places: usize) -> String {
    let part = format!("{:03}", value % 1_000);
    format!("{}.{}", value / 1_000, &part[..places.min(3)])
}

/// Thousandths as a JSON number.
fn decimal(value: u64) -> Value {
    serde_json::from_str(&thousandths(value, 3)).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_are_decimals() {
        assert_eq!(thousandths(1_234, 3), "1.234");
        assert_eq!(thousandths(2_500, 1), "2.5");
        assert_eq!(decimal(42).to_string(), "0.042");
    }
}
