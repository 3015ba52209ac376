//! The experiments of the benches, small: news reaches everybody, a cheat costs no more than the
//! rule says, and a village's bench says what held.

use hundi_testnet::sim::graph::Shape;
use hundi_testnet::sim::partitions::{self, Pattern};
use hundi_testnet::sim::spread::{self, Links, Setting};
use serde_json::Value;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hundi-testnet");
const NODES: u32 = 30;

fn setting(links: Links, shape: Shape) -> Setting {
    Setting { nodes: NODES, links, shape, loss_percent: 20, payments: 1 }
}

#[test]
fn news_reaches_everybody_over_links_that_stand() {
    for (links, shape) in
        [(Links::Wifi, Shape::Random), (Links::Wifi, Shape::Sparse), (Links::Ble, Shape::Grid)]
    {
        let spread = spread::run(1, &setting(links, shape)).unwrap();
        let payment = &spread.payments[0];
        assert_eq!(payment.nodes, u64::from(NODES));
        assert!(payment.until(100).is_some(), "{links:?}: {:?}", payment.after_ms);
        assert_eq!(spread.proof.nodes, u64::from(NODES) - 2, "all but the cheat's phones");
        assert!(spread.proof.until(100).is_some(), "{links:?}: {:?}", spread.proof.after_ms);
        assert!(payment.until(50) <= payment.until(99));
        assert!(spread.busy.transmissions > spread.quiet.transmissions);
    }
}

#[test]
fn a_cheat_costs_no_more_than_the_rule_says() {
    for pattern in [Pattern::Whole, Pattern::Divided] {
        let honest = partitions::run(1, 1, pattern).unwrap();
        assert_eq!((honest.bank_lost, honest.payees_lost), (0, 0), "{honest:?}");
        assert_eq!(honest.accepted, honest.limit);
        let cheated = partitions::run(1, 3, pattern).unwrap();
        assert!(cheated.is_within_bounds(), "{cheated:?}");
        assert_eq!(cheated.accepted, 3 * cheated.limit, "all places accept the whole grant");
        // The guarantee pays whole payments, and half of it to one payee at most.
        let guaranteed = if pattern == Pattern::Divided { cheated.guarantee } else { 0 };
        assert_eq!(cheated.bank_lost, guaranteed);
        assert_eq!(cheated.payees_lost, cheated.payees_bound() - guaranteed);
    }
}

#[test]
fn the_bench_of_villages_prints_one_object() {
    let dir = tempfile::tempdir().unwrap();
    let (plot, page) = (dir.path().join("village.svg"), dir.path().join("village.md"));
    let mut command = Command::new(PROGRAM);
    command.args(["bench", "village", "--json", "--nodes", "12,24", "--minutes", "5"]);
    let output = command.arg("--plot").arg(&plot).arg("--markdown").arg(&page).output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{progress}");
    let report: Value = serde_json::from_slice(&output.stdout).expect(&progress);
    let villages = report["villages"].as_array().unwrap();
    assert_eq!(villages.len(), 2);
    for village in villages {
        assert_eq!(village["violation"], Value::Null);
        assert!(village["contacts"].as_u64() > Some(0), "{village}");
        assert!(village["node_hour_us"].as_u64() > Some(0), "{village}");
    }
    assert_eq!(std::fs::read_to_string(&plot).unwrap().matches("<polyline").count(), 2);
    assert!(std::fs::read_to_string(&page).unwrap().contains("](village.svg)"));
}

#[test]
fn the_bench_of_spreading_draws_what_it_measured() {
    let dir = tempfile::tempdir().unwrap();
    let (plot, page) = (dir.path().join("spread.svg"), dir.path().join("spread.md"));
    let mut command = Command::new(PROGRAM);
    command.args(["bench", "spread", "--json", "--quick", "--seeds", "1", "--only", "ble,loss"]);
    let output = command.arg("--plot").arg(&plot).arg("--markdown").arg(&page).output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&progress);
    assert_eq!(output.status.code(), Some(if report["ok"] == true { 0 } else { 1 }), "{progress}");
    assert_eq!(report["spread"].as_array().unwrap().len(), 2);
    assert_eq!(report["losses"].as_array().unwrap().len(), 4);
    assert!(std::fs::read_to_string(&plot).unwrap().contains("<polyline"));
    assert!(std::fs::read_to_string(&page).unwrap().contains("](spread.svg)"));
}
