//! One suite for every kind of link: what [`crate::link`] promises, tried from outside.
//!
//! A link crate implements [`Rig`] for itself and calls [`conformance_tests!`](crate::conformance_tests)
//! in its test binary. The suite panics where a link breaks its word, as tests do. It never sleeps
//! and reads no clock: only a link that hangs is found by time, by a generous limit.

use core::future::Future;
use core::time::Duration;
use std::collections::BTreeSet;

use tokio::time::timeout;

use crate::limits::MESSAGE_BYTES_MAX;
use crate::link::{CloseReason, Endpoint, HandshakeHash, LinkEvent, LinkId, LinkInfo, SendError};

/// How long anything may take before the suite says that a link hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the suite needs to try one kind of link.
pub trait Rig: Sized + Send {
    /// One end of the transport under test.
    type End: Endpoint;

    /// A rig with this many endpoints that know nothing of each other yet.
    fn new(count: usize) -> impl Future<Output = (Self, Vec<Self::End>)> + Send;

    /// Makes endpoint `from` begin a link with endpoint `to`, on a path that the rig can disturb.
    /// Returns before the link is up.
    fn connect(&mut self, from: usize, to: usize) -> impl Future<Output = ()> + Send;

    /// Lets `after_bytes` more bytes reach `to` on the path that `from` began, then severs it.
    fn cut(
        &mut self,
        from: usize,
        to: usize,
        after_bytes: usize,
    ) -> impl Future<Output = ()> + Send;

    /// Lets `to` receive bytes that nobody sent, on the path that `from` began.
    fn garble(&mut self, from: usize, to: usize) -> impl Future<Output = ()> + Send;

    /// Bytes that a sender may get rid of at most while nobody takes them at the other end: all
    /// buffers between the two, the system's included.
    fn backlog_bytes_max() -> usize;
}

async fn patient<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(result) => result,
        Err(_) => panic!("hangs: {what}"),
    }
}

async fn event<E: Endpoint>(end: &mut E) -> LinkEvent {
    match patient("next event", end.next()).await {
        Some(event) => event,
        None => panic!("the transport stopped"),
    }
}

async fn up<E: Endpoint>(end: &mut E) -> LinkInfo {
    match event(end).await {
        LinkEvent::Up(info) => info,
        other => panic!("a link should come up first: {other:?}"),
    }
}

async fn message<E: Endpoint>(end: &mut E, from: LinkId) -> Vec<u8> {
    match event(end).await {
        LinkEvent::Message { link, bytes } if link == from => bytes,
        other => panic!("a message on {from} should come: {other:?}"),
    }
}

async fn send<E: Endpoint>(end: &E, link: LinkId, bytes: Vec<u8>) {
    let sent = patient("send", end.send(link, bytes)).await;
    assert_eq!(sent, Ok(()), "send on {link}");
}

/// Two endpoints with one link, begun by the first.
async fn pair<R: Rig>() -> (R, [R::End; 2], [LinkInfo; 2]) {
    let (mut rig, ends) = R::new(2).await;
    rig.connect(0, 1).await;
    let Ok([mut one, mut two]) = <[R::End; 2]>::try_from(ends) else {
        panic!("the rig should make two endpoints");
    };
    let infos = [up(&mut one).await, up(&mut two).await];
    (rig, [one, two], infos)
}

/// A message that says which one it is, of a length that varies from 1 to `bytes_max`.
fn numbered(number: u32, bytes_max: usize) -> Vec<u8> {
    let spread = (number as usize).wrapping_mul(7_919) % bytes_max;
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(spread.max(4), u8::try_from(number % 251).unwrap_or(0));
    bytes
}

/// Both ends hold the same handshake hash and exactly one of them began.
pub async fn both_ends_agree<R: Rig>() {
    let (_rig, _ends, [one, two]) = pair::<R>().await;
    assert_eq!(one.handshake_hash, two.handshake_hash);
    assert_ne!(one.handshake_hash, HandshakeHash([0; 32]));
    assert!(one.initiator && !two.initiator, "the end that connected is the initiator");
    assert_eq!(one.message_bytes_max, MESSAGE_BYTES_MAX);
    assert_eq!(two.message_bytes_max, MESSAGE_BYTES_MAX);
}

