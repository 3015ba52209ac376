//! The command line as a person uses it: two devices that pay each other, and everything that a
//! person can get wrong, each with a message that says what to do.

use crate::device::{Device, TestBank, now};
use hundi_ledger::request::PaymentRequest;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

fn enrolled(parent: &std::path::Path, name: &str, bank: &TestBank) -> Device {
    let mut device = Device::new(parent, name, bank);
    let grants = bank.write_grants(&device);
    device.start(&[]);
    device.json(&["import", grants.to_str().unwrap()]);
    device
}

/// The address at which a running device can be dialled.
fn address(device: &Device) -> String {
    let status = device.await_json(&["status"], |status| status["listen"][0].is_string());
    status["listen"][0].as_str().unwrap().to_owned()
}

#[test]
fn two_devices_pay_each_other_and_a_file_carries_it_on() {
    let dir = tempfile::tempdir().unwrap();
    let bank = TestBank::new("market");
    let asha = enrolled(dir.path(), "asha", &bank);
    let ravi = enrolled(dir.path(), "ravi", &bank);
    assert!(address(&asha) != address(&ravi));

    let request = ravi.json(&["request", "12.50", "--memo", "tea"]);
    assert_eq!(request["amount_minor"], 1250);
    let uri = request["uri"].as_str().unwrap();
    let paid = asha.json(&["pay", uri, "--wait", "60"]);
    assert_eq!((&paid["state"], &paid["amount_minor"]), (&"received".into(), &1250.into()));
    let again = asha.json(&["pay", uri, "--wait", "60"]);
    assert_eq!(again["id"], paid["id"], "the same request is resumed, not paid twice");
    let balance = asha.json(&["balance"]);
    assert_eq!(balance["left_minor"], 98_750);
    let received = ravi.json(&["history"]);
    assert_eq!(received["payments"][0]["memo"], "tea");
    assert_eq!(ravi.json(&["balance"])["received_verified_minor"], 1250);

    let id = paid["id"].as_str().unwrap();
    let refund = ravi.json(&["refund", id, "2.50"]);
    let refund = refund["id"].as_str().unwrap().to_owned();
    asha.await_json(&["history"], |history| {
        let rows = history["payments"].as_array().unwrap();
        rows.iter().any(|row| row["id"] == *refund && row["amount_minor"] == 250)
    });
    assert!(ravi.refused(&["refund", id], 1).contains("refunded before"));

    // A third device that has met nobody takes everything from a file.
    let carried = dir.path().join("carried");
    asha.json(&["export", carried.to_str().unwrap()]);
    let far = enrolled(dir.path(), "far", &bank);
    let imported = far.json(&["import", carried.to_str().unwrap()]);
    assert!(imported["new"].as_u64().unwrap() >= 3, "{imported}");
    assert_eq!(far.json(&["status"])["entries"], 2);
    assert_eq!(far.json(&["import", carried.to_str().unwrap()])["new"], 0, "twice is once");

    let shown = String::from_utf8(ravi.run(&["request", "1"]).stdout).unwrap();
    assert!(shown.contains('█') && shown.contains("HUNDI:"), "a QR code and a link");
}

#[test]
fn payments_survive_a_killed_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let bank = TestBank::new("market");
    let mut asha = enrolled(dir.path(), "asha", &bank);
    let ravi = Device::new(dir.path(), "ravi", &bank);
    drop(ravi);
    let mut ravi = enrolled(dir.path(), "ravi2", &bank);
    let uri = ravi.json(&["request", "5"])["uri"].as_str().unwrap().to_owned();
    ravi.kill();
    let signed = asha.json(&["pay", &uri, "--wait", "0"]);
    assert_eq!(signed["state"], "signed");
    asha.kill();
    asha.start(&[]);
    ravi.start(&[]);
    let again = asha.json(&["pay", &uri, "--wait", "0"]);
    assert_eq!(again["id"], signed["id"], "resumed after a crash, not paid again");
    // Both listen elsewhere now: a file carries the payment, and its receipt back.
    let (there, back) = (dir.path().join("there"), dir.path().join("back"));
    asha.json(&["export", there.to_str().unwrap()]);
    ravi.json(&["import", there.to_str().unwrap()]);
    ravi.await_json(&["history"], |history| history["payments"][0]["state"] == "received");
    ravi.json(&["export", back.to_str().unwrap()]);
    asha.json(&["import", back.to_str().unwrap()]);
    asha.await_json(&["history"], |history| history["payments"][0]["state"] == "received");
}

