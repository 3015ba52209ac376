//! Whom to connect to: the devices seen lately, and the reasons for leaving each alone.
//!
//! Pure: sightings and the time go in, a verdict comes out. Two nodes in sync mostly never connect,
//! of two that both advertise the one with the lower id does, and who could not be reached is left
//! alone ever longer. Addresses prove nothing: no right hangs on them, only patience.

use std::collections::BTreeMap;

use crate::ble::advertisement::{Beacon, Sighting, fingerprint};
use crate::ble::limits::CONTACTS_MAX;

/// What a system calls a device that it sees: an address of six bytes, or iOS's identifier, padded
/// with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 16]);

/// How patient a node is; times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long the end with the higher id leaves the beginning to the other. Two scan windows: the
    /// other may not see us, then we begin after all.
    pub their_turn_ms: u64,
    /// How long a device is left alone after a first failure; doubled with each further one.
    pub failed_ms: u64,
    /// The longest that it is left alone for. A courier may come back with something new.
    pub failed_ms_max: u64,
    /// How long a device is left alone after a contact that ended in order, even if its
    /// fingerprint still differs: what both gained since is worth one connection a minute.
    pub again_ms: u64,
    /// The same for a device that shows no beacon, of which only a connection tells whether
    /// anything differs.
    pub bare_again_ms: u64,
    /// How long a device that holds the same is left alone after a contact, while a payment of this
    /// node has no answer. About as long as an id lives, which is what a neighbour is known by.
    pub answer_again_ms: u64,
    /// For how long a device that was seen is taken to be there still.
    pub there_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            their_turn_ms: 8_000,
            failed_ms: 2_000,
            failed_ms_max: 300_000,
            again_ms: 60_000,
            bare_again_ms: 120_000,
            answer_again_ms: 900_000,
            there_ms: 10_000,
        }
    }
}

/// Why a device is connected to, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Connect.
    Connect,
    /// It is not seen (any more), or is no node.
    NotThere,
    /// It holds what this node holds.
    InSync,
    /// It is left alone until this time: it failed, or a contact has just ended.
    Wait {
        /// When that is over.
        until_ms: u64,
    },
    /// The other end begins; until this time.
    TheirTurn {
        /// When this end does.
        until_ms: u64,
    },
    /// There is a connection already.
    Connected,
}

/// What this node says of itself and holds.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// The id it advertises.
    pub id: [u8; 4],
    /// What it holds.
    pub held: [u8; 32],
    /// The number of its newest payment without an answer, if there is one. Answers are no part of
    /// what a fingerprint stands for, so that it asks those who hold the same, too.
    pub awaits: Option<u32>,
    /// Whether others can see it. Nobody else begins with one that does not advertise.
    pub seen: bool,
}

/// The devices seen lately.
#[derive(Debug)]
pub struct Contacts {
    patience: Patience,
    known: BTreeMap<Address, Contact>,
}

#[derive(Debug)]
struct Contact {
    /// When it was seen first under its present beacon, and last.
    since_ms: u64,
    seen_ms: u64,
    beacon: Option<Beacon>,
    mesh: bool,
    failures: u32,
    not_before_ms: u64,
    /// The newest payment that had no answer when a link with it came up: it was asked for that one,
    /// and for those before.
    asked: Option<u32>,
    /// When it may be asked for them again although it holds the same.
    ask_at_ms: u64,
    connected: bool,
}

impl Contacts {
    /// Nobody was seen yet.
    pub fn new(patience: Patience) -> Self {
        Contacts { patience, known: BTreeMap::new() }
    }

    /// A device was seen.
    pub fn see(&mut self, now_ms: u64, address: Address, sighting: &Sighting) {
        let mesh = sighting.is_mesh();
        if !mesh && !self.known.contains_key(&address) {
            return;
        }
        let contact = self.contact(now_ms, address);
        contact.seen_ms = now_ms;
        contact.mesh |= mesh;
        if let Some(beacon) = sighting.beacon {
            let known = contact.beacon.replace(beacon);
            if known.is_none_or(|known| known.id != beacon.id) {
                contact.since_ms = now_ms;
            }
        }
    }

