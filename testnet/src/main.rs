//! The command line `hundi-testnet`: shows a living mesh on one machine, measures, and is one side
//! of a session for other implementations. Exit status: 0 every expectation held, 1 one did not, 2
//! wrong usage, 3 something is missing on this machine, 130 a person interrupted.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use hundi_testnet::bench::settle::SettleArgs;
use hundi_testnet::bench::spread::SpreadArgs;
use hundi_testnet::bench::village::VillageArgs;
use hundi_testnet::bench::{self, BenchError, Case, Outcome, OutputArgs};
use hundi_testnet::ble::{self, BleError};
use hundi_testnet::chaos::{self, Until};
use hundi_testnet::demo::{self, DemoError, Options};
use hundi_testnet::power_cut::writer::{Hold, WriterOptions, write_until_stopped};
use hundi_testnet::power_cut::{self, StoreKind};
use hundi_testnet::process::{check_interrupted, interrupt};
use hundi_testnet::sim::command::{SimArgs, SimError, follow, sim};
use hundi_testnet::sync_peer;
use peak_alloc::PeakAlloc;
use serde_json::Value;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Counts what is allocated, for the bench's figures of memory.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const EXIT_NOT_HELD: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_LACKS: u8 = 3;
/// As shells have it for an interrupt.
const EXIT_INTERRUPTED: u8 = 130;
/// Kills of a run of chaos that says neither kills nor minutes.
const KILLS: u64 = 60;

/// Local networks of real hundi devices and gateways.
#[derive(Debug, Parser)]
#[command(name = "hundi-testnet", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Two villages pay each other with no internet, a cheat is caught, a bank settles the rest.
    Demo(DemoArgs),
    /// Measurements, with what must come out of them.
    Bench {
        #[command(subcommand)]
        bench: Bench,
    },
    /// Real devices pay each other by Bluetooth, in an emulated machine with a real daemon of BlueZ.
    Ble(ble::Options),
    /// Plays scenarios inside that machine; `ble` starts it.
    #[command(hide = true)]
    BleInside(ble::Play),
    /// Kill, stop, starve and damage real devices and a gateway under load, and look for everything
    /// that they acknowledged.
    Chaos(ChaosArgs),
    /// Cut the power of a device's store and of a bank's, under load, and look for everything that
    /// was acknowledged. Needs root and loop devices.
    PowerCut(PowerCutArgs),
    /// Writes to a store until its power is cut; `power-cut` starts it.
    #[command(hide = true)]
    StoreWriter(StoreWriterArgs),
    /// Whole devices and banks on virtual time, driven by a seed, broken on purpose and judged.
    Sim(SimArgs),
    /// One side of a sync session on standard input and output, to try another implementation
    /// against.
    ///
    /// One process is one node. Commands come in as lines, and every line gets an answer, whose
    /// last line is a full stop. Bytes are lowercase hexadecimal, and there is one space between
    /// two fields. Exit status 0 when the input ends; what is wrong with a line is an answer that
    /// begins with `error`.
    #[command(after_help = SYNC_PEER_LINES)]
    SyncPeer,
}

/// The lines of `sync-peer`; docs/how-to/test-another-sync.md has the rest.
const SYNC_PEER_LINES: &str = "\
Lines:
  network HEX          the network definition; comes first, once
  own HEX              an author of this node (34 bytes); before the first item
  scope BITS [HEX]     keep the core of this range only; before the first item
  item HEX             take an item; answers `taken STATUS`
  open initiator|responder HANDSHAKEHASH [force] [differs]
                       open a session; answers `message HEX` for each message to send
  message HEX          a message of the other side; answers `message HEX`, `taken STATUS`,
                       and in the end `done true` or `done false`
  digest               answers `digest HEX`, of the core
  items                answers `item HEX` for each item held
  quit

docs/how-to/test-another-sync.md describes them to the byte.";

#[derive(Debug, Subcommand)]
enum Bench {
    /// Sync sessions: bytes, round trips, time and memory, beside negentropy and Automerge.
    Sync(SyncArgs),
    /// What an hour of village life costs to simulate, from 200 phones to 10,000.
    Village(VillageArgs),
    /// How fast a payment and the proof against a double spend reach everybody, and what a cheat
    /// costs at worst.
    Spread(SpreadArgs),
    /// How fast a bank settles signed and sealed payments, beside what its machine can verify and
    /// make durable at most.
    ///
    /// Every figure is of this run on this machine: the ceiling and the engine take turns. Needs
    /// about 1 GB of memory and of disk with the defaults, and takes some minutes.
    Settle(SettleArgs),
}

