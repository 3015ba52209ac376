//! What the tests share: nodes on loopback, and waiting for events without deciding by time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hundi_transport_libp2p::{Config, Event, Events, Handle, MessageId, Verdict, start};
use hundi_transports::link::{CloseReason, LinkId, LinkInfo};
use tokio::time::timeout;

/// How long anything may take before a test says that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn patient<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("hangs: {what}"))
}

pub(crate) fn loopback() -> Config {
    Config::new("test", vec!["127.0.0.1:0".parse().unwrap()])
}

/// A node, its address, and events that were read past.
pub(crate) struct Node {
    pub(crate) handle: Handle,
    pub(crate) address: SocketAddr,
    events: Events,
    skipped: VecDeque<Event>,
}

impl Node {
    pub(crate) async fn start(config: Config) -> Self {
        let (handle, mut events) = start(config).await.unwrap();
        let event = patient("listening", events.next()).await;
        let Some(Event::Listening { address }) = event else {
            panic!("listening comes first: {event:?}");
        };
        Node { handle, address, events, skipped: VecDeque::new() }
    }

    /// The next event, or `None` after the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        match self.skipped.pop_front() {
            Some(event) => Some(event),
            None => self.events.next().await,
        }
    }

    /// The first event that `pick` takes; the others stay for later.
    pub(crate) async fn find<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        if let Some((at, found)) =
            self.skipped.iter().enumerate().find_map(|(at, event)| Some((at, pick(event)?)))
        {
            self.skipped.remove(at);
            return found;
        }
        loop {
            let event = patient(what, self.events.next()).await;
            let event = event.unwrap_or_else(|| panic!("stopped before {what}"));
            match pick(&event) {
                Some(found) => return found,
                None => self.skipped.push_back(event),
            }
        }
    }

    pub(crate) async fn up(&mut self) -> LinkInfo {
        let pick = |event: &Event| match event {
            Event::LinkUp { info, .. } => Some(*info),
            _ => None,
        };
        self.find("link up", pick).await
    }

    pub(crate) async fn down(&mut self, wanted: LinkId) -> CloseReason {
        let pick = |event: &Event| match event {
            Event::LinkDown { link, reason } if *link == wanted => Some(*reason),
            _ => None,
        };
        self.find("link down", pick).await
    }

    pub(crate) async fn message(&mut self, from: LinkId) -> Vec<u8> {
        let pick = |event: &Event| match event {
            Event::Message { link, bytes } if *link == from => Some(bytes.clone()),
            _ => None,
        };
        self.find("message", pick).await
    }

    pub(crate) async fn gossip(&mut self) -> (MessageId, Option<LinkId>, Vec<u8>) {
        let pick = |event: &Event| match event {
            Event::Gossip { message, link, bytes } => Some((*message, *link, bytes.clone())),
            _ => None,
        };
        self.find("gossip", pick).await
    }

    /// Answers every gossip message with `verdict` until one with these bytes came.
    pub(crate) async fn judge_until(&mut self, wanted: &[u8], verdict: Verdict) {
        loop {
            let (message, _, bytes) = self.gossip().await;
            self.handle.validate(message, verdict).await;
            if bytes == wanted {
                return;
            }
        }
    }

    /// Publishes, trying again while nobody listens yet.
    pub(crate) async fn publish(&self, bytes: &[u8]) {
        let publishing = async {
            while let Err(error) = self.handle.publish(bytes.to_vec()).await {
                assert_eq!(error, hundi_transport_libp2p::PublishError::NoPeers);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        patient("publish", publishing).await;
    }

    /// Everything that came so far, without waiting for more.
    pub(crate) fn seen(&self) -> &VecDeque<Event> {
        &self.skipped
    }

    /// Stops the node and returns the rest of its events.
    pub(crate) async fn stop(mut self) -> Vec<Event> {
        self.handle.stop().await;
        let mut events = Vec::new();
        while let Some(event) = patient("stop", self.next()).await {
            events.push(event);
        }
        events
    }
}

/// `from` dials `to`; both wait for their link.
pub(crate) async fn link(from: &mut Node, to: &mut Node) -> (LinkInfo, LinkInfo) {
    from.handle.dial(to.address).await.unwrap();
    (from.up().await, to.up().await)
}
