//! The power-cut command: both stores keep what they acknowledged, and without the barrier the same
//! rig sees that they do not. Needs root and loop devices.

use serde_json::Value;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hundi-testnet");
const STORES: [&str; 2] = ["node", "journal"];

fn run(args: &[&str]) -> (Output, Value) {
    let output = Command::new(PROGRAM).args(["power-cut", "--json"]).args(args).output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).expect(&progress);
    (output, report)
}

#[test]
fn both_stores_keep_what_they_acknowledged() {
    let (output, report) = run(&["--cuts", "15", "--seed", "2"]);
    assert_eq!((output.status.code(), &report["ok"]), (Some(0), &true.into()), "{report}");
    for store in STORES {
        let number = |name: &str| report[store][name].as_u64().unwrap();
        assert_eq!((number("cuts"), number("cuts_between_persist_and_ack")), (15, 10), "{report}");
        for none in ["lost", "unopened", "contradictions"] {
            assert_eq!(number(none), 0, "{report}");
        }
        assert!(number("acknowledged") > 50 && number("batches") >= number("acknowledged"));
        // A batch that is durable in its segment is found, although nobody was told.
        assert!(number("unacknowledged_found") > 0, "{report}");
        assert!(number("indexes_caught_up") + number("indexes_rebuilt") > 0, "{report}");
    }
}

#[test]
fn without_the_barrier_both_stores_are_caught() {
    let (output, report) = run(&["--cuts", "2", "--without-barrier"]);
    assert_eq!((output.status.code(), &report["ok"]), (Some(1), &false.into()), "{report}");
    for store in STORES {
        let failures = ["lost", "unopened", "contradictions"]
            .map(|name| report[store][name].as_u64().unwrap());
        assert!(failures.iter().sum::<u64>() > 0, "the rig did not notice: {report}");
    }
}
