//! The command line: what it says and with which status it exits.

use crate::client::Api;
use hundi_gateway::journal_store::JournalStore;
use hundi_journal::event::Change;
use hundi_node::store::{Store, StoreOptions, Write};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hundi-gateway"));
    command.env_remove("HUNDI_GATEWAY_DIR").env_remove("RUST_LOG");
    command.arg("--dir").arg(dir).args(args);
    command
}

fn gateway(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

/// Exactly one JSON object, and status 0.
pub fn json(dir: &Path, args: &[&str]) -> Value {
    let output = gateway(dir, &[&["--json"], args].concat());
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{args:?}: {out}{err}");
    let value: Value = serde_json::from_str(&out).unwrap();
    assert!(value.is_object());
    value
}

/// Exits with `status` and says `says` on standard error; with --json one object besides.
fn fails(dir: &Path, args: &[&str], status: i32, says: &str) {
    let output = gateway(dir, args);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {err}");
    assert!(err.contains(says), "{args:?} says {err:?}, not {says:?}");
    assert!(output.stdout.is_empty());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn init(dir: &Path) -> Value {
    json(dir, &["init", "--network", "test", "--bank", "1", "--name", "Sahakari"])
}

/// A gateway process that is killed when the test ends, however it ends.
pub struct Process(pub Child);

/// The API of the process that runs in `dir`.
pub fn connect(dir: &Path) -> Api {
    let file: Value =
        serde_json::from_slice(&std::fs::read(dir.join("api.json")).unwrap()).unwrap();
    let token = std::fs::read_to_string(dir.join("api.token")).unwrap();
    Api::new(format!("http://{}", file["address"].as_str().unwrap()), token)
}

impl Process {
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[], &[])
    }

    /// With more flags, and with variables of its environment.
    pub fn start_with(dir: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        // The file of a run that was killed names a process that is gone.
        drop(std::fs::remove_file(dir.join("api.json")));
        let run = ["run", "--no-mdns", "--listen", "127.0.0.1:0"];
        let mut command = command(dir, &[&run[..], flags].concat());
        command.envs(variables.iter().copied());
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut process = Self(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(120);
        while !dir.join("api.json").is_file() {
            let log = || std::fs::read_to_string(dir.join("log")).unwrap();
            assert!(process.0.try_wait().unwrap().is_none(), "it ended: {}", log());
            assert!(Instant::now() < deadline, "it did not start: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
        process
    }

    /// Asks it to stop and waits for its end.
    pub fn stop(self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.ended()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already otherwise.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_bank_from_the_command_line() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("bank");
    let made = init(&dir);
    assert_eq!(made["network"].as_str().unwrap().len(), 64);
    assert!(Path::new(made["genesis"].as_str().unwrap()).is_file());
    let mode = |path: &str| dir.join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    assert_eq!((mode("keys/root"), mode("keys/bank")), (0o600, 0o600));
    fails(&dir, &["init", "--network", "n", "--bank", "1", "--name", "x"], 2, "already set up");
    fails(&dir, &["audit"], 2, "never run");
    fails(&dir, &["status"], 3, "nothing is running");

    let process = Process::start(&dir);
    let opened = json(&dir, &["account", "open", "Asha", "--currency", "inr"]);
    let account = opened["account"].as_str().unwrap();
    assert_eq!(json(&dir, &["account", "fund", account, "12.5"])["balance_minor"], 1_250);
    let shown = gateway(&dir, &["account", "show", account]);
    assert!(text(&shown.stdout).contains("12.50 INR"), "{}", text(&shown.stdout));
    let key = hundi_ledger::sign::SecretKey::from_seed(&[5; 32]).public();
    let sealing = hundi_ledger::seal::SealingSecret::from_bytes(&[5; 32]).public().to_string();
    let author = format!("1-{key}");
    let ten = ["grant", "issue", account, "--author", &author, "--limit", "10"];
    fails(&dir, &ten, 2, "sealing key");
    let enrolling = [&ten[..], &["--sealing", &sealing]].concat();
    assert_eq!(json(&dir, &enrolling)["serial"], 1);
    assert_eq!(json(&dir, &["grant", "show", &author])["grants"][1]["limit_minor"], 1_000);
    fails(&dir, &ten, 1, "fund the account");
    let merchant = hundi_ledger::sign::SecretKey::from_seed(&[6; 32]).public();
    let merchant = format!("1-{merchant}");
    let only_enrolling = ["grant", "issue", account, "--author", &merchant, "--limit", "0"];
    json(&dir, &[&only_enrolling[..], &["--sealing", &sealing]].concat());
    let held = json(&dir, &["grant", "show", &merchant]);
    assert_eq!(held["grants"].as_array().unwrap().len(), 1, "the enrolment grant alone: {held}");

    let provision = ["operate", "provision", "7", "--currency", "INR"];
    assert_eq!(json(&dir, &provision)["amount_minor"], 700);
    assert_eq!(
        json(&dir, &["operate", "withdraw", "2", "--account", account])["amount_minor"],
        200
    );
    fails(&dir, &["operate", "withdraw", "2", "--account", account], 1, "fund the account");
    fails(&dir, &["operate", "withdraw", "2"], 2, "--account");

    let other = json(&dir, &["account", "open", "Ravi", "--currency", "INR"]);
    let other = other["account"].as_str().unwrap();
    let linked = json(&dir, &["account", "link", account, other]);
    assert_eq!(linked["linked"], serde_json::json!([account, other]));
    fails(&dir, &["account", "link", account, account], 2, "name two");
    fails(&dir, &["account", "link", account, &"0".repeat(32)], 2, "account open");

    fails(&dir, &["account", "fund", account, "1.005"], 2, "INR has 2 decimals");
    fails(&dir, &["account", "fund", account, "lots"], 2, "is not an amount");
    fails(&dir, &["account", "fund", &"0".repeat(32), "1"], 2, "account open");
    fails(&dir, &["account", "show", "../books"], 2, "is no account");
    fails(&dir, &["account", "open", "Binu", "--currency", "XQQ"], 2, "ISO 4217");
    fails(&dir, &["grant", "show", "1-abc"], 2, "is no author");
    fails(&dir, &["freeze", &format!("1-{}", "0".repeat(64))], 2, "grant issue");
    fails(&dir, &["case", "close", &author], 2, "case list");
    fails(&dir, &["submit", "/nonexistent"], 2, "cannot take");

    let file = parent.path().join("records");
    let written = json(&dir, &["records", file.to_str().unwrap()]);
    // Two certificates, three grants, a bulletin.
    assert_eq!(written["items"], 6);
    assert_eq!(json(&dir, &["freeze", &author, "--reason", "lost"])["reason"], "lost");
    assert_eq!(json(&dir, &["case", "list"])["cases"], serde_json::json!([]));
    assert_eq!(json(&dir, &["books"])["currencies"]["INR"]["balanced"], true);
    assert_eq!(json(&dir, &["status"])["bank"], 1);
    let running = json(&dir, &["audit"]);
    assert_eq!(running["ok"], true);
    let second = command(&dir, &["run", "--no-mdns", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(second.status.code(), Some(3));
    assert!(text(&second.stderr).contains("stop that process"), "{}", text(&second.stderr));

    assert_eq!(process.stop(), Some(0), "it stops when told to");
    fails(&dir, &["books"], 3, "nothing is running");
    // Nobody runs now: the audit opens the directory itself and sees the same.
    assert!(json(&dir, &["audit"])["events"].as_u64() >= running["events"].as_u64());
    let (taken, _held) = free_port();
    fails(&dir, &["run", "--no-mdns", "--api", &taken], 3, "choose another --api");
    fails(&dir, &["run", "--no-mdns", "--api", "0.0.0.0:0"], 2, "loopback");

    std::fs::set_permissions(dir.join("keys/bank"), PermissionsExt::from_mode(0o644)).unwrap();
    fails(&dir, &["run", "--no-mdns"], 2, "chmod 600");
    let output = gateway(&dir, &["--json", "run", "--no-mdns"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["exit"], 2);
}

#[test]
fn an_audit_finds_what_somebody_changed() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("bank");
    init(&dir);
    let process = Process::start(&dir);
    let opened = json(&dir, &["account", "open", "Asha", "--currency", "INR"]);
    json(&dir, &["account", "fund", opened["account"].as_str().unwrap(), "12.5"]);
    assert_eq!(process.stop(), Some(0));
    // The next run begins with a bulletin over all of it.
    assert_eq!(Process::start(&dir).stop(), Some(0));
    assert_eq!(json(&dir, &["audit"])["ok"], true);

    // The event of the funding says another time: every sum still holds, the chain does not.
    let change = |number: u64, value: Option<Vec<u8>>| {
        let (store, _) = Store::open(&dir.join("journal"), StoreOptions::default()).unwrap();
        let (subject, key) = (b"events".to_vec(), number.to_be_bytes().to_vec());
        let write = match value {
            Some(value) => Write::Put { subject, key, value },
            None => Write::Delete { subject, key },
        };
        store.commit(&[write]).unwrap();
    };
    let network = made_network(&dir);
    let (_, events) = JournalStore::open(&dir.join("journal"), network).unwrap();
    let mut funding = events.iter().find(|it| it.change == Change::Operated).unwrap().clone();
    let (number, genuine) = (funding.number, funding.encode());
    funding.at += 1;
    change(number, Some(funding.encode()));
    finds(&dir, "not those it was signed over");
    change(number, Some(genuine.clone()));
    assert_eq!(json(&dir, &["audit"])["ok"], true);

    // Money from nowhere: the amount is changed on one side.
    let sum = 1_250_u64.to_le_bytes();
    let at = genuine.windows(6).position(|window| *window == sum[..6]).unwrap();
    let mut doubled = genuine.clone();
    doubled[at] ^= 1;
    change(number, Some(doubled));
    finds(&dir, "damaged");
    change(number, None);
    finds(&dir, "is missing");
    change(number, Some(b"a letter".to_vec()));
    finds(&dir, "is damaged");
}

fn made_network(dir: &Path) -> hundi_ledger::id::NetworkId {
    hundi_node::home::read_genesis(&dir.join("genesis")).unwrap().id()
}

/// The audit of a directory finds something, and says so with status 1.
fn finds(dir: &Path, what: &str) {
    let output = gateway(dir, &["--json", "audit"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["ok"], false);
    assert!(value["findings"].to_string().contains(what), "{value}");
}

pub fn free_port() -> (String, std::net::TcpListener) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap().to_string(), listener)
}

#[test]
fn two_banks_make_one_network() {
    let parent = tempfile::tempdir().unwrap();
    let (first, second) = (parent.path().join("first"), parent.path().join("second"));
    let root = json(&second, &["root"])["root"].as_str().unwrap().to_owned();
    let peer = format!("2:{root}:Laxmi");
    let names = ["init", "--network", "two", "--bank", "1", "--name", "Sahakari"];
    let made = json(&first, &[&names[..], &["--peer-bank", &peer]].concat());
    let genesis = made["genesis"].as_str().unwrap();
    fails(&second, &["init", "--genesis", genesis, "--bank", "1"], 2, "does not have the root");
    let joined = json(&second, &["init", "--genesis", genesis, "--bank", "2"]);
    assert_eq!(joined["network"], made["network"]);
    assert_eq!(joined["root"], root);
}

#[test]
fn wrong_usage_says_what_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("nothing");
    for args in [&["status"][..], &["run"], &["audit"], &["account", "list"]] {
        fails(&dir, args, 2, "run `init` first");
    }
    fails(&dir, &["init", "--bank", "1"], 2, "--network");
    fails(&dir, &["frobnicate"], 2, "unrecognized");
    let peer = ["init", "--network", "n", "--bank", "1", "--name", "x", "--peer-bank", "2:zz:y"];
    fails(&dir, &peer, 2, "N:ROOT:NAME");
    assert!(!dir.exists(), "nothing was made");
    let help = gateway(&dir, &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for word in ["init", "run", "account", "grant", "freeze", "case", "audit", "records"] {
        assert!(text(&help.stdout).contains(word), "{word}");
    }
}

#[test]
fn settings_that_are_wrong_are_told_all_at_once() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("bank");
    init(&dir);
    let file = parent.path().join("gateway.toml");
    std::fs::write(&file, "tikc_s = 5\nmdns = \"maybe\"\n").unwrap();
    let wrong = ["run", "--config", file.to_str().unwrap(), "--api", "0.0.0.0:0"];
    let mut run = command(&dir, &wrong);
    run.env("HUNDI_GATEWAY_RESCAN_S", "0").env("HUNDI_GATEWAY_LOG_FORMAT", "yaml");
    let output = run.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for line in [
        "5 settings are wrong",
        "tikc_s = \"5\" (",
        "mdns = \"maybe\" (",
        "rescan_s = \"0\" (HUNDI_GATEWAY_RESCAN_S): allowed is a whole number of seconds from 1 to",
        "log_format = \"yaml\" (HUNDI_GATEWAY_LOG_FORMAT): allowed is text or json",
        "api = \"0.0.0.0:0\" (--api): allowed is IP:PORT on a loopback address",
    ] {
        assert!(said.contains(line), "{line:?} is not in {said}");
    }
    std::fs::write(&file, "mdns = \nlisten").unwrap();
    fails(&dir, &["run", "--config", file.to_str().unwrap()], 2, "line 2");
    fails(&dir, &["run", "--config", "/nonexistent.toml"], 2, "/nonexistent.toml");
    let taken = free_port();
    let run = ["run", "--no-mdns", "--monitoring", &taken.0];
    fails(&dir, &run, 3, "choose another --monitoring");
}
