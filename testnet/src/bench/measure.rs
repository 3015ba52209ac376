//! What one exchange costs: bytes, half trips, processor time, memory; and how many of them make a
//! row of a table. Time is the thread's own processor time, so a busy machine does not show in it.
//! Memory is what the program's counting allocator sees while a side works; it is 0 in a program
//! that has none (`main.rs` of this crate has one).

use hundi_ledger::id::{Hash, Signature};
use hundi_ledger::sign::{SecretKey, verify};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

/// Bytes of the length before every message on the link.
pub const LENGTH_BYTES: u64 = 2;
/// Signatures that say how fast the machine is.
const VERIFIED: usize = 4_000;

/// Processor time of this thread so far, nanoseconds.
pub fn thread_ns() -> u64 {
    clock_ns(ClockId::ThreadCPUTime)
}

/// Processor time of all threads of this process so far, nanoseconds.
pub fn process_ns() -> u64 {
    clock_ns(ClockId::ProcessCPUTime)
}

fn clock_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Signatures that this thread verifies one after the other in a second of its processor time: how
/// fast the machine is just now, to compare other figures with.
pub fn verifications_per_s() -> u64 {
    let key = SecretKey::from_seed(&[1; 32]);
    let signed: Vec<(Hash, Signature)> = (0..VERIFIED as u32)
        .map(|at| Hash(*blake3::hash(&at.to_le_bytes()).as_bytes()))
        .map(|id| (id, key.sign(&id)))
        .collect();
    let public = key.public();
    let from = thread_ns();
    let held = signed.iter().filter(|(id, it)| verify(&public, id, it).is_ok()).count();
    held as u64 * 1_000_000_000 / thread_ns().saturating_sub(from).max(1)
}

/// Processor time and memory of two sides that work in turns on one thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    /// Processor time of each side, nanoseconds.
    pub cpu_ns: [u64; 2],
    /// The most that each side has held at once, bytes.
    pub peak_bytes: [u64; 2],
    held: [u64; 2],
}

impl Meter {
    /// Has one side work. `leaves` says how many bytes of the result belong to the link from then
    /// on and no longer to the side.
    pub fn run<T>(
        &mut self,
        side: usize,
        work: impl FnOnce() -> T,
        leaves: impl FnOnce(&T) -> usize,
    ) -> T {
        PeakAlloc.reset_peak_usage();
        let before = PeakAlloc.current_usage();
        let from = thread_ns();
        let result = work();
        self.cpu_ns[side] += thread_ns().saturating_sub(from);
        let above = PeakAlloc.peak_usage().saturating_sub(before) as u64;
        self.peak_bytes[side] = self.peak_bytes[side].max(self.held[side] + above);
        let after = PeakAlloc.current_usage().saturating_sub(leaves(&result));
        let held = self.held[side] + after.saturating_sub(before) as u64;
        self.held[side] = held.saturating_sub(before.saturating_sub(after) as u64);
        result
    }
}

/// What one exchange has cost until both sides held everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Everything that each side put on the link, bytes.
    pub sent: [u64; 2],
    /// Canonical bytes of the items among it that the receiver lacked, by sender.
    pub items: [u64; 2],
    /// One-way trips until both held everything; where nothing differed, until both knew.
    pub half_trips: u64,
    /// One-way trips until the first item that was lacking arrived.
    pub half_trips_first: Option<u64>,
    /// Processor time and memory.
    pub meter: Meter,
    /// Processor time for verifying and applying what arrived, nanoseconds, by receiver. None
    /// where it cannot be told from the rest.
    pub apply_ns: Option<[u64; 2]>,
    /// Contacts that it took.
    pub contacts: u64,
}

impl Sample {
    /// What is not items, by sender, bytes. 0 where items travelled compressed below their length.
    pub fn metadata(&self) -> [u64; 2] {
        [0, 1].map(|side| self.sent[side].saturating_sub(self.items[side]))
    }

    /// Everything on the link, bytes.
    pub fn total(&self) -> u64 {
        self.sent[0] + self.sent[1]
    }

    /// Canonical bytes of what was missing on either side.
    pub fn missing(&self) -> u64 {
        self.items[0] + self.items[1]
    }

    /// Both together, as two contacts one after the other.
    pub fn and(&self, next: &Self) -> Self {
        let add = |a: [u64; 2], b: [u64; 2]| [a[0] + b[0], a[1] + b[1]];
        let most = |a: [u64; 2], b: [u64; 2]| [a[0].max(b[0]), a[1].max(b[1])];
        let later = next.half_trips_first.map(|first| self.half_trips + first);
        Self {
            sent: add(self.sent, next.sent),
            items: add(self.items, next.items),
            half_trips: self.half_trips + next.half_trips,
            half_trips_first: self.half_trips_first.or(later),
            meter: Meter {
                cpu_ns: add(self.meter.cpu_ns, next.meter.cpu_ns),
                peak_bytes: most(self.meter.peak_bytes, next.meter.peak_bytes),
                held: [0; 2],
            },
            apply_ns: self.apply_ns.zip(next.apply_ns).map(|(a, b)| add(a, b)),
            contacts: self.contacts + next.contacts,
        }
    }

    /// What was sent in thousandths of what was missing; none when nothing was.
    pub fn ratio_thousandths(&self) -> Option<u64> {
        (self.total() * 1_000).checked_div(self.missing())
    }
}

/// The middle and the upper percentiles of one figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half of the values are not above it.
    pub p50: u64,
    /// Of a hundred values, ninety-five are not above it.
    pub p95: u64,
    /// Of a hundred values, ninety-nine are not above it.
    pub p99: u64,
    /// The highest.
    pub max: u64,
}

impl Spread {
    /// Of these values; of none, zeroes.
    pub fn of(values: impl Iterator<Item = u64>) -> Self {
        let mut sorted: Vec<u64> = values.collect();
        sorted.sort_unstable();
        let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        let at = |percent| sorted.get(rank(percent)).copied().unwrap_or(0);
        Self { p50: at(50), p95: at(95), p99: at(99), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(Spread::of(1..=100), Spread { p50: 50, p95: 95, p99: 99, max: 100 });
        assert_eq!(Spread::of([7].into_iter()), Spread { p50: 7, p95: 7, p99: 7, max: 7 });
        assert_eq!(Spread::of([9, 1, 5].into_iter()), Spread { p50: 5, p95: 9, p99: 9, max: 9 });
        assert_eq!(Spread::of(std::iter::empty()), Spread::default());
    }

    #[test]
    fn the_meter_counts_the_side_that_works() {
        let mut meter = Meter::default();
        let work = || std::hint::black_box((0..2_000_000u64).fold(1, |a, b| a ^ b.wrapping_mul(a)));
        meter.run(1, work, |_| 0);
        assert_ne!(meter.cpu_ns[1], 0);
        assert_eq!(meter.cpu_ns[0], 0);
    }
}
