//! Handing in items, and what became of an entry.

use super::{App, count, parse};
use crate::limits::SUBMIT_ITEMS_MAX;
use crate::problem::Problem;
use crate::words;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use data_encoding::HEXLOWER;
use hundi_journal::account::Party;
use hundi_journal::output::{Later, Verdict};
use hundi_journal::prepare::Submission;
use hundi_journal::state::{EntryState, Opened, Standing};
use hundi_ledger::id::Hash;
use hundi_node::container::{self, Ending};
use serde::Serialize;
use serde_json::{Value, json};

/// The answer to one item, for devices.
#[derive(Serialize)]
struct Line {
    /// The item's id, if it is an item at all.
    id: Option<String>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

pub(super) async fn submit(
    State(app): App,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let body = body.map_err(|refused| Problem::new(refused.status(), refused.body_text()))?;
    let contents = container::decode(&body)
        .map_err(|error| Problem::input(format!("{error}: send a container of items")))?;
    if contents.ending != Ending::Complete {
        return Err(Problem::input("the container is cut or damaged: send it again whole"));
    }
    if contents.items.len() > SUBMIT_ITEMS_MAX {
        let detail = format!("more than {SUBMIT_ITEMS_MAX} items: send them in parts");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    // Who has the room to decode is on the way to the bank, so that nobody waits for ever.
    let room = app.access.decodes.acquire_many(count(contents.items.len())).await;
    let _room = room.map_err(|_| Problem::unavailable("the gateway is stopping"))?;
    let submission = Submission::decode(&app.network, &contents.items);
    let ids: Vec<Option<Hash>> = submission.ids().collect();
    let verdicts = app.bank.submit(submission).await?.verdicts;
    let lines: Vec<Line> = ids.into_iter().zip(verdicts).map(|(id, it)| line(id, it)).collect();
    Ok(Json(json!({ "items": lines })))
}

fn line(id: Option<Hash>, verdict: Verdict) -> Line {
    let (name, reason) = words::verdict(&verdict);
    let (outcome, proof) = match verdict {
        Verdict::Decided { outcome, proof, .. } => (Some(words::outcome(outcome)), proof),
        Verdict::Later(Later::Capacity { proof }) => (None, proof),
        _ => (None, None),
    };
    let proof = proof.map(|proof| HEXLOWER.encode(&proof));
    Line { id: id.map(|id| id.to_string()), verdict: name, outcome, reason, proof }
}

pub(super) async fn show(State(app): App, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let hash: Hash = parse(&id, "entry (64 hexadecimal digits)")?;
    let shown =
        app.bank.ask(move |bank| bank.entry(&hash).map(|entry| render(&hash, entry))).await?;
    let missing = || Problem::not_found(format!("entry {id} is not known here: hand it in"));
    shown.map(Json).ok_or_else(missing)
}

fn render(id: &Hash, entry: &EntryState) -> Value {
    let header = &entry.header.header;
    let (payee, original) = match entry.opened {
        Some(Opened::Payment { payee, .. }) => (Some(payee), None),
        Some(Opened::Refund { payee, original, .. }) => (Some(payee), Some(original)),
        None => (None, None),
    };
    json!({
        "id": id.to_string(),
        "author": header.author.to_string(),
        "sequence": header.sequence(),
        "serial": header.serial.0,
        "amount_minor": header.amount.minor(),
        "time": header.time,
        "standing": standing_name(&entry.standing),
        "outcome": entry.standing.outcome().map(words::outcome),
        "payee": payee.map(|payee| payee.to_string()),
        "original": original.map(|original| original.to_string()),
        "paid_minor": entry.paid.minor(),
        "refused": entry.refused,
        "refunded_minor": entry.refunded.map(|(_, sum)| sum.minor()),
    })
}

fn standing_name(standing: &Standing) -> &'static str {
    match standing {
        Standing::HeaderOnly => "header_only",
        Standing::Unopened | Standing::Waiting { .. } => "submitted",
        Standing::Contested => "contested",
        Standing::Provisional { .. } => "provisional",
        Standing::Decided(outcome) => words::outcome(*outcome),
    }
}

/// Whom a provisional payment goes to.
pub(super) fn party_name(party: &Party) -> String {
    match party {
        Party::Customer(customer) => customer.to_string(),
        Party::Author(author) => author.to_string(),
    }
}
