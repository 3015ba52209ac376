//! Streams of symbols: what is sent of which range and when, and what has been taken and does not
//! tell yet what differs.
//!
//! One stream covers the whole core as long as few authors differ. Beyond, the core is cut into
//! ranges that decode and transfer on their own, some more of them in every turn, so that a short
//! contact gains from its first turns on. Ranges of own authors go first; the others follow from a
//! place that is another one in every contact.

use super::SYMBOLS_PER_TURN_MAX;
use super::message::Stream;
use super::symbols::{Decoder, Difference, STREAM_SYMBOLS_MAX, Symbol};
use crate::replica::range::Range;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Symbols that the first message about the core has: enough for ten differing authors in 97 of
/// 100 contacts.
pub(super) const FIRST_CORE: usize = 28;
/// Symbols that the first message about the head has.
pub(super) const FIRST_HEAD: usize = 8;
/// Differing authors that one stream over everything is to find; more go into ranges.
const WHOLE_MAX: u64 = 48;
/// Differing authors that a range has at most, on average.
const RANGE_MAX: u64 = 24;
/// Differing authors that the first ranges hold together.
const WINDOW_FIRST: u64 = 24;
/// Differing authors that the ranges of one turn hold together at most.
const WINDOW_MAX: u64 = 512;
/// Bits that a range has at most, so that even the least differ in something.
const BITS_MAX: u8 = 40;
/// Symbols taken and not yet decoded that are kept at most.
const KEPT_MAX: usize = 4096;

/// Symbols to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) stream: Stream,
    /// How many the other side has.
    pub(super) from: usize,
    /// How many it is to have.
    pub(super) to: usize,
}

/// The walk over ranges.
#[derive(Clone, Debug)]
struct Plan {
    /// What is cut, and into how many bits' worth of ranges.
    whole: Range,
    bits: u8,
    /// Symbols for each range at first.
    symbols: usize,
    /// Ranges of own authors, by their number.
    first: Vec<u64>,
    /// How many of those have been sent.
    first_sent: usize,
    /// The number of the range to start with, and how many have been looked at from there.
    start: u64,
    walked: u64,
    /// Differing authors that a range has on average.
    differ: u64,
    window: u64,
    /// Ranges begun in the last turn, or gone on with where none were.
    begun: usize,
}

impl Plan {
    /// The next range, and how many symbols it is to have: more if it is to decode at once.
    fn next(&mut self) -> Option<(Range, usize)> {
        if let Some(number) = self.first.get(self.first_sent).copied() {
            self.first_sent += 1;
            return self.range(number).map(|range| (range, 2 * self.symbols));
        }
        let count = 1u64 << self.bits;
        while self.walked < count {
            let number = self.start.wrapping_add(self.walked) % count;
            self.walked += 1;
            if !self.first.contains(&number) {
                return self.range(number).map(|range| (range, self.symbols));
            }
        }
        None
    }

    fn range(&self, number: u64) -> Option<Range> {
        let bits = self.whole.bits() + self.bits;
        Range::new(bits, self.whole.first() | number.checked_shl(64 - u32::from(bits)).unwrap_or(0))
    }

    fn is_done(&self) -> bool {
        self.first_sent >= self.first.len() && self.walked >= 1 << self.bits
    }
}

/// What this side sends.
#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    due: Vec<Due>,
    plan: Option<Plan>,
    /// The first symbol of each stream that the last turn had: the set that it is about.
    about: BTreeMap<Stream, Symbol>,
    /// As `about`, while a turn is being made.
    before: BTreeMap<Stream, Symbol>,
}

impl Sender {
    /// Whether nothing is left to send.
    pub(super) fn is_done(&self) -> bool {
        self.due.is_empty() && self.plan.as_ref().is_none_or(Plan::is_done)
    }

    /// Queues the first symbols of a stream.
    pub(super) fn begin(&mut self, stream: Stream, symbols: usize) {
        self.due.push(Due { stream, from: 0, to: symbols });
    }

    /// Queues more symbols of a stream of the last turn, which the other side could not decode with
    /// `next`. Of others nobody asks who keeps to the protocol.
    pub(super) fn go_on(&mut self, stream: Stream, next: usize, least: usize) {
        let to = (next + (next / 2).max(8)).max(least).min(STREAM_SYMBOLS_MAX);
        let asked = self.due.iter().any(|due| due.stream == stream);
        if next < to && !asked && self.about.contains_key(&stream) {
            self.due.push(Due { stream, from: next, to });
        }
    }

    /// Cuts a difference of about `differ` authors within `whole` into streams. `own` are positions
    /// of own authors on both sides, and `start` where the walk begins.
    pub(super) fn plan(&mut self, whole: Range, differ: u64, next: usize, own: &[u64], start: u64) {
        if self.plan.is_some() {
            return;
        }
        let most = BITS_MAX.saturating_sub(whole.bits());
        if differ <= WHOLE_MAX || most == 0 {
            return self.go_on(Stream::Core(whole), next, symbols_for(differ));
        }
        let bits = (1..most).find(|bits| differ >> bits <= RANGE_MAX).unwrap_or(most);
        let number = |position: u64| (position << whole.bits()) >> (64 - bits);
        let own = own.iter().copied().filter(|position| whole.contains(*position));
        let mut first: Vec<u64> = own.map(number).collect();
        first.sort_unstable();
        first.dedup();
        let differ = (differ >> bits).max(1);
        self.plan = Some(Plan {
            whole,
            bits,
            symbols: symbols_for(differ),
            first,
            first_sent: 0,
            start: number(start),
            walked: 0,
            differ,
            window: WINDOW_FIRST,
            begun: 0,
        });
    }

