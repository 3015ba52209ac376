//! The books for people, the audit, the bank's records as a file, and resuming after a fault.

use super::App;
use crate::audit;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use hundi_journal::input::Input;
use hundi_node::container;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn books(State(app): App) -> Result<Json<Value>, Problem> {
    Ok(Json(app.bank.ask(render).await?))
}

fn render(bank: &hundi_journal::bank::Bank) -> Value {
    let mut kinds: BTreeMap<String, BTreeMap<&'static str, i128>> = BTreeMap::new();
    for row in bank.books().trial_balance() {
        let of_currency = kinds.entry(row.currency.code()).or_default();
        *of_currency.entry(row.account.kind()).or_default() += row.balance;
    }
    let currencies: BTreeMap<String, Value> = kinds
        .into_iter()
        .map(|(currency, accounts)| {
            let sum: i128 = accounts.values().sum();
            let accounts: BTreeMap<_, _> =
                accounts.into_iter().map(|(kind, balance)| (kind, number(balance))).collect();
            let shown = json!({ "sum": number(sum), "balanced": sum == 0, "accounts": accounts });
            (currency, shown)
        })
        .collect();
    json!({ "currencies": currencies, "events": bank.events(), "head": bank.journal_head().to_string() })
}

/// A sum of balances as a JSON number. Sums of a bank's books are far below 2^63.
fn number(balance: i128) -> i64 {
    i64::try_from(balance).unwrap_or(if balance < 0 { i64::MIN } else { i64::MAX })
}

pub(super) async fn audit(State(app): App) -> Result<Json<Value>, Problem> {
    let (journal, network, number) = (Arc::clone(&app.journal), app.network, app.number);
    // The bank goes on meanwhile: what it held at one moment is compared with events up to then.
    let (events, head) = app.bank.ask(|bank| (bank.events(), bank.journal_head())).await?;
    let audited = tokio::task::spawn_blocking(move || {
        audit::audit(&journal, network, number, Some((events, head)))
    });
    let broken =
        |error: tokio::task::JoinError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error);
    let audited = audited.await.map_err(broken)?;
    let audited = audited.unwrap_or_else(|error| audit::unreadable(&error, network, number));
    Ok(Json(audited.to_json()))
}

pub(super) async fn records(State(app): App) -> Result<impl IntoResponse, Problem> {
    let records = app.journal.records()?;
    let file = container::encode(records.iter().map(Vec::as_slice)).map_err(Problem::conflict)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], file))
}

pub(super) async fn resume(State(app): App) -> Result<Json<Value>, Problem> {
    app.bank.handle(vec![Input::Resume]).await?;
    Ok(Json(json!({})))
}
