//! I3, I4 and I5, and what a bank signs.

use super::making::{self, Said};
use super::world::{CLAIM_UNTIL, good_day, terms, village};
use super::{breaks, holds};
use hundi_auditor::facts::{Account, Draw};
use hundi_auditor::run::Invariant::{BankRecords, Conservation, ExactlyOnce, Solvency};

#[test]
fn more_settled_than_the_limit() {
    let (mut world, mut people) = village();
    let [payer, first, second] = &mut people;
    world.facts.honest.remove(&payer.author());
    let (author, serial) = (payer.author(), 1);
    // The bank funds more than it granted, so that nothing is overdrawn.
    let funds = [(Account::Nostro, -500), (Account::Reserve { author, serial }, 500)];
    world.post(None, &funds);
    let made = [world.pay(payer, first, 600), world.pay(payer, second, 400)];
    world.through(&made[0], payer, first, 600);
    world.through(&made[1], payer, second, 400);
    holds(&world.facts());
    let beyond = world.pay(payer, second, 1);
    world.through(&beyond, payer, second, 1);
    breaks(&world.facts(), Solvency, "settled 1001 out of serial 1 with limit 1000");
}

/// Two keys of one customer share the guarantee, whichever of them cheats.
#[test]
fn more_than_one_guarantee_for_a_customer() {
    let (mut world, people) = village();
    let mut other = world.person(14);
    world.bank().holders.last_mut().unwrap().customer = people[0].customer;
    other.customer = people[0].customer;
    world.grant(&other, &terms(1, 1_000, 500));
    let [payer, first, second] = &people;
    for cheat in [payer, &other] {
        world.facts.honest.remove(&cheat.author());
    }
    // Each promises everything to somebody who is paid at once, and 250 to two others.
    let (mut contested, third) = (Vec::new(), world.person(15));
    for cheat in [payer, &other] {
        let all = world.sign(&cheat.keys, &cheat.next(1, 1_000), &making::payment(third.author()));
        world.through(&all, cheat, &third, 1_000);
        for payee in [first, second] {
            let draft = cheat.next(1, 250);
            let made = world.sign(&cheat.keys, &draft, &making::payment(payee.author()));
            world.arrive(&made.bytes);
            world.answer(&made, Some(1), 0, false);
            contested.push((made, payee.customer));
        }
        world.freeze(cheat);
    }
    world.clock_s = CLAIM_UNTIL + 1;
    for author in [payer.author(), other.author()] {
        let (step, clock_s) = (world.tick(), world.clock_s);
        world.bank().draws.push(Draw { author, clock_s, step });
    }
    let customer = payer.customer;
    let pay = |world: &mut super::world::World, at: usize, amount: i64| {
        let (made, payee) = &contested[at];
        let moved = [
            (Account::DoubleSpendReceivable(customer), -amount),
            (Account::PendingIn(*payee), amount),
        ];
        world.post(Some(made.id), &moved);
        world.answer(made, Some(0), 250, true);
    };
    // One payee is paid under one key, the other under the other: all of the shared 500.
    pay(&mut world, 0, 250);
    pay(&mut world, 3, 250);
    holds(&world.facts());
    pay(&mut world, 1, 250);
    breaks(&world.facts(), Solvency, "paid 750 beyond reserves with guarantee 500");
}

#[test]
fn a_transaction_that_does_not_balance() {
    let (mut world, _, _) = good_day();
    world.post(None, &[(Account::Nostro, -10), (Account::Customer(12), 11)]);
    breaks(&world.facts(), Conservation, "does not balance");
}

#[test]
fn a_balance_that_its_postings_do_not_have() {
    let (mut world, _, _) = good_day();
    let mut facts = world.facts();
    facts.banks[0].balances[0].amount += 1;
    breaks(&facts, Conservation, "stated -1 below its postings");
    let mut facts = world.facts();
    facts.banks[0].balances.pop();
    breaks(&facts, Conservation, "below its postings");
}

#[test]
fn somebody_overdrawn() {
    let (mut world, _, _) = good_day();
    world.post(None, &[(Account::Customer(12), -100), (Account::Nostro, 100)]);
    holds(&world.facts());
    world.post(None, &[(Account::Customer(12), -1), (Account::Nostro, 1)]);
    breaks(&world.facts(), Conservation, "Customer(12) at -1");
}

#[test]
fn a_reserve_in_another_currency() {
    let (mut world, people, _) = good_day();
    let reserve = Account::Reserve { author: people[0].author(), serial: 1 };
    world.post(None, &[(Account::Nostro, -5), (reserve, 5)]);
    holds(&world.facts());
    let transactions = &mut world.bank().transactions;
    for posting in &mut transactions.last_mut().unwrap().postings {
        posting.currency = *b"NPR";
    }
    breaks(&world.facts(), Conservation, "not its grant's");
}

