//! The stream protocol: one stream per connection, opened by the end that dialled, handed to the
//! owner. Also the first door: how many connections one address may open.
//!
//! What is said on the stream is left to the link's task.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};

use hundi_transports::rate::{Bucket, Rate};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, ConnectionHandler};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour, Stream,
    StreamProtocol, SubstreamProtocol, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;
use tokio::time::Instant;

use crate::address::from_multiaddr;
use crate::limits::RATED_ADDRESSES_MAX;

/// What the stream protocol reports to the owner.
pub(crate) enum LinksEvent {
    /// The connection's one stream is there.
    Stream { connection: ConnectionId, stream: Stream },
    /// The other end does not speak this network's protocol.
    Foreign { connection: ConnectionId },
}

impl fmt::Debug for LinksEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinksEvent::Stream { connection, .. } => write!(formatter, "Stream({connection})"),
            LinksEvent::Foreign { connection } => write!(formatter, "Foreign({connection})"),
        }
    }
}

/// Why an incoming connection is refused before its handshake.
#[derive(Debug, Error)]
#[error("too many connections from one address")]
struct TooManyConnections;

/// The stream protocol of one network.
pub(crate) struct Links {
    protocol: StreamProtocol,
    rate: Rate,
    started: Instant,
    buckets: HashMap<IpAddr, Bucket>,
    queue: VecDeque<LinksEvent>,
}

impl Links {
    pub(crate) fn new(protocol: StreamProtocol, rate: Rate) -> Self {
        let started = Instant::now();
        Links { protocol, rate, started, buckets: HashMap::new(), queue: VecDeque::new() }
    }

    fn allow(&mut self, ip: IpAddr) -> bool {
        let now = self.started.elapsed();
        if !self.buckets.contains_key(&ip) && self.buckets.len() >= RATED_ADDRESSES_MAX {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            if self.buckets.len() >= RATED_ADDRESSES_MAX {
                return false;
            }
        }
        let rate = self.rate;
        self.buckets.entry(ip).or_insert_with(|| Bucket::new(rate, now)).try_take(now, 1)
    }
}

impl NetworkBehaviour for Links {
    type ConnectionHandler = LinksHandler;
    type ToSwarm = LinksEvent;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        match from_multiaddr(remote) {
            Some(remote) if self.allow(remote.ip()) => Ok(()),
            _ => Err(ConnectionDenied::new(TooManyConnections)),
        }
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<LinksHandler, ConnectionDenied> {
        Ok(LinksHandler::new(self.protocol.clone(), false))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<LinksHandler, ConnectionDenied> {
        Ok(LinksHandler::new(self.protocol.clone(), true))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.queue.push_back(match event {
            HandlerOut::Stream(stream) => LinksEvent::Stream { connection, stream: *stream },
            HandlerOut::Foreign => LinksEvent::Foreign { connection },
        });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<LinksEvent, THandlerInEvent<Self>>> {
        match self.queue.pop_front() {
            Some(event) => Poll::Ready(ToSwarm::GenerateEvent(event)),
            None => Poll::Pending,
        }
    }
}

/// What a connection's handler reports.
pub(crate) enum HandlerOut {
    Stream(Box<Stream>),
    Foreign,
}

impl fmt::Debug for HandlerOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            HandlerOut::Stream(_) => "Stream",
            HandlerOut::Foreign => "Foreign",
        })
    }
}

/// One connection: asks for the stream if this end dialled, waits for it otherwise. The owner
/// closes connections, so the handler always keeps its own alive.
pub(crate) struct LinksHandler {
    protocol: StreamProtocol,
    dialled: bool,
    asked: bool,
    /// Whether the one stream was handed on. Further ones are dropped, which resets them.
    served: bool,
    report: Option<HandlerOut>,
}

impl LinksHandler {
    fn new(protocol: StreamProtocol, dialled: bool) -> Self {
        LinksHandler { protocol, dialled, asked: false, served: false, report: None }
    }
}

impl ConnectionHandler for LinksHandler {
    type FromBehaviour = std::convert::Infallible;
    type ToBehaviour = HandlerOut;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if let Some(report) = self.report.take() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
        }
        if self.dialled && !self.asked {
            self.asked = true;
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {}
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        let stream = match event {
            ConnectionEvent::FullyNegotiatedOutbound(negotiated) => negotiated.protocol,
            ConnectionEvent::FullyNegotiatedInbound(negotiated) if !self.dialled => {
                negotiated.protocol
            }
            ConnectionEvent::DialUpgradeError(_) => {
                self.report = Some(HandlerOut::Foreign);
                return;
            }
            _ => return,
        };
        if !self.served {
            self.served = true;
            self.report = Some(HandlerOut::Stream(Box::new(stream)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_slowed_down_and_others_are_not() {
        let rate = Rate { per_second: 1, burst: 3 };
        let mut links = Links::new(StreamProtocol::new("/test"), rate);
        let busy: IpAddr = [192, 0, 2, 1].into();
        let passed = (0..100).filter(|_| links.allow(busy)).count();
        assert!((3..10).contains(&passed), "{passed} passed");
        assert!(links.allow([192, 0, 2, 2].into()));
    }

    #[test]
    fn remembered_addresses_are_bounded() {
        let mut links = Links::new(StreamProtocol::new("/test"), Rate { per_second: 1, burst: 9 });
        for number in 0..u32::try_from(RATED_ADDRESSES_MAX).unwrap() + 50 {
            links.allow(IpAddr::from(number.to_be_bytes()));
        }
        assert!(links.buckets.len() <= RATED_ADDRESSES_MAX);
    }
}
