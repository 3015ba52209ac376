//! Asking for money, paying, returning, and looking at it.

use super::{App, Refused};
use crate::daemon::{Daemon, NoBluetooth, SEARCH_S};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hundi_engine::wallet::{PaymentView, Purpose, Sureness};
use hundi_engine::{Answer, Command};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::Hash;
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::request::{HINTS_MAX, PaymentRequest};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) async fn balance(State(app): App) -> Result<Json<Value>, Refused> {
    let now = now();
    let balance = app.daemon.ask(move |engine, shelf| engine.balance(now, shelf)).await?;
    let balance = balance.ok_or_else(|| Refused::conflict("this node has no author: a relay"))?;
    let grant = balance.grant.as_ref();
    let minor = |amount: Option<Amount>| amount.map_or(0, Amount::minor);
    Ok(Json(json!({
        "currency": balance.currency.map(|currency| currency.code()),
        "serial": grant.map(|grant| grant.serial.0),
        "granted_minor": minor(grant.map(|grant| grant.limit)),
        "left_minor": minor(grant.map(|grant| grant.left)),
        "can_pay_now_minor": minor(grant.map(|grant| grant.cap)),
        "expiry": grant.map(|grant| grant.expiry),
        "promised_unsettled_minor": balance.promised.minor(),
        "refunds_promised_minor": balance.refunds_promised.minor(),
        "received_verified_minor": balance.received_verified.minor(),
        "received_settled_minor": balance.received_settled.minor(),
    })))
}

pub(super) async fn history(State(app): App) -> Result<Json<Value>, Refused> {
    let payments = app.daemon.ask(|engine, shelf| engine.history(shelf)).await?;
    let rows: Vec<Value> = payments.iter().map(row).collect();
    Ok(Json(json!({ "payments": rows })))
}

pub(super) async fn payment(
    State(app): App,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    find(&app.daemon, parse_id(&id)?).await.map(|view| Json(row(&view)))
}

#[derive(Deserialize)]
pub(super) struct RequestBody {
    amount_minor: Option<u64>,
    currency: Option<String>,
    #[serde(default)]
    memo: String,
    #[serde(default = "ten_minutes")]
    expires_s: u32,
    /// A poster on the wall: many payments may answer it.
    #[serde(default)]
    standing: bool,
    /// Await the payer by Bluetooth, too.
    #[serde(default)]
    ble: bool,
}

fn ten_minutes() -> u32 {
    600
}

pub(super) async fn request(
    State(app): App,
    Json(body): Json<RequestBody>,
) -> Result<Json<Value>, Refused> {
    let currency = body.currency.map(|code| Currency::new(&code)).transpose();
    let invitation = body.ble.then(|| app.daemon.invitation()).transpose()?;
    let addresses = app.daemon.listening().await?;
    let nearby = invitation.iter().map(|invitation| invitation.session.encode());
    let hints = nearby.chain(addresses.iter().map(|address| address.to_string()));
    let hints: Vec<_> =
        hints.take(HINTS_MAX).map(Text::new).collect::<Result<_, _>>().map_err(Refused::input)?;
    let command = Command::Request {
        currency: currency.map_err(Refused::input)?,
        amount: amount(body.amount_minor)?,
        memo: Text::new(body.memo).map_err(Refused::input)?,
        expires_s: body.expires_s,
        standing: body.standing,
        hints: List::new(hints).map_err(Refused::input)?,
    };
    let request = match app.daemon.command(command).await? {
        Answer::Request(Ok(request)) => request,
        Answer::Request(Err(error)) => return Err(Refused::conflict(error)),
        _ => return Err(unexpected()),
    };
    if let Some(invitation) = invitation {
        app.daemon.show(invitation, &request).await?;
    }
    Ok(Json(json!({
        "uri": request.to_uri(),
        "request": request.request.to_string(),
        "amount_minor": request.amount.map(Amount::minor),
        "currency": request.currency.code(),
        "expires": request.expires,
        "ble": body.ble,
    })))
}

