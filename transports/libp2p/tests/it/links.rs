//! One link per pair of peers, limits, and strangers.

use std::time::{Duration, Instant};

use hundi_transport_libp2p::{Config, Event, Limits, StartError, start};
use hundi_transports::link::{CloseReason, LinkId};
use hundi_transports::rate::Rate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{Node, link, loopback, patient};

/// The links that are up, by the events seen and the rest of them.
fn links_up(events: &[Event]) -> Vec<LinkId> {
    let mut up = Vec::new();
    for event in events {
        match event {
            Event::LinkUp { info, .. } => {
                up.push(info.link);
                assert_eq!(up.len(), 1, "two links at once");
            }
            Event::LinkDown { link, .. } => up.retain(|other| other != link),
            _ => {}
        }
    }
    up
}

#[tokio::test]
async fn both_dialling_at_once_end_in_one_link() {
    for _ in 0..20 {
        let (mut one, mut two) = (Node::start(loopback()).await, Node::start(loopback()).await);
        let (to_two, to_one) = (two.address, one.address);
        for _ in 0..2 {
            let dials = tokio::join!(one.handle.dial(to_two), two.handle.dial(to_one));
            assert_eq!(dials, (Ok(()), Ok(())));
        }
        let (at_one, at_two) = (one.up().await, two.up().await);
        assert_eq!(at_one.handshake_hash, at_two.handshake_hash, "the same link");
        assert_ne!(at_one.initiator, at_two.initiator);
        // Whatever else comes of the dials comes before a round trip over the link is done twice.
        for _ in 0..2 {
            one.handle.send(at_one.link, vec![1]).await.unwrap();
            two.message(at_two.link).await;
            two.handle.send(at_two.link, vec![2]).await.unwrap();
            one.message(at_one.link).await;
        }
        for node in [one, two] {
            let before = node.seen().iter().chain([]).count();
            assert_eq!(before, 0, "no other link came or went: {:?}", node.seen());
            let events = node.stop().await;
            let ups = events.iter().filter(|event| matches!(event, Event::LinkUp { .. })).count();
            assert_eq!(ups, 0, "{events:?}");
            assert_eq!(links_up(&events), []);
        }
    }
}

#[tokio::test]
async fn a_second_dial_makes_no_second_link() {
    let (mut one, mut two) = (Node::start(loopback()).await, Node::start(loopback()).await);
    let (at_one, at_two) = link(&mut one, &mut two).await;
    // By its known address, and by one that nobody knows to be the same peer.
    let alias = crate::proxy::Proxy::new(two.address).await;
    one.handle.dial(two.address).await.unwrap();
    one.handle.dial(alias.address).await.unwrap();
    two.handle.dial(one.address).await.unwrap();
    for number in 0..3 {
        one.handle.send(at_one.link, vec![number]).await.unwrap();
        assert_eq!(two.message(at_two.link).await, [number]);
    }
    let (one, two) = (one.stop().await, two.stop().await);
    for events in [one, two] {
        assert!(!events.iter().any(|event| matches!(event, Event::LinkUp { .. })), "{events:?}");
    }
}

#[tokio::test]
async fn a_link_can_be_made_again_after_its_end() {
    let (mut one, mut two) = (Node::start(loopback()).await, Node::start(loopback()).await);
    let mut hashes = std::collections::BTreeSet::new();
    for round in 0..4 {
        let (at_one, at_two) = link(&mut one, &mut two).await;
        assert!(hashes.insert(at_one.handshake_hash), "a hash came again");
        if round % 2 == 0 {
            one.handle.close(at_one.link).await;
        } else {
            two.handle.close(at_two.link).await;
        }
        let reasons = [one.down(at_one.link).await, two.down(at_two.link).await];
        assert!(reasons.contains(&CloseReason::ClosedHere), "{reasons:?}");
        assert!(reasons.contains(&CloseReason::ClosedThere), "{reasons:?}");
    }
}

#[tokio::test]
async fn two_networks_never_mix() {
    let mut one = Node::start(loopback()).await;
    let two = Node::start(Config::new("other", vec!["127.0.0.1:0".parse().unwrap()])).await;
    one.handle.dial(two.address).await.unwrap();
    let dialled = two.address;
    let pick = |event: &Event| match event {
        Event::DialFailed { address, reason } if *address == dialled => Some(reason.clone()),
        _ => None,
    };
    let reason = one.find("dial failed", pick).await;
    assert!(reason.contains("another network"), "{reason}");
    assert!(two.stop().await.is_empty());
}

