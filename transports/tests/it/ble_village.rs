//! Whole radios that advertise, scan, meet and pay, in virtual time.

use hundi_transports::ble::advertisement;
use hundi_transports::ble::hint::{self, Session};
use hundi_transports::ble::radio::{Config, ConnectionId, Input, Output};
use hundi_transports::channel::LinkKey;
use hundi_transports::link::{CloseReason, LinkEvent, LinkId};
use proptest::prelude::*;

use crate::ether::{Air, Ether};

/// A station for each of these holdings.
fn village(held: &[u8], air: Air) -> Ether {
    let mut ether = Ether::new(7, air);
    for held in held {
        let at = ether.add(Config::new(b"village"));
        ether.handle(at, Input::Hold([*held; 32]));
        ether.handle(at, Input::Powered(true));
    }
    ether
}

/// Everything that a station reported up to a time, with the time.
fn history(ether: &mut Ether, at: usize, until_ms: u64) -> Vec<Output> {
    let mut seen = Vec::new();
    loop {
        while let Some(event) = ether.next_event(at) {
            seen.push(event);
        }
        match ether.due().filter(|due| *due <= until_ms) {
            Some(due) => ether.advance(due),
            None => {
                ether.advance(until_ms);
                return seen;
            }
        }
    }
}

fn ups(seen: &[Output]) -> Vec<LinkId> {
    let up = |event: &Output| match event {
        Output::Link(LinkEvent::Up(info)) => Some(info.link),
        _ => None,
    };
    seen.iter().filter_map(up).collect()
}

fn downs(seen: &[Output]) -> Vec<CloseReason> {
    let down = |event: &Output| match event {
        Output::Link(LinkEvent::Down { reason, .. }) => Some(*reason),
        _ => None,
    };
    seen.iter().filter_map(down).collect()
}

fn invite() -> (Session, LinkKey) {
    let key = LinkKey::from_bytes([77; 32]);
    (Session { uuid: [5; 16], key: key.public(), psm: None }, key)
}

#[test]
fn nodes_that_differ_meet_once_and_then_rest() {
    let mut ether = village(&[1, 2], Air::default());
    let seen = history(&mut ether, 0, 30_000);
    assert_eq!((ups(&seen).len(), ether.connections_made), (1, 1));
    // Nobody spoke for ten seconds: the link was closed in order, and not made again at once.
    assert!(matches!(downs(&seen)[..], [CloseReason::ClosedHere | CloseReason::ClosedThere]));
    history(&mut ether, 0, 55_000);
    assert_eq!(ether.connections_made, 1);
    let seen = history(&mut ether, 0, 150_000);
    assert!(!ups(&seen).is_empty(), "they differ still, and meet again");
}

#[test]
fn nodes_in_sync_never_connect() {
    let mut ether = village(&[9, 9, 9], Air::default());
    ether.advance(1_000_000);
    assert_eq!(ether.connections_made, 0);
}

#[test]
fn who_awaits_an_answer_asks_its_neighbours_in_sync_and_no_other_connects() {
    let mut ether = village(&[9, 9, 9], Air::default());
    ether.handle(0, Input::Await(Some(1)));
    let seen = history(&mut ether, 0, 300_000);
    assert_eq!((ups(&seen).len(), ether.connections_made), (2, 2));
    ether.handle(0, Input::Await(None));
    ether.advance(3_000_000);
    assert_eq!(ether.connections_made, 2);
}

#[test]
fn who_was_met_before_a_payment_is_asked_for_its_answer_all_the_same() {
    let mut ether = village(&[8, 9], Air::default());
    history(&mut ether, 0, 60_000);
    let made = ether.connections_made;
    assert!(made > 0, "they differed");
    ether.handle(1, Input::Hold([8; 32]));
    ether.advance(200_000);
    assert_eq!(ether.connections_made, made, "in sync");
    for (newest, until_ms) in [(1, 300_000), (2, 400_000)] {
        ether.handle(0, Input::Await(Some(newest)));
        ether.advance(until_ms);
    }
    assert_eq!(ether.connections_made, made + 2, "for each payment once");
    ether.handle(0, Input::Await(Some(1)));
    ether.advance(500_000);
    assert_eq!(ether.connections_made, made + 2, "asked for that one already");
}