#[test]
fn an_entry_paid_twice() {
    let (mut world, people, made) = good_day();
    // Asked again, the bank answers as before.
    world.arrive(&made[0].bytes);
    world.answer(&made[0], Some(0), 100, true);
    holds(&world.facts());
    world.settle(&made[0], &people[0], &people[1], 100);
    breaks(&world.facts(), ExactlyOnce, "paid 200 of a promise of 100");
}

#[test]
fn an_entry_paid_that_never_came() {
    let (mut world, mut people, _) = good_day();
    let [payer, first, _] = &mut people;
    let made = world.pay(payer, first, 100);
    world.settle(&made, payer, first, 100);
    breaks(&world.facts(), ExactlyOnce, "no copy that verifies");
    // A copy with another signature, which does not hold, is none.
    let mut forged = made.bytes.clone();
    forged[100] ^= 1;
    world.arrive(&forged);
    breaks(&world.facts(), ExactlyOnce, "no copy that verifies");
    world.arrive(&made.bytes);
    holds(&world.facts());
}

#[test]
fn an_answer_that_changes_or_is_not_booked() {
    let (mut world, mut people, made) = good_day();
    world.answer(&made[0], Some(0), 99, true);
    breaks(&world.facts(), ExactlyOnce, "finally answered");
    let [payer, first, _] = &mut people;
    world.bank().answers.pop();
    world.bank().answers.pop();
    breaks(&world.facts(), ExactlyOnce, "never answered");
    let unbooked = world.pay(payer, first, 5);
    world.answer(&made[1], Some(0), 50, true);
    world.answer(&unbooked, Some(0), 5, true);
    breaks(&world.facts(), ExactlyOnce, "finally answered Some(0) with 5, paid 0");
}

#[test]
fn settled_and_then_returned_without_a_refusal() {
    let (mut world, people, made) = good_day();
    world.answer(&made[0], Some(2), 100, true);
    breaks(&world.facts(), ExactlyOnce, "answered Some(0), later Some(2)");
    world.tell(&people[1], &made[0], 7, 0);
    holds(&world.facts());
}

#[test]
fn two_contents_of_one_version() {
    let (mut world, people, _) = good_day();
    let said = Said { number: 1, frontier: None, live: &[(1, 0, 150)], names: &[] };
    world.checkpoint(&people[0], &said);
    world.checkpoint(&people[0], &Said { number: 2, ..said });
    holds(&world.facts());
    let other = Said { number: 2, frontier: None, live: &[(1, 0, 100)], names: &[] };
    world.checkpoint(&people[0], &other);
    breaks(&world.facts(), BankRecords, "two contents of one version");
}

#[test]
fn a_record_that_does_not_verify() {
    let (mut world, people, _) = good_day();
    let freeze = making::freeze(&world.network, &people[1].keys, people[0].author(), 2);
    world.sign_as_bank(&freeze);
    breaks(&world.facts(), BankRecords, "does not verify");
}

#[test]
fn a_checkpoint_that_says_what_the_books_do_not() {
    let (mut world, mut people, made) = good_day();
    let [payer, first, _] = &mut people;
    let ids = made.each_ref().map(|made| made.id);
    let unpaid = world.pay(payer, first, 5);
    world.tell(first, &unpaid, 7, 0);
    world.arrive(&unpaid.bytes);
    world.answer(&unpaid, Some(21), 0, true);
    let mut number = 0;
    let mut judged = |frontier, settled, names: &[(u32, [u8; 32], u8)]| {
        number += 1;
        let said = Said { number, frontier, live: &[(1, 150, settled)], names };
        world.checkpoint(payer, &said);
        world.facts()
    };
    let all = [(0, ids[0], 0), (1, ids[1], 0), (2, unpaid.id, 21)];
    holds(&judged(Some((2, unpaid.id)), 150, &all));
    breaks(&judged(Some((2, unpaid.id)), 151, &all), BankRecords, "states 151 settled");
    let wrong = [(0, ids[0], 16)];
    breaks(&judged(Some((0, ids[0])), 150, &wrong), BankRecords, "names outcome 16");
    let wrong = [(2, unpaid.id, 0)];
    breaks(&judged(None, 150, &wrong), BankRecords, "names outcome 0");
    let wrong = [(0, ids[0], 0)];
    breaks(&judged(Some((2, unpaid.id)), 150, &wrong), BankRecords, "neither paid nor named");
    holds(&judged(Some((1, ids[1])), 150, &[]));
    // After the end of claims nobody need be named any more.
    let mut facts = judged(Some((2, unpaid.id)), 150, &[]);
    breaks(&facts, BankRecords, "neither paid nor named");
    facts.banks[0].clock_s = CLAIM_UNTIL;
    holds(&facts);
}
