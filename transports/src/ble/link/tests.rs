//! Two links over air that is good or bad, in virtual time; payments; hostile ends.

use proptest::prelude::*;

use super::*;
use crate::ble::hint::Session;
use crate::ble::limits::{ANSWER_WAIT_MS, FIRST_PAYLOAD_BYTES_MAX};
use crate::ble::limits::{OPENING_EARLY_BYTES_MAX, WINDOW_FRAGMENTS};
use crate::ble::rig::{Air, Weather};
use crate::channel::LinkKey;

const QUIET: Weather =
    Weather { lost_per_mille: 0, doubled_per_mille: 0, early_ms: 20, late_ms_max: 0, turn_ms: 0 };

fn setting(who: u8) -> Setting<'static> {
    Setting { network: b"net", greeting: [who; 4], entropy: [who; 32] }
}

fn session() -> (Session, LinkKey) {
    let key = LinkKey::from_bytes([77; 32]);
    (Session { uuid: [5; 16], key: key.public(), psm: None }, key)
}

/// A central's link, a peripheral's link, and the air between them.
struct World {
    links: [Link; 2],
    air: Air,
    now_ms: u64,
    bytes_max: usize,
    seen: [Vec<Event>; 2],
    sent: [usize; 2],
    /// Steps taken without time passing.
    still: usize,
}

impl World {
    fn new(seed: u64, weather: Weather, bytes_max: usize, callee: Callee) -> Self {
        let links = [
            Link::initiate(0, &setting(1), callee),
            Link::respond(0, &setting(2), Some(session())),
        ];
        let air = Air::new(seed, weather);
        World { links, air, now_ms: 0, bytes_max, seen: Default::default(), sent: [0; 2], still: 0 }
    }

    fn strangers(seed: u64, weather: Weather, bytes_max: usize) -> Self {
        World::new(seed, weather, bytes_max, Callee::Stranger)
    }

    fn speak(&mut self) {
        for side in 0..2 {
            while let Some(bytes) = self.links[side].transmit(self.now_ms, self.bytes_max) {
                assert!(bytes.len() <= self.bytes_max);
                self.sent[side] += 1;
                self.air.send(self.now_ms, side, bytes);
            }
            while let Some(event) = self.links[side].next_event(self.now_ms) {
                self.seen[side].push(event);
            }
        }
    }

    /// Goes on to what happens next, not beyond `until_ms`.
    fn step(&mut self, until_ms: u64) -> bool {
        self.speak();
        let due = self.links.iter().filter_map(Link::deadline).chain(self.air.due()).min();
        let Some(due) = due.filter(|due| *due <= until_ms) else { return false };
        self.still = if due > self.now_ms { 0 } else { self.still + 1 };
        assert!(self.still < 100, "busy without anything to do: {:?}", self.links);
        self.now_ms = self.now_ms.max(due);
        while let Some((to, bytes)) = self.air.arrive(self.now_ms) {
            assert!(!self.links[to].receive(self.now_ms, &bytes));
        }
        self.links.iter_mut().for_each(|link| link.on_time(self.now_ms));
        self.speak();
        true
    }

    fn run(&mut self, until_ms: u64) {
        while self.step(until_ms) {}
        self.now_ms = self.now_ms.max(until_ms);
    }

    fn run_until(&mut self, met: impl Fn(&World) -> bool) {
        while !met(self) {
            assert!(self.step(u64::MAX), "nothing happens any more: {:?}", self.seen);
        }
    }

    /// Both ends say messages of these lengths as soon as they can; when all were heard the central
    /// closes. Runs until nothing happens any more.
    fn talk(&mut self, lengths: &[usize]) {
        let (mut said, mut closed) = ([0, 0], false);
        loop {
            for (side, said) in said.iter_mut().enumerate() {
                while is_up(self, side) && *said < lengths.len() {
                    match self.links[side].send(&vec![*said as u8; lengths[*said]]) {
                        Ok(()) => *said += 1,
                        Err(_) => break,
                    }
                }
            }
            if !closed && (0..2).all(|side| self.messages(side).len() == lengths.len()) {
                closed = true;
                self.links[0].close(self.now_ms);
            }
            if !self.step(6_000_000) {
                return;
            }
        }
    }