#[tokio::test]
async fn dialling_nobody_says_so() {
    let mut node = Node::start(loopback()).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [nobody, node.address, "127.0.0.1:0".parse().unwrap()] {
        node.handle.dial(address).await.unwrap();
        let pick = |event: &Event| match event {
            Event::DialFailed { address: failed, .. } if *failed == address => Some(()),
            _ => None,
        };
        node.find("dial failed", pick).await;
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    match start(Config::new("test", vec![address])).await {
        Err(StartError::Listen { address: named, .. }) => assert_eq!(named, address),
        other => panic!("{:?}", other.map(|_| "started")),
    }
    assert!(matches!(
        start(Config::new("no good", vec![])).await,
        Err(StartError::NetworkTag { .. })
    ));
}

#[tokio::test]
async fn garbage_on_the_port_harms_nobody() {
    let (mut one, mut two) = (Node::start(loopback()).await, Node::start(loopback()).await);
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 5_000], b"\x13/multistream/1.0.0\n\xff\xff"]
    {
        let mut stream = TcpStream::connect(one.address).await.unwrap();
        let _ = stream.write_all(garbage).await;
        let mut answer = Vec::new();
        let _ = stream.shutdown().await;
        let _ = patient("the end of garbage", stream.read_to_end(&mut answer)).await;
    }
    link(&mut two, &mut one).await;
}

#[tokio::test]
async fn a_link_brings_no_more_than_its_rate() {
    const COUNT: u64 = 60;
    let rate = Rate { per_second: 50, burst: 10 };
    let limits = Limits { messages_per_link: rate, ..Limits::default() };
    let mut slow = Node::start(Config { limits, ..loopback() }).await;
    let mut quick = Node::start(loopback()).await;
    let (at_quick, at_slow) = link(&mut quick, &mut slow).await;
    let began = Instant::now();
    let sending = async {
        for number in 0..COUNT {
            quick.handle.send(at_quick.link, number.to_le_bytes().to_vec()).await.unwrap();
        }
    };
    let receiving = async {
        for number in 0..COUNT {
            assert_eq!(slow.message(at_slow.link).await, number.to_le_bytes());
        }
    };
    tokio::join!(sending, receiving);
    // The last message has to wait for all before it but the burst and itself. A slow machine only
    // adds to that.
    let least = Duration::from_millis(1000 * (COUNT - rate.burst - 1) / rate.per_second);
    assert!(began.elapsed() >= least, "{:?} of at least {least:?}", began.elapsed());
}

#[tokio::test]
async fn an_address_opens_no_more_connections_than_its_rate() {
    let rate = Rate { per_second: 1, burst: 5 };
    let limits = Limits { connections_per_address: rate, ..Limits::default() };
    let node = Node::start(Config { limits, ..loopback() }).await;
    let began = Instant::now();
    let mut greeted: u64 = 0;
    for _ in 0..40 {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        let hello = b"\x13/multistream/1.0.0\n";
        let _ = stream.write_all(hello).await;
        let mut answer = [0; 20];
        // A refused connection is closed without a word.
        if patient("an answer", stream.read_exact(&mut answer)).await.is_ok() {
            greeted += 1;
        }
    }
    let allowed = rate.burst + rate.per_second * (began.elapsed().as_secs() + 1);
    assert!((1..=allowed).contains(&greeted), "{greeted} greeted, {allowed} allowed");
}

#[tokio::test]
async fn links_are_limited() {
    let limits = Limits { links: 2, ..Limits::default() };
    let mut hub = Node::start(Config { limits, ..loopback() }).await;
    let mut spokes = Vec::new();
    for _ in 0..2 {
        let mut spoke = Node::start(loopback()).await;
        link(&mut spoke, &mut hub).await;
        spokes.push(spoke);
    }
    let mut third = Node::start(loopback()).await;
    third.handle.dial(hub.address).await.unwrap();
    let pick = |event: &Event| match event {
        Event::DialFailed { reason, .. } => Some(reason.clone()),
        Event::LinkUp { .. } => panic!("a third link"),
        _ => None,
    };
    assert_eq!(third.find("dial failed", pick).await, "no more links");
    let first = hub.handle.clone();
    let gone = spokes.swap_remove(0);
    gone.stop().await;
    let pick = |event: &Event| matches!(event, Event::LinkDown { .. }).then_some(());
    hub.find("link down", pick).await;
    drop(first);
    link(&mut third, &mut hub).await;
}

#[tokio::test]
async fn stopping_says_goodbye_and_ends_the_events() {
    let (mut one, mut two) = (Node::start(loopback()).await, Node::start(loopback()).await);
    let (at_one, at_two) = link(&mut one, &mut two).await;
    one.handle.send(at_one.link, vec![1]).await.unwrap();
    let events = one.stop().await;
    let stopped = |event: &Event| matches!(event, Event::LinkDown { link, reason: CloseReason::Stopped } if *link == at_one.link);
    assert!(events.iter().any(stopped), "{events:?}");
    assert_eq!(two.message(at_two.link).await, [1], "sent before the end");
    assert_eq!(two.down(at_two.link).await, CloseReason::ClosedThere);
    let handle = two.handle.clone();
    drop(two);
    let dial = async { while handle.dial("127.0.0.1:9".parse().unwrap()).await.is_ok() {} };
    patient("stop without a driver", dial).await;
}