#[test]
fn a_link_that_a_payment_ends_has_not_asked_for_its_answer() {
    let mut ether = village(&[8, 9], Air::default());
    let seen = history(&mut ether, 0, 5_000);
    assert_eq!((ups(&seen).len(), downs(&seen).len()), (1, 0), "they are at it");
    ether.handle(0, Input::Await(Some(1)));
    let (session, _) = invite();
    ether.handle(0, Input::Pay { session, first: vec![1; 900], until_ms: 20_000 });
    ether.handle(1, Input::Hold([8; 32]));
    ether.advance(20_000);
    let made = ether.connections_made;
    let seen = history(&mut ether, 0, 120_000);
    assert_eq!((ups(&seen).len(), ether.connections_made), (1, made + 1), "asked when it has time");
}

#[test]
fn nodes_without_beacons_compare_after_connecting_and_go() {
    let mut ether = Ether::new(7, Air::default());
    for _ in 0..2 {
        let at = ether.add(Config { service_data: false, ..Config::new(b"village") });
        ether.handle(at, Input::Powered(true));
        ether.handle(at, Input::Hold([9; 32]));
    }
    let seen = history(&mut ether, 0, 100_000);
    assert_eq!(seen, []);
    assert!((1..=4).contains(&ether.connections_made), "{}", ether.connections_made);
}

#[test]
fn a_payment_goes_by_the_hint_of_a_request() {
    let mut ether = village(&[1, 1], Air::default());
    let (session, key) = invite();
    ether.handle(0, Input::Invite(Some((session, key))));
    let offer = vec![16; 1_496];
    let session = hint::decode(&session.encode()).unwrap();
    ether.handle(1, Input::Pay { session, first: offer.clone(), until_ms: 30_000 });
    assert!(ether.is_scanning(1));
    let seen = history(&mut ether, 0, 350);
    let [Output::Session { .. }, Output::Link(LinkEvent::Up(info)), Output::First { link, bytes }] =
        &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert_eq!((*link, bytes), (info.link, &offer));
    ether.send(0, info.link, &[17; 243]).unwrap();
    let seen = history(&mut ether, 1, 450);
    let [Output::Session { .. }, Output::Link(LinkEvent::Up(_)), answer, end] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(
        matches!(answer, Output::Link(LinkEvent::Message { bytes, .. }) if *bytes == [17; 243])
    );
    assert!(matches!(end, Output::Link(LinkEvent::Down { reason: CloseReason::ClosedHere, .. })));
    let seen = history(&mut ether, 1, 60_000);
    assert!(downs(&seen).is_empty());
    assert!(!seen.contains(&Output::NoAnswer));
}

/// A system may not show what a connected device advertises, and any of them may be the payee.
#[test]
fn a_payer_finds_the_payee_that_it_has_a_link_of_the_mesh_with() {
    for (payee, payer) in [(0, 1), (1, 0)] {
        let mut ether = village(&[1, 2], Air::default());
        assert_eq!(ups(&history(&mut ether, payer, 2_000)).len(), 1, "they differ");
        let (session, key) = invite();
        ether.handle(payee, Input::Invite(Some((session, key))));
        ether.handle(payer, Input::Pay { session, first: vec![16; 900], until_ms: 7_000 });
        assert_eq!(ether.advertised(payer), None, "nobody comes between");
        let seen = history(&mut ether, payee, 7_000);
        let found = |event: &Output| matches!(event, Output::First { .. });
        assert_eq!(seen.iter().filter(|event| found(event)).count(), 1, "{seen:?}");
        ether.handle(payer, Input::StopPaying);
        assert!(ether.advertised(payer).is_some(), "it takes part again");
    }
}

