//! What is shipped beside the program does what it says: the commands of the unit for systemd start a
//! gateway, and every alert has an entry that says what to do, about metrics that exist.

use crate::command_line::{Process, connect, init};
use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Command;

fn docs(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_alert_has_an_entry_and_is_about_metrics_that_exist() {
    let (rules, guide) = (docs("alerts.yml"), docs("operators.md"));
    let named = |text: &str, before: &str| -> BTreeSet<String> {
        text.lines()
            .filter_map(|line| line.trim().strip_prefix(before))
            .map(str::to_owned)
            .collect()
    };
    let alerts = named(&rules, "- alert: ");
    assert!(alerts.len() >= 9);
    assert_eq!(alerts, named(&guide, "#### "));
    let metrics: BTreeSet<&str> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `hundi_gateway_")?.split('`').next())
        .collect();
    let expressions = named(&rules, "expr: ");
    assert_eq!(expressions.len(), alerts.len());
    let mut used = 0;
    for expression in &expressions {
        for name in expression.split("hundi_gateway_").skip(1) {
            let end = name.find(|it: char| !it.is_ascii_alphanumeric() && it != '_');
            let name = &name[..end.unwrap_or(name.len())];
            let plain = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(metrics.contains(plain), "{expression} asks for {name}");
            used += 1;
        }
    }
    assert!(used >= alerts.len() - 1);
}

#[test]
fn the_commands_of_the_unit_start_a_gateway() {
    let parent = tempfile::tempdir().unwrap();
    let (made, lent) = (parent.path().join("made"), parent.path().join("credentials"));
    let state = parent.path().join("state");
    init(&made);
    std::fs::create_dir(&lent).unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    // What LoadCredential lends, from where the unit's first lines say that it is.
    let unit = docs("hundi-gateway.service");
    let mut lends = 0;
    for line in unit.lines().filter_map(|line| line.strip_prefix("LoadCredential=")) {
        let (name, path) = line.split_once(':').unwrap();
        assert_eq!(path, format!("/etc/hundi-gateway/{name}"));
        let from = match name {
            "bank" => made.join("keys/bank"),
            "gateway.toml" => {
                PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/gateway.toml")
            }
            name => made.join(name),
        };
        std::fs::copy(from, lent.join(name)).unwrap();
        lends += 1;
    }
    assert_eq!(lends, 4);
    let filled = |command: &str| -> Vec<String> {
        let words = command.split(' ').map(|word| {
            let word = word.replace("${STATE_DIRECTORY}", state.to_str().unwrap());
            word.replace("${CREDENTIALS_DIRECTORY}", lent.to_str().unwrap())
        });
        words.collect()
    };
    for command in unit.lines().filter_map(|line| line.strip_prefix("ExecStartPre=")) {
        let words = filled(command);
        assert!(Command::new(&words[0]).args(&words[1..]).status().unwrap().success(), "{command}");
    }
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words = filled(start);
    assert_eq!(words[0], "/usr/local/bin/hundi-gateway");
    assert_eq!(words[1..4], ["--dir", state.to_str().unwrap(), "run"]);
    let flags: Vec<&str> = words[4..].iter().map(String::as_str).collect();
    let process = Process::start_with(&state, &flags, &[]);
    assert_eq!(connect(&state).get("/ready").0, 200);
    assert_eq!(process.stop(), Some(0));
}
