//! What the command lines `hundi` and `hundi-gateway` have in common: reports and failures with
//! their exit status, one JSON object or text for people, and how a node is told to listen.

use crate::client::ClientError;
use crate::daemon::Bluetooth;
use crate::home::HomeError;
use anyhow::{Error, anyhow};
use clap::Args;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// All held.
pub const EXIT_OK: u8 = 0;
/// Meant, and refused; or an expectation failed.
pub const EXIT_REFUSED: u8 = 1;
/// Not meant as typed.
pub const EXIT_USAGE: u8 = 2;
/// Something is missing on this machine.
pub const EXIT_LACKS: u8 = 3;

/// What a command has to say.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// The exit status.
    pub exit: u8,
}

impl Report {
    /// A report of something that was done.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, exit: EXIT_OK }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    /// What happened and what to do.
    pub error: Error,
    /// The exit status.
    pub exit: u8,
}

impl Failure {
    /// Not meant as typed.
    pub fn usage(error: impl Into<Error>) -> Self {
        Self { error: error.into(), exit: EXIT_USAGE }
    }

    /// Something is missing on this machine.
    pub fn lacks(error: impl Into<Error>) -> Self {
        Self { error: error.into(), exit: EXIT_LACKS }
    }

    /// Meant, and refused.
    pub fn refused(error: impl Into<Error>) -> Self {
        Self { error: error.into(), exit: EXIT_REFUSED }
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::NotRunning(_) => Self::lacks(error),
            _ => Self::usage(error),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Home(error) => error.into(),
            ClientError::Refused { status: 400 | 404 | 413 | 422, .. } => Self::usage(error),
            ClientError::Refused { status: 400..=499, .. } => Self::refused(error),
            _ => Self::lacks(error),
        }
    }
}

/// Says what came of a command: exactly one JSON object on standard output, or text for people;
/// what went wrong on standard error in either case.
pub fn finish(program: &str, json: bool, outcome: Result<Report, Failure>) -> ExitCode {
    let (exit, object) = match outcome {
        Ok(report) => {
            if !json {
                print!("{}", report.text);
            }
            (report.exit, report.json)
        }
        Err(failure) => {
            let detail = format!("{:#}", failure.error);
            eprintln!("{program}: {detail}");
            (failure.exit, json!({ "error": detail, "exit": failure.exit }))
        }
    };
    if json {
        println!("{object}");
    }
    ExitCode::from(exit)
}

/// The directory of `program` when none is named.
///
/// # Errors
/// When the user has no home directory.
pub fn default_dir(program: &str) -> Result<PathBuf, Failure> {
    let home = std::env::var_os("HOME");
    let home =
        home.ok_or_else(|| Failure::lacks(anyhow!("no home directory: name one with --dir")))?;
    Ok(PathBuf::from(home).join(".local/share").join(program))
}

/// How a node listens and whom it meets.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// Listen here for other nodes; port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:0")]
    pub listen: Vec<SocketAddr>,
    /// The API, on a loopback address; it speaks no TLS. Port 0 takes a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0", value_parser = parse_loopback)]
    pub api: SocketAddr,
    /// Do not look for nodes on the local network by mDNS.
    #[arg(long)]
    pub no_mdns: bool,
    /// The only nodes to be in contact with: IP:PORT,… or `none`. All when not given.
    #[arg(long, value_name = "LIST", value_parser = parse_reach)]
    pub reach: Option<std::vec::Vec<SocketAddr>>,
    /// Use Bluetooth too: on this adapter (hci0), or on the first one.
    #[arg(long, value_name = "ADAPTER", num_args = 0..=1, default_missing_value = "")]
    ble: Option<String>,
    /// Bluetooth without L2CAP channels: slower, for adapters on which they do not work.
    #[arg(long, requires = "ble")]
    gatt_only: bool,
}

impl NetworkArgs {
    /// Whether and how to use Bluetooth.
    pub fn bluetooth(&self) -> Option<Bluetooth> {
        let adapter = self.ble.clone()?;
        let adapter = (!adapter.is_empty()).then_some(adapter);
        Some(Bluetooth { adapter, gatt_only: self.gatt_only })
    }
}

/// Parses an address that only this machine reaches.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "not IP:PORT".to_owned())?;
    if !address.ip().is_loopback() {
        return Err("not a loopback address: the API is for this machine alone".to_owned());
    }
    Ok(address)
}

/// Parses `none` or a list of addresses with commas.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_reach(text: &str) -> Result<Vec<SocketAddr>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let parse = |one: &str| one.trim().parse().map_err(|_| format!("{one:?} is not IP:PORT"));
    text.split(',').map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_lists_and_addresses_are_checked() {
        assert_eq!(parse_reach("none"), Ok(Vec::new()));
        assert_eq!(parse_reach("127.0.0.1:1, 127.0.0.1:2").map(|list| list.len()), Ok(2));
        assert!(parse_reach("").is_err() && parse_reach("localhost").is_err());
        assert!(parse_loopback("127.0.0.1:0").is_ok());
        assert!(parse_loopback("192.0.2.1:1").is_err() && parse_loopback("x").is_err());
    }
}
