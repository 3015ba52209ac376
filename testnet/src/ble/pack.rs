//! Packing up, out here: a bank and enrolled devices that all know each other's grants, stopped in
//! order, and the programs, in a directory that the guest sees as `/payload`.

use super::{Machine, Play};
use crate::demo::expect::wait_until;
use crate::demo::world::{Place, World, copy_dir};
use crate::paths::Binaries;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who is there: a payer, two payees, a walker, and a cheat whose device is copied.
pub(super) const PEOPLE: [&str; 5] = ["asha", "ravi", "sita", "mira", "kiran"];
/// What needs another stack, and what needs the driver's own program.
const FOREIGN: &[&str] = &["foreign-gatt", "foreign-l2cap", "hostile", "three-at-once"];
const DRIVER: &[&str] = &["floor", "goodput"];
/// The copy of the cheat's device.
pub(super) const CLONE: &str = "clone";
/// Memory of the guest: its file system is in it, with the programs.
pub(super) const GUEST_MB: u64 = 1_536;

const FUND_MINOR: u64 = 5_000_000;
const LIMIT_MINOR: u64 = 2_000_000;
/// Nobody reaches the bank before the end.
const UNSETTLED_MAX: u8 = u8::MAX;
const TOWN: Place = Place::At("the bank's town");

/// Makes the payload in `dir`.
pub(super) fn pack(dir: &Path, binaries: &Binaries, play: &Play) -> Result<PathBuf> {
    let town = dir.join("town");
    fs::create_dir_all(&town).with_context(|| format!("cannot make {}", town.display()))?;
    let names = PEOPLE.map(str::to_owned);
    let mut world = World::start(&town, binaries.clone(), &names)?;
    enrol(&mut world)?;
    world.turn_everybody_off()?;

    let payload = dir.join("payload");
    fs::create_dir_all(&payload).with_context(|| format!("cannot make {}", payload.display()))?;
    for (name, device) in PEOPLE.iter().zip(&world.devices) {
        copy_dir(&device.dir, &payload.join("people").join(name))?;
    }
    copy_dir(&payload.join("people/kiran"), &payload.join("people").join(CLONE))?;
    copy_dir(&world.gateway.dir, &payload.join("bank"))?;
    let own = std::env::current_exe().context("this program")?;
    let programs = [("hundi", &binaries.hundi), ("hundi-gateway", &binaries.gateway)];
    for (name, program) in programs.into_iter().chain([("hundi-testnet", &own)]) {
        strip(program, &payload.join(name))?;
    }
    // Each takes time, and what is not Rust takes the network: not for those who want neither.
    for (what, needed_by) in [("pack-foreign", FOREIGN), ("pack-driver", DRIVER)] {
        let needs = |name: &String| needed_by.contains(&name.as_str());
        if play.only.is_empty() || play.only.iter().any(needs) {
            let packed = Command::new("bash").arg(super::rig()).arg(what).arg(&payload).status();
            ensure!(packed.context("bash is missing")?.success(), "{what}: see above");
        }
    }
    Ok(payload)
}

/// Has the payload play these scenarios in that machine.
pub(super) fn prepare(payload: &Path, machine: Machine, names: &[&str], play: &Play) -> Result<()> {
    let radio = payload.join("radio");
    match machine {
        Machine::Pair => ensure!(!radio.exists(), "{} is from another run", radio.display()),
        Machine::Crowd => fs::write(&radio, "bumble 4\n").context("the guest's radio")?,
    }
    let only = names.join(" ");
    let logs = if play.logs { " --logs" } else { "" };
    let run = format!(
        "#!/bin/sh\n\
         # The kernel's messages would come in the middle of our lines.\n\
         dmesg -n 1\n\
         export NO_COLOR=1 RUST_LOG=warn,hundi_transport_ble=debug,hundi_transport_ble::owner=trace\n\
         /payload/hundi-testnet ble-inside --payments {}{logs} {only} 2>/tmp/inside.log\n\
         status=$?\n\
         [ $status = 0 ] || {{ tail -n 600 /tmp/inside.log /tmp/bluetoothd.log; dmesg | tail -n 30; }}\n\
         exit $status\n",
        play.payments,
    );
    let script = payload.join("run");
    fs::write(&script, run).context("the guest's script")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).context("the script's mode")
}

/// Gives everybody an account and a grant, and waits until everybody knows of everybody.
fn enrol(world: &mut World) -> Result<()> {
    let moves: Vec<_> = (0..world.devices.len()).map(|device| (device, TOWN)).collect();
    world.place(&moves, Some(TOWN))?;
    for device in &world.devices {
        let terms = json!({ "limit_minor": LIMIT_MINOR, "unsettled_max": UNSETTLED_MAX });
        world.gateway.enrol_on(device, FUND_MINOR, &terms)?;
    }
    let (granted, _) = wait_until(
        || world.devices.iter().map(|device| Ok(device.balance()?.granted_minor)).collect(),
        |granted: &Vec<u64>| granted.iter().all(|minor| *minor == LIMIT_MINOR),
    )?;
    ensure!(granted.is_some(), "not every device got its grant");
    let (equal, _) = wait_until(
        || -> Result<BTreeSet<String>> {
            let digests = world.devices.iter().map(|device| Ok(device.status()?.digest));
            digests.chain([Ok(world.gateway.status()?.digest)]).collect()
        },
        |digests| digests.len() == 1,
    )?;
    ensure!(equal.is_some(), "not everybody knows all grants");
    Ok(())
}

/// A program without what only a debugger reads: the guest's disk is its memory.
fn strip(program: &Path, to: &Path) -> Result<()> {
    let status = Command::new("strip").arg("-o").arg(to).arg(program).status();
    let status = status.context("strip is missing: install the package binutils")?;
    ensure!(status.success(), "cannot strip {}", program.display());
    Ok(())
}