impl From<NoBluetooth> for Refused {
    fn from(error: NoBluetooth) -> Self {
        match error {
            NoBluetooth::NotStarted => Self::conflict(error),
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct PayBody {
    uri: String,
    amount_minor: Option<u64>,
    memo: Option<String>,
    #[serde(default)]
    category: u8,
    /// Pay a standing request once more.
    #[serde(default)]
    again: bool,
}

pub(super) async fn pay(
    State(app): App,
    Json(body): Json<PayBody>,
) -> Result<Json<Value>, Refused> {
    let request = PaymentRequest::parse(&body.uri).map_err(Refused::input)?;
    dial_hints(&app.daemon, &request).await;
    let before = app.daemon.ask(|engine, shelf| engine.history(shelf).len()).await?;
    let command = Command::Pay {
        request: request.clone(),
        amount: amount(body.amount_minor)?,
        memo: body.memo.map(Text::new).transpose().map_err(Refused::input)?,
        category: body.category,
        again: body.again,
    };
    match app.daemon.command(command).await? {
        Answer::Pay(Ok(id)) => {
            let nearby = app.daemon.pay_nearby(&request, id).await?;
            let view = find(&app.daemon, id).await?;
            let resumed =
                app.daemon.ask(|engine, shelf| engine.history(shelf).len()).await? == before;
            Ok(Json(json!({
                "id": id.to_string(), "state": view.state.word(), "resumed": resumed,
                "search_s": nearby.then_some(SEARCH_S),
            })))
        }
        Answer::Pay(Err(error)) => Err(Refused::conflict(error)),
        _ => Err(unexpected()),
    }
}

/// Looks for the payee where it says it is; the mesh brings the payment in any case.
async fn dial_hints(daemon: &Daemon, request: &PaymentRequest) {
    for hint in request.hints.iter() {
        let Ok(address) = hint.parse() else { continue };
        if let Err(error) = daemon.transport().dial(address).await {
            tracing::debug!(%error, "payee not dialled");
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RefundBody {
    payment: String,
    amount_minor: Option<u64>,
    #[serde(default)]
    memo: String,
}

pub(super) async fn refund(
    State(app): App,
    Json(body): Json<RefundBody>,
) -> Result<Json<Value>, Refused> {
    let command = Command::Refund {
        payment: parse_id(&body.payment)?,
        sum: amount(body.amount_minor)?,
        memo: Text::new(body.memo).map_err(Refused::input)?,
    };
    match app.daemon.command(command).await? {
        Answer::Refund(Ok(id)) => {
            let view = find(&app.daemon, id).await?;
            Ok(Json(json!({ "id": id.to_string(), "state": view.state.word() })))
        }
        Answer::Refund(Err(error)) => Err(Refused::conflict(error)),
        _ => Err(unexpected()),
    }
}

pub(super) async fn close(State(app): App) -> Result<Json<Value>, Refused> {
    match app.daemon.command(Command::Close).await? {
        Answer::Close(Ok(id)) => Ok(Json(json!({ "id": id.to_string() }))),
        Answer::Close(Err(error)) => Err(Refused::conflict(error)),
        _ => Err(unexpected()),
    }
}

async fn find(daemon: &Daemon, id: Hash) -> Result<PaymentView, Refused> {
    let view = daemon.ask(move |engine, shelf| engine.payment(&id, shelf)).await?;
    let detail = format!("this device knows no payment {id}: see its history");
    view.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, detail))
}

/// One payment as a row of the history.
fn row(view: &PaymentView) -> Value {
    let (unsure, carried_by) = match view.sureness {
        Sureness::Unsure => (true, None),
        Sureness::Carried(by) => (false, Some(by)),
        _ => (false, None),
    };
    json!({
        "id": view.id.to_string(),
        "direction": if view.outgoing { "out" } else { "in" },
        "kind": kind(&view.purpose),
        "state": view.state.word(),
        "unsure": unsure,
        "carried_by": carried_by,
        "amount_minor": view.sum.minor(),
        "currency": view.currency.code(),
        "counterparty": view.party.map(|party| party.to_string()),
        "name": view.name,
        "memo": view.memo,
        "time": view.signed_at,
        "sequence": view.sequence,
        "reason": view.not_now.map(|reason| reason.to_string()),
        "verdict": view.verdict.map(|verdict| format!("{verdict:?}")),
        "outcome": view.outcome.map(|outcome| format!("{outcome:?}")),
    })
}

fn kind(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Payment { .. } => "payment",
        Purpose::Refund { .. } => "refund",
        Purpose::GrantRequest { .. } => "grant request",
        Purpose::Close => "close",
    }
}

fn amount(minor: Option<u64>) -> Result<Option<Amount>, Refused> {
    minor.map(Amount::new).transpose().map_err(Refused::input)
}

fn parse_id(text: &str) -> Result<Hash, Refused> {
    text.parse().map_err(|error| Refused::input(format!("{text:?} is no payment id: {error}")))
}

fn unexpected() -> Refused {
    Refused::conflict("the node answered something else")
}

fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
