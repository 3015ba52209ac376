//! The swarm's behaviour: which protocols run on a connection, with which parameters.

use std::collections::HashSet;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, IdentTopic, IdentityTransform, MessageAuthenticity, ValidationMode,
    WhitelistSubscriptionFilter,
};
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{NetworkBehaviour, StreamProtocol};
use libp2p::{identify, mdns};

use crate::config::{Config, StartError};
use crate::event::MessageId;
use crate::gate::{Gate, Gossip};
use crate::limits::{
    CONNECTIONS_PER_PEER, GOSSIP_BYTES_MAX, GOSSIP_HISTORY, GOSSIP_SEEN, OPENING_CONNECTIONS,
    PENDING_CONNECTIONS,
};
use crate::links::Links;

/// Everything that runs on a connection. Limits come first: what they refuse, nobody else sees.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    pub(crate) links: Links,
    pub(crate) gate: Gate,
    identify: identify::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
}

/// The topic that everyone of a network listens to.
pub(crate) fn topic(network_tag: &str) -> IdentTopic {
    IdentTopic::new(format!("hundi/{network_tag}"))
}

impl Behaviour {
    pub(crate) fn new(key: &Keypair, config: &Config) -> Result<Self, StartError> {
        let tag = &config.network_tag;
        let parameters = |error: &dyn std::fmt::Display| StartError::Parameters(error.to_string());
        let links = config.limits.links;
        let established = links.saturating_add(OPENING_CONNECTIONS);
        let limits = ConnectionLimits::default()
            .with_max_pending_incoming(Some(PENDING_CONNECTIONS))
            .with_max_pending_outgoing(Some(PENDING_CONNECTIONS))
            .with_max_established(Some(established))
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER));
        let protocol = StreamProtocol::try_from_owned(format!("/hundi/sync/1/{tag}"))
            .map_err(|error| parameters(&error))?;
        let mut gossip = gossip(tag)?;
        gossip.subscribe(&topic(tag)).map_err(|error| parameters(&error))?;
        let gate = Gate::new(gossip, self::gossip(tag)?).map_err(|error| parameters(&error))?;
        let identify = identify::Config::new(format!("/hundi/{tag}"), key.public())
            .with_agent_version("hundi".to_owned())
            .with_hide_listen_addrs(true);
        let mdns = if config.mdns {
            let peer = key.public().to_peer_id();
            let behaviour = mdns::tokio::Behaviour::new(mdns::Config::default(), peer);
            Some(behaviour.map_err(StartError::Mdns)?)
        } else {
            None
        };
        Ok(Behaviour {
            limits: connection_limits::Behaviour::new(limits),
            links: Links::new(protocol, config.limits.connections_per_address),
            gate,
            identify: identify::Behaviour::new(identify),
            mdns: Toggle::from(mdns),
        })
    }
}

/// Gossipsub: anonymous (what is carried is signed by its author, and the carrier is nobody's
/// business), content-addressed, nothing forwarded before the driver's verdict. The mesh keeps the
/// usual degree, so that up to a dozen peers are all in each other's mesh.
fn gossip(network_tag: &str) -> Result<Gossip, StartError> {
    let parameters = |error: &dyn std::fmt::Display| StartError::Parameters(error.to_string());
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix(format!("/hundi/gossip/{network_tag}"))
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| MessageId::of(&message.data).0.to_vec().into())
        .max_transmit_size(GOSSIP_BYTES_MAX + 1_024)
        .duplicate_cache_time(GOSSIP_SEEN)
        .history_length(GOSSIP_HISTORY)
        .flood_publish(true)
        .build()
        .map_err(|error| parameters(&error))?;
    let topics = HashSet::from([topic(network_tag).hash()]);
    Gossip::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config,
        WhitelistSubscriptionFilter(topics),
        IdentityTransform,
    )
    .map_err(|error| parameters(&error))
}
