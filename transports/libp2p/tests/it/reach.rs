//! Reach lists: villages, and a courier who walks between them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hundi_transport_libp2p::limits::REACH_MAX;
use hundi_transport_libp2p::{Config, DialError, Event, ReachList, SetReachError, Verdict};
use hundi_transports::link::CloseReason;

use crate::kit::{Node, loopback};

fn reach(addresses: &[SocketAddr]) -> Option<ReachList> {
    Some(addresses.iter().copied().collect())
}

async fn hermit() -> Node {
    Node::start(Config { reach: reach(&[]), ..loopback() }).await
}

#[tokio::test]
async fn a_courier_walks_from_one_village_to_the_other() {
    let (mut one, mut two, mut courier) = (hermit().await, hermit().await, hermit().await);
    let nodes = [one.address, two.address, courier.address];
    one.handle.set_reach(reach(&[nodes[2]])).await.unwrap();
    two.handle.set_reach(reach(&[])).await.unwrap();
    courier.handle.set_reach(reach(&[nodes[0]])).await.unwrap();
    let (at_one, at_courier) = (one.up().await, courier.up().await);
    assert_eq!(at_one.handshake_hash, at_courier.handshake_hash);
    courier.publish(b"here").await;
    one.judge_until(b"here", Verdict::Accept).await;
    // The courier leaves; the village still looks for it.
    let left = Instant::now();
    courier.handle.set_reach(reach(&[nodes[1]])).await.unwrap();
    assert_eq!(courier.down(at_courier.link).await, CloseReason::NotReachable);
    one.down(at_one.link).await;
    assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
    // Only when the other village looks as well do they meet.
    two.handle.set_reach(reach(&[nodes[2]])).await.unwrap();
    let (at_two, at_courier) = (two.up().await, courier.up().await);
    assert_eq!(at_two.handshake_hash, at_courier.handshake_hash);
    courier.handle.send(at_courier.link, b"carried".to_vec()).await.unwrap();
    assert_eq!(two.message(at_two.link).await, b"carried");
    // And back.
    courier.handle.set_reach(reach(&[nodes[0]])).await.unwrap();
    two.down(at_two.link).await;
    let (at_one, at_courier) = (one.up().await, courier.up().await);
    assert_eq!(at_one.handshake_hash, at_courier.handshake_hash);
    one.publish(b"welcome").await;
    courier.judge_until(b"welcome", Verdict::Accept).await;
}

#[tokio::test]
async fn who_is_not_listed_gets_no_link_and_no_gossip() {
    let mut village = hermit().await;
    let mut neighbour = hermit().await;
    let mut stranger = Node::start(loopback()).await;
    let (here, there) = (village.address, neighbour.address);
    village.handle.set_reach(reach(&[there])).await.unwrap();
    neighbour.handle.set_reach(reach(&[here])).await.unwrap();
    village.up().await;
    neighbour.up().await;
    village.publish(b"first").await;
    neighbour.judge_until(b"first", Verdict::Accept).await;
    for round in 0..5_u8 {
        stranger.handle.dial(here).await.unwrap();
        village.publish(&[round]).await;
        let pick = |event: &Event| match event {
            Event::DialFailed { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        assert_eq!(stranger.find("refusal", pick).await, "out of reach");
        neighbour.judge_until(&[round], Verdict::Accept).await;
    }
    assert!(stranger.stop().await.is_empty(), "the stranger heard something");
    assert!(!village.stop().await.iter().any(|event| matches!(event, Event::LinkUp { .. })));
}

#[tokio::test]
async fn a_whole_village_finds_itself_with_one_link_per_pair() {
    let mut nodes = Vec::new();
    for _ in 0..6 {
        nodes.push(hermit().await);
    }
    let all: BTreeSet<SocketAddr> = nodes.iter().map(|node| node.address).collect();
    for node in &nodes {
        // Its own address among them is no one to dial.
        node.handle.set_reach(Some(all.clone())).await.unwrap();
    }
    let mut ends = std::collections::BTreeMap::<_, usize>::new();
    for node in &mut nodes {
        for _ in 0..5 {
            *ends.entry(node.up().await.handshake_hash).or_default() += 1;
        }
    }
    assert_eq!(ends.len(), 15);
    assert!(ends.values().all(|count| *count == 2), "{ends:?}");
    for node in nodes {
        let rest = node.stop().await;
        assert!(!rest.iter().any(|event| matches!(event, Event::LinkUp { .. })), "{rest:?}");
    }
}

#[tokio::test]
async fn a_listed_peer_that_comes_back_is_found_again() {
    let mut here = hermit().await;
    let there = Node::start(loopback()).await;
    let address = there.address;
    here.handle.set_reach(reach(&[address])).await.unwrap();
    let up = here.up().await;
    there.stop().await;
    assert_eq!(here.down(up.link).await, CloseReason::ClosedThere);
    let mut again = Node::start(Config { listen: vec![address], ..loopback() }).await;
    let (here, again) = (here.up().await, again.up().await);
    assert_eq!(here.handshake_hash, again.handshake_hash);
    assert_ne!(up.handshake_hash, here.handshake_hash);
}

#[tokio::test]
async fn lists_are_checked_and_can_be_removed() {
    let (mut one, mut two) = (hermit().await, Node::start(loopback()).await);
    let address = two.address;
    assert_eq!(one.handle.dial(address).await, Err(DialError::NotReachable { address }));
    let long: ReachList = (1..=REACH_MAX + 1)
        .map(|port| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap())))
        .collect();
    let (addresses, addresses_max) = (REACH_MAX + 1, REACH_MAX);
    assert_eq!(
        one.handle.set_reach(Some(long)).await,
        Err(SetReachError::TooLong { addresses, addresses_max })
    );
    one.handle.set_reach(None).await.unwrap();
    one.handle.dial(address).await.unwrap();
    one.up().await;
    two.up().await;
}
