//! Bounds and batches: what waits, what repeats, what comes too late to matter.

use crate::world::*;
use hundi_journal::output::{Later, Rejected, Verdict, Wants};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::receipt::PayeeVerdict::{self, Accepted};

#[test]
fn what_may_wait_is_bounded_per_author() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 10_000);
    let payee = world.enrol(customer(2), 2);
    let made: Vec<Made> = (0..257).map(|_| log.pay_unopenable(&payer, &payee, 1)).collect();
    let items: Vec<&[u8]> = made.iter().map(|made| &made.item[..]).collect();
    let verdicts = world.submit(&items);
    assert!(verdicts[..256].iter().all(|verdict| matches!(verdict, Verdict::Held { .. })));
    assert_eq!(verdicts[256], Verdict::Later(Later::Capacity { proof: None }));
    assert!(settled(&world.submit_one(&log.pay(&payer, &payee, 1).item)), "what opens is taken");
    assert!(settled(&world.submit_one(&log.close(&payer).item)));
    world.submit_one(&receipt(&payee, &made[0], Accepted, 0));
    assert!(matches!(world.submit_one(&made[256].item), Verdict::Held { .. }), "later it fits");
    world.check();
}

#[test]
fn a_contradiction_after_claim_until_takes_nothing_from_who_came_in_time() {
    let mut world = World::new();
    let (payer, log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    let made = log.clone().pay_unopenable(&payer, &payee, 60);
    let late = log.clone().pay(&payer, &payer, 70);
    world.submit_one(&made.item);
    world.tick_at(CLAIM_UNTIL);
    let verdict = world.submit_one(&late.item);
    assert_eq!(outcome_of(&verdict), Some((Outcome::RejectedLate, false, true)));
    world.submit_one(&receipt(&payee, &made, Accepted, 0));
    assert_eq!(world.outcome(&made), Some(Outcome::Settled));
    world.tick_at(CLAIM_UNTIL + 7 * DAY);
    assert_eq!((world.held(1), world.held(2)), (40, 60));
    world.check();
}

#[test]
fn the_same_bytes_twice_in_one_batch_are_one_entry() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    let made = log.pay(&payer, &payee, 10);
    let mut forged = made.item.clone();
    forged[99] ^= 2;
    let verdicts = world.submit(&[&forged, &made.item, &forged, &made.item]);
    assert_eq!(verdicts[0], Verdict::Rejected(Rejected::Signature));
    assert_eq!(verdicts[2], Verdict::Rejected(Rejected::Signature));
    assert_eq!(outcome_of(&verdicts[1]), Some((Outcome::Settled, false, false)));
    assert_eq!(outcome_of(&verdicts[3]), Some((Outcome::Settled, true, false)));
    assert_eq!(world.held(2), 10);
    world.check();
}

#[test]
fn the_bank_agrees_once_with_each_author() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let (other, mut other_log) = world.payer(2, 100);
    let before = world.bank.agreements();
    for _ in 0..3 {
        assert!(settled(&world.submit_one(&log.pay(&payer, &other, 1).item)));
        let (a, b) = (log.pay(&payer, &other, 1), other_log.pay(&other, &payer, 1));
        assert!(world.submit(&[&a.item, &b.item]).iter().all(settled));
        // The payee's receipt is sealed under the same secret.
        let taken = world.submit_one(&receipt(&other, &a, PayeeVerdict::Accepted, 0));
        assert!(matches!(taken, Verdict::Taken { .. }), "{taken:?}");
    }
    assert_eq!(world.bank.agreements() - before, 2);
}

/// A secret that is remembered is of no use without the key that it was agreed with.
#[test]
fn a_sealing_key_that_is_gone_opens_nothing() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    assert!(settled(&world.submit_one(&log.pay(&payer, &payee, 1).item)));
    let sealing = core::mem::take(&mut world.keys.sealing);
    let verdict = world.submit_one(&log.pay(&payer, &payee, 1).item);
    assert!(matches!(verdict, Verdict::Held { wants: Wants::Disclosure, .. }), "{verdict:?}");
    world.keys.sealing = sealing;
    assert!(settled(&world.submit_one(&log.pay(&payer, &payee, 1).item)));
    world.check();
}
