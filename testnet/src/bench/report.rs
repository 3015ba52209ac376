//! What a bench came to: tables for people, one JSON object for programs, and whether what must
//! hold did.

use super::Options;
use super::contact::Opening;
use super::difference::{Mix, Placement};
use super::disk::Disk;
use super::expectation::Expectation;
use super::figures::Figures;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What a contact may cost where nothing differs, bytes, both directions together.
const EQUAL_BYTES_MAX: u64 = 16;
/// What finding and fetching ten differing authors may cost besides the items, bytes.
const TEN_METADATA_BYTES_MAX: u64 = 1_024;
/// One-way trips that it may take when the initiator knows that something differs.
const TEN_HALF_TRIPS_MAX: u64 = 4;
/// What the totals may be above their share of what was missing, bytes.
const TOTAL_SLACK_BYTES: u64 = 1_024;
/// What a walk's contact may cost besides its share, bytes.
const WALK_CONTACT_SLACK_BYTES: u64 = 2_048;
/// Hundredths of the payload that a walk may move in all.
const WALK_PERCENT_MAX: u64 = 110;
/// Memory of a session, bytes.
pub(super) const SESSION_BYTES_MAX: u64 = 1 << 20;

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
    /// What our initiator knew before it opened.
    pub opening: Opening,
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
            "{} authors, {} differ ({}, {}, {})",
            self.authors,
            self.difference,
            self.mix.name(),
            self.placement.name(),
            self.opening.name()
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
            "opening": self.opening.name(),
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
    /// The device with everything on its disk, if it was measured.
    pub disk: Option<Disk>,
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
            disk: None,
            expectations: Vec::new(),
            elapsed_ms: 0,
        }
    }

    /// Whether every expectation held.
    pub fn held(&self) -> bool {
        self.expectations.iter().all(|one| one.held)
    }

    pub(super) fn at_most(&mut self, name: String, measured: u64, limit: u64) {
        self.expectations.push(Expectation::at_most(name, measured, limit));
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
                let more = u64::from(row.opening == Opening::Blind);
                self.at_most(what, ours.half_trips.p95, TEN_HALF_TRIPS_MAX + more);
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
            "disk": self.disk,
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

    /// A page of documentation: the tables, with the plot if it is beside the page.
    pub fn to_markdown(&self, plot: Option<&str>) -> String {
        let picture = plot.map_or_else(String::new, |file| {
            format!("![metadata and time, as the set and the difference grow]({file})\n\n")
        });
        format!(
            "# What a sync session costs\n\n\
             Written by `hundi-testnet bench sync`; [for testers](testers.md#the-sync-bench) says \
             how it measures and how to read it.\n\n{picture}```text{}```\n",
            self.to_text()
        )
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let mut case = "";
        for row in &self.rows {
            if row.case != case {
                case = row.case;
                writeln!(out, "\n{}", case.to_uppercase())?;
                writeln!(
                    out,
                    "  {:<11}{:>5} {:>17} {:>17} {:>10} {:>7} {:>9} {:>6} {:>8} {:>8} {:>8}",
                    "",
                    "seeds",
                    "up p50 / p95",
                    "down p50 / p95",
                    "total",
                    "ratio",
                    "trips",
                    "first",
                    "ms a",
                    "ms b",
                    "KiB"
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
        if let Some(disk) = &self.disk {
            writeln!(out, "\nON DISK")?;
            disk.lines().iter().try_for_each(|line| writeln!(out, "  {line}"))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Sample;

    fn report() -> Report {
        let cases = Vec::new();
        Report::new(&Options { seeds: 1, authors: 100, quick: true, cases })
    }

    fn failing(report: &Report) -> Vec<&str> {
        let failed = report.expectations.iter().filter(|one| !one.held);
        failed.filter_map(|one| one.name.rsplit(": ").next()).collect()
    }

    #[test]
    fn what_does_not_hold_is_found() {
        let sample = |metadata: u64, half_trips| Sample {
            sent: [1_000, 1_000 + metadata],
            items: [1_000, 1_000],
            half_trips,
            ..Sample::default()
        };
        let row = |mix, difference, sample: Sample, unequal| {
            let ours = Figures::of(&[sample]);
            let placement = Placement::Recent;
            let (negentropy, automerge) = (ours, None);
            Row {
                case: "sets",
                authors: 100,
                difference,
                mix,
                placement,
                opening: Opening::Advertised,
                minimum_bytes: 0,
                unequal,
                ours,
                negentropy,
                automerge,
            }
        };
        for (row, expected) in [
            (row(Mix::Mixed, 10, sample(1_024, 4), 0), &[][..]),
            (row(Mix::Mixed, 10, sample(1_025, 4), 0), &["metadata at p95, bytes"][..]),
            (row(Mix::Mixed, 10, sample(9, 5), 0), &["one-way trips at p95"]),
            (row(Mix::Mixed, 1, sample(9, 9), 1), &["differences that did not end equal"]),
            (row(Mix::Mixed, 0, sample(9, 2), 0), &["bytes on the link"]),
            (row(Mix::One, 1, sample(1_524, 2), 0), &[]),
            (row(Mix::One, 1, sample(1_525, 2), 0), &["bytes above 1.25 times what was missing"]),
            (row(Mix::Three, 1, sample(1_324, 2), 0), &[]),
            (row(Mix::Three, 1, sample(1_325, 2), 0), &["bytes above 1.15 times what was missing"]),
        ] {
            let mut report = report();
            report.expect_of_set(&row);
            assert_eq!(failing(&report), expected, "{row:?}");
            assert_eq!(report.held(), expected.is_empty());
        }
    }

    #[test]
    fn a_walk_that_loses_or_wastes_is_found() {
        let good = Walk {
            entries: 10,
            contacts: 2,
            total_bytes: 11_000 + 2 * 2_048,
            payload_bytes: 10_000,
            converged: true,
            ..Walk::new("villages", 1)
        };
        let worse: [(Walk, &str); 3] = [
            (Walk { converged: false, ..good.clone() }, "ends that do not hold everything"),
            (Walk { fruitless: 2, ..good.clone() }, "contacts without gain"),
            (Walk { total_bytes: good.total_bytes + 1, ..good.clone() }, "bytes in all"),
        ];
        let mut all = report();
        all.expect_of_walk(&good);
        assert!(all.held());
        for (walk, expected) in worse {
            let mut report = report();
            report.expect_of_walk(&walk);
            assert_eq!(failing(&report), [expected]);
        }
    }
}
