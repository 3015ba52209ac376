//! Bluetooth between real programs: `hundi` on virtual controllers that hear each other, through
//! BlueZ's own daemon, in a throwaway emulated machine (`testnet/ble/guest.sh`). Out here a bank
//! enrols people and everything is packed up; in there this same program plays the scenarios
//! ([`inside`]) and says of each, as it ends, whether it held.

pub mod cost;
pub mod inside;
mod pack;
pub mod report;

use crate::demo::Progress;
use crate::paths::Binaries;
use crate::process::check_interrupted;
use anyhow::{Context, Result};
use clap::Args;
use report::{Held, Report};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use thiserror::Error;

/// What a line of the guest begins with that says what became of a scenario.
const LINE: &str = "HUNDI-BLE ";
/// The exit status of the rig when something is missing.
const RIG_LACKS: i32 = 3;
/// How long everything in the guest may take, and each payment whose time is measured besides,
/// seconds: everything is emulated.
const GUEST_S: u64 = 1_200;
const PAYMENT_S: u64 = 40;

/// How the scenarios are played.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Print exactly one JSON object on standard output instead of the table.
    #[arg(long)]
    pub json: bool,
    /// Keep everything that is packed up here, and the guest's console. A temporary directory
    /// otherwise.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    /// What is played.
    pub play: Play,
}

/// What is played.
#[derive(Clone, Debug, Args)]
pub struct Play {
    /// Payments whose times are measured, over each bearer.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub payments: u64,
    /// What every device logs comes on the guest's console, for every scenario; `--dir` keeps it.
    /// Only what failed otherwise.
    #[arg(long)]
    pub logs: bool,
    /// Only these scenarios.
    #[arg(value_name = "SCENARIO", value_parser = inside::names())]
    pub only: Vec<String>,
}

/// Why there is nothing to judge.
#[derive(Debug, Error)]
pub enum BleError {
    /// Something is missing on this machine.
    #[error("{0:#}")]
    Lacks(anyhow::Error),
    /// A person interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl From<anyhow::Error> for BleError {
    fn from(error: anyhow::Error) -> Self {
        if check_interrupted().is_err() { Self::Interrupted } else { Self::Lacks(error) }
    }
}

/// Plays the scenarios in a guest.
///
/// # Errors
/// See [`BleError`]. What does not hold is in the report.
pub fn run(options: &Options) -> Result<Report, BleError> {
    let start = Instant::now();
    let progress = Progress::new(start);
    let binaries = Binaries::find().map_err(|error| BleError::Lacks(error.into()))?;
    let temporary = tempfile::Builder::new().prefix("hundi-ble-").tempdir();
    let temporary = temporary.context("cannot make a temporary directory")?;
    let dir = options.dir.as_deref().unwrap_or(temporary.path());
    progress.say("a bank enrols people; their devices are packed up");
    let payload = pack::pack(dir, &binaries, &options.play)?;
    let mut report = Report { offers: cost::count()?, ..Report::default() };
    let within_s = GUEST_S + PAYMENT_S * options.play.payments;
    for machine in Machine::ALL {
        let names = inside::wanted(machine, &options.play.only);
        if names.is_empty() {
            continue;
        }
        progress.say(&format!("{machine} starts; the first time it is built first"));
        pack::prepare(&payload, machine, &names, &options.play)?;
        play(&payload, machine, within_s, &progress, &mut report)?;
    }
    report.seconds = start.elapsed().as_secs();
    Ok(report)
}

/// The machines that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    /// Two adapters that hold one connection each.
    Pair,
    /// Four that hold several, of which one is everybody's peripheral.
    Crowd,
}

impl Machine {
    const ALL: [Self; 2] = [Self::Pair, Self::Crowd];
}

impl std::fmt::Display for Machine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Pair => "a machine with two Bluetooth adapters",
            Self::Crowd => "a machine with four",
        })
    }
}

/// Runs the guest and reads what it says. Its console is kept beside the payload.
fn play(
    payload: &Path,
    machine: Machine,
    within_s: u64,
    progress: &Progress,
    report: &mut Report,
) -> Result<(), BleError> {
    let console_file = payload.with_extension(format!("{machine:?}.console").to_lowercase());
    let mut console = std::fs::File::create(&console_file).context("the guest's console")?;
    let mut command = Command::new("bash");
    command.arg(rig()).arg("run").arg(payload).arg(within_s.to_string());
    command.env("HUNDI_GUEST_MB", pack::GUEST_MB.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {}", rig().display()))?;
    let stdout = child.stdout.take().context("the guest's console")?;
    for line in BufReader::new(stdout).lines() {
        check_interrupted()?;
        let line = line.context("the guest's console")?;
        writeln!(console, "{line}").context("the guest's console")?;
        let Some(said) = line.strip_prefix(LINE) else { continue };
        let held: Held = serde_json::from_str(said).context("what the guest said")?;
        progress.say(&held.to_string());
        report.scenarios.push(held);
    }
    let status = child.wait().context("the guest")?;
    check_interrupted()?;
    if status.code() == Some(RIG_LACKS) {
        let rig = anyhow::anyhow!("the machine with Bluetooth cannot be had: see above");
        return Err(BleError::Lacks(rig));
    }
    if !status.success() && report.scenarios.iter().all(|held| held.held) {
        let tail = tail(&console_file);
        report
            .scenarios
            .push(Held::broken("the guest runs to its end", format!("{status}\n{tail}")));
    }
    Ok(())
}

/// The script that has the machine.
fn rig() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ble/guest.sh")
}

/// The end of what a guest said.
fn tail(console: &Path) -> String {
    let text = std::fs::read_to_string(console).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
