//! What an hour of village life costs to simulate, as villages grow: whole devices and banks on
//! virtual time, with faults, adversaries and every check of the simulator.

mod report;

pub use report::{Report, Row};

use super::BenchError;
use crate::demo::Progress;
use crate::process::check_interrupted;
use crate::sim;
use crate::sim::adversary::Kind as Adversary;
use crate::sim::fault::Kind as Fault;
use crate::sim::scenario::{Fixed, Scenario};
use anyhow::Result;
use clap::Args;
use peak_alloc::PeakAlloc;
use serde_json::{Map, json};
use std::path::PathBuf;
use std::time::Instant;

/// Phones of one village.
const VILLAGE: u32 = 200;
/// Authors whose payments one phone of a large mesh carries for others, at most about.
const SCOPE_AUTHORS: u32 = 128;
/// Phones from which on phones carry a part only, as the simulator's default mix has it: one
/// village carries everything.
const SCOPED_FROM: u32 = 1_000;
/// Phones above which the calm is left out: it is one component of everybody, and what it costs
/// says nothing about villages.
const HEALS_MAX: u32 = 200;

/// Options of the bench.
#[derive(Clone, Debug, Args)]
pub struct VillageArgs {
    /// Print exactly one JSON object on standard output instead of the table.
    #[arg(long)]
    pub json: bool,
    /// Chooses the people, their ways, and what befalls them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Phones of each run.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [200, 1_000, 10_000], value_parser = clap::value_parser!(u32).range(12..=100_000))]
    pub nodes: Vec<u32>,
    /// Virtual minutes of each run; an hour up to 1,000 phones and fewer above unless said.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub minutes: Option<u32>,
    /// Draw how the cost grows into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Write the table into this file as a page of documentation, with the plot if there is one.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

/// Runs every size that the options name.
///
/// # Errors
/// See [`BenchError`]. What did not hold is in the report instead.
pub fn run(args: &VillageArgs) -> Result<Report, BenchError> {
    let progress = Progress::new(Instant::now());
    let mut report = Report::default();
    for nodes in &args.nodes {
        check_interrupted().map_err(|_| BenchError::Interrupted)?;
        let minutes = args.minutes.unwrap_or(minutes_of(*nodes));
        progress.say(&format!("{nodes} phones for {minutes} minutes"));
        let row = measure(args.seed, *nodes, minutes)?;
        progress.say(&row.line());
        report.add(row);
    }
    Ok(report)
}

/// An hour where that takes a minute or some; a part of it where it would take long.
fn minutes_of(nodes: u32) -> u32 {
    if nodes <= 1_000 { 60 } else { 6 }
}

fn measure(seed: u64, nodes: u32, minutes: u32) -> Result<Row> {
    let scenario = scenario(seed, nodes, minutes)?;
    PeakAlloc.reset_peak_usage();
    let (run, cost) = sim::run_measured(seed, &scenario)?;
    Ok(Row::new(&run, &cost, PeakAlloc.peak_usage() as u64))
}

/// Villages of 200, with as many faults and adversaries for each of them.
fn scenario(seed: u64, nodes: u32, minutes: u32) -> Result<Scenario> {
    let villages = nodes.div_ceil(VILLAGE);
    let faults = [
        (Fault::Crash, 4),
        (Fault::CrashUnsynced, 4),
        (Fault::FullDisk, 2),
        (Fault::SlowDisk, 2),
        (Fault::ReadErrors, 2),
        (Fault::ClockJump, 2),
        (Fault::ClockDrift, 2),
        (Fault::LinksCut, 8),
        (Fault::GatewayCrash, 1),
        (Fault::NewPhone, 1),
    ];
    let mut counts = Map::new();
    for (fault, each) in faults {
        let name = json!(fault).as_str().unwrap_or_default().to_owned();
        counts.insert(name, json!(each * villages));
    }
    let adversaries = Adversary::ALL.iter().cycle().take((nodes / 25) as usize);
    let scope_bits = if nodes < SCOPED_FROM { 0 } else { nodes.div_ceil(SCOPE_AUTHORS).ilog2() };
    let parts = json!({
        "nodes": nodes, "gateways": (1 + villages / 10).max(2), "banks": 1, "minutes": minutes,
        "payments_per_hour": 10, "expiry_minutes": 1_440, "claim_minutes": 10_080,
        "scope_bits": scope_bits, "heals": nodes <= HEALS_MAX,
        "radio": {
            "villages": villages, "village_m": 150, "range_m": 40, "loss_percent": 10,
            "wifi_percent": 20, "scan_s": 45, "contact_s": 45, "links_max": 5,
        },
        "faults": counts, "adversaries": adversaries.collect::<Vec<_>>(),
    });
    Scenario::of(seed, &Fixed { parts: Some(parts), ..Fixed::default() })
}