#[derive(Debug, Args)]
struct SyncArgs {
    /// Differences that every case is measured with; 100 unless --quick.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: Option<u64>,
    /// Authors that both sides share; 100,000 unless --quick.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    authors: Option<u64>,
    /// Everything small: shows that it works, in seconds.
    #[arg(long)]
    quick: bool,
    /// Only these cases.
    #[arg(long, value_name = "CASES", value_delimiter = ',', value_enum)]
    only: Vec<Case>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Print exactly one JSON object on standard output instead of the table.
    #[arg(long)]
    json: bool,
    /// Makes the market's script: the same number, the same morning.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Leave everything running in the end, and print how to talk to it.
    #[arg(long)]
    keep: bool,
    /// Villagers, half of them in each village. A courier, a cheat and its clone come on top.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u8).range(12..=48))]
    nodes: u8,
    /// An empty directory for everything that the programs write. A temporary one otherwise, which
    /// is removed when every expectation held.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ChaosArgs {
    /// Print exactly one JSON object on standard output instead of the table.
    #[arg(long)]
    json: bool,
    /// Programs to kill; 60 unless --minutes.
    #[arg(long, value_name = "N", conflicts_with = "minutes", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    kills: Option<u64>,
    /// Kill for so long.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: Option<u64>,
    /// Chooses victims and instants.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct PowerCutArgs {
    /// Print exactly one JSON object on standard output instead of the table.
    #[arg(long)]
    json: bool,
    /// Power cuts of each store.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    cuts: u64,
    /// Chooses the instants.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Have the stores make nothing durable. The rig must notice: the exit status is 1.
    #[arg(long)]
    without_barrier: bool,
}

#[derive(Debug, Args)]
struct StoreWriterArgs {
    /// Which store.
    #[arg(value_enum)]
    store: StoreKind,
    /// Its directory.
    dir: PathBuf,
    /// Make nothing durable.
    #[arg(long)]
    without_barrier: bool,
    /// Stop at the N-th batch that is in the segment (`segment=N`) or the index (`index=N`).
    #[arg(long)]
    hold: Option<Hold>,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // These have nothing to stop on the way out: an interrupt simply ends them.
    if !matches!(command, Command::SyncPeer | Command::StoreWriter(_))
        && let Err(error) = listen_for_interrupts()
    {
        eprintln!("hundi-testnet: cannot wait for signals: {error}");
        return ExitCode::from(EXIT_LACKS);
    }
    match command {
        Command::Demo(args) => demo(args),
        Command::Bench { bench: Bench::Sync(args) } => bench_sync(args),
        Command::Bench { bench: Bench::Village(args) } => {
            end_bench(bench::village::run(&args), &args.output)
        }
        Command::Bench { bench: Bench::Spread(args) } => {
            end_bench(bench::spread::run(&args), &args.output)
        }
        Command::Bench { bench: Bench::Settle(args) } => {
            end_bench(bench::settle::run(&args), &args.output)
        }
        Command::Ble(options) => bluetooth(&options),
        Command::BleInside(play) => match ble::inside::run(&play) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("hundi-testnet: {error:#}");
                ExitCode::from(EXIT_NOT_HELD)
            }
        },
        Command::Chaos(args) => chaos(&args),
        Command::PowerCut(args) => power_cut(&args),
        Command::StoreWriter(args) => store_writer(args),
        Command::Sim(args) => simulate(&args),
        Command::SyncPeer => sync_peer(),
    }
}

fn bluetooth(options: &ble::Options) -> ExitCode {
    match ble::run(options) {
        Ok(report) => finish(options.json, &report.to_json(), &report, report.held()),
        Err(error) => {
            eprintln!("hundi-testnet: {error}");
            ExitCode::from(match error {
                BleError::Lacks(_) => EXIT_LACKS,
                BleError::Interrupted => EXIT_INTERRUPTED,
            })
        }
    }
}

fn chaos(args: &ChaosArgs) -> ExitCode {
    let kills = Until::Kills(args.kills.unwrap_or(KILLS));
    let until = args.minutes.map_or(kills, |it| Until::Elapsed(Duration::from_secs(it * 60)));
    match chaos::run(&chaos::Options { seed: args.seed, until }) {
        Ok(report) => finish(args.json, &report.to_json(), &report, report.held()),
        Err(error) => lacks(&error),
    }
}

fn power_cut(args: &PowerCutArgs) -> ExitCode {
    let options =
        power_cut::Options { cuts: args.cuts, seed: args.seed, barrier: !args.without_barrier };
    match power_cut::run(&options) {
        Ok(report) => finish(args.json, &report.to_json(), &report, report.held()),
        Err(error) => lacks(&error),
    }
}

fn store_writer(args: StoreWriterArgs) -> ExitCode {
    let StoreWriterArgs { store, dir, without_barrier, hold } = args;
    match write_until_stopped(WriterOptions { store, dir, barrier: !without_barrier, hold }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => lacks(&error),
    }
}

