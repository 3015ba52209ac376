//! The local API: what the command line and a phone's interface talk to. HTTP on loopback, every
//! request with the token that only the owner of the directory can read.

mod mesh;
mod wallet;

use crate::client::Problem;
use crate::daemon::{Daemon, Stopped};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hundi_ledger::id::{AuthorId, NetworkId, SealingKey};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Bytes of the largest request: an import of everything that a node may hold.
const BODY_BYTES_MAX: usize = 256 << 20;

/// Whose device it is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The author.
    pub author: AuthorId,
    /// The author's X25519 key.
    pub sealing: SealingKey,
}

/// What the handlers share.
#[derive(Debug)]
struct Shared {
    daemon: Daemon,
    network: NetworkId,
    identity: Identity,
    token: blake3::Hash,
}

type App = State<Arc<Shared>>;

/// Serves the local API until the listener fails.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    daemon: Daemon,
    network: NetworkId,
    identity: Identity,
    token: String,
) -> std::io::Result<()> {
    let token = blake3::hash(token.as_bytes());
    let shared = Arc::new(Shared { daemon, network, identity, token });
    axum::serve(listener, router(shared)).await
}

/// Every route.
fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/status", get(mesh::status))
        .route("/v1/peers", get(mesh::peers))
        .route("/v1/reach", post(mesh::reach))
        .route("/v1/dial", post(mesh::dial))
        .route("/v1/export", get(mesh::export))
        .route("/v1/import", post(mesh::import))
        .route("/v1/balance", get(wallet::balance))
        .route("/v1/history", get(wallet::history))
        .route("/v1/requests", post(wallet::request))
        .route("/v1/payments", post(wallet::pay))
        .route("/v1/payments/{id}", get(wallet::payment))
        .route("/v1/refunds", post(wallet::refund))
        .route("/v1/close", post(wallet::close))
        .fallback(|| async {
            Refused::new(StatusCode::NOT_FOUND, "no such resource: see docs/users.md for the API")
        })
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), authorise))
        .with_state(shared)
}

/// Lets through who knows the token. Hashes are compared, which takes the same time for all.
async fn authorise(State(shared): App, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let token = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token.is_some_and(|token| blake3::hash(token.as_bytes()) == shared.token) {
        return next.run(request).await;
    }
    let detail = "the token of DIR/api.token is missing or not that of the running daemon";
    Refused::new(StatusCode::UNAUTHORIZED, detail).into_response()
}

/// A refusal, spelled as problem+json (RFC 9457).
pub(crate) struct Refused {
    status: StatusCode,
    detail: String,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// The request cannot be meant.
    pub(crate) fn input(detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail.to_string())
    }

    /// The request is meant, and cannot be done as things are.
    pub(crate) fn conflict(detail: impl ToString) -> Self {
        Self::new(StatusCode::CONFLICT, detail.to_string())
    }
}

impl From<Stopped> for Refused {
    fn from(stopped: Stopped) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, stopped.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = Problem {
            title: self.status.canonical_reason().unwrap_or("refused").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let mut response = (self.status, Json(problem)).into_response();
        let kind = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
