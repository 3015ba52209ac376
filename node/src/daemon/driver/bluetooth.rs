//! What the driver does of Bluetooth: takes the transport's events, keeps the session of one payment
//! request on the air, and gives payments to their payees nearby.

use super::{Action, Driver, now_ms, surroundings};
use crate::daemon::bluetooth::{Adapter, Ask, Holding, Shown, Tasks};
use crate::daemon::links::Carrier;
use hundi_engine::{Input, LinkId, LinkKind};
use hundi_ledger::id::Hash;
use hundi_ledger::sync::TAG_ITEM;
use hundi_transport_ble as ble;
use hundi_transports::ble::hint::Session;
use hundi_transports::link::{CloseReason, LinkEvent, LinkInfo};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::timeout;

/// How long leaving the air may take: BlueZ lets two seconds pass before it disconnects somebody,
/// and a daemon that hangs is not waited for.
const LEAVING_MAX: Duration = Duration::from_secs(8);

/// The driver's state of Bluetooth.
pub(super) struct Air {
    tasks: Tasks,
    /// Links of sessions, between the two ends of one payment.
    of_sessions: HashSet<LinkId>,
    shown: Option<Shown>,
}

impl Air {
    pub(super) fn new(tasks: Tasks) -> Self {
        Self { tasks, of_sessions: HashSet::new(), shown: None }
    }

    fn ask(&self, ask: Ask) {
        if self.tasks.asks.try_send(ask).is_err() {
            tracing::warn!("Bluetooth is not asked: it has stopped, or is asked too often");
        }
    }
}

impl Driver {
    /// Puts the session of a payment request on the air, in place of the one that was.
    pub(super) fn show(&mut self, shown: Shown) {
        let Some(air) = &mut self.air else { return };
        air.ask(Ask::Invite(Some(shown.invitation.clone())));
        air.shown = Some(shown);
    }

    /// Looks for the payee of a payment, once that is durable; not if it is answered.
    pub(super) fn pay_nearby(&mut self, session: Session, id: &Hash) -> bool {
        let offer = self.engine.offer_of(id, &self.overlay);
        let first = offer.filter(|_| self.air.is_some());
        let looks = first.is_some();
        let ask = first.map(|first| Action::Nearby(Ask::Pay { session, first }));
        self.hold(self.asked, ask);
        self.release();
        looks
    }

    pub(super) fn ask_nearby(&self, ask: Ask) {
        if let Some(air) = &self.air {
            air.ask(ask);
        }
    }

    /// Says what this node holds now, and takes a session off the air when its time is over.
    pub(super) fn keep_air(&mut self) {
        let Some(air) = &mut self.air else { return };
        let now = Holding { held: self.engine.digest().0, awaits: self.engine.awaits_answer() };
        air.tasks.holding.send_if_modified(|told| std::mem::replace(told, now) != now);
        let Some(shown) = &mut air.shown else { return };
        let now = now_s();
        if !shown.stays(self.engine.awaits_payment(&shown.request, now), now) {
            air.shown = None;
            air.ask(Ask::Invite(None));
        }
    }

    /// Seconds until a session may have to leave the air.
    pub(super) fn air_due_s(&self) -> Option<u64> {
        let shown = self.air.as_ref()?.shown.as_ref()?;
        Some(u64::from(shown.expires.saturating_sub(now_s())) + 1)
    }

    pub(super) async fn air_events(&mut self, events: Vec<ble::Event>) {
        let items = events.iter().filter_map(|event| match event {
            ble::Event::Link(LinkEvent::Message { bytes, .. }) => bytes.strip_prefix(&[TAG_ITEM]),
            _ => None,
        });
        if let Ok((_, entropy)) = surroundings() {
            self.engine.foresee(entropy, items, &self.overlay);
        }
        for event in events {
            self.air_event(event).await;
        }
    }

    async fn air_event(&mut self, event: ble::Event) {
        match event {
            ble::Event::On { adapter, psm } => {
                tracing::info!(adapter, ?psm, "Bluetooth is on");
                self.adapter(Adapter::On { name: adapter, psm });
            }
            ble::Event::Off(error) => {
                tracing::warn!(%error, "no Bluetooth");
                self.adapter(Adapter::Off(error));
            }
            ble::Event::Session { link } => {
                if let Some(air) = &mut self.air {
                    air.of_sessions.insert(Carrier::Bluetooth.number(link));
                }
            }
            ble::Event::Link(LinkEvent::Up(info)) => self.air_link_up(info).await,
            ble::Event::Link(LinkEvent::Down { link, reason }) => {
                let link = Carrier::Bluetooth.number(link);
                self.session_ended(link, reason);
                self.link_down(link).await;
            }
            ble::Event::First { link, bytes }
            | ble::Event::Link(LinkEvent::Message { link, bytes }) => {
                let link = Carrier::Bluetooth.number(link);
                self.input(Input::Message { link, bytes }).await;
            }
            ble::Event::NoAnswer => tracing::info!("the payee was not found, or did not answer"),
        }
    }

    /// The transport has ended of itself, which it never does unless it breaks down.
    pub(super) fn air_ended(&self) {
        let reason = "the driver has ended: see the log, then start the daemon again".to_owned();
        let error = ble::AdapterError::Failed { reason };
        tracing::error!(%error, "no Bluetooth");
        self.adapter(Adapter::Off(error));
    }

    /// Says goodbye on all links and takes everything off the air. BlueZ keeps some of what a program
    /// leaves behind that ends in the middle.
    pub(super) async fn leave_air(&mut self, air: Option<ble::Events>) {
        // With the tasks goes the last who asks, and the transport is told to stop.
        self.air = None;
        let Some(mut events) = air else { return };
        let leaving = async { while events.next().await.is_some() {} };
        if timeout(LEAVING_MAX, leaving).await.is_err() {
            tracing::warn!("Bluetooth has not stopped in time");
        }
    }

    fn adapter(&self, adapter: Adapter) {
        if let Some(air) = &self.air {
            air.tasks.adapter.send_replace(adapter);
        }
    }

    async fn air_link_up(&mut self, info: LinkInfo) {
        let link = Carrier::Bluetooth.number(info.link);
        let of_session = self.air.as_ref().is_some_and(|air| air.of_sessions.contains(&link));
        let kind = if of_session { LinkKind::Payment } else { LinkKind::Mesh };
        self.link_up(link, "bluetooth".to_owned(), info, kind).await;
    }

    /// A payer that has said goodbye has its answer: if that closed the request, the session has
    /// nobody to wait for any more.
    fn session_ended(&mut self, link: LinkId, reason: CloseReason) {
        let Some(air) = &mut self.air else { return };
        let of_session = air.of_sessions.remove(&link);
        if of_session
            && reason == CloseReason::ClosedThere
            && let Some(shown) = &air.shown
            && !self.engine.awaits_payment(&shown.request, now_s())
        {
            air.shown = None;
            air.ask(Ask::Invite(None));
        }
    }
}

fn now_s() -> u32 {
    u32::try_from(now_ms() / 1_000).unwrap_or(u32::MAX)
}
