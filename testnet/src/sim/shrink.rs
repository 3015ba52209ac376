//! Makes a failing run smaller while it still fails: without one kind of fault or one adversary
//! after the other, with fewer minutes, with fewer phones. Every part draws from a stream of its
//! own, so that leaving one out does not shift the others.

use super::canary::Bug;
use super::scenario::Scenario;
use super::{Run, run};
use anyhow::Result;

/// Runs that shrinking may take.
const TRIES_MAX: u32 = 60;

/// The smallest failing run that was found, `failing` itself if none.
///
/// # Errors
/// As for [`run`].
pub fn shrink(failing: &Run, canary: Option<Bug>) -> Result<Run> {
    let mut least = failing.clone();
    let mut tries = 0;
    loop {
        let mut smaller = None;
        for scenario in candidates(&least) {
            tries += 1;
            if tries > TRIES_MAX {
                return Ok(least);
            }
            let tried = run(least.seed, &scenario, canary)?;
            if is_same(&tried, failing) {
                smaller = Some(tried);
                break;
            }
        }
        match smaller {
            Some(run) => least = run,
            None => return Ok(least),
        }
    }
}

/// Another failure may have another cause.
fn is_same(tried: &Run, failing: &Run) -> bool {
    let kind = |run: &Run| run.violation.as_ref().map(|violation| violation.invariant);
    kind(tried).is_some() && kind(tried) == kind(failing)
}

/// Scenarios that are smaller by one step, the largest steps first.
fn candidates(run: &Run) -> Vec<Scenario> {
    let scenario = &run.scenario;
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut Scenario)| {
        let mut smaller = scenario.clone();
        change(&mut smaller);
        if smaller != *scenario {
            found.push(smaller);
        }
    };
    add(&|it| it.adversaries.clear());
    add(&|it| it.faults.clear());
    add(&|it| it.minutes = (it.minutes / 2).max(1));
    add(&|it| it.minutes = (it.minutes * 4 / 5).max(1));
    let fewest = (scenario.adversaries.len() as u32 + 2).max(scenario.nodes / 2);
    add(&|it| it.nodes = fewest.min(it.nodes));
    add(&|it| it.nodes = (it.nodes - 1).max(it.adversaries.len() as u32 + 2).min(it.nodes));
    for at in 0..scenario.adversaries.len() {
        add(&|it| {
            it.adversaries.remove(at);
        });
    }
    for (fault, times) in &scenario.faults {
        add(&|it| {
            it.faults.remove(fault);
        });
        add(&|it| {
            it.faults.insert(*fault, (times / 2).max(1));
        });
    }
    found
}
