//! A process that writes to a store until its power is cut, saying how far it has come: `begin N`
//! before a batch, `acknowledged N` after it, on a pipe that does not go through the disk. And the
//! other end of that pipe.

use super::contents::{Failure, Load};
use super::{StoreKind, books, device};
use anyhow::{Context, Result, anyhow};
use hundi_node::store::{Barrier, Observer, Phase, StoreOptions};
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a writer stops for good: at the `times`-th batch that has come as far as `phase`.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    phase: Phase,
    times: u64,
}

impl Hold {
    /// Between the segment and the index.
    pub(super) fn before_index(times: u64) -> Self {
        Self { phase: Phase::SegmentDurable, times }
    }

    /// Between the index and its barrier.
    pub(super) fn before_barrier(times: u64) -> Self {
        Self { phase: Phase::IndexWritten, times }
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.phase == Phase::SegmentDurable { "segment" } else { "index" };
        write!(out, "{word}={}", self.times)
    }
}

impl FromStr for Hold {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (word, times) = text.split_once('=').context("segment=N or index=N")?;
        let times = times.parse().context("a number of times")?;
        match word {
            "segment" => Ok(Self::before_index(times)),
            "index" => Ok(Self::before_barrier(times)),
            _ => Err(anyhow!("segment=N or index=N")),
        }
    }
}

/// How a writer writes.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// What kind of store.
    pub store: StoreKind,
    /// Its directory.
    pub dir: PathBuf,
    /// Whether anything is made durable before it is acknowledged.
    pub barrier: bool,
    /// Where it stops.
    pub hold: Option<Hold>,
}

/// Writes until the process is stopped or the store fails, which it says.
///
/// # Errors
/// When nobody listens.
pub fn write_until_stopped(options: WriterOptions) -> Result<()> {
    match write(options) {
        Ok(()) => Ok(()),
        Err(error) => say(format_args!("failed {error:#}")),
    }
}

fn write(options: WriterOptions) -> Result<()> {
    let barrier = if options.barrier { Barrier::Full } else { Barrier::Off };
    let observer = options.hold.map(holding);
    let store = StoreOptions { barrier, observer, ..StoreOptions::default() };
    let mut load: Box<dyn Load> = match options.store {
        StoreKind::Node => Box::new(device::Writing::open(&options.dir, store)?),
        StoreKind::Journal => Box::new(books::Writing::open(&options.dir, store)?),
    };
    loop {
        let number = load.done() + 1;
        say(format_args!("begin {number}"))?;
        let freed = load.write()?;
        say(format_args!("acknowledged {number}"))?;
        if freed {
            say(format_args!("freed"))?;
        }
    }
}

/// Stops the committing thread for good, and says so.
fn holding(hold: Hold) -> Observer {
    let times = AtomicU64::new(0);
    Arc::new(move |_, phase| {
        if phase == hold.phase && times.fetch_add(1, Ordering::Relaxed) + 1 == hold.times {
            // Nobody listens: then there is nothing to stop for.
            drop(say(format_args!("holding")));
            // Returns when the other end is gone, and with it the reason to go on.
            drop(std::io::stdin().read(&mut [0]));
            std::process::exit(0);
        }
    })
}

fn say(what: std::fmt::Arguments<'_>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    Ok(writeln!(out, "{what}").and_then(|()| out.flush())?)
}

/// What a writer has said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// The last batch that was there before.
    before: u64,
    /// The last batch that it began.
    pub(super) begun: u64,
    /// The last that it acknowledged.
    pub(super) acknowledged: u64,
    /// Times that space was given back.
    pub(super) freed: u64,
    /// Whether it holds.
    pub(super) held: bool,
    /// Why it ended of itself.
    pub(super) failed: Option<String>,
}

impl Said {
    /// How many batches this writer has acknowledged.
    pub(super) fn acknowledged_here(&self) -> u64 {
        self.acknowledged - self.before
    }

    /// Whether a store with so many batches keeps what was said.
    pub(super) fn is_kept_by(&self, found: u64) -> Result<(), Failure> {
        let Self { begun, acknowledged, .. } = self;
        if found < *acknowledged {
            return Err(Failure::Lost(format!("{found} batches, {acknowledged} acknowledged")));
        }
        if found > *begun {
            return Err(Failure::Contradiction(format!("{found} batches, {begun} begun")));
        }
        Ok(())
    }
}

/// A writer in a process of its own, killed when dropped.
pub(super) struct Writer {
    child: Child,
    _stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    pub(super) said: Said,
}

impl Writer {
    /// Starts one that goes on after batch `done`.
    pub(super) fn start(options: &WriterOptions, done: u64) -> Result<Self> {
        let here = std::env::current_exe().context("cannot tell where this program is")?;
        let mut command = Command::new(here);
        command.arg("store-writer").arg(options.store.word()).arg(&options.dir);
        if !options.barrier {
            command.arg("--without-barrier");
        }
        if let Some(hold) = options.hold {
            command.arg("--hold").arg(hold.to_string());
        }
        // What it has to say comes over the pipe; sled panics on its way out of a dead disk.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot start a writer")?;
        let output = child.stdout.take().context("a writer without output")?;
        let said = Said { before: done, begun: done, acknowledged: done, ..Said::default() };
        let (stdin, lines) = (child.stdin.take(), BufReader::new(output).lines());
        Ok(Self { child, _stdin: stdin, lines, said })
    }

    /// Takes in one line; false at the end.
    pub(super) fn hear(&mut self) -> bool {
        let Some(Ok(line)) = self.lines.next() else { return false };
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (word, rest.parse()) {
            ("begin", Ok(number)) => self.said.begun = number,
            ("acknowledged", Ok(number)) => self.said.acknowledged = number,
            ("freed", _) => self.said.freed += 1,
            ("holding", _) => self.said.held = true,
            _ => self.said.failed = Some(rest.to_owned()),
        }
        true
    }

    /// Hears until `count` more batches are acknowledged, or it holds or ends.
    pub(super) fn hear_acknowledged(&mut self, count: u64) {
        let target = self.said.acknowledged + count;
        while self.said.acknowledged < target && !self.said.held && self.hear() {}
    }

    /// Kills it, and takes in what it said before.
    pub(super) fn kill(mut self) -> Result<Said> {
        self.child.kill().context("cannot kill a writer")?;
        while self.hear() {}
        self.child.wait().context("cannot wait for a writer")?;
        Ok(std::mem::take(&mut self.said))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It is gone already otherwise.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
