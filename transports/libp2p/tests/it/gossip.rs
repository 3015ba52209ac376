//! Gossip: nothing goes further before its verdict, copies collapse, limits hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hundi_transport_libp2p::limits::GOSSIP_BYTES_MAX;
use hundi_transport_libp2p::{Config, Event, Limits, MessageId, PublishError, Verdict};
use hundi_transports::link::CloseReason;
use hundi_transports::rate::Rate;

use crate::kit::{Node, link, loopback, patient};

/// Lets `from` say something new again and again until `to` has heard it through `between`, which
/// proves that all three know of each other.
async fn carry(from: &mut Node, between: &mut Node, to: &mut Node) {
    let saying = async {
        for number in 0_u32.. {
            let bytes = [b"until heard ".as_slice(), &number.to_le_bytes()].concat();
            let _ = from.handle.publish(bytes).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let carrying = async {
        loop {
            let (message, link, _) = between.gossip().await;
            assert!(link.is_some());
            between.handle.validate(message, Verdict::Accept).await;
        }
    };
    tokio::select! {
        () = saying => unreachable!(),
        () = carrying => unreachable!(),
        _ = to.gossip() => {}
    }
}

/// Takes gossip until the one with these bytes, passing over what `carry` left behind.
async fn hear(node: &mut Node, wanted: &[u8], verdict: Option<Verdict>) {
    loop {
        let (message, _, bytes) = node.gossip().await;
        let left_over = bytes.starts_with(b"until heard");
        assert!(left_over || bytes == wanted, "{:?} came through", String::from_utf8_lossy(&bytes));
        assert_eq!(message, MessageId::of(&bytes));
        if let Some(verdict) = if left_over { Some(Verdict::Ignore) } else { verdict } {
            node.handle.validate(message, verdict).await;
        }
        if !left_over {
            return;
        }
    }
}

#[tokio::test]
async fn only_what_is_accepted_goes_further() {
    // Three nodes in a line: the first and the last know only the one in the middle.
    let (mut a, mut b) = (Node::start(loopback()).await, Node::start(loopback()).await);
    let mut c = Node::start(loopback()).await;
    link(&mut a, &mut b).await;
    link(&mut c, &mut b).await;
    carry(&mut a, &mut b, &mut c).await;
    carry(&mut c, &mut b, &mut a).await;
    // Messages that go no further, and at last one that does: what would have come has to come
    // before it.
    for (text, verdict) in [
        (&b"ignored"[..], Some(Verdict::Ignore)),
        (b"rejected", Some(Verdict::Reject)),
        (b"unanswered", None),
        (b"accepted", Some(Verdict::Accept)),
    ] {
        a.publish(text).await;
        hear(&mut b, text, verdict).await;
    }
    hear(&mut c, b"accepted", Some(Verdict::Accept)).await;
    // And back the other way, where C's own word reaches A through B.
    c.publish(b"answer").await;
    hear(&mut b, b"answer", Some(Verdict::Accept)).await;
    hear(&mut a, b"answer", Some(Verdict::Accept)).await;
    for node in [a, b, c] {
        let rest = node.stop().await;
        let left_over = |event: &Event| match event {
            Event::Gossip { bytes, .. } => bytes.starts_with(b"until heard"),
            _ => true,
        };
        assert!(rest.iter().all(left_over), "{rest:?}");
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
    let barrier = Arc::new(tokio::sync::Barrier::new(nodes.len()));
    let mut tasks = Vec::new();
    for (own, mut node) in (0_u8..).zip(nodes) {
        let barrier = barrier.clone();
        tasks.push(tokio::spawn(async move {
            let mut copies = BTreeSet::new();
            let mut heard = BTreeSet::from([own]);
            let all_heard = barrier.wait();
            tokio::pin!(all_heard);
            // Says something new every now and then, because neighbours further on may not know of
            // each other at first, and carries for others until everyone has heard everyone.
            let mut round = 0_u32;
            let mut again = tokio::time::interval(Duration::from_millis(50));
            loop {
                tokio::select! {
                    _ = again.tick() => {
                        round += 1;
                        let bytes = [&[own], &round.to_le_bytes()[..]].concat();
                        let _ = node.handle.publish(bytes).await;
                    }
                    (message, _, bytes) = node.gossip() => {
                        node.handle.validate(message, Verdict::Accept).await;
                        heard.insert(bytes[0]);
                        assert!(copies.insert(bytes), "a copy came through");
                    }
                    _ = &mut all_heard, if heard.len() == 10 => return,
                }
            }
        }));
    }
    for task in tasks {
        patient("everyone hears everyone", task).await.unwrap();
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
                tokio::time::sleep(Duration::from_millis(10)).await;
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
        down = patient("misbehaved", judging) => down,
        () = publishing => unreachable!(),
    };
    assert_eq!(down, (at_b.link, CloseReason::Misbehaved));
    a.down(at_a.link).await;
}
