//! Inside the guest: plays the scenarios one after the other, and says of each on standard output,
//! in a line of its own, what became of it.

mod node;
mod scenarios;

use super::report::Held;
use super::{LINE, Machine, Play};
use anyhow::{Context, Result, ensure};
use node::Node;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

/// Where the guest has what was packed up.
const PAYLOAD: &str = "/payload";

/// What the daemon says, and the guest of it.
const DAEMON_LOG: &str = "/tmp/bluetoothd.log";

/// Lines of a log that a failed scenario shows.
const TAIL_LINES: usize = 60;

/// What a scenario saw.
#[derive(Debug, Default)]
struct Seen {
    text: String,
    figures: BTreeMap<String, u64>,
}

impl From<String> for Seen {
    fn from(text: String) -> Self {
        Self { text, figures: BTreeMap::new() }
    }
}

/// The guest, as scenarios use it.
#[derive(Debug)]
struct Guest {
    payload: PathBuf,
    /// How many nodes have been started: each writes a log of its own.
    started: u32,
    /// The logs of those that this scenario has started.
    logs: Vec<PathBuf>,
    /// Entries of payments that were accepted, with what the bank must make of them.
    accepted: Vec<String>,
    payments: u64,
    /// Whether everything that is logged is shown.
    shows_logs: bool,
}

/// The names of all scenarios.
pub(super) fn names() -> Vec<&'static str> {
    Machine::ALL.into_iter().flat_map(|machine| wanted(machine, &[])).collect()
}

/// The names of a machine's scenarios, of those that are wanted; all if none is named.
pub(super) fn wanted(machine: Machine, only: &[String]) -> Vec<&'static str> {
    let names = scenarios::of(machine).iter().map(|(name, _)| *name);
    names.filter(|name| only.is_empty() || only.iter().any(|only| only == name)).collect()
}

/// Plays the scenarios.
///
/// # Errors
/// When one does not hold, after all have been played.
pub fn run(options: &Play) -> Result<()> {
    let payload = PathBuf::from(PAYLOAD);
    let mut guest = Guest {
        payload,
        started: 0,
        logs: Vec::new(),
        accepted: Vec::new(),
        payments: options.payments,
        shows_logs: options.logs,
    };
    let mut failed = 0;
    let all = Machine::ALL.into_iter().flat_map(scenarios::of);
    for (name, play) in all.filter(|(name, _)| options.only.iter().any(|only| only == name)) {
        let held = guest.play(name, *play);
        failed += u32::from(!held.held);
        println!("{LINE}{}", serde_json::to_string(&held)?);
    }
    ensure!(failed == 0, "{failed} scenarios did not hold");
    Ok(())
}

impl Guest {
    fn play(&mut self, name: &str, play: fn(&mut Self) -> Result<Seen>) -> Held {
        let start = Instant::now();
        let fallen = daemon_falls();
        self.logs.clear();
        let played = play(self);
        for log in &self.logs {
            if self.shows_logs {
                println!("{name}: {}\n{}", log.display(), text(log));
            } else if played.is_err() {
                eprintln!("{name}: {}\n{}", log.display(), tail(log));
            }
        }
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (held, mut seen) = match played {
            Ok(seen) => (true, seen),
            Err(error) => (false, Seen::from(format!("{error:#}"))),
        };
        let falls = daemon_falls().saturating_sub(fallen);
        if falls > 0 {
            seen.figures.insert(format!("{name}_daemon_falls"), falls);
        }
        let scenario = name.to_owned();
        Held { scenario, held, seen: seen.text, ms, figures: seen.figures }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.payload.join("people").join(name)
    }

    fn bank(&self) -> PathBuf {
        self.payload.join("bank")
    }

    fn program(&self, name: &str) -> PathBuf {
        self.payload.join(name)
    }

    /// Starts somebody's device on an adapter, reached by nobody but over the air.
    fn start(&mut self, name: &'static str, adapter: &str, more: &[&str]) -> Result<Node> {
        let args = [&["--ble", adapter, "--reach", "none"], more].concat();
        let node = self.start_plain(name, &args)?;
        node.await_bluetooth()?;
        Ok(node)
    }

    fn start_plain(&mut self, name: &'static str, args: &[&str]) -> Result<Node> {
        self.started += 1;
        let log = self.payload.join(format!("{name}-{}.log", self.started));
        self.logs.push(log.clone());
        Node::start(&self.program("hundi"), name, self.dir(name), log, args)
    }

    /// Payer and payee on two adapters.
    fn pair(&mut self, more: &[&str]) -> Result<(Node, Node)> {
        let payee = self.start("ravi", "hci0", more)?;
        let payer = self.start("asha", "hci1", more)?;
        Ok((payer, payee))
    }
}

/// What a crash, a new version or an impatient person does to BlueZ's daemon. `configuration` is
/// its `main.conf`, if it is another one.
fn restart_bluetoothd(configuration: Option<&str>) -> Result<()> {
    daemon("kill")?;
    if let Some(text) = configuration {
        std::fs::write("/etc/bluetooth/main.conf", text).context("main.conf")?;
    }
    std::thread::sleep(std::time::Duration::from_secs(1));
    daemon("start")?;
    node::until(|| Ok(has_adapters())).context("the daemon does not come back")
}

/// Whether the daemon has taken up its adapters.
fn has_adapters() -> bool {
    ["hci0", "hci1"].into_iter().all(|adapter| {
        let mut command = Command::new("dbus-send");
        command.args(["--system", "--print-reply", "--dest=org.bluez"]);
        command.arg(format!("/org/bluez/{adapter}"));
        command.arg("org.freedesktop.DBus.Properties.Get");
        command.args(["string:org.bluez.Adapter1", "string:Address"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

fn daemon(what: &str) -> Result<()> {
    let status = Command::new("bluetooth-daemon").arg(what).status();
    ensure!(status.context("bluetooth-daemon")?.success(), "bluetooth-daemon {what}");
    Ok(())
}

/// How often the daemon has fallen over by itself so far. The guest starts it again, as systems do.
fn daemon_falls() -> u64 {
    u64::try_from(count(Path::new(DAEMON_LOG), "bluetoothd fell over")).unwrap_or(u64::MAX)
}

fn text(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

/// The end of a log.
fn tail(log: &Path) -> String {
    let text = text(log);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// When a line with `what` was last written into a log.
fn last_logged(log: &Path, what: &str) -> Result<SystemTime> {
    let text = text(log);
    let line = text.lines().rev().find(|line| line.contains(what)).context("nothing is logged")?;
    let at = line.split_whitespace().next().unwrap_or_default();
    humantime::parse_rfc3339(at).with_context(|| format!("{at} is no time"))
}

/// How often `what` stands in a log, so far.
fn count(log: &Path, what: &str) -> usize {
    text(log).matches(what).count()
}
