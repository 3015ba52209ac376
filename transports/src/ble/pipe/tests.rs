//! A pipe over air that loses, doubles, delays and reorders, in virtual time.

use proptest::prelude::*;

use super::*;
use crate::ble::fragment::{self, Ack, NUMBERS};
use crate::ble::limits::{
    FRAGMENT_BYTES_MAX, INBOX_BYTES_MAX, OPENING_EARLY_BYTES_MAX, OUTBOX_BYTES_MAX, SILENCE_MS,
    WINDOW_FRAGMENTS,
};
use crate::ble::rig::{Air, Weather};

/// Two pipes and the air between them.
struct World {
    pipes: [Pipe; 2],
    air: Air,
    now_ms: u64,
    bytes_max: usize,
    heard: [Vec<u8>; 2],
    fragments: [usize; 2],
}

impl World {
    fn new(seed: u64, weather: Weather, bytes_max: usize) -> Self {
        let mut pipes = [Pipe::default(), Pipe::default()];
        pipes.iter_mut().for_each(Pipe::trust);
        let air = Air::new(seed, weather);
        World { pipes, air, now_ms: 0, bytes_max, heard: Default::default(), fragments: [0; 2] }
    }

    /// Everything both ends have to say leaves.
    fn speak(&mut self) {
        for side in 0..2 {
            while let Some(bytes) = self.pipes[side].transmit(self.now_ms, self.bytes_max, false) {
                assert!(bytes.len() <= self.bytes_max);
                self.fragments[side] += 1;
                self.air.send(self.now_ms, side, bytes);
            }
        }
    }

    /// Goes on to what happens next; `readers` take what has arrived. False if nothing will.
    fn step(&mut self, readers: [bool; 2]) -> bool {
        self.speak();
        let due = self.pipes.iter().filter_map(Pipe::deadline).chain(self.air.due()).min();
        let Some(due) = due else { return false };
        self.now_ms = self.now_ms.max(due);
        while let Some((to, bytes)) = self.air.arrive(self.now_ms) {
            let fragment = fragment::decode(&bytes).unwrap();
            self.pipes[to].receive(self.now_ms, &fragment);
        }
        for ((pipe, heard), reads) in self.pipes.iter_mut().zip(&mut self.heard).zip(readers) {
            pipe.on_time(self.now_ms);
            if reads {
                heard.extend(pipe.take(self.now_ms));
            }
        }
        true
    }
}

