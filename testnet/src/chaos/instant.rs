//! When a kill fell: aimed at by watching a store's segment grow, and judged afterwards by what the
//! client had been told and what is in the store once it is open again.

use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Upper ends of the histogram's rows, microseconds from sending a request to the kill. What took
/// longer is in one row more.
const ROWS_US: [u64; 9] = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000];

/// Where a kill fell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instant {
    /// Nothing that had been asked was unanswered.
    Idle,
    /// Something was asked, and it is not in the store.
    BeforePersist,
    /// Something was asked and not answered, and it is in the store.
    BeforeAcknowledgement,
}

/// One row of the histogram.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Row {
    before_persist: u64,
    before_acknowledgement: u64,
}

/// Kills by their instants.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    idle: u64,
    rows: [Row; ROWS_US.len() + 1],
}

impl Histogram {
    /// Counts a kill, so long after the request was sent that it cut off.
    pub(super) fn count(&mut self, instant: Instant, since: Duration) {
        let us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let row = &mut self.rows[ROWS_US.iter().take_while(|end| us >= **end).count()];
        match instant {
            Instant::Idle => self.idle += 1,
            Instant::BeforePersist => row.before_persist += 1,
            Instant::BeforeAcknowledgement => row.before_acknowledgement += 1,
        }
    }

    /// Kills between persist and acknowledgement.
    pub(super) fn before_acknowledgement(&self) -> u64 {
        self.rows.iter().map(|row| row.before_acknowledgement).sum()
    }

    /// For programs: a row's end is none where it has none.
    pub(super) fn to_json(&self) -> Value {
        let ends = ROWS_US.iter().map(Some).chain([None]);
        let rows = self.rows.iter().zip(ends).map(|(row, end)| {
            let Row { before_persist, before_acknowledgement } = row;
            json!({
                "until_us": end,
                "before_persist": before_persist,
                "between_persist_and_ack": before_acknowledgement,
            })
        });
        json!({ "idle": self.idle, "in_flight": rows.collect::<Vec<_>>() })
    }
}

/// For people.
impl fmt::Display for Histogram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<26}{:>16}{:>26}",
            "KILLED AFTER SENDING", "before persist", "between persist and ack"
        )?;
        let ends = ROWS_US.iter().map(|end| format!("until {end} us"));
        let last = format!("after {} us", ROWS_US[ROWS_US.len() - 1]);
        for (row, end) in self.rows.iter().zip(ends.chain([last])) {
            let Row { before_persist, before_acknowledgement } = row;
            writeln!(out, "{end:<26}{before_persist:>16}{before_acknowledgement:>26}")?;
        }
        writeln!(out, "{:<26}{:>16}", "nothing was in flight", self.idle)
    }
}

/// Bytes of a store's segments: it grows when a batch is written, before that is synced, indexed
/// and acknowledged.
pub(super) fn segment_bytes(store: &Path) -> u64 {
    let Ok(segments) = std::fs::read_dir(store.join("segments")) else { return 0 };
    segments.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kill_is_in_one_row() {
        let mut histogram = Histogram::default();
        for us in [0, 249, 250, 63_999, 64_000, 10_000_000] {
            histogram.count(Instant::BeforePersist, Duration::from_micros(us));
            histogram.count(Instant::BeforeAcknowledgement, Duration::from_micros(us));
        }
        histogram.count(Instant::Idle, Duration::ZERO);
        assert_eq!(histogram.before_acknowledgement(), 6);
        let rows = histogram.rows.map(|row| row.before_persist);
        assert_eq!(rows, [2, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(histogram.idle, 1);
    }
}
