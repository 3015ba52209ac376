//! The command line `hundi-testnet`: shows a living mesh on one machine. Exit status: 0 every
//! expectation held, 1 one did not, 2 wrong usage, 3 something is missing on this machine, 130 a
//! person interrupted.

use clap::{Args, Parser, Subcommand};
use hundi_testnet::demo::{self, DemoError, Options};
use hundi_testnet::process::interrupt;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

const EXIT_NOT_HELD: u8 = 1;
const EXIT_LACKS: u8 = 3;
/// As shells have it for an interrupt.
const EXIT_INTERRUPTED: u8 = 130;

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

fn main() -> ExitCode {
    let Command::Demo(args) = Arguments::parse().command;
    if let Err(error) = listen_for_interrupts() {
        eprintln!("hundi-testnet: cannot wait for signals: {error}");
        return ExitCode::from(EXIT_LACKS);
    }
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
                println!("{}{}", report.to_text(), demo.afterwards);
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
