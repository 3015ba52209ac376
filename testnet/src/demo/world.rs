//! The demo's network: one gateway, devices with real stores, and the roads between them. Who is at
//! one place reaches everybody there and nobody else; moving somebody changes reach lists while
//! the programs run.

use crate::answers::{Account, Balance, History, Identity, Intake, Status};
use crate::paths::Binaries;
use crate::process::{Process, Starting, first_listening, run_json};
use anyhow::{Context, Result};
use hundi_node::client::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everybody who is here reaches each other.
    At(&'static str),
    /// Reaches nobody.
    Nowhere,
}

/// A device and whose it is.
#[derive(Debug)]
pub struct Device {
    /// For people.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
    /// Its keys.
    pub identity: Identity,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it is.
    pub place: Place,
    /// Its daemon; none while it is off.
    process: Option<Process>,
}

impl Device {
    /// The client of its daemon.
    ///
    /// # Errors
    /// When it is off.
    pub fn client(&self) -> Result<&Client> {
        let process = self.process.as_ref();
        Ok(process.with_context(|| format!("{}'s device is off", self.name))?.client())
    }

    /// Its process, to be rough with; none while it is off.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Its status.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> Result<Status> {
        self.ask("/v1/status")
    }

    /// Its history.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn history(&self) -> Result<History> {
        self.ask("/v1/history")
    }

    /// Its balance.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn balance(&self) -> Result<Balance> {
        self.ask("/v1/balance")
    }

    fn ask<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.client()?.get(path).with_context(|| format!("{} was asked for {path}", self.name))
    }
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Its directory.
    pub dir: PathBuf,
    /// Where it listens for nodes.
    pub address: SocketAddr,
    /// Where it is.
    pub place: Place,
    process: Process,
}

impl Gateway {
    /// The client of its API.
    pub fn client(&self) -> &Client {
        self.process.client()
    }

    /// The process, to be rough with.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its status as a node.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> Result<Status> {
        self.client().get("/v1/status").context("the gateway was asked for its status")
    }

    /// What the bank has taken and decided.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn intake(&self) -> Result<Intake> {
        self.client().get("/v1/status").context("the gateway was asked for its status")
    }

    /// Opens an account, puts money in, and grants a device part of it. Returns the account.
    ///
    /// # Errors
    /// When the bank refuses.
    pub fn enrol(&self, device: &Device, fund_minor: u64, limit_minor: u64) -> Result<String> {
        self.enrol_on(device, fund_minor, &json!({ "limit_minor": limit_minor }))
    }

    /// The same with terms of a grant, as the bank's API takes them.
    ///
    /// # Errors
    /// When the bank refuses.
    pub fn enrol_on(&self, device: &Device, fund_minor: u64, terms: &Value) -> Result<String> {
        let client = self.client();
        let body = json!({ "name": device.name, "currency": super::CURRENCY });
        let opened: Account = client.post("/v1/accounts", &body)?;
        let account = opened.account;
        let path = format!("/v1/accounts/{account}/fund");
        let _funded: Account = client.post(&path, &json!({ "amount_minor": fund_minor }))?;
        let mut grant = terms.clone();
        grant["account"] = json!(account);
        grant["author"] = json!(device.identity.author);
        grant["sealing_key"] = json!(device.identity.sealing_key);
        let _granted: Value = client.post("/v1/grants", &grant)?;
        Ok(account)
    }

    /// An account.
    ///
    /// # Errors
    /// When the bank does not know it.
    pub fn account(&self, account: &str) -> Result<Account> {
        Ok(self.client().get(&format!("/v1/accounts/{account}"))?)
    }
}

/// Everybody.
#[derive(Debug)]
pub struct World {
    dir: PathBuf,
    binaries: Binaries,
    /// The bank's gateway.
    pub gateway: Gateway,
    /// All devices.
    pub devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Genesis {
    genesis: PathBuf,
}

impl World {
    /// Makes a bank and devices of these names in `dir`, and starts them all. Everybody is nowhere.
    ///
    /// # Errors
    /// When a program does not do its part.
    pub fn start(dir: &Path, binaries: Binaries, names: &[String]) -> Result<Self> {
        for part in ["logs", "devices"] {
            make_dir(&dir.join(part))?;
        }
        let bank = dir.join("bank");
        let args = ["init", "--network", "demo", "--bank", "1", "--name", "Sahakari Bank"];
        let genesis: Genesis = run_json(&binaries.gateway, &bank, &args)?;
        let gateway =
            Starting::begin(&binaries.gateway, &bank, &log(dir, "gateway"), &run_args(None))?;
        let mut starting = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let label = label(at, name);
            let home = dir.join("devices").join(&label);
            let genesis = genesis.genesis.display().to_string();
            let args = ["init", "--genesis", &genesis, "--bank", "1"];
            let identity: Identity = run_json(&binaries.hundi, &home, &args)?;
            let run = run_args(None);
            let process = Starting::begin(&binaries.hundi, &home, &log(dir, &label), &run)?;
            starting.push((name.clone(), home, identity, process));
        }
        let process = gateway.finish()?;
        let address = first_listening(process.client())?;
        let gateway = Gateway { dir: bank, address, place: Place::Nowhere, process };
        let mut devices = Vec::new();
        for (name, dir, identity, process) in starting {
            let process = process.finish()?;
            let address = first_listening(process.client())?;
            let (place, process) = (Place::Nowhere, Some(process));
            devices.push(Device { name, dir, identity, address, place, process });
        }
        Ok(Self { dir: dir.to_owned(), binaries, gateway, devices })
    }

