//! What the bench of villages came to: a table for people, one JSON object for programs, a plot,
//! and whether what must hold did.

use crate::bench::drawing::{self, Panel, Scale};
use crate::bench::expectation::Expectation;
use crate::sim::{Cost, Run};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The village that must be cheap: its phones and minutes.
const VILLAGE: (u32, u32) = (200, 60);
/// Payments that it makes at least.
const PAYMENTS_MIN: u64 = 1_000;
/// Contacts that it has at least.
const CONTACTS_MIN: u64 = 20_000;
/// Processor time that it costs at most, morning, calm and all, milliseconds.
const CPU_MS_MAX: u64 = 60_000;
/// Memory of any run at most, bytes.
const MEMORY_BYTES_MAX: u64 = 8 << 30;

/// One size.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Phones.
    pub nodes: u32,
    /// Virtual minutes.
    pub minutes: u32,
    /// Phones carry the payments of one in two to this power.
    pub scope_bits: u8,
    /// Payments that were signed.
    pub payments: u64,
    /// Payments that banks settled.
    pub settled: u64,
    /// Links that began.
    pub contacts: u64,
    /// Frames and copies of gossip.
    pub transmissions: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Phones that were adversaries.
    pub adversaries: u64,
    /// Events of the simulation.
    pub events: u64,
    /// Making the world, milliseconds of processor time.
    pub morning_ms: u64,
    /// Its minutes.
    pub storm_ms: u64,
    /// The calm and the end of claims; 0 where they are left out.
    pub after_ms: u64,
    /// Its minutes, per phone and hour, microseconds.
    pub node_hour_us: u64,
    /// The most memory at once.
    pub peak_bytes: u64,
    /// What was violated.
    pub violation: Option<String>,
}

impl Row {
    pub(super) fn new(run: &Run, cost: &Cost, peak_bytes: u64) -> Self {
        let (scenario, counters) = (&run.scenario, &run.counters);
        let node_minutes = u64::from(scenario.nodes) * u64::from(scenario.minutes);
        Self {
            nodes: scenario.nodes,
            minutes: scenario.minutes,
            scope_bits: scenario.scope_bits,
            payments: counters.payments,
            settled: counters.settled,
            contacts: counters.contacts,
            transmissions: counters.frames + counters.gossips,
            faults: counters.faults,
            adversaries: scenario.adversaries.len() as u64,
            events: counters.events,
            morning_ms: cost.morning_ns / 1_000_000,
            storm_ms: cost.storm_ns / 1_000_000,
            after_ms: cost.after_ns / 1_000_000,
            node_hour_us: cost.storm_ns / 1_000 * 60 / node_minutes.max(1),
            peak_bytes,
            violation: run.violation.as_ref().map(ToString::to_string),
        }
    }

    fn cpu_ms(&self) -> u64 {
        self.morning_ms + self.storm_ms + self.after_ms
    }

    /// One line about it for people who wait.
    pub fn line(&self) -> String {
        format!(
            "{} phones: {} payments, {} contacts, {} ms of processor time, {} µs per phone and hour",
            self.nodes,
            self.payments,
            self.contacts,
            self.cpu_ms(),
            self.node_hour_us
        )
    }
}

/// A run's result.
#[derive(Debug, Default)]
pub struct Report {
    /// Every size, in order.
    pub rows: Vec<Row>,
    /// What must hold.
    pub expectations: Vec<Expectation>,
}

impl Report {
    pub(super) fn add(&mut self, row: Row) {
        let name = format!("{} phones", row.nodes);
        let violated = u64::from(row.violation.is_some());
        self.expect(Expectation::at_most(format!("{name}: violations"), violated, 0));
        let memory = format!("{name}: memory, bytes");
        self.expect(Expectation::at_most(memory, row.peak_bytes, MEMORY_BYTES_MAX));
        if (row.nodes, row.minutes) == VILLAGE {
            let payments = format!("{name}: payments");
            self.expect(Expectation::at_least(payments, row.payments, PAYMENTS_MIN));
            let contacts = format!("{name}: contacts");
            self.expect(Expectation::at_least(contacts, row.contacts, CONTACTS_MIN));
            let cpu = format!("{name}: processor time, ms");
            self.expect(Expectation::at_most(cpu, row.cpu_ms(), CPU_MS_MAX));
        }
        self.rows.push(row);
    }

    fn expect(&mut self, expectation: Expectation) {
        self.expectations.push(expectation);
    }

    /// Whether every expectation held.
    pub fn held(&self) -> bool {
        self.expectations.iter().all(|one| one.held)
    }

    /// One object for programs.
    pub fn to_json(&self) -> Value {
        json!({ "ok": self.held(), "villages": self.rows, "expectations": self.expectations })
    }

    /// A table for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        match self.write(&mut text) {
            Ok(()) => text,
            // Writing to a string does not fail.
            Err(error) => error.to_string(),
        }
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "{:>7} {:>4} {:>5} {:>9} {:>8} {:>9} {:>13} {:>7} {:>11} {:>9} {:>9} {:>9} {:>13} {:>6}",
            "phones",
            "min",
            "scope",
            "payments",
            "settled",
            "contacts",
            "transmissions",
            "faults",
            "adversaries",
            "made ms",
            "lived ms",
            "after ms",
            "µs/phone/hour",
            "MB"
        )?;
        for row in &self.rows {
            writeln!(
                out,
                "{:>7} {:>4} {:>5} {:>9} {:>8} {:>9} {:>13} {:>7} {:>11} {:>9} {:>9} {:>9} {:>13} {:>6}",
                row.nodes,
                row.minutes,
                row.scope_bits,
                row.payments,
                row.settled,
                row.contacts,
                row.transmissions,
                row.faults,
                row.adversaries,
                row.morning_ms,
                row.storm_ms,
                row.after_ms,
                row.node_hour_us,
                row.peak_bytes >> 20
            )?;
        }
        for row in self.rows.iter().filter(|row| row.violation.is_some()) {
            let violation = row.violation.as_deref().unwrap_or_default();
            writeln!(out, "{} phones: {violation}", row.nodes)?;
        }
        writeln!(out)?;
        Expectation::write_all(&self.expectations, out)
    }

    /// The cost of a phone's hour by the number of phones.
    pub fn to_svg(&self) -> String {
        let colours = ["#0b6e4f", "#588bae"];
        let points = |value: &dyn Fn(&Row) -> u64| -> Vec<(u64, u64)> {
            self.rows.iter().map(|row| (u64::from(row.nodes), value(row))).collect()
        };
        let panel = |title: &str, colour, points| Panel {
            title: title.to_owned(),
            scales: [Scale::Logarithmic; 2],
            lines: vec![(colour, points)],
        };
        let time = points(&|row| row.node_hour_us);
        let memory = points(&|row| row.peak_bytes / u64::from(row.nodes.max(1)));
        let panels = [
            panel("µs of processor time per phone and hour, by phones", colours[0], time),
            panel("bytes of memory per phone, by phones", colours[1], memory),
        ];
        drawing::svg(&panels, &[("time", colours[0]), ("memory", colours[1])])
    }

    /// A page of documentation.
    pub fn to_markdown(&self, plot: Option<&str>) -> String {
        let picture = plot.map_or_else(String::new, |file| {
            format!("![what a phone's hour costs, as villages grow]({file})\n\n")
        });
        format!(
            "# What it costs to simulate villages\n\n\
             Written by `hundi-testnet bench village`; [the simulator](simulator.md#large-villages) \
             says what the columns are.\n\n{picture}```text\n{}```\n",
            self.to_text()
        )
    }
}
