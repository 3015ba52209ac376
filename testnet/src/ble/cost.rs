//! What a payment costs on the air, counted with the real link over a perfect radio: the offers of a
//! payer whom its payee knows, and of one whom it does not.

use crate::phone::BANK;
use anyhow::{Context, Result, ensure};
use hundi_transports::ble::hint::Session;
use hundi_transports::ble::link::{Callee, Event, Link, Setting};
use hundi_transports::channel::LinkKey;
use serde::Serialize;
use std::fmt;

/// ATT MTUs of phones: iOS, Android's usual data length, the largest.
const MTUS: [usize; 3] = [185, 247, 517];
/// ATT's own bytes in a write, and the longest value that a stack takes.
const ATT_BYTES: usize = 3;
const VALUE_BYTES_MAX: usize = 510;
/// A receipt with the payee's key in it, as a message: the longest there is.
const ANSWER_BYTES: usize = 243;
/// Offers as they are with one grant: with all that a stranger needs, and to a payee who has met
/// payer and bank. `docs/ble.md` counts them from the protocol's vectors.
const OFFERS: [(bool, usize); 2] = [(true, 898), (false, 1_496)];

/// What one offer costs.
#[derive(Clone, Debug, Serialize)]
pub struct Offer {
    /// Whether the payee has met the payer and its bank.
    pub payee_knows: bool,
    /// Its length.
    pub bytes: usize,
    /// Writes of the first message, by MTU.
    pub writes: Vec<(usize, usize)>,
    /// Notifications of the answer, by MTU.
    pub notifications: Vec<(usize, usize)>,
    /// Flights of the payer until it has its answer.
    pub round_trips: usize,
}

impl fmt::Display for Offer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who =
            if self.payee_knows { "payee knows payer and bank" } else { "payee knows nothing" };
        write!(formatter, "{who:<28} {:>5} bytes, round trips {}:", self.bytes, self.round_trips)?;
        for ((mtu, writes), (_, back)) in self.writes.iter().zip(&self.notifications) {
            write!(formatter, "  MTU {mtu}: {writes} + {back}")?;
        }
        Ok(())
    }
}

/// Counts.
///
/// # Errors
/// When a link does not do its part.
pub fn count() -> Result<Vec<Offer>> {
    OFFERS.iter().map(|(payee_knows, bytes)| of(*payee_knows, *bytes)).collect()
}

fn of(payee_knows: bool, bytes: usize) -> Result<Offer> {
    let mut offer =
        Offer { payee_knows, bytes, writes: Vec::new(), notifications: Vec::new(), round_trips: 0 };
    for mtu in MTUS {
        let seen = exchange((mtu - ATT_BYTES).min(VALUE_BYTES_MAX), bytes)?;
        offer.writes.push((mtu, seen.writes));
        offer.notifications.push((mtu, seen.notifications));
        offer.round_trips = offer.round_trips.max(seen.round_trips);
    }
    Ok(offer)
}

struct Exchange {
    writes: usize,
    notifications: usize,
    round_trips: usize,
}

/// Flights in turns until the payer has its answer.
fn exchange(bytes_max: usize, offer: usize) -> Result<Exchange> {
    let key = LinkKey::from_bytes([7; 32]);
    let session = Session { uuid: [5; 16], key: key.public(), psm: None };
    let network = BANK.0.to_le_bytes();
    let setting = |who: u8| Setting { network: &network, greeting: [who; 4], entropy: [who; 32] };
    let callee = Callee::Payee { session, first: vec![16; offer] };
    let mut payer = Link::initiate(0, &setting(1), callee);
    let mut payee = Link::respond(0, &setting(2), Some((session, key)));
    let mut seen = Exchange { writes: 0, notifications: 0, round_trips: 0 };
    for flight in 0..8 {
        let now_ms = 30 * flight;
        seen.round_trips += 1;
        while let Some(value) = payer.transmit(now_ms, bytes_max) {
            seen.writes += 1;
            payee.receive(now_ms, &value);
        }
        while let Some(event) = payee.next_event(now_ms) {
            if matches!(event, Event::Replayable(_) | Event::Message(_)) {
                payee.send(&vec![17; ANSWER_BYTES]).context("an answer")?;
            }
        }
        while let Some(value) = payee.transmit(now_ms, bytes_max) {
            seen.notifications += 1;
            payer.receive(now_ms, &value);
        }
        while let Some(event) = payer.next_event(now_ms) {
            if let Event::Message(bytes) = event {
                ensure!(bytes.len() == ANSWER_BYTES, "another answer");
                return Ok(seen);
            }
        }
    }
    anyhow::bail!("no answer after eight flights")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_one_round_trip_and_its_writes_are_those_of_the_document() {
        let counted = count().unwrap();
        assert!(counted.iter().all(|offer| offer.round_trips == 1));
        let writes = |at: usize| counted[at].writes.iter().map(|(_, writes)| *writes);
        assert_eq!(writes(0).collect::<Vec<_>>(), [6, 5, 2]);
        assert_eq!(writes(1).collect::<Vec<_>>(), [9, 7, 4]);
    }
}
