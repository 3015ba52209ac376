//! Real programs as child processes: started with a log file each, asked over their local API,
//! stopped, or killed. A process that is dropped is killed, so nothing outlives its judge, not even
//! after a panic.

use crate::answers::Status;
use anyhow::{Context, Result, bail};
use hundi_node::client::Client;
use hundi_node::home::Home;
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a program may take to answer for the first time. A store that is large or a machine
/// that is busy needs some seconds; only a program that hangs needs more.
pub const START_DEADLINE: Duration = Duration::from_secs(90);
/// How long a program may take to stop when asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// How often something that is waited for is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Bytes of the end of a log that a failure shows.
const LOG_TAIL_BYTES: usize = 1500;

/// Set when a person interrupts: whoever waits gives up at its next look.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Has everything that waits give up.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Release);
}

/// Fails when a person has interrupted.
///
/// # Errors
/// Then.
pub fn check_interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::Acquire) { bail!("interrupted") } else { Ok(()) }
}

/// Sleeps until the next look.
///
/// # Errors
/// When a person has interrupted.
pub fn pause() -> Result<()> {
    check_interrupted()?;
    std::thread::sleep(LOOK_EVERY);
    Ok(())
}

/// Runs a program to its end and reads the one JSON object that it prints.
///
/// # Errors
/// When it does not start, fails, or prints something else.
pub fn run_json<T: DeserializeOwned>(program: &Path, dir: &Path, args: &[&str]) -> Result<T> {
    let mut command = Command::new(program);
    command.arg("--dir").arg(dir).arg("--json").args(args).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} {} failed: {}", program.display(), args.join(" "), said.trim());
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} printed something else than JSON", program.display()))
}

/// A daemon that runs: a device or a gateway.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    client: Client,
}

impl Process {
    /// Starts `program` in `dir` and waits until it answers. Its messages are added to `log`.
    ///
    /// # Errors
    /// When it does not start, ends, or does not answer in time.
    pub fn start(program: &Path, dir: &Path, log: &Path, args: &[String]) -> Result<Self> {
        Starting::begin(program, dir, log, args)?.finish()
    }

    /// The client of its local API.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Asks it to stop and waits; one that does not is killed.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + STOP_DEADLINE;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.end()
    }

    /// Kills it at once with SIGKILL, as a battery does.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.end()
    }

    /// Kills it at once as [`Process::kill`] does, and keeps what is known of it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn end(&mut self) -> Result<()> {
        end(&mut self.child)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot look after a process")
    }

    /// Stops it from running on (SIGSTOP) until [`Process::resume`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn suspend(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it run on (SIGCONT).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("cannot signal a process")
    }

    /// Leaves it running for good.
    pub fn release(self) -> u32 {
        let pid = self.child.id();
        // Dropping it would kill the process. This program ends soon, and its memory with it.
        std::mem::forget(self);
        pid
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is gone already otherwise.
        drop(self.end());
    }
}

fn end(child: &mut Child) -> Result<()> {
    child.kill().context("cannot kill a process")?;
    child.wait().context("cannot wait for a process")?;
    Ok(())
}

/// A daemon that has been started and may not answer yet: many start side by side.
#[derive(Debug)]
pub struct Starting {
    child: Option<Child>,
    dir: PathBuf,
    log: PathBuf,
    deadline: Instant,
}

impl Starting {
    /// Starts `program run` in `dir`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn begin(program: &Path, dir: &Path, log: &Path, args: &[String]) -> Result<Self> {
        let open = || OpenOptions::new().create(true).append(true).open(log);
        let file: File = open().with_context(|| format!("cannot write {}", log.display()))?;
        let errors = file.try_clone().context("cannot write a log")?;
        let mut command = Command::new(program);
        command.arg("--dir").arg(dir).arg("run").args(args);
        // A group of its own: an interrupt from the terminal is for this program, which then stops
        // its children in order, or leaves them running.
        command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        let deadline = Instant::now() + START_DEADLINE;
        Ok(Self { child: Some(child), dir: dir.to_owned(), log: log.to_owned(), deadline })
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it ends or does not answer in time.
    pub fn finish(mut self) -> Result<Process> {
        let Some(child) = &mut self.child else { bail!("started already") };
        let client = loop {
            if let Some(status) = child.try_wait()? {
                bail!("{} ended with {status}: {}", self.dir.display(), tail(&self.log));
            }
            if let Some(client) = find_client(&self.dir, child.id()) {
                break client;
            }
            if Instant::now() > self.deadline {
                bail!("{} does not answer: {}", self.dir.display(), tail(&self.log));
            }
            pause()?;
        };
        let Some(child) = self.child.take() else { bail!("started already") };
        Ok(Process { child, log: std::mem::take(&mut self.log), client })
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It is gone already otherwise.
            drop(end(child));
        }
    }
}

/// The client of the process, once it has announced itself: a file left behind names another one.
fn find_client(dir: &Path, pid: u32) -> Option<Client> {
    let home = Home::open(dir).ok()?;
    let (file, _) = home.find_api().ok()?;
    (file.pid == pid).then(|| Client::find(&home).ok()).flatten()
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let from = bytes.len().saturating_sub(LOG_TAIL_BYTES);
    String::from_utf8_lossy(&bytes[from..]).trim().to_owned()
}

/// Where a daemon listens for other nodes. It answers before it listens, so this waits.
///
/// # Errors
/// When it does not listen in time or does not answer.
pub fn first_listening(client: &Client) -> Result<SocketAddr> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let status: Status = client.get("/v1/status")?;
        if let Some(address) = status.listen.first() {
            return Ok(*address);
        }
        if Instant::now() > deadline {
            bail!("a daemon does not listen for other nodes");
        }
        pause()?;
    }
}