    fn messages(&self, side: usize) -> Vec<Vec<u8>> {
        let of = |event: &Event| match event {
            Event::Message(bytes) => Some(bytes.clone()),
            _ => None,
        };
        self.seen[side].iter().filter_map(of).collect()
    }

    fn down(&self, side: usize) -> Option<CloseReason> {
        self.seen[side].iter().find_map(|event| match event {
            Event::Down(reason) => Some(*reason),
            _ => None,
        })
    }
}

fn callee(known: bool) -> Callee {
    if known {
        Callee::Payee { session: session().0, first: vec![9; 700] }
    } else {
        Callee::Stranger
    }
}

fn is_up(world: &World, side: usize) -> bool {
    world.seen[side].iter().any(|event| matches!(event, Event::Up { .. }))
}

#[test]
fn strangers_meet_and_know_under_which_ids_they_advertise() {
    let mut world = World::strangers(1, QUIET, 182);
    world.run_until(|world| is_up(world, 0) && is_up(world, 1));
    let (
        Event::Up { handshake_hash: one, greeting: from_two },
        Event::Up { handshake_hash: two, greeting: from_one },
    ) = (&world.seen[0][0], &world.seen[1][0])
    else {
        panic!("{:?}", world.seen);
    };
    assert_eq!((one, from_two, from_one), (two, &Some([2; 4]), &Some([1; 4])));
    for side in 0..2 {
        world.links[side].send(&[side as u8; 3_000]).unwrap();
    }
    world.run(1_000);
    assert_eq!(world.messages(0), [vec![1; 3_000]]);
    assert_eq!(world.messages(1), [vec![0; 3_000]]);
    world.links[1].close(world.now_ms);
    world.run_until(|world| world.down(0).is_some() && world.down(1).is_some());
    assert_eq!(
        (world.down(0), world.down(1)),
        (Some(CloseReason::ClosedThere), Some(CloseReason::ClosedHere))
    );
    world.run(60_000);
    assert!(world.links.iter().all(|link| link.is_over(world.now_ms)));
    assert!(world.links.iter().all(|link| link.deadline().is_none_or(|due| due <= world.now_ms)));
}

/// A link on which nobody speaks lives, and one whose other end went away ends.
#[test]
fn a_quiet_link_lives_and_a_dead_one_ends() {
    let mut world = World::strangers(1, QUIET, 182);
    world.run(120_000);
    assert!(world.links.iter().all(Link::is_open), "{:?}", world.seen);
    world.links[1] = Link::respond(world.now_ms, &setting(3), None);
    world.run(150_000);
    assert_eq!(world.down(0), Some(CloseReason::Silent));
}

/// The payment rides in the first flight, the receipt in the answer.
#[test]
fn a_payment_takes_one_round_trip() {
    for (bytes_max, writes, notifications) in [(182, 9, 2), (244, 7, 2), (510, 4, 1), (2_048, 1, 1)]
    {
        let payment = vec![16; 1_496];
        let callee = Callee::Payee { session: session().0, first: payment.clone() };
        let mut world = World::new(1, QUIET, bytes_max, callee);
        world.speak();
        assert_eq!(world.sent, [writes, 0], "the first flight at {bytes_max}");
        world.run_until(|world| is_up(world, 1));
        assert_eq!(world.now_ms, 20);
        assert_eq!(world.seen[1][1], Event::Replayable(payment));
        assert_eq!(
            world.air.due(),
            if writes > 7 { Some(40) } else { None },
            "it waits for the receipt"
        );
        world.links[1].send(&[17; 243]).unwrap();
        world.run_until(|world| world.seen[0].len() >= 2);
        assert_eq!(world.now_ms, 40, "one round trip");
        assert_eq!(world.messages(0), [vec![17; 243]]);
        let early = usize::from(writes > 7);
        assert_eq!(world.sent[1], notifications + early, "the answer at {bytes_max}");
        world.run(1_000);
        assert!(world.links[1].confirmed && world.links[0].confirmed);
    }
}

