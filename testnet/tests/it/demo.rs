//! The demo's command, as a program uses it: one JSON object, and an exit status that says whether
//! every expectation held.

use serde_json::Value;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hundi-testnet");

#[test]
fn two_villages_a_cheat_and_a_bank_end_as_the_script_says() {
    let output = Command::new(PROGRAM).args(["demo", "--json", "--seed", "11"]).output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap();

    assert!(number("/nodes") >= 8 && number("/gateways") == 1, "{report}");
    let [made, accepted, refused] =
        ["made", "accepted", "refused"].map(|word| number(&format!("/payments/{word}")));
    assert!(accepted >= 100 && refused > 0);
    assert_eq!(made, accepted + refused);
    let [settled, contested] =
        ["settled", "contested"].map(|word| number(&format!("/payments/{word}")));
    assert_eq!((settled + contested, contested), (accepted, 1));

    assert_eq!((number("/equivocations/attempted"), number("/equivocations/proven")), (1, 1));
    let holders = number("/equivocations/nodes_with_proof");
    assert_eq!(holders, number("/honest_nodes") + number("/gateways"));
    let payees = report["equivocations"]["payees"].as_array().unwrap();
    let whole = |payee: &&Value| payee["got_minor"] == payee["amount_minor"];
    assert_eq!((payees.len(), payees.iter().filter(whole).count()), (3, 2), "{payees:?}");

    assert_eq!(report["journal"]["balanced"], true);
    assert_eq!(report["journal"]["sum"]["INR"], 0);
    assert_eq!(report["converged_before_gateway"], true);
    assert_eq!(report["converged"], true);
    assert!(number("/elapsed_ms") > 0);
    let expectations = report["expectations"].as_array().unwrap();
    assert!(expectations.len() > 30 && expectations.iter().all(|one| one["held"] == true));
}

#[test]
fn wrong_usage_is_told_from_what_does_not_hold() {
    let run = |args: &[&str]| Command::new(PROGRAM).args(args).output().unwrap().status.code();
    assert_eq!(run(&["demo", "--nodes", "3"]), Some(2));
    let full = tempfile::tempdir().unwrap();
    std::fs::write(full.path().join("letter"), "keep me").unwrap();
    assert_eq!(run(&["demo", "--dir", &full.path().display().to_string()]), Some(3));
    assert!(full.path().join("letter").exists());
}
