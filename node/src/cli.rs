//! The commands of `hundi`: what can be typed, and where each is carried out.

mod mesh;
mod run;
mod setup;
mod wallet;

use clap::{Parser, Subcommand};
use hundi_node::client::Client;
use hundi_node::command_line::{Failure, Report, default_dir};
use hundi_node::home::{Home, HomeError};
use std::path::PathBuf;
use std::time::Duration;

/// Pay and get paid with no internet: a device of the hundi mesh.
#[derive(Debug, Parser)]
#[command(name = "hundi", version, max_term_width = 100)]
pub(crate) struct Args {
    /// The device's directory: keys, store, and the running daemon's address.
    #[arg(long, env = "HUNDI_DIR", global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print exactly one JSON object on standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make this device's keys for a network and a home bank.
    Init {
        /// The network's genesis file, from the bank.
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        /// The number of the home bank in that network.
        #[arg(long, value_name = "N")]
        bank: u16,
    },
    /// Run the device's daemon until interrupted.
    Run(run::RunArgs),
    /// Print this device's author and sealing key: what the bank needs to enrol it.
    Id,
    /// Ask for money: prints a link and a QR code for the payer to scan.
    Request {
        /// How much, in major units: 12.50
        amount: String,
        /// The currency, if the bank has not granted one yet: INR
        currency: Option<String>,
        /// What for; the payer sees it.
        #[arg(long, default_value = "")]
        memo: String,
        /// How long the request stays open.
        #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
        expires: Duration,
        /// Await the payer by Bluetooth, with no network at all.
        #[arg(long)]
        ble: bool,
        /// Leave the QR code out.
        #[arg(long)]
        no_qr: bool,
    },
    /// Pay a request.
    Pay {
        /// The link that the payee shows: HUNDI:…
        uri: String,
        /// How much, where the request leaves it open, in major units.
        #[arg(long)]
        amount: Option<String>,
        /// Wait this long for the payee's receipt [default: 2, or 30 while the payee is looked for
        /// by Bluetooth].
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u64>,
    },
    /// Return a received payment, or part of it, to its payer.
    Refund {
        /// The payment's id, from `history`.
        payment: String,
        /// How much, in major units; all of it when not given.
        amount: Option<String>,
    },
    /// End the grant in use: the bank returns what was not promised.
    Close,
    /// What can be paid, what is promised, what was received.
    Balance,
    /// All payments, newest first, and how sure each is.
    History,
    /// The nodes in contact.
    Peers,
    /// What this node knows.
    Status,
    /// Write everything this node carries to a file, for a device with no radio.
    Export {
        /// The file.
        file: PathBuf,
    },
    /// Take what such a file carries.
    Import {
        /// The file.
        file: PathBuf,
    },
}

pub(crate) fn execute(args: Args) -> Result<Report, Failure> {
    let dir = match args.dir {
        Some(dir) => dir,
        None => default_dir("hundi")?,
    };
    let command = match args.command {
        Command::Init { genesis, bank } => return setup::init(&dir, &genesis, bank),
        other => other,
    };
    let home = Home::open(&dir)?;
    match command {
        Command::Init { .. } => Err(Failure::usage(HomeError::AlreadyInitialised(dir))),
        Command::Run(args) => run::run(&home, args),
        Command::Id => setup::id(&home),
        command => {
            let client = Client::find(&home)?;
            with_client(&client, command)
        }
    }
}

fn with_client(client: &Client, command: Command) -> Result<Report, Failure> {
    match command {
        Command::Request { amount, currency, memo, expires, ble, no_qr } => {
            let asked = wallet::Asked { amount, currency, memo, expires, ble };
            wallet::request(client, &asked, !no_qr)
        }
        Command::Pay { uri, amount, wait } => {
            wallet::pay(client, &uri, amount.as_deref(), wait.map(Duration::from_secs))
        }
        Command::Refund { payment, amount } => wallet::refund(client, &payment, amount.as_deref()),
        Command::Close => wallet::close(client),
        Command::Balance => wallet::balance(client),
        Command::History => wallet::history(client),
        Command::Peers => mesh::peers(client),
        Command::Status => mesh::status(client),
        Command::Export { file } => mesh::export(client, &file),
        Command::Import { file } => mesh::import(client, &file),
        Command::Init { .. } | Command::Run(_) | Command::Id => {
            Err(Failure::usage(anyhow::anyhow!("this command needs no running daemon")))
        }
    }
}
