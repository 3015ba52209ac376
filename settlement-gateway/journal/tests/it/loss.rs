//! The loss rule, clause by clause.

use crate::world::*;
use hundi_journal::account::{Account, Party};
use hundi_journal::bank::{HandleError, Profile};
use hundi_journal::event::Change;
use hundi_journal::input::{GrantTerms, Input, OperationKind};
use hundi_journal::loss::CloseCaseError;
use hundi_journal::output::Verdict;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::receipt::PayeeVerdict::{Accepted, RefusedContradiction};

/// A payer with `limit` and a guarantee, three payees, and a pool of 1,000.
fn village(limit: u64, guarantee: u64) -> (World, Wallet, Log, Vec<Wallet>) {
    let mut world = World::with_profile(Profile { guarantee_per_payee_percent: 100 });
    world.operate(OperationKind::Provision, 1_000).unwrap();
    let payer = world.enrol(customer(1), 1);
    world.fund(customer(1), limit);
    world.grant(&payer, limit, guarantee);
    let payees = (2..5).map(|n| world.enrol(customer(n), n)).collect();
    (world, payer, Log::new(1), payees)
}

fn close(world: &mut World, payer: &Wallet) {
    world.handle(Input::CloseCase { author: payer.key(), denied: vec![] }).unwrap();
}

#[test]
fn below_the_contradiction_is_always_paid_however_late_in_time() {
    let (mut world, payer, mut log, payees) = village(100, 0);
    let below: Vec<Made> = (0..4).map(|_| log.pay(&payer, &payees[0], 15)).collect();
    // Two branches above 60 and, in the second, a longer tail.
    let a = log.clone().pay(&payer, &payees[1], 40);
    let mut branch = log.clone();
    let b = branch.pay(&payer, &payees[2], 25);
    let c = branch.pay(&payer, &payees[2], 15);
    assert!(settled(&world.submit_one(&below[2].item)));
    assert!(settled(&world.submit_one(&b.item)));
    let verdict = world.submit_one(&a.item);
    assert_eq!(outcome_of(&verdict), Some((Outcome::Contested, false, true)), "40 of 15 left");
    let verdict = world.submit_one(&c.item);
    assert_eq!(outcome_of(&verdict), Some((Outcome::Settled, false, true)), "15 of 15 left");
    for made in &below {
        assert!(settled(&world.submit_one(&made.item)), "set aside for it");
    }
    assert_eq!(world.balance_reserve(&payer, 1), 0);
    world.tick_at(CLAIM_UNTIL);
    assert_eq!(world.outcome(&a), Some(Outcome::RejectedUncovered));
    close(&mut world, &payer);
    assert_eq!((world.held(1), world.held(2), world.held(3), world.held(4)), (0, 60, 0, 40));
    world.check();
}

#[test]
fn a_lower_contradiction_only_frees_what_was_set_aside() {
    let (mut world, payer, log, payees) = village(100, 0);
    let mut one = log.clone();
    let first = one.pay(&payer, &payees[0], 30);
    let a = one.clone().pay(&payer, &payees[1], 50);
    let b = one.clone().pay(&payer, &payees[2], 60);
    let low = log.clone().pay(&payer, &payees[2], 20);
    assert!(settled(&world.submit_one(&a.item)));
    assert_eq!(outcome_of(&world.submit_one(&b.item)).unwrap().0, Outcome::Contested);
    // 30 of the 50 left are set aside for the first entry until its sibling shows up.
    assert_eq!(world.balance_reserve(&payer, 1), 50);
    assert!(settled(&world.submit_one(&low.item)), "now the lowest start is 0");
    assert!(settled(&world.submit_one(&first.item)), "and the first takes its turn");
    world.check();
}

