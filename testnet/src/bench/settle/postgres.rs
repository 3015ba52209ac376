//! What a bank would have to beat: the same payments as double-entry rows in PostgreSQL, by
//! statements written by hand, without any signature. Each batch is one unit of work in one round
//! trip: entries, whose author and sequence number are unique and whose hash is; two postings each;
//! and the balances that change, locked in order so that connections wait for each other instead of
//! failing.
//!
//! A baseline that is fast because it is wrong would be no baseline: after every run the books in
//! the database are compared with what the payments come to.

use super::world::{LIMIT_MINOR, World};
use crate::bench::measure::Spread;
use crate::postgres::Server;
use crate::process::check_interrupted;
use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Statement};

/// The tables.
const TABLES: &str = include_str!("handwritten.sql");
/// Everything is in one currency.
const CURRENCY: &str = "INR";
/// Connections that settle at once.
const CONNECTIONS: [usize; 3] = [1, 2, 4];
/// Runs with each number of connections, of which the middle one counts.
const RUNS: usize = 3;
/// What a payment takes from: the author's reserve.
const RESERVE: u8 = 1;
/// What it adds to: the payee's money.
const MONEY: u8 = 2;

/// A kind of account and the key of whom it belongs to.
type Account = [u8; 33];

/// A payment as rows.
#[derive(Clone, Debug)]
struct Transfer {
    author: [u8; 32],
    sequence: i64,
    hash: [u8; 32],
    reserve: Account,
    money: Account,
    minor: i64,
}

/// Runs with one number of connections.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Connections that settled at once.
    pub connections: usize,
    /// Payments in a second, by run.
    pub runs: Vec<u64>,
}

impl Tried {
    /// Payments in a second, of the middle run.
    pub fn per_s(&self) -> u64 {
        Spread::of(self.runs.iter().copied()).p50
    }
}

/// What the baseline came to.
#[derive(Clone, Debug)]
pub struct Handwritten {
    /// The server's version.
    pub server: String,
    /// Payments of a unit of work.
    pub batch: usize,
    /// Payments of a run.
    pub payments: usize,
    /// By connections.
    pub tried: Vec<Tried>,
    /// Where its books were not what the payments come to.
    pub findings: Vec<String>,
}

impl Handwritten {
    /// Payments in a second with the number of connections that was fastest.
    pub fn per_s(&self) -> u64 {
        self.tried.iter().map(Tried::per_s).max().unwrap_or(0)
    }

    pub(super) fn to_json(&self) -> Value {
        let tried = self.tried.iter().map(|tried| {
            json!({
                "connections": tried.connections,
                "per_s": tried.per_s(),
                "runs_per_s": tried.runs,
            })
        });
        json!({
            "server": self.server,
            "handwritten_per_s": self.per_s(),
            "handwritten_batch": self.batch,
            "handwritten_payments": self.payments,
            "handwritten": tried.collect::<Vec<_>>(),
            "findings": self.findings,
        })
    }
}

impl fmt::Display for Handwritten {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "POSTGRESQL {}, statements written by hand, no signatures; batches of {}, {} payments, the \
             middle of {RUNS} runs",
            self.server, self.batch, self.payments
        )?;
        writeln!(out, "  {:>11} {:>10}  runs", "connections", "payments/s")?;
        for tried in &self.tried {
            let runs: Vec<String> = tried.runs.iter().map(u64::to_string).collect();
            let (connections, per_s) = (tried.connections, tried.per_s());
            writeln!(out, "  {connections:>11} {per_s:>10}  {}", runs.join(" "))?;
        }
        self.findings.iter().try_for_each(|finding| writeln!(out, "FOUND: {finding}"))
    }
}

/// Settles the world's payments on this server, `batch` in a unit of work; runs with different
/// numbers of connections take turns. Every run begins with the same books.
///
/// # Errors
/// When a statement fails, or a person interrupts. What is wrong with the books is a finding.
pub(super) fn measure(
    server: &Server,
    world: &World,
    batch: usize,
    mut say: impl FnMut(&str),
) -> Result<Handwritten> {
    let runtime = runtime()?;
    let transfers = Arc::new(transfers(world));
    let books = runtime.block_on(Books::create(server, &transfers))?;
    let version = runtime.block_on(books.client.query_one("SHOW server_version", &[]));
    let mut done = Handwritten {
        server: version.context("the server's version")?.get(0),
        batch,
        payments: transfers.len(),
        tried: CONNECTIONS.map(|connections| Tried { connections, runs: Vec::new() }).into(),
        findings: Vec::new(),
    };
    for _ in 0..RUNS {
        for tried in &mut done.tried {
            let run = runtime.block_on(async {
                books.open().await?;
                let per_s = run(server, &transfers, tried.connections, batch).await?;
                let findings = books.check(&transfers).await?;
                anyhow::Ok((per_s, findings))
            });
            let (per_s, findings) = run.context("hand-written SQL")?;
            let connections = tried.connections;
            say(&format!(
                "hand-written SQL, connections: {connections}, {per_s} payments a second"
            ));
            tried.runs.push(per_s);
            done.findings.extend(findings);
        }
    }
    Ok(done)
}

fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("cannot start a runtime")
}

fn transfers(world: &World) -> Vec<Transfer> {
    let account = |kind: u8, at: usize| {
        let mut account = [kind; 33];
        account[1..].copy_from_slice(&world.authors[at].0);
        account
    };
    let mut sequences = vec![0; world.authors.len()];
    let planned = world.plan.iter().zip(&world.claims);
    let transfer = planned.map(|(planned, (_, id, _))| {
        let sequence = sequences[planned.payer];
        sequences[planned.payer] += 1;
        Transfer {
            author: world.authors[planned.payer].0,
            sequence,
            hash: id.0,
            reserve: account(RESERVE, planned.payer),
            money: account(MONEY, planned.payee),
            // At most PAYMENT_MINOR_MAX.
            minor: planned.minor.cast_signed(),
        }
    });
    transfer.collect()
}

/// By how much each account changes, in order.
fn changes(transfers: &[Transfer]) -> BTreeMap<Account, i64> {
    let mut changes = BTreeMap::new();
    for it in transfers {
        *changes.entry(it.reserve).or_insert(0) -= it.minor;
        *changes.entry(it.money).or_insert(0) += it.minor;
    }
    changes
}

/// Has clients settle everything, each over a connection of its own, and says how many payments
/// there were in a second.
async fn run(
    server: &Server,
    transfers: &Arc<Vec<Transfer>>,
    connections: usize,
    batch: usize,
) -> Result<u64> {
    let mut writers = Vec::new();
    for _ in 0..connections {
        writers.push(Writer::connect(server).await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let from = Instant::now();
    for writer in writers {
        let (transfers, next) = (Arc::clone(transfers), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                check_interrupted()?;
                let first = next.fetch_add(batch, Ordering::Relaxed).min(transfers.len());
                let last = (first + batch).min(transfers.len());
                if first == last {
                    return anyhow::Ok(());
                }
                writer.settle(&transfers[first..last]).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.context("a client broke down")??;
    }
    let per_s = transfers.len() as u128 * 1_000_000_000 / from.elapsed().as_nanos().max(1);
    Ok(u64::try_from(per_s)?)
}

/// A connection with its statements.
struct Writer {
    client: Client,
    entries: Statement,
    postings: Statement,
    lock: Statement,
    balances: Statement,
}

impl Writer {
    async fn connect(server: &Server) -> Result<Self> {
        let client = server.connect().await?;
        let prepare = |statement| client.prepare(statement);
        let entries = prepare(
            "INSERT INTO entry (author, sequence, hash) \
             SELECT * FROM unnest($1::BYTEA[], $2::BIGINT[], $3::BYTEA[])",
        );
        let postings = prepare(
            "INSERT INTO posting (account, currency, entry, minor) \
             SELECT d.account, $4::CHAR(3), d.entry, d.minor \
             FROM unnest($1::BYTEA[], $2::BYTEA[], $3::BIGINT[]) AS d (account, entry, minor)",
        );
        let lock = prepare(
            "SELECT 1 FROM balance WHERE account = ANY($1::BYTEA[]) AND currency = $2 \
             ORDER BY account, currency FOR UPDATE",
        );
        let balances = prepare(
            "UPDATE balance b SET minor = b.minor + d.minor \
             FROM unnest($1::BYTEA[], $2::BIGINT[]) AS d (account, minor) \
             WHERE b.account = d.account AND b.currency = $3",
        );
        let (entries, postings, lock, balances) =
            tokio::try_join!(entries, postings, lock, balances).context("a statement")?;
        Ok(Self { client, entries, postings, lock, balances })
    }

    /// Settles a batch: all of it is durable afterwards, or, with an error, nothing of it.
    async fn settle(&self, batch: &[Transfer]) -> Result<()> {
        let authors: Vec<&[u8]> = batch.iter().map(|it| &it.author[..]).collect();
        let sequences: Vec<i64> = batch.iter().map(|it| it.sequence).collect();
        let hashes: Vec<&[u8]> = batch.iter().map(|it| &it.hash[..]).collect();
        let postings = || {
            batch.iter().flat_map(|it| [(&it.reserve, it, -it.minor), (&it.money, it, it.minor)])
        };
        let accounts: Vec<&[u8]> = postings().map(|(account, ..)| &account[..]).collect();
        let entries: Vec<&[u8]> = postings().map(|(_, it, _)| &it.hash[..]).collect();
        let minors: Vec<i64> = postings().map(|(.., minor)| minor).collect();
        let changes = changes(batch);
        let changed: Vec<&[u8]> = changes.keys().map(|account| &account[..]).collect();
        let by: Vec<i64> = changes.values().copied().collect();
        // Sent in this order and at once: after one that fails the server skips the rest, and what
        // says COMMIT rolls back.
        let (begun, entries, postings, locked, updated, committed) = tokio::join!(
            biased;
            self.client.batch_execute("BEGIN"),
            async { self.client.execute(&self.entries, &[&authors, &sequences, &hashes]).await },
            async {
                self.client.execute(&self.postings, &[&accounts, &entries, &minors, &CURRENCY]).await
            },
            async { self.client.execute(&self.lock, &[&changed, &CURRENCY]).await },
            async { self.client.execute(&self.balances, &[&changed, &by, &CURRENCY]).await },
            self.client.batch_execute("COMMIT"),
        );
        begun?;
        let rows = [entries?, postings?, locked?, updated?];
        committed?;
        let expected = [batch.len(), 2 * batch.len(), by.len(), by.len()].map(|rows| rows as u64);
        ensure!(rows == expected, "{rows:?} rows instead of {expected:?}");
        Ok(())
    }
}

/// The books in the database.
struct Books {
    client: Client,
    /// What each account has before the first payment.
    opening: BTreeMap<Account, i64>,
}

impl Books {
    /// Tables, and every account of these payments.
    async fn create(server: &Server, transfers: &[Transfer]) -> Result<Self> {
        let client = server.connect().await?;
        client.batch_execute(TABLES).await.context("the tables")?;
        let minor = |kind| if kind == RESERVE { LIMIT_MINOR.cast_signed() } else { 0 };
        let accounts = changes(transfers).into_keys();
        let opening = accounts.map(|account| (account, minor(account[0]))).collect();
        Ok(Self { client, opening })
    }

    /// Brings them to where nobody has paid and every author has its reserve.
    async fn open(&self) -> Result<()> {
        let accounts: Vec<&[u8]> = self.opening.keys().map(|account| &account[..]).collect();
        let minors: Vec<i64> = self.opening.values().copied().collect();
        let insert = "INSERT INTO balance (account, currency, minor) \
                      SELECT d.account, $3::CHAR(3), d.minor \
                      FROM unnest($1::BYTEA[], $2::BIGINT[]) AS d (account, minor)";
        self.client.batch_execute("TRUNCATE entry, posting, balance").await?;
        self.client.execute(insert, &[&accounts, &minors, &CURRENCY]).await?;
        // So that no run pays for what the one before left to do.
        self.client.batch_execute("VACUUM ANALYZE balance").await?;
        self.client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }

    /// Where they are not what these payments, settled once each, come to.
    async fn check(&self, transfers: &[Transfer]) -> Result<Vec<String>> {
        let mut findings = Vec::new();
        let mut compare = |what: &str, found: i64, expected: i64| {
            if found != expected {
                findings
                    .push(format!("{what}: {found} in the database, {expected} by the payments"));
            }
        };
        let payments = i64::try_from(transfers.len())?;
        compare("entries", self.number("SELECT count(*) FROM entry").await?, payments);
        compare("postings", self.number("SELECT count(*) FROM posting").await?, 2 * payments);
        let sum = "SELECT coalesce(sum(minor), 0)::BIGINT FROM posting";
        compare("trial balance", self.number(sum).await?, 0);
        let changes = changes(transfers);
        let mut balances = self.opening.clone();
        for (account, by) in &changes {
            *balances.entry(*account).or_insert(0) += by;
        }
        let found = self.accounts("SELECT account, minor FROM balance").await?;
        compare("balances that are wrong", differences(found, &balances), 0);
        let posted = "SELECT account, sum(minor)::BIGINT FROM posting GROUP BY account";
        let found = self.accounts(posted).await?;
        compare("accounts with wrong postings", differences(found, &changes), 0);
        Ok(findings)
    }

    async fn number(&self, query: &str) -> Result<i64> {
        Ok(self.client.query_one(query, &[]).await?.get(0))
    }

    async fn accounts(&self, query: &str) -> Result<BTreeMap<Account, i64>> {
        let rows = self.client.query(query, &[]).await?;
        let account = |row: &tokio_postgres::Row| {
            let account = Account::try_from(row.get::<_, &[u8]>(0));
            Ok((account.map_err(|_| anyhow!("an account of another length"))?, row.get(1)))
        };
        rows.iter().map(account).collect()
    }
}

/// How many accounts are on one side only, or differ.
fn differences(mut found: BTreeMap<Account, i64>, expected: &BTreeMap<Account, i64>) -> i64 {
    let wrong = expected.iter().filter(|(account, minor)| found.remove(*account) != Some(**minor));
    let wrong = wrong.count();
    (wrong + found.len()).cast_signed() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::error::SqlState;

    const BATCH: usize = 40;

    /// Runs a test on a database with every balance opened and a writer.
    fn with_books(test: impl AsyncFnOnce(&Books, &Writer, &[Transfer]) -> Result<()>) {
        let server = Server::start(None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(&dir.path().join("world"), 1, 9, 3 * BATCH).unwrap();
        let transfers = transfers(&world);
        let tested = runtime().unwrap().block_on(async {
            let books = Books::create(&server, &transfers).await?;
            books.open().await?;
            let writer = Writer::connect(&server).await?;
            test(&books, &writer, &transfers).await
        });
        tested.unwrap();
    }

    #[test]
    fn books_that_are_wrong_are_found() {
        with_books(async |books, writer, transfers| {
            let (settled, last) = transfers.split_at(2 * BATCH);
            writer.settle(settled).await?;
            assert_eq!(books.check(settled).await?, [""; 0]);
            // Entries, postings, balances, accounts: nothing of the last batch is there.
            assert_eq!(books.check(transfers).await?.len(), 4);
            writer.settle(last).await?;
            assert_eq!(books.check(transfers).await?, [""; 0]);
            for wrong in [
                "UPDATE balance SET minor = minor + 1 WHERE account IN (SELECT account FROM balance LIMIT 1)",
                "UPDATE posting SET minor = 2 * minor WHERE entry IN (SELECT hash FROM entry LIMIT 1)",
                "DELETE FROM posting WHERE entry IN (SELECT hash FROM entry LIMIT 1)",
                "DELETE FROM entry WHERE hash IN (SELECT hash FROM entry LIMIT 1)",
            ] {
                books.client.batch_execute("BEGIN").await?;
                assert!(books.client.execute(wrong, &[]).await? > 0);
                assert!(!books.check(transfers).await?.is_empty(), "{wrong}");
                books.client.batch_execute("ROLLBACK").await?;
            }
            Ok(())
        });
    }

    #[test]
    fn a_payment_settles_once_and_a_batch_whole_or_not_at_all() {
        with_books(async |books, writer, transfers| {
            let (settled, rest) = transfers.split_at(BATCH);
            writer.settle(settled).await?;
            // The place of one entry under another's hash, and the hash of one at another's place.
            let place = Transfer { hash: [9; 32], ..settled[3].clone() };
            let hash = Transfer { sequence: 1_000, ..settled[3].clone() };
            for (bad, constraint) in [(place, "entry_pkey"), (hash, "entry_hash")] {
                let mut batch = rest.to_vec();
                batch[BATCH / 2] = bad;
                let refused = writer.settle(&batch).await.unwrap_err();
                let refused: tokio_postgres::Error = refused.downcast()?;
                let refused = refused.as_db_error().unwrap();
                assert_eq!(refused.code(), &SqlState::UNIQUE_VIOLATION);
                assert_eq!(refused.constraint(), Some(constraint));
                assert_eq!(books.check(settled).await?, [""; 0]);
            }
            // A reserve that is overdrawn.
            let much = Transfer { minor: LIMIT_MINOR.cast_signed() + 1, ..rest[0].clone() };
            assert!(writer.settle(&[much]).await.is_err());
            writer.settle(rest).await?;
            assert_eq!(books.check(transfers).await?, [""; 0]);
            Ok(())
        });
    }
}
