//! The simulator: small mixes hold, one seed is one run, what is recorded can be followed, and
//! every checker catches the bug that it is for.

use hundi_testnet::sim::adversary::Kind as Adversary;
use hundi_testnet::sim::canary::Bug;
use hundi_testnet::sim::fault::Kind as Fault;
use hundi_testnet::sim::replay::{record, replay};
use hundi_testnet::sim::report::Counters;
use hundi_testnet::sim::scenario::{Fixed, Scenario};
use hundi_testnet::sim::shrink::shrink;
use hundi_testnet::sim::{Invariant, run};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn scenario(seed: u64, parts: Value) -> Scenario {
    let fixed = Fixed { parts: Some(parts), ..Fixed::default() };
    Scenario::of(seed, &fixed).unwrap()
}

#[test]
fn small_mixes_hold() {
    let mut settled = 0;
    let mut struck = BTreeSet::new();
    let mut adversaries = BTreeSet::new();
    for seed in 1..=50 {
        let fixed = Fixed {
            nodes: Some(9),
            parts: Some(json!({ "minutes": 20, "payments_per_hour": 9 })),
            ..Fixed::default()
        };
        let scenario = Scenario::of(seed, &fixed).unwrap();
        let run = run(seed, &scenario, None).unwrap();
        assert_eq!(run.violation, None, "seed {seed}");
        settled += run.counters.settled;
        struck.extend(scenario.faults.into_keys());
        adversaries.extend(scenario.adversaries);
    }
    assert!(settled > 500, "{settled}");
    assert_eq!(struck.len(), Fault::ALL.len(), "every kind of fault takes part");
    assert!(adversaries.len() > Adversary::ALL.len() / 2, "{adversaries:?}");
}

#[test]
fn one_seed_is_one_run() {
    let short = |seed| scenario(seed, json!({ "nodes": 8, "minutes": 15 }));
    let digest = |seed| run(seed, &short(seed), None).unwrap().trace_digest;
    assert_eq!(digest(7), digest(7));
    assert_ne!(digest(7), digest(8));
}

#[test]
fn a_part_that_is_switched_off_does_not_shift_the_others() {
    let parts = json!({ "nodes": 8, "minutes": 20, "adversaries": [], "faults": {} });
    let whole = scenario(5, parts);
    let mut other = whole.clone();
    other.faults = BTreeMap::from([(Fault::ClockDrift, 3)]);
    let contacts = |scenario: &Scenario| run(5, scenario, None).unwrap().counters.contacts;
    assert_eq!(contacts(&whole), contacts(&other), "people move and meet as they did");
}

#[test]
fn a_recording_is_followed_event_by_event() {
    let (run, text) = record(3, &scenario(3, json!({ "nodes": 6, "minutes": 6 })), None).unwrap();
    assert_eq!(run.violation, None);
    let whole = replay(&text, None, Some(2), None).unwrap();
    assert_eq!((whole.differs, whole.events), (None, run.counters.events));
    let early = replay(&text, Some(500), Some(2), None).unwrap();
    assert_eq!((early.differs, early.events), (None, 500));
    assert_ne!(early.nodes, whole.nodes);
    let digest = text.lines().nth(40).unwrap().split("digest\":\"").nth(1).unwrap()[..8].to_owned();
    let changed = text.replacen(&digest, "00000000", 1);
    assert!(replay(&changed, None, None, None).unwrap().differs.is_some());
}

#[test]
fn every_adversary_acts() {
    for kind in Adversary::ALL {
        let parts = json!({
            "nodes": 9, "gateways": 2, "banks": 2, "minutes": 45, "payments_per_hour": 12,
            "faults": {}, "adversaries": [kind, kind],
        });
        let acts = |seed| {
            let run = run(seed, &scenario(seed, parts.clone()), None).unwrap();
            assert_eq!(run.violation, None, "{kind:?}, seed {seed}");
            run.coverage.acted().contains(&kind)
        };
        assert!((1..=5).any(acts), "{kind:?}");
    }
}

/// Runs some seeds of a scenario, all of which must hold.
fn held(seeds: u64, parts: &Value) -> Counters {
    let mut counters = Counters::default();
    for seed in 1..=seeds {
        let run = run(seed, &scenario(seed, parts.clone()), None).unwrap();
        assert_eq!(run.violation, None, "seed {seed}");
        counters.add(&run.counters);
    }
    counters
}

#[test]
fn a_bank_goes_on_from_an_old_copy_of_its_books() {
    let parts = json!({
        "nodes": 9, "gateways": 2, "banks": 1, "minutes": 45, "payments_per_hour": 12,
        "adversaries": [], "faults": { "bank-restored": 2, "new-phone": 1 },
    });
    let counters = held(8, &parts);
    assert!(counters.restored > 4 && counters.stopped > 0, "{counters:?}");
}

