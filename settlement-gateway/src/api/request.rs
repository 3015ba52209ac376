//! Around every request: its id for correlation, its place in the log, and its time.
//!
//! The id is the caller's, if it is well-formed, or drawn. It stands in the span of everything that is
//! logged on the way, in the answer's header, and in the body of a refusal.

use super::App;
use crate::bank_task;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Instant;
use tracing::Instrument;

/// The header, both ways.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of an id that somebody else chose: twice those of a UUID.
const BYTES_MAX: usize = 64;

tokio::task_local! {
    static ID: HeaderValue;
}

/// The id of the request that is being answered, if any is.
pub(crate) fn id() -> Option<String> {
    ID.try_with(|id| id.to_str().ok().map(str::to_owned)).ok().flatten()
}

/// Whether an id may go into logs and answers as it came.
fn is_well_formed(id: &[u8]) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=BYTES_MAX).contains(&id.len()) && id.iter().all(harmless)
}

pub(super) async fn correlate(State(app): App, request: Request, next: Next) -> Response {
    let since = Instant::now();
    let given = request.headers().get(HEADER).filter(|id| is_well_formed(id.as_bytes())).cloned();
    // Hexadecimal digits are a header's value.
    let id = given.or_else(|| HeaderValue::from_str(&bank_task::draw_id()).ok());
    let id = id.unwrap_or(HeaderValue::from_static("none"));
    let route = request.extensions().get::<MatchedPath>();
    // The pattern, never the path: what is asked for may be about somebody.
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    // As an error, so that it is there for whatever is logged inside.
    let shown = id.to_str().unwrap_or_default();
    let span = tracing::error_span!("request", id = shown, method = %request.method(), route);
    let answering = async {
        let response = ID.scope(id.clone(), next.run(request)).await;
        let (status, took) = (response.status().as_u16(), since.elapsed());
        app.monitor.metrics.requested(&route, status, took);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status, took_ms, "answered");
        response
    };
    let mut response = answering.instrument(span.clone()).await;
    response.headers_mut().insert(HEADER, id);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_ids_are_taken() {
        let uuid = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
        for good in ["a", uuid, &"x".repeat(BYTES_MAX), "trace_1.2"] {
            assert!(is_well_formed(good.as_bytes()), "{good}");
        }
        for bad in ["", &"x".repeat(BYTES_MAX + 1), "a b", "a\"b", "a\nb", "é", "<a>", "a/b"] {
            assert!(!is_well_formed(bad.as_bytes()), "{bad}");
        }
    }
}
