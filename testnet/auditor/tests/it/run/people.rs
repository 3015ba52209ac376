//! I2 and I7: what honest people are owed, and what nobody can make them have signed.

use super::making;
use super::world::{CLAIM_UNTIL, good_day, village};
use super::{breaks, holds};
use hundi_auditor::facts::Stop;
use hundi_auditor::run::Invariant::{ExactlyOnce, NoFraming, NoHonestLoss};
use hundi_auditor::run::judge;

#[test]
fn an_accepted_payment_that_never_settles() {
    let (mut world, mut people) = village();
    let [payer, first, _] = &mut people;
    let made = world.pay(payer, first, 100);
    world.accept(first, &made, 100);
    holds(&world.facts());
    world.arrive(&made.bytes);
    breaks(&world.facts(), NoHonestLoss, "was never paid");
    assert_eq!(judge(&world.facts()).unwrap()[0].items, [made.id]);
    // While faults last, it may still come.
    world.facts.liveness = false;
    holds(&world.facts());
    // But a rejection is for ever.
    world.answer(&made, Some(16), 0, true);
    breaks(&world.facts(), NoHonestLoss, "final outcome 16");
}

/// Whatever the terms say: an honest payee's verdict is enough.
#[test]
fn an_accepted_payment_above_the_limit_is_owed() {
    let (mut world, mut people) = village();
    let [payer, first, _] = &mut people;
    let made = world.pay(payer, first, 1_001);
    world.arrive(&made.bytes);
    holds(&world.facts());
    world.accept(first, &made, 1_001);
    breaks(&world.facts(), NoHonestLoss, "was never paid");
}

#[test]
fn what_comes_too_late_or_was_refused_is_not_owed() {
    let (mut world, mut people) = village();
    let [payer, first, second] = &mut people;
    let refused = world.pay(payer, first, 100);
    world.arrive(&refused.bytes);
    world.tell(first, &refused, 7, 0);
    world.answer(&refused, Some(21), 0, true);
    let late = world.pay(payer, second, 50);
    world.accept(second, &late, 50);
    world.clock_s = CLAIM_UNTIL + 1;
    world.arrive(&late.bytes);
    world.answer(&late, Some(17), 0, true);
    holds(&world.facts());
}

/// Also what the payer sealed under a key that the bank does not derive, once a receipt discloses it.
#[test]
fn a_wrongly_wrapped_payment_is_owed_once_its_receipt_comes() {
    let (mut world, people) = village();
    let [payer, first, _] = &people;
    let draft = payer.next(1, 100);
    let plaintext = making::payment(first.author());
    let (network, sealing) = (world.network, world.bank_sealing);
    let made = making::entry(&network, &payer.keys, &sealing, &draft, &plaintext, Some([3; 32]));
    world.note(&made);
    world.arrive(&made.bytes);
    holds(&world.facts());
    world.tell(first, &made, 0, 0);
    breaks(&world.facts(), NoHonestLoss, "was never paid");
    world.settle(&made, payer, first, 100);
    holds(&world.facts());
}

#[test]
fn a_payee_that_shows_another_amount() {
    let (mut world, _, _) = good_day();
    world.facts.acceptances[0].amount = 101;
    breaks(&world.facts(), NoHonestLoss, "accepted as 101");
}

#[test]
fn somebody_honest_that_contradicts_itself() {
    let (mut world, people, _) = good_day();
    let [payer, first, second] = &people;
    let draft = payer.next(1, 10);
    let one = world.sign(&payer.keys, &draft, &making::payment(first.author()));
    holds(&world.facts());
    let two = world.sign(&payer.keys, &draft, &making::payment(second.author()));
    breaks(&world.facts(), NoFraming, "contradict each other");
    let found = judge(&world.facts()).unwrap();
    assert!(found[0].items.contains(&one.id) && found[0].items.contains(&two.id));
    // Lost in a crash before anybody saw it, the first was never said.
    world.facts.signings[2].durable = None;
    let left = world.facts.departures.remove(2);
    holds(&world.facts());
    world.facts.departures.push(left);
    world.facts.signings[2].durable = Some(0);
    world.facts.honest.remove(&payer.author());
    holds(&world.facts());
}

#[test]
fn a_proof_against_somebody_honest() {
    let (mut world, people) = village();
    let [payer, first, second] = &people;
    let draft = payer.next(1, 10);
    let (network, sealing) = (world.network, world.bank_sealing);
    let made = [first, second].map(|payee| {
        let plaintext = making::payment(payee.author());
        making::entry(&network, &payer.keys, &sealing, &draft, &plaintext, None)
    });
    let mut proof = making::proof(&network, payer.author(), [&made[0], &made[1]]);
    world.facts.items.note(&proof);
    breaks(&world.facts(), NoFraming, "that it never made");
    // With a signature that does not hold it says nothing.
    let (mut world, _) = village();
    *proof.last_mut().unwrap() ^= 1;
    world.facts.items.note(&proof);
    holds(&world.facts());
    // Where signatures are checked elsewhere, that word is taken.
    let (mut world, _) = village();
    world.facts.items.note_checked(&proof, true);
    breaks(&world.facts(), NoFraming, "contradict each other");
}

#[test]
fn bytes_that_leave_before_they_are_durable() {
    let (mut world, _, _) = good_day();
    world.facts.departures[0].step = world.facts.signings[0].durable.unwrap();
    breaks(&world.facts(), NoFraming, "was not durable before");
    world.facts.departures[0].step += 1;
    holds(&world.facts());
    world.facts.signings[0].durable = None;
    breaks(&world.facts(), NoFraming, "was not durable before");
}

#[test]
fn a_stopped_key_that_signs() {
    let (mut world, people, _) = good_day();
    let author = people[0].author();
    world.facts.stops.push(Stop { author, step: world.step });
    holds(&world.facts());
    world.facts.stops[0].step = world.facts.signings[0].step;
    breaks(&world.facts(), NoFraming, "a key that was stopped");
}

#[test]
fn a_payee_that_signs_two_verdicts() {
    let (mut world, people, made) = good_day();
    world.tell(&people[1], &made[0], 0, 0);
    world.tell(&people[1], &made[0], 0, 0);
    holds(&world.facts());
    world.tell(&people[1], &made[0], 7, 0);
    breaks(&world.facts(), NoFraming, "two verdicts");
    // Of somebody who does not keep the rules the refusal wins: it was settled, and is returned.
    world.facts.honest.remove(&people[1].author());
    world.answer(&made[0], Some(2), 100, true);
    holds(&world.facts());
    world.answer(&made[0], Some(0), 100, true);
    breaks(&world.facts(), ExactlyOnce, "answered Some(2), later Some(0)");
}
