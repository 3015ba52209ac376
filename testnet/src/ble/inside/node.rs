//! Somebody's device in the guest: the real daemon, and the command line as its owner uses it.

use crate::answers::{History, Row};
use crate::process::{Process, run_json};
use anyhow::{Context, Result, bail, ensure};
use hundi_node::daemon::SEARCH_S;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long something may take that only a failure makes take so long: everything is emulated.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A device that runs.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: &'static str,
    program: PathBuf,
    dir: PathBuf,
    process: Process,
}

/// What a payment came to.
#[derive(Clone, Debug)]
pub(super) struct Paid {
    pub(super) id: String,
    pub(super) state: String,
    /// From the command to the answer.
    pub(super) took: Duration,
    /// How often the command was given.
    pub(super) attempts: u32,
}

#[derive(Deserialize)]
struct Asked {
    uri: String,
}

#[derive(Deserialize)]
struct State {
    id: String,
    state: String,
}

impl Node {
    pub(super) fn start(
        program: &Path,
        name: &'static str,
        dir: PathBuf,
        log: PathBuf,
        args: &[&str],
    ) -> Result<Self> {
        let fixed = ["--listen", "127.0.0.1:0", "--no-mdns"];
        let args: Vec<String> =
            fixed.iter().chain(args).map(|argument| (*argument).to_owned()).collect();
        let process = Process::start(program, &dir, &log, &args)?;
        Ok(Self { name, program: program.to_owned(), dir, process })
    }

    pub(super) fn log(&self) -> &Path {
        self.process.log()
    }

    pub(super) fn await_bluetooth(&self) -> Result<()> {
        self.until("its adapter is on", || Ok(self.status()?["bluetooth"]["state"] == "on"))
    }

    /// Looks until something holds.
    pub(super) fn until(&self, what: &str, holds: impl FnMut() -> Result<bool>) -> Result<()> {
        until(holds).with_context(|| format!("{}: {what}", self.name))
    }

    pub(super) fn status(&self) -> Result<Value> {
        Ok(self.process.client().get("/v1/status")?)
    }

    /// Tells the daemon something over its local API.
    pub(super) fn tell(&self, path: &str, body: &Value) -> Result<()> {
        let _taken: Value = self.process.client().post(path, body)?;
        Ok(())
    }

    pub(super) fn digest(&self) -> Result<Value> {
        Ok(self.status()?["digest"].clone())
    }

    pub(super) fn author(&self) -> Result<Value> {
        Ok(self.status()?["author"].clone())
    }

    pub(super) fn listens(&self) -> Result<String> {
        let address = crate::process::first_listening(self.process.client())?;
        Ok(address.to_string())
    }

    /// Whether this device holds a proof against an author.
    pub(super) fn holds_proof(&self, author: &Value) -> Result<bool> {
        let status = self.status()?;
        Ok(status["proofs"].as_array().is_some_and(|proofs| proofs.contains(author)))
    }

    pub(super) fn rows(&self) -> Result<Vec<Row>> {
        let history: History = self.process.client().get("/v1/history")?;
        Ok(history.payments)
    }

    pub(super) fn row(&self, id: &str) -> Result<Option<Row>> {
        Ok(self.rows()?.into_iter().find(|row| row.id == id))
    }

    /// Asks for money by Bluetooth: what the payer scans.
    pub(super) fn request(&self, amount: &str) -> Result<String> {
        self.ask(&["request", amount, "--memo", "tea", "--ble"])
    }

    /// Asks for money, and shows nobody nearby.
    pub(super) fn request_by_network(&self, amount: &str) -> Result<String> {
        self.ask(&["request", amount, "--memo", "tea"])
    }

    fn ask(&self, args: &[&str]) -> Result<String> {
        let asked: Asked = run_json(&self.program, &self.dir, args)?;
        Ok(asked.uri)
    }

    /// Pays on the command line; refused is an answer, too.
    pub(super) fn pay(&self, uri: &str, wait_s: u64) -> Result<Paid> {
        let start = Instant::now();
        let mut command = Command::new(&self.program);
        command.arg("--dir").arg(&self.dir).args(["--json", "pay", uri, "--wait"]);
        let output = command.arg(wait_s.to_string()).stdin(Stdio::null()).output();
        let output = output.context("cannot start hundi")?;
        let took = start.elapsed();
        let said = String::from_utf8_lossy(&output.stderr);
        let state: State = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{} could not pay: {}", self.name, said.trim()))?;
        Ok(Paid { id: state.id, state: state.state, took, attempts: 1 })
    }

    /// Pays and gets the receipt; as long as there is none it pays the same again, as the program
    /// tells people to.
    pub(super) fn pay_received(&self, uri: &str) -> Result<Paid> {
        let paid = self.pay_answered(uri)?;
        ensure!(paid.state == "received", "{}: {}", self.name, paid.state);
        Ok(paid)
    }

    /// Pays until there is a receipt or a refusal.
    fn pay_answered(&self, uri: &str) -> Result<Paid> {
        let start = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let paid = self.pay(uri, SEARCH_S + 5)?;
            let took = start.elapsed();
            let state = &paid.state;
            if state == "received" || state == "refused" {
                return Ok(Paid { took, attempts, ..paid });
            }
            ensure!(took < PATIENCE, "{}: {state} after {attempts} attempts", self.name);
        }
    }

    /// Pays once, and leaves the rest to the device: what the payee no longer shows itself for is
    /// answered when the two meet as neighbours, which a search would keep from happening.
    pub(super) fn pay_once(&self, uri: &str) -> Result<Paid> {
        let start = Instant::now();
        let mut paid = self.pay(uri, SEARCH_S + 5)?;
        until(|| {
            let row = self.row(&paid.id)?.context("the payment is in no history")?;
            paid.state = row.state;
            Ok(paid.state == "received" || paid.state == "refused")
        })
        .with_context(|| format!("{}: no answer", self.name))?;
        Ok(Paid { took: start.elapsed(), ..paid })
    }

    pub(super) fn stop(mut self) -> Result<()> {
        self.process.stop()
    }

    pub(super) fn kill(self) -> Result<()> {
        self.process.kill()
    }
}

/// Looks until something holds, within what only a failure takes.
pub(super) fn until(mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !holds()? {
        if start.elapsed() > PATIENCE {
            bail!("not within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
