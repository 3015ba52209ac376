//! A payee without money, for centrals that others have written: shows a session on one adapter and
//! answers every offer with bytes that are made from it.
//!
//! `payee NETWORK [ADAPTER]` prints JSON lines: first the hint of a payment request (`docs/ble.md`),
//! then what happens. The answer is the offer backwards, 300 bytes of it at most, so that an answer
//! to something else is seen. It runs until it is ended.

use anyhow::{Context, bail};
use hundi_transport_ble::{Config, Event, Events, start};
use hundi_transports::ble::hint::Session;
use hundi_transports::channel::LinkKey;
use hundi_transports::link::LinkEvent;
use serde_json::{Value, json};

/// A receipt's size, about.
const ANSWER_BYTES_MAX: usize = 300;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let network = arguments.next().context("payee NETWORK [ADAPTER]")?;
    let adapter = arguments.next().unwrap_or_else(|| "hci0".to_owned());
    let named = Some(adapter);
    let config = Config { adapter: named, power_on: true, ..Config::new(network.as_bytes()) };
    let (handle, mut events) = start(config)?;
    let psm = on(&mut events).await?;
    let mut entropy = [0; 48];
    getrandom::fill(&mut entropy).context("no randomness")?;
    let (mut uuid, mut private) = ([0; 16], [0; 32]);
    uuid.copy_from_slice(&entropy[..16]);
    private.copy_from_slice(&entropy[16..]);
    let key = LinkKey::from_bytes(private);
    let session = Session { uuid, key: key.public(), psm };
    handle.invite(Some((session, key))).await?;
    println!("{}", json!({ "hint": session.encode(), "network": network }));
    while let Some(event) = events.next().await {
        if let Event::First { link, bytes } = &event {
            let answer = bytes.iter().rev().take(ANSWER_BYTES_MAX).copied().collect();
            // A link that has ended meanwhile says so itself.
            let _ = handle.send(*link, answer).await;
        }
        println!("{}", told(&event));
    }
    bail!("the driver has stopped")
}

/// Waits for the adapter; the number of its channel.
async fn on(events: &mut Events) -> anyhow::Result<Option<u16>> {
    loop {
        match events.next().await.context("the driver has stopped")? {
            Event::On { psm, .. } => return Ok(psm),
            event => eprintln!("{}", told(&event)),
        }
    }
}

fn told(event: &Event) -> Value {
    match event {
        Event::On { psm, .. } => json!({ "event": "on", "psm": psm }),
        Event::Off(why) => json!({ "event": "off", "why": why.to_string() }),
        Event::First { link, bytes } => {
            json!({ "event": "offer", "link": link.0, "bytes": bytes.len() })
        }
        Event::NoAnswer => json!({ "event": "no answer" }),
        Event::Session { link } => json!({ "event": "session", "link": link.0 }),
        Event::Link(LinkEvent::Up(info)) => json!({ "event": "up", "link": info.link.0 }),
        Event::Link(LinkEvent::Message { link, bytes }) => {
            json!({ "event": "message", "link": link.0, "bytes": bytes.len() })
        }
        Event::Link(LinkEvent::Down { link, reason }) => {
            json!({ "event": "down", "link": link.0, "why": reason.to_string() })
        }
    }
}
