//! `init` and `root`: a bank's directory, made once.

use anyhow::anyhow;
use clap::Args;
use hundi_gateway::keys::{self, InitError, Membership, PeerBank};
use hundi_ledger::id::BankNumber;
use hundi_node::command_line::{EXIT_USAGE, Failure, Report};
use hundi_node::home::{Home, HomeError};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Which bank of which network.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The name of the network to define.
    #[arg(long, value_name = "NAME", required_unless_present = "genesis")]
    network: Option<String>,
    /// This bank's number in the network.
    #[arg(long, value_name = "N")]
    bank: u16,
    /// This bank's name.
    #[arg(long, value_name = "NAME", required_unless_present = "genesis")]
    name: Option<String>,
    /// Another bank of the network: its number, its root key as its `root` prints it, its name.
    #[arg(long, value_name = "N:ROOT:NAME", value_parser = parse_peer)]
    peer_bank: Vec<PeerBank>,
    /// Join a network that another bank has defined, by its genesis file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["network", "name", "peer_bank"])]
    genesis: Option<PathBuf>,
}

pub(super) fn init(dir: &Path, args: InitArgs) -> Result<Report, Failure> {
    let membership = match args {
        InitArgs { genesis: Some(genesis), .. } => Membership::Existing { genesis },
        InitArgs { network: Some(network), name: Some(bank), peer_bank, .. } => {
            Membership::New { network, bank, peers: peer_bank }
        }
        _ => return Err(Failure::usage(anyhow!("give --network and --name, or --genesis"))),
    };
    let home = create(dir)?;
    let number = BankNumber(args.bank);
    let network = keys::init(&home, number, membership).map_err(failure)?;
    let genesis = dir.join("genesis");
    let root = network.bank(number).map(|bank| bank.root.to_string()).unwrap_or_default();
    let shown = format!(
        "network {}\ngenesis {}\nbank    {number}, root {root}\n\n\
         Devices need the genesis file: hundi init --genesis {} --bank {number}\n\
         The root key is in {}: only making certificates needs it; keep it elsewhere.\n",
        network.id(),
        genesis.display(),
        genesis.display(),
        dir.join("keys").join(keys::ROOT_FILE).display(),
    );
    let json = json!({
        "network": network.id().to_string(),
        "genesis": genesis,
        "bank": number.0,
        "root": root,
    });
    Ok(Report::new(shown, json))
}

pub(super) fn root(dir: &Path) -> Result<Report, Failure> {
    let home = create(dir)?;
    let root = keys::make_root(&home).map_err(failure)?;
    Ok(Report::new(format!("{root}\n"), json!({ "root": root.to_string() })))
}

fn create(dir: &Path) -> Result<Home, Failure> {
    Home::create(dir).map_err(|error| match error {
        HomeError::AlreadyInitialised(_) => Failure::usage(error),
        error => Failure::lacks(error),
    })
}

fn failure(error: InitError) -> Failure {
    match error {
        InitError::Home(error) => error.into(),
        InitError::Random(_) => Failure::lacks(error),
        _ => Failure { error: error.into(), exit: EXIT_USAGE },
    }
}

/// Parses `N:ROOT:NAME`.
fn parse_peer(text: &str) -> Result<PeerBank, String> {
    let wrong = || format!("{text:?} is not N:ROOT:NAME, as in 2:{}:Laxmi", "0".repeat(64));
    let mut parts = text.splitn(3, ':');
    let (Some(number), Some(root), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    Ok(PeerBank {
        number: BankNumber(number.parse().map_err(|_| wrong())?),
        root: root.parse().map_err(|_| wrong())?,
        name: name.to_owned(),
    })
}