/// Without an answer in time the handshake goes on alone, and the answer follows.
#[test]
fn a_slow_payee_answers_later() {
    let callee = Callee::Payee { session: session().0, first: vec![16; 300] };
    let mut world = World::new(1, QUIET, 182, callee);
    world.run_until(|world| is_up(world, 0));
    assert_eq!(world.now_ms, 20 + ANSWER_WAIT_MS + 20);
    world.run(3_000);
    world.links[1].send(&[17; 243]).unwrap();
    world.run(4_000);
    assert_eq!(world.messages(0), [vec![17; 243]]);
}

/// A payment that is too long for the handshake follows it.
#[test]
fn a_long_payment_takes_two_round_trips() {
    let callee = Callee::Payee { session: session().0, first: vec![16; 32_769] };
    let mut world = World::new(1, QUIET, 182, callee);
    world.run(5_000);
    assert_eq!(world.messages(1), [vec![16; 32_769]]);
    let longest = Callee::Payee { session: session().0, first: vec![16; FIRST_PAYLOAD_BYTES_MAX] };
    let mut world = World::new(1, QUIET, 182, longest);
    world.run(5_000);
    assert_eq!(world.seen[1][1], Event::Replayable(vec![16; FIRST_PAYLOAD_BYTES_MAX]));
}

/// A captured first flight brings the payee the same message once more and nothing else: the
/// replayer opens no answer, confirms nothing, and is gone after the time for it.
#[test]
fn a_replayed_payment_gains_nothing() {
    let callee = Callee::Payee { session: session().0, first: vec![16; 1_496] };
    let mut payer = Link::initiate(0, &setting(1), callee);
    let captured: Vec<Vec<u8>> = core::iter::from_fn(|| payer.transmit(0, 182)).collect();
    let mut payee = Link::respond(0, &setting(9), Some(session()));
    for fragment in &captured {
        payee.receive(0, fragment);
    }
    let Some(Event::Up { handshake_hash: replayed, .. }) = payee.next_event(0) else { panic!() };
    assert_eq!(payee.next_event(0), Some(Event::Replayable(vec![16; 1_496])));
    payee.send(&[17; 243]).unwrap();
    let answer: Vec<Vec<u8>> = core::iter::from_fn(|| payee.transmit(0, 182)).collect();
    // Whoever has the first flight has neither its ephemeral key nor its static one.
    let mut thief = Link::initiate(0, &setting(3), Callee::Stranger);
    thief.hello = payer.hello;
    for fragment in &answer {
        thief.receive(0, fragment);
    }
    assert_eq!(thief.next_event(0), Some(Event::Down(CloseReason::Misbehaved)));
    // Nor does a second answer fit the first one's link.
    let mut first = Link::respond(0, &setting(8), Some(session()));
    captured.iter().for_each(|fragment| assert!(!first.receive(0, fragment)));
    let Some(Event::Up { handshake_hash, .. }) = first.next_event(0) else { panic!() };
    assert_ne!(handshake_hash, replayed);
    assert!(!payee.confirmed);
    payee.on_time(OPENING_MS);
    assert_eq!(payee.next_event(OPENING_MS), Some(Event::Down(CloseReason::Silent)));
    // Once the session is closed the same bytes lead to nothing at all, for another session too.
    let other = LinkKey::from_bytes([78; 32]);
    let session = Session { key: other.public(), ..session().0 };
    for open in [None, Some((session, other))] {
        let mut later = Link::respond(0, &setting(7), open);
        captured.iter().for_each(|fragment| assert!(!later.receive(0, fragment)));
        assert_eq!(later.next_event(0), Some(Event::Down(CloseReason::Misbehaved)));
        assert_eq!(later.next_event(0), None);
    }
}

/// Until a replayer is unmasked it is held to the bounds of a stranger.
#[test]
fn who_is_not_confirmed_stays_small() {
    let callee = Callee::Payee { session: session().0, first: vec![16; 300] };
    let mut payer = Link::initiate(0, &setting(1), callee);
    let mut payee = Link::respond(0, &setting(9), Some(session()));
    while let Some(fragment) = payer.transmit(0, 512) {
        payee.receive(0, &fragment);
    }
    assert!(matches!(payee.next_event(0), Some(Event::Up { .. })));
    payer.pipe.queue(&frame::encode(&[0; 5_000], FRAME_BYTES_MAX).unwrap());
    while let Some(fragment) = payer.transmit(0, 512) {
        payee.receive(0, &fragment);
    }
    assert!(matches!(payee.next_event(0), Some(Event::Replayable(_))));
    assert_eq!(payee.next_event(0), Some(Event::Down(CloseReason::Misbehaved)));
}

