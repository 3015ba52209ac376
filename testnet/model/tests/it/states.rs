//! Every state that the sound bank can reach.

use hundi_model::world::Bank;
use stateright::{Checker, Model};
use std::time::Instant;

/// How many there are. Another number means that the model has changed: say so in `docs/model.md`.
const STATES: usize = 1_290_384;

#[test]
fn every_law_holds_in_every_reachable_state_and_every_case_is_reached() {
    let began = Instant::now();
    let checker = Bank::default().checker().spawn_bfs().join();
    println!(
        "{} states, {} steps between them, at most {} from the first, in {:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed(),
    );
    checker.assert_properties();
    assert_eq!(checker.unique_state_count(), STATES, "every state, and no other");
}
