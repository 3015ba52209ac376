//! Load on an engine: clients that hand in a batch, wait until it is durable and answered, and hand
//! in the next; or submissions that come when they come, whether the last one is answered or not.

use super::engine::{Engine, told};
use crate::bench::bound::{LOG2_BITS, log2};
use crate::bench::measure::{Spread, process_ns};
use crate::process::check_interrupted;
use anyhow::{Context, Result, bail};
use hundi_gateway::bank_task::BankHandle;
use hundi_journal::input::Input;
use hundi_journal::limits::ITEMS_PER_SUBMISSION_MAX;
use hundi_journal::output::Verdict;
use hundi_ledger::record::checkpoint::Outcome;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Submissions without an answer at which the sender of [`open`] gives up: the engine does not
/// keep up, and no latency says anything any more.
const UNANSWERED_MAX: usize = 2_048;
/// The natural logarithm of 2 in units of 2⁻²⁰.
const LN_2: u128 = 726_817;

/// What came of some load.
#[derive(Clone, Debug)]
pub struct Row {
    /// Payments of one submission.
    pub batch: usize,
    /// Clients that waited for an answer at once; none where nobody waited.
    pub clients: Option<usize>,
    /// Payments that were answered.
    pub payments: u64,
    /// Those among them that were not answered as newly settled.
    pub not_settled: u64,
    /// From the first submission until everything is answered and checkpoints tell of it, nanoseconds.
    pub wall_ns: u64,
    /// Processor time of the whole program meanwhile.
    pub cpu_ns: u64,
    /// Submissions.
    pub submissions: u64,
    /// From handing a submission in to its answer, microseconds.
    pub latency_us: Spread,
    /// The most memory of the engine, bytes.
    pub peak_bytes: u64,
}

impl Row {
    /// Payments in a second.
    pub fn per_s(&self) -> u64 {
        let per_s = u128::from(self.payments) * 1_000_000_000 / u128::from(self.wall_ns.max(1));
        u64::try_from(per_s).unwrap_or(u64::MAX)
    }

    /// Processor time of one payment, nanoseconds.
    pub fn cpu_ns_each(&self) -> u64 {
        self.cpu_ns / self.payments.max(1)
    }
}

/// What answers have come to so far.
#[derive(Debug, Default)]
struct Answers {
    payments: u64,
    not_settled: u64,
    latencies_us: Vec<u64>,
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.payments += other.payments;
        self.not_settled += other.not_settled;
        self.latencies_us.extend(other.latencies_us);
    }

    fn row(self, batch: usize, clients: Option<usize>, meter: &Meter, engine: &Engine) -> Row {
        Row {
            batch,
            clients,
            payments: self.payments,
            not_settled: self.not_settled,
            wall_ns: u64::try_from(meter.from.elapsed().as_nanos()).unwrap_or(u64::MAX),
            cpu_ns: process_ns().saturating_sub(meter.cpu_ns),
            submissions: self.latencies_us.len() as u64,
            latency_us: Spread::of(self.latencies_us.into_iter()),
            peak_bytes: engine.take_peak_bytes(),
        }
    }
}

/// When a row began.
struct Meter {
    from: Instant,
    cpu_ns: u64,
}

impl Meter {
    fn start(engine: &Engine) -> Self {
        engine.take_peak_bytes();
        Self { cpu_ns: process_ns(), from: Instant::now() }
    }
}

/// Clients hand in these payments, `batch` at once each, until there are no more or the time is up.
///
/// # Errors
/// When the engine stops, or a person interrupts.
pub(super) fn closed(
    engine: &Engine,
    items: &Arc<Vec<Vec<u8>>>,
    range: Range<usize>,
    (batch, clients): (usize, usize),
    time: Duration,
) -> Result<Row> {
    let next = Arc::new(AtomicUsize::new(range.start));
    let meter = Meter::start(engine);
    let until = meter.from + time;
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (bank, items, next) = (engine.bank.clone(), Arc::clone(items), Arc::clone(&next));
        let end = range.end;
        let client = async move {
            let mut answers = Answers::default();
            while Instant::now() < until {
                check_interrupted()?;
                let first = next.fetch_add(batch, Ordering::Relaxed);
                // Whole batches only: a smaller one would be another row's.
                let Some(items) = items.get(first..first + batch).filter(|_| first + batch <= end)
                else {
                    break;
                };
                let inputs = submissions(items);
                answers.add(hand_in(&bank, inputs, Instant::now()).await?);
            }
            anyhow::Ok(answers)
        };
        tasks.spawn_on(client, engine.runtime.handle());
    }
    let answers = engine.runtime.block_on(all_of(tasks))?;
    engine.runtime.block_on(told(&engine.bank))?;
    Ok(answers.row(batch, Some(clients), &meter, engine))
}

