//! Virtual time: what is to happen, by the moment and, where moments are equal, by the order in
//! which it was said. Nothing else decides the order of a run.

use super::event::Event;
use std::collections::BTreeMap;

/// What is to happen, and the time now.
#[derive(Default)]
pub(super) struct Schedule {
    now_ms: u64,
    said: u64,
    /// By moment, and the how manieth that was said.
    queue: BTreeMap<(u64, u64), Event>,
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
        self.queue.insert((at_ms.max(self.now_ms), self.said), event);
    }

    /// Has nothing of what was said happen.
    pub(super) fn forget_all(&mut self) {
        self.queue.clear();
    }

    /// The next event no later than `until_ms`, with time moved on to it; none when there is none,
    /// with time moved on to the end.
    pub(super) fn next(&mut self, until_ms: u64) -> Option<Event> {
        let due = self.queue.first_entry().filter(|due| due.key().0 <= until_ms);
        let Some(due) = due else {
            self.now_ms = self.now_ms.max(until_ms);
            return None;
        };
        let ((at_ms, _), event) = due.remove_entry();
        self.now_ms = at_ms;
        Some(event)
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