/// Fragments for another central, which a peripheral's stack sends to everybody, are not heard.
#[test]
fn a_central_hears_only_its_own_link() {
    let mut one = World::strangers(1, QUIET, 182);
    let mut two = World::strangers(2, QUIET, 182);
    two.links[0] = Link::initiate(0, &setting(5), Callee::Stranger);
    one.run(500);
    two.run(500);
    two.links[1].send(b"for two").unwrap();
    let stray = two.links[1].transmit(500, 182).unwrap();
    assert!(!one.links[0].receive(500, &stray));
    assert_eq!(one.links[0].next_event(500), None);
    one.links[1].send(b"for one").unwrap();
    one.run(1_000);
    assert_eq!(one.messages(0), [b"for one".to_vec()]);
    two.links[0].receive(500, &stray);
    assert_eq!(two.links[0].next_event(500), Some(Event::Message(b"for two".to_vec())));
}

/// A central that begins anew on a connection that its system kept is answered anew.
#[test]
fn a_central_that_begins_anew_ends_the_old_link() {
    let mut world = World::strangers(1, QUIET, 182);
    world.run(500);
    let mut again = Link::initiate(500, &setting(4), Callee::Stranger);
    let fragment = again.transmit(500, 182).unwrap();
    assert!(world.links[1].receive(500, &fragment));
    assert_eq!(world.links[1].next_event(500), Some(Event::Down(CloseReason::Cut)));
    let mut fresh = Link::respond(500, &setting(6), None);
    assert!(!fresh.receive(500, &fragment));
    let answer = fresh.transmit(560, 182).unwrap();
    again.receive(560, &answer);
    assert!(matches!(again.next_event(560), Some(Event::Up { .. })));
}

#[test]
fn another_network_is_refused() {
    let mut world = World::strangers(1, QUIET, 182);
    let elsewhere = Setting { network: b"elsewhere", ..setting(2) };
    world.links[1] = Link::respond(0, &elsewhere, None);
    world.run(2_000);
    assert!(!is_up(&world, 0) && !is_up(&world, 1));
    assert_eq!(world.down(0), Some(CloseReason::Misbehaved));
    assert_eq!(world.down(1), Some(CloseReason::Cut), "it was told");
}

#[test]
fn who_says_nothing_is_given_up_in_time() {
    let mut link = Link::respond(0, &setting(1), None);
    assert_eq!(link.deadline(), Some(OPENING_MS));
    link.receive(9_000, &[0, 0x90, 0x10]);
    link.on_time(OPENING_MS);
    assert_eq!(link.next_event(OPENING_MS), Some(Event::Down(CloseReason::Silent)));
    assert_eq!(link.transmit(OPENING_MS, 182), None, "there is nobody to address");
    assert!(link.is_over(OPENING_MS));
    let mut link = Link::initiate(0, &setting(1), Callee::Stranger);
    while link.next_event(link.deadline().unwrap_or(0)).is_none() {
        let now_ms = link.deadline().unwrap();
        link.on_time(now_ms);
        while link.transmit(now_ms, 182).is_some() {}
    }
    assert_eq!(link.deadline(), None);
}

