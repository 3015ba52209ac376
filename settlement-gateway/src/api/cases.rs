//! Review cases: authors that contradicted themselves, what their payees got, and closing a review.

use super::entries::party_name;
use super::{App, parse, parse_author};
use crate::problem::{Body, Problem};
use crate::words;
use axum::Json;
use axum::extract::{Path, State};
use data_encoding::HEXLOWER;
use hundi_journal::bank::Bank;
use hundi_journal::input::Input;
use hundi_journal::state::{Case, EntryState, Standing};
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::record::entry::Class;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) async fn list(State(app): App) -> Result<Json<Value>, Problem> {
    let rows = app.bank.ask(|bank| {
        let row = |(key, case): (&_, &Case)| {
            summary(bank, &AuthorId { bank: bank.number(), key: *key }, case)
        };
        bank.cases().iter().map(row).collect::<Vec<_>>()
    });
    Ok(Json(json!({ "cases": rows.await? })))
}

pub(super) async fn show(State(app): App, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let author = parse_author(&app, &id)?;
    let shown = app.bank.ask(move |bank| render(bank, &author)).await?;
    let missing = || Problem::not_found(format!("no case of {id}: `case list` shows all"));
    shown.map(Json).ok_or_else(missing)
}

#[derive(Default, Deserialize)]
pub(super) struct Close {
    /// Provisionally paid entries that the review decides against.
    #[serde(default)]
    denied: Vec<String>,
}

pub(super) async fn close(
    State(app): App,
    Path(id): Path<String>,
    Body(body): Body<Close>,
) -> Result<Json<Value>, Problem> {
    let author = parse_author(&app, &id)?;
    let denied = body.denied.iter().map(|entry| parse::<Hash>(entry, "entry"));
    let denied = denied.collect::<Result<Vec<_>, _>>()?;
    app.bank.handle(vec![Input::CloseCase { author: author.key, denied }]).await?;
    let shown = app.bank.ask(move |bank| render(bank, &author)).await?;
    Ok(Json(shown.unwrap_or_default()))
}

fn summary(bank: &Bank, author: &AuthorId, case: &Case) -> Value {
    let held = bank.authors().get(&author.key);
    let until = held.into_iter().flat_map(|held| {
        let contested = case.lowest.keys().filter_map(|serial| held.grants.get(serial));
        contested.map(|grant| grant.grant.claim_until)
    });
    json!({
        "case": author.to_string(),
        "author": author.to_string(),
        "account": held.map(|held| held.customer.to_string()),
        "opened": case.opened,
        "closed": case.closed,
        "claim_until": until.max(),
        "serials": case.lowest.keys().map(|serial| serial.0).collect::<Vec<_>>(),
    })
}

fn render(bank: &Bank, author: &AuthorId) -> Option<Value> {
    let case = bank.cases().get(&author.key)?;
    let held = bank.authors().get(&author.key)?;
    let mut shown = summary(bank, author, case);
    let places = held.index.iter().filter(|((class, _), _)| *class == Class::Money);
    let entries = places.flat_map(|(_, ids)| ids).filter_map(|id| Some((id, bank.entry(id)?)));
    let under = entries.filter(|(_, entry)| case.lowest.contains_key(&entry.claim.serial));
    let payees: Vec<Value> = under.map(|(id, entry)| payee(bank, id, entry)).collect();
    shown["payees"] = Value::from(payees);
    shown["proof"] = Value::from(held.proof.as_deref().map(|proof| HEXLOWER.encode(proof)));
    Some(shown)
}

/// What one entry's payee got.
fn payee(bank: &Bank, id: &Hash, entry: &EntryState) -> Value {
    let header = &entry.header.header;
    let payee = entry.opened.map(|opened| opened.payee());
    let account = payee
        .filter(|payee| payee.bank == bank.number())
        .and_then(|payee| bank.authors().get(&payee.key).map(|held| held.customer.to_string()));
    let (got, provisional, to) = match &entry.standing {
        Standing::Provisional { party, from_reserve, from_guarantee } => {
            (from_reserve.minor() + from_guarantee.minor(), true, Some(party_name(party)))
        }
        _ => (entry.paid.minor(), false, None),
    };
    json!({
        "entry": id.to_string(),
        "sequence": header.sequence(),
        "serial": header.serial.0,
        "payee": payee.map(|payee| payee.to_string()),
        "account": account,
        "amount_minor": header.amount.minor(),
        "got_minor": got,
        "provisional": provisional,
        "provisional_to": to,
        "outcome": entry.standing.outcome().map(words::outcome),
    })
}