/// Messages arrive whole and in order, both ways at once, from one byte to the longest.
pub async fn messages_arrive_in_order<R: Rig>() {
    const COUNT: u32 = 200;
    let (_rig, [mut one, mut two], [at_one, at_two]) = pair::<R>().await;
    async fn talk<E: Endpoint>(end: &mut E, link: LinkId, say: &[Vec<u8>], hear: &[Vec<u8>]) {
        let (mut said, mut heard) = (0, 0);
        while said < say.len() || heard < hear.len() {
            if said < say.len() {
                match end.try_send(link, say[said].clone()) {
                    Ok(()) => {
                        said += 1;
                        continue;
                    }
                    Err(SendError::Full) => {}
                    Err(error) => panic!("message {said}: {error}"),
                }
            }
            if heard < hear.len() {
                assert_eq!(message(end, link).await, hear[heard], "message {heard}");
                heard += 1;
            } else {
                send(end, link, say[said].clone()).await;
                said += 1;
            }
        }
    }
    let mut say: Vec<Vec<u8>> = (0..COUNT).map(|number| numbered(number, 9_000)).collect();
    say.push(vec![1]);
    say.push(vec![2; MESSAGE_BYTES_MAX]);
    let hear: Vec<Vec<u8>> = say.iter().rev().cloned().collect();
    tokio::join!(
        talk(&mut one, at_one.link, &say, &hear),
        talk(&mut two, at_two.link, &hear, &say),
    );
}

/// A message too long, or empty, is refused before it is sent, and the link lives on.
pub async fn the_message_limit_is_kept<R: Rig>() {
    let (_rig, [one, mut two], [at_one, at_two]) = pair::<R>().await;
    let (bytes, bytes_max) = (MESSAGE_BYTES_MAX + 1, MESSAGE_BYTES_MAX);
    let too_long = Err(SendError::TooLong { bytes, bytes_max });
    assert_eq!(one.send(at_one.link, vec![0; bytes]).await, too_long);
    assert_eq!(one.try_send(at_one.link, vec![0; bytes]), too_long);
    assert_eq!(one.send(at_one.link, vec![]).await, Err(SendError::Empty));
    assert_eq!(one.try_send(LinkId(u64::MAX), vec![1]), Err(SendError::NoLink));
    send(&one, at_one.link, vec![3; MESSAGE_BYTES_MAX]).await;
    assert_eq!(message(&mut two, at_two.link).await, vec![3; MESSAGE_BYTES_MAX]);
}

