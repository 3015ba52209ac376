//! Benches. What a sync session costs, measured beside its peers on the same items in one run; below
//! that, in [`village`] what a village's hour costs to simulate, in [`spread`] how fast news
//! travels and what a cheat can cost, and in [`settle`] how fast a bank settles beside what its
//! machine can verify.
//!
//! [`world`] signs the items and [`difference`] makes two nodes differ; [`contact`] lets them meet
//! over a link that counts, [`peers`] does the same with other people's protocols. [`sets`],
//! [`growth`] and [`walk`] are the cases, [`figures`] and [`report`] say what came out and whether
//! it held, [`bound`] what is possible at all; [`plot`] draws. [`disk`] is the case that is about a
//! store that is larger than what should be in memory. All figures are integers; processor time and
//! memory are the only ones that differ between two runs of one program.

pub mod bound;
pub mod contact;
pub mod difference;
pub mod disk;
pub mod drawing;
pub mod expectation;
pub mod figures;
pub mod growth;
pub mod measure;
pub mod peers;
pub mod plot;
pub mod report;
pub mod sets;
pub mod settle;
pub mod signer;
pub mod spread;
pub mod village;
pub mod walk;
pub mod world;

use crate::demo::Progress;
use crate::process::check_interrupted;
use clap::{Args, ValueEnum};
use report::Report;
use serde_json::Value;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Instant;
use thiserror::Error;

/// What of the bench is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Case {
    /// Two nodes whose sets differ by so many authors, beside the peers.
    Sets,
    /// Two villages and a phone that walks between them.
    Villages,
    /// Many differing authors over many contacts of a few kilobytes.
    Contacts,
    /// From a hundredth of the authors to ten times as many, and from one differing author to many.
    Growth,
    /// A device with a million entries on its disk: open, apply, memory.
    Disk,
}

/// How the bench runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Differences that every case is measured with.
    pub seeds: u64,
    /// Authors that both sides share.
    pub authors: usize,
    /// Whether everything is small.
    pub quick: bool,
    /// What to run.
    pub cases: Vec<Case>,
}

/// Where what a bench came to goes.
#[derive(Clone, Debug, Args)]
pub struct OutputArgs {
    /// Print exactly one JSON object on standard output instead of the tables.
    #[arg(long)]
    pub json: bool,
    /// Draw the curves into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Write the tables into this file as a page of documentation, with the plot if there is one.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

/// What a bench came to; displayed, it is tables for people.
pub trait Outcome: Display {
    /// Whether every expectation held.
    fn held(&self) -> bool;

    /// One object for programs.
    fn to_json(&self) -> Value;

    /// The curves.
    fn to_svg(&self) -> String;

    /// A page of documentation, with the curves if they are in a file beside it.
    fn to_markdown(&self, plot: Option<&str>) -> String;
}

/// Why there is nothing to judge.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A part did not do what it is for: the machine lacks something, or a program is wrong.
    #[error("{0:#}")]
    Failed(anyhow::Error),
    /// A person interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl From<anyhow::Error> for BenchError {
    fn from(error: anyhow::Error) -> Self {
        if check_interrupted().is_err() { Self::Interrupted } else { Self::Failed(error) }
    }
}

/// Measures everything that the options name.
///
/// # Errors
/// See [`BenchError`]. An expectation that does not hold is in the report instead.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    let progress = Progress::new(Instant::now());
    let mut report = Report::new(options);
    if options.cases.contains(&Case::Sets) {
        sets::run(options, &mut report, &progress)?;
    }
    if options.cases.contains(&Case::Villages) {
        walk::villages(options, &mut report, &progress)?;
    }
    if options.cases.contains(&Case::Contacts) {
        walk::contacts(options, &mut report, &progress)?;
    }
    if options.cases.contains(&Case::Growth) {
        growth::run(options, &mut report, &progress)?;
    }
    if options.cases.contains(&Case::Disk) {
        disk::run(options, &mut report, &progress)?;
    }
    report.elapsed_ms = progress.elapsed_ms();
    Ok(report)
}
