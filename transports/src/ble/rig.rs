//! The air of tests: a radio whose faults a seed fixes, in virtual time.

use std::collections::{BTreeMap, BTreeSet};

/// How bad the air is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub(super) lost_per_mille: u64,
    pub(super) doubled_per_mille: u64,
    /// The shortest time that a fragment takes.
    pub(super) early_ms: u64,
    /// What a fragment takes longer at most; above 0 fragments overtake each other.
    pub(super) late_ms_max: u64,
    /// How long the radio is busy with one fragment; others of the same direction wait their turn.
    pub(super) turn_ms: u64,
}

/// Fragments under way between two ends.
#[derive(Debug)]
pub(super) struct Air {
    dice: u64,
    weather: Weather,
    /// Until when the radio is busy, per direction.
    busy_ms: [u64; 2],
    /// By time, then by the order in which they were sent: to whom, when sent, what.
    under_way: BTreeMap<(u64, u64), (usize, u64, Vec<u8>)>,
    sent: u64,
    /// The numbers of those that are lost besides.
    doomed: BTreeSet<u64>,
    offered: u64,
    jumble: u64,
    newest: [u64; 2],
    overtakings: usize,
}

impl Air {
    pub(super) fn new(seed: u64, weather: Weather) -> Self {
        Air {
            dice: seed,
            weather,
            busy_ms: [0; 2],
            under_way: BTreeMap::new(),
            sent: 0,
            doomed: BTreeSet::new(),
            offered: 0,
            jumble: u64::MAX,
            newest: [0; 2],
            overtakings: 0,
        }
    }

    /// Lets a fragment be overtaken by so many later ones at most.
    pub(super) fn jumble_up_to(&mut self, places: u64) {
        self.jumble = places;
    }

    /// Loses the fragments of these numbers, counted over both directions from 0.
    pub(super) fn lose(&mut self, doomed: BTreeSet<u64>) {
        self.doomed = doomed;
    }

    /// How many fragments arrived behind one that was sent later.
    pub(super) fn overtakings(&self) -> usize {
        self.overtakings
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// Sends a fragment from one end to the other.
    pub(super) fn send(&mut self, now_ms: u64, from: usize, bytes: Vec<u8>) {
        self.offered += 1;
        if self.doomed.contains(&(self.offered - 1)) {
            return;
        }
        let copies = 1 + u64::from(self.below(1_000) < self.weather.doubled_per_mille);
        for _ in 0..copies {
            if self.below(1_000) < self.weather.lost_per_mille {
                continue;
            }
            let late = self.below(self.weather.late_ms_max + 1);
            self.sent += 1;
            let place = match self.jumble {
                u64::MAX => self.sent,
                places => self.sent + self.below(places + 1),
            };
            let late = if self.jumble == u64::MAX { late } else { 0 };
            let leaves_ms = self.busy_ms[from].max(now_ms) + self.weather.turn_ms;
            self.busy_ms[from] = leaves_ms;
            let key = (leaves_ms + self.weather.early_ms + late, place * 64 + self.sent % 64);
            self.under_way.insert(key, (1 - from, self.sent, bytes.clone()));
        }
    }

    /// The next fragment that has arrived, and at whom.
    pub(super) fn arrive(&mut self, now_ms: u64) -> Option<(usize, Vec<u8>)> {
        let entry = self.under_way.first_entry().filter(|entry| entry.key().0 <= now_ms)?;
        let (to, sent, bytes) = entry.remove();
        self.overtakings += usize::from(sent < self.newest[to]);
        self.newest[to] = self.newest[to].max(sent);
        Some((to, bytes))
    }

    /// The fragment that arrives next.
    pub(super) fn peek(&self) -> Option<(usize, &[u8])> {
        self.under_way.first_key_value().map(|(_, (to, _, bytes))| (*to, bytes.as_slice()))
    }

    /// When the next fragment arrives.
    pub(super) fn due(&self) -> Option<u64> {
        self.under_way.first_key_value().map(|(key, _)| key.0)
    }
}