#[test]
fn a_payee_that_is_not_there_is_reported_in_time() {
    let mut ether = village(&[1, 1], Air::default());
    let (session, _) = invite();
    ether.handle(1, Input::Pay { session, first: vec![16; 300], until_ms: 20_000 });
    assert_eq!(history(&mut ether, 1, 19_000), []);
    assert_eq!(history(&mut ether, 1, 21_000), [Output::NoAnswer]);
    assert_eq!(ether.connections_made, 0);
}

/// A payee that was photographed and a payee behind another key are different things.
#[test]
fn who_copies_the_session_without_its_key_learns_nothing() {
    let mut ether = village(&[1, 1], Air::default());
    let (session, _) = invite();
    let other = LinkKey::from_bytes([78; 32]);
    ether.handle(0, Input::Invite(Some((Session { key: other.public(), ..session }, other))));
    ether.handle(1, Input::Pay { session, first: vec![16; 300], until_ms: 5_000 });
    let thief = history(&mut ether, 0, 6_000);
    assert!(!thief.iter().any(|event| matches!(event, Output::First { .. })), "{thief:?}");
    assert!(ups(&thief).is_empty());
    assert!(history(&mut ether, 1, 6_000).contains(&Output::NoAnswer));
}

#[test]
fn several_centrals_share_one_peripheral() {
    let air = Air { lost_per_mille: 20, jitter_ms: 10, ..Air::default() };
    let mut ether = Ether::new(3, air);
    for _ in 0..4 {
        ether.add(Config::new(b"village"));
    }
    for central in 1..4 {
        ether.connect(central, 0);
    }
    let at_hub = ups(&history(&mut ether, 0, 8_000));
    assert_eq!(at_hub.len(), 3);
    let links: Vec<LinkId> =
        (1..4).map(|central| ups(&history(&mut ether, central, 8_000))[0]).collect();
    for (central, link) in (1..4).zip(&links) {
        ether.send(central, *link, &vec![central as u8; 3_000]).unwrap();
    }
    let seen = history(&mut ether, 0, 9_900);
    let mut answers = 0;
    for event in seen {
        if let Output::Link(LinkEvent::Message { link, bytes }) = event {
            // Everybody hears the fragments of everybody's answer.
            ether.send(0, link, &bytes).unwrap();
            answers += 1;
        }
    }
    assert_eq!(answers, 3);
    for central in 1..4 {
        let seen = history(&mut ether, central, 12_000);
        let messages: Vec<&Vec<u8>> = seen
            .iter()
            .filter_map(|event| match event {
                Output::Link(LinkEvent::Message { bytes, .. }) => Some(bytes),
                _ => None,
            })
            .collect();
        assert_eq!(messages, [&vec![central as u8; 3_000]]);
    }
}

#[test]
fn id_and_address_change_together_and_a_session_has_an_address_of_its_own() {
    let mut ether = village(&[1], Air::default());
    let mut known = Vec::new();
    for now_ms in (3_000..6_000_000).step_by(10_000) {
        ether.advance(now_ms);
        let beacon = advertisement::decode(ether.advertised(0).unwrap()).beacon.unwrap();
        let pair = (beacon, ether.address(0));
        if known.last() != Some(&pair) {
            assert!(known.iter().all(|(old, address)| old.id != beacon.id && *address != pair.1));
            assert!(known.iter().all(|(old, _)| old.fingerprint != beacon.fingerprint));
            known.push(pair);
        }
    }
    assert!((5..=10).contains(&known.len()), "{}", known.len());
    let before = ether.address(0);
    ether.handle(0, Input::Invite(Some(invite())));
    assert_eq!(advertisement::decode(ether.advertised(0).unwrap()).services, [invite().0.uuid]);
    let during = ether.address(0);
    assert_eq!(ether.radio(0).beacon(), None, "whoever reads INFO learns no id");
    ether.handle(0, Input::Invite(None));
    assert!(advertisement::decode(ether.advertised(0).unwrap()).is_mesh());
    assert!(before != during && during != ether.address(0));
}

