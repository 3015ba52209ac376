//! Gossip: nothing goes further before its verdict, copies collapse, limits hold.

use hundi_transport_libp2p::limits::GOSSIP_BYTES_MAX;
use hundi_transport_libp2p::{Config, Event, Limits, MessageId, PublishError, Verdict};
use hundi_transports::link::CloseReason;
use hundi_transports::rate::Rate;

use crate::kit::{Node, link, loopback};

/// Three nodes in a line: the first and the last know only the one in the middle.
async fn line() -> [Node; 3] {
    let mut nodes = [
        Node::start(loopback()).await,
        Node::start(loopback()).await,
        Node::start(loopback()).await,
    ];
    let [a, b, c] = &mut nodes;
    link(a, b).await;
    link(c, b).await;
    nodes
}

#[tokio::test]
async fn only_what_is_accepted_goes_further() {
    let [mut a, mut b, mut c] = line().await;
    // First let one through, so that both ends are known to listen.
    a.publish(b"first").await;
    let (message, from, bytes) = b.gossip().await;
    assert_eq!((message, bytes.as_slice()), (MessageId::of(b"first"), &b"first"[..]));
    assert!(from.is_some());
    b.handle.validate(message, Verdict::Accept).await;
    c.judge_until(b"first", Verdict::Accept).await;
    // Then messages that go no further, and at last one that does: what would have come has to
    // come before it.
    for (text, verdict) in [
        (&b"ignored"[..], Some(Verdict::Ignore)),
        (b"rejected", Some(Verdict::Reject)),
        (b"unanswered", None),
        (b"accepted", Some(Verdict::Accept)),
    ] {
        a.publish(text).await;
        let (message, _, bytes) = b.gossip().await;
        assert_eq!(bytes, text);
        if let Some(verdict) = verdict {
            b.handle.validate(message, verdict).await;
        }
    }
    let (message, _, bytes) = c.gossip().await;
    assert_eq!(bytes, b"accepted", "the first thing that came through");
    c.handle.validate(message, Verdict::Accept).await;
    // And back the other way, where C's own word reaches A through B.
    c.publish(b"answer").await;
    b.judge_until(b"answer", Verdict::Accept).await;
    a.judge_until(b"answer", Verdict::Accept).await;
    for node in [a, b, c] {
        let rest = node.stop().await;
        assert!(!rest.iter().any(|event| matches!(event, Event::Gossip { .. })), "{rest:?}");
    }
}

#[tokio::test]
async fn copies_collapse_and_limits_hold() {
    let (mut a, mut b) = (Node::start(loopback()).await, Node::start(loopback()).await);
    assert_eq!(a.handle.publish(vec![1]).await, Err(PublishError::NoPeers));
    link(&mut a, &mut b).await;
    a.publish(b"once").await;
    assert_eq!(a.handle.publish(b"once".to_vec()).await, Err(PublishError::Known));
    b.judge_until(b"once", Verdict::Accept).await;
    assert_eq!(b.handle.publish(b"once".to_vec()).await, Err(PublishError::Known));
    let longest = vec![7; GOSSIP_BYTES_MAX];
    a.publish(&longest).await;
    b.judge_until(&longest, Verdict::Accept).await;
    let (bytes, bytes_max) = (GOSSIP_BYTES_MAX + 1, GOSSIP_BYTES_MAX);
    let too_long = a.handle.publish(vec![7; bytes]).await;
    assert_eq!(too_long, Err(PublishError::TooLong { bytes, bytes_max }));
}

#[tokio::test]
async fn ten_peers_all_hear_each_other() {
    let mut nodes = Vec::new();
    for _ in 0..10 {
        nodes.push(Node::start(loopback()).await);
    }
    // A ring and nothing else: every message has to be carried.
    for number in 0..nodes.len() {
        let next = nodes[(number + 1) % nodes.len()].address;
        nodes[number].handle.dial(next).await.unwrap();
    }
    for node in &mut nodes {
        node.up().await;
        node.up().await;
    }
    let mut tasks = Vec::new();
    let (done, _) = tokio::sync::broadcast::channel::<()>(1);
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(nodes.len()));
    for (number, mut node) in nodes.into_iter().enumerate() {
        let barrier = barrier.clone();
        let mut done = done.subscribe();
        tasks.push(tokio::spawn(async move {
            let own = vec![u8::try_from(number).unwrap(); 100];
            node.publish(&own).await;
            let mut heard = std::collections::BTreeSet::from([own]);
            while heard.len() < 10 {
                let (message, _, bytes) = node.gossip().await;
                node.handle.validate(message, Verdict::Accept).await;
                assert!(heard.insert(bytes), "a copy came through");
            }
            // Others still need this node to carry.
            barrier.wait().await;
            drop(done.try_recv());
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_flooder_is_ignored_above_its_rate() {
    const COUNT: u64 = 200;
    let rate = Rate { per_second: 1, burst: 5 };
    let limits = Limits { gossip_per_link: rate, ..Limits::default() };
    let mut slow = Node::start(Config { limits, ..loopback() }).await;
    let mut flooder = Node::start(loopback()).await;
    let (at_flooder, at_slow) = link(&mut flooder, &mut slow).await;
    let began = std::time::Instant::now();
    flooder.publish(b"begin").await;
    for number in 0..COUNT {
        while flooder.handle.publish(number.to_le_bytes().to_vec()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    slow.gossip().await;
    // The link itself is not slowed down.
    flooder.handle.send(at_flooder.link, vec![1]).await.unwrap();
    slow.message(at_slow.link).await;
    let events = slow.stop().await;
    let heard = 1 + events.iter().filter(|event| matches!(event, Event::Gossip { .. })).count();
    let allowed = rate.burst + began.elapsed().as_secs() + 1;
    assert!(heard as u64 <= allowed, "{heard} of {COUNT} heard, {allowed} allowed");
}

#[tokio::test]
async fn a_peer_of_rejected_gossip_loses_its_link() {
    let (mut a, mut b) = (Node::start(loopback()).await, Node::start(loopback()).await);
    let (at_a, at_b) = link(&mut a, &mut b).await;
    let publishing = async {
        for number in 0_u32.. {
            if a.handle.publish(number.to_le_bytes().to_vec()).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    };
    let judging = async {
        loop {
            match b.next().await.unwrap() {
                Event::Gossip { message, .. } => b.handle.validate(message, Verdict::Reject).await,
                Event::LinkDown { link, reason } => return (link, reason),
                _ => {}
            }
        }
    };
    let down = tokio::select! {
        down = crate::kit::patient("misbehaved", judging) => down,
        () = publishing => unreachable!(),
    };
    assert_eq!(down, (at_b.link, CloseReason::Misbehaved));
    a.down(at_a.link).await;
}
