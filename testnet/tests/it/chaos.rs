//! The chaos command, as a program uses it: small, with one JSON object, and everything that was
//! acknowledged still there.

use serde_json::Value;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hundi-testnet");

#[test]
fn real_programs_live_through_kills_stops_a_full_disk_and_damage() {
    let args = ["chaos", "--json", "--kills", "12", "--seed", "3"];
    let output = Command::new(PROGRAM).args(args).output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&progress);
    let number = |name: &str| {
        report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report}\n{progress}"))
    };
    for none in ["lost", "contradictions", "unopened", "panics"] {
        assert_eq!(number(none), 0, "{report}\n{progress}");
    }
    assert_eq!(number("audits_ok"), number("audits"), "{report}");
    assert_eq!((number("kills"), number("stops"), number("corruptions")), (12, 3, 8));
    assert_eq!(number("corruptions_refused") + number("corruptions_recovered"), 8, "{report}");
    assert!(number("payments") > 0 && number("entries") > 0 && number("audits") > 5);

    // Both need a disk of our own; where there can be none, the report says so.
    let left_out = !report["left_out"].as_array().unwrap().is_empty();
    assert_eq!(number("power_cuts"), if left_out { 0 } else { 2 }, "{report}");
    assert_eq!(number("disk_full") == 0, left_out, "{report}");

    // Every kill is in the histogram, once.
    let histogram = &report["histogram"];
    let rows = histogram["in_flight"].as_array().unwrap();
    let sum = |name: &str| rows.iter().map(|row| row[name].as_u64().unwrap()).sum::<u64>();
    let (before, between) = (sum("before_persist"), sum("between_persist_and_ack"));
    assert_eq!(histogram["idle"].as_u64().unwrap() + before + between, 12, "{report}");
    assert_eq!(number("kills_between_persist_and_ack"), between);
    // Where kills fall is chance: a share of few is no verdict. The status follows the report.
    let expectations = report["expectations"].as_array().unwrap();
    for one in expectations {
        let by_chance = one["name"] == "kills between persist and acknowledgement";
        assert!(by_chance || one["held"] == true, "{one}\n{progress}");
    }
    let held = expectations.iter().all(|one| one["held"] == true);
    assert_eq!((output.status.code(), &report["ok"]), (Some(i32::from(!held)), &held.into()));
}

#[test]
fn kills_or_minutes_and_not_both() {
    let run = |args: &[&str]| Command::new(PROGRAM).args(args).output().unwrap().status.code();
    assert_eq!(run(&["chaos", "--kills", "1", "--minutes", "1"]), Some(2));
    assert_eq!(run(&["power-cut", "--cuts", "0"]), Some(2));
}
