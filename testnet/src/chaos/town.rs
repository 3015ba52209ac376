//! Who lives through it: devices with accounts, a gateway, and two phones whose payments a client
//! hands in over HTTP. Where the machine lets us, all of their directories are on a disk of its own,
//! whose power can be cut and which can be full; their logs are not.

use super::EACH_MINOR;
use super::load::{self, HandedIn, Paid, Signals};
use super::report::Facts;
use crate::answers::Account;
use crate::demo::CURRENCY;
use crate::demo::expect::wait_until;
use crate::demo::world::{Place, World};
use crate::disk::Disk;
use crate::paths::Binaries;
use crate::phone::Phone;
use crate::process::run_json;
use anyhow::{Context, Result, anyhow, ensure};
use hundi_ledger::id::{NetworkId, SealingKey};
use hundi_node::client::Client;
use hundi_node::store::{Store, StoreOptions};
use serde::Deserialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Devices.
pub(super) const DEVICES: usize = 4;
/// What every account begins with, and may promise, minor units.
pub(super) const FUND_MINOR: u64 = 100_000_000;
/// Bytes of the disk: sparse, so that only what is written takes room.
const DISK_BYTES: u64 = 512 << 20;
const TOWN: Place = Place::At("town");

/// Who is treated roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    Device(usize),
    Gateway,
}

/// Everybody, and the ground they stand on.
#[derive(Debug)]
pub(super) struct Town {
    // Programs first, then the disk under them.
    pub(super) world: World,
    pub(super) disk: Option<Disk>,
    pub(super) accounts: Vec<String>,
    pub(super) phones: [Phone; 2],
    pub(super) phone_accounts: [String; 2],
}

#[derive(Deserialize)]
struct GatewayKeys {
    network: String,
    sealing_key: String,
}

#[derive(Deserialize)]
struct Audit {
    findings: Vec<String>,
}

impl Town {
    /// Starts everybody in `dir`, with accounts and grants.
    pub(super) fn start(dir: &Path, facts: &mut Facts) -> Result<Self> {
        let binaries = Binaries::find()?;
        let disk = match Disk::make(dir, DISK_BYTES) {
            Ok(disk) => Some(disk),
            Err(error) => {
                facts.left_out.push(format!("power cuts and the full disk: {error:#}"));
                None
            }
        };
        let root = disk.as_ref().map_or(dir, Disk::root).to_owned();
        if disk.is_some() {
            let logs = dir.join("logs");
            std::fs::create_dir(&logs).context("cannot make a directory for logs")?;
            std::os::unix::fs::symlink(&logs, root.join("logs")).context("cannot link the logs")?;
        }
        let names: Vec<String> = (1..=DEVICES).map(|at| format!("Device {at}")).collect();
        let mut world = World::start(&root, binaries, &names)?;
        place(&mut world)?;
        let enrol = |device| world.gateway.enrol(device, FUND_MINOR, FUND_MINOR);
        let accounts: Vec<String> = world.devices.iter().map(enrol).collect::<Result<_>>()?;
        let phones = phones(&world)?;
        let [payer, payee] = &phones;
        let phone_accounts = [open_account(&world, payer)?, open_account(&world, payee)?];
        let granted = || -> Result<bool> {
            let balances: Result<Vec<_>> = world.devices.iter().map(|it| it.balance()).collect();
            Ok(balances?.iter().all(|balance| balance.granted_minor == FUND_MINOR))
        };
        let (took, _) = wait_until(granted, |granted| *granted)?;
        ensure!(took.is_some(), "not every device has its grant");
        Ok(Self { world, disk, accounts, phones, phone_accounts })
    }

    /// Where a victim keeps what it acknowledges.
    pub(super) fn store(&self, victim: Victim) -> PathBuf {
        match victim {
            Victim::Device(device) => self.world.devices[device].dir.join("store"),
            Victim::Gateway => self.world.gateway.dir.join("journal"),
        }
    }

