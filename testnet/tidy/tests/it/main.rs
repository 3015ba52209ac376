//! The rules of the house, checked on the tree as it is.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;
use std::process::Command;

use hundi_tidy::{Finding, Tree, arrows, documents, manifests, report, rust, words};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs one check on the real tree and shows everything it found.
fn clean(check: impl Fn(&Tree) -> Vec<Finding>) {
    let tree = Tree::read(&root()).unwrap();
    assert!(tree.has("ledger/src/lib.rs"), "the tree was read from the wrong place");
    let found = report(check(&tree));
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn arrows_between_crates_are_those_of_the_table() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let existing = arrows::from_metadata(&String::from_utf8(output.stdout).unwrap()).unwrap();
    clean(|tree| {
        let document = tree.text(arrows::DOCUMENT).unwrap();
        arrows::check(&existing, &arrows::from_document(document).unwrap())
    });
}

#[test]
fn crates_inherit_lints_and_versions_from_the_workspace() {
    clean(manifests::check);
}

#[test]
fn demo_and_tests_are_one_build() {
    clean(manifests::check_one_build);
}

#[test]
fn deciding_crates_have_no_std_and_no_floating_point() {
    clean(rust::check_deciding);
}

#[test]
fn files_say_what_they_own_and_stay_short() {
    clean(rust::check_layout);
}

#[test]
fn nothing_is_left_unfinished_and_no_queue_is_without_a_bound() {
    clean(words::check_unfinished);
}

#[test]
fn names_use_the_words_of_the_glossary() {
    clean(words::check_vocabulary);
}

#[test]
fn links_in_documents_lead_somewhere() {
    clean(documents::check_links);
}

#[test]
fn paths_in_documents_exist() {
    clean(documents::check_paths);
}

#[test]
fn documents_named_in_the_source_exist() {
    clean(documents::check_mentions);
}

#[test]
fn every_document_is_reachable_from_the_readme() {
    clean(documents::check_reachable);
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    clean(documents::check_invariants);
}

#[test]
fn every_file_of_vectors_is_described() {
    clean(documents::check_vectors);
}