    fn contact(&mut self, now_ms: u64, address: Address) -> &mut Contact {
        if !self.known.contains_key(&address) && self.known.len() >= CONTACTS_MAX {
            let unseen = self.known.iter().filter(|(_, contact)| !contact.connected);
            let oldest = unseen.min_by_key(|(_, contact)| contact.seen_ms);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.known.remove(&oldest);
            }
        }
        self.known.entry(address).or_insert(Contact {
            since_ms: now_ms,
            seen_ms: now_ms,
            beacon: None,
            mesh: false,
            failures: 0,
            not_before_ms: 0,
            asked: None,
            ask_at_ms: 0,
            connected: false,
        })
    }

    /// A connection with it is being made, or is there.
    pub fn connected(&mut self, now_ms: u64, address: Address) {
        self.contact(now_ms, address).connected = true;
    }

    /// A link with it is up: it hears of payments without an answer up to this number.
    pub fn asked(&mut self, now_ms: u64, address: Address, awaits: Option<u32>) {
        self.contact(now_ms, address).asked = awaits;
    }

    /// The device that advertises under this id, if it was seen.
    pub fn of_id(&self, id: [u8; 4]) -> Option<Address> {
        let has_id = |contact: &Contact| contact.beacon.is_some_and(|beacon| beacon.id == id);
        self.known.iter().find(|(_, contact)| has_id(contact)).map(|(address, _)| *address)
    }

    /// A connection with it could not be made, or ended before its link was up.
    pub fn failed(&mut self, now_ms: u64, address: Address) {
        let patience = self.patience;
        let contact = self.contact(now_ms, address);
        contact.connected = false;
        let doubled = patience.failed_ms.saturating_mul(1 << contact.failures.min(20));
        contact.failures += 1;
        contact.not_before_ms = now_ms + doubled.min(patience.failed_ms_max);
    }

    /// A link with it has ended that was up.
    pub fn finished(&mut self, now_ms: u64, address: Address) {
        let patience = self.patience;
        let contact = self.contact(now_ms, address);
        (contact.connected, contact.failures) = (false, 0);
        let bare = contact.beacon.is_none();
        let again_ms = if bare { patience.bare_again_ms } else { patience.again_ms };
        contact.not_before_ms = now_ms + again_ms;
        contact.ask_at_ms = now_ms + patience.answer_again_ms;
    }

    /// A connection with it has ended that says nothing about when to connect again.
    pub fn left(&mut self, address: Address) {
        if let Some(contact) = self.known.get_mut(&address) {
            contact.connected = false;
        }
    }

    /// Whether to connect to it, and the reason.
    pub fn judge(&self, now_ms: u64, own: &Own, address: Address) -> Verdict {
        let Some(contact) = self.known.get(&address) else {
            return Verdict::NotThere;
        };
        if contact.connected {
            return Verdict::Connected;
        }
        if !contact.mesh || now_ms >= contact.seen_ms + self.patience.there_ms {
            return Verdict::NotThere;
        }
        if now_ms < contact.not_before_ms {
            return Verdict::Wait { until_ms: contact.not_before_ms };
        }
        let Some(beacon) = contact.beacon else {
            return Verdict::Connect;
        };
        if self.is_left_in_sync(now_ms, own, address, &beacon) {
            return Verdict::InSync;
        }
        let until_ms = contact.since_ms + self.patience.their_turn_ms;
        if own.seen && own.id > beacon.id && now_ms < until_ms {
            return Verdict::TheirTurn { until_ms };
        }
        Verdict::Connect
    }

    /// Whether a device with this beacon has nothing to give: it holds the same, and was asked for
    /// answers or none is awaited.
    pub fn is_left_in_sync(
        &self,
        now_ms: u64,
        own: &Own,
        address: Address,
        beacon: &Beacon,
    ) -> bool {
        let asked = self
            .known
            .get(&address)
            .is_some_and(|contact| contact.asked >= own.awaits && now_ms < contact.ask_at_ms);
        beacon.fingerprint == fingerprint(&own.held, beacon.id) && (own.awaits.is_none() || asked)
    }

    /// The device to connect to now, the one seen last; and when the next verdict may change.
    pub fn choose(&self, now_ms: u64, own: &Own) -> (Option<Address>, Option<u64>) {
        let mut chosen: Option<(u64, Address)> = None;
        let mut next: Option<u64> = None;
        for (address, contact) in &self.known {
            match self.judge(now_ms, own, *address) {
                Verdict::Connect => chosen = chosen.max(Some((contact.seen_ms, *address))),
                // Later than that it is not there any more.
                Verdict::Wait { until_ms } | Verdict::TheirTurn { until_ms }
                    if until_ms < contact.seen_ms + self.patience.there_ms =>
                {
                    next = Some(next.map_or(until_ms, |next| next.min(until_ms)));
                }
                _ => {}
            }
        }
        (chosen.map(|(_, address)| address), next)
    }

    /// All connections are gone with the adapter.
    pub fn forget_connections(&mut self) {
        self.known.values_mut().for_each(|contact| contact.connected = false);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELD: [u8; 32] = [7; 32];

    fn own(id: u8) -> Own {
        Own { id: [id; 4], held: HELD, awaits: None, seen: true }
    }

    fn at(number: u16) -> Address {
        let mut address = [0; 16];
        address[..2].copy_from_slice(&number.to_le_bytes());
        Address(address)
    }

    fn node(id: u8, held: [u8; 32]) -> Sighting {
        let id = [id; 4];
        let beacon = Some(Beacon { fingerprint: fingerprint(&held, id), id });
        Sighting { beacon, services: vec![] }
    }

    #[test]
    fn who_holds_the_same_is_left_alone() {
        let mut contacts = Contacts::new(Patience::default());
        contacts.see(0, at(1), &node(9, HELD));
        assert_eq!(contacts.judge(0, &own(1), at(1)), Verdict::InSync);
        contacts.see(10, at(1), &node(9, [8; 32]));
        assert_eq!(contacts.judge(10, &own(1), at(1)), Verdict::Connect);
        assert_eq!(contacts.choose(10, &own(1)), (Some(at(1)), None));
    }

    #[test]
    fn who_awaits_an_answer_asks_those_who_hold_the_same_once_while_their_id_lives() {
        let mut contacts = Contacts::new(Patience::default());
        let awaits = Own { awaits: Some(1), ..own(1) };
        contacts.see(0, at(1), &node(9, HELD));
        assert_eq!(contacts.judge(0, &awaits, at(1)), Verdict::Connect);
        contacts.connected(0, at(1));
        contacts.asked(500, at(1), Some(1));
        contacts.finished(1_000, at(1));
        for now_ms in [61_000, 900_999] {
            contacts.see(now_ms, at(1), &node(9, HELD));
            assert_eq!(contacts.judge(now_ms, &awaits, at(1)), Verdict::InSync);
        }
        contacts.see(901_000, at(1), &node(9, HELD));
        assert_eq!(contacts.judge(901_000, &own(1), at(1)), Verdict::InSync);
        assert_eq!(contacts.judge(901_000, &awaits, at(1)), Verdict::Connect);
    }

    #[test]
    fn who_was_asked_before_a_payment_is_asked_for_that_one_too() {
        let mut contacts = Contacts::new(Patience::default());
        contacts.see(0, at(1), &node(9, HELD));
        contacts.connected(0, at(1));
        contacts.asked(500, at(1), Some(1));
        contacts.finished(1_000, at(1));
        contacts.see(61_000, at(1), &node(9, HELD));
        let awaits = |newest| Own { awaits: Some(newest), ..own(1) };
        assert_eq!(contacts.judge(61_000, &awaits(1), at(1)), Verdict::InSync);
        assert_eq!(contacts.judge(61_000, &awaits(2), at(1)), Verdict::Connect);
    }

    #[test]
    fn the_lower_id_begins_and_the_higher_one_waits_for_a_while() {
        let mut contacts = Contacts::new(Patience::default());
        contacts.see(0, at(1), &node(5, [8; 32]));
        assert_eq!(contacts.judge(0, &own(4), at(1)), Verdict::Connect);
        let their_turn = Verdict::TheirTurn { until_ms: 8_000 };
        assert_eq!(contacts.judge(0, &own(6), at(1)), their_turn);
        assert_eq!(contacts.choose(0, &own(6)), (None, Some(8_000)));
        assert_eq!(contacts.judge(8_000, &own(6), at(1)), Verdict::Connect);
        let hidden = Own { seen: false, ..own(6) };
        assert_eq!(contacts.judge(0, &hidden, at(1)), Verdict::Connect);
        // A new id is a new beginning.
        contacts.see(8_500, at(1), &node(4, [8; 32]));
        let their_turn = Verdict::TheirTurn { until_ms: 16_500 };
        assert_eq!(contacts.judge(8_500, &own(6), at(1)), their_turn);
    }

    #[test]
    fn who_fails_is_left_alone_ever_longer_until_it_works() {
        let mut contacts = Contacts::new(Patience::default());
        let mut waits = Vec::new();
        let mut now_ms = 0;
        for _ in 0..10 {
            contacts.see(now_ms, at(1), &node(9, [8; 32]));
            assert_eq!(contacts.judge(now_ms, &own(1), at(1)), Verdict::Connect);
            contacts.connected(now_ms, at(1));
            assert_eq!(contacts.judge(now_ms, &own(1), at(1)), Verdict::Connected);
            contacts.failed(now_ms, at(1));
            let Verdict::Wait { until_ms } = contacts.judge(now_ms, &own(1), at(1)) else {
                panic!()
            };
            waits.push(until_ms - now_ms);
            now_ms = until_ms;
        }
        assert_eq!(waits[..4], [2_000, 4_000, 8_000, 16_000]);
        assert_eq!(waits[8..], [300_000, 300_000]);
        contacts.see(now_ms, at(1), &node(9, [8; 32]));
        contacts.finished(now_ms, at(1));
        let wait = Verdict::Wait { until_ms: now_ms + 60_000 };
        assert_eq!(contacts.judge(now_ms, &own(1), at(1)), wait);
    }

    #[test]
    fn bare_nodes_are_asked_now_and_then_and_others_never() {
        let mut contacts = Contacts::new(Patience::default());
        let bare = Sighting { beacon: None, services: vec![crate::ble::advertisement::SERVICE] };
        contacts.see(0, at(1), &bare);
        contacts.see(0, at(2), &Sighting { beacon: None, services: vec![[3; 16]] });
        assert_eq!(contacts.choose(0, &own(1)), (Some(at(1)), None));
        assert_eq!(contacts.judge(0, &own(1), at(2)), Verdict::NotThere);
        contacts.finished(0, at(1));
        contacts.see(119_999, at(1), &bare);
        assert_eq!(contacts.choose(119_999, &own(1)), (None, Some(120_000)));
        assert_eq!(contacts.choose(120_000, &own(1)), (Some(at(1)), None));
        assert_eq!(contacts.judge(129_999, &own(1), at(1)), Verdict::NotThere, "gone");
    }

    proptest! {
        #[test]
        fn a_crowd_fills_a_bounded_table_and_forgets_no_connection(
            crowd in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..900),
        ) {
            let mut contacts = Contacts::new(Patience::default());
            contacts.see(0, at(1), &node(9, [8; 32]));
            contacts.connected(0, at(1));
            for (now_ms, (number, id)) in (1..).zip(crowd) {
                contacts.see(now_ms, at(number), &node(id, [number as u8; 32]));
                prop_assert!(contacts.known.len() <= CONTACTS_MAX);
                let (chosen, next) = contacts.choose(now_ms, &own(100));
                if let Some(chosen) = chosen {
                    prop_assert_eq!(contacts.judge(now_ms, &own(100), chosen), Verdict::Connect);
                }
                prop_assert!(next.is_none_or(|next| next > now_ms));
            }
            prop_assert_eq!(contacts.judge(1_000, &own(100), at(1)), Verdict::Connected);
        }
    }
}