/// An end that has given up sends nothing again, and answers what still comes with a reset: the first
/// one may be lost. Else each end would keep the other alive, one by what it sends again and the
/// other by acknowledging that.
#[test]
fn an_end_that_gave_up_says_so_until_it_is_heard() {
    let mut world = World::strangers(1, QUIET, 182);
    world.run(500);
    let [central, peripheral] = &mut world.links;
    peripheral.send(&[1; 1_000]).unwrap();
    assert!(peripheral.transmit(500, 182).is_some(), "under way when the link ends");
    peripheral.receive(500, &[0]);
    assert_eq!(peripheral.next_event(500), Some(Event::Down(CloseReason::Misbehaved)));
    let tag = peripheral.hello.unwrap().tag;
    let reset = [&tag[..], &Fragment::Reset.encode()].concat();
    assert_eq!(peripheral.transmit(500, 182), Some(reset.clone()), "lost");
    peripheral.on_time(9_000);
    assert_eq!(peripheral.transmit(9_000, 182), None);
    assert_eq!(peripheral.deadline(), None);
    central.send(b"are you there?").unwrap();
    peripheral.receive(9_000, &central.transmit(9_000, 182).unwrap());
    assert_eq!(peripheral.transmit(9_000, 182), Some(reset.clone()));
    assert_eq!(peripheral.transmit(9_000, 182), None, "once per fragment");
    central.receive(9_000, &reset);
    assert_eq!(central.next_event(9_000), Some(Event::Down(CloseReason::Cut)));
    peripheral.receive(9_000, &Fragment::Reset.encode());
    assert_eq!((central.transmit(9_000, 182), peripheral.transmit(9_000, 182)), (None, None));
}

/// A connection that is cut at any fragment leaves whole messages, the first ones.
#[test]
fn a_cut_anywhere_leaves_only_whole_messages() {
    for cut_after in 0..40 {
        let mut world = World::strangers(1, QUIET, 182);
        world.run_until(|world| is_up(world, 0) && is_up(world, 1));
        for number in 0..5_u8 {
            world.links[0].send(&vec![number; 1_000]).unwrap();
        }
        let mut heard = 0;
        while let Some(fragment) = world.links[0].transmit(100, 182) {
            if heard < cut_after {
                world.links[1].receive(100, &fragment);
            }
            heard += 1;
        }
        world.links[1].disconnected(101);
        world.links[0].disconnected(101);
        world.speak();
        let whole = world.messages(1);
        let expected: Vec<Vec<u8>> = (0..5_u8).map(|number| vec![number; 1_000]).collect();
        assert_eq!(whole[..], expected[..whole.len()]);
        assert_eq!(whole.len(), (cut_after * 180 / 1_019).min(5), "cut after {cut_after}");
        assert_eq!(
            (world.down(0), world.down(1)),
            (Some(CloseReason::Cut), Some(CloseReason::Cut))
        );
    }
}