#[test]
fn after_claim_until_the_rest_and_the_guarantee_pay_whole_and_provisionally() {
    let (mut world, payer, log, payees) = village(100, 70);
    let made: Vec<Made> = payees.iter().map(|payee| log.clone().pay(&payer, payee, 80)).collect();
    for one in &made {
        world.submit_one(&one.item);
    }
    assert_eq!(world.outcome(&made[0]), Some(Outcome::Settled));
    world.tick_at(CLAIM_UNTIL - 1);
    assert_eq!(world.held(1), 0, "nothing returns before claim-until");
    let early = Input::CloseCase { author: payer.key(), denied: vec![] };
    let error = world.handle(early).unwrap_err();
    assert_eq!(error, HandleError::CloseCase(CloseCaseError::TooEarly(CLAIM_UNTIL)));
    world.tick_at(CLAIM_UNTIL);
    // 20 are left of the reserve and 70 of the guarantee: one of two is paid whole.
    let paid: Vec<&Made> =
        made[1..].iter().filter(|it| world.outcome(it) == Some(Outcome::Contested)).collect();
    assert_eq!(paid.len(), 1, "provisional, and shown as contested");
    let winner = world.bank.entry(&paid[0].id).unwrap().opened.unwrap().payee();
    let party = Party::Customer(world.bank.authors()[&winner.key].customer);
    assert_eq!(world.balance(Account::PendingIn(party)), 80);
    let owed = Account::DoubleSpendReceivable(customer(1));
    assert_eq!(world.balance(owed), -60, "what the bank paid beyond the reserve");
    let checkpoint = world.checkpoint(&payer).unwrap();
    assert_eq!(checkpoint.outcome(0, &paid[0].id), Some(Outcome::Contested));
    let drawn = world.events.iter().filter(|it| matches!(it.change, Change::Drawn { .. }));
    assert_eq!(drawn.count(), 1, "the randomness is in the journal");
    close(&mut world, &payer);
    assert_eq!(world.outcome(paid[0]), Some(Outcome::Settled));
    assert_eq!(world.held(2), 80);
    assert_eq!(world.held(3) + world.held(4), 80);
    world.check();
}

#[test]
fn colluding_payer_and_payees_take_no_more_than_reserve_and_guarantee() {
    for payees_percent in [50, 100] {
        let profile = Profile { guarantee_per_payee_percent: payees_percent };
        let mut world = World::with_profile(profile);
        world.operate(OperationKind::Provision, 40).unwrap();
        let payer = world.enrol(customer(1), 1);
        world.fund(customer(1), 100);
        world.grant(&payer, 100, 40);
        let colluders: Vec<Wallet> = (2..12).map(|n| world.enrol(customer(n), n)).collect();
        let log = Log::new(1);
        for colluder in &colluders {
            for spend in [100, 60, 20, 15] {
                let made = log.clone().pay(&payer, colluder, spend);
                world.submit_one(&made.item);
            }
        }
        world.tick_at(CLAIM_UNTIL);
        close(&mut world, &payer);
        let taken: u64 = (1..12).map(|n| world.held(n)).sum();
        let most_each = 40 * u64::from(payees_percent) / 100;
        assert_eq!(world.held(2), 100 + if taken > 100 { world.held(2) - 100 } else { 0 });
        assert!((3..12).all(|n| world.held(n) <= most_each), "capped per payee");
        assert!(taken <= 140, "{taken}");
        assert!(taken > 100, "the guarantee paid somebody");
        world.check();
    }
}

