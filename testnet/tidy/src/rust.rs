//! What source files may not say, and how they are laid out.

use crate::lex::{identifiers, is_test_path, production};
use crate::{DECIDING, Finding, Tree};

/// Lines that a file has at most: what one person reads in one sitting.
pub const LINES_MAX: usize = 700;

/// Files that are longer, each with the length it may not pass. Nothing is added here for new
/// code: a file that grows is split by concept.
pub const LONGER: [(&str, usize); 0] = [];

/// Crates that decide open with `#![no_std]`, and outside tests name neither `std` nor a floating
/// point type.
pub fn check_deciding(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in DECIDING {
        let root = format!("{folder}/src/lib.rs");
        match tree.text(&root) {
            Some(text) if text.lines().any(|line| line.trim() == "#![no_std]") => {}
            Some(_) => findings.push(Finding::new(&root, 0, "a deciding crate says #![no_std]")),
            None => findings.push(Finding::new(&root, 0, "a deciding crate is missing")),
        }
    }
    let sources = DECIDING.iter().flat_map(|folder| {
        let prefix = format!("{folder}/src/");
        tree.texts_ending(".rs").filter(move |(path, _)| path.starts_with(&prefix))
    });
    for (path, text) in sources.filter(|(path, _)| !is_test_path(path)) {
        for (line, word) in identifiers(&production(text)) {
            if word == "std" {
                findings.push(Finding::new(path, line, "a deciding crate names std"));
            }
            if is_floating_point(word) {
                let what = format!("a deciding crate names {word}: integers only");
                findings.push(Finding::new(path, line, what));
            }
        }
    }
    findings
}

/// A floating point type, or a literal with its suffix (`5_f64`). Literals without one are left to
/// clippy's `float_arithmetic`.
fn is_floating_point(word: &str) -> bool {
    ["f32", "f64"].iter().any(|kind| {
        word.strip_suffix(kind).is_some_and(|rest| {
            rest.chars().all(|character| character.is_ascii_digit() || character == '_')
        })
    })
}

/// Every source file opens with `//!`, keeps to [`LINES_MAX`], and is not called `mod.rs`; every
/// crate has one binary of public tests, `tests/it`.
pub fn check_layout(tree: &Tree) -> Vec<Finding> {
    check_layout_with(tree, &LONGER)
}

fn check_layout_with(tree: &Tree, longer: &[(&str, usize)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts_ending(".rs") {
        if !text.starts_with("//!") {
            findings.push(Finding::new(path, 1, "say in a first //! paragraph what it owns"));
        }
        if path.ends_with("/mod.rs") {
            findings.push(Finding::new(path, 0, "name it foo.rs beside foo/"));
        }
        let listed = longer.iter().find(|(name, _)| *name == path);
        let lines_max = listed.map_or(LINES_MAX, |(_, lines)| *lines);
        let lines = text.lines().count();
        if lines > lines_max {
            let what = format!("{lines} lines, {lines_max} at most: split it by concept");
            findings.push(Finding::new(path, 0, what));
        }
        if listed.is_some() && lines <= LINES_MAX {
            findings.push(Finding::new(path, 0, "no longer long: take it off the list"));
        }
        if path.rsplit_once("/tests/").is_some_and(|(_, rest)| !rest.contains('/')) {
            let what = "one test binary per crate: make it a module of tests/it/main.rs";
            findings.push(Finding::new(path, 0, what));
        }
    }
    for (name, _) in longer.iter().filter(|(name, _)| !tree.has(name)) {
        findings.push(Finding::new(name, 0, "gone: take it off the list of long files"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;

    fn deciding(ledger: &str) -> String {
        report(check_deciding(&Tree::of(&[
            ("ledger/src/lib.rs", "//! a\n#![no_std]\n"),
            ("ledger/src/a.rs", ledger),
            ("ledger/tests/it/main.rs", "use std::fs; fn a(x: f64) {}"),
            ("node/engine/src/lib.rs", "#![no_std]"),
            ("settlement-gateway/journal/src/lib.rs", "#![no_std]"),
            ("node/src/lib.rs", "use std::fs; fn a(x: f64) {}"),
        ])))
    }

    #[test]
    fn deciding_crates_may_use_std_and_floats_in_tests_only() {
        let clean = "//! f64 and std\nuse core::fmt;\n#[cfg(test)]\nmod tests { use std::fs; }";
        assert_eq!(deciding(clean), "");
        assert!(deciding("//! a\nuse std::fs;").contains("a.rs:2: a deciding crate names std"));
        assert!(deciding("extern crate std;").contains("names std"));
        assert!(deciding("fn a(b: f32) {}").contains("names f32"));
        assert!(deciding("const A: i64 = 1.5_f64 as i64;").contains("integers only"), "a suffix");
    }

    #[test]
    fn a_deciding_crate_without_the_attribute_is_found() {
        let found = report(check_deciding(&Tree::of(&[
            ("ledger/src/lib.rs", "//! #![no_std] in words only"),
            ("node/engine/src/lib.rs", "#![no_std]"),
        ])));
        assert!(found.contains("ledger/src/lib.rs: a deciding crate says #![no_std]"), "{found}");
        assert!(found.contains("journal/src/lib.rs: a deciding crate is missing"), "{found}");
    }

    #[test]
    fn a_file_says_first_what_it_owns() {
        let found = report(check_layout(&Tree::of(&[("a/src/b.rs", "use c;\n//! late")])));
        assert!(found.contains("a/src/b.rs:1: say"), "{found}");
    }

    #[test]
    fn mod_rs_and_second_test_binaries_are_found() {
        let found = report(check_layout(&Tree::of(&[
            ("a/src/b/mod.rs", "//! b"),
            ("a/tests/c.rs", "//! c"),
            ("a/tests/it/main.rs", "//! it"),
        ])));
        assert!(found.contains("a/src/b/mod.rs: name it"), "{found}");
        assert!(found.contains("a/tests/c.rs: one test binary"), "{found}");
        assert_eq!(found.lines().count(), 2, "{found}");
    }

    #[test]
    fn a_long_file_is_found_and_a_listed_one_may_not_grow() {
        let long = format!("//! a\n{}", "\n".repeat(LINES_MAX));
        let tree = Tree::of(&[("a/src/a.rs", &long), ("a/src/b.rs", "//! short")]);
        assert!(report(check_layout_with(&tree, &[])).contains("701 lines, 700 at most"));
        assert_eq!(report(check_layout_with(&tree, &[("a/src/a.rs", 701)])), "");
        let listed = [("a/src/a.rs", 700), ("a/src/b.rs", 900), ("a/src/c.rs", 900)];
        let found = report(check_layout_with(&tree, &listed));
        assert!(found.contains("701 lines, 700 at most"), "{found}");
        assert!(found.contains("b.rs: no longer long"), "{found}");
        assert!(found.contains("c.rs: gone"), "{found}");
    }
}
