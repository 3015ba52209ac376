//! The auditor as a judge of whole runs: for every rule a world that holds, and changes that break that
//! rule and no other.

mod books;
mod contested;
mod core;
mod joins;
mod making;
mod people;
mod verdicts;
mod world;

use hundi_auditor::facts::Facts;
use hundi_auditor::run::{Invariant, judge};

/// The invariants that are broken, each once.
fn broken(facts: &Facts) -> Vec<Invariant> {
    let mut found: Vec<Invariant> = judge(facts).unwrap().iter().map(|it| it.invariant).collect();
    found.dedup();
    found
}

#[track_caller]
fn holds(facts: &Facts) {
    let found: Vec<String> = judge(facts).unwrap().iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// Only this invariant is broken, and among what is said of it are these words.
#[track_caller]
fn breaks(facts: &Facts, invariant: Invariant, words: &str) {
    let found = judge(facts).unwrap();
    let all: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(broken(facts), [invariant], "{all:#?}");
    assert!(found.iter().any(|it| it.what.contains(words)), "{words}: {all:#?}");
}
