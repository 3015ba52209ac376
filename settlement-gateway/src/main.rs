//! The command line `hundi-gateway`: a bank's settlement gateway.
//!
//! `init`, `root` and `audit` (while no gateway runs) work on the directory itself, `run` is the
//! gateway, everything else talks to the gateway that runs in the same directory. Exit status:
//! 0 done, 1 refused or something found, 2 wrong usage or input, 3 something is missing on this
//! machine.

mod cli;

use clap::Parser;
use cli::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    let json = args.json;
    match cli::execute(args) {
        Ok(report) if json => {
            println!("{}", report.json);
            ExitCode::from(report.exit)
        }
        Ok(report) => {
            print!("{}", report.text);
            ExitCode::from(report.exit)
        }
        Err(failure) => {
            if json {
                let detail = format!("{:#}", failure.error);
                println!("{}", serde_json::json!({ "error": detail, "exit": failure.exit }));
            }
            eprintln!("hundi-gateway: {:#}", failure.error);
            ExitCode::from(failure.exit)
        }
    }
}
