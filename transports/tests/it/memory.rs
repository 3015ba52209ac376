//! What only the memory network promises: virtual time, luck from a seed, places.

use std::time::Duration;

use hundi_transports::limits::{MEMORY_WINDOW_BYTES, MEMORY_WINDOW_MESSAGES};
use hundi_transports::link::{CloseReason, LinkEvent, LinkId, SendError};
use hundi_transports::memory::{Conditions, ConnectError, Network, NodeId};
use proptest::prelude::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn bad() -> Conditions {
    Conditions {
        lost_per_mille: 300,
        held_back_per_mille: 300,
        segment_bytes: 64,
        ..Conditions::default()
    }
}

fn two_nodes(seed: u64, conditions: Conditions) -> (Network, NodeId, NodeId, LinkId) {
    let mut network = Network::new(seed, conditions);
    let (one, two) = (network.add_node(), network.add_node());
    let link = network.connect(Duration::ZERO, one, two).unwrap();
    (network, one, two, link)
}

/// All events of a node up to a time, with the times at which they happened.
fn history(network: &mut Network, node: NodeId, until: Duration) -> Vec<(Duration, LinkEvent)> {
    let mut seen = Vec::new();
    let mut now = Duration::ZERO;
    loop {
        while let Some(event) = network.next_event(now, node) {
            seen.push((now, event));
        }
        match network.next_due() {
            Some(due) if due <= until => now = due,
            _ => return seen,
        }
    }
}

fn run(seed: u64) -> Vec<(Duration, LinkEvent)> {
    let (mut network, one, two, link) = two_nodes(seed, bad());
    network.advance(seconds(5));
    for number in 0..20_u8 {
        network.send(seconds(5), one, link, &[number; 300]).unwrap();
    }
    history(&mut network, two, seconds(60))
}

#[test]
fn a_seed_fixes_everything_and_another_changes_it() {
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_bad_radio_makes_messages_late_never_wrong(
        seed in any::<u64>(),
        lost_per_mille in 0_u16..900,
        held_back_per_mille in 0_u16..1000,
        segment_bytes in 1_usize..200,
        lengths in proptest::collection::vec(1_usize..400, 1..12),
    ) {
        let conditions =
            Conditions { lost_per_mille, held_back_per_mille, segment_bytes, ..Conditions::default() };
        let (mut network, one, two, link) = two_nodes(seed, conditions);
        let mut now = Duration::ZERO;
        while network.send(now, one, link, &[0]) == Err(SendError::NoLink) {
            now = network.next_due().unwrap();
        }
        for length in &lengths {
            network.send(now, one, link, &vec![7; *length]).unwrap();
        }
        let seen = history(&mut network, two, seconds(100_000));
        let messages: Vec<usize> = seen
            .iter()
            .filter_map(|(_, event)| match event {
                LinkEvent::Message { bytes, .. } => Some(bytes.len()),
                _ => None,
            })
            .collect();
        prop_assert_eq!(&messages[1..], &lengths[..]);
    }

    #[test]
    fn injected_bytes_never_become_messages(
        garbage in proptest::collection::vec(any::<u8>(), 1..300),
        before_up in any::<bool>(),
    ) {
        let (mut network, one, two, link) = two_nodes(3, Conditions::default());
        let now = if before_up { Duration::ZERO } else { seconds(1) };
        network.inject(now, two, link, &garbage);
        for _ in 0..300 {
            if network.send(seconds(2), one, link, &[1; 300]).is_err() {
                break;
            }
        }
        let seen = history(&mut network, two, seconds(60));
        let is_message = |event: &LinkEvent| matches!(event, LinkEvent::Message { .. });
        prop_assert!(!seen.iter().any(|(_, event)| is_message(event)));
    }
}

#[test]
fn a_link_survives_a_short_separation_and_not_a_long_one() {
    let (mut network, one, two, link) = two_nodes(1, Conditions::default());
    assert!(matches!(network.next_event(seconds(1), two), Some(LinkEvent::Up(_))));
    network.set_place(seconds(2), two, 1);
    network.send(seconds(2), one, link, b"later").unwrap();
    assert_eq!(network.next_event(seconds(10), two), None);
    network.set_place(seconds(10), two, 0);
    let arrived = network.next_event(seconds(11), two);
    assert_eq!(arrived, Some(LinkEvent::Message { link, bytes: b"later".to_vec() }));
    network.set_place(seconds(20), two, 1);
    assert_eq!(network.next_event(seconds(34), two), None);
    let down = Some(LinkEvent::Down { link, reason: CloseReason::Silent });
    assert_eq!(network.next_event(seconds(36), two), down);
    assert!(matches!(network.next_event(seconds(36), one), Some(LinkEvent::Up(_))));
    assert_eq!(network.next_event(seconds(36), one), down);
    assert_eq!(network.connect(seconds(36), one, two), Err(ConnectError::OutOfReach));
    network.set_place(seconds(37), one, 1);
    assert!(network.connect(seconds(37), one, two).is_ok());
}

#[test]
fn a_handshake_that_is_cut_tells_nobody() {
    let (mut network, one, two, link) = two_nodes(1, Conditions::default());
    network.cut(Duration::ZERO, two, link, 10);
    network.advance(seconds(60));
    assert_eq!(network.next_event(seconds(60), one), None);
    assert_eq!(network.next_event(seconds(60), two), None);
    assert_eq!(network.next_due(), None);
}

#[test]
fn no_link_with_oneself_or_nobody() {
    let mut network = Network::new(1, Conditions::default());
    let one = network.add_node();
    assert_eq!(network.connect(Duration::ZERO, one, one), Err(ConnectError::NoSuchPair));
    assert_eq!(network.connect(Duration::ZERO, one, NodeId(9)), Err(ConnectError::NoSuchPair));
}

#[test]
fn the_window_is_full_until_the_other_end_takes_something() {
    let (mut network, one, two, link) = two_nodes(1, Conditions::default());
    let now = seconds(1);
    let mut accepted = 0;
    let full = loop {
        match network.send(now, one, link, &[1; 30_000]) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full, SendError::Full);
    assert!((1..=MEMORY_WINDOW_BYTES / 30_000).contains(&accepted));
    let later = seconds(2);
    assert_eq!(
        network.send(later, one, link, &[1; 30_000]),
        Err(SendError::Full),
        "arrived, not taken"
    );
    assert!(matches!(network.next_event(later, two), Some(LinkEvent::Up(_))));
    assert!(matches!(network.next_event(later, two), Some(LinkEvent::Message { .. })));
    assert_eq!(network.send(later, one, link, &[1; 30_000]), Ok(()));
    let mut tiny = 0;
    let (mut network, one, _, link) = two_nodes(1, Conditions::default());
    while network.send(now, one, link, &[1]).is_ok() {
        tiny += 1;
    }
    assert_eq!(tiny, MEMORY_WINDOW_MESSAGES, "many tiny messages are bounded by number");
}
