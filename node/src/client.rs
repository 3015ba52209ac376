//! A client of the local API: finds the running daemon by its directory and speaks JSON with it.

use crate::home::{Home, HomeError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use thiserror::Error;

/// Bytes of the largest answer: an export of everything that a node holds.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

/// Why there is no answer to use.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The daemon cannot be found.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// It does not answer.
    #[error(
        "the daemon at {address} does not answer ({error}): is it still running? start it with `run`"
    )]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What happened.
        error: String,
    },
    /// It refused, and says why.
    #[error("{detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What happened and what to do.
        detail: String,
    },
    /// It said something else than agreed.
    #[error("the daemon's answer cannot be understood ({0}): are both of the same version?")]
    Answer(String),
}

/// A problem as the API states it (RFC 9457).
#[derive(Debug, Serialize, serde::Deserialize)]
pub struct Problem {
    /// A short name of the kind of problem.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, to which item, and what to do.
    pub detail: String,
}

/// A connection to a daemon's local API.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Client {
    /// Finds the daemon that runs in `home`.
    ///
    /// # Errors
    /// When none has announced itself there.
    pub fn find(home: &Home) -> Result<Self, ClientError> {
        let (file, token) = home.find_api()?;
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        let base = format!("http://{}", file.address);
        Ok(Self { agent: config.into(), base, token })
    }

    /// Asks for a resource.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        json(&self.read(path)?)
    }

    /// Asks for a resource that is not JSON.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        let request = self.agent.get(format!("{}{path}", self.base));
        self.finish(request.header("authorization", format!("Bearer {}", self.token)).call())
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        json(&self.finish(request.send_json(body))?)
    }

    /// Posts bytes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn write<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, ClientError> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        json(&self.finish(request.send(body))?)
    }

    fn finish(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Vec<u8>, ClientError> {
        let unreachable = |error: ureq::Error| ClientError::Unreachable {
            address: self.base.clone(),
            error: error.to_string(),
        };
        let mut answer = answer.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(unreachable)?;
        if status.is_success() {
            return Ok(body);
        }
        let detail = match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => problem.detail,
            Err(_) => String::from_utf8_lossy(&body).into_owned(),
        };
        Err(ClientError::Refused { status: status.as_u16(), detail })
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::Answer(error.to_string()))
}
