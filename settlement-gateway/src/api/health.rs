//! Whether the gateway lives, whether it takes requests, and its metrics: read off the monitor, so that
//! an answer never waits for the bank. The same on the API and on the address for monitoring.

use super::App;
use crate::bank_task::now;
use crate::monitor::{Glance, Monitor};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;

/// What is answered on the address for monitoring: to anybody who reaches it.
pub(crate) fn monitoring(monitor: Arc<Monitor>) -> Router {
    Router::new()
        .route("/health", get(alive))
        .route("/ready", get(|State(it): State<Arc<Monitor>>| async move { readiness(&it) }))
        .route("/metrics", get(|State(it): State<Arc<Monitor>>| async move { scrape(&it) }))
        .fallback(|| async {
            Problem::not_found("only /health, /ready and /metrics are answered here")
        })
        .with_state(monitor)
}

/// The process answers.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "alive": true }))
}

pub(super) async fn ready(State(app): App) -> Response {
    readiness(&app.monitor)
}

pub(super) async fn metrics(State(app): App) -> Response {
    scrape(&app.monitor)
}

fn readiness(monitor: &Monitor) -> Response {
    let missing = monitor.glance().missing;
    if missing.is_empty() {
        return Json(json!({ "ready": true })).into_response();
    }
    let detail = "the gateway takes nothing now: what is missing says why";
    Problem::unavailable(detail).with_missing(missing).into_response()
}

fn scrape(monitor: &Monitor) -> Response {
    match monitor.render(now()) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

/// Everything about its health, for operators.
pub(super) async fn detailed(State(app): App) -> Json<Value> {
    let Glance { phase, stopped, events, epoch, committing, missing, counts } =
        app.monitor.glance();
    let queues = app.monitor.queues().into_iter().map(|(name, depth, capacity)| {
        (name.to_owned(), json!({ "depth": depth, "capacity": capacity }))
    });
    // A node that has stopped is a finding, not a reason to say nothing.
    let node = app.daemon.ask(|engine, _| engine.status()).await.ok();
    Json(json!({
        "alive": true,
        "ready": missing.is_empty(),
        "missing": missing,
        "phase": phase.name(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": app.monitor.uptime().as_secs(),
        "requests": app.access.gate.inside(),
        "queues": queues.collect::<serde_json::Map<_, _>>(),
        "store": { "committing_ms": committing.map(|it| it.as_millis()) },
        "bank": {
            "stopped": stopped,
            "events": events,
            "epoch": epoch,
            "waiting": counts.waiting,
            "contested": counts.contested,
            "oldest_waiting": counts.oldest_waiting,
            "oldest_contested": counts.oldest_contested,
        },
        "node": node.map(|node| json!({
            "links": node.links,
            "authors": node.authors,
            "entries": node.entries,
        })),
    }))
}
