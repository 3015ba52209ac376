//! The demo: a living mesh of real programs on one machine. Two villages that reach neither each
//! other nor the bank hold a market; a device that was copied promises the same money in both; a
//! courier walks between the villages and to the bank's gateway, and back with the outcomes. Every
//! step is compared with what the script says must come out of it.

pub mod expect;
mod judge;
mod market;
mod phases;
pub mod report;
pub mod script;
pub mod world;

use crate::paths::{Binaries, FindError};
use crate::process::check_interrupted;
use anyhow::{Context, Result};
use expect::{Expectations, NotReached};
use report::{Facts, Report};
use script::Script;
use std::path::{Path, PathBuf};
use std::time::Instant;
use thiserror::Error;

/// What the demo's people pay in.
pub const CURRENCY: &str = "INR";

/// How the demo runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Makes the script.
    pub seed: u64,
    /// Villagers in both villages together.
    pub villagers: usize,
    /// Whether everything stays running.
    pub keep: bool,
    /// Where its files go; a temporary directory otherwise.
    pub dir: Option<PathBuf>,
}

/// Why there is no demo to judge.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The machine lacks something: a program, a port, a directory.
    #[error("{0:#}")]
    Lacks(anyhow::Error),
    /// A person interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl From<FindError> for DemoError {
    fn from(error: FindError) -> Self {
        Self::Lacks(error.into())
    }
}

/// A demo that ran, to its end or to where it could not go on.
#[derive(Debug)]
pub struct Demo {
    /// What came out of it.
    pub report: Report,
    /// What to do with what still runs or lies there, for people.
    pub afterwards: String,
}

/// A line of progress for people, on standard error.
pub(crate) struct Progress(Instant);

impl Progress {
    pub(crate) fn new(start: Instant) -> Self {
        Self(start)
    }

    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn say(&self, line: &str) {
        let elapsed = self.0.elapsed();
        eprintln!("[{:>3}.{} s] {line}", elapsed.as_secs(), elapsed.subsec_millis() / 100);
    }
}

/// Runs the demo.
///
/// # Errors
/// See [`DemoError`]. An expectation that does not hold is in the report instead.
pub fn run(options: &Options) -> Result<Demo, DemoError> {
    let progress = Progress::new(Instant::now());
    let binaries = Binaries::find()?;
    let (dir, temporary) = directory(options.dir.as_deref()).map_err(DemoError::Lacks)?;
    let script = Script::new(options.seed, options.villagers);
    progress.say(&format!("seed {}; files in {}", options.seed, dir.display()));
    let mut facts = Facts::default();
    let mut expectations = Expectations::default();
    let names = phases::names(&script);
    progress.say(&format!("starting a gateway and {} devices", names.len()));
    let started = world::World::start(&dir, binaries, &names);
    let mut world = started.map_err(|error| failed_start(error, temporary.as_deref()))?;
    let ended = phases::run(&mut world, &script, &mut facts, &mut expectations, &progress);
    if check_interrupted().is_err() {
        drop(world);
        remove(temporary.as_deref());
        return Err(DemoError::Interrupted);
    }
    if let Err(error) = ended
        && !error.is::<NotReached>()
    {
        let name = "every program does its part";
        expectations.note(name, "no error".to_owned(), format!("{error:#}"), false);
    }
    let report = Report::new(options.seed, &script, facts, expectations, progress.elapsed_ms());
    let afterwards = afterwards(options, world, &dir, temporary.as_deref(), report.held());
    Ok(Demo { report, afterwards })
}

/// The demo's directory, and again if it is ours to remove.
fn directory(given: Option<&Path>) -> Result<(PathBuf, Option<PathBuf>)> {
    let Some(dir) = given else {
        let made = tempfile::Builder::new().prefix("hundi-demo-").tempdir();
        let dir = made.context("cannot make a temporary directory")?.keep();
        return Ok((dir.clone(), Some(dir)));
    };
    let empty = |mut entries: std::fs::ReadDir| entries.next().is_none();
    if dir.exists() && !std::fs::read_dir(dir).is_ok_and(empty) {
        anyhow::bail!("{} is not an empty directory: name another with --dir", dir.display());
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let dir = dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
    Ok((dir, None))
}

fn failed_start(error: anyhow::Error, temporary: Option<&Path>) -> DemoError {
    remove(temporary);
    if check_interrupted().is_err() { DemoError::Interrupted } else { DemoError::Lacks(error) }
}

fn remove(temporary: Option<&Path>) {
    if let Some(dir) = temporary
        && let Err(error) = std::fs::remove_dir_all(dir)
    {
        eprintln!("cannot remove {}: {error}", dir.display());
    }
}

/// Leaves everything running, or stops it and tidies up; says what a person can do next.
fn afterwards(
    options: &Options,
    world: world::World,
    dir: &Path,
    temporary: Option<&Path>,
    held: bool,
) -> String {
    if options.keep {
        return report::how_to_talk(world, dir);
    }
    drop(world);
    if held {
        remove(temporary);
        return String::new();
    }
    format!("The logs and stores of this run are in {}\n", dir.display())
}