#[test]
fn an_adapter_that_goes_and_returns_is_used_again() {
    let mut ether = village(&[1, 2], Air::default());
    while ether.connections() == 0 {
        let due = ether.due().unwrap();
        ether.advance(due);
    }
    ether.advance(ether.now_ms + 500);
    ether.handle(0, Input::Powered(false));
    let now_ms = ether.now_ms;
    let seen = history(&mut ether, 0, now_ms);
    assert_eq!(downs(&seen), [CloseReason::Cut]);
    ether.disconnect(ConnectionId(0));
    ether.advance(now_ms + 300_000);
    assert_eq!(ether.connections_made, 1);
    ether.handle(0, Input::Powered(true));
    let seen = history(&mut ether, 0, now_ms + 400_000);
    assert!(!ups(&seen).is_empty());
}

#[test]
fn a_crowd_of_hostile_centrals_takes_the_places_and_no_more() {
    let mut ether = Ether::new(3, Air::default());
    for _ in 0..101 {
        ether.add(Config::new(b"village"));
    }
    for central in 1..101 {
        let connection = ether.connect(central, 0);
        // They say nothing that anybody understands.
        ether.inject(0, connection, &[0x00, 0x90, 0x10]);
    }
    ether.advance(100);
    assert!(ether.connections() <= 3, "{}", ether.connections());
    ether.advance(60_000);
    assert_eq!(ether.connections(), 0, "and loses them");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Wherever a payment is cut, payer and payee end with one offer and one answer once they are
    /// in reach again; every offer that arrived is the same.
    #[test]
    fn a_payment_that_is_cut_anywhere_resumes(
        seed in any::<u64>(),
        cut_ms in 0_u64..600,
        apart_ms in 0_u64..8_000,
        lost_per_mille in 0_u64..150,
        bytes_max in prop_oneof![Just(182_usize), Just(244), Just(512), Just(2_048)],
    ) {
        let air = Air { bytes_max, lost_per_mille, jitter_ms: 10, ..Air::default() };
        let mut ether = Ether::new(seed, air);
        for _ in 0..2 {
            let at = ether.add(Config::new(b"village"));
            ether.handle(at, Input::Powered(true));
        }
        let (session, key) = invite();
        ether.handle(0, Input::Invite(Some((session, key))));
        let offer: Vec<u8> = (0..1_496).map(|at| (at % 253) as u8).collect();
        ether.handle(1, Input::Pay { session, first: offer.clone(), until_ms: 120_000 });
        let (mut answered, mut offers) = (false, 0);
        for now_ms in (0..120_000).step_by(5) {
            if now_ms >= cut_ms && now_ms < cut_ms + 5 {
                ether.set_place(0, 1);
            }
            if now_ms >= cut_ms + apart_ms && now_ms < cut_ms + apart_ms + 5 {
                ether.set_place(0, 0);
            }
            ether.advance(now_ms);
            while let Some(event) = ether.next_event(0) {
                if let Output::First { link, bytes } = event {
                    prop_assert_eq!(&bytes, &offer);
                    offers += 1;
                    // The link may be gone already.
                    let _ = ether.send(0, link, &[17; 243]);
                }
            }
            while let Some(event) = ether.next_event(1) {
                prop_assert!(event != Output::NoAnswer);
                if let Output::Link(LinkEvent::Message { bytes, .. }) = event {
                    prop_assert_eq!(bytes, vec![17; 243]);
                    answered = true;
                }
            }
            if answered {
                break;
            }
        }
        prop_assert!(answered && offers >= 1);
    }
}
