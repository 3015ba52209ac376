//! Where people are. Places are points in centimetres; everybody walks or rides from one to the
//! next and stays a while. Whole numbers only, so that every machine agrees.

use super::random::{Dice, Purpose};
use super::scenario::Radio;

/// A point, centimetres east and north of the town's middle.
pub(super) type Point = (i64, i64);

/// Metres between the middles of two villages.
const APART_M: u64 = 1_500;
/// Villages in one row.
const ROW: u32 = 100;

/// How somebody lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Never moves.
    Stays,
    /// Walks about the village, and now and then to the market in town.
    Villager,
    /// Sleeps in the village, works in town.
    Commuter,
    /// Rides from village to village by way of the town.
    Bus,
}

/// Somebody on the way from one point to the next, or staying at it.
pub(super) struct Mover {
    dice: Dice,
    habit: Habit,
    village: u32,
    away: bool,
    from: Point,
    to: Point,
    left_ms: u64,
    arrives_ms: u64,
    leaves_ms: u64,
}

fn middle(village: u32) -> Point {
    let step = (APART_M * 100) as i64;
    (i64::from(village % ROW) * step, i64::from(village / ROW) * step)
}

impl Mover {
    /// Somebody of the numbered village.
    pub(super) fn new(seed: u64, number: u32, village: u32, habit: Habit, radio: &Radio) -> Self {
        let mut dice = Dice::new(seed, Purpose::Movement(number));
        let at = match habit {
            Habit::Stays => middle(village),
            _ => spot(&mut dice, village, radio),
        };
        let leaves_ms = dice.between(0, 600_000);
        let (from, to, left_ms, arrives_ms) = (at, at, 0, 0);
        Self { dice, habit, village, away: false, from, to, left_ms, arrives_ms, leaves_ms }
    }

    /// Where it is at a time that is not before the last one asked about.
    pub(super) fn at(&mut self, now_ms: u64, villages: u32, radio: &Radio) -> Point {
        if self.habit != Habit::Stays && now_ms >= self.leaves_ms {
            self.leave(now_ms, villages, radio);
        }
        if now_ms >= self.arrives_ms {
            return self.to;
        }
        let (gone, whole) = (now_ms - self.left_ms, self.arrives_ms - self.left_ms);
        let part = |from: i64, to: i64| from + (to - from) * gone as i64 / whole.max(1) as i64;
        (part(self.from.0, self.to.0), part(self.from.1, self.to.1))
    }

    /// Chooses where to go next, and for how long.
    fn leave(&mut self, now_ms: u64, villages: u32, radio: &Radio) {
        let minute = 60_000;
        let (village, cm_per_s, stays_ms) = match self.habit {
            Habit::Stays => return,
            Habit::Villager if !self.away && self.dice.percent(6) => {
                (0, 130, self.dice.between(10, 40) * minute)
            }
            Habit::Villager => (self.village, 130, self.dice.between(1, 8) * minute),
            Habit::Commuter => {
                let there = if self.away { self.village } else { 0 };
                (there, 900, self.dice.between(15, 60) * minute)
            }
            Habit::Bus => {
                let there = if self.away { self.dice.below(u64::from(villages)) as u32 } else { 0 };
                (there, 1_200, self.dice.between(1, 4) * minute)
            }
        };
        self.away = !self.away && village == 0;
        self.from = self.to;
        self.to = spot(&mut self.dice, village, radio);
        let way = distance_squared(self.from, self.to).isqrt();
        self.left_ms = now_ms;
        self.arrives_ms = now_ms + way * 1000 / cm_per_s;
        self.leaves_ms = self.arrives_ms + stays_ms;
    }
}

fn spot(dice: &mut Dice, village: u32, radio: &Radio) -> Point {
    let (x, y) = middle(village);
    let reach = u64::from(radio.village_m) * 100;
    let mut off = || dice.below(2 * reach + 1) as i64 - reach as i64;
    (x + off(), y + off())
}

/// The square of the distance between two points.
pub(super) fn distance_squared(a: Point, b: Point) -> u64 {
    let (x, y) = (a.0.abs_diff(b.0), a.1.abs_diff(b.1));
    x * x + y * y
}
