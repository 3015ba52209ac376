//! Each law fails for a bank with a bug, with a run that shows it: so each says something, and
//! the model has what it takes to break it.

use hundi_model::bug::Bug;
use hundi_model::properties::{self, laws};
use hundi_model::world::Bank;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;

/// Which law each bug breaks.
const BREAKS: [(Bug, &str); 13] = [
    (Bug::WritesWhatWasOvertaken, properties::SOLVENCY),
    (Bug::WritesWhatWasOvertaken, properties::EXACTLY_ONCE),
    (Bug::WritesWhatWasOvertaken, properties::COVERED),
    (Bug::KeepsConflictsToItself, properties::OWED_IS_PAID),
    (Bug::ForgetsVerdicts, properties::EXACTLY_ONCE),
    (Bug::ForgetsVerdicts, properties::STANDS),
    (Bug::DrawsBeforeClaimsEnd, properties::DRAWN_LATE),
    (Bug::GuaranteesEachPayment, properties::SOLVENCY),
    (Bug::SetsNothingAside, properties::OWED_IS_PAID),
    (Bug::TearsUnits, properties::CONSERVATION),
    (Bug::AnswersFirst, properties::DURABLE_FIRST),
    (Bug::ReleasesUnderReview, properties::NOTHING_RETURNS),
    (Bug::TrustsItsOwnClock, properties::ALL_DECIDED),
];

#[test]
fn every_bug_breaks_its_law_and_a_run_shows_it() {
    for (bug, law) in BREAKS {
        let wanted = HasDiscoveries::AllOf(BTreeSet::from([law]));
        let checker = Bank { bug: Some(bug) }.checker().finish_when(wanted).spawn_bfs().join();
        let run = checker.assert_any_discovery(law).into_actions();
        println!("{bug:?} breaks \"{law}\" ({} states):", checker.unique_state_count());
        for (gateway, happening) in run {
            println!("    gateway {gateway} {happening:?}");
        }
    }
}

#[test]
fn every_bug_and_every_law_is_in_the_table() {
    let bugs: BTreeSet<Bug> = BREAKS.iter().map(|(bug, _)| *bug).collect();
    assert_eq!(bugs, BTreeSet::from(Bug::ALL));
    let broken: BTreeSet<&str> = BREAKS.iter().map(|(_, law)| *law).collect();
    let all: BTreeSet<&str> = laws().iter().map(|law| law.name).collect();
    assert_eq!(broken, all);
}
