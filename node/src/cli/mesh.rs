//! What the node knows and whom it meets, and files for those who cannot meet.

use super::wallet::{number, text};
use anyhow::Context;
use hundi_node::client::Client;
use hundi_node::command_line::{Failure, Report};
use hundi_transports::container;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn peers(client: &Client) -> Result<Report, Failure> {
    let answer: Value = client.get("/v1/peers")?;
    let rows = answer["peers"].as_array().cloned().unwrap_or_default();
    let line = |row: &Value| {
        let sync = match row["in_sync"].as_bool() {
            Some(true) => "in sync",
            Some(false) => "differs",
            None => "meeting",
        };
        format!("{:<24}{sync}\n", text(row, "address"))
    };
    let mut shown: String = rows.iter().map(line).collect();
    if rows.is_empty() {
        shown.push_str("no node in contact\n");
    }
    Ok(Report::new(shown, answer))
}

pub(super) fn status(client: &Client) -> Result<Report, Failure> {
    let answer: Value = client.get("/v1/status")?;
    let list = |field: &str| {
        let values = answer[field].as_array().cloned().unwrap_or_default();
        let texts: Vec<String> =
            values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        texts.join(", ")
    };
    let mut shown = format!(
        "author    {}\nnetwork   {}\ndigest    {}\nlistening {}\nauthors   {}\nentries   {}\nlinks     {}\nproofs    {}\nfrozen    {}\n",
        text(&answer, "author"),
        text(&answer, "network"),
        text(&answer, "digest"),
        list("listen"),
        number(&answer, "authors"),
        number(&answer, "entries"),
        number(&answer, "links"),
        list("proofs"),
        list("frozen"),
    );
    if let Some(bluetooth) = answer["bluetooth"].as_object() {
        let said =
            ["adapter", "reason"].into_iter().find_map(|field| bluetooth.get(field)?.as_str());
        let state = text(&answer["bluetooth"], "state");
        shown.push_str(&format!("bluetooth {state} {}\n", said.unwrap_or_default()));
    }
    if answer["stopped"] == Value::Bool(true) {
        shown.push_str("STOPPED   this key has signed elsewhere: enrol a new device key\n");
    }
    Ok(Report::new(shown, answer))
}

pub(super) fn export(client: &Client, file: &Path) -> Result<Report, Failure> {
    let bytes = client.read("/v1/export")?;
    let contents = container::decode(&bytes).context("the export").map_err(Failure::lacks)?;
    let items = contents.items.iter().map(Vec::as_slice);
    container::write_file(file, items)
        .with_context(|| format!("cannot write {}", file.display()))
        .map_err(Failure::lacks)?;
    let count = contents.items.len();
    let shown =
        format!("{count} items in {}: hand the file on, then `import` it\n", file.display());
    Ok(Report::new(shown, json!({ "file": file, "items": count, "bytes": bytes.len() })))
}

pub(super) fn import(client: &Client, file: &Path) -> Result<Report, Failure> {
    let container = std::fs::read(file)
        .with_context(|| format!("cannot read {}", file.display()))
        .map_err(Failure::usage)?;
    let answer: Value = client.write("/v1/import", &container)?;
    let shown = format!(
        "{} new, {} known, {} refused\n",
        number(&answer, "new"),
        number(&answer, "known"),
        number(&answer, "refused"),
    );
    Ok(Report::new(shown, answer))
}