/// What was offered whether it was answered or not.
#[derive(Clone, Debug)]
pub struct Offered {
    /// Payments offered in a second.
    pub per_s: u64,
    /// Whether everything that was to be offered was taken.
    pub kept_up: bool,
    /// What came of it.
    pub row: Row,
}

/// Submissions of `batch` of these payments come at random instants, `per_s` payments in a second
/// on average, for that time. Latency counts from the instant at which a submission was to come.
///
/// # Errors
/// When the engine stops, or a person interrupts.
pub(super) fn open(
    engine: &Engine,
    items: &Arc<Vec<Vec<u8>>>,
    (batch, per_s): (usize, u64),
    seed: u64,
    time: Duration,
) -> Result<Offered> {
    let mean_ns = batch as u64 * 1_000_000_000 / per_s.max(1);
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let meter = Meter::start(engine);
    let (mut due, mut kept_up) = (Duration::ZERO, true);
    let answers = engine.runtime.block_on(async {
        let mut tasks: JoinSet<Result<Answers>> = JoinSet::new();
        let mut answers = Answers::default();
        for items in items.chunks_exact(batch) {
            due += Duration::from_nanos(gap_ns(mean_ns, dice.next_u64()));
            if due >= time || !kept_up {
                break;
            }
            check_interrupted()?;
            let at = meter.from + due;
            tokio::time::sleep_until(at.into()).await;
            let (bank, inputs) = (engine.bank.clone(), submissions(items));
            tasks.spawn(async move { hand_in(&bank, inputs, at).await });
            while let Some(done) = tasks.try_join_next() {
                answers.add(done.context("a client broke down")??);
            }
            kept_up = tasks.len() < UNANSWERED_MAX;
        }
        answers.add(all_of(tasks).await?);
        told(&engine.bank).await?;
        anyhow::Ok(answers)
    })?;
    Ok(Offered { per_s, kept_up, row: answers.row(batch, None, &meter, engine) })
}

/// The time until the next of many independent arrivals, from 64 random bits.
fn gap_ns(mean_ns: u64, random: u64) -> u64 {
    // −ln(u) for u = random / 2^64.
    let log = (64 << LOG2_BITS) - u128::from(log2(random.max(1)));
    let gap = (u128::from(mean_ns) * log * LN_2) >> (2 * LOG2_BITS);
    u64::try_from(gap).unwrap_or(u64::MAX)
}

/// A batch as the bank takes it: beyond what one submission may have, several in one request, which
/// are one unit of work.
fn submissions(items: &[Vec<u8>]) -> Vec<Input> {
    let parts = items.chunks(ITEMS_PER_SUBMISSION_MAX);
    parts.map(|items| Input::Submit { items: items.to_vec() }).collect()
}

async fn hand_in(bank: &BankHandle, inputs: Vec<Input>, from: Instant) -> Result<Answers> {
    let outputs = bank.handle(inputs).await?;
    let us = u64::try_from(from.elapsed().as_micros()).unwrap_or(u64::MAX);
    let mut answers = Answers { latencies_us: vec![us], ..Answers::default() };
    for verdict in outputs.iter().flat_map(|outputs| &outputs.verdicts) {
        answers.payments += 1;
        let settled =
            matches!(verdict, Verdict::Decided { outcome: Outcome::Settled, duplicate: false, .. });
        answers.not_settled += u64::from(!settled);
    }
    if answers.payments == 0 {
        bail!("a submission without an answer");
    }
    Ok(answers)
}

async fn all_of(mut tasks: JoinSet<Result<Answers>>) -> Result<Answers> {
    let mut answers = Answers::default();
    while let Some(done) = tasks.join_next().await {
        answers.add(done.context("a client broke down")??);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_their_mean() {
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        let sum: u64 = (0..100_000).map(|_| gap_ns(1_000_000, dice.next_u64())).sum();
        assert!((990_000..1_010_000).contains(&(sum / 100_000)), "{sum}");
        assert_eq!(gap_ns(1_000, u64::MAX), 0);
    }

    #[test]
    fn a_batch_beyond_a_submission_is_several() {
        let items = vec![vec![0]; ITEMS_PER_SUBMISSION_MAX + 1];
        let sizes = submissions(&items).into_iter().map(|input| match input {
            Input::Submit { items } => items.len(),
            _ => 0,
        });
        assert_eq!(sizes.collect::<Vec<_>>(), [ITEMS_PER_SUBMISSION_MAX, 1]);
    }
}