/// A sender whose messages nobody takes is stopped after a bounded number of bytes, nothing of
/// them is lost, and it goes on when they are taken.
pub async fn a_slow_reader_slows_the_sender<R: Rig>() {
    const LENGTH: usize = 32 * 1024;
    let (_rig, [one, mut two], [at_one, at_two]) = pair::<R>().await;
    let piece = |number: u32| {
        let mut bytes = vec![9; LENGTH];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    let mut accepted: u32 = 0;
    // The pause lets what is under way settle. Where it is too short the bound is only easier to
    // keep, so time never fails this test.
    while let Ok(sent) =
        timeout(Duration::from_secs(2), one.send(at_one.link, piece(accepted))).await
    {
        assert_eq!(sent, Ok(()));
        accepted += 1;
        assert!(
            accepted as usize * LENGTH <= R::backlog_bytes_max(),
            "{} bytes accepted while nobody reads",
            accepted as usize * LENGTH
        );
    }
    assert!(accepted > 0);
    for number in 0..accepted {
        assert_eq!(message(&mut two, at_two.link).await, piece(number), "message {number}");
    }
    send(&one, at_one.link, vec![1]).await;
    assert_eq!(message(&mut two, at_two.link).await, [1]);
}

/// What was sent before a close arrives; then both ends see the end and why, and sending is over.
pub async fn a_close_is_seen_at_both_ends<R: Rig>() {
    let (_rig, [mut one, mut two], [at_one, at_two]) = pair::<R>().await;
    for number in 0..5 {
        send(&one, at_one.link, vec![number]).await;
    }
    one.close(at_one.link).await;
    for number in 0..5 {
        assert_eq!(message(&mut two, at_two.link).await, [number]);
    }
    let (link, reason) = (at_two.link, CloseReason::ClosedThere);
    assert_eq!(event(&mut two).await, LinkEvent::Down { link, reason });
    let (link, reason) = (at_one.link, CloseReason::ClosedHere);
    assert_eq!(event(&mut one).await, LinkEvent::Down { link, reason });
    assert_eq!(one.send(at_one.link, vec![1]).await, Err(SendError::NoLink));
    assert_eq!(two.try_send(at_two.link, vec![1]), Err(SendError::NoLink));
    one.close(at_one.link).await;
}

/// Cut anywhere, the receiver has whole messages, the first ones, and both ends see the end.
pub async fn a_cut_leaves_only_whole_messages<R: Rig>() {
    const LENGTH: usize = 3_000;
    for after_bytes in [1, 2, 700, 3_001, 10_000] {
        let (mut rig, [mut one, mut two], [at_one, at_two]) = pair::<R>().await;
        rig.cut(0, 1, after_bytes).await;
        for number in 0..8 {
            // The cut may have been noticed already.
            let sent = patient("send", one.send(at_one.link, vec![number; LENGTH])).await;
            assert!(matches!(sent, Ok(()) | Err(SendError::NoLink)), "{sent:?}");
        }
        let mut received = 0;
        let reason = loop {
            match event(&mut two).await {
                LinkEvent::Message { bytes, .. } => {
                    assert_eq!(bytes, vec![received; LENGTH], "message {received} whole");
                    received += 1;
                }
                LinkEvent::Down { link, reason } => {
                    assert_eq!(link, at_two.link);
                    break reason;
                }
                LinkEvent::Up(info) => panic!("another link: {info:?}"),
            }
        };
        assert!(usize::from(received) * LENGTH <= after_bytes, "{received} after {after_bytes}");
        assert!(!matches!(reason, CloseReason::ClosedHere | CloseReason::ClosedThere), "{reason}");
        match event(&mut one).await {
            LinkEvent::Down { link, .. } => assert_eq!(link, at_one.link),
            other => panic!("the sender should see the end: {other:?}"),
        }
    }
}

/// One endpoint has several links at once: ids and hashes differ, messages do not mix, and the end
/// of one leaves the others alone.
pub async fn several_links_live_side_by_side<R: Rig>() {
    const SPOKES: usize = 4;
    let (mut rig, mut ends) = R::new(SPOKES + 1).await;
    let mut at_hub = Vec::new();
    let mut at_spoke = Vec::new();
    for spoke in 1..=SPOKES {
        // Both directions of beginning.
        if spoke % 2 == 0 {
            rig.connect(0, spoke).await
        } else {
            rig.connect(spoke, 0).await
        }
        let hub = up(&mut ends[0]).await;
        let other = up(&mut ends[spoke]).await;
        assert_eq!(hub.handshake_hash, other.handshake_hash);
        assert_eq!(hub.initiator, spoke % 2 == 0);
        assert_ne!(hub.initiator, other.initiator);
        at_hub.push(hub);
        at_spoke.push(other);
    }
    let ids: BTreeSet<LinkId> = at_hub.iter().map(|info| info.link).collect();
    let hashes: BTreeSet<HandshakeHash> = at_hub.iter().map(|info| info.handshake_hash).collect();
    assert_eq!((ids.len(), hashes.len()), (SPOKES, SPOKES));
    for round in 0..10_u8 {
        for (spoke, info) in (1_u8..).zip(&at_hub) {
            send(&ends[0], info.link, vec![spoke, round]).await;
        }
    }
    for (spoke, info) in (1_u8..).zip(&at_spoke) {
        for round in 0..10_u8 {
            let end = &mut ends[usize::from(spoke)];
            assert_eq!(message(end, info.link).await, [spoke, round]);
        }
    }
    ends[1].close(at_spoke[0].link).await;
    let (link, reason) = (at_hub[0].link, CloseReason::ClosedThere);
    assert_eq!(event(&mut ends[0]).await, LinkEvent::Down { link, reason });
    send(&ends[0], at_hub[1].link, vec![77]).await;
    assert_eq!(message(&mut ends[2], at_spoke[1].link).await, [77]);
}

/// Bytes that nobody sent end the link; they never become a message, nor a panic.
pub async fn garbage_ends_the_link<R: Rig>() {
    let (mut rig, [one, mut two], [at_one, at_two]) = pair::<R>().await;
    rig.garble(0, 1).await;
    // Bytes that are sent afterwards carry the receiver over whatever length the garbage stated.
    let pushing = async {
        while one.send(at_one.link, vec![5; 1_000]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let listening = async {
        match event(&mut two).await {
            LinkEvent::Down { link, reason } => {
                assert_eq!(link, at_two.link);
                assert!(matches!(reason, CloseReason::Misbehaved | CloseReason::Cut), "{reason}");
            }
            other => panic!("nothing may come through: {other:?}"),
        }
    };
    tokio::select! {
        () = listening => {}
        () = async { pushing.await; core::future::pending().await } => {}
    }
}

/// Makes one test of each function of the suite, for one [`Rig`].
#[macro_export]
macro_rules! conformance_tests {
    ($rig:ty: $($name:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::conformance::$name::<$rig>().await;
            }
        )+
    };
    ($rig:ty) => {
        $crate::conformance_tests!(
            $rig: both_ends_agree,
            messages_arrive_in_order,
            the_message_limit_is_kept,
            a_slow_reader_slows_the_sender,
            a_close_is_seen_at_both_ends,
            a_cut_leaves_only_whole_messages,
            several_links_live_side_by_side,
            garbage_ends_the_link,
        );
    };
}
