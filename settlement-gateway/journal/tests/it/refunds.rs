//! Refunds in both forms: once, never above the original, only to its payer.

use crate::world::*;
use hundi_journal::input::OperationKind;
use hundi_journal::output::{Verdict, Wants};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::receipt::PayeeVerdict::RefusedDeclined;

struct Shop {
    world: World,
    payer: Wallet,
    log: Log,
    shop: Wallet,
    shop_log: Log,
}

/// A payer with 100 under a grant; a shop with 100 under one.
fn shop() -> Shop {
    let mut world = World::new();
    let (payer, log) = world.payer(1, 100);
    let (shop, shop_log) = world.payer(2, 100);
    Shop { world, payer, log, shop, shop_log }
}

#[test]
fn both_forms_return_what_was_paid() {
    for spends in [false, true] {
        let Shop { mut world, payer, mut log, shop, mut shop_log } = shop();
        let original = log.pay(&payer, &shop, 30);
        let refund = shop_log.refund(&shop, &payer, original.id, 20, spends);
        assert!(world.submit(&[&original.item, &refund.item]).iter().all(settled));
        let expected = if spends { (20, 30) } else { (20, 10) };
        assert_eq!((world.held(1), world.held(2)), expected);
        assert_eq!(world.checkpoint(&shop).unwrap().frontier.unwrap().hash, refund.id);
        world.check();
    }
}

#[test]
fn at_most_once_never_above_and_only_to_its_payer() {
    for spends in [false, true] {
        let Shop { mut world, payer, mut log, shop, mut shop_log } = shop();
        let third = world.enrol(customer(3), 3);
        let original = log.pay(&payer, &shop, 30);
        let elsewhere = log.pay(&payer, &third, 5);
        world.submit(&[&original.item, &elsewhere.item]);
        let mut bad = vec![
            shop_log.refund(&shop, &payer, original.id, 31, spends),
            shop_log.refund(&shop, &third, original.id, 10, spends),
            shop_log.refund(&shop, &payer, elsewhere.id, 5, spends),
        ];
        if !spends {
            bad.push(shop_log.refund(&shop, &payer, original.id, 0, false));
        }
        for refund in &bad {
            let verdict = world.submit_one(&refund.item);
            assert_eq!(outcome_of(&verdict), Some((Outcome::RejectedRefund, false, false)));
        }
        let good = shop_log.refund(&shop, &payer, original.id, 10, spends);
        let again = shop_log.refund(&shop, &payer, original.id, 10, !spends);
        assert!(settled(&world.submit_one(&good.item)));
        let verdict = world.submit_one(&again.item);
        assert_eq!(outcome_of(&verdict), Some((Outcome::RejectedRefund, false, false)));
        // A refund of a refund is none.
        let circle = log.refund(&payer, &shop, good.id, 10, spends);
        let verdict = world.submit_one(&circle.item);
        assert_eq!(outcome_of(&verdict), Some((Outcome::RejectedRefund, false, false)));
        world.check();
    }
}

#[test]
fn a_refund_before_its_original_waits_for_it() {
    for spends in [false, true] {
        let Shop { mut world, payer, mut log, shop, mut shop_log } = shop();
        let original = log.pay(&payer, &shop, 30);
        let refund = shop_log.refund(&shop, &payer, original.id, 30, spends);
        let verdict = world.submit_one(&refund.item);
        let wants = Verdict::Held { entry: refund.id, wants: Wants::Original, duplicate: false };
        assert_eq!(verdict, wants);
        assert!(settled(&world.submit_one(&original.item)));
        assert_eq!(world.outcome(&refund), Some(Outcome::Settled));
        assert_eq!(world.held(1), 30);
        world.check();
    }
}

#[test]
fn a_refund_without_original_lapses() {
    for spends in [false, true] {
        let Shop { mut world, payer, mut log, shop, mut shop_log } = shop();
        let original = log.pay(&payer, &shop, 30);
        let refund = shop_log.refund(&shop, &payer, original.id, 30, spends);
        world.submit_one(&refund.item);
        world.tick_at(CLAIM_UNTIL + DAY);
        assert_eq!(world.outcome(&refund), Some(Outcome::RejectedRefund));
        world.tick_at(CLAIM_UNTIL + 8 * DAY);
        assert_eq!((world.held(1), world.held(2)), (100, 100), "all reserves returned");
        world.check();
    }
}

#[test]
fn a_refund_out_of_the_balance_waits_for_it() {
    let Shop { mut world, payer, mut log, shop, mut shop_log } = shop();
    let original = log.pay(&payer, &shop, 30);
    world.submit_one(&original.item);
    world.operate(OperationKind::Withdraw(customer(2)), 30).unwrap();
    let refund = shop_log.refund(&shop, &payer, original.id, 30, false);
    assert!(matches!(world.submit_one(&refund.item), Verdict::Held { .. }));
    world.fund(customer(2), 29);
    assert_eq!(world.outcome(&refund), None);
    world.fund(customer(2), 1);
    assert_eq!(world.outcome(&refund), Some(Outcome::Settled));
    assert_eq!((world.held(1), world.held(2)), (30, 0));
    world.check();
}

#[test]
fn a_pure_merchant_refunds_under_its_enrolment_grant() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let merchant = world.enrol(customer(2), 2);
    let original = log.pay(&payer, &merchant, 30);
    world.submit_one(&original.item);
    let mut merchant_log = Log::new(0);
    let refund = merchant_log.refund(&merchant, &payer, original.id, 12, false);
    assert!(settled(&world.submit_one(&refund.item)));
    assert_eq!((world.held(1), world.held(2)), (12, 18));
    world.check();
}

#[test]
fn refund_and_refusal_together_return_no_more_than_was_paid() {
    for refusal_first in [false, true] {
        let Shop { mut world, payer, mut log, shop, mut shop_log } = shop();
        let original = log.pay(&payer, &shop, 30);
        world.submit_one(&original.item);
        let refund = shop_log.refund(&shop, &payer, original.id, 20, false);
        let refusal = receipt(&shop, &original, RefusedDeclined, 0);
        let mut items = [&refund.item, &refusal];
        if refusal_first {
            items.reverse();
        }
        for item in items {
            world.submit_one(item);
        }
        assert_eq!((world.held(1), world.held(2)), (30, 0));
        assert_eq!(world.outcome(&original), Some(Outcome::Returned));
        world.check();
    }
}
