//! One radio against what hostile or unlucky centrals do to it, input by input.

use hundi_transports::ble::advertisement::{Advertisement, Beacon, decode};
use hundi_transports::ble::contacts::Address;
use hundi_transports::ble::hint::Session;
use hundi_transports::ble::radio::{Config, ConnectionId, Input, Output, Radio, Role};
use hundi_transports::channel::LinkKey;
use hundi_transports::link::{CloseReason, LinkEvent, LinkId};
use proptest::prelude::*;

use crate::ether::{Air, Ether};

fn radio() -> Radio {
    let mut radio = Radio::new(0, Config::new(b"net"), [1; 32]);
    let _ = radio.handle(0, Input::Powered(true));
    radio
}

fn connected(number: u64, role: Role) -> Input {
    let connection = ConnectionId(number);
    Input::Connected { connection, address: Address([7; 16]), role, bytes_max: 182, beacon: None }
}

/// The first fragment of a central that gives this tag, up to the hello.
fn hello(number: u64, tag: [u8; 2]) -> Input {
    let bytes = vec![0, 0x90, 0x10, tag[0], tag[1]];
    Input::Received { connection: ConnectionId(number), bytes }
}

fn is_dropped(outputs: &[Output], number: u64) -> bool {
    outputs.contains(&Output::Disconnect { connection: ConnectionId(number) })
}

/// Notifications reach every central: a second link under one tag would end the first.
#[test]
fn a_central_that_gives_anothers_tag_is_turned_away_without_a_word() {
    let mut radio = radio();
    for number in [1, 2, 3] {
        let _ = radio.handle(0, connected(number, Role::Peripheral));
    }
    assert!(!is_dropped(&radio.handle(1, hello(1, [8, 9])), 1));
    assert!(!is_dropped(&radio.handle(2, hello(2, [8, 10])), 2));
    let outputs = radio.handle(3, hello(3, [8, 9]));
    assert!(is_dropped(&outputs, 3), "{outputs:?}");
    let mut later = outputs;
    later.extend(radio.handle(4, hello(3, [8, 9])));
    later.extend(radio.handle(100, Input::Time));
    let said = |output: &&Output| matches!(output, Output::Notify { connection, .. } if *connection == ConnectionId(3));
    assert_eq!(later.iter().filter(said).count(), 0, "{later:?}");
}

/// Whoever begins anew again and again keeps its place no longer than others.
#[test]
fn beginning_anew_gains_no_time() {
    let mut radio = radio();
    let _ = radio.handle(0, connected(1, Role::Peripheral));
    for (at, tag) in [(1_000, 1), (4_000, 2), (9_000, 3)] {
        assert!(!is_dropped(&radio.handle(at, hello(1, [tag, 0])), 1));
    }
    assert!(!is_dropped(&radio.handle(9_999, Input::Time), 1));
    assert!(is_dropped(&radio.handle(10_000, Input::Time), 1));
}

/// The payee may connect, as a node of the mesh, to the payer that is connecting to it.
#[test]
fn a_connection_from_the_payee_is_not_the_one_that_was_asked_for() {
    let mut radio = radio();
    let uuid = [5; 16];
    let session = Session { uuid, key: LinkKey::from_bytes([77; 32]).public(), psm: None };
    let _ = radio.handle(0, Input::Pay { session, first: vec![3; 200], until_ms: 60_000 });
    let sighting = decode(&Advertisement::Payee(uuid).encode());
    let asked = radio.handle(1, Input::Sighted { address: Address([7; 16]), sighting });
    assert!(asked.iter().any(|output| matches!(output, Output::Connect { .. })), "{asked:?}");
    let _ = radio.handle(2, connected(1, Role::Peripheral));
    let outputs = radio.handle(3, connected(2, Role::Central));
    let first = outputs.iter().find_map(|output| match output {
        Output::Write { connection: ConnectionId(2), bytes } => Some(bytes),
        _ => None,
    });
    assert_eq!(first.map(|bytes| bytes[2]), Some(0x11), "it pays: {outputs:?}");
}

/// Also when nothing was on the air for a while in between.
#[test]
fn a_session_has_another_address_than_the_beacon_before_it() {
    let mut radio = radio();
    let key = LinkKey::from_bytes([77; 32]);
    let session = Session { uuid: [5; 16], key: key.public(), psm: None };
    let pay = Input::Pay { session, first: vec![3; 200], until_ms: 60_000 };
    assert!(radio.handle(1, pay).contains(&Output::StopAdvertising));
    let shown = radio.handle(2, Input::Invite(Some((session, key))));
    let bytes = Advertisement::Payee([5; 16]).encode();
    let advertise = Output::Advertise { bytes, new_address: true, fast: true };
    assert!(shown.contains(&advertise), "{shown:?}");
}