#[test]
fn no_guarantee_for_who_knew_who_is_linked_or_who_refused() {
    let (mut world, payer, log, payees) = village(100, 100);
    // The payer's own second key, a linked customer, a payee that knew, one that refused.
    let own = world.enrol(customer(1), 9);
    world.handle(Input::Link { a: customer(1), b: customer(3) }).unwrap();
    let knew = world.enrol(customer(5), 5);
    let refuses = world.enrol(customer(6), 6);
    let honest = world.enrol(customer(7), 7);
    let pay = |payee: &Wallet, spend| log.clone().pay(&payer, payee, spend);
    let first = pay(&payees[0], 100);
    let to_own = pay(&own, 10);
    let to_linked = pay(&payees[1], 10);
    let to_knowing = pay(&knew, 10);
    let to_refusing = pay(&refuses, 10);
    let to_honest = pay(&honest, 10);
    for made in [&first, &to_own, &to_linked, &to_knowing, &to_refusing, &to_honest] {
        world.submit_one(&made.item);
    }
    let epoch = world.bank.authors()[&payer.key()].freeze.unwrap().epoch;
    let receipts = [
        receipt(&honest, &to_honest, Accepted, epoch - 1),
        receipt(&knew, &to_knowing, Accepted, epoch),
        receipt(&refuses, &to_refusing, RefusedContradiction, 0),
    ];
    for receipt in &receipts {
        assert!(matches!(world.submit_one(receipt), Verdict::Taken { .. }));
    }
    world.tick_at(CLAIM_UNTIL);
    close(&mut world, &payer);
    assert_eq!(world.outcome(&first), Some(Outcome::Settled));
    assert_eq!(world.outcome(&to_own), Some(Outcome::RejectedUncovered));
    assert_eq!(world.outcome(&to_linked), Some(Outcome::RejectedUncovered));
    assert_eq!(world.outcome(&to_knowing), Some(Outcome::RejectedFrozen));
    assert_eq!(world.outcome(&to_refusing), Some(Outcome::RejectedRefused));
    assert_eq!(world.outcome(&to_honest), Some(Outcome::Settled));
    world.check();
}

#[test]
fn one_guarantee_for_all_grants_of_a_customer_and_never_above_the_pool() {
    let mut world = World::with_profile(Profile { guarantee_per_payee_percent: 100 });
    world.operate(OperationKind::Provision, 90).unwrap();
    let payers = [world.enrol(customer(1), 1), world.enrol(customer(1), 11)];
    let payees = [world.enrol(customer(2), 2), world.enrol(customer(3), 3)];
    world.fund(customer(1), 200);
    world.fund(customer(2), 100);
    for payer in &payers {
        world.grant(payer, 100, 50);
    }
    // Another customer's guarantee would lift the open ones above the pool.
    let terms = GrantTerms { guarantee: amount(41), ..GrantTerms::prefunded(amount(100)) };
    let more = Input::IssueGrant { author: payees[0].key(), terms };
    assert!(world.handle(more).is_err());
    for payer in &payers {
        let log = Log::new(1);
        world.submit_one(&log.clone().pay(payer, &payees[0], 100).item);
        world.submit_one(&log.clone().pay(payer, &payees[1], 40).item);
    }
    world.tick_at(CLAIM_UNTIL);
    for payer in &payers {
        close(&mut world, payer);
    }
    assert_eq!(world.held(3), 40, "50 once, not 50 for each grant");
    world.check();
}

#[test]
fn one_payee_gets_its_share_of_a_customers_guarantee_once_over_all_its_devices() {
    let mut world = World::with_profile(Profile { guarantee_per_payee_percent: 50 });
    world.operate(OperationKind::Provision, 200).unwrap();
    let payers = [world.enrol(customer(1), 1), world.enrol(customer(1), 11)];
    let payees = [world.enrol(customer(2), 2), world.enrol(customer(3), 3)];
    world.fund(customer(1), 200);
    for payer in &payers {
        world.grant(payer, 100, 100);
        let log = Log::new(1);
        world.submit_one(&log.clone().pay(payer, &payees[0], 100).item);
        world.submit_one(&log.clone().pay(payer, &payees[1], 40).item);
    }
    world.tick_at(CLAIM_UNTIL);
    for payer in &payers {
        close(&mut world, payer);
    }
    assert_eq!(world.held(3), 40, "half of the guarantee is 50: one of its two claims fits");
    world.check();
}

