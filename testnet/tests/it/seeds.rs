//! Runs that once failed, each made as small as it still failed, with what was wrong.

use hundi_testnet::sim::run;
use hundi_testnet::sim::scenario::{Fixed, Scenario};
use serde_json::{Value, json};

#[track_caller]
fn holds(seed: u64, parts: Value) {
    let fixed = Fixed { parts: Some(parts), ..Fixed::default() };
    let run = run(seed, &Scenario::of(seed, &fixed).unwrap(), None).unwrap();
    assert_eq!(run.violation, None, "seed {seed}");
}

/// The auditor counted a refund that its payee refused, and that went back, as moved twice.
#[test]
fn a_refund_goes_back() {
    let parts = json!({
        "nodes": 14, "gateways": 1, "banks": 1, "minutes": 3, "payments_per_hour": 6,
        "expiry_minutes": 1440, "claim_minutes": 10080, "scope_bits": 0,
        "radio": {
            "villages": 2, "village_m": 50, "range_m": 50, "loss_percent": 17,
            "wifi_percent": 20, "scan_s": 56, "contact_s": 18, "links_max": 4,
        },
        "faults": {}, "adversaries": ["refund-launderer"],
    });
    holds(154, parts);
}

/// The witness took a receipt that a clone had signed for one of the phone that it is a clone of.
#[test]
fn a_clone_signs_receipts() {
    let parts = json!({
        "nodes": 8, "gateways": 1, "banks": 1, "minutes": 19, "payments_per_hour": 6,
        "expiry_minutes": 1440, "claim_minutes": 10080, "scope_bits": 0,
        "radio": {
            "villages": 2, "village_m": 50, "range_m": 28, "loss_percent": 20,
            "wifi_percent": 0, "scan_s": 60, "contact_s": 27, "links_max": 3,
        },
        "faults": {}, "adversaries": ["cloned-phone"],
    });
    holds(159, parts);
}

/// The witness took a payment that a wallet keeps beyond the core for one in the core.
#[test]
fn a_wallet_keeps_what_a_restored_bank_forgot() {
    let parts = json!({
        "nodes": 13, "gateways": 2, "banks": 2, "minutes": 30, "payments_per_hour": 6,
        "expiry_minutes": 1440, "claim_minutes": 10080, "scope_bits": 0,
        "radio": {
            "villages": 2, "village_m": 50, "range_m": 47, "loss_percent": 9,
            "wifi_percent": 100, "scan_s": 86, "contact_s": 17, "links_max": 4,
        },
        "faults": { "read-errors": 2, "gateway-crash": 1, "new-phone": 2, "bank-restored": 2 },
        "adversaries": ["colluder", "late-claimer"],
    });
    holds(167, parts);
}

/// The checker took an entry that a device forgot and stored again for one that was new.
#[test]
fn an_own_entry_is_stored_again() {
    let parts = json!({
        "nodes": 13, "gateways": 1, "banks": 1, "minutes": 60, "payments_per_hour": 6,
        "expiry_minutes": 1440, "claim_minutes": 10080, "scope_bits": 0,
        "radio": {
            "villages": 2, "village_m": 50, "range_m": 45, "loss_percent": 24,
            "wifi_percent": 50, "scan_s": 84, "contact_s": 42, "links_max": 3,
        },
        "faults": { "crash": 4, "slow-disk": 1, "clock-jump": 2, "jam": 1, "new-phone": 1 },
        "adversaries": ["cloned-phone", "long-branch", "false-total"],
    });
    holds(207, parts);
}

/// The checker waited for a payment that had gone with both phones that had it.
#[test]
fn both_phones_are_lost() {
    let parts = json!({
        "nodes": 17, "gateways": 2, "banks": 2, "minutes": 45, "payments_per_hour": 6,
        "expiry_minutes": 1440, "claim_minutes": 10080, "scope_bits": 0,
        "radio": {
            "villages": 2, "village_m": 50, "range_m": 31, "loss_percent": 19,
            "wifi_percent": 50, "scan_s": 32, "contact_s": 17, "links_max": 6,
        },
        "faults": { "night": 1, "new-phone": 2 }, "adversaries": [],
    });
    holds(469, parts);
}

/// The witness forgot outcomes that were durable when their bank went down before it answered.
#[test]
fn a_bank_goes_down_before_it_answers() {
    let parts = json!({
        "nodes": 20, "gateways": 2, "banks": 1, "minutes": 45, "payments_per_hour": 6,
        "expiry_minutes": 1440, "claim_minutes": 10080, "scope_bits": 0,
        "radio": {
            "villages": 2, "village_m": 50, "range_m": 29, "loss_percent": 8,
            "wifi_percent": 50, "scan_s": 21, "contact_s": 57, "links_max": 5,
        },
        "faults": {
            "crash": 5, "full-disk": 3, "read-errors": 4, "clock-drift": 2, "jam": 1,
            "gateway-crash": 4, "new-phone": 2,
        },
        "adversaries": ["cloned-phone", "neighbour-breaker"],
    });
    holds(696, parts);
}

/// A device that was to go down in the middle of something went down when the calm ended its links.
#[test]
fn nobody_goes_down_in_the_calm() {
    let parts = json!({
        "nodes": 17, "gateways": 1, "banks": 1, "minutes": 60, "payments_per_hour": 6,
        "expiry_minutes": 30, "claim_minutes": 600, "scope_bits": 0,
        "radio": {
            "villages": 2, "village_m": 50, "range_m": 25, "loss_percent": 22,
            "wifi_percent": 50, "scan_s": 46, "contact_s": 51, "links_max": 5,
        },
        "faults": { "crash": 9, "gateway-crash": 1, "bank-restored": 2 },
        "adversaries": [
            "liar-in-sync", "silent-payee", "liar-in-sync", "stale-checkpoint",
            "withholding-relay",
        ],
    });
    holds(1013, parts);
}
