//! The figures of one protocol on the differences of one row, and how they are printed. Time is in
//! microseconds, ratios are in thousandths and trips are one-way trips inside; all are printed as
//! decimals, round trips as two of them.

use super::measure::{Sample, Spread};
use serde_json::{Map, Value, json};
use std::fmt;

/// The figures of one protocol in one row, over all seeds.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// How many differences were measured.
    pub seeds: u64,
    /// Bytes besides items from the initiator, from the responder, and of both.
    pub metadata: [Spread; 3],
    /// All bytes on the link.
    pub total: Spread,
    /// Bytes of the items that were missing.
    pub missing: Spread,
    /// Total in thousandths of what was missing.
    pub ratio: Option<Spread>,
    /// One-way trips until both held everything.
    pub half_trips: Spread,
    /// One-way trips until the first item.
    pub half_trips_first: Option<Spread>,
    /// Processor time of each side, microseconds.
    pub cpu_us: [Spread; 2],
    /// Processor time for taking what arrived, microseconds, both sides; none where it is in
    /// `cpu_us`.
    pub apply_us: Option<Spread>,
    /// The larger of both sides' peaks, bytes.
    pub peak_bytes: Spread,
    /// The most contacts that one difference took.
    pub contacts: u64,
    /// Total above 1.25 times what was missing, bytes, the highest.
    pub(super) above_125: u64,
    /// Total above 1.15 times what was missing, bytes, the highest.
    pub(super) above_115: u64,
}

impl Figures {
    /// Of all samples of a row.
    pub fn of(samples: &[Sample]) -> Self {
        let spread = |figure: &dyn Fn(&Sample) -> u64| Spread::of(samples.iter().map(figure));
        let above = |percent: u64| {
            spread(&|one| one.total().saturating_sub(one.missing() * percent / 100)).max
        };
        let ratios: Vec<u64> = samples.iter().filter_map(Sample::ratio_thousandths).collect();
        let firsts: Vec<u64> = samples.iter().filter_map(|one| one.half_trips_first).collect();
        let applies: Vec<u64> = samples
            .iter()
            .filter_map(|one| one.apply_ns.map(|ns| (ns[0] + ns[1]) / 1_000))
            .collect();
        let some = |values: Vec<u64>| (!values.is_empty()).then(|| Spread::of(values.into_iter()));
        Self {
            seeds: samples.len() as u64,
            metadata: [
                spread(&|one| one.metadata()[0]),
                spread(&|one| one.metadata()[1]),
                spread(&|one| one.total().saturating_sub(one.missing())),
            ],
            total: spread(&Sample::total),
            missing: spread(&Sample::missing),
            ratio: some(ratios),
            half_trips: spread(&|one| one.half_trips),
            half_trips_first: some(firsts),
            cpu_us: [0, 1].map(|side| spread(&|one| one.meter.cpu_ns[side] / 1_000)),
            apply_us: some(applies),
            peak_bytes: spread(&|one| one.meter.peak_bytes.into_iter().max().unwrap_or(0)),
            contacts: spread(&|one| one.contacts).max,
            above_125: above(125),
            above_115: above(115),
        }
    }

    pub(super) fn to_json(self) -> Map<String, Value> {
        let [up, down, both] = self.metadata;
        let halves = |halves: u64| decimal(halves * 500);
        let first = self.half_trips_first;
        let figures = json!({
            "seeds": self.seeds,
            "metadata_bytes_up": up.p50,
            "metadata_bytes_up_p95": up.p95,
            "metadata_bytes_down": down.p50,
            "metadata_bytes_down_p95": down.p95,
            "metadata_bytes": both.p50,
            "metadata_bytes_p95": both.p95,
            "total_bytes": self.total.p50,
            "total_bytes_p95": self.total.p95,
            "missing_bytes": self.missing.p50,
            "ratio_to_missing": self.ratio.map(|ratio| decimal(ratio.p50)),
            "ratio_to_missing_p95": self.ratio.map(|ratio| decimal(ratio.p95)),
            "round_trips": halves(self.half_trips.p50),
            "round_trips_p95": halves(self.half_trips.p95),
            "round_trips_first_item": first.map(|first| halves(first.p50)),
            "round_trips_first_item_p95": first.map(|first| halves(first.p95)),
            "contacts_max": self.contacts,
            "cpu_ms_a": decimal(self.cpu_us[0].p50),
            "cpu_ms_a_p95": decimal(self.cpu_us[0].p95),
            "cpu_ms_b": decimal(self.cpu_us[1].p50),
            "cpu_ms_b_p95": decimal(self.cpu_us[1].p95),
            "apply_ms": self.apply_us.map(|apply| decimal(apply.p50)),
            "peak_session_bytes": self.peak_bytes.max,
        });
        match figures {
            Value::Object(figures) => figures,
            _ => Map::new(),
        }
    }

    pub(super) fn write(&self, out: &mut impl fmt::Write, name: &str) -> fmt::Result {
        let [up, down, _] = self.metadata;
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| thousandths(ratio.p50, 3));
        let trips = |halves: u64| thousandths(halves * 500, 1);
        writeln!(
            out,
            "  {name:<11}{:>5} {:>17} {:>17} {:>10} {:>7} {:>9} {:>6} {:>8} {:>8} {:>8}",
            self.seeds,
            format!("{} / {}", up.p50, up.p95),
            format!("{} / {}", down.p50, down.p95),
            self.total.p50,
            ratio,
            format!("{} / {}", trips(self.half_trips.p50), trips(self.half_trips.p95)),
            self.half_trips_first.map_or_else(|| "-".to_owned(), |first| trips(first.p50)),
            thousandths(self.cpu_us[0].p50, 1),
            thousandths(self.cpu_us[1].p50, 1),
            self.peak_bytes.max.div_ceil(1_024),
        )
    }
}

/// Thousandths as a decimal with so many places, at most three.
pub(super) fn thousandths(value: u64, places: usize) -> String {
    let part = format!("{:03}", value % 1_000);
    format!("{}.{}", value / 1_000, &part[..places.min(3)])
}

/// Thousandths as a JSON number.
pub(super) fn decimal(value: u64) -> Value {
    serde_json::from_str(&thousandths(value, 3)).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_are_decimals() {
        assert_eq!(thousandths(1_234, 3), "1.234");
        assert_eq!(thousandths(2_500, 1), "2.5");
        assert_eq!(decimal(42).to_string(), "0.042");
    }
}