#[test]
fn a_review_can_decide_against_a_payee() {
    let (mut world, payer, log, payees) = village(100, 50);
    let first = log.clone().pay(&payer, &payees[0], 70);
    let second = log.clone().pay(&payer, &payees[1], 60);
    world.submit(&[&first.item, &second.item]);
    world.tick_at(CLAIM_UNTIL);
    let denied = vec![first.id];
    let error = world.handle(Input::CloseCase { author: payer.key(), denied }).unwrap_err();
    assert_eq!(error, HandleError::CloseCase(CloseCaseError::NotProvisional(first.id)));
    let denied = vec![second.id];
    world.handle(Input::CloseCase { author: payer.key(), denied }).unwrap();
    assert_eq!(world.outcome(&second), Some(Outcome::RejectedUncovered));
    assert_eq!((world.held(1), world.held(2), world.held(3)), (30, 70, 0));
    assert_eq!(world.balance(Account::DoubleSpendReceivable(customer(1))), 0);
    let again = Input::CloseCase { author: payer.key(), denied: vec![] };
    let error = world.handle(again).unwrap_err();
    assert_eq!(error, HandleError::CloseCase(CloseCaseError::NotOpen));
    world.check();
}

#[test]
fn a_refusal_takes_a_provisional_payment_back() {
    let (mut world, payer, log, payees) = village(100, 50);
    let first = log.clone().pay(&payer, &payees[0], 70);
    let second = log.clone().pay(&payer, &payees[1], 60);
    world.submit(&[&first.item, &second.item]);
    world.tick_at(CLAIM_UNTIL);
    assert_eq!(world.outcome(&second), Some(Outcome::Contested));
    world.submit_one(&receipt(&payees[1], &second, RefusedContradiction, 0));
    assert_eq!(world.outcome(&second), Some(Outcome::RejectedRefused));
    assert_eq!(world.balance(Account::DoubleSpendReceivable(customer(1))), 0);
    close(&mut world, &payer);
    assert_eq!((world.held(1), world.held(2), world.held(3)), (30, 70, 0));
    world.check();
}

#[test]
fn a_frozen_author_gets_no_grant_and_no_early_return() {
    let (mut world, payer, log, payees) = village(100, 0);
    let a = log.clone().pay(&payer, &payees[0], 10);
    let mut branch = log.clone();
    let b = branch.pay(&payer, &payees[1], 20);
    let ending = branch.close(&payer);
    world.submit(&[&a.item, &b.item, &ending.item]);
    assert_eq!(world.held(1), 0, "a close under a contradiction returns nothing");
    world.fund(customer(1), 10);
    let terms = GrantTerms::prefunded(amount(10));
    assert!(world.handle(Input::IssueGrant { author: payer.key(), terms }).is_err());
    world.tick_at(CLAIM_UNTIL);
    assert_eq!(world.held(1), 10);
    close(&mut world, &payer);
    assert_eq!(world.held(1), 80);
    world.check();
}

#[test]
fn a_contradiction_gets_the_proof_and_never_the_other_payees_outcome() {
    let (mut world, payer, log, payees) = village(100, 0);
    let a = log.clone().pay(&payer, &payees[0], 90);
    let b = log.clone().pay(&payer, &payees[1], 80);
    assert_eq!(outcome_of(&world.submit_one(&a.item)), Some((Outcome::Settled, false, false)));
    let verdict = world.submit_one(&b.item);
    assert_eq!(outcome_of(&verdict), Some((Outcome::Contested, false, true)));
    for _ in 0..2 {
        let again = world.submit_one(&b.item);
        assert_eq!(outcome_of(&again), Some((Outcome::Contested, true, true)));
        let again = world.submit_one(&a.item);
        assert_eq!(outcome_of(&again), Some((Outcome::Settled, true, true)));
    }
    world.check();
}

#[test]
fn a_flood_of_contradictions_is_bounded_and_spares_what_is_below() {
    let (mut world, payer, mut log, payees) = village(10_000, 0);
    let below = log.pay(&payer, &payees[0], 10);
    let flood: Vec<Made> =
        (1..1_100).map(|spend| log.clone().pay(&payer, &payees[1], spend)).collect();
    let items: Vec<&[u8]> = flood.iter().map(|made| &made.item[..]).collect();
    let verdicts = world.submit(&items);
    let refused = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Later(_))).count();
    assert!(refused >= 50, "{refused}");
    assert!(settled(&world.submit_one(&below.item)));
    let checkpoint = world.checkpoint(&payer).unwrap();
    assert_eq!(checkpoint.names.len(), 512);
    assert_eq!(checkpoint.undecided_from(), 2);
    assert_eq!(checkpoint.carry_to, 63, "not raised while the names are full");
    world.check();
}

