//! `audit`, `books`, `records`, `submit`, `status` and `resume`.

use super::{number, rows, text};
use anyhow::{Context, anyhow};
use hundi_gateway::app::{journal_dir, replay};
use hundi_gateway::audit::{audit_events, stated_head, unreadable};
use hundi_gateway::journal_store::{JournalStore, OpenJournalError};
use hundi_gateway::keys;
use hundi_node::client::{Client, ClientError};
use hundi_node::command_line::{EXIT_REFUSED, Failure, Report};
use hundi_node::container;
use hundi_node::home::{Home, HomeError};
use hundi_node::money::{parse_currency, show};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Asks the running gateway, or looks itself when none runs.
pub(super) fn audit(home: &Home) -> Result<Report, Failure> {
    let running = Client::find(home).and_then(|client| client.get::<Value>("/v1/audit"));
    let answer = match running {
        Ok(answer) => answer,
        Err(ClientError::Unreachable { .. } | ClientError::Home(HomeError::NotRunning(_))) => {
            audit_directory(home)?
        }
        Err(error) => return Err(error.into()),
    };
    let ok = answer["ok"] == Value::Bool(true);
    let mut shown = format!(
        "events       {}\ntransactions {}\nentries      {}\nsettled      {}\njournal hash {}\n",
        number(&answer, "events"),
        number(&answer, "transactions"),
        number(&answer, "entries"),
        number(&answer, "settled"),
        text(&answer, "head"),
    );
    for finding in rows(&answer, "findings").iter().filter_map(Value::as_str) {
        shown += &format!("FOUND        {finding}\n");
    }
    shown += if ok {
        "the books hold: settled within limits (I3), balanced (I4), each entry at most once (I5)\n"
    } else {
        "the books do NOT hold\n"
    };
    let mut report = Report::new(shown, answer);
    if !ok {
        report.exit = EXIT_REFUSED;
    }
    Ok(report)
}

fn audit_directory(home: &Home) -> Result<Value, Failure> {
    let dir = journal_dir(home);
    if !dir.is_dir() {
        return Err(Failure::usage(anyhow!(
            "{} does not exist: the gateway has never run, there is nothing to audit",
            dir.display()
        )));
    }
    let network = home.network()?;
    let number = keys::load(home).map_err(Failure::usage)?.number;
    let (journal, events) = match JournalStore::open(&dir, network.id()) {
        Ok(opened) => opened,
        Err(error @ (OpenJournalError::Event { .. } | OpenJournalError::Missing { .. })) => {
            return Ok(unreadable(&error, network.id(), number).to_json());
        }
        Err(error) => {
            let context = format!("cannot audit {}", home.dir().display());
            return Err(Failure::lacks(anyhow::Error::from(error).context(context)));
        }
    };
    let stated = stated_head(&journal, &network.id(), number).map_err(Failure::lacks)?;
    let bank = replay(&network, number, &events);
    let held = bank.as_ref().map(|bank| (bank.events(), bank.journal_head()));
    let mut audited = audit_events(&events, network.id(), number, held.ok(), stated);
    if let Err(error) = bank {
        audited.findings.push(error.to_string());
    }
    Ok(audited.to_json())
}

pub(super) fn books(client: &Client) -> Result<Report, Failure> {
    let answer: Value = client.get("/v1/books")?;
    let mut shown = String::new();
    for (code, books) in answer["currencies"].as_object().into_iter().flatten() {
        let currency = parse_currency(code).map_err(Failure::lacks)?;
        let money = |minor: i64| {
            let sign = if minor < 0 { "-" } else { "" };
            format!("{sign}{}", show(minor.unsigned_abs(), currency))
        };
        for (kind, balance) in books["accounts"].as_object().into_iter().flatten() {
            shown += &format!("{kind:<24}{:>20}\n", money(balance.as_i64().unwrap_or(0)));
        }
        let sum = money(books["sum"].as_i64().unwrap_or(0));
        let balanced = if books["balanced"] == Value::Bool(true) { "" } else { "  NOT BALANCED" };
        shown += &format!("{:<24}{sum:>20}{balanced}\n\n", "sum");
    }
    shown += &format!("journal hash {}\n", text(&answer, "head"));
    Ok(Report::new(shown, answer))
}

pub(super) fn records(client: &Client, file: &Path) -> Result<Report, Failure> {
    let bytes = client.read("/v1/records")?;
    let contents = container::decode(&bytes).context("the records").map_err(Failure::lacks)?;
    container::write_file(file, contents.items.iter().map(Vec::as_slice))
        .with_context(|| format!("cannot write {}", file.display()))
        .map_err(Failure::lacks)?;
    let count = contents.items.len();
    let shown = format!(
        "{count} records in {}: any device takes them with `hundi import`\n",
        file.display()
    );
    Ok(Report::new(shown, json!({ "file": file, "items": count, "bytes": bytes.len() })))
}

/// Items that one request hands in.
const SUBMIT_ITEMS: usize = 512;

pub(super) fn submit(client: &Client, file: &Path) -> Result<Report, Failure> {
    let contents = container::read_file(file)
        .with_context(|| format!("cannot take {}", file.display()))
        .map_err(Failure::usage)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut lines = Vec::new();
    for items in contents.items.chunks(SUBMIT_ITEMS) {
        let part = container::encode(items.iter().map(Vec::as_slice))
            .context("the items")
            .map_err(Failure::lacks)?;
        let answer: Value = client.write("/v1/entries", &part)?;
        for line in rows(&answer, "items") {
            *counts.entry(text(line, "verdict").to_owned()).or_default() += 1;
            lines.push(line.clone());
        }
    }
    let shown: String =
        counts.iter().map(|(verdict, count)| format!("{count} {verdict}\n")).collect();
    let whole = contents.ending == container::Ending::Complete;
    let mut report =
        Report::new(shown, json!({ "items": lines, "counts": counts, "whole": whole }));
    if !whole {
        report.text += "the file is cut or damaged: what was intact has been handed in\n";
        report.exit = EXIT_REFUSED;
    }
    Ok(report)
}

pub(super) fn status(client: &Client) -> Result<Report, Failure> {
    let answer: Value = client.get("/v1/status")?;
    let list = |field: &str| {
        let texts: Vec<&str> = rows(&answer, field).iter().filter_map(Value::as_str).collect();
        texts.join(", ")
    };
    let mut shown = format!(
        "bank      {}\nnetwork   {}\nepoch     {}\ndigest    {}\nlistening {}\nlinks     {}\nauthors   {}\n\
         accepted  {}\nsettled   {}\nrejected  {}\ncontested {}\nproofs    {}\nfrozen    {}\n",
        number(&answer, "bank"),
        text(&answer, "network"),
        number(&answer, "epoch"),
        text(&answer, "digest"),
        list("listen"),
        number(&answer, "links"),
        number(&answer, "authors"),
        number(&answer, "accepted"),
        number(&answer, "settled"),
        number(&answer, "rejected"),
        number(&answer, "contested"),
        list("proofs"),
        list("frozen"),
    );
    let mut report = Report::new("", Value::Null);
    if answer["stopped"] == Value::Bool(true) {
        shown += "STOPPED   a record with this bank's signature is not in its books: find out who \
                  signed it, then `resume`\n";
        report.exit = EXIT_REFUSED;
    }
    report.text = shown;
    report.json = answer;
    Ok(report)
}

pub(super) fn resume(client: &Client) -> Result<Report, Failure> {
    let answer: Value = client.post("/v1/resume", &json!({}))?;
    Ok(Report::new("the bank signs again\n", answer))
}
