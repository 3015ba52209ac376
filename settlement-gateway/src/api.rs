//! The HTTP API: every route, who may use it, and what the handlers share. Handlers parse, call
//! and render; what is decided is decided by the bank.
//!
//! Everything but handing in items needs the token that only the owner of the directory can read.
//! Items prove themselves, so anybody may hand them in, within the limits of [`crate::limits`]; and
//! anybody may ask whether the gateway is there. When it stops, only its health is still answered.

mod accounts;
mod books;
mod cases;
mod entries;
mod grants;
pub(crate) mod health;
pub(crate) mod request;
mod status;

use crate::bank_task::{AskBankError, BankHandle};
use crate::gate::Gate;
use crate::journal_store::JournalStore;
use crate::limits::{
    JSON_BYTES_MAX, SUBMIT_BYTES_MAX, SUBMIT_BYTES_MIN, SUBMIT_TIME_MAX, SUBMITS_BYTES_MAX,
    SUBMITS_ITEMS_MAX,
};
use crate::monitor::{Monitor, Queue};
use crate::problem::Problem;
use axum::Router;
use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hundi_ledger::id::{AuthorId, BankNumber, NetworkId, SealingKey};
use hundi_ledger::money::Amount;
use hundi_node::daemon::Daemon;
use std::str::FromStr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) bank: BankHandle,
    pub(crate) daemon: Daemon,
    pub(crate) journal: Arc<JournalStore>,
    pub(crate) network: NetworkId,
    pub(crate) number: BankNumber,
    pub(crate) sealing: SealingKey,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) access: Access,
}

/// Who comes in, and how much at once.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) gate: Gate,
    token: blake3::Hash,
    /// Bytes of submissions that may still come.
    submits: Arc<Semaphore>,
    /// Items of submissions that may still be decoded.
    pub(crate) decodes: Semaphore,
}

impl Access {
    /// For whoever knows `token`.
    pub(crate) fn new(token: &str) -> Self {
        let submits = Arc::new(Semaphore::new(SUBMITS_BYTES_MAX));
        let decodes = Semaphore::new(SUBMITS_ITEMS_MAX);
        Self { gate: Gate::new(), token: blake3::hash(token.as_bytes()), submits, decodes }
    }

    /// Bytes of submissions over HTTP in progress.
    pub(crate) fn queue(&self) -> Queue {
        let submits = Arc::clone(&self.submits);
        let depth = Box::new(move || SUBMITS_BYTES_MAX - submits.available_permits());
        Queue { name: "submission_bytes", capacity: SUBMITS_BYTES_MAX, depth }
    }
}

type App = State<Arc<Shared>>;

/// Every route.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let open = Router::new()
        .route("/v1/entries", post(entries::submit))
        .layer(DefaultBodyLimit::max(SUBMIT_BYTES_MAX))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), admit));
    let guarded = Router::new()
        .route("/v1/entries/{id}", get(entries::show))
        .route("/v1/accounts", get(accounts::list).post(accounts::open))
        .route("/v1/accounts/{id}", get(accounts::show))
        .route("/v1/accounts/{id}/fund", post(accounts::fund))
        .route("/v1/accounts/{id}/links", post(accounts::link))
        .route("/v1/operations", post(accounts::operate))
        .route("/v1/grants", post(grants::issue))
        .route("/v1/grants/{author}", get(grants::show))
        .route("/v1/freezes", post(grants::freeze))
        .route("/v1/cases", get(cases::list))
        .route("/v1/cases/{id}", get(cases::show))
        .route("/v1/cases/{id}/close", post(cases::close))
        .route("/v1/books", get(books::books))
        .route("/v1/audit", get(books::audit))
        .route("/v1/records", get(books::records))
        .route("/v1/resume", post(books::resume))
        .route("/v1/status", get(status::status))
        .route("/v1/peers", get(status::peers))
        .route("/v1/reach", post(status::reach))
        .route("/v1/dial", post(status::dial))
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), authorise));
    let health = Router::new()
        .route("/health/detailed", get(health::detailed))
        .route("/metrics", get(health::metrics))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), authorise))
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready));
    open.merge(guarded)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), let_in))
        .merge(health)
        .fallback(|| async { Problem::not_found("no such resource: docs/operators.md lists them") })
        .method_not_allowed_fallback(|| async {
            let detail = "this resource is not used so: docs/operators.md says how";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), request::correlate))
        .with_state(shared)
}

/// Lets nobody in once the gateway stops, so that whoever is inside can be waited for.
async fn let_in(State(shared): App, request: Request, next: Next) -> Response {
    let Some(_inside) = shared.access.gate.enter() else {
        return Problem::unavailable(AskBankError::Stopping).into_response();
    };
    next.run(request).await
}

/// Lets through who knows the token. Hashes are compared, which takes the same time for all.
async fn authorise(State(shared): App, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let token = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token.is_some_and(|token| blake3::hash(token.as_bytes()) == shared.access.token) {
        return next.run(request).await;
    }
    let detail = "the token of DIR/api.token is missing or not that of the running gateway";
    Problem::new(StatusCode::UNAUTHORIZED, detail).into_response()
}

/// Lets strangers hand in a bounded number of bytes at once, each for a bounded time. Room for all
/// that it announces is taken before the body is read.
async fn admit(State(shared): App, request: Request, next: Next) -> Response {
    let announced = request.body().size_hint().upper().and_then(|bytes| bytes.try_into().ok());
    let bytes = announced.unwrap_or(usize::MAX).clamp(SUBMIT_BYTES_MIN, SUBMIT_BYTES_MAX);
    let Ok(_room) = shared.access.submits.try_acquire_many(count(bytes)) else {
        return Problem::unavailable("too many submissions at once: send yours again")
            .into_response();
    };
    match tokio::time::timeout(SUBMIT_TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = "the submission took too long: send it again, in smaller parts";
            Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response()
        }
    }
}

/// A number below the bounds of this API, as a semaphore takes it.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// An id from a request's path or body.
fn parse<T: FromStr>(text: &str, what: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Problem::input(format!("{text:?} is no {what}: {error}")))
}

/// An author of this bank.
fn parse_author(shared: &Shared, text: &str) -> Result<AuthorId, Problem> {
    let author: AuthorId = parse(text, "author (BANK-KEY, as `hundi id` prints it)")?;
    if author.bank == shared.number {
        return Ok(author);
    }
    let (theirs, ours) = (author.bank, shared.number);
    Err(Problem::input(format!("{text} is an author of bank {theirs}, this is bank {ours}")))
}

fn amount(minor: u64) -> Result<Amount, Problem> {
    Ok(Amount::new(minor)?)
}
