//! The gate before gossipsub: it sees a connection only once that connection is a link.
//!
//! Without it, gossip would flow to whoever connects before the opening exchange has refused it
//! (another village's peer), and through connections that lose against a duplicate: gossipsub
//! shares one queue among all connections of a peer, so what goes into the losing one is lost,
//! subscriptions included. The gate gives every connection an empty handler, and puts gossipsub's
//! own handler into it when the owner opens it. A stream that the other end opened earlier waits.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::gossipsub;
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::handler::{
    ConnectionEvent, ConnectionHandler, FullyNegotiatedInbound, InboundUpgradeSend,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, SubstreamProtocol, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// Gossipsub that lets peers subscribe to nothing but this network's topic.
pub(crate) type Gossip =
    gossipsub::Behaviour<gossipsub::IdentityTransform, gossipsub::WhitelistSubscriptionFilter>;
type Inner = <Gossip as NetworkBehaviour>::ConnectionHandler;
type InnerIn = <Inner as ConnectionHandler>::FromBehaviour;
type InnerInbound = <Inner as ConnectionHandler>::InboundProtocol;
type Listen = SubstreamProtocol<InnerInbound, ()>;

/// Gossipsub behind the gate.
pub(crate) struct Gate {
    gossip: Gossip,
    listen: Listen,
    connections: HashMap<ConnectionId, Connection>,
    queue: VecDeque<ToSwarm<gossipsub::Event, GateIn>>,
}

struct Connection {
    peer: PeerId,
    endpoint: ConnectedPoint,
    open: bool,
}

impl Gate {
    /// Puts `gossip` behind the gate. `template` is configured like it and is used up to learn the
    /// protocols that its handlers take.
    pub(crate) fn new(gossip: Gossip, mut template: Gossip) -> Result<Self, ConnectionDenied> {
        let nowhere = Multiaddr::empty();
        let handler = template.handle_established_inbound_connection(
            ConnectionId::new_unchecked(usize::MAX),
            PeerId::random(),
            &nowhere,
            &nowhere,
        )?;
        let listen = handler.listen_protocol();
        Ok(Gate { gossip, listen, connections: HashMap::new(), queue: VecDeque::new() })
    }

    /// Gossipsub itself, for publishing and verdicts.
    pub(crate) fn gossip(&mut self) -> &mut Gossip {
        &mut self.gossip
    }

    /// Lets gossipsub see a connection. Unknown and open connections are left as they are.
    pub(crate) fn open(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id).filter(|connection| !connection.open)
        else {
            return;
        };
        let peer = connection.peer;
        let endpoint = connection.endpoint.clone();
        let handler = match &endpoint {
            ConnectedPoint::Dialer { address, role_override, port_use } => {
                self.gossip.handle_established_outbound_connection(
                    id,
                    peer,
                    address,
                    *role_override,
                    *port_use,
                )
            }
            ConnectedPoint::Listener { local_addr, send_back_addr } => self
                .gossip
                .handle_established_inbound_connection(id, peer, local_addr, send_back_addr),
        };
        let Ok(handler) = handler else {
            return;
        };
        connection.open = true;
        let other_established = self.others_open(id, peer);
        self.gossip.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
            peer_id: peer,
            connection_id: id,
            endpoint: &endpoint,
            failed_addresses: &[],
            other_established,
        }));
        self.queue.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(id),
            event: GateIn::Open(Box::new(handler)),
        });
    }

    fn others_open(&self, id: ConnectionId, peer: PeerId) -> usize {
        let open = self.connections.iter().filter(|(other, connection)| {
            **other != id && connection.peer == peer && connection.open
        });
        open.count()
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = GateHandler;
    type ToSwarm = gossipsub::Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<GateHandler, ConnectionDenied> {
        Ok(GateHandler::new(self.listen.clone()))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<GateHandler, ConnectionDenied> {
        Ok(GateHandler::new(self.listen.clone()))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let connection = Connection {
                    peer: established.peer_id,
                    endpoint: established.endpoint.clone(),
                    open: false,
                };
                self.connections.insert(established.connection_id, connection);
            }
            FromSwarm::ConnectionClosed(closed) => {
                let gone = self.connections.remove(&closed.connection_id);
                if gone.is_some_and(|connection| connection.open) {
                    let remaining_established =
                        self.others_open(closed.connection_id, closed.peer_id);
                    let closed = ConnectionClosed { remaining_established, ..closed };
                    self.gossip.on_swarm_event(FromSwarm::ConnectionClosed(closed));
                }
            }
            // An address of a TCP connection does not change, and a failed dial was never shown.
            FromSwarm::AddressChange(_) | FromSwarm::DialFailure(_) => {}
            other => self.gossip.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if self.connections.get(&id).is_some_and(|connection| connection.open) {
            self.gossip.on_connection_handler_event(peer, id, event);
        }
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ToSwarm<gossipsub::Event, THandlerInEvent<Self>>> {
        if let Some(event) = self.queue.pop_front() {
            return Poll::Ready(event);
        }
        self.gossip.poll(context).map(|event| event.map_in(GateIn::Inner))
    }
}

/// What the gate tells a connection's handler.
pub(crate) enum GateIn {
    /// This connection is a link: run gossipsub's handler.
    Open(Box<Inner>),
    /// For gossipsub's handler.
    Inner(InnerIn),
}

impl fmt::Debug for GateIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GateIn::Open(_) => formatter.write_str("Open"),
            GateIn::Inner(event) => event.fmt(formatter),
        }
    }
}

/// A connection's handler: nothing, and gossipsub's once the gate is open.
pub(crate) struct GateHandler {
    listen: Listen,
    inner: Option<Box<Inner>>,
    /// The newest stream that the other end opened before the gate; gossipsub uses one.
    held: Option<<InnerInbound as InboundUpgradeSend>::Output>,
}

impl GateHandler {
    fn new(listen: Listen) -> Self {
        GateHandler { listen, inner: None, held: None }
    }
}

impl ConnectionHandler for GateHandler {
    type FromBehaviour = GateIn;
    type ToBehaviour = <Inner as ConnectionHandler>::ToBehaviour;
    type InboundProtocol = InnerInbound;
    type OutboundProtocol = <Inner as ConnectionHandler>::OutboundProtocol;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> Listen {
        match &self.inner {
            Some(inner) => inner.listen_protocol(),
            None => self.listen.clone(),
        }
    }

    fn connection_keep_alive(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.connection_keep_alive())
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        match &mut self.inner {
            Some(inner) => inner.poll(context),
            None => Poll::Pending,
        }
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<Option<Self::ToBehaviour>> {
        match &mut self.inner {
            Some(inner) => inner.poll_close(context),
            None => Poll::Ready(None),
        }
    }

    fn on_behaviour_event(&mut self, event: GateIn) {
        match event {
            GateIn::Open(mut inner) => {
                if let Some(protocol) = self.held.take() {
                    let negotiated = FullyNegotiatedInbound { protocol, info: () };
                    inner.on_connection_event(ConnectionEvent::FullyNegotiatedInbound(negotiated));
                }
                self.inner = Some(inner);
            }
            GateIn::Inner(event) => {
                if let Some(inner) = &mut self.inner {
                    inner.on_behaviour_event(event);
                }
            }
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match (&mut self.inner, event) {
            (Some(inner), event) => inner.on_connection_event(event),
            (None, ConnectionEvent::FullyNegotiatedInbound(negotiated)) => {
                self.held = Some(negotiated.protocol);
            }
            (None, _) => {}
        }
    }
}
