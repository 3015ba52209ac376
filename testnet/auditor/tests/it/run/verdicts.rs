//! The rest of the loss rule: claims that come too late, refusals, bodies that say nothing, refunds,
//! closes and bearer grants.

use super::making::{self, Draft, Made, Terms};
use super::world::{CLAIM_UNTIL, Person, World, good_day, terms, village};
use super::{breaks, holds};
use hundi_auditor::facts::{Account, Arrival};
use hundi_auditor::run::Invariant::{ExactlyOnce, LossRule};

#[test]
fn what_comes_after_claim_until_is_not_paid() {
    let (mut world, mut people) = village();
    let [payer, first, _] = &mut people;
    let made = world.pay(payer, first, 100);
    world.clock_s = CLAIM_UNTIL + 1;
    world.through(&made, payer, first, 100);
    breaks(&world.facts(), LossRule, "reached the bank after claim-until");
}

#[test]
fn nobody_is_paid_in_anothers_place() {
    let (mut world, mut people) = village();
    let [payer, first, second] = &mut people;
    let made = world.pay(payer, first, 100);
    world.through(&made, payer, second, 100);
    breaks(&world.facts(), LossRule, "of 100 paid 0 went to the payee");
}

#[test]
fn whoever_refuses_or_knew_is_not_paid() {
    let (mut world, mut people) = village();
    let [payer, first, _] = &mut people;
    let made = world.pay(payer, first, 100);
    world.freeze(payer);
    world.tell(first, &made, 0, 1);
    world.through(&made, payer, first, 100);
    // It held the freezes of the epoch before.
    holds(&world.facts());
    let made = world.pay(payer, first, 100);
    world.arrive(&made.bytes);
    let receipt = |world: &mut World, made: &Made, verdict, epoch| {
        // The receipt has to come first, to be known at the decision.
        let arrival = world.bank().arrivals.pop();
        world.tell(first, made, verdict, epoch);
        world.bank().arrivals.extend(arrival);
    };
    receipt(&mut world, &made, 0, 2);
    holds(&world.facts());
    world.settle(&made, payer, first, 100);
    breaks(&world.facts(), LossRule, "the payee knew");

    // Epoch 0 in a receipt is no epoch.
    let (mut world, mut people) = village();
    let [payer, first, _] = &mut people;
    let made = world.pay(payer, first, 100);
    world.freeze_at(payer, 0);
    world.tell(first, &made, 0, 0);
    world.through(&made, payer, first, 100);
    holds(&world.facts());

    let (mut world, mut people) = village();
    let [payer, first, _] = &mut people;
    let made = world.pay(payer, first, 100);
    world.tell(first, &made, 7, 0);
    world.through(&made, payer, first, 100);
    breaks(&world.facts(), LossRule, "refused it with a signature");
}

/// What cannot be opened may be, by a receipt, until long after the end of claims; what says nothing
/// never will say anything.
#[test]
fn not_opened_is_no_verdict_for_a_week() {
    let (mut world, people) = village();
    let [payer, first, _] = &people;
    let (network, sealing) = (world.network, world.bank_sealing);
    let (draft, pay) = (payer.next(1, 100), making::payment(first.author()));
    let made = making::entry(&network, &payer.keys, &sealing, &draft, &pay, Some([3; 32]));
    world.note(&made);
    world.arrive(&made.bytes);
    let week = CLAIM_UNTIL + 7 * 24 * 3600;
    world.clock_s = week - 1;
    world.answer(&made, Some(19), 0, true);
    breaks(&world.facts(), LossRule, "outcome 19");
    world.bank().answers.last_mut().unwrap().clock_s = week;
    holds(&world.facts());

    let (mut world, people) = village();
    let [payer, first, _] = &people;
    // It fits its key, with nobody named, and ends early.
    let made = world.sign(&payer.keys, &payer.next(1, 100), &[0; 34]);
    world.arrive(&made.bytes);
    world.answer(&made, Some(19), 0, true);
    holds(&world.facts());
    world.bank().answers.pop();
    world.settle(&made, payer, first, 100);
    breaks(&world.facts(), LossRule, "its body says nothing");
}

#[test]
fn an_unknown_kind_and_a_sealed_body_move_nothing() {
    let (mut world, people) = village();
    let [payer, first, _] = &people;
    let draft = Draft { kind: 9, ..payer.next(1, 100) };
    let made = world.sign(&payer.keys, &draft, &making::payment(first.author()));
    world.through(&made, payer, first, 100);
    breaks(&world.facts(), LossRule, "a kind that no bank knows");

    let (mut world, people) = village();
    let [payer, first, _] = &people;
    let (network, sealing) = (world.network, world.bank_sealing);
    let (draft, pay) = (payer.next(1, 100), making::payment(first.author()));
    let made = making::entry(&network, &payer.keys, &sealing, &draft, &pay, Some([3; 32]));
    world.note(&made);
    world.through(&made, payer, first, 100);
    breaks(&world.facts(), LossRule, "nobody could open its body");
}

/// A refund out of the balance of who signs it, as the bank books it; none claims of a grant.
fn refunded(world: &mut World, by: &mut Person, to: &Person, original: &Made, sum: u64) -> Made {
    let draft = Draft { kind: 2, serial: 0, ..by.next(0, 0) };
    let plaintext = making::refund(to.author(), &original.id, sum);
    let made = world.sign(&by.keys, &draft, &plaintext);
    by.follow(&draft, &made);
    world.arrive(&made.bytes);
    let sum = sum as i64;
    let moved = [(Account::Customer(by.customer), -sum), (Account::Customer(to.customer), sum)];
    world.post(Some(made.id), &moved);
    world.answer(&made, Some(0), 0, true);
    made
}

