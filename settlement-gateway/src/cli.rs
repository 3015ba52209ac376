//! The commands of `hundi-gateway`: what can be typed, and where each is carried out.

mod accounts;
mod books;
mod cases;
mod grants;
mod run;
mod setup;

use anyhow::anyhow;
use clap::{Parser, Subcommand};
use hundi_node::client::Client;
use hundi_node::command_line::{Failure, Report, default_dir};
use hundi_node::home::{Home, HomeError};
use serde_json::Value;
use std::path::PathBuf;

/// Settle offline payments: a bank's node of the hundi mesh, with its books.
#[derive(Debug, Parser)]
#[command(name = "hundi-gateway", version, max_term_width = 100)]
#[command(
    after_help = "Exit status: 0 done, 1 refused or something found, 2 wrong usage or input, \
                        3 something is missing on this machine (no gateway running, disk full)."
)]
pub(crate) struct Args {
    /// The gateway's directory: keys, books, and the running gateway's address.
    #[arg(long, env = "HUNDI_GATEWAY_DIR", global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print exactly one JSON object on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a bank: its keys, certificates and the network's genesis file.
    Init(setup::InitArgs),
    /// Make this bank's root key, for a network that somebody else defines, and print it.
    Root,
    /// Run the gateway until interrupted.
    Run(run::RunArgs),
    /// Customers' accounts.
    #[command(subcommand)]
    Account(accounts::AccountCommand),
    /// Move money of the bank's own: out of an account, into the pool for guarantees, off a claim.
    Operate(accounts::OperateArgs),
    /// What devices may promise.
    #[command(subcommand)]
    Grant(grants::GrantCommand),
    /// Stop a device: payees refuse its payments from now on.
    Freeze {
        /// The device's author, as `hundi id` prints it.
        author: String,
        /// Why.
        #[arg(long, value_enum, default_value_t = grants::FreezeReason::Decision)]
        reason: grants::FreezeReason,
    },
    /// Reviews of devices that contradicted themselves.
    #[command(subcommand)]
    Case(cases::CaseCommand),
    /// Recompute the books from the stored events and evidence; exit 1 if anything does not hold.
    Audit,
    /// Write the bank's records (grants, checkpoints, freezes, proofs) to a file to carry.
    Records {
        /// The file.
        file: PathBuf,
    },
    /// Hand in a file of entries and receipts.
    Submit {
        /// The file, as `hundi export` writes it.
        file: PathBuf,
    },
    /// How the gateway is.
    Status,
    /// The books, per currency.
    Books,
    /// Sign again after a fault has been looked into.
    Resume,
}

pub(crate) fn execute(args: Args) -> Result<Report, Failure> {
    let dir = match args.dir {
        Some(dir) => dir,
        None => default_dir("hundi-gateway")?,
    };
    let command = match args.command {
        Command::Init(args) => return setup::init(&dir, args),
        Command::Root => return setup::root(&dir),
        other => other,
    };
    let home = Home::open(&dir)?;
    match command {
        Command::Init(_) | Command::Root => Err(HomeError::AlreadyInitialised(dir).into()),
        Command::Run(args) => run::run(home, args),
        Command::Audit => books::audit(&home),
        command => with_client(&Client::find(&home)?, command),
    }
}

fn with_client(client: &Client, command: Command) -> Result<Report, Failure> {
    match command {
        Command::Account(command) => accounts::execute(client, command),
        Command::Operate(args) => accounts::operate(client, &args),
        Command::Grant(command) => grants::execute(client, command),
        Command::Freeze { author, reason } => grants::freeze(client, &author, reason),
        Command::Case(command) => cases::execute(client, command),
        Command::Records { file } => books::records(client, &file),
        Command::Submit { file } => books::submit(client, &file),
        Command::Status => books::status(client),
        Command::Books => books::books(client),
        Command::Resume => books::resume(client),
        Command::Init(_) | Command::Root | Command::Run(_) | Command::Audit => {
            Err(Failure::usage(anyhow!("this command needs no running gateway")))
        }
    }
}

/// A text of an answer.
fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or("-")
}

/// A number of an answer.
fn number(answer: &Value, field: &str) -> u64 {
    answer[field].as_u64().unwrap_or(0)
}

/// The rows of an answer.
fn rows<'a>(answer: &'a Value, field: &str) -> &'a [Value] {
    answer[field].as_array().map_or(&[], Vec::as_slice)
}