/// Its payer may be connecting: who has just shown a session connects to nobody, for a while.
#[test]
fn a_fresh_session_has_the_radio_to_itself() {
    let mut radio = radio();
    let key = LinkKey::from_bytes([77; 32]);
    let session = Session { uuid: [5; 16], key: key.public(), psm: None };
    let beacon = Beacon { fingerprint: [1; 6], id: [0; 4] };
    let sighting = decode(&Advertisement::Mesh(beacon).encode());
    let connects = |radio: &mut Radio, now_ms| {
        let seen = Input::Sighted { address: Address([9; 16]), sighting: sighting.clone() };
        let inputs = [(0_u64, seen), (10, Input::Time), (9_000, Input::Time)];
        let outputs =
            inputs.into_iter().flat_map(|(after_ms, input)| radio.handle(now_ms + after_ms, input));
        outputs.filter(|output| matches!(output, Output::Connect { .. })).count() > 0
    };
    let _ = radio.handle(100, Input::Invite(Some((session, key.clone()))));
    assert!(!connects(&mut radio, 200), "while its payer is expected");
    assert_eq!(radio.deadline(), Some(30_100));
    assert!(connects(&mut radio, 30_100), "a stall that always shows one hears news");
    let mut other = self::radio();
    let _ = other.handle(100, Input::Invite(Some((session, key))));
    let _ = other.handle(101, Input::Invite(None));
    assert!(connects(&mut other, 200), "and whose session is answered goes on at once");
}

/// A payer is told in time even if its adapter never comes, or goes while it looks.
#[test]
fn without_an_adapter_a_payment_is_given_up_in_time() {
    let mut radio = Radio::new(0, Config::new(b"net"), [1; 32]);
    let session = Session { uuid: [5; 16], key: LinkKey::from_bytes([77; 32]).public(), psm: None };
    let pay = |until_ms| Input::Pay { session, first: vec![3; 200], until_ms };
    assert_eq!(radio.handle(0, pay(20_000)), []);
    assert_eq!(radio.deadline(), Some(20_000));
    assert_eq!(radio.handle(20_000, Input::Time), [Output::NoAnswer]);
    assert_eq!(radio.deadline(), None);
    let _ = radio.handle(20_001, Input::Powered(true));
    let _ = radio.handle(20_002, pay(30_000));
    let _ = radio.handle(20_003, Input::Powered(false));
    assert_eq!(radio.deadline(), Some(30_000));
    assert_eq!(radio.handle(30_000, Input::Time), [Output::NoAnswer]);
}

/// Both ends are told that a link is one of a session before it comes up, and the payer ends it
/// with the answer.
#[test]
fn a_link_of_a_session_is_named_and_ends_with_the_answer() {
    let mut ether = Ether::new(5, Air::default());
    for at in 0..2 {
        ether.add(Config::new(b"net"));
        ether.handle(at, Input::Powered(true));
    }
    let key = LinkKey::from_bytes([77; 32]);
    let session = Session { uuid: [5; 16], key: key.public(), psm: None };
    ether.handle(0, Input::Invite(Some((session, key))));
    ether.handle(1, Input::Pay { session, first: vec![3; 200], until_ms: 60_000 });
    let mut named = [None; 2];
    let mut downs = Vec::new();
    for now_ms in (0..9_000).step_by(10) {
        ether.advance(now_ms);
        for (at, named) in named.iter_mut().enumerate() {
            while let Some(event) = ether.next_event(at) {
                match event {
                    Output::Session { link } => *named = Some(link),
                    Output::Link(LinkEvent::Up(info)) => assert_eq!(*named, Some(info.link)),
                    Output::First { link, .. } => ether.send(at, link, &[9]).unwrap(),
                    Output::Link(LinkEvent::Down { reason, .. }) => downs.push((at, reason)),
                    _ => {}
                }
            }
        }
    }
    downs.sort_unstable_by_key(|(at, _)| *at);
    let (here, there) = (CloseReason::ClosedHere, CloseReason::ClosedThere);
    assert_eq!(downs, [(0, there), (1, here)], "{named:?}");
}

/// A link on which nobody speaks is closed by its central; by the peripheral if the central only
/// keeps the place.
#[test]
fn a_place_that_is_not_used_is_taken_back() {
    let mut ether = Ether::new(5, Air::default());
    ether.add(Config::new(b"net"));
    ether.add(Config { idle_ms: 1_000_000, ..Config::new(b"net") });
    ether.connect(1, 0);
    let mut downs = Vec::new();
    for now_ms in (0..35_000).step_by(100) {
        ether.advance(now_ms);
        while let Some(event) = ether.next_event(0) {
            if let Output::Link(LinkEvent::Down { reason, .. }) = event {
                downs.push((now_ms, reason));
            }
        }
    }
    assert!(
        matches!(downs[..], [(30_000..31_000, CloseReason::ClosedHere)]),
        "{downs:?}, {} connections",
        ether.connections()
    );
}