    /// What to send in this turn. `new` is whether ranges may be begun. Of more than a turn may have
    /// the rest is left out: the other side compares ranges instead.
    pub(super) fn turn(&mut self, new: bool) -> Vec<Due> {
        self.before = core::mem::take(&mut self.about);
        let mut left = SYMBOLS_PER_TURN_MAX;
        let mut fits = |due: &Due| match left.checked_sub(due.to) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        let mut due = core::mem::take(&mut self.due);
        due.retain(&mut fits);
        // The first ranges answer a question: they go whatever else is to be sent.
        let begun = |plan: &mut Plan| plan.walked + plan.first_sent as u64 > 0;
        let Some(plan) = self.plan.as_mut() else { return due };
        // While most of what was begun last does not decode, symbols for it come first: a contact
        // that ends then has gained.
        if begun(plan) && (!new || 2 * due.len() > plan.begun) {
            plan.begun = due.len();
            return due;
        }
        let ranges = (plan.window / plan.differ).max(1);
        plan.window = (plan.window * 2).min(WINDOW_MAX);
        let before = due.len();
        for _ in 0..ranges {
            // Room for the largest that could come, so that none is passed over.
            if left < 2 * plan.symbols {
                break;
            }
            let Some((range, to)) = plan.next() else { break };
            left -= to;
            due.push(Due { stream: Stream::Core(range), from: 0, to });
        }
        plan.begun = due.len() - before;
        due
    }

    /// Which of the symbols from 0 on are to be sent: all of them if the set has changed since the
    /// first were.
    pub(super) fn send_from(&mut self, due: &Due, symbols: &[Symbol]) -> usize {
        let first = symbols.first().copied().unwrap_or_default();
        let same = self.before.get(&due.stream) == Some(&first);
        self.about.insert(due.stream, first);
        if same { due.from } else { 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        let first = self.plan.as_ref().map_or(0, |plan| plan.first.capacity() * 8);
        self.due.capacity() * size_of::<Due>()
            + (self.about.len() + self.before.len())
                * 2
                * (size_of::<Stream>() + size_of::<Symbol>())
            + first
    }
}

/// Symbols with which a range of so many differing authors decodes most of the time.
fn symbols_for(differ: u64) -> usize {
    usize::try_from(differ * 8 / 5).unwrap_or(STREAM_SYMBOLS_MAX).min(STREAM_SYMBOLS_MAX - 6) + 6
}

/// A stream that does not tell yet what differs.
#[derive(Clone, Debug, Default)]
struct Open {
    symbols: Vec<Symbol>,
    /// Some differences came out already: few symbols are lacking.
    close: bool,
    /// More were asked for and have not come.
    asked: bool,
}

/// What this side takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Receiver {
    open: BTreeMap<Stream, Open>,
}

/// What the symbols of one stream say.
#[derive(Debug)]
pub(super) enum Told {
    /// Symbols that do not follow those that are here.
    Nothing,
    /// Too much is waiting for more symbols already.
    TooMuch,
    /// So many are not enough.
    More,
    /// All that differs.
    All(Vec<Difference>),
}

impl Receiver {
    /// Takes symbols of the other side, of the head or a range within `whole`. `ours` gives as many
    /// symbols of this side, from 0 on: its set may have changed since earlier ones came.
    pub(super) fn take(
        &mut self,
        whole: Range,
        stream: Stream,
        start: usize,
        symbols: Vec<Symbol>,
        ours: impl FnOnce(usize) -> Vec<Symbol>,
    ) -> Told {
        if stream != Stream::Head && stream != Stream::Core(whole) {
            // The other side cuts into ranges what was to be one stream.
            self.open.remove(&Stream::Core(whole));
        }
        let kept: usize = self.open.values().map(|open| open.symbols.len()).sum();
        let held = self.open.get(&stream).map_or(0, |open| open.symbols.len());
        let follows = start == 0 || start == held;
        if !follows {
            return Told::Nothing;
        }
        if kept + symbols.len() > KEPT_MAX + held {
            self.open.remove(&stream);
            return Told::TooMuch;
        }
        let mut all = match self.open.remove(&stream) {
            Some(open) if start > 0 => open.symbols,
            _ => Vec::new(),
        };
        all.extend(symbols);
        let mut decoder = Decoder::default();
        decoder.extend(&all, &ours(all.len()));
        match decoder.differences() {
            Some(found) => Told::All(found.to_vec()),
            None => {
                let close = 4 * decoder.found() >= all.len();
                self.open.insert(stream, Open { symbols: all, close, asked: false });
                Told::More
            }
        }
    }

    /// What to ask for: streams, how many symbols of each are here, and whether few are lacking.
    pub(super) fn ask(&mut self) -> Vec<(Stream, usize, bool)> {
        let ask = self.open.iter_mut().filter(|(_, open)| !open.asked).map(|(stream, open)| {
            open.asked = true;
            (*stream, open.symbols.len(), open.close)
        });
        ask.collect()
    }

    /// Gives up, at the end of the other side's turn, what was asked for and has not come, and what
    /// has as many symbols as a stream may have.
    pub(super) fn give_up(&mut self) -> Vec<Stream> {
        let hopeless = |open: &Open| open.asked || open.symbols.len() >= STREAM_SYMBOLS_MAX;
        let up: Vec<Stream> = self
            .open
            .iter()
            .filter(|(_, open)| hopeless(open))
            .map(|(stream, _)| *stream)
            .collect();
        up.iter().for_each(|stream| drop(self.open.remove(stream)));
        up
    }

    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        let one =
            |open: &Open| open.symbols.capacity() * size_of::<Symbol>() + 2 * size_of::<Open>();
        self.open.values().map(one).sum()
    }
}
