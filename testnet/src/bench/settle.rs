//! How fast a bank settles, beside what its machine can do at most: signatures verified in a second
//! and durable writes in a second. Signed and sealed payments of many authors are handed to the
//! engine that a gateway runs, and count when their answer is there, which is after they are
//! durable. Afterwards the store is opened again and the books are audited. Beside it stands what
//! statements written by hand do with the same payments in PostgreSQL.

mod ceiling;
mod engine;
mod load;
mod postgres;
mod profile;
mod report;
mod world;

pub use ceiling::Ceiling;
pub use load::{Offered, Row};
pub use postgres::{Handwritten, Tried};
pub use profile::Profile;
pub use report::Report;

use super::{BenchError, OutputArgs};
use crate::demo::Progress;
use crate::postgres::Server;
use anyhow::Context;
use ceiling::Round;
use clap::{Args, ValueEnum};
use engine::{Ended, Engine};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use world::World;

/// Authors unless the options say another number.
const AUTHORS: u32 = 10_000;
/// Payments to sign unless they do.
const ENTRIES: u32 = 100_000;
/// Both where everything is small.
const QUICK: (u32, u32) = (200, 2_000);
/// Payments of a batch.
const BATCHES: [usize; 7] = [1, 8, 64, 512, 1_024, 4_096, 8_192];
/// The same where everything is small.
const BATCHES_QUICK: [usize; 3] = [1, 64, 512];
/// Clients that wait for an answer at once: as many as a gateway lets post at once.
const CLIENTS: usize = 32;
/// Payments without an answer with which a large batch makes do: one is worked on, one waits.
const UNANSWERED: usize = 2_048;
/// How long a row takes, if there are payments enough.
const ROW: Duration = Duration::from_secs(8);
/// The same where everything is small.
const ROW_QUICK: Duration = Duration::from_secs(2);
/// Longer than any row.
const UNTIL_DONE: Duration = Duration::from_secs(86_400);
/// Payments of one submission while the load is half of the most.
const HALF: [usize; 2] = [1, 64];
/// Payments of a batch while the books grow: what a gateway takes in one posted file.
const GROWTH_BATCH: usize = 1_024;
/// Clients meanwhile.
const GROWTH_CLIENTS: usize = 2;
/// Parts into which the growth is divided: the last is beyond nine times the first.
const GROWTH_PARTS: usize = 10;
/// Payments of a batch of statements written by hand; and where everything is small.
const HANDWRITTEN_BATCH: (usize, usize) = (1_000, 100);
/// Batches that are profiled: payments of each, and how many.
const PROFILES: [(usize, usize); 2] = [(64, 64), (4_096, 4)];
/// The same where everything is small.
const PROFILES_QUICK: [(usize, usize); 1] = [(64, 8)];

/// What of the bench is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Signatures that the machine verifies, and durable appends that its disk does, in a second.
    Ceiling,
    /// The engine with batches of 1 to 8,192 payments.
    Batches,
    /// Latency of one payment at a time, and at half of the most that the engine did; runs the
    /// batches, too.
    Latency,
    /// The same load while the books grow tenfold.
    Growth,
    /// The same payments by statements written by hand, in PostgreSQL, over 1, 2 and 4 connections.
    Postgres,
    /// Where the time of a payment goes.
    Profile,
}

/// Options of the bench.
#[derive(Clone, Debug, Args)]
pub struct SettleArgs {
    /// Makes the keys, and who pays whom how much.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Authors that pay; 10,000 unless --quick.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub authors: Option<u32>,
    /// Payments to sign before the clock starts: every row settles the first of them, from the same
    /// books, and the growth all of them. 100,000 unless --quick.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    pub entries: Option<u32>,
    /// Everything small: shows that it works, in seconds.
    #[arg(long)]
    pub quick: bool,
    /// Only these cases.
    #[arg(long, value_name = "CASES", value_delimiter = ',', value_enum)]
    pub only: Vec<Case>,
    /// A directory on the disk that the stores are to be on; the one for temporary files otherwise.
    /// As root, a PostgreSQL server that is another user's has to reach it.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where the results go.
    #[command(flatten)]
    pub output: OutputArgs,
}

impl SettleArgs {
    fn runs(&self, case: Case) -> bool {
        let needed = case == Case::Batches && self.only.contains(&Case::Latency);
        self.only.is_empty() || self.only.contains(&case) || needed
    }
}

/// Measures everything that the options name.
///
/// # Errors
/// See [`BenchError`]. An expectation that does not hold is in the report instead.
pub fn run(args: &SettleArgs) -> Result<Report, BenchError> {
    let progress = Progress::new(Instant::now());
    let (authors, entries) = if args.quick { QUICK } else { (AUTHORS, ENTRIES) };
    let (authors, entries) = (args.authors.unwrap_or(authors), args.entries.unwrap_or(entries));
    let dir = directory(args.dir.as_deref())?;
    // Before anything that takes long: the machine may lack it.
    let server = args.runs(Case::Postgres).then(|| Server::start(args.dir.as_deref()));
    let server = server.transpose().context("the case `postgres` (--only names others)")?;
    progress.say(&format!("enrolling {authors} authors and signing {entries} payments"));
    let world = World::new(dir.path(), args.seed, authors as usize, entries as usize)?;
    let mut run = Run {
        args,
        progress: &progress,
        world: &world,
        dir: dir.path(),
        rounds: Vec::new(),
        report: Report::new(args.seed, authors, entries),
    };
    if let Some(server) = server {
        run.postgres(server)?;
    }
    run.ceiling()?;
    if args.runs(Case::Batches) {
        run.batches()?;
    }
    if args.runs(Case::Latency) {
        run.latency()?;
    }
    if args.runs(Case::Growth) {
        run.growth()?;
    }
    if args.runs(Case::Profile) {
        run.profile()?;
    }
    run.ceiling()?;
    let Run { mut report, rounds, .. } = run;
    report.finish(Ceiling::of(&rounds), progress.elapsed_ms());
    Ok(report)
}

