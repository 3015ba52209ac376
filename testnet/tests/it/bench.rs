//! The bench's command, as a program uses it: small, with one JSON object, the same figures for
//! all protocols, and an exit status that says whether every expectation held.

use serde_json::Value;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hundi-testnet");

/// What every protocol has in every case.
const FIGURES: [&str; 9] = [
    "metadata_bytes_up",
    "metadata_bytes_down",
    "total_bytes",
    "missing_bytes",
    "round_trips",
    "cpu_ms_a",
    "cpu_ms_b",
    "peak_session_bytes",
    "seeds",
];

fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("{name} in {of}"))
}

#[test]
fn one_run_measures_every_case_and_says_what_held() {
    let dir = tempfile::tempdir().unwrap();
    let plot = dir.path().join("growth.svg");
    let mut command = Command::new(PROGRAM);
    command.args(["bench", "sync", "--json", "--quick", "--seeds", "2", "--authors", "1000"]);
    let page = dir.path().join("page.md");
    command.arg("--plot").arg(&plot).arg("--markdown").arg(&page);
    let output = command.output().unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&progress);
    let expectations = report["expectations"].as_array().unwrap();
    let held = expectations.iter().all(|one| one["held"] == true);
    assert_eq!(output.status.code(), Some(if held { 0 } else { 1 }), "{progress}");
    assert_eq!(report["ok"], held);
    for one in expectations {
        assert_eq!(one["held"], number(one, "measured") <= number(one, "limit"), "{one}");
        // Bytes, trips and what became of things are the same on every machine; times are not.
        let name = one["name"].as_str().unwrap();
        let certain =
            ["bytes", "trips", "equal", "hold", "gain"].iter().any(|it| name.contains(it));
        assert!(!certain || name.contains("memory") || one["held"] == true, "{one}");
    }

    let cases = report["cases"].as_array().unwrap();
    assert!(cases.len() > 15, "{}", cases.len());
    for case in cases {
        assert_eq!(case["unequal"], 0, "{case}");
        check_figures(case, case);
        check_figures(&case["peers"]["negentropy"], case);
        // Blind, only the other protocols of the same rows are of interest.
        if case["opening"] == "advertised" {
            check_figures(&case["peers"]["automerge"], case);
        }
        let differs = number(case, "difference") > 0;
        assert_eq!(number(case, "missing_bytes") > 0, differs, "{case}");
        assert_eq!(case["ratio_to_missing"].is_number(), differs);
        assert_eq!(number(case, "minimum_bytes") > 0, differs);
        let said = number(case, "metadata_bytes");
        assert!(said >= number(case, "minimum_bytes"), "below what is possible: {case}");
    }
    let walks = report["walks"].as_array().unwrap();
    assert_eq!(walks.len(), 2);
    for walk in walks {
        assert_eq!(walk["converged"], true, "both ends hold everything: {walk}");
        assert!(number(walk, "total_bytes") > number(walk, "payload_bytes"));
        let carried = number(walk, "contacts") * number(walk, "contact_bytes");
        assert!(number(walk, "total_bytes") <= carried, "no contact carries more than it can");
    }
    let disk = &report["disk"];
    assert_eq!((number(disk, "authors"), number(disk, "entries")), (1_000, 10_000));
    assert_eq!(number(disk, "unequal"), 0, "{disk}");
    for name in ["store_bytes", "index_bytes", "replica_bytes", "session_bytes", "contact_bytes"] {
        assert!(number(disk, name) > 0, "{name} in {disk}");
    }
    for name in ["verified_per_second", "applied_grouped_per_second", "stored_per_second"] {
        assert!(number(disk, name) > 0, "{name} in {disk}");
    }
    let drawn = std::fs::read_to_string(&plot).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.matches("<polyline").count() == 16, "{drawn}");
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("](growth.svg)") && page.contains("DIFFERENCE GROWS"), "{page}");
    assert!(page.contains("ON DISK"), "{page}");
}

/// The figures of one protocol belong to the case, and the memory was counted.
fn check_figures(figures: &Value, case: &Value) {
    for name in FIGURES {
        assert!(figures[name].is_number(), "{name} in {figures}");
    }
    assert!(number(figures, "peak_session_bytes") > 0, "{figures}");
    // Automerge is measured with fewer seeds, so that its middle is another one.
    if figures["seeds"] == case["seeds"] {
        assert_eq!(figures["missing_bytes"], case["missing_bytes"], "the same items");
    }
}

#[test]
fn a_plot_needs_the_case_that_it_draws() {
    let args = ["bench", "sync", "--only", "villages", "--plot", "none.svg"];
    let output = Command::new(PROGRAM).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output = Command::new(PROGRAM).args(["bench", "sync", "--only", "nothing"]).output();
    assert_eq!(output.unwrap().status.code(), Some(2));
}
