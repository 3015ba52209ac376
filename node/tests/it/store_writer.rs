//! A process that writes to a store until it is stopped, saying how far it has come; what it writes depends only on
//! the batch's number, so that whoever stopped it can say what must be there. Used by the kill and power-cut tests.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hundi_node::store::{Barrier, Observer, OpenReport, Phase, Store, StoreOptions, Write};

const COUNTER: (&[u8], &[u8]) = (b"counter", b"batch");

pub(crate) type Contents = BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>;

/// A small generator, so that a seed says everything.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }
}

/// Batch number `n`, from 1.
pub(crate) fn batch(n: u64) -> Vec<Write> {
    let mut random = Random(n);
    let mut batch = Vec::new();
    for _ in 0..1 + random.below(12) {
        let subject = vec![random.below(12) as u8; 33];
        let key = random.below(30).to_le_bytes().to_vec();
        if random.below(4) == 0 {
            batch.push(Write::Delete { subject, key });
        } else {
            let value = vec![n as u8; random.below(900) as usize];
            batch.push(Write::Put { subject, key, value });
        }
    }
    let (subject, key) = (COUNTER.0.to_vec(), COUNTER.1.to_vec());
    batch.push(Write::Put { subject, key, value: n.to_le_bytes().to_vec() });
    batch
}

pub(crate) fn apply(contents: &mut Contents, batch: Vec<Write>) {
    for write in batch {
        match write {
            Write::Put { subject, key, value } => drop(contents.insert((subject, key), value)),
            Write::Delete { subject, key } => drop(contents.remove(&(subject, key))),
        }
    }
}

pub(crate) fn contents(store: &Store) -> Contents {
    let mut all = Contents::new();
    store
        .for_each(|subject, key, value| {
            let again = all.insert((subject.to_vec(), key.to_vec()), value.to_vec());
            assert_eq!(again, None, "an item was visited twice");
        })
        .unwrap();
    all
}

fn count(store: &Store) -> u64 {
    let value = store.get(COUNTER.0, COUNTER.1).unwrap();
    value.map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()))
}

fn options(barrier: Barrier) -> StoreOptions {
    // Small segments, so that new ones and compaction are cut too.
    StoreOptions { segment_bytes: 64 * 1024, barrier, ..StoreOptions::default() }
}

/// What must be in the store.
#[derive(Default)]
pub(crate) struct Model {
    batches: u64,
    contents: Contents,
}

impl Model {
    /// Opens the store and compares: everything acknowledged, nothing that was never begun, every batch whole.
    /// Returns how many batches there are.
    pub(crate) fn verify(&mut self, dir: &Path, said: &Said) -> Result<(u64, OpenReport), String> {
        let (store, report) =
            Store::open(dir, options(Barrier::Full)).map_err(|error| error.to_string())?;
        let found = count(&store);
        if found < said.acknowledged || found > said.begun {
            return Err(format!("{found} batches after {said:?}"));
        }
        if found < self.batches {
            return Err(format!("{found} batches where there were {}", self.batches));
        }
        for n in self.batches + 1..=found {
            apply(&mut self.contents, batch(n));
        }
        self.batches = found;
        if contents(&store) != self.contents {
            return Err(format!("batch {found} or one before it is not whole"));
        }
        let check = store.check().map_err(|error| error.to_string())?;
        if check.findings_total != 0 {
            return Err(format!("{:?}", check.findings));
        }
        Ok((found, report))
    }

    pub(crate) fn batches(&self) -> u64 {
        self.batches
    }
}

/// What a writer has said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) begun: u64,
    pub(crate) acknowledged: u64,
    pub(crate) compactions: u64,
    pub(crate) held: bool,
    pub(crate) failed: Option<String>,
}

pub(crate) struct Writer {
    child: Child,
    _stdin: ChildStdin,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    pub(crate) said: Said,
}

impl Writer {
    /// Starts a writer that goes on after batch `batches`. It stops for good at the `hold.1`-th time that a batch
    /// reaches the phase `hold.0`.
    pub(crate) fn start(
        dir: &Path,
        barrier: Barrier,
        batches: u64,
        hold: Option<(Phase, u64)>,
    ) -> Writer {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "--nocapture", "store_writer::write_until_stopped"])
            .env("STORE_WRITER_DIR", dir)
            .env("STORE_WRITER_BARRIER", format!("{barrier:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some((phase, times)) = hold {
            command.env("STORE_WRITER_HOLD", format!("{phase:?} {times}"));
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = Said { begun: batches, acknowledged: batches, ..Said::default() };
        Writer { _stdin: child.stdin.take().unwrap(), child, lines, said }
    }

    /// Takes in one line; false at the end.
    pub(crate) fn hear(&mut self) -> bool {
        let Some(line) = self.lines.next() else { return false };
        let line = line.unwrap();
        let mut words = line.split_whitespace();
        let word = words.next();
        let number = || words.next().and_then(|number| number.parse::<u64>().ok());
        match word {
            Some("@begin") => self.said.begun = { number }().unwrap(),
            Some("@acknowledged") => self.said.acknowledged = { number }().unwrap(),
            Some("@compacted") => self.said.compactions += 1,
            Some("@holding") => self.said.held = true,
            Some("@failed") => self.said.failed = Some(line),
            _ => {}
        }
        true
    }

    /// Hears until `count` more batches are acknowledged, or it holds or ends.
    pub(crate) fn hear_acknowledged(&mut self, count: u64) {
        let target = self.said.acknowledged + count;
        while self.said.acknowledged < target && !self.said.held && self.hear() {}
    }

    /// Kills it (SIGKILL) and takes in what it said before.
    pub(crate) fn kill(mut self) -> Said {
        self.child.kill().unwrap();
        while self.hear() {}
        self.child.wait().unwrap();
        self.said.clone()
    }
}

fn say(what: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{what}").and_then(|()| out.flush()).unwrap();
}

#[test]
#[ignore = "not a test: the process that the kill and power-cut tests stop"]
fn write_until_stopped() {
    let Ok(dir) = std::env::var("STORE_WRITER_DIR") else { return };
    let barrier = match std::env::var("STORE_WRITER_BARRIER").unwrap().as_str() {
        "Full" => Barrier::Full,
        _ => Barrier::Off,
    };
    let hold = std::env::var("STORE_WRITER_HOLD").unwrap_or_default();
    let (hold_phase, hold_times) = hold.split_once(' ').unwrap_or(("", "0"));
    let (hold_phase, hold_times) = (hold_phase.to_owned(), hold_times.parse::<u64>().unwrap());
    let times = AtomicU64::new(0);
    let observer: Observer = Arc::new(move |_, phase| {
        if format!("{phase:?}") == hold_phase
            && times.fetch_add(1, Ordering::Relaxed) + 1 == hold_times
        {
            say(format_args!("holding"));
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(0);
        }
    });
    // The test harness has begun a line of its own.
    println!();
    let opened =
        Store::open(Path::new(&dir), StoreOptions { observer: Some(observer), ..options(barrier) });
    let (store, _) = match opened {
        Ok(opened) => opened,
        Err(error) => return say(format_args!("failed {error}")),
    };
    for n in count(&store) + 1.. {
        say(format_args!("begin {n}"));
        if let Err(error) = store.commit(&batch(n)) {
            return say(format_args!("failed {error}"));
        }
        say(format_args!("acknowledged {n}"));
        match store.compact(16 * 1024) {
            Ok(report) if report.freed_bytes > 0 => say(format_args!("compacted")),
            Ok(_) => {}
            Err(error) => return say(format_args!("failed {error}")),
        }
    }
}