fn stream(length: usize, salt: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at / 251) as u8 ^ salt).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn everything_arrives_once_and_in_order(
        seed in any::<u64>(),
        lost_per_mille in 0_u64..500,
        doubled_per_mille in 0_u64..500,
        late_ms_max in 0_u64..400,
        bytes_max in 20_usize..600,
        lengths in [0_usize..40_000, 0_usize..40_000],
    ) {
        let weather =
            Weather { lost_per_mille, doubled_per_mille, early_ms: 5, late_ms_max, turn_ms: 0 };
        let mut world = World::new(seed, weather, bytes_max);
        let streams = [stream(lengths[0], 3), stream(lengths[1], 9)];
        world.pipes[0].queue(&streams[0]);
        world.pipes[1].queue(&streams[1]);
        let mut steps = 0;
        while world.step([true, true]) {
            steps += 1;
            prop_assert!(steps < 1_000_000, "it never rests");
        }
        prop_assert_eq!(&world.heard[1], &streams[0]);
        prop_assert_eq!(&world.heard[0], &streams[1]);
        prop_assert!(world.pipes.iter().all(Pipe::is_drained));
    }

    #[test]
    fn a_reader_that_rests_stops_the_sender_and_loses_nothing(
        seed in any::<u64>(),
        lost_per_mille in 0_u64..300,
        rest_ms in 1_u64..60_000,
    ) {
        let weather = Weather { lost_per_mille, early_ms: 5, late_ms_max: 60, ..Weather::default() };
        let mut world = World::new(seed, weather, 512);
        let all = stream(600_000, 1);
        let mut queued = 0;
        let refill = |world: &mut World, queued: &mut usize| {
            let room = world.pipes[0].room().min(all.len() - *queued);
            world.pipes[0].queue(&all[*queued..*queued + room]);
            *queued += room;
        };
        while world.now_ms < rest_ms {
            refill(&mut world, &mut queued);
            world.step([true, false]);
            let held = world.pipes[1].held_bytes();
            prop_assert!(held <= INBOX_BYTES_MAX + 2 * WINDOW_FRAGMENTS as usize * 512, "{held}");
            prop_assert!(world.pipes[0].held_bytes() <= OUTBOX_BYTES_MAX + 32 * 512);
        }
        while world.heard[1].len() < all.len() {
            refill(&mut world, &mut queued);
            prop_assert!(world.step([true, true]), "it stopped at {}", world.heard[1].len());
        }
        prop_assert!(world.heard[1] == all);
    }

    #[test]
    fn whatever_is_received_a_stranger_holds_little(
        fragments in proptest::collection::vec(
            (0_u16..80, any::<bool>(), proptest::option::of((0_u16..4096, 0_u8..=32, any::<u32>())),
                1_usize..FRAGMENT_BYTES_MAX), 0..300),
    ) {
        let mut pipe = Pipe::default();
        pipe.queue(&stream(5_000, 1));
        for (now_ms, (number, first, ack, length)) in (0..).zip(fragments) {
            let bytes = vec![7; length];
            let data = Some(Data { number, first: first && number == 0, bytes: &bytes });
            let ack = ack.map(|(next, room, beyond)| Ack { next, room, beyond });
            pipe.receive(now_ms, &Fragment::Parts { ack, data });
            pipe.on_time(now_ms);
            while pipe.transmit(now_ms, 100, false).is_some() {}
            pipe.take(now_ms);
            prop_assert!(pipe.receiver.held_bytes() <= OPENING_EARLY_BYTES_MAX);
            prop_assert!(pipe.sender.held_bytes() <= 5_000);
        }
    }
}

/// On quiet air nothing is sent twice, and acknowledgements are few.
#[test]
fn quiet_air_costs_what_the_bytes_cost() {
    let mut world = World::new(1, Weather { early_ms: 20, ..Weather::default() }, 182);
    world.pipes[0].queue(&stream(90_000, 1));
    while world.step([true, true]) {}
    let data = 90_000_usize.div_ceil(180);
    let acks = world.fragments[0] + world.fragments[1] - data;
    println!("{data} data fragments, {acks} acknowledgements, {} ms", world.now_ms);
    assert!(acks <= data / 8 + 1, "{acks} acknowledgements for {data}");
    assert_eq!(world.heard[1].len(), 90_000);
}

/// What waits in the queue of a slow radio is late and not lost.
#[test]
fn a_slow_radio_is_not_taken_for_one_that_loses() {
    let mut world = World::new(1, Weather { early_ms: 20, turn_ms: 25, ..Weather::default() }, 182);
    world.pipes[0].queue(&stream(90_000, 1));
    while world.step([true, true]) {}
    let data = 90_000_usize.div_ceil(180);
    assert_eq!(world.fragments[0], data, "fragments are sent again");
    assert_eq!(world.heard[1].len(), 90_000);
}

/// After a few losses the pipe soon fills the radio again.
#[test]
fn losses_do_not_slow_down_what_follows() {
    let weather = Weather { early_ms: 30, turn_ms: 4, ..Weather::default() };
    let took = |doomed: &[u64]| {
        let mut world = World::new(1, weather, 182);
        world.air.lose(doomed.iter().copied().collect());
        world.pipes[0].queue(&stream(90_000, 1));
        while world.step([true, true]) {}
        assert_eq!(world.heard[1].len(), 90_000);
        world.now_ms
    };
    let (quiet, unlucky) = (took(&[]), took(&[3, 41, 60, 85, 110]));
    println!("{quiet} ms without losses, {unlucky} ms with five");
    assert!(unlucky <= quiet * 3 / 2, "{unlucky} ms with five losses, {quiet} ms without");
}

