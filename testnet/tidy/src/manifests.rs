//! How a crate declares what it stands on: lints, metadata and versions come from the workspace.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Finding, Tree};

/// What each crate inherits, as it is written in its `[package]`.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

/// One line of a manifest that says something, with the table it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line<'text> {
    number: usize,
    table: &'text str,
    key: &'text str,
    value: &'text str,
}

/// Every crate inherits the workspace's lints and metadata, takes every dependency from the
/// workspace's table, and every line of that table is used.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in tree.texts_ending("/Cargo.toml") {
        findings.extend(check_crate(path, text, &mut used));
    }
    let Some(root) = tree.text("Cargo.toml") else {
        findings.push(Finding::new("Cargo.toml", 0, "the workspace has no manifest"));
        return findings;
    };
    for line in lines(root).filter(|line| line.table == "workspace.dependencies") {
        if !line.key.is_empty() && !used.contains(line.key) {
            let what = format!("no crate uses {}: take it out of the table", line.key);
            findings.push(Finding::new("Cargo.toml", line.number, what));
        }
    }
    findings
}

/// No test switches a feature on that the program is built without: Cargo would compile that
/// dependency, and everything above it, twice. `testnet`, which nobody ships, names such features
/// as its own, so that demo and tests are one build.
pub fn check_one_build(tree: &Tree) -> Vec<Finding> {
    let root = tree.text("Cargo.toml").unwrap_or_default();
    let crates: Vec<(&str, &str)> = tree.texts_ending("/Cargo.toml").collect();
    let mut built: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in crates.iter().flat_map(|(_, text)| lines(text)) {
        if line.table == "dependencies" && !line.key.is_empty() && !line.value.contains("optional")
        {
            built.entry(name_of(line.key)).or_default().extend(features(line.value));
        }
    }
    for line in lines(root).filter(|line| line.table == "workspace.dependencies") {
        if let Some(built) = built.get_mut(line.key) {
            built.extend(features(line.value));
        }
    }
    let mut findings = Vec::new();
    for (path, text) in crates {
        for line in lines(text).filter(|line| line.table == "dev-dependencies") {
            let name = name_of(line.key);
            // What only tests use is compiled for them only.
            let Some(built) = built.get(name) else { continue };
            for feature in features(line.value).difference(built) {
                let what = format!("name {name} with {feature} in testnet/Cargo.toml too");
                findings.push(Finding::new(path, line.number, what));
            }
        }
    }
    findings
}

fn name_of(key: &str) -> &str {
    key.strip_suffix(".workspace").unwrap_or(key)
}

/// The features that a dependency's line names.
fn features(value: &str) -> BTreeSet<&str> {
    let list = value.split_once("features").and_then(|(_, rest)| rest.split_once('['));
    let list = list.and_then(|(_, rest)| rest.split(']').next()).unwrap_or_default();
    list.split('"').skip(1).step_by(2).collect()
}

fn check_crate(path: &str, text: &str, used: &mut BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let inherits = |table: &str, key: &str| {
        lines(text).any(|line| line.table == table && line.key == key && line.value == "true")
    };
    if !inherits("lints", "workspace") {
        findings.push(Finding::new(path, 0, "write [lints] workspace = true"));
    }
    for key in INHERITED {
        if !inherits("package", &format!("{key}.workspace")) {
            findings.push(Finding::new(path, 0, format!("write {key}.workspace = true")));
        }
    }
    for line in lines(text) {
        if !line.table.split('.').any(|part| part.ends_with("dependencies")) {
            continue;
        }
        if line.key.is_empty() {
            if !line.table.ends_with("dependencies") {
                let what = format!("write the dependency of [{}] on one line", line.table);
                findings.push(Finding::new(path, line.number, what));
            }
            continue;
        }
        let name = line.key.strip_suffix(".workspace");
        let from_table = match name {
            Some(_) => line.value == "true",
            None => line.value.replace(' ', "").contains("workspace=true"),
        };
        used.insert(name.unwrap_or(line.key).to_owned());
        if !from_table {
            let what = format!("declare {} in the workspace's table and inherit it", line.key);
            findings.push(Finding::new(path, line.number, what));
        }
    }
    findings
}

