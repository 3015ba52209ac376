//! The sending half of a pipe: which piece of the stream leaves next, which is under way, which is
//! lost.

use std::collections::VecDeque;

use crate::ble::fragment::{Ack, distance};
use crate::ble::limits::{
    FLIGHT_MIN, OUTBOX_BYTES_MAX, OVERTAKEN_MAX, RESEND_FIRST_MS, RESEND_MAX_MS, RESEND_MIN_MS,
    WINDOW_FRAGMENTS,
};

/// A piece of the stream that leaves now.
pub(super) struct Piece {
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

/// What is still to be sent, and what was sent and not acknowledged.
#[derive(Debug)]
pub(super) struct Sender {
    outbox: VecDeque<u8>,
    /// The number of the first fragment in `flight`.
    base: u64,
    flight: VecDeque<Flying>,
    /// The first number that the receiver has stated no room for.
    limit: u64,
    /// When a full receiver is asked whether it still is.
    ask_at: Option<u64>,
    /// Fragments that may be under way. Losses halve it: a stack that drops writes is overloaded.
    allowed: u64,
    /// Three quarters of what it was at the last loss: up to here it grows quickly again.
    known_good: u64,
    arrived_since_growth: u64,
    /// Transmissions so far, repeated ones included.
    transmissions: u64,
    /// The newest transmission that was acknowledged.
    newest_arrived: u64,
    /// Losses of transmissions up to this one have been answered.
    answered: u64,
    round_trip: Option<RoundTrip>,
    /// When something was last acknowledged for the first time.
    arrived_ms: u64,
    /// How often in a row nothing came back in time.
    timeouts: u32,
}

#[derive(Debug)]
struct Flying {
    bytes: Vec<u8>,
    sent_ms: u64,
    transmission: u64,
    repeated: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Lost,
    Arrived,
}

/// The round trip as RFC 6298 smooths it, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    smoothed: u64,
    variation: u64,
}

impl Sender {
    pub(super) fn new() -> Self {
        Sender {
            outbox: VecDeque::new(),
            base: 0,
            flight: VecDeque::new(),
            limit: WINDOW_FRAGMENTS,
            ask_at: None,
            allowed: WINDOW_FRAGMENTS,
            known_good: WINDOW_FRAGMENTS,
            arrived_since_growth: 0,
            transmissions: 0,
            newest_arrived: 0,
            answered: 0,
            round_trip: None,
            arrived_ms: 0,
            timeouts: 0,
        }
    }