    /// Has everybody pay while `during` is carried out, and returns what they were told.
    pub(super) fn under_load<T>(
        &mut self,
        victim: Option<Victim>,
        during: impl FnOnce(&mut World, Option<&Disk>, &Signals) -> Result<T>,
    ) -> Result<(T, Vec<Paid>, HandedIn)> {
        let clients: Vec<Client> = self
            .world
            .devices
            .iter()
            .map(|device| device.client().cloned())
            .collect::<Result<_>>()?;
        let gateway = self.world.gateway.client().clone();
        let signals = Signals::default();
        let Self { world, phones, disk, .. } = self;
        std::thread::scope(|scope| {
            let (clients, signals) = (&clients, &signals);
            let payers: Vec<_> = (0..clients.len())
                .map(|payer| {
                    let victim = victim == Some(Victim::Device(payer)) || victim.is_none();
                    scope.spawn(move || load::pay(clients, payer, victim, signals))
                })
                .collect();
            let victim = victim == Some(Victim::Gateway) || victim.is_none();
            let client = scope.spawn(move || load::hand_in(&gateway, phones, victim, signals));
            let done = during(world, disk.as_ref(), signals);
            signals.over.store(true, Ordering::Release);
            let broken = |_| anyhow!("the load broke down");
            let handed_in = client.join().map_err(broken)??;
            let paid = payers.into_iter().map(|payer| payer.join().map_err(broken));
            let paid = paid.collect::<Result<_>>()?;
            Ok((done?, paid, handed_in))
        })
    }

    /// Starts somebody who was killed or has ended. Who comes back reaches nobody before
    /// [`Town::gather`].
    pub(super) fn start_again(&mut self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Device(device) => self.world.turn_on(device),
            Victim::Gateway => self.world.turn_on_gateway(),
        }
    }

    /// Puts everybody into the town.
    pub(super) fn gather(&mut self) -> Result<()> {
        place(&mut self.world)
    }

    /// Everybody, devices first.
    pub(super) fn everybody() -> impl Iterator<Item = Victim> {
        (0..DEVICES).map(Victim::Device).chain([Victim::Gateway])
    }

    /// Looks at a victim's directory as it lies there, before its program does: the bank's own
    /// audit, and the stores' own check.
    pub(super) fn look_offline(&self, victim: Victim, facts: &mut Facts) -> Result<()> {
        match victim {
            Victim::Device(device) => {
                check_store(&self.world.devices[device].dir.join("store"), facts)
            }
            Victim::Gateway => {
                let dir = &self.world.gateway.dir;
                audit(&self.world.programs().1, dir, facts)?;
                ["store", "journal"].iter().try_for_each(|name| check_store(&dir.join(name), facts))
            }
        }
    }

    /// Stops everybody in order.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.world.turn_everybody_off()
    }
}

/// `hundi-gateway audit` of a directory whose gateway does not run.
fn audit(program: &Path, dir: &Path, facts: &mut Facts) -> Result<()> {
    // With findings the status is 1, and the finding is in its error.
    let findings = match run_json::<Audit>(program, dir, &["audit"]) {
        Ok(audit) => audit.findings,
        Err(error) => vec![format!("{error:#}")],
    };
    facts.audit(&findings, "audit of the bank");
    Ok(())
}

/// A store's own check: every checksum, and the index both ways.
fn check_store(dir: &Path, facts: &mut Facts) -> Result<()> {
    let (store, _) = Store::open(dir, StoreOptions::default())?;
    let check = store.check()?;
    let findings: Vec<String> =
        check.findings.iter().map(|finding| format!("{finding:?}")).collect();
    facts.audit(&findings, &format!("check of {}", dir.display()));
    Ok(())
}

fn place(world: &mut World) -> Result<()> {
    let everybody: Vec<(usize, Place)> = (0..DEVICES).map(|device| (device, TOWN)).collect();
    world.place(&everybody, Some(TOWN))
}

fn phones(world: &World) -> Result<[Phone; 2]> {
    let keys: GatewayKeys = world.gateway.client().get("/v1/status")?;
    let network: NetworkId = keys.network.parse().context("the network's id")?;
    let sealing: SealingKey = keys.sealing_key.parse().context("the bank's sealing key")?;
    Ok([[41; 32], [42; 32]].map(|seed| Phone::new(network, sealing, seed)))
}

/// Opens an account for a phone, with money and a grant.
fn open_account(world: &World, phone: &Phone) -> Result<String> {
    let client = world.gateway.client();
    let account: Account =
        client.post("/v1/accounts", &json!({ "name": "Somebody", "currency": CURRENCY }))?;
    let path = format!("/v1/accounts/{}/fund", account.account);
    let _funded: Account = client.post(&path, &json!({ "amount_minor": FUND_MINOR }))?;
    let grant = json!({
        "account": account.account,
        "author": phone.author.to_string(),
        "sealing_key": phone.sealing_key().to_string(),
        "limit_minor": FUND_MINOR,
    });
    let _granted: serde_json::Value = client.post("/v1/grants", &grant)?;
    Ok(account.account)
}

/// How many payments an account's limit lasts for: far more than any run makes.
const _: () = assert!(FUND_MINOR / EACH_MINOR > 500_000);