/// The lines of a manifest; a table's own heading is a line with an empty key. Values that go on
/// over several lines are seen by their first, which is all that is asked of them here.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut table = "";
    text.lines().enumerate().filter_map(move |(at, line)| {
        let line = line.trim();
        let number = at + 1;
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = name.trim_start_matches('[');
            return Some(Line { number, table, key: "", value: "" });
        }
        if line.starts_with('#') {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        Some(Line { number, table, key: key.trim(), value: value.trim() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;

    const ROOT: &str =
        "[workspace.dependencies]\n# why\nserde = \"1\"\nhundi-a = { path = \"a\" }\n";
    const PACKAGE: &str = "[package]\nversion.workspace = true\nedition.workspace = true\n\
                           rust-version.workspace = true\nlicense.workspace = true\n\
                           publish.workspace = true\n[lints]\nworkspace = true\n";

    fn findings(dependencies: &str) -> String {
        let manifest = format!("{PACKAGE}{dependencies}");
        report(check(&Tree::of(&[("Cargo.toml", ROOT), ("a/Cargo.toml", &manifest)])))
    }

    #[test]
    fn a_crate_that_inherits_everything_is_clean() {
        let dependencies = "[dependencies]\nserde.workspace = true\n[dev-dependencies]\n\
                            hundi-a = { workspace = true, features = [\"x\"] }\n";
        assert_eq!(findings(dependencies), "");
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        let used = "[dev-dependencies]\nserde.workspace = true\nhundi-a.workspace = true\n";
        for own in ["serde = \"1\"", "serde = { version = \"1\" }", "serde.workspace = false"] {
            let found = findings(&format!("{used}[dependencies]\n{own}\n"));
            assert!(found.contains("declare serde"), "{own}: {found}");
        }
        let found = findings(&format!("{used}[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n"));
        assert!(found.contains("declare libc"), "{found}");
        let found = findings(&format!("{used}[dependencies.libc]\nversion = \"0.2\"\n"));
        assert!(found.contains("on one line"), "{found}");
    }

    #[test]
    fn a_feature_that_only_tests_have_is_found() {
        let found = |a: &str, testnet: &str| {
            report(check_one_build(&Tree::of(&[
                ("Cargo.toml", "[workspace.dependencies]\nb = { features = [\"x\"] }\n"),
                ("a/Cargo.toml", a),
                ("testnet/Cargo.toml", testnet),
            ])))
        };
        let a = "[dependencies]\nb.workspace = true\n[dev-dependencies]\n\
                 b = { workspace = true, features = [\"x\", \"y\"] }\n\
                 c = { workspace = true, features = [\"z\"] }\n";
        assert!(found(a, "").contains("a/Cargo.toml:4: name b with y"));
        let testnet = "[dependencies]\nb = { workspace = true, features = [\"y\"] }\n";
        assert_eq!(found(a, testnet), "", "what only tests use, as c, is free");
    }

    #[test]
    fn missing_inheritance_is_found() {
        let found = report(check(&Tree::of(&[
            ("Cargo.toml", "[workspace]"),
            ("a/Cargo.toml", "[package]\nedition = \"2021\"\n"),
        ])));
        for missing in ["[lints] workspace", "version.workspace", "edition.workspace"] {
            assert!(found.contains(missing), "{missing} is not in {found}");
        }
    }

    #[test]
    fn a_line_that_nobody_uses_is_found() {
        let found = findings("[dependencies]\nserde.workspace = true\n");
        assert!(found.contains("Cargo.toml:4: no crate uses hundi-a"), "{found}");
    }
}
