//! Grants and freezes: what an author may promise, and stopping it.

use super::{App, Shared, accounts, amount, parse, parse_author};
use crate::problem::{Body, Problem};
use axum::Json;
use axum::extract::{Path, State};
use hundi_journal::account::{Account, CustomerId};
use hundi_journal::bank::Bank;
use hundi_journal::event::Change;
use hundi_journal::input::{GrantTerms, Input};
use hundi_journal::state::{GrantState, Source};
use hundi_ledger::id::{AuthorId, SealingKey};
use hundi_ledger::money::Currency;
use hundi_ledger::record::freeze::FreezeReason;
use serde::Deserialize;
use serde_json::{Value, json};
use std::num::NonZeroU8;

#[derive(Deserialize)]
pub(super) struct Issue {
    account: String,
    author: String,
    sealing_key: Option<String>,
    limit_minor: u64,
    cap_minor: Option<u64>,
    guarantee_minor: Option<u64>,
    #[serde(default)]
    credit: bool,
    expires_s: Option<u32>,
    claim_s: Option<u32>,
    unsettled_max: Option<NonZeroU8>,
    #[serde(default)]
    bearer: bool,
}

pub(super) async fn issue(
    State(app): App,
    Body(body): Body<Issue>,
) -> Result<Json<Value>, Problem> {
    let (customer, row) = accounts::find(&app, &body.account)?;
    let author = parse_author(&app, &body.author)?;
    let terms = terms(&body)?;
    let mut inputs = enrol(&app, customer, row.currency, author, &body).await?;
    // A limit of nothing enrols a device that only receives; its enrolment grant is all it needs.
    if body.limit_minor > 0 || inputs.is_empty() {
        inputs.push(Input::IssueGrant { author: author.key, terms });
    }
    let outputs = app.bank.handle(inputs).await?;
    let events = outputs.iter().flat_map(|outputs| &outputs.events);
    let serials = events.filter_map(|event| match &event.change {
        Change::GrantIssued { grant, .. } => Some(grant.serial.0),
        _ => None,
    });
    let serial = serials.max();
    Ok(Json(json!({ "author": author.to_string(), "serial": serial })))
}

fn terms(body: &Issue) -> Result<GrantTerms, Problem> {
    let mut terms = GrantTerms::prefunded(amount(body.limit_minor)?);
    terms.cap = body.cap_minor.map_or(Ok(terms.cap), amount)?;
    terms.guarantee = body.guarantee_minor.map_or(Ok(terms.guarantee), amount)?;
    terms.source = if body.credit { Source::Credit } else { Source::Prefunded };
    terms.expiry_seconds = body.expires_s.unwrap_or(terms.expiry_seconds);
    terms.claim_seconds = body.claim_s.unwrap_or(terms.claim_seconds);
    terms.unsettled_max = body.unsettled_max.map_or(terms.unsettled_max, NonZeroU8::get);
    terms.bearer = body.bearer;
    Ok(terms)
}

/// What enrols the author if it is new. An author that is not must be the same customer's.
async fn enrol(
    app: &Shared,
    customer: CustomerId,
    currency: Currency,
    author: AuthorId,
    body: &Issue,
) -> Result<Vec<Input>, Problem> {
    let held = app
        .bank
        .ask(move |bank| bank.authors().get(&author.key).map(|held| (held.customer, held.sealing)));
    let sealing = body.sealing_key.as_deref();
    let sealing: Option<SealingKey> =
        sealing.map(|text| parse(text, "sealing key (as `hundi id` prints it)")).transpose()?;
    match (held.await?, sealing) {
        (Some((owner, _)), _) if owner != customer => {
            Err(Problem::conflict(format!("{author} is a device of another account")))
        }
        (Some((_, held)), Some(given)) if held != given => Err(Problem::conflict(format!(
            "{author} is enrolled with another sealing key: check what `hundi id` prints"
        ))),
        (Some(_), _) => Ok(Vec::new()),
        (None, Some(sealing)) => {
            let key = author.key;
            Ok(vec![Input::Enrol { customer, key, sealing, currency, display_name: None }])
        }
        (None, None) => Err(Problem::input(format!(
            "{author} is not enrolled yet: give its sealing key, as `hundi id` prints it"
        ))),
    }
}

pub(super) async fn show(
    State(app): App,
    Path(author): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = parse_author(&app, &author)?;
    let shown = app.bank.ask(move |bank| render(bank, &id)).await?;
    let missing =
        || Problem::not_found(format!("{author} is not enrolled: `grant issue` enrols a device"));
    shown.map(Json).ok_or_else(missing)
}

fn render(bank: &Bank, id: &AuthorId) -> Option<Value> {
    let author = bank.authors().get(&id.key)?;
    let grants: Vec<Value> =
        author.grants.values().map(|grant| render_grant(bank, id, grant)).collect();
    Some(json!({
        "author": id.to_string(),
        "account": author.customer.to_string(),
        "sealing_key": author.sealing.to_string(),
        "currency": author.currency.code(),
        "frozen": author.freeze.map(|freeze| reason_name(freeze.reason)),
        "proven": author.proof.is_some(),
        "frontier": author.frontier.map(|frontier| frontier.sequence),
        "carry_to": author.carry_to,
        "grants": grants,
    }))
}

fn render_grant(bank: &Bank, author: &AuthorId, state: &GrantState) -> Value {
    let grant = &state.grant;
    let reserve = Account::Reserve(*author, grant.serial);
    json!({
        "serial": grant.serial.0,
        "limit_minor": grant.limit.minor(),
        "cap_minor": grant.cap.minor(),
        "guarantee_minor": grant.guarantee.minor(),
        "credit": state.source == Source::Credit,
        "bearer": grant.is_bearer(),
        "not_before": grant.not_before,
        "expiry": grant.expiry,
        "claim_until": grant.claim_until,
        "settled_minor": state.settled.minor(),
        "reserved_minor": bank.books().held(reserve, grant.currency).minor(),
        "closed": state.closed,
        "ended": state.ended,
    })
}

#[derive(Deserialize)]
pub(super) struct Freeze {
    author: String,
    #[serde(default)]
    reason: Reason,
}

/// Why an operator freezes an author.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reason {
    Lost,
    #[default]
    Decision,
}

pub(super) async fn freeze(
    State(app): App,
    Body(body): Body<Freeze>,
) -> Result<Json<Value>, Problem> {
    let author = parse_author(&app, &body.author)?;
    let reason = match body.reason {
        Reason::Lost => FreezeReason::Lost,
        Reason::Decision => FreezeReason::Decision,
    };
    // With a bulletin at once, so that payees learn of it with its digest.
    let inputs = vec![Input::Freeze { author: author.key, reason }, Input::Bulletin];
    app.bank.handle(inputs).await?;
    let key = author.key;
    let held = app.bank.ask(move |bank| bank.authors().get(&key).and_then(|held| held.freeze));
    let held = held.await?;
    Ok(Json(json!({
        "author": author.to_string(),
        "reason": held.map(|freeze| reason_name(freeze.reason)),
        "epoch": held.map(|freeze| freeze.epoch),
    })))
}

fn reason_name(reason: FreezeReason) -> &'static str {
    match reason {
        FreezeReason::Contradiction => "contradiction",
        FreezeReason::Lost => "lost",
        FreezeReason::Decision => "decision",
    }
}