#[test]
fn a_refund_that_is_refused_goes_back() {
    let (mut world, mut people, made) = good_day();
    let [payer, first, _] = &mut people;
    let refund = refunded(&mut world, first, payer, &made[0], 60);
    world.tell(payer, &refund, 7, 0);
    let (from, to) = (Account::Customer(payer.customer), Account::Customer(first.customer));
    world.post(Some(refund.id), &[(from, -60), (to, 60)]);
    world.answer(&refund, Some(2), 0, true);
    holds(&world.facts());
    // Twice out of one balance is once too often.
    world.bank().transactions.pop();
    world.post(Some(refund.id), &[(to, -40), (from, 40)]);
    breaks(&world.facts(), ExactlyOnce, "paid 100 of a promise of 60");
}

#[test]
fn refunds_stay_with_their_original() {
    let (mut world, mut people, made) = good_day();
    let [payer, first, _] = &mut people;
    refunded(&mut world, first, payer, &made[0], 60);
    holds(&world.facts());
    refunded(&mut world, first, payer, &made[0], 20);
    breaks(&world.facts(), LossRule, "its original was returned before");

    let (mut world, mut people, made) = good_day();
    let [payer, _, second] = &mut people;
    refunded(&mut world, second, payer, &made[0], 50);
    breaks(&world.facts(), LossRule, "beside its original");

    let (mut world, people, made) = good_day();
    let [_, mut first, second] = people;
    refunded(&mut world, &mut first, &second, &made[0], 60);
    breaks(&world.facts(), LossRule, "beside its original");

    let (mut world, mut people, made) = good_day();
    let [payer, _, second] = &mut people;
    // It has more than it was paid here.
    let more = [(Account::Nostro, -10), (Account::Customer(second.customer), 10)];
    world.post(None, &more);
    refunded(&mut world, second, payer, &made[1], 51);
    breaks(&world.facts(), LossRule, "above its original");
}

#[test]
fn a_reserve_returns_by_its_close_only() {
    let release = |world: &mut World, payer: &Person, amount: i64| {
        let reserve = Account::Reserve { author: payer.author(), serial: 1 };
        world.post(None, &[(reserve, -amount), (Account::Customer(payer.customer), amount)]);
    };
    let (mut world, mut people, _) = good_day();
    release(&mut world, &people[0], 850);
    breaks(&world.facts(), LossRule, "it was not closed");
    world.bank().transactions.pop();
    // Promised, and on its way as the close comes.
    let [payer, first, _] = &mut people;
    let late = world.pay(payer, first, 30);
    let draft = Draft { kind: 4, amount: 0, ..payer.next(1, 0) };
    let close = world.sign(&payer.keys, &draft, &[]);
    world.arrive(&close.bytes);
    release(&mut world, payer, 820);
    holds(&world.facts());
    // Not before the bank has it.
    let close = world.bank().arrivals.pop().unwrap();
    world.bank().arrivals.push(Arrival { step: u64::MAX, ..close.clone() });
    breaks(&world.facts(), LossRule, "before its close came");
    *world.bank().arrivals.last_mut().unwrap() = close;
    world.through(&late, payer, first, 30);
    holds(&world.facts());
    let (mut world, mut people, _) = good_day();
    let [payer, first, _] = &mut people;
    world.pay(payer, first, 30);
    let draft = Draft { kind: 4, amount: 0, ..payer.next(1, 0) };
    let close = world.sign(&payer.keys, &draft, &[]);
    world.arrive(&close.bytes);
    release(&mut world, payer, 821);
    breaks(&world.facts(), LossRule, "less than was promised");
    // After the end of claims everything returns.
    let (mut world, people, _) = good_day();
    world.clock_s = CLAIM_UNTIL;
    release(&mut world, &people[0], 850);
    holds(&world.facts());
}

#[test]
fn a_bearer_grant_has_no_guarantee_and_returns_late() {
    let mut world = World::new();
    let people = [11, 12, 13].map(|number| world.person(number));
    let [payer, first, second] = &people;
    world.grant(payer, &Terms { flags: 1, ..terms(1, 1_000, 0) });
    world.facts.honest.remove(&payer.author());
    let draft = payer.next(1, 1_000);
    let made = [first, second]
        .map(|payee| world.sign(&payer.keys, &draft, &making::payment(payee.author())));
    world.through(&made[0], payer, first, 1_000);
    world.arrive(&made[1].bytes);
    // The first wins, and nobody has to wait for that.
    world.answer(&made[1], Some(16), 0, true);
    world.freeze(payer);
    holds(&world.facts());
    // No guarantee is ever paid.
    world.bank().answers.pop();
    world.clock_s = CLAIM_UNTIL + 1;
    let moved = [
        (Account::Nostro, -1_000),
        (Account::Reserve { author: payer.author(), serial: 1 }, 1_000),
    ];
    world.post(None, &moved);
    let moved = [
        (Account::Reserve { author: payer.author(), serial: 1 }, -1_000),
        (Account::PendingIn(second.customer), 1_000),
    ];
    world.post(Some(made[1].id), &moved);
    world.answer(&made[1], Some(0), 1_000, true);
    let found = hundi_auditor::run::judge(&world.facts()).unwrap();
    assert!(found.iter().any(|it| it.what.contains("under a bearer grant")), "{found:?}");

    let mut world = World::new();
    let payer = world.person(11);
    world.grant(&payer, &Terms { flags: 1, ..terms(1, 1_000, 0) });
    let reserve = Account::Reserve { author: payer.author(), serial: 1 };
    world.post(None, &[(reserve, -50), (Account::Customer(payer.customer), 50)]);
    breaks(&world.facts(), LossRule, "of a bearer grant");
}
