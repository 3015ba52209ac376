//! How fast a payment and the proof against a double spend reach everybody, what that costs on the
//! air, and what a cheat can cost at worst: whole engines, and a whole bank, in the simulator.

mod figures;
mod report;

pub use figures::{Reach, Row};
pub use report::Report;

use super::BenchError;
use crate::demo::Progress;
use crate::process::check_interrupted;
use crate::sim::graph::Shape;
use crate::sim::partitions::{self, Loss, Pattern};
use crate::sim::spread::{self, Links, Setting, Spread};
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Instant;

/// Places that hear nothing of each other.
const PLACES: [u32; 5] = [1, 2, 3, 5, 8];
/// The same where everything is small.
const PLACES_QUICK: [u32; 2] = [1, 2];
/// Phones where everything is small.
const NODES_QUICK: u32 = 30;

/// What of the bench is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// 200 phones on Wi-Fi with gossip, a fifth of which is lost.
    Wifi,
    /// 1,000 phones on Bluetooth links that stand.
    Ble,
    /// 200 phones whose people meet for seconds.
    Meetings,
    /// A cheat in places that hear nothing of each other.
    Loss,
}

/// Options of the bench.
#[derive(Clone, Debug, Args)]
pub struct SpreadArgs {
    /// Print exactly one JSON object on standard output instead of the tables.
    #[arg(long)]
    pub json: bool,
    /// Seeds of every row; the rows of 1,000 phones take a fifth of them.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub seeds: u64,
    /// Everything small: shows that it works, in seconds.
    #[arg(long)]
    pub quick: bool,
    /// Only these cases.
    #[arg(long, value_name = "CASES", value_delimiter = ',', value_enum)]
    pub only: Vec<Case>,
    /// Draw the curves into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Write the tables into this file as a page of documentation, with the plot if there is one.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

/// Measures everything that the options name.
///
/// # Errors
/// See [`BenchError`]. An expectation that does not hold is in the report instead.
pub fn run(args: &SpreadArgs) -> Result<Report, BenchError> {
    let progress = Progress::new(Instant::now());
    let mut report = Report::default();
    for (case, setting) in settings(args.quick) {
        if args.only.is_empty() || args.only.contains(&case) {
            let seeds = if setting.nodes >= 1_000 { args.seeds.div_ceil(5) } else { args.seeds };
            let row = measure(&setting, seeds, &progress)?;
            progress.say(&row.line());
            report.add_row(row);
        }
    }
    if args.only.is_empty() || args.only.contains(&Case::Loss) {
        let places: &[u32] = if args.quick { &PLACES_QUICK } else { &PLACES };
        for pattern in [Pattern::Whole, Pattern::Divided] {
            for places in places {
                let loss = worst(*places, pattern, args.seeds)?;
                progress.say(&format!("{places} places: {loss:?}"));
                report.add_loss(loss);
            }
        }
    }
    Ok(report)
}

fn settings(quick: bool) -> Vec<(Case, Setting)> {
    let setting = |nodes, links, shape, payments| Setting {
        nodes: if quick { NODES_QUICK } else { nodes },
        links,
        shape,
        loss_percent: 20,
        payments: if quick { 1 } else { payments },
    };
    vec![
        (Case::Wifi, setting(200, Links::Wifi, Shape::Random, 10)),
        (Case::Wifi, setting(200, Links::Wifi, Shape::Sparse, 10)),
        (Case::Wifi, setting(200, Links::Wifi, Shape::Grid, 10)),
        (Case::Ble, setting(1_000, Links::Ble, Shape::Random, 3)),
        (Case::Ble, setting(1_000, Links::Ble, Shape::Grid, 3)),
        (Case::Meetings, setting(200, Links::Meetings, Shape::Random, 3)),
    ]
}

fn measure(setting: &Setting, seeds: u64, progress: &Progress) -> Result<Row, BenchError> {
    let mut spreads: Vec<Spread> = Vec::new();
    for seed in 1..=seeds {
        check_interrupted().map_err(|_| BenchError::Interrupted)?;
        progress.say(&format!("{} phones, {:?}, seed {seed}", setting.nodes, setting.links));
        spreads.push(spread::run(seed, setting)?);
    }
    Ok(Row::new(*setting, &spreads))
}

/// The seed in which most was lost.
fn worst(places: u32, pattern: Pattern, seeds: u64) -> Result<Loss, BenchError> {
    let mut worst: Option<Loss> = None;
    for seed in 1..=seeds {
        check_interrupted().map_err(|_| BenchError::Interrupted)?;
        let loss = partitions::run(seed, places, pattern)?;
        let lost = |loss: &Loss| (loss.is_within_bounds(), loss.payees_lost + loss.bank_lost);
        let is_worse = worst.as_ref().is_none_or(|worst| {
            let ((held, lost), (worst_held, worst_lost)) = (lost(&loss), lost(worst));
            !held && worst_held || held == worst_held && lost > worst_lost
        });
        if is_worse {
            worst = Some(loss);
        }
    }
    Ok(worst.context("a seed at least")?)
}
