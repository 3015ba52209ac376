//! Bluetooth where there is none: what a person is told, and that everything else goes on. What it
//! does where there is some is shown in a guest with a real daemon (`hundi-testnet ble`).

use crate::device::{Device, TestBank};
use hundi_ledger::request::PaymentRequest;

/// An enrolled device that looks for its adapter on a bus that is not there.
fn enrolled(parent: &std::path::Path, name: &str, bank: &TestBank, args: &[&str]) -> Device {
    let mut device = Device::new(parent, name, bank);
    device.set("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus");
    let grants = bank.write_grants(&device);
    device.start(args);
    device.json(&["import", grants.to_str().unwrap()]);
    device
}

#[test]
fn without_an_adapter_it_is_said_and_everything_else_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let bank = TestBank::new("market");
    let ravi = enrolled(dir.path(), "ravi", &bank, &["--ble", "hci7", "--gatt-only"]);
    let asha = enrolled(dir.path(), "asha", &bank, &["--ble"]);
    let status = ravi.await_json(&["status"], |status| status["bluetooth"]["state"] == "off");
    let reason = status["bluetooth"]["reason"].as_str().unwrap();
    assert!(reason.contains("D-Bus"), "{reason}");
    let told = ravi.refused(&["request", "12.50", "--ble"], 3);
    assert!(told.contains(reason), "{told}");

    let uri = ravi.json(&["request", "12.50"])["uri"].as_str().unwrap().to_owned();
    assert!(PaymentRequest::parse(&uri).unwrap().hints.iter().all(|hint| !hint.starts_with("ble")));
    assert_eq!(asha.json(&["pay", &uri, "--wait", "60"])["state"], "received");
}

#[test]
fn a_device_without_bluetooth_says_how_to_have_it() {
    let dir = tempfile::tempdir().unwrap();
    let bank = TestBank::new("market");
    let device = enrolled(dir.path(), "ravi", &bank, &[]);
    assert!(device.json(&["status"])["bluetooth"].is_null());
    let told = device.refused(&["request", "12.50", "--ble"], 1);
    assert!(told.contains("run --ble"), "{told}");
    let told = device.refused(&["run", "--gatt-only"], 2);
    assert!(told.contains("--ble"), "{told}");
}

/// A payer whose request names a session pays all the same, and is told what it lacks.
#[test]
fn a_payer_without_bluetooth_is_told_that_the_payee_is_near() {
    let dir = tempfile::tempdir().unwrap();
    let bank = TestBank::new("market");
    let ravi = enrolled(dir.path(), "ravi", &bank, &[]);
    let asha = enrolled(dir.path(), "asha", &bank, &["--reach", "none"]);
    let mira = enrolled(dir.path(), "mira", &bank, &["--reach", "none", "--ble"]);
    mira.await_json(&["status"], |status| status["bluetooth"]["state"] == "off");
    let uri = ravi.json(&["request", "5"])["uri"].as_str().unwrap().to_owned();
    let mut request = PaymentRequest::parse(&uri).unwrap();
    let session = hundi_transports::ble::hint::Session { uuid: [1; 16], key: [2; 32], psm: None };
    let hint = hundi_ledger::codec::Text::new(session.encode()).unwrap();
    request.hints = hundi_ledger::codec::List::new(vec![hint]).unwrap();
    for payer in [asha, mira] {
        let output = payer.run(&["pay", &request.to_uri(), "--wait", "0"]);
        assert_eq!(output.status.code(), Some(0));
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains("Not confirmed") && told.contains("run --ble"), "{told}");
        let looking = String::from_utf8(output.stderr).unwrap();
        assert!(!looking.contains("looking"), "there is nothing to look with: {looking}");
    }
}
