//! A bank made of the ledger's own functions, and real `hundi` processes in directories of their
//! own, for the tests of the command line.

use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, SealingKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank, Definition, Network};
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::SecretKey;
use hundi_transports::container;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A network with one bank, whose records reach devices as files.
pub(crate) struct TestBank {
    pub(crate) network: Network,
    root: SecretKey,
    key: SecretKey,
    sealing: SealingSecret,
}

impl TestBank {
    pub(crate) fn new(name: &str) -> Self {
        let root = SecretKey::from_seed(&[1; 32]);
        let bank =
            Bank { number: BankNumber(1), root: root.public(), name: Text::new("B").unwrap() };
        let definition = Definition {
            version: VERSION,
            name: Text::new(name).unwrap(),
            start: 1_700_000_000,
            epoch_seconds: 3_600,
            banks: List::new(vec![bank]).unwrap(),
        };
        let network = Network::new(definition).unwrap();
        let key = SecretKey::from_seed(&[2; 32]);
        Self { network, root, key, sealing: SealingSecret::from_bytes(&[3; 32]) }
    }

    pub(crate) fn write_genesis(&self, dir: &Path) -> PathBuf {
        let path = dir.join("genesis-of-network");
        std::fs::write(&path, self.network.encode()).unwrap();
        path
    }

    /// A file with the certificate, an enrolment grant and a grant of 1,000.00 INR for a device.
    pub(crate) fn write_grants(&self, device: &Device) -> PathBuf {
        let id = device.json(&["id"]);
        let author: AuthorId = id["author"].as_str().unwrap().parse().unwrap();
        let sealing: SealingKey = id["sealing_key"].as_str().unwrap().parse().unwrap();
        let items = self.items(author, sealing, &[(0, 0), (1, 100_000)]);
        let path = device.dir.with_extension("grants");
        container::write_file(&path, items.iter().map(Vec::as_slice)).unwrap();
        path
    }

    /// The certificate, and grants of an author by serial and limit, as items.
    pub(crate) fn items(
        &self,
        author: AuthorId,
        sealing: SealingKey,
        grants: &[(u16, u64)],
    ) -> Vec<Vec<u8>> {
        let certificate = Certificate {
            version: VERSION,
            bank: BankNumber(1),
            number: 1,
            key: self.key.public(),
            roles: ROLE_ISSUE | ROLE_SETTLE,
            honours: List::default(),
        };
        let network = self.network.id();
        let certificate = sign(&network, certificate, &self.root).unwrap();
        let mut items = vec![Item::Certificate(certificate.into_inner()).encode()];
        for (serial, limit) in grants {
            let grant = self.grant(author, sealing, *serial, *limit);
            let grant = sign(&network, grant, &self.key).unwrap();
            items.push(Item::Grant(grant.into_inner()).encode());
        }
        items
    }

    fn grant(&self, author: AuthorId, sealing: SealingKey, serial: u16, limit: u64) -> Grant {
        let now = now();
        let enrolment = serial == 0;
        Grant {
            version: VERSION,
            author,
            certificate: 1,
            epoch: 1,
            author_sealing: sealing,
            bank_sealing: self.sealing.public(),
            serial: Serial(serial),
            currency: Currency::new("INR").unwrap(),
            flags: 0,
            limit: Amount::new(limit).unwrap(),
            cap: Amount::new(limit / 2).unwrap(),
            guarantee: Amount::ZERO,
            not_before: 0,
            expiry: if enrolment { u32::MAX } else { now + 86_400 },
            claim_until: if enrolment { u32::MAX } else { now + 8 * 86_400 },
            first_sequence: 0,
            carry_to: 40,
            unsettled_max: 10,
            penalty_percent: 10,
            penalty_floor_percent: 30,
            policy: None,
            display_name: None,
        }
    }
}

pub(crate) fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u32::try_from(since.as_secs()).unwrap()
}

/// A device's directory, and its daemon while one runs.
pub(crate) struct Device {
    pub(crate) dir: PathBuf,
    environment: Vec<(&'static str, &'static str)>,
    daemon: Option<Child>,
}

impl Device {
    /// A directory in which nothing has been set up.
    pub(crate) fn bare(parent: &Path, name: &str) -> Self {
        Self { dir: parent.join(name), environment: Vec::new(), daemon: None }
    }

    /// A device of the bank's network.
    pub(crate) fn new(parent: &Path, name: &str, bank: &TestBank) -> Self {
        let device = Self::bare(parent, name);
        let genesis = bank.write_genesis(parent);
        device.json(&["init", "--genesis", genesis.to_str().unwrap(), "--bank", "1"]);
        device
    }

    /// Sets a variable of the environment of whatever runs from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &'static str) {
        self.environment.push((name, value));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hundi"));
        command.env("HUNDI_DIR", &self.dir).env_remove("RUST_LOG").args(args);
        command.envs(self.environment.iter().copied());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed, and reads the one JSON object that it prints.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        let output = self.run(&args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that must fail with `exit`, in both forms, and says what it told a person.
    pub(crate) fn refused(&self, args: &[&str], exit: i32) -> String {
        let output = self.run(args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {told}");
        assert!(output.stdout.is_empty(), "{args:?} prints on standard output");
        told
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&mut self, args: &[&str]) {
        let mut all = vec!["run", "--listen", "127.0.0.1:0", "--no-mdns"];
        all.extend(args);
        let child = self.command(&all).stderr(Stdio::null()).spawn().unwrap();
        self.daemon = Some(child);
        let until = Instant::now() + Duration::from_secs(60);
        while self.run(&["status", "--json"]).status.code() != Some(0) {
            assert!(Instant::now() < until, "the daemon does not answer");
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the daemon the hard way.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            // Already ended otherwise.
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Polls a question until its answer satisfies, within a bound that only a failure reaches.
    pub(crate) fn await_json(&self, args: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.json(args);
            if holds(&answer) {
                return answer;
            }
            assert!(Instant::now() < until, "{args:?} stays at {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.kill();
    }
}
