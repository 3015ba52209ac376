//! A node of the program: a driver, what it holds, and its events as JSON lines.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hundi_transport_ble::{Config, Event, Events, Handle, start};
use hundi_transports::link::{CloseReason, LinkEvent, LinkId};
use serde_json::json;
use tokio::time::timeout;

/// How long anything may take: an emulated machine is slow, and a wait of the mesh is 24 s.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// The network of all nodes here.
pub(crate) const NETWORK: &[u8] = b"two adapters";

/// A driver on one adapter.
pub(crate) struct Node {
    pub(crate) adapter: String,
    pub(crate) handle: Handle,
    /// The number of its channel, while the adapter is there.
    pub(crate) psm: Option<u16>,
    /// Links that came up.
    pub(crate) ups: usize,
    events: Events,
    started: Instant,
}

impl Node {
    /// Starts a driver and waits until it has its adapter.
    pub(crate) async fn start(adapter: &str, channels: bool, held: u8) -> anyhow::Result<Self> {
        let adapter = adapter.to_owned();
        let named = Some(adapter.clone());
        let config = Config { adapter: named, power_on: true, channels, ..Config::new(NETWORK) };
        let (handle, events) = start(config)?;
        handle.hold([held; 32]).await?;
        let started = Instant::now();
        let mut node = Node { adapter, handle, psm: None, ups: 0, events, started };
        node.on().await?;
        Ok(node)
    }

    /// Waits until the adapter is in use.
    pub(crate) async fn on(&mut self) -> anyhow::Result<()> {
        let is_on = |event: &Event| matches!(event, Event::On { .. });
        self.until("to be on", is_on).await.map(drop)
    }

    /// Waits until the adapter is lost and its link has ended; says why, of both.
    pub(crate) async fn off_and_down(&mut self) -> anyhow::Result<[String; 2]> {
        let (mut off, mut down) = (None, None);
        while off.is_none() || down.is_none() {
            let counts = |event: &Event| {
                matches!(event, Event::Off(_) | Event::Link(LinkEvent::Down { .. }))
            };
            match self.until("to be off", counts).await? {
                Event::Off(why) => off = Some(why.to_string()),
                Event::Link(LinkEvent::Down { reason, .. }) => down = Some(reason.to_string()),
                other => bail!("{other:?}"),
            }
        }
        Ok([off.unwrap_or_default(), down.unwrap_or_default()])
    }

    /// Waits until a link is up.
    pub(crate) async fn up(&mut self) -> anyhow::Result<LinkId> {
        Ok(self.link().await?.0)
    }

    /// Waits until a link is up; says whether it was this end that connected.
    pub(crate) async fn link(&mut self) -> anyhow::Result<(LinkId, bool)> {
        let is_up = |event: &Event| matches!(event, Event::Link(LinkEvent::Up(_)));
        match self.until("a link", is_up).await? {
            Event::Link(LinkEvent::Up(info)) => Ok((info.link, info.initiator)),
            other => bail!("{other:?}"),
        }
    }

    /// Waits until a link has ended; says why.
    pub(crate) async fn down(&mut self) -> anyhow::Result<CloseReason> {
        let is_down = |event: &Event| matches!(event, Event::Link(LinkEvent::Down { .. }));
        match self.until("the end of a link", is_down).await? {
            Event::Link(LinkEvent::Down { reason, .. }) => Ok(reason),
            other => bail!("{other:?}"),
        }
    }

    /// Waits for a message, which no end of a link may come before.
    pub(crate) async fn message(&mut self) -> anyhow::Result<(LinkId, Vec<u8>)> {
        let counts = |event: &Event| {
            matches!(event, Event::Link(LinkEvent::Message { .. } | LinkEvent::Down { .. }))
        };
        match self.until("a message", counts).await? {
            Event::Link(LinkEvent::Message { link, bytes }) => Ok((link, bytes)),
            other => bail!("{other:?} before a message"),
        }
    }

    /// Waits for a payer's offer.
    pub(crate) async fn offer(&mut self) -> anyhow::Result<(LinkId, Vec<u8>)> {
        match self.until("an offer", |event| matches!(event, Event::First { .. })).await? {
            Event::First { link, bytes } => Ok((link, bytes)),
            other => bail!("{other:?}"),
        }
    }

    /// Whether anything happens on a link within this time.
    pub(crate) async fn hears_of_a_link(&mut self, within: Duration) -> bool {
        let is_link = |event: &Event| matches!(event, Event::Link(_));
        timeout(within, self.until("a link", is_link)).await.is_ok()
    }

    /// Stops the driver and reads its last events.
    pub(crate) async fn stop(mut self) {
        self.handle.stop().await;
        while let Ok(Some(event)) = timeout(WITHIN, self.events.next()).await {
            self.tell(&event);
        }
    }

    async fn until(&mut self, what: &str, is_it: impl Fn(&Event) -> bool) -> anyhow::Result<Event> {
        let waiting = async {
            loop {
                let event = self.events.next().await.context("the driver has stopped")?;
                self.tell(&event);
                match &event {
                    Event::On { psm, .. } => self.psm = *psm,
                    Event::Link(LinkEvent::Up(_)) => self.ups += 1,
                    _ => {}
                }
                if is_it(&event) {
                    return Ok(event);
                }
            }
        };
        let waited = timeout(WITHIN, waiting).await;
        waited.with_context(|| format!("a node waited {} s for {what}", WITHIN.as_secs()))?
    }

    fn tell(&self, event: &Event) {
        let (name, what) = match event {
            Event::On { psm, .. } => ("on", json!({ "psm": psm })),
            Event::Off(why) => ("off", json!({ "why": why.to_string() })),
            Event::First { bytes, .. } => ("first", json!({ "bytes": bytes.len() })),
            Event::NoAnswer => ("no_answer", json!({})),
            Event::Session { link } => ("session", json!({ "link": link.0 })),
            Event::Link(LinkEvent::Up(info)) => {
                ("up", json!({ "link": info.link.0, "initiator": info.initiator }))
            }
            // By the hundred.
            Event::Link(LinkEvent::Message { .. }) => return,
            Event::Link(LinkEvent::Down { link, reason }) => {
                ("down", json!({ "link": link.0, "why": reason.to_string() }))
            }
        };
        let ms = self.started.elapsed().as_millis();
        println!("{}", json!({ "ms": ms, "adapter": self.adapter, "event": name, "what": what }));
    }
}
