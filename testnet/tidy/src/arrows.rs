//! Which crate may import which: the table in `docs/architecture.md` against what Cargo says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use thiserror::Error;

use crate::Finding;

/// Where the table is.
pub const DOCUMENT: &str = "docs/architecture.md";

/// The heading under which the table is.
const HEADING: &str = "## The arrows";

/// Which of our crates one crate names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrows {
    /// In its code and build scripts.
    pub code: BTreeSet<String>,
    /// In its tests only.
    pub tests: BTreeSet<String>,
}

/// Our crates by name, each with the arrows that leave it.
pub type Crates = BTreeMap<String, Arrows>;

/// Why no arrows could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// `cargo metadata` printed something else than metadata.
    #[error("this is not the output of `cargo metadata --no-deps`")]
    NotMetadata,
    /// The document has no table under its heading.
    #[error("no table of crates under \"## The arrows\"")]
    NoTable,
}

/// The arrows that exist, from the output of `cargo metadata --no-deps --format-version 1`.
///
/// A crate that names itself (to switch a feature on in its tests) is no arrow.
///
/// # Errors
///
/// [`ParseError::NotMetadata`].
pub fn from_metadata(json: &str) -> Result<Crates, ParseError> {
    let metadata: Value = serde_json::from_str(json).map_err(|_| ParseError::NotMetadata)?;
    let packages = metadata["packages"].as_array().ok_or(ParseError::NotMetadata)?;
    let ours: BTreeSet<&str> =
        packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut crates = Crates::new();
    for package in packages {
        let name = package["name"].as_str().ok_or(ParseError::NotMetadata)?;
        let arrows = crates.entry(name.to_owned()).or_default();
        for dependency in package["dependencies"].as_array().ok_or(ParseError::NotMetadata)? {
            let target = dependency["name"].as_str().ok_or(ParseError::NotMetadata)?;
            if target == name || !ours.contains(target) {
                continue;
            }
            let in_tests = dependency["kind"].as_str() == Some("dev");
            let set = if in_tests { &mut arrows.tests } else { &mut arrows.code };
            set.insert(target.to_owned());
        }
    }
    Ok(crates)
}

/// The arrows that are allowed, from the text of `docs/architecture.md`: rows of three cells
/// (crate, what its code may import, what its tests may import besides), names in backticks, one
/// name or more in the first cell.
///
/// # Errors
///
/// [`ParseError::NoTable`].
pub fn from_document(text: &str) -> Result<Crates, ParseError> {
    let mut crates = Crates::new();
    let section = text.lines().skip_while(|line| line.trim() != HEADING).skip(1);
    for line in section.take_while(|line| !line.starts_with("## ")) {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').collect();
        let [names, code, tests] = cells[..] else { continue };
        for name in backticked(names) {
            let arrows = crates.entry(name).or_default();
            arrows.code.extend(backticked(code));
            arrows.tests.extend(backticked(tests));
        }
    }
    if crates.is_empty() { Err(ParseError::NoTable) } else { Ok(crates) }
}

/// Every arrow that exists and is not allowed, every crate that has no row, every row that has no
/// crate.
pub fn check(existing: &Crates, allowed: &Crates) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |what: String| findings.push(Finding::new(DOCUMENT, 0, what));
    for (name, arrows) in existing {
        let Some(row) = allowed.get(name) else {
            found(format!("crate {name} has no row in the table of arrows"));
            continue;
        };
        for target in arrows.code.difference(&row.code) {
            found(format!("{name} imports {target}, which the table does not allow"));
        }
        for target in &arrows.tests {
            if !row.code.contains(target) && !row.tests.contains(target) {
                found(format!("tests of {name} import {target}, which the table does not allow"));
            }
        }
    }
    for name in allowed.keys().filter(|name| !existing.contains_key(*name)) {
        found(format!("the table of arrows has a row for {name}, which is no crate"));
    }
    findings
}

fn backticked(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "## The arrows\n\ntext\n\n| crate | code | tests |\n| --- | --- | --- |\n\
                         | `a` | none | |\n| `b` | `a` | `c` |\n| `c` | none | |\n\n## Next\n\
                         | `z` | `a` | |\n";

    fn metadata(dependencies_of_a: &str, dependencies_of_b: &str) -> Crates {
        let json = format!(
            r#"{{"packages":[{{"name":"a","dependencies":[{dependencies_of_a}]}},
               {{"name":"b","dependencies":[{dependencies_of_b}]}},
               {{"name":"c","dependencies":[]}}]}}"#
        );
        from_metadata(&json).unwrap()
    }

    #[test]
    fn an_allowed_tree_is_clean() {
        let allowed = from_document(TABLE).unwrap();
        let existing = metadata(
            r#"{"name":"a","kind":"dev"},{"name":"serde","kind":null}"#,
            r#"{"name":"a","kind":null},{"name":"c","kind":"dev"}"#,
        );
        assert_eq!(check(&existing, &allowed), []);
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found() {
        let allowed = from_document(TABLE).unwrap();
        let existing = metadata(r#"{"name":"b","kind":null}"#, r#"{"name":"c","kind":"build"}"#);
        let findings = crate::report(check(&existing, &allowed));
        assert!(findings.contains("a imports b"), "{findings}");
        assert!(findings.contains("b imports c"), "{findings}");
    }

    #[test]
    fn an_arrow_of_tests_is_found_unless_listed() {
        let allowed = from_document(TABLE).unwrap();
        let existing = metadata(r#"{"name":"c","kind":"dev"}"#, "");
        assert!(crate::report(check(&existing, &allowed)).contains("tests of a import c"));
    }

    #[test]
    fn rows_and_crates_must_match() {
        let allowed = from_document(TABLE).unwrap();
        assert!(!allowed.contains_key("z"), "the table ends with its section");
        let mut existing = metadata("", "");
        existing.remove("c");
        existing.insert("d".to_owned(), Arrows::default());
        let findings = crate::report(check(&existing, &allowed));
        assert!(findings.contains("crate d has no row"), "{findings}");
        assert!(findings.contains("row for c"), "{findings}");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert_eq!(from_document("# nothing"), Err(ParseError::NoTable));
        assert_eq!(from_metadata("{}"), Err(ParseError::NotMetadata));
    }
}
