//! How the gateway is, as a node and as a bank, and whom it is in contact with.

use super::App;
use crate::bank_task::now;
use crate::monitor::Glance;
use crate::problem::{Body, Problem};
use axum::Json;
use axum::extract::State;
use hundi_journal::bank::Bank;
use hundi_ledger::id::AuthorId;
use hundi_node::engine::Engine;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

pub(super) async fn status(State(app): App) -> Result<Json<Value>, Problem> {
    let listen = app.daemon.listening().await?;
    let (status, frozen) = app.daemon.ask(|engine, _| (engine.status(), frozen(engine))).await?;
    // Also so that the answer is about everything that was decided before.
    let due = app.bank.ask(Bank::checkpoint_due).await?;
    let Glance { epoch, events, stopped, counts, .. } = app.monitor.glance();
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
        "stopped": stopped,
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