/// Prints a report, and says with the status whether it held.
fn finish(as_json: bool, json: &Value, text: &dyn Display, held: bool) -> ExitCode {
    if as_json {
        println!("{json}");
    } else {
        println!("{text}");
    }
    if held { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_HELD) }
}

/// There is nothing to judge, and why.
fn lacks(error: &anyhow::Error) -> ExitCode {
    eprintln!("hundi-testnet: {error:#}");
    let interrupted = check_interrupted().is_err();
    ExitCode::from(if interrupted { EXIT_INTERRUPTED } else { EXIT_LACKS })
}

fn simulate(args: &SimArgs) -> ExitCode {
    let outcome = match follow(args) {
        None => sim(args).map(|outcome| {
            let text = if args.json { outcome.to_json().to_string() } else { outcome.to_string() };
            (text, outcome.held())
        }),
        Some(followed) => followed.map(|(value, same)| (format!("{value:#}"), same)),
    };
    match outcome {
        Ok((text, held)) => {
            println!("{text}");
            if held { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_HELD) }
        }
        Err(error) => {
            eprintln!("hundi-testnet: {error}");
            ExitCode::from(match error {
                SimError::Usage(_) => EXIT_USAGE,
                SimError::Failed(_) => EXIT_LACKS,
                SimError::Interrupted => EXIT_INTERRUPTED,
            })
        }
    }
}

fn sync_peer() -> ExitCode {
    match sync_peer::run(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hundi-testnet: {error}");
            ExitCode::from(EXIT_LACKS)
        }
    }
}

fn demo(args: DemoArgs) -> ExitCode {
    let options = Options {
        seed: args.seed,
        villagers: usize::from(args.nodes),
        keep: args.keep,
        dir: args.dir,
    };
    match demo::run(&options) {
        Ok(demo) => {
            let report = &demo.report;
            if args.json {
                println!("{}", report.to_json());
                eprint!("{}", demo.afterwards);
            } else {
                println!("{report}{}", demo.afterwards);
            }
            if report.held() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_HELD) }
        }
        Err(error) => {
            eprintln!("hundi-testnet: {error}");
            match error {
                DemoError::Lacks(_) => ExitCode::from(EXIT_LACKS),
                DemoError::Interrupted => ExitCode::from(EXIT_INTERRUPTED),
            }
        }
    }
}

/// Prints what a bench came to, after it has written what people asked to have in files: a plot,
/// and a page that shows the plot beside it.
fn end_bench(
    done: Result<impl Outcome, BenchError>,
    OutputArgs { json, plot, markdown }: &OutputArgs,
) -> ExitCode {
    let report = match done {
        Ok(report) => report,
        Err(error) => return no_bench(&error),
    };
    let write = |file: &Path, text: String| {
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    };
    let plotted = plot.as_ref().map_or(Ok(()), |file| write(file, report.to_svg()));
    let written = plotted.and_then(|()| {
        let name = plot.as_ref().and_then(|file| file.file_name()?.to_str());
        markdown.as_ref().map_or(Ok(()), |file| write(file, report.to_markdown(name)))
    });
    match written {
        Ok(()) => finish(*json, &report.to_json(), &report, report.held()),
        Err(error) => lacks(&error),
    }
}

/// There is nothing of a bench to judge, and why.
fn no_bench(error: &BenchError) -> ExitCode {
    eprintln!("hundi-testnet: {error}");
    ExitCode::from(match error {
        BenchError::Failed(_) => EXIT_LACKS,
        BenchError::Interrupted => EXIT_INTERRUPTED,
    })
}

fn bench_sync(args: SyncArgs) -> ExitCode {
    let all = || vec![Case::Sets, Case::Villages, Case::Contacts, Case::Growth, Case::Disk];
    let (seeds, authors) = if args.quick { (3, 2_000) } else { (100, 100_000) };
    let options = bench::Options {
        seeds: args.seeds.unwrap_or(seeds),
        authors: args.authors.map_or(authors, |authors| authors as usize),
        quick: args.quick,
        cases: if args.only.is_empty() { all() } else { args.only.clone() },
    };
    if args.output.plot.is_some() && !options.cases.contains(&Case::Growth) {
        eprintln!("hundi-testnet: --plot draws the case growth, which --only leaves out");
        return ExitCode::from(EXIT_USAGE);
    }
    end_bench(bench::run(&options), &args.output)
}

/// An interrupt or termination signal makes everything that waits give up; what was started is
/// stopped on the way out.
fn listen_for_interrupts() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut stop, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = stop.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        interrupt();
    });
    Ok(())
}
