//! The commands of `hundi-gateway`: what can be typed, and where each is carried out.

mod accounts;
mod books;
mod cases;
mod grants;
mod run;
mod setup;

use anyhow::{Error, anyhow};
use clap::{Parser, Subcommand};
use hundi_node::client::{Client, ClientError};
use hundi_node::home::{Home, HomeError};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Settle offline payments: a bank's node of the hundi mesh, with its books.
#[derive(Debug, Parser)]
#[command(name = "hundi-gateway", version, about, max_term_width = 100)]
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

/// What a command has to say.
pub(crate) struct Report {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
    /// The exit status.
    pub(crate) exit: u8,
}

impl Report {
    fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, exit: EXIT_OK }
    }
}

/// Why a command did not do what was asked.
pub(crate) struct Failure {
    /// What happened and what to do.
    pub(crate) error: Error,
    /// The exit status.
    pub(crate) exit: u8,
}

pub(crate) const EXIT_OK: u8 = 0;
pub(crate) const EXIT_REFUSED: u8 = 1;
pub(crate) const EXIT_USAGE: u8 = 2;
pub(crate) const EXIT_LACKS: u8 = 3;

impl Failure {
    fn usage(error: impl Into<Error>) -> Self {
        Self { error: error.into(), exit: EXIT_USAGE }
    }

    fn lacks(error: impl Into<Error>) -> Self {
        Self { error: error.into(), exit: EXIT_LACKS }
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::NotRunning(dir) => Self::lacks(anyhow!(
                "no gateway is running in {}: start it with `hundi-gateway run`",
                dir.display()
            )),
            HomeError::NotInitialised(dir) => Self::usage(anyhow!(
                "{} holds no bank: run `hundi-gateway init` first, or name another directory with --dir",
                dir.display()
            )),
            _ => Self::usage(error),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::Home(error) => return error.into(),
            // Not meant as typed, or no such thing; what is meant and cannot be done is refused.
            ClientError::Refused { status: 400 | 404 | 413 | 422, .. } => EXIT_USAGE,
            ClientError::Refused { status: 400..=499, .. } => EXIT_REFUSED,
            _ => EXIT_LACKS,
        };
        Self { error: error.into(), exit }
    }
}

pub(crate) fn execute(args: Args) -> Result<Report, Failure> {
    let dir = match args.dir {
        Some(dir) => dir,
        None => default_dir()?,
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

fn default_dir() -> Result<PathBuf, Failure> {
    let home = std::env::var_os("HOME").ok_or_else(|| {
        Failure::lacks(anyhow!("no home directory: name the gateway's directory with --dir"))
    })?;
    Ok(PathBuf::from(home).join(".local/share/hundi-gateway"))
}

/// Parses `none` or a list of addresses with commas.
fn parse_reach(text: &str) -> Result<Vec<SocketAddr>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let parse = |one: &str| one.trim().parse().map_err(|_| format!("{one:?} is not IP:PORT"));
    text.split(',').map(parse).collect()
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
