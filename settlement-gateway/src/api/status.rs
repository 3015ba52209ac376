//! How the gateway is, as a node and as a bank, and whom it is in contact with.

use super::App;
use crate::bank_task::now;
use crate::problem::{Body, Problem};
use axum::Json;
use axum::extract::State;
use hundi_journal::bank::Bank;
use hundi_journal::state::Standing;
use hundi_ledger::id::AuthorId;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_node::engine::Engine;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

/// How many entries are how far.
#[derive(Default)]
struct Counts {
    accepted: u64,
    settled: u64,
    rejected: u64,
    contested: u64,
    returned: u64,
}

pub(super) async fn status(State(app): App) -> Result<Json<Value>, Problem> {
    let listen = app.daemon.listening().await?;
    let (status, frozen) = app.daemon.ask(|engine, _| (engine.status(), frozen(engine))).await?;
    let ask = |bank: &Bank| {
        let stopped = bank.fault().is_some();
        (bank.epoch(), bank.events(), stopped, bank.checkpoint_due(), count(bank))
    };
    let (epoch, events, fault, due, counts) = app.bank.ask(ask).await?;
    Ok(Json(json!({
        "network": app.network.to_string(),
        "bank": app.number.0,
        "author": status.author.map(|author| author.to_string()),
        "sealing_key": app.sealing.to_string(),
        "digest": status.digest.to_string(),
        "listen": listen.iter().map(SocketAddr::to_string).collect::<Vec<_>>(),
        "authors": status.authors,
        "entries": status.entries,
        "cached": status.cached,
        "proofs": texts(&status.proven),
        "frozen": texts(&frozen),
        "bank_faults": status.faults,
        "links": status.links,
        "stopped": fault,
        "time": now(),
        "epoch": epoch,
        "events": events,
        "checkpoint_due": due,
        "accepted": counts.accepted,
        "settled": counts.settled,
        "rejected": counts.rejected,
        "contested": counts.contested,
        "returned": counts.returned,
    })))
}

fn count(bank: &Bank) -> Counts {
    let mut counts = Counts::default();
    for entry in bank.entries().values() {
        counts.accepted += u64::from(entry.standing != Standing::HeaderOnly);
        match entry.standing.outcome() {
            Some(Outcome::Settled) => counts.settled += 1,
            Some(Outcome::Contested) => counts.contested += 1,
            Some(Outcome::Returned) => counts.returned += 1,
            Some(_) => counts.rejected += 1,
            None => {}
        }
    }
    counts
}

fn frozen(engine: &Engine) -> Vec<AuthorId> {
    engine.replica().frozen().copied().collect()
}

fn texts(authors: &[AuthorId]) -> Vec<String> {
    authors.iter().map(AuthorId::to_string).collect()
}

pub(super) async fn peers(State(app): App) -> Result<Json<Value>, Problem> {
    let peers = app.daemon.peers().await?;
    let row = |peer: &hundi_node::daemon::Peer| {
        json!({
            "link": peer.link,
            "address": peer.address,
            "in_sync": peer.in_sync,
            "since": peer.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        })
    };
    Ok(Json(json!({ "peers": peers.iter().map(row).collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
pub(super) struct Reach {
    reach: Option<Vec<SocketAddr>>,
}

pub(super) async fn reach(
    State(app): App,
    Body(body): Body<Reach>,
) -> Result<Json<Value>, Problem> {
    let list = body.reach.map(|list| list.into_iter().collect());
    app.daemon.transport().set_reach(list).await.map_err(Problem::conflict)?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
pub(super) struct Dial {
    address: SocketAddr,
}

pub(super) async fn dial(State(app): App, Body(body): Body<Dial>) -> Result<Json<Value>, Problem> {
    app.daemon.transport().dial(body.address).await.map_err(Problem::conflict)?;
    Ok(Json(json!({})))
}