/// Air that loses every fifth fragment (what a radio loses it repeats itself: only a stack that drops
/// writes is like that) still brings nearly every payment and its answer through at once.
#[test]
fn bad_air_rarely_stops_a_payment() {
    let (mut answered, mut took_ms) = (0, 0);
    for seed in 0..500 {
        let weather = Weather {
            lost_per_mille: 200,
            doubled_per_mille: 0,
            early_ms: 20,
            late_ms_max: 40,
            turn_ms: 0,
        };
        let callee = Callee::Payee { session: session().0, first: vec![16; 1_496] };
        let mut world = World::new(seed, weather, 182, callee);
        let mut verdict = Some([17; 243]);
        while world.messages(0).is_empty() && world.down(0).is_none() {
            if let Some(verdict) = verdict.take_if(|_| is_up(&world, 1)) {
                world.links[1].send(&verdict).unwrap();
            }
            assert!(world.step(60_000));
        }
        answered += world.messages(0).len() as u64;
        took_ms += world.now_ms;
    }
    println!("{answered} of 500 answered, after {} ms on average", took_ms / 500);
    assert!(answered >= 495, "{answered} of 500");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn messages_arrive_once_in_order_or_the_link_ends_with_a_reason(
        seed in any::<u64>(),
        lost_per_mille in 0_u64..500,
        doubled_per_mille in 0_u64..400,
        late_ms_max in 0_u64..300,
        bytes_max in 20_usize..600,
        lengths in proptest::collection::vec(1_usize..5_000, 1..10),
        known in any::<bool>(),
    ) {
        let weather = Weather { lost_per_mille, doubled_per_mille, early_ms: 5, late_ms_max, turn_ms: 0 };
        let mut world = World::new(seed, weather, bytes_max, callee(known));
        world.talk(&lengths);
        for side in 0..2 {
            let expected: Vec<Vec<u8>> =
                lengths.iter().zip(0..).map(|(length, number)| vec![number; *length]).collect();
            let heard = world.messages(side);
            prop_assert!(heard[..] == expected[..heard.len()]);
            let ups = world.seen[side].iter().filter(|event| matches!(event, Event::Up { .. }));
            let downs = world.seen[side].iter().filter(|event| matches!(event, Event::Down(_)));
            prop_assert!(ups.count() <= 1 && downs.count() <= 1);
            let orderly = [CloseReason::ClosedHere, CloseReason::ClosedThere, CloseReason::Silent, CloseReason::Cut];
            prop_assert!(world.down(side).is_some_and(|reason| orderly.contains(&reason)), "{:?}", world.down(side));
            let replays = world.seen[side].iter().filter(|event| matches!(event, Event::Replayable(_)));
            prop_assert!(replays.count() <= 1);
        }
    }

    /// Five losses are one less than the transmissions of one fragment in the time for the opening.
    #[test]
    fn whichever_few_fragments_are_lost_everything_arrives(
        seed in any::<u64>(),
        lost in proptest::collection::btree_set(0_u64..40, 0..6),
        late_ms_max in 0_u64..60,
        lengths in proptest::collection::vec(1_usize..5_000, 1..4),
        known in any::<bool>(),
    ) {
        let weather = Weather { early_ms: 5, late_ms_max, ..Weather::default() };
        let mut world = World::new(seed, weather, 182, callee(known));
        world.air.lose(lost);
        world.talk(&lengths);
        prop_assert!(world.messages(0).len() == lengths.len(), "{:?}", world.down(0));
        prop_assert!(world.messages(1).len() == lengths.len(), "{:?}", world.down(1));
    }

    #[test]
    fn a_hostile_central_costs_little_and_never_a_panic(
        seed in any::<u64>(),
        fragments in proptest::collection::vec(
            (0_u16..60, any::<bool>(), 1_usize..600, 0_u64..400), 0..200),
        hello in proptest::option::of(0_u8..2),
    ) {
        let mut link = Link::respond(0, &setting(1), Some(session()));
        let mut now_ms = 0;
        let mut ups = 0;
        for (at, (number, first, length, wait_ms)) in fragments.into_iter().enumerate() {
            let mut bytes: Vec<u8> =
                (0..length).map(|byte| (seed >> ((at + byte) % 57)) as u8).collect();
            if let Some(pattern) = hello.filter(|_| number == 0 && length >= 5) {
                // A plausible hello and length, so that what follows reaches the handshake.
                bytes[..5].copy_from_slice(&[0x10 | pattern, 1, 2, 32 + 64 * pattern, 0]);
            }
            let data = Some(fragment::Data { number, first: first && number == 0, bytes: &bytes });
            link.receive(now_ms, &Fragment::Parts { ack: None, data }.encode());
            now_ms += wait_ms;
            link.on_time(now_ms);
            while let Some(event) = link.next_event(now_ms) {
                ups += usize::from(matches!(event, Event::Up { .. }));
            }
            while link.transmit(now_ms, 182).is_some() {}
            prop_assert!(link.held_bytes() <= OPENING_EARLY_BYTES_MAX + 512, "{}", link.held_bytes());
        }
        prop_assert_eq!(ups, 0);
        link.on_time(now_ms + OPENING_MS);
        while link.next_event(now_ms + OPENING_MS).is_some() {}
        prop_assert!(matches!(link.stage, Stage::Over));
    }

    #[test]
    fn arbitrary_bytes_end_a_link_or_change_nothing(
        garbage in proptest::collection::vec(any::<u8>(), 0..80),
        to_central in any::<bool>(),
    ) {
        let mut world = World::strangers(1, QUIET, 182);
        world.run(500);
        let to = usize::from(!to_central);
        world.links[to].receive(500, &garbage);
        world.links[1 - to].send(&[3; 4_000]).unwrap();
        // A piece that was shorter than the one it took the place of leaves a record incomplete until
        // keep-alives have filled it: at most 180 bytes, 19 every five seconds.
        world.run(60_000);
        let heard = world.messages(to);
        prop_assert!(heard.is_empty() || heard == [vec![3; 4_000]]);
        prop_assert!(heard.len() == 1 || world.down(to).is_some());
        let bound = OPENING_EARLY_BYTES_MAX + WINDOW_FRAGMENTS as usize * 600;
        prop_assert!(world.links[to].held_bytes() <= bound);
    }
}
