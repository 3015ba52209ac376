//! An HTTP client for tests: blocking, one object per gateway.

use hundi_node::container;
use serde_json::Value;
use std::time::Duration;

/// One gateway's API.
#[derive(Clone)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Api {
    pub fn new(base: String, token: String) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self { agent: config.into(), base, token }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        let request = self.agent.get(format!("{}{path}", self.base));
        let answer = request.header("authorization", format!("Bearer {}", self.token)).call();
        finish(answer).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        finish(request.send_json(body)).unwrap()
    }

    /// The answer to a request that must succeed.
    pub fn ok(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// The answer to a request that must succeed.
    pub fn read(&self, path: &str) -> Value {
        let (status, answer) = self.get(path);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Hands in bytes, without a token.
    pub fn write(&self, body: &[u8]) -> Option<(u16, Value)> {
        finish(self.agent.post(format!("{}/v1/entries", self.base)).send(body))
    }

    /// Hands in items, without a token; one line each.
    pub fn submit(&self, items: &[Vec<u8>]) -> Vec<Value> {
        self.try_submit(items).unwrap()
    }

    /// As [`Api::submit`]; none when the gateway did not answer.
    pub fn try_submit(&self, items: &[Vec<u8>]) -> Option<Vec<Value>> {
        let body = container::encode(items.iter().map(Vec::as_slice)).unwrap();
        let (status, answer) = self.write(&body)?;
        assert_eq!(status, 200, "{answer}");
        Some(answer["items"].as_array().unwrap().clone())
    }
}

fn finish(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Option<(u16, Value)> {
    let mut answer = answer.ok()?;
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").unwrap().to_str().unwrap().to_owned();
    if !kind.contains("json") {
        return Some((status, Value::Null));
    }
    let problem = kind == "application/problem+json";
    let body: Value = serde_json::from_slice(&answer.body_mut().read_to_vec().ok()?).ok()?;
    assert_eq!(problem, status >= 400, "refusals are problems: {status} {body}");
    if problem {
        assert_eq!(body["status"], status);
        assert!(body["type"].is_string() && body["title"].is_string());
        assert!(!body["detail"].as_str().unwrap().is_empty());
    }
    Some((status, body))
}
