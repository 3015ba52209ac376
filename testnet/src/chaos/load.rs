//! The load: every device pays others as fast as it can, and a client hands batches of payments in
//! at the gateway. Each keeps what it was told, and when it asked what was never answered.

use super::EACH_MINOR;
use crate::answers::{Request, Row, Signed};
use crate::phone::{self, Phone};
use crate::process::LOOK_EVERY;
use anyhow::{Context, Result, ensure};
use hundi_node::client::{Client, ClientError};
use hundi_node::container;
use serde::Deserialize;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Payments of a batch that is handed in.
const BATCH: usize = 8;

/// A payment that a device's API has acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    pub(super) payer: usize,
    pub(super) payee: usize,
    pub(super) id: String,
    /// Whether the payer's device has shown the payee's acceptance.
    pub(super) received: bool,
}

/// What one device was told.
#[derive(Debug, Default)]
pub(super) struct Paid {
    pub(super) acknowledged: Vec<Acknowledged>,
    /// When the payment was asked for that was never answered.
    pub(super) unanswered: Option<Instant>,
}

/// What one client of the gateway was told.
#[derive(Debug, Default)]
pub(super) struct HandedIn {
    /// Everything that was handed in and answered.
    pub(super) acknowledged: Vec<phone::Signed>,
    /// The batch that was never answered, and when it was sent.
    pub(super) unanswered: Option<(Instant, Vec<phone::Signed>)>,
}

/// What tells the load about the victim, and the other way round.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// The victim has been asked for something.
    pub(super) asked: AtomicBool,
    /// The load ends.
    pub(super) over: AtomicBool,
}

impl Signals {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn ask(&self, victim: bool) {
        if victim {
            self.asked.store(true, Ordering::Release);
        }
    }
}

/// Pays one after the other until it is over or its own device does not answer.
pub(super) fn pay(clients: &[Client], payer: usize, victim: bool, signals: &Signals) -> Paid {
    let mut paid = Paid::default();
    for turn in 0.. {
        if signals.is_over() {
            break;
        }
        let payee = (payer + 1 + turn % (clients.len() - 1)) % clients.len();
        let ask = json!({ "amount_minor": EACH_MINOR, "currency": "INR", "expires_s": 3600 });
        let Ok(request) = clients[payee].post::<Request>("/v1/requests", &ask) else {
            // The payee is gone; somebody else is not.
            std::thread::sleep(LOOK_EVERY);
            continue;
        };
        let sent = Instant::now();
        signals.ask(victim);
        match clients[payer].post::<Signed>("/v1/payments", &json!({ "uri": request.uri })) {
            Ok(Signed { id }) => {
                let received = is_received(&clients[payer], &id);
                paid.acknowledged.push(Acknowledged { payer, payee, id, received });
            }
            // Too many unsettled: the bank is about to settle some.
            Err(ClientError::Refused { .. }) => std::thread::sleep(LOOK_EVERY),
            Err(_) => {
                paid.unanswered = Some(sent);
                break;
            }
        }
    }
    paid
}

/// Whether the payer's device shows the payee's acceptance already.
fn is_received(payer: &Client, id: &str) -> bool {
    std::thread::sleep(LOOK_EVERY / 2);
    payer.get::<Row>(&format!("/v1/payments/{id}")).is_ok_and(|row| row.state == "received")
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    id: String,
    verdict: String,
    outcome: Option<String>,
}

/// Hands in batch after batch until it is over or the gateway does not answer.
///
/// # Errors
/// When the gateway answers something else than that it has settled them.
pub(super) fn hand_in(
    gateway: &Client,
    phones: &mut [Phone; 2],
    victim: bool,
    signals: &Signals,
) -> Result<HandedIn> {
    let mut handed_in = HandedIn::default();
    let [payer, payee] = phones;
    while !signals.is_over() {
        let pay = |_| payer.pay(payee, EACH_MINOR, now());
        let batch: Vec<phone::Signed> = (0..BATCH).map(pay).collect::<Result<_>>()?;
        let sent = Instant::now();
        signals.ask(victim);
        if !is_settled(gateway, &batch)? {
            handed_in.unanswered = Some((sent, batch));
            break;
        }
        handed_in.acknowledged.extend(batch);
    }
    Ok(handed_in)
}

/// Hands in a batch; false when the gateway does not answer.
///
/// # Errors
/// When it answers something else than that it has settled all of it.
pub(super) fn is_settled(gateway: &Client, batch: &[phone::Signed]) -> Result<bool> {
    let body = container::encode(batch.iter().map(|it| it.item.as_slice())).context("a batch")?;
    let answer = match gateway.write::<Answer>("/v1/entries", &body) {
        Ok(answer) => answer,
        Err(ClientError::Refused { status: 500.., .. } | ClientError::Unreachable { .. }) => {
            return Ok(false);
        }
        Err(error) => return Err(error).context("the gateway was handed a batch"),
    };
    let expected = batch.iter().map(|it| it.id.to_string());
    ensure!(answer.items.iter().map(|line| &line.id).eq(&expected.collect::<Vec<_>>()));
    for line in &answer.items {
        let settled = line.outcome.as_deref() == Some("settled");
        let taken = matches!(line.verdict.as_str(), "accepted" | "duplicate");
        ensure!(settled && taken, "{} is {}, {:?}", line.id, line.verdict, line.outcome);
    }
    Ok(true)
}

/// Unix seconds, as a phone states them.
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