#[test]
fn wrong_input_is_told_apart_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let bank = TestBank::new("market");
    let bare = Device::bare(dir.path(), "nobody");
    assert!(bare.refused(&["balance"], 2).contains("run `init` first"));
    assert!(
        bare.refused(&["init", "--genesis", "/nowhere", "--bank", "1"], 2).contains("/nowhere")
    );
    let genesis = bank.write_genesis(dir.path());
    let genesis = genesis.to_str().unwrap();
    let wrong_bank = bare.refused(&["init", "--genesis", genesis, "--bank", "9"], 2);
    assert!(wrong_bank.contains("no bank 9") && wrong_bank.contains("it has: 1"), "{wrong_bank}");
    let junk = dir.path().join("junk");
    std::fs::write(&junk, b"junk").unwrap();
    let junk = junk.to_str().unwrap();
    assert!(
        bare.refused(&["init", "--genesis", junk, "--bank", "1"], 2).contains("no genesis file")
    );

    let mut device = Device::new(dir.path(), "device", &bank);
    assert!(device.refused(&["init", "--genesis", genesis, "--bank", "1"], 2).contains("already"));
    assert!(device.refused(&["balance"], 3).contains("start it with `run`"));
    assert!(device.refused(&["run", "--api", "192.0.2.1:1"], 2).contains("loopback"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    assert!(device.refused(&["run", "--api", &taken, "--no-mdns"], 3).contains(&taken));
    let told = device.refused(&["run", "--listen", &taken, "--no-mdns"], 3);
    assert!(told.contains("cannot listen") && told.contains(&taken), "{told}");
    device.refused(&["frobnicate"], 2);

    device.start(&[]);
    let second = device.refused(&["run", "--no-mdns"], 3);
    assert!(second.contains("in use by process"), "{second}");
    assert!(device.refused(&["pay", "https://example.org"], 2).contains("HUNDI:"));
    assert!(device.refused(&["pay", "HUNDI:ABC"], 2).contains("damaged"));
    assert!(device.refused(&["request", "1"], 2).contains("name one"), "no currency yet");
    let enrol = device.refused(&["request", "1", "INR"], 1);
    assert!(enrol.contains("not enrolled"), "{enrol}");
    assert!(device.refused(&["import", junk], 2).contains("hundi"), "not a file of ours");

    let grants = bank.write_grants(&device);
    device.json(&["import", grants.to_str().unwrap()]);
    assert!(device.refused(&["request", "1.005"], 2).contains("2 decimals"));
    assert!(device.refused(&["request", "1", "XQQ"], 2).contains("ISO 4217"));
    assert!(device.refused(&["request", "-1"], 2).contains("-1"));
    assert!(device.refused(&["refund", "00"], 2).contains("payment id"));
    let unknown = "00".repeat(32);
    assert!(device.refused(&["refund", &unknown], 2).contains("history"));
}

#[test]
fn requests_that_cannot_be_paid_are_refused_before_anything_is_signed() {
    let dir = tempfile::tempdir().unwrap();
    let bank = TestBank::new("market");
    let mut payer = Device::new(dir.path(), "payer", &bank);
    payer.start(&[]);
    let payee = enrolled(dir.path(), "payee", &bank);
    let uri = payee.json(&["request", "5"])["uri"].as_str().unwrap().to_owned();
    assert!(payer.refused(&["pay", &uri], 1).contains("no grant is in force"));
    let grants = bank.write_grants(&payer);
    payer.json(&["import", grants.to_str().unwrap()]);

    let request = PaymentRequest::parse(&uri).unwrap();
    let expired = PaymentRequest { expires: now() - 10, ..request.clone() };
    assert!(payer.refused(&["pay", &expired.to_uri()], 1).contains("expired"));
    let other = TestBank::new("another network").network.id();
    let elsewhere = PaymentRequest { network: other, ..request.clone() };
    assert!(payer.refused(&["pay", &elsewhere.to_uri()], 1).contains("another network"));
    let large = payee.json(&["request", "600"])["uri"].as_str().unwrap().to_owned();
    assert!(payer.refused(&["pay", &large], 1).contains("at most"));
    assert!(payee.refused(&["pay", &uri], 1).contains("itself"));
    assert_eq!(payer.json(&["balance"])["left_minor"], 100_000, "nothing was promised");
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let device = Device::new(dir.path(), "device", &TestBank::new("market"));
    let keys = device.dir.join("keys/author");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    let told = device.refused(&["id"], 2);
    assert!(told.contains("chmod 600"), "{told}");
}