/// The order after claim-until is nobody's to choose: it comes from randomness drawn then.
#[test]
fn the_order_of_the_guarantee_is_drawn_after_claim_until() {
    let mut first_paid = std::collections::BTreeSet::new();
    for run in 0..16 {
        let (mut world, payer, log, payees) = village(100, 10);
        // As many calls more as the run says, and every call has randomness of its own.
        for _ in 0..run {
            world.handle(Input::Tick).unwrap();
        }
        let whole = log.clone().pay(&payer, &payees[0], 100);
        let made: Vec<Made> =
            payees[1..].iter().map(|payee| log.clone().pay(&payer, payee, 10)).collect();
        for one in [&whole, &made[0], &made[1]] {
            world.submit_one(&one.item);
        }
        let drawn = |world: &World| {
            let of = |change: &Change| matches!(change, Change::Drawn { .. });
            world.events.iter().position(|event| of(&event.change))
        };
        world.tick_at(CLAIM_UNTIL - 1);
        assert_eq!(drawn(&world), None, "nobody can know the order before");
        world.tick_at(CLAIM_UNTIL);
        let drawn = drawn(&world).unwrap();
        let paid = |change: &Change| matches!(change, Change::PaidProvisionally { .. });
        let paid: Vec<usize> =
            (0..world.events.len()).filter(|at| paid(&world.events[*at].change)).collect();
        assert_eq!(paid.len(), 1, "10 are there for one of two");
        assert!(drawn < paid[0], "in the journal before anything follows from it");
        let Change::PaidProvisionally { entry, .. } = world.events[paid[0]].change else {
            unreachable!()
        };
        first_paid.insert(made.iter().position(|one| one.id == entry).unwrap());
        world.check();
    }
    assert_eq!(first_paid.len(), 2, "either may come first");
}

/// A payee that accepted two headers which contradict each other held the contradiction itself.
#[test]
fn no_guarantee_for_who_accepted_both_branches() {
    let (mut world, payer, log, payees) = village(100, 100);
    let whole = log.clone().pay(&payer, &payees[0], 100);
    let pay = |payee: &Wallet, spend| log.clone().pay(&payer, payee, spend);
    let (one, two) = (pay(&payees[1], 10), pay(&payees[1], 20));
    let honest = pay(&payees[2], 30);
    for made in [&whole, &one, &two, &honest] {
        world.submit_one(&made.item);
    }
    for (payee, made) in [(1, &one), (1, &two), (2, &honest)] {
        let receipt = receipt(&payees[payee], made, Accepted, 0);
        assert!(matches!(world.submit_one(&receipt), Verdict::Taken { .. }));
    }
    world.tick_at(CLAIM_UNTIL);
    close(&mut world, &payer);
    assert_eq!(world.outcome(&honest), Some(Outcome::Settled));
    for made in [&one, &two] {
        assert_eq!(world.outcome(made), Some(Outcome::RejectedUncovered));
    }
    assert_eq!((world.held(2), world.held(3), world.held(4)), (100, 0, 30));
    world.check();
}

#[test]
fn a_second_acceptance_takes_back_what_the_guarantee_paid_for_the_first() {
    for late in [0, 1] {
        let (mut world, payer, log, payees) = village(100, 100);
        let whole = log.clone().pay(&payer, &payees[0], 100);
        let pay = |spend| log.clone().pay(&payer, &payees[1], spend);
        let both = [pay(10), pay(20)];
        for made in [&whole, &both[0], &both[1]] {
            world.submit_one(&made.item);
        }
        world.submit_one(&receipt(&payees[1], &both[1 - late], Accepted, 0));
        world.tick_at(CLAIM_UNTIL);
        world.submit_one(&receipt(&payees[1], &both[late], Accepted, 0));
        close(&mut world, &payer);
        for made in &both {
            assert_eq!(world.outcome(made), Some(Outcome::RejectedUncovered), "late {late}");
        }
        assert_eq!((world.held(2), world.held(3)), (100, 0));
        world.check();
    }
}
