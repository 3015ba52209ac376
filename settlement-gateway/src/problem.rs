//! Refusals of the HTTP API, all spelled here as problem+json (RFC 9457). Each says what to do.

use crate::bank_task::AskBankError;
use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hundi_journal::bank::HandleError;
use hundi_journal::grant::{EnrolError, IssueGrantError};
use hundi_journal::loss::CloseCaseError;
use hundi_journal::operation::OperateError;
use hundi_ledger::money::AmountError;
use hundi_node::daemon::Stopped;
use hundi_node::store::ReadError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A refusal.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    missing: Vec<&'static str>,
}

/// As it is written out.
#[derive(Serialize)]
struct Spelled<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// What readiness lacks.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [&'static str],
    /// What the log has the request under.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl ToString) -> Self {
        Self { status, detail: detail.to_string(), missing: Vec::new() }
    }

    /// The same, with names of what is missing.
    pub(crate) fn with_missing(self, missing: Vec<&'static str>) -> Self {
        Self { missing, ..self }
    }

    /// The request cannot be meant.
    pub(crate) fn input(detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// There is no such thing.
    pub(crate) fn not_found(detail: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The request is meant, and cannot be done as things are.
    pub(crate) fn conflict(detail: impl ToString) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// Not now: ask again.
    pub(crate) fn unavailable(detail: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let spelled = Spelled {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("refused"),
            status: self.status.as_u16(),
            detail: &self.detail,
            missing: &self.missing,
            request_id: crate::api::request::id(),
        };
        let mut response = (self.status, Json(spelled)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        Self::unavailable(stopped)
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        tracing::error!(%error, "the bank's store cannot be read");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }
}

impl From<AmountError> for Problem {
    fn from(error: AmountError) -> Self {
        Self::input(error)
    }
}

impl From<AskBankError> for Problem {
    fn from(error: AskBankError) -> Self {
        match error {
            AskBankError::Stopping => Self::unavailable(error),
            AskBankError::Refused(refused) => refused.into(),
        }
    }
}

impl From<HandleError> for Problem {
    fn from(error: HandleError) -> Self {
        let advised = |advice: &str| format!("{error}: {advice}");
        match &error {
            HandleError::Stopped => Self::unavailable(advised("look into it, then resume")),
            HandleError::UnknownCustomer(_) => {
                Self::not_found(advised("check the account, or open one with `account open`"))
            }
            HandleError::UnknownAuthor(_) => {
                Self::not_found(advised("check the author, or enrol it with `grant issue`"))
            }
            HandleError::Enrol(EnrolError::Known) => {
                Self::conflict(advised("a device belongs to one account"))
            }
            HandleError::Enrol(EnrolError::NoSealingKey)
            | HandleError::IssueGrant(IssueGrantError::NoSealingKey) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, error)
            }
            HandleError::Enrol(_) => Self::input(error),
            HandleError::IssueGrant(IssueGrantError::Funds)
            | HandleError::Operate(OperateError::Funds(_)) => {
                Self::conflict(advised("fund the account first, or take less"))
            }
            HandleError::IssueGrant(IssueGrantError::Pool) => {
                Self::conflict(advised("`operate provision` first, or guarantee less"))
            }
            HandleError::IssueGrant(IssueGrantError::Frozen) => {
                Self::conflict(advised("a frozen key gets no grants; enrol another device"))
            }
            HandleError::IssueGrant(IssueGrantError::TooMany) => {
                Self::conflict(advised("let one end first"))
            }
            HandleError::IssueGrant(_)
            | HandleError::Operate(OperateError::Zero)
            | HandleError::Install(_) => Self::input(error),
            HandleError::CloseCase(CloseCaseError::NotOpen) => {
                Self::not_found(advised("`case list` shows those that are"))
            }
            HandleError::Operate(_) | HandleError::CloseCase(_) => Self::conflict(error),
        }
    }
}

/// A request's body as JSON, refused as a problem.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text())),
        }
    }
}