    /// Takes bytes for sending; the caller has looked at [`Sender::room`].
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.outbox.extend(bytes);
    }

    /// Bytes that may still be queued.
    pub(super) fn room(&self) -> usize {
        OUTBOX_BYTES_MAX.saturating_sub(self.outbox.len())
    }

    /// Whether everything queued has arrived.
    pub(super) fn is_drained(&self) -> bool {
        self.outbox.is_empty() && self.flight.iter().all(|one| one.state == State::Arrived)
    }

    fn next(&self) -> u64 {
        self.base + self.flight.len() as u64
    }

    /// The piece to send now, of at most `bytes_max`: a lost one first, else a new one of at most
    /// `new_bytes_max`.
    pub(super) fn transmit(
        &mut self,
        now_ms: u64,
        bytes_max: usize,
        new_bytes_max: usize,
    ) -> Option<Piece> {
        let lost = |one: &Flying| one.state == State::Lost && one.bytes.len() <= bytes_max;
        if let Some(at) = self.flight.iter().position(lost) {
            self.transmissions += 1;
            let flying = &mut self.flight[at];
            (flying.state, flying.repeated) = (State::Waiting, true);
            (flying.sent_ms, flying.transmission) = (now_ms, self.transmissions);
            return Some(Piece { number: self.base + at as u64, bytes: flying.bytes.clone() });
        }
        if self.outbox.is_empty() || new_bytes_max == 0 || !self.may_send_new(now_ms) {
            return None;
        }
        let length = self.outbox.len().min(new_bytes_max);
        let bytes: Vec<u8> = self.outbox.drain(..length).collect();
        let number = self.next();
        self.transmissions += 1;
        self.ask_at = None;
        self.flight.push_back(Flying {
            bytes: bytes.clone(),
            sent_ms: now_ms,
            transmission: self.transmissions,
            repeated: false,
            state: State::Waiting,
        });
        Some(Piece { number, bytes })
    }

    fn may_send_new(&self, now_ms: u64) -> bool {
        if self.next() >= self.limit {
            // One fragment beyond a full receiver's room asks whether it is still full.
            return self.flight.is_empty() && self.ask_at.is_some_and(|at| at <= now_ms);
        }
        let waiting = self.flight.iter().filter(|one| one.state == State::Waiting).count();
        (waiting as u64) < self.allowed && (self.flight.len() as u64) < WINDOW_FRAGMENTS
    }

    /// Takes an acknowledgement. One that is older than the last, or about what was never sent,
    /// changes nothing.
    pub(super) fn on_ack(&mut self, now_ms: u64, ack: Ack) {
        let Ok(done) = usize::try_from(distance(self.base, ack.next)) else {
            return;
        };
        if done > self.flight.len() {
            return;
        }
        for _ in 0..done {
            self.arrive(now_ms, 0);
            self.flight.pop_front();
            self.base += 1;
        }
        for bit in (0..32).filter(|bit| ack.beyond & (1 << bit) != 0) {
            self.arrive(now_ms, bit + 1);
        }
        self.limit = self.limit.max(self.base + u64::from(ack.room));
        self.find_overtaken();
        let full = self.flight.is_empty() && self.base >= self.limit;
        self.ask_at = full.then(|| now_ms + self.resend_ms());
    }

    /// The fragment at this place of the flight has arrived.
    fn arrive(&mut self, now_ms: u64, at: usize) {
        let Some(flying) = self.flight.get_mut(at).filter(|one| one.state != State::Arrived) else {
            return;
        };
        flying.state = State::Arrived;
        self.newest_arrived = self.newest_arrived.max(flying.transmission);
        // Of a repeated one nobody knows which transmission was acknowledged.
        let measured = (!flying.repeated).then(|| now_ms.saturating_sub(flying.sent_ms));
        self.timeouts = 0;
        self.arrived_ms = now_ms;
        self.grow();
        if let Some(measured) = measured {
            self.measure(measured);
        }
    }

    /// One more has arrived: like slow start and congestion avoidance of RFC 5681, in fragments.
    fn grow(&mut self) {
        self.arrived_since_growth += 1;
        if self.allowed < self.known_good || self.arrived_since_growth >= self.allowed {
            self.arrived_since_growth = 0;
            self.allowed = (self.allowed + 1).min(WINDOW_FRAGMENTS);
        }
    }

    fn measure(&mut self, measured: u64) {
        self.round_trip = Some(match self.round_trip {
            None => RoundTrip { smoothed: measured, variation: measured / 2 },
            Some(old) => RoundTrip {
                smoothed: (7 * old.smoothed + measured) / 8,
                variation: (3 * old.variation + old.smoothed.abs_diff(measured)) / 4,
            },
        });
    }

    /// Fragments that enough later transmissions have overtaken are lost.
    fn find_overtaken(&mut self) {
        let newest = self.newest_arrived;
        self.lose(|one| one.transmission + OVERTAKEN_MAX <= newest);
    }

    fn lose(&mut self, is_lost: impl Fn(&Flying) -> bool) -> bool {
        let mut newest_lost = 0;
        for flying in &mut self.flight {
            if flying.state == State::Waiting && is_lost(flying) {
                flying.state = State::Lost;
                newest_lost = newest_lost.max(flying.transmission);
            }
        }
        if newest_lost > self.answered {
            self.answered = self.transmissions;
            self.known_good = self.allowed * 3 / 4;
            self.allowed = (self.allowed / 2).max(FLIGHT_MIN);
            self.arrived_since_growth = 0;
        }
        newest_lost > 0
    }

    /// Lets what waited too long count as lost.
    pub(super) fn on_time(&mut self, now_ms: u64) {
        let (since_ms, resend_ms) = (self.arrived_ms, self.resend_ms());
        if self.lose(|one| one.sent_ms.max(since_ms) + resend_ms <= now_ms) {
            self.timeouts = (self.timeouts + 1).min(8);
        }
    }

    /// When something is sent again, or asked, by itself.
    pub(super) fn deadline(&self) -> Option<u64> {
        let waiting = self.flight.iter().filter(|one| one.state == State::Waiting);
        // From when anything arrived, too (RFC 6298, 5.3): what waits in a radio's queue is late.
        let resend = waiting.map(|one| one.sent_ms.max(self.arrived_ms) + self.resend_ms()).min();
        let ask = self.ask_at.filter(|_| !self.outbox.is_empty());
        resend.into_iter().chain(ask).min()
    }

    fn resend_ms(&self) -> u64 {
        let first = match self.round_trip {
            None => RESEND_FIRST_MS,
            Some(of) => (of.smoothed + 4 * of.variation).clamp(RESEND_MIN_MS, RESEND_MAX_MS),
        };
        (first << self.timeouts).min(RESEND_MAX_MS)
    }

    /// Bytes held, for tests of the bounds.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.outbox.len() + self.flight.iter().map(|one| one.bytes.len()).sum::<usize>()
    }
}
