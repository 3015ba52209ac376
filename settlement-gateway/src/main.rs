//! The command line `hundi-gateway`: a bank's settlement gateway.
//!
//! `init`, `root` and `audit` (while no gateway runs) work on the directory itself, `run` is the
//! gateway, everything else talks to the gateway that runs in the same directory. Exit status:
//! 0 done, 1 refused or something found, 2 wrong usage or input, 3 something is missing on this
//! machine.

mod cli;

use clap::Parser;
use cli::Args;
use hundi_node::command_line::finish;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    finish("hundi-gateway", args.json, cli::execute(args))
}