/// A payee that a copied phone paid at a place that the bank has decided otherwise never meets a
/// gateway: relays bring what it holds to the bank, and everybody gets the proof.
#[test]
fn what_contradicts_a_decided_entry_becomes_a_proof() {
    let parts = json!({
        "nodes": 19, "gateways": 2, "banks": 2, "minutes": 45, "payments_per_hour": 6,
        "expiry_minutes": 1_440, "claim_minutes": 10_080, "scope_bits": 0, "heals": true,
        "radio": {
            "villages": 2, "village_m": 50, "range_m": 44, "loss_percent": 18, "wifi_percent": 50,
            "scan_s": 59, "contact_s": 58, "links_max": 3,
        },
        "faults": {
            "full-disk": 2, "slow-disk": 1, "partition": 2, "links-cut": 3, "gateway-crash": 4,
            "new-phone": 1,
        },
        "adversaries": ["false-total", "cloned-phone", "false-total", "wrong-key"],
    });
    assert_eq!(run(5_050, &scenario(5_050, parts), None).unwrap().violation, None);
}

/// What a restored bank did not lose is still asked for.
#[test]
fn beside_an_old_copy_a_lost_payment_is_still_caught() {
    let parts = json!({
        "nodes": 9, "gateways": 1, "banks": 1, "minutes": 45, "payments_per_hour": 12,
        "adversaries": [], "faults": { "bank-restored": 1 },
    });
    let caught = |seed| {
        let run = run(seed, &scenario(seed, parts.clone()), Some(Bug::LosesPayments)).unwrap();
        run.violation.is_some_and(|violation| violation.invariant == Invariant::NoLoss)
    };
    assert!((1..=6).any(caught));
}

#[test]
fn a_bank_in_two_hands_stops_and_harms_no_other_banks_customers() {
    let parts = json!({
        "nodes": 10, "gateways": 2, "banks": 2, "minutes": 45, "payments_per_hour": 12,
        "adversaries": ["two-faced-bank"], "faults": { "crash": 3 },
    });
    assert!(held(6, &parts).stopped > 0);
}

#[test]
fn colluders_draw_on_the_guarantee_and_no_more() {
    let parts = json!({
        "nodes": 9, "minutes": 45, "adversaries": ["colluder", "refund-launderer"], "faults": {},
    });
    assert!(held(4, &parts).guaranteed > 0);
}

/// What shows a bug: the first of these seeds and scenarios that fails must fail in the right way.
fn catch(bug: Bug) -> Invariant {
    let faults = match bug {
        Bug::IgnoresReadErrors => {
            json!({ "crash": 20, "full-disk": 3, "slow-disk": 1, "read-errors": 40 })
        }
        Bug::NeverDeletes => json!({}),
        _ => json!({ "crash": 6, "crash-unsynced": 8 }),
    };
    let cheats = bug == Bug::OverdrawsGuarantee;
    let parts = json!({
        "nodes": 9, "gateways": 1, "banks": 1, "minutes": 40, "faults": faults,
        "adversaries": ["certified-flooder", if cheats { "colluder" } else { "double-spender" }],
    });
    for seed in 1..=40 {
        let run = run(seed, &scenario(seed, parts.clone()), Some(bug)).unwrap();
        if let Some(violation) = run.violation {
            let audited = violation.what.starts_with("auditor: ");
            assert_eq!(audited, bug == Bug::ChangesAnswers, "{violation}");
            return violation.invariant;
        }
    }
    panic!("{bug:?} was not caught");
}

#[test]
fn every_bug_is_caught() {
    for bug in Bug::ALL {
        assert_eq!(catch(bug), bug.breaks(), "{bug:?}");
    }
}

#[test]
fn a_failing_run_is_made_smaller() {
    let parts = json!({ "nodes": 9, "gateways": 1, "banks": 1, "minutes": 20 });
    let bug = Some(Bug::PostsTwice);
    let failing = run(4, &scenario(4, parts), bug).unwrap();
    let least = shrink(&failing, bug).unwrap();
    assert_eq!(
        least.violation.map(|violation| violation.invariant),
        failing.violation.map(|violation| violation.invariant)
    );
    assert!(least.scenario.minutes < 20 && least.scenario.faults.is_empty());
    assert!(least.scenario.adversaries.is_empty());
}

#[test]
fn the_scenario_of_the_documentation_is_one() {
    let page = include_str!("../../../docs/simulator.md");
    let block = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let parts: Value = serde_json::from_str(block).unwrap();
    let given = scenario(1, parts.clone());
    let whole = serde_json::to_value(&given).unwrap();
    assert_eq!(whole, parts, "the page shows every part");
    let unknown = Fixed { parts: Some(json!({ "phones": 3 })), ..Fixed::default() };
    assert!(Scenario::of(1, &unknown).is_err());
}
