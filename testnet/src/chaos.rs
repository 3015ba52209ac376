//! Chaos: real programs under load, killed at random instants, stopped and continued, with a full
//! disk, with their power cut, with damaged stores. What the clients were told is the measure:
//! everything acknowledged must be there, nothing may contradict itself, every program must start
//! again or say why not, and the books must hold. Where a kill fell is judged afterwards, by what
//! had been answered and what is in the store: many must fall between the two.

mod damage;
mod instant;
mod load;
mod memory;
pub mod report;
mod rounds;
mod settle;
mod town;

use crate::demo::Progress;
use crate::demo::expect::{Expectations, NotReached};
use crate::process::check_interrupted;
use anyhow::{Context, Result};
use damage::Homes;
use memory::Memory;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use report::{Facts, Report};
use rounds::Chaos;
use std::path::Path;
use std::time::{Duration, Instant};
use town::Town;

/// What every payment is about, minor units.
const EACH_MINOR: u64 = 125;
/// A stop after so many kills, and a power cut after so many.
const KILLS_PER_STOP: u64 = 4;
const KILLS_PER_POWER_CUT: u64 = 6;
/// A full disk after so many kills, the first one early: short runs have it, too.
const KILLS_PER_FULL_DISK: u64 = 20;
const FIRST_FULL_DISK: u64 = 4;
/// A damaged store for so many kills, and so many at least.
const KILLS_PER_CORRUPTION: u64 = 2;
const CORRUPTIONS_MIN: u64 = 8;
/// Kills between two lines of progress.
const KILLS_PER_LINE: u64 = 10;

/// How long it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So many kills.
    Kills(u64),
    /// As many as fit into the time.
    Elapsed(Duration),
}

/// How chaos runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Chooses victims and instants.
    pub seed: u64,
    /// How long it goes on.
    pub until: Until,
}

/// Runs chaos.
///
/// # Errors
/// When the machine lacks something, or a person interrupts. What the programs do wrong is in the
/// report.
pub fn run(options: &Options) -> Result<Report> {
    let start = Instant::now();
    let progress = Progress::new(start);
    let dir = tempfile::Builder::new().prefix("hundi-chaos-").tempdir();
    let dir = dir.context("cannot make a temporary directory")?;
    let mut facts = Facts::default();
    let town = Town::start(dir.path(), &mut facts)?;
    progress.say("a gateway and devices run, with accounts and grants");
    let dice = ChaCha8Rng::seed_from_u64(options.seed);
    let mut chaos = Chaos { town, memory: Memory::default(), facts, dice };
    let mut expectations = Expectations::default();
    let ended = live(&mut chaos, options, start, &progress).and_then(|()| {
        progress.say("now everything settles");
        settle::settle(&mut chaos, &mut expectations)
    });
    let Chaos { mut town, memory, mut facts, mut dice } = chaos;
    match ended {
        Ok(()) => {
            let homes = Homes::new(&town, &memory.settled)?;
            after(&mut town, &homes, dir.path(), &mut dice, &mut facts, &progress)?;
        }
        Err(error) => {
            check_interrupted()?;
            if !error.is::<NotReached>() {
                let name = "every program does its part";
                expectations.note(name, "no error".to_owned(), format!("{error:#}"), false);
            }
        }
    }
    drop(town);
    let report = Report::new(options.seed, facts, expectations, progress.elapsed_ms());
    if !report.held() {
        // What is there is what somebody has to look at.
        let dir = dir.keep();
        progress.say(&format!("logs, and stores or the image of their disk: {}", dir.display()));
    }
    Ok(report)
}

/// The rough part.
fn live(chaos: &mut Chaos, options: &Options, start: Instant, progress: &Progress) -> Result<()> {
    let is_over = |kills| match options.until {
        Until::Kills(count) => kills >= count,
        Until::Elapsed(time) => start.elapsed() >= time,
    };
    while !is_over(chaos.facts.kills) {
        chaos.kill()?;
        let kills = chaos.facts.kills;
        if kills.is_multiple_of(KILLS_PER_STOP) {
            chaos.stop()?;
        }
        if kills.is_multiple_of(KILLS_PER_POWER_CUT) {
            chaos.power_cut()?;
        }
        if kills % KILLS_PER_FULL_DISK == FIRST_FULL_DISK {
            chaos.fill_disk()?;
        }
        if kills.is_multiple_of(KILLS_PER_LINE) {
            progress.say(&format!(
                "{kills} kills, {} between persist and acknowledgement; {} payments acknowledged",
                chaos.facts.histogram.before_acknowledgement(),
                chaos.memory.paid.len() + chaos.memory.settled.len(),
            ));
        }
    }
    Ok(())
}

/// Stops everybody, audits what lies there, and damages copies of it.
fn after(
    town: &mut Town,
    homes: &Homes,
    dir: &Path,
    dice: &mut ChaCha8Rng,
    facts: &mut Facts,
    progress: &Progress,
) -> Result<()> {
    town.stop()?;
    Town::everybody().try_for_each(|victim| town.look_offline(victim, facts))?;
    let count = (facts.kills / KILLS_PER_CORRUPTION).max(CORRUPTIONS_MIN);
    progress.say(&format!("everything is settled; now {count} stores are damaged"));
    homes.damage(count, dir, dice, facts, progress)
}