    /// Puts devices (and the gateway, if told) somewhere, and tells everybody whom it reaches now.
    ///
    /// # Errors
    /// When a program does not take its list.
    pub fn place(&mut self, moves: &[(usize, Place)], gateway: Option<Place>) -> Result<()> {
        for (device, place) in moves {
            self.devices[*device].place = *place;
        }
        self.gateway.place = gateway.unwrap_or(self.gateway.place);
        let everybody: Vec<(Place, SocketAddr)> = self
            .devices
            .iter()
            .filter(|device| device.process.is_some())
            .map(|device| (device.place, device.address))
            .chain([(self.gateway.place, self.gateway.address)])
            .collect();
        let reach = |place: Place, own: SocketAddr| {
            let here = |one: &&(Place, SocketAddr)| {
                place != Place::Nowhere && one.0 == place && one.1 != own
            };
            let list: Vec<SocketAddr> =
                everybody.iter().filter(here).map(|(_, address)| *address).collect();
            json!({ "reach": list })
        };
        for device in self.devices.iter().filter(|device| device.process.is_some()) {
            let list = reach(device.place, device.address);
            let _taken: serde_json::Value = device.client()?.post("/v1/reach", &list)?;
        }
        let list = reach(self.gateway.place, self.gateway.address);
        let _taken: serde_json::Value = self.gateway.client().post("/v1/reach", &list)?;
        Ok(())
    }

    /// Turns a device off, in order.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn turn_off(&mut self, device: usize) -> Result<()> {
        self.devices[device].process.take().map_or(Ok(()), |mut process| process.stop())
    }

    /// Kills a device's daemon with SIGKILL, as an empty battery does.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self, device: usize) -> Result<()> {
        self.devices[device].process.take().map_or(Ok(()), Process::kill)
    }

    /// Turns a device on again, where it listened before. It reaches nobody until it is placed.
    ///
    /// # Errors
    /// When it does not start.
    pub fn turn_on(&mut self, device: usize) -> Result<()> {
        let Device { name, dir, address, .. } = &self.devices[device];
        let log = log(&self.dir, &label(device, name));
        let process = Process::start(&self.binaries.hundi, dir, &log, &run_args(Some(*address)))?;
        self.devices[device].process = Some(process);
        self.devices[device].place = Place::Nowhere;
        Ok(())
    }

    /// Starts the gateway again, where it listened before, after its process has ended or been
    /// killed.
    ///
    /// # Errors
    /// When it does not start.
    pub fn turn_on_gateway(&mut self) -> Result<()> {
        let Gateway { dir, address, process, .. } = &mut self.gateway;
        process.end()?;
        let log = log(&self.dir, "gateway");
        *process = Process::start(&self.binaries.gateway, dir, &log, &run_args(Some(*address)))?;
        Ok(())
    }

    /// Turns everybody off in order, the gateway last.
    ///
    /// # Errors
    /// When one does not stop.
    pub fn turn_everybody_off(&mut self) -> Result<()> {
        (0..self.devices.len()).try_for_each(|device| self.turn_off(device))?;
        self.gateway.process.stop()
    }

    /// Copies the directory of a device that is off, keys and all, and turns the copy on: two
    /// devices with one key. Returns the number of the clone.
    ///
    /// # Errors
    /// When it cannot be copied or does not start.
    pub fn clone_device(&mut self, device: usize, name: &str) -> Result<usize> {
        let number = self.devices.len();
        let label = label(number, name);
        let home = self.dir.join("devices").join(&label);
        let original = &self.devices[device];
        copy_dir(&original.dir, &home)?;
        let identity = original.identity.clone();
        let log = log(&self.dir, &label);
        let process = Process::start(&self.binaries.hundi, &home, &log, &run_args(None))?;
        let address = first_listening(process.client())?;
        self.devices.push(Device {
            name: name.to_owned(),
            dir: home,
            identity,
            address,
            place: Place::Nowhere,
            process: Some(process),
        });
        Ok(number)
    }

    /// Where the programs are: the device's and the gateway's.
    pub fn programs(&self) -> (PathBuf, PathBuf) {
        (self.binaries.hundi.clone(), self.binaries.gateway.clone())
    }

    /// Leaves everything running; returns the process ids.
    pub fn release(self) -> Vec<u32> {
        let processes = self.devices.into_iter().filter_map(|device| device.process);
        processes.chain([self.gateway.process]).map(Process::release).collect()
    }
}

/// No mDNS, loopback only, nobody in reach.
pub(crate) fn run_args(listen: Option<SocketAddr>) -> Vec<String> {
    let listen = listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    let args = ["--listen", &listen.to_string(), "--no-mdns", "--reach", "none"];
    args.map(str::to_owned).to_vec()
}

fn log(dir: &Path, label: &str) -> PathBuf {
    dir.join("logs").join(format!("{label}.log"))
}

/// A directory's name: number and first word, in lower case.
fn label(at: usize, name: &str) -> String {
    let word = name.split_whitespace().next().unwrap_or("device").to_lowercase();
    format!("{:02}-{word}", at + 1)
}

fn make_dir(dir: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make {}", dir.display()))
}

/// Copies a directory with the modes of its files.
pub(crate) fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    make_dir(to)?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            let copied = fs::copy(entry.path(), &target);
            copied.with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}