/// Fragments that overtake each other on several bearers (EATT) are not taken for lost.
#[test]
fn reordering_alone_repeats_nothing() {
    let weather = Weather { early_ms: 20, late_ms_max: 5, ..Weather::default() };
    let mut world = World::new(5, weather, 182);
    world.air.jumble_up_to(5);
    world.pipes[0].queue(&stream(90_000, 1));
    while world.step([true, true]) {}
    let data = 90_000_usize.div_ceil(180);
    assert!(world.air.overtakings() > data / 10, "the air reorders: {}", world.air.overtakings());
    let fragments = world.fragments[0] + world.fragments[1];
    assert!(fragments <= data + data / 4, "{fragments} fragments for {data}");
    assert_eq!(world.heard[1].len(), 90_000);
}

/// An acknowledgement rides with data that goes the other way.
#[test]
fn acknowledgements_ride_with_data() {
    let mut pipe = Pipe::default();
    let data = Some(Data { number: 0, first: true, bytes: b"question" });
    pipe.receive(0, &Fragment::Parts { ack: None, data });
    assert_eq!(pipe.transmit(1, 100, false), None, "it waits for data");
    pipe.queue(b"answer");
    let bytes = pipe.transmit(10, 100, false).unwrap();
    let Ok(Fragment::Parts { ack: Some(ack), data: Some(data) }) = fragment::decode(&bytes) else {
        panic!("{bytes:?}");
    };
    assert_eq!((ack.next, data.bytes), (1, &b"answer"[..]));
    assert_eq!(pipe.transmit(10, 100, false), None);
}

/// Who never answers gets everything again and again, ever more slowly.
#[test]
fn nothing_is_sent_often_to_who_does_not_answer() {
    let mut pipe = Pipe::default();
    pipe.queue(&stream(1_000, 1));
    let mut sent = 0;
    let mut now_ms = 0;
    while now_ms < SILENCE_MS {
        pipe.on_time(now_ms);
        while pipe.transmit(now_ms, 182, false).is_some() {
            sent += 1;
        }
        now_ms = pipe.deadline().unwrap();
    }
    assert!((12..=48).contains(&sent), "{sent} fragments: 6, at most every two seconds");
}

/// What is left of a stream that began earlier is not taken for the beginning of a new one, nor the
/// beginning of another for its middle.
#[test]
fn a_stream_begins_with_its_first_fragment_alone() {
    let mut pipe = Pipe::default();
    let receive = |pipe: &mut Pipe, first| {
        let data = Some(Data { number: 0, first, bytes: b"x" });
        pipe.receive(0, &Fragment::Parts { ack: None, data });
        pipe.take(0)
    };
    assert_eq!(receive(&mut pipe, false), b"", "fragment 4,096 of an earlier stream");
    assert_eq!(receive(&mut pipe, true), b"x");
    for number in 1..4_096 {
        let data = Some(Data { number, first: false, bytes: b"y" });
        pipe.receive(0, &Fragment::Parts { ack: None, data });
    }
    assert_eq!(pipe.take(0).len(), 4_095);
    assert_eq!(receive(&mut pipe, true), b"", "the first one again");
    assert_eq!(receive(&mut pipe, false), b"x");
}

/// A fragment of the last round of numbers is not taken for one of this round.
#[test]
fn numbers_go_round() {
    let mut world = World::new(1, Weather { early_ms: 1, ..Weather::default() }, 20);
    let length = 18 * (NUMBERS as usize + 50);
    world.pipes[0].queue(&stream(length, 1));
    let (mut old, mut replayed) = (None, 0);
    loop {
        world.speak();
        if let Some((_, bytes)) = world.air.peek().filter(|_| old.is_none()) {
            old = Some(bytes.to_vec());
        }
        if world.heard[1].len() > length / 2 && replayed < 5 {
            replayed += 1;
            let old = old.clone().unwrap();
            world.air.send(world.now_ms, 0, old);
        }
        if !world.step([true, true]) {
            break;
        }
    }
    assert_eq!(world.heard[1], stream(length, 1));
}
