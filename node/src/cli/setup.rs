//! `init` and `id`: the device's keys.

use anyhow::Context;
use hundi_ledger::id::{AuthorId, BankNumber};
use hundi_ledger::seal::SealingSecret;
use hundi_node::command_line::{Failure, Report};
use hundi_node::device;
use hundi_node::home::{Home, read_genesis};
use serde_json::json;
use std::path::Path;

pub(super) fn init(dir: &Path, genesis: &Path, bank: u16) -> Result<Report, Failure> {
    let network = read_genesis(genesis)?;
    let bank = BankNumber(bank);
    if network.bank(bank).is_none() {
        let definition = network.definition();
        let numbers: Vec<String> =
            definition.banks.iter().map(|bank| bank.number.to_string()).collect();
        return Err(Failure::usage(anyhow::anyhow!(
            "the network {} has no bank {bank}; it has: {}",
            &*definition.name,
            numbers.join(", ")
        )));
    }
    let home = Home::create(dir)?;
    let keys = device::make(&home, &network, bank)
        .with_context(|| format!("cannot set up a device in {}", dir.display()))
        .map_err(Failure::lacks)?;
    Ok(describe(&home, keys.author, &keys.sealing, "made"))
}

pub(super) fn id(home: &Home) -> Result<Report, Failure> {
    let keys = device::keys(home)?;
    Ok(describe(home, keys.author, &keys.sealing, "this device"))
}

fn describe(home: &Home, author: AuthorId, sealing: &SealingSecret, what: &str) -> Report {
    let sealing = sealing.public();
    let text = format!(
        "{what}: {}\nauthor       {author}\nsealing key  {sealing}\n\
         Give both to your bank, which enrols the device and grants it a limit.\n",
        home.dir().display()
    );
    let json = json!({
        "author": author.to_string(),
        "bank": author.bank.0,
        "sealing_key": sealing.to_string(),
        "dir": home.dir(),
    });
    Report::new(text, json)
}