/// A link that is being closed while nobody takes messages ends in its time, and nothing is called
/// again and again meanwhile.
#[test]
fn a_paused_link_that_closes_ends_and_keeps_nobody_busy() {
    let mut ether = Ether::new(5, Air::default());
    ether.add(Config::new(b"net"));
    ether.add(Config::new(b"net"));
    ether.connect(1, 0);
    ether.advance(2_000);
    let link = loop {
        if let Some(Output::Link(LinkEvent::Up(info))) = ether.next_event(1) {
            break info.link;
        }
    };
    // From now on nothing is heard, so nobody acknowledges the goodbye.
    ether.air.lost_per_mille = 1_000;
    ether.handle(1, Input::Close(link));
    ether.handle(1, Input::Pause(link));
    ether.advance(20_000);
    ether.handle(1, Input::Resume(link));
    let downs = core::iter::from_fn(|| ether.next_event(1));
    let of_link = |event: &Output| matches!(event, Output::Link(LinkEvent::Down { link: of, .. }) if *of == link);
    assert_eq!(downs.filter(of_link).count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Whatever the layers above and below do, in any order: the air's clock fails the test when a
    /// radio wants to be called without end at one time, and every link that came up ends.
    #[test]
    fn whatever_is_done_to_them_radios_rest_and_links_end(
        seed in any::<u64>(),
        lost_per_mille in 0_u64..400,
        deeds in proptest::collection::vec((0_u8..11, 0_usize..3, prop_oneof![Just(0), 0_u64..300, 0_u64..4_000]), 1..100),
    ) {
        let mut ether = Ether::new(seed, Air { lost_per_mille, jitter_ms: 10, ..Air::default() });
        let mut open: [Vec<LinkId>; 3] = Default::default();
        for at in 0..3 {
            ether.add(Config::new(b"net"));
            ether.handle(at, Input::Hold([at as u8; 32]));
            ether.handle(at, Input::Powered(true));
        }
        let key = LinkKey::from_bytes([77; 32]);
        let session = Session { uuid: [5; 16], key: key.public(), psm: None };
        let take = |ether: &mut Ether, open: &mut [Vec<LinkId>; 3]| {
            for (at, open) in open.iter_mut().enumerate() {
                while let Some(event) = ether.next_event(at) {
                    match event {
                        Output::Link(LinkEvent::Up(info)) => open.push(info.link),
                        Output::Link(LinkEvent::Down { link, .. }) => {
                            let known = open.iter().position(|known| *known == link);
                            open.remove(known.expect("each link ends once"));
                        }
                        _ => {}
                    }
                }
            }
        };
        for (deed, at, wait_ms) in deeds {
            let link = open[at].last().copied().unwrap_or(LinkId(0));
            match deed {
                0 => ether.handle(at, Input::Pause(link)),
                1 => ether.handle(at, Input::Resume(link)),
                2 => ether.handle(at, Input::Close(link)),
                3 => ether.handle(at, Input::Powered(wait_ms % 2 == 0)),
                4 => ether.handle(at, Input::Invite(Some((session, key.clone())))),
                5 => ether.handle(at, Input::Invite(None)),
                6 => {
                    let until_ms = ether.now_ms + 3 * wait_ms;
                    ether.handle(at, Input::Pay { session, first: vec![3; 900], until_ms });
                }
                7 => ether.set_place(at, (wait_ms % 2) as u32),
                8 => drop(ether.send(at, link, &vec![4; 20_000])),
                9 => drop(ether.connect(at, (at + 1) % 3)),
                _ => ether.handle(at, Input::ScanLost),
            }
            let until_ms = ether.now_ms + wait_ms;
            ether.advance(until_ms);
            take(&mut ether, &mut open);
        }
        for (at, open) in open.iter().enumerate() {
            for link in open {
                ether.handle(at, Input::Resume(*link));
            }
            ether.handle(at, Input::Powered(false));
            ether.handle(at, Input::StopPaying);
        }
        let until_ms = ether.now_ms + 60_000;
        ether.advance(until_ms);
        take(&mut ether, &mut open);
        prop_assert!(open.iter().all(Vec::is_empty), "{open:?}");
        prop_assert_eq!(ether.due(), None, "nothing is left to do");
    }
}
