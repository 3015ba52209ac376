//! A peer that speaks libp2p but never asks for a link: it hears no gossip, its gossip is not
//! heard, and its connection is not kept.

use futures::StreamExt;
use hundi_transport_libp2p::{Event, Verdict};
use libp2p::gossipsub::{self, IdentTopic, MessageAuthenticity, ValidationMode};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, tcp, yamux};

use crate::kit::{Node, link, loopback, patient};

/// A swarm that speaks this network's gossip and nothing else.
fn eavesdropper() -> Swarm<gossipsub::Behaviour> {
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix("/hundi/gossip/test")
        .validation_mode(ValidationMode::Anonymous)
        .build()
        .unwrap();
    let mut gossip = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config).unwrap();
    gossip.subscribe(&IdentTopic::new("hundi/test")).unwrap();
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| gossip)
        .unwrap()
        .with_swarm_config(|config| {
            config.with_idle_connection_timeout(std::time::Duration::from_secs(600))
        })
        .build()
}

#[tokio::test]
async fn without_a_link_there_is_no_gossip() {
    let (mut one, mut two) = (Node::start(loopback()).await, Node::start(loopback()).await);
    link(&mut one, &mut two).await;
    let mut stranger = eavesdropper();
    let address = Multiaddr::from(one.address.ip()).with(Protocol::Tcp(one.address.port()));
    stranger.dial(address).unwrap();
    let mut number = 0_u32;
    let mut talk = tokio::time::interval(std::time::Duration::from_millis(100));
    // The node closes a connection on which no link is asked for.
    let listening = async {
        loop {
            tokio::select! {
                event = stranger.select_next_some() => match event {
                    SwarmEvent::Behaviour(event) => panic!("heard {event:?}"),
                    SwarmEvent::ConnectionClosed { .. } => return,
                    _ => {}
                },
                _ = talk.tick() => {
                    number += 1;
                    let topic = IdentTopic::new("hundi/test");
                    let said = stranger.behaviour_mut().publish(topic, number.to_le_bytes());
                    assert!(said.is_err(), "the stranger knows somebody who listens");
                    one.publish(&[&[1], &number.to_le_bytes()[..]].concat()).await;
                }
            }
        }
    };
    patient("the stranger is left out", listening).await;
    assert!(number > 10);
    two.judge_until(&[&[1], &number.to_le_bytes()[..]].concat(), Verdict::Ignore).await;
    for node in [one, two] {
        let rest = node.stop().await;
        let of_the_stranger = |event: &Event| match event {
            Event::Gossip { bytes, .. } => bytes[0] != 1,
            Event::LinkUp { .. } => true,
            _ => false,
        };
        assert!(!rest.iter().any(of_the_stranger), "{rest:?}");
    }
}
