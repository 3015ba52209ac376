//! Virtual time: what is to happen, by the moment and, where moments are equal, by the order in
//! which it was said. Nothing else decides the order of a run.

use super::event::Event;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What is to happen, and the time now.
#[derive(Default)]
pub(super) struct Schedule {
    now_ms: u64,
    said: u64,
    queue: BinaryHeap<Reverse<Due>>,
}

struct Due {
    at_ms: u64,
    sequence: u64,
    event: Event,
}

impl Due {
    fn place(&self) -> (u64, u64) {
        (self.at_ms, self.sequence)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Schedule {
    /// Milliseconds since the run began.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Has an event happen after so many milliseconds.
    pub(super) fn after(&mut self, wait_ms: u64, event: Event) {
        self.at(self.now_ms.saturating_add(wait_ms), event);
    }

    /// Has an event happen at a moment, or now if that has passed.
    pub(super) fn at(&mut self, at_ms: u64, event: Event) {
        self.said += 1;
        let (at_ms, sequence) = (at_ms.max(self.now_ms), self.said);
        self.queue.push(Reverse(Due { at_ms, sequence, event }));
    }

    /// Has nothing of what was said happen.
    pub(super) fn forget_all(&mut self) {
        self.queue.clear();
    }

    /// The next event no later than `until_ms`, with time moved on to it; none when there is none,
    /// with time moved on to the end.
    pub(super) fn next(&mut self, until_ms: u64) -> Option<Event> {
        if self.queue.peek().is_none_or(|Reverse(due)| due.at_ms > until_ms) {
            self.now_ms = self.now_ms.max(until_ms);
            return None;
        }
        let Reverse(due) = self.queue.pop()?;
        self.now_ms = due.at_ms;
        Some(due.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_decides_then_the_order_of_saying() {
        let mut schedule = Schedule::default();
        schedule.after(5, Event::Restart { node: 1 });
        schedule.after(3, Event::Restart { node: 2 });
        schedule.after(5, Event::Restart { node: 3 });
        let mut seen = Vec::new();
        while let Some(Event::Restart { node }) = schedule.next(10) {
            seen.push((schedule.now_ms(), node));
        }
        assert_eq!(seen, [(3, 2), (5, 1), (5, 3)]);
        assert_eq!(schedule.now_ms(), 10);
    }
}
