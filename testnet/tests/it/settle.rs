//! The bench of settling, small: every part has its figures, they agree with one another, and the
//! exit status says what held. How fast anything is decides nothing here.

use serde_json::Value;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hundi-testnet");

fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("{name} in {of}"))
}

/// A decimal as thousandths.
fn thousandths(of: &Value, name: &str) -> u64 {
    let decimal = of[name].as_number().unwrap_or_else(|| panic!("{name} in {of}")).to_string();
    let (whole, part) = decimal.split_once('.').unwrap_or((&decimal, ""));
    format!("{whole}{part:0<3}").parse().unwrap()
}

fn check_row(row: &Value) {
    assert!(number(row, "payments") > 0 && number(row, "per_s") > 0, "{row}");
    let times = ["p50_ms", "p95_ms", "p99_ms", "max_ms"].map(|name| thousandths(row, name));
    assert!(times.is_sorted() && times[0] > 0, "{row}");
    assert!(thousandths(row, "cpu_us") > 0 && thousandths(row, "peak_mib") > 0, "{row}");
    let submissions = number(row, "submissions");
    assert_eq!(number(row, "payments"), submissions * number(row, "batch"), "{row}");
}

#[test]
fn a_small_bank_is_measured_beside_its_ceiling() {
    let dir = tempfile::tempdir().unwrap();
    let (plot, page) = (dir.path().join("settle.svg"), dir.path().join("settle.md"));
    let mut command = Command::new(PROGRAM);
    command.args(["bench", "settle", "--json", "--quick", "--dir"]).arg(dir.path());
    // What needs a database server is in `postgres`.
    command.args(["--only", "ceiling,batches,latency,growth,profile"]);
    command.arg("--plot").arg(&plot).arg("--markdown").arg(&page);
    let output = command.output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&progress);
    let expectations = report["expectations"].as_array().unwrap();
    let held = expectations.iter().all(|one| one["held"] == true);
    assert_eq!(report["ok"], held);
    assert_eq!(output.status.code(), Some(if held { 0 } else { 1 }), "{progress}");
    // What is right about money holds on every machine.
    assert_eq!(report["audit_ok"], true, "{}", report["findings"]);
    for one in expectations {
        let name = one["name"].as_str().unwrap();
        let certain = name.contains("findings") || name.contains("not settled");
        assert!(!certain || one["held"] == true, "{one}");
    }

    let ceiling = &report["ceiling"];
    for rate in ["single_per_s", "batched_per_s", "fsync_per_s", "rounds"] {
        assert!(number(ceiling, rate) > 0, "{rate}");
    }
    let embedded = &report["embedded"];
    check_row(embedded);
    let rows = embedded["batches"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    rows.iter().for_each(check_row);
    assert_eq!(rows.iter().map(|row| number(row, "per_s")).max(), embedded["per_s"].as_u64());
    let ratio = number(embedded, "per_s") * 1_000 / number(ceiling, "batched_per_s");
    assert_eq!(thousandths(embedded, "ratio_to_ceiling"), ratio);
    check_row(&embedded["one_at_a_time"]);
    let half = embedded["half_load"].as_array().unwrap();
    assert_eq!(half.len(), 2);
    for row in half {
        check_row(row);
        assert_eq!(number(row, "offered_per_s"), number(embedded, "per_s") / 2);
    }

    let parts = report["growth"]["parts"].as_array().unwrap();
    let settled: Vec<u64> = parts.iter().map(|part| number(part, "settled")).collect();
    assert_eq!(settled, (1..=10).map(|part| part * settled[0]).collect::<Vec<_>>());
    let per_s = |at: usize| number(&parts[at], "per_s");
    assert_eq!(thousandths(&report, "growth_ratio"), per_s(9) * 1_000 / per_s(0));
    // An entry is received, opened and decided.
    assert!(number(&report["growth"], "events") > 3 * settled[9]);
    for profile in report["profile"].as_array().unwrap() {
        for stage in ["decode_us", "verify_us", "agree_us", "open_us", "sign_us", "total_us"] {
            assert!(thousandths(profile, stage) > 0, "{stage} in {profile}");
        }
    }

    // What nothing measures yet has no figure, and the page says so.
    for missing in ["postings_per_s", "hot_account_ratio", "postgres"] {
        assert!(report.get(missing).is_none(), "{missing}");
    }
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("](settle.svg)") && page.contains("Not measured yet"), "{page}");
    assert_eq!(std::fs::read_to_string(&plot).unwrap().matches("<polyline").count(), 4);
    // Its stores are gone.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn what_is_left_out_has_no_figure() {
    let mut command = Command::new(PROGRAM);
    command.args(["bench", "settle", "--json", "--quick", "--authors", "20", "--only", "ceiling"]);
    let output = command.output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&progress);
    assert_eq!(output.status.code(), Some(0), "{progress}");
    assert_eq!(report["authors"], 20);
    assert!(report.get("ceiling").is_some());
    for part in ["embedded", "growth", "growth_ratio", "profile", "audit_ok"] {
        assert!(report.get(part).is_none(), "{part}");
    }
}

#[test]
fn a_machine_without_postgres_is_told_so_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["bench", "settle", "--json", "--only", "postgres"]);
    let output = command.env("HUNDI_POSTGRES_BIN", dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(output.stdout.is_empty() && said.contains("`postgresql`"), "{said}");
}
