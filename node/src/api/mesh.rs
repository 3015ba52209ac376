//! What the node knows, whom it meets, and what it takes and gives as a file.

use super::{App, Refused};
use crate::daemon::Adapter;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use hundi_engine::output::Published;
use hundi_engine::{Answer, Command};
use hundi_ledger::id::AuthorId;
use hundi_transports::container;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

/// Items that are handed to the engine in one command.
const IMPORT_CHUNK: usize = hundi_engine::limits::PUBLISH_ITEMS_MAX;

pub(super) async fn status(State(app): App) -> Result<Json<Value>, Refused> {
    let listen = app.daemon.listening().await?;
    let (status, frozen) = app.daemon.ask(|engine, _| (engine.status(), frozen(engine))).await?;
    Ok(Json(json!({
        "network": app.network.to_string(),
        "author": app.identity.author.to_string(),
        "sealing_key": app.identity.sealing.to_string(),
        "digest": status.digest.to_string(),
        "listen": listen.iter().map(SocketAddr::to_string).collect::<Vec<_>>(),
        "authors": status.authors,
        "entries": status.entries,
        "cached": status.cached,
        "proofs": texts(&status.proven),
        "frozen": texts(&frozen),
        "bank_faults": status.faults,
        "links": status.links,
        "stopped": status.stopped,
        "bluetooth": app.daemon.bluetooth().map(bluetooth),
    })))
}

fn bluetooth(adapter: Adapter) -> Value {
    match adapter {
        Adapter::Starting => json!({ "state": "starting" }),
        Adapter::On { name, psm } => json!({ "state": "on", "adapter": name, "psm": psm }),
        Adapter::Off(error) => json!({ "state": "off", "reason": error.to_string() }),
    }
}

fn frozen(engine: &hundi_engine::Engine) -> Vec<AuthorId> {
    engine.replica().frozen().copied().collect()
}

fn texts(authors: &[AuthorId]) -> Vec<String> {
    authors.iter().map(AuthorId::to_string).collect()
}

pub(super) async fn peers(State(app): App) -> Result<Json<Value>, Refused> {
    let peers = app.daemon.peers().await?;
    let rows: Vec<Value> = peers
        .iter()
        .map(|peer| {
            let since = peer.since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            json!({
                "link": peer.link,
                "address": peer.address,
                "in_sync": peer.in_sync,
                "since": since,
            })
        })
        .collect();
    Ok(Json(json!({ "peers": rows })))
}

#[derive(Deserialize)]
pub(super) struct Reach {
    reach: Option<Vec<SocketAddr>>,
}

pub(super) async fn reach(
    State(app): App,
    Json(body): Json<Reach>,
) -> Result<Json<Value>, Refused> {
    let list = body.reach.map(|list| list.into_iter().collect());
    app.daemon.transport().set_reach(list).await.map_err(Refused::conflict)?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
pub(super) struct Dial {
    address: SocketAddr,
}

pub(super) async fn dial(State(app): App, Json(body): Json<Dial>) -> Result<Json<Value>, Refused> {
    app.daemon.transport().dial(body.address).await.map_err(Refused::conflict)?;
    Ok(Json(json!({})))
}

pub(super) async fn export(State(app): App) -> Result<impl IntoResponse, Refused> {
    let items = app.daemon.items().await?;
    let file = container::encode(items.iter().map(Vec::as_slice)).map_err(Refused::conflict)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], file))
}

pub(super) async fn import(State(app): App, body: Bytes) -> Result<Json<Value>, Refused> {
    let contents = container::decode(&body).map_err(Refused::input)?;
    let (mut new, mut known, mut refused) = (0, 0, 0);
    for items in contents.items.chunks(IMPORT_CHUNK) {
        let command = Command::Publish { items: items.to_vec() };
        let Answer::Publish(outcomes) = app.daemon.command(command).await? else {
            return Err(Refused::conflict("the node answered something else"));
        };
        for outcome in outcomes {
            match outcome {
                Published::Taken => new += 1,
                Published::Known | Published::NotCarried => known += 1,
                Published::Uncertified | Published::Invalid | Published::Failed => refused += 1,
            }
        }
    }
    let whole = contents.ending == container::Ending::Complete;
    Ok(Json(json!({ "new": new, "known": known, "refused": refused, "whole": whole })))
}
