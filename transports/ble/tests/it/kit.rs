//! A system bus of the test's own, and what is expected of events.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hundi_transport_ble::{Event, Events};
use tokio::time::timeout;

/// Where bluer and D-Bus look for the system bus.
const BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

const CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy></busconfig>"#;

/// A bus; gone when dropped.
struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    fn start() -> Self {
        let mut configuration = tempfile::NamedTempFile::new().unwrap();
        configuration.write_all(CONFIGURATION.as_bytes()).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1", "--config-file"])
            .arg(configuration.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("dbus-daemon (package dbus-daemon) is needed: {error}"));
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(!address.trim().is_empty(), "dbus-daemon gave no address");
        Bus { daemon, address: address.trim().to_owned() }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Runs a test in a process whose system bus is at this address, because that is part of a
/// process's environment; `name` is the test's own.
pub(crate) fn run_at(address: &str, name: &str, work: impl Future<Output = ()>) {
    if std::env::var(BUS).is_ok_and(|bus| bus == address) {
        return tokio::runtime::Runtime::new().unwrap().block_on(work);
    }
    run_inside(address, name);
}

/// Runs a test in a process with a system bus of its own.
pub(crate) fn run_on_a_bus(name: &str, work: impl Future<Output = ()>) {
    const INSIDE: &str = "HUNDI_TEST_INSIDE";
    if std::env::var(INSIDE).is_ok() {
        return tokio::runtime::Runtime::new().unwrap().block_on(work);
    }
    let bus = Bus::start();
    let test = std::env::current_exe().unwrap();
    let output = Command::new(test)
        .args(["--exact", name, "--nocapture"])
        .env(BUS, &bus.address)
        .env(INSIDE, "1")
        .output()
        .unwrap();
    check(&output);
}

fn run_inside(address: &str, name: &str) {
    let test = std::env::current_exe().unwrap();
    let output = Command::new(test)
        .args(["--exact", name, "--nocapture"])
        .env(BUS, address)
        .output()
        .unwrap();
    check(&output);
}

fn check(output: &std::process::Output) {
    let [out, error] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success() && out.contains("1 passed"), "{out}{error}");
}

/// The next event, which must come.
pub(crate) async fn next(events: &mut Events) -> Option<Event> {
    timeout(Duration::from_secs(60), events.next()).await.expect("an event")
}

/// The first of the next events that is one of these.
pub(crate) async fn wait_for<T>(
    events: &mut Events,
    mut pick: impl FnMut(Event) -> Option<T>,
) -> T {
    loop {
        let event = next(events).await.expect("it goes on");
        if let Some(picked) = pick(event) {
            return picked;
        }
    }
}