fn directory(given: Option<&Path>) -> anyhow::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("hundi-settle-");
    let made = given.map_or_else(|| builder.tempdir(), |dir| builder.tempdir_in(dir));
    made.context("cannot make a directory for the stores")
}

/// A bench in progress.
struct Run<'a> {
    args: &'a SettleArgs,
    progress: &'a Progress,
    world: &'a World,
    dir: &'a Path,
    rounds: Vec<Round>,
    report: Report,
}

impl Run<'_> {
    fn row_time(&self) -> Duration {
        if self.args.quick { ROW_QUICK } else { ROW }
    }

    /// A round of the ceiling, in turns with the rest.
    fn ceiling(&mut self) -> anyhow::Result<()> {
        if self.args.runs(Case::Ceiling) {
            self.rounds.push(Round::measure(self.world, self.dir)?);
        }
        Ok(())
    }

    /// The baseline, on a server that has the machine for itself and is gone afterwards.
    fn postgres(&mut self, server: Server) -> anyhow::Result<()> {
        let (batch, quick) = HANDWRITTEN_BATCH;
        let batch = if self.args.quick { quick } else { batch };
        let say = |line: &str| self.progress.say(line);
        let done = postgres::measure(&server, self.world, batch, say)?;
        self.report.handwritten = Some(done);
        Ok(())
    }

    fn batches(&mut self) -> anyhow::Result<()> {
        let sizes: &[usize] = if self.args.quick { &BATCHES_QUICK } else { &BATCHES };
        for batch in sizes {
            if *batch > self.world.items.len() {
                continue;
            }
            self.ceiling()?;
            let clients = (UNANSWERED / batch).clamp(2, CLIENTS);
            let row = self.closed(*batch, clients)?;
            self.report.rows.push(row);
        }
        Ok(())
    }

    fn latency(&mut self) -> anyhow::Result<()> {
        let row = self.closed(1, 1)?;
        self.report.one_at_a_time = Some(row);
        let Some(most) = self.report.best().map(Row::per_s) else { return Ok(()) };
        for batch in HALF {
            let engine = Engine::start(self.world, self.dir)?;
            let offer = (batch, most / 2);
            let offered =
                load::open(&engine, &self.world.items, offer, self.args.seed, self.row_time())?;
            self.end(engine, offered.row.payments)?;
            self.say(&offered.row);
            self.report.half.push(offered);
        }
        Ok(())
    }

    /// One row on an engine of its own.
    fn closed(&mut self, batch: usize, clients: usize) -> anyhow::Result<Row> {
        let engine = Engine::start(self.world, self.dir)?;
        let all = 0..self.world.items.len();
        let row = load::closed(&engine, &self.world.items, all, (batch, clients), self.row_time())?;
        self.end(engine, row.payments)?;
        self.say(&row);
        Ok(row)
    }

    fn growth(&mut self) -> anyhow::Result<()> {
        let engine = Engine::start(self.world, self.dir)?;
        let part = self.world.items.len() / GROWTH_PARTS;
        let batch = GROWTH_BATCH.min(part / GROWTH_CLIENTS);
        // A part is whole batches, so that the books grow by as much each time.
        let part = part / batch * batch;
        let mut settled = 0;
        for at in 0..GROWTH_PARTS {
            let range = at * part..(at + 1) * part;
            let how = (batch, GROWTH_CLIENTS);
            let row = load::closed(&engine, &self.world.items, range, how, UNTIL_DONE)?;
            settled += row.payments;
            self.say(&row);
            self.report.growth.push((settled, row));
        }
        let ended = self.end(engine, settled)?;
        self.report.reopened = Some(ended);
        Ok(())
    }

    fn profile(&mut self) -> anyhow::Result<()> {
        let sizes: &[_] = if self.args.quick { &PROFILES_QUICK } else { &PROFILES };
        for (batch, batches) in sizes {
            self.progress.say(&format!("profiling batches of {batch}"));
            let profile = profile::profile(self.world, self.dir, *batch, *batches)?;
            self.report.profiles.push(profile);
        }
        Ok(())
    }

    /// Ends an engine; the audit must find what was answered, and nothing else.
    fn end(&mut self, engine: Engine, answered: u64) -> anyhow::Result<Ended> {
        let ended = engine.end(self.world)?;
        self.report.audited(&ended, answered);
        Ok(ended)
    }

    fn say(&self, row: &Row) {
        self.progress.say(&format!(
            "batches of {}: {} payments, {} a second, p99 {} us",
            row.batch,
            row.payments,
            row.per_s(),
            row.latency_us.p99
        ));
    }
}
