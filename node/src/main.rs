//! The command line `hundi`: a device of the mesh.
//!
//! `init` and `id` work on the directory alone, `run` is the daemon, everything else talks to the
//! daemon that runs in the same directory. Exit status: 0 done, 1 refused, 2 wrong usage or input,
//! 3 something is missing on this machine.

mod cli;

use clap::Parser;
use cli::Args;
use hundi_node::command_line::finish;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    finish("hundi", args.json, cli::execute(args))
}
