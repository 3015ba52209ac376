//! What the bank's records do to a wallet: outcomes, lapses, limits, the next grant.

use crate::bank::{amount, author, sealing};
use crate::payments::pair;
use crate::world::{Over, World, pay};
use hundi_engine::output::{PayError, SignError};
use hundi_engine::wallet::PaymentState;
use hundi_engine::{Answer, Command};
use hundi_ledger::codec::Text;
use hundi_ledger::money::Amount;
use hundi_ledger::record::checkpoint::Outcome;

#[test]
fn bank_time_lets_what_nobody_decided_lapse() {
    let (mut world, payer, payee) = pair(Over::Link);
    let request = world.request(payee, 1_000);
    let id = world.pay(payer, &request);
    world.run();
    let late = crate::bank::START + 30 * 24 * 3600;
    let bulletin = world.bank.bulletin(1, late);
    world.publish(payer, vec![bulletin]);
    world.run();
    for device in [payer, payee] {
        assert_eq!(world.word(device, &id), "lapsed");
    }
    world.assert_converged();
}

#[test]
fn an_outcome_that_comes_after_bank_time_is_taken_all_the_same() {
    let (mut world, payer, payee) = pair(Over::Link);
    let request = world.request(payee, 1_000);
    let id = world.pay(payer, &request);
    world.run();
    world.cut_all();
    let bulletin = world.bank.bulletin(1, crate::bank::START + 30 * 24 * 3600);
    world.publish(payee, vec![bulletin]);
    assert_eq!(world.word(payee, &id), "lapsed");
    let settled = [(0, id, Outcome::Settled)];
    let checkpoint = world.bank.checkpoint(author(1), 1, Some((0, id)), &settled);
    world.publish(payee, vec![checkpoint]);
    assert_eq!(world.word(payee, &id), "settled");
    // And what was settled may yet be returned, where the bank says so.
    let returned = [(0, id, Outcome::Returned)];
    let checkpoint = world.bank.checkpoint(author(1), 2, Some((0, id)), &returned);
    world.publish(payee, vec![checkpoint]);
    assert_eq!(world.word(payee, &id), "refused");
    assert_eq!(world.view(payee, &id).outcome, Some(Outcome::Returned));
}

#[test]
fn an_unnamed_payment_below_the_frontier_is_not_taken_for_settled() {
    let (mut world, payer, payee) = pair(Over::Link);
    let request = world.request(payee, 1_000);
    let id = world.pay(payer, &request);
    world.run();
    world.cut_all();
    // The bank's word about a later entry; whether ours is on the chain to it, nobody can see.
    let elsewhere = hundi_ledger::id::Hash([9; 32]);
    let checkpoint = world.bank.checkpoint(author(1), 1, Some((5, elsewhere)), &[]);
    world.publish(payee, vec![checkpoint]);
    assert_eq!(world.word(payee, &id), "received");
    assert_eq!(world.view(payee, &id).outcome, None);
    let key = hundi_ledger::replica::Key::entry(author(1), id);
    assert!(world.devices[payee].store.items.contains_key(&key), "kept and pushed as evidence");
}

/// A bank that goes on from an old copy of its books signs newer records that decide less.
#[test]
fn what_newer_records_admit_again_is_pushed_again_on_the_same_link() {
    let (mut world, payer, payee) = pair(Over::Link);
    let request = world.request(payee, 1_000);
    let id = world.pay(payer, &request);
    world.run();
    world.cut_all();
    let elsewhere = hundi_ledger::id::Hash([9; 32]);
    let decided = world.bank.checkpoint(author(1), 1, Some((5, elsewhere)), &[]);
    world.publish(payee, vec![decided]);
    let relay = world.add_relay();
    world.connect(payee, relay, Over::Link);
    world.pass(600);
    let key = hundi_ledger::replica::Key::entry(author(1), id);
    let holds = |world: &World| world.devices[relay].store.items.contains_key(&key);
    assert!(!holds(&world), "decided, as far as anybody can see");
    let undecided = world.bank.checkpoint(author(1), 2, None, &[]);
    world.publish(relay, vec![undecided]);
    world.pass(600);
    assert!(holds(&world));
    let digest = |device: usize| world.devices[device].engine.digest();
    assert_eq!(digest(relay), digest(payee), "and comes back");
}

#[test]
fn unsettled_payments_lower_what_may_be_promised() {
    let (mut world, payer, payee) = pair(Over::Link);
    for _ in 0..10 {
        let request = world.request(payee, 10);
        world.pay(payer, &request);
        world.run();
    }
    let request = world.request(payee, 10);
    let error = world.try_pay(payer, &request);
    assert_eq!(error, Err(PayError::TooManyUnsettled { unsettled: 10 }));
    let balance =
        world.devices[payer].engine.balance(world.now(), &world.devices[payer].store).unwrap();
    assert_eq!(balance.grant.unwrap().cap, Amount::ZERO);
    let last = world.devices[payer].engine.history(&world.devices[payer].store)[0].clone();
    assert_eq!(last.sequence, 9);
    let checkpoint = world.bank.checkpoint(author(1), 1, Some((9, last.id)), &[]);
    world.publish(payer, vec![checkpoint]);
    for view in world.devices[payer].engine.history(&world.devices[payer].store) {
        assert_eq!(view.state, PaymentState::Settled, "the chain leads to the frontier");
    }
    world.pay(payer, &request);
}

#[test]
fn closing_a_grant_and_asking_for_the_next() {
    let (mut world, payer, payee) = pair(Over::Link);
    let request = world.request(payee, 100);
    world.pay(payer, &request);
    let Answer::RequestGrant(Ok(asked)) =
        world.command(payer, Command::RequestGrant { limit: amount(20_000) })
    else {
        panic!()
    };
    let Answer::Close(Ok(closed)) = world.command(payer, Command::Close) else { panic!() };
    world.run();
    world.assert_converged();
    for id in [asked, closed] {
        let known =
            world.devices[payee].engine.author(&author(1), &world.devices[payee].store).unwrap();
        assert!(known.entries().any(|claim| claim.id == id), "carried to the bank");
    }
    let request = world.request(payee, 100);
    let none = Err(PayError::Sign(SignError::NoGrant));
    assert_eq!(world.try_pay(payer, &request), none);
    assert_eq!(world.command(payer, Command::Close), Answer::Close(Err(SignError::NoGrant)));
    let next = world.bank.grant(author(1), sealing(1), 2, 20_000);
    let next = world.bank.granted(next);
    world.publish(payer, vec![next]);
    let id = world.pay(payer, &request);
    world.run();
    assert_eq!(world.word(payer, &id), "received");
    assert!(Text::<255>::new("rice").unwrap()[..] == world.view(payee, &id).memo);
    let Answer::Pay(Ok(same)) = world.command(payer, pay(&request)) else { panic!() };
    assert_eq!(same, id);
}

#[test]
fn a_payee_that_was_away_while_the_bank_settled_hears_of_it_at_the_next_contact() {
    let (mut world, payer, payee) = pair(Over::Link);
    let request = world.request(payee, 1_000);
    world.cut_all();
    let id = world.pay(payer, &request);
    world.run();
    let settled = [(0, id, Outcome::Settled)];
    let checkpoint = world.bank.checkpoint(author(1), 1, Some((0, id)), &settled);
    world.publish(payer, vec![checkpoint]);
    world.run();
    assert_eq!(world.word(payer, &id), "settled");
    let balance =
        world.devices[payer].engine.balance(world.now(), &world.devices[payer].store).unwrap();
    assert_eq!(balance.promised, Amount::ZERO, "decided, though its payee has yet to hear of it");
    world.connect(payer, payee, Over::Link);
    world.run();
    assert_eq!(world.word(payee, &id), "settled");
    let balance =
        world.devices[payee].engine.balance(world.now(), &world.devices[payee].store).unwrap();
    assert_eq!(balance.received_settled, amount(1_000));
    // Not for ever: bank time ends it.
    let key = hundi_ledger::replica::Key::entry(author(1), id);
    assert!(world.devices[payer].store.items.contains_key(&key));
    let bulletin = world.bank.bulletin(1, crate::bank::START + 30 * 24 * 3600);
    world.publish(payer, vec![bulletin]);
    world.run();
    assert!(!world.devices[payer].store.items.contains_key(&key));
    assert_eq!(world.word(payer, &id), "settled");
}

#[test]
fn a_signed_refusal_is_kept_and_pushed_until_the_bank_has_returned_what_it_settled() {
    let (mut world, first, payee) = pair(Over::Link);
    let second = world.add(3, 10_000);
    world.connect(second, payee, Over::Link);
    world.run();
    let request = world.request(payee, 1_000);
    world.pay(first, &request);
    world.run();
    let id = world.pay(second, &request);
    world.run();
    assert_eq!(world.word(payee, &id), "refused", "one request, one payment");
    world.cut_all();
    // The entry was faster at the bank than the refusal.
    let settled = [(0, id, Outcome::Settled)];
    let checkpoint = world.bank.checkpoint(author(3), 1, Some((0, id)), &settled);
    world.publish(payee, vec![checkpoint]);
    world.run();
    let receipts = |world: &crate::world::World| {
        let items = &world.devices[payee].store.items;
        let of_entry = items.contains_key(&hundi_ledger::replica::Key::entry(author(3), id));
        (of_entry, items.keys().filter(|key| key.within()[0] == 8).count())
    };
    let (entry, kept) = receipts(&world);
    assert!(entry && kept >= 1, "entry and refusal stay until the bank has the refusal");
    let returned = [(0, id, Outcome::Returned)];
    let checkpoint = world.bank.checkpoint(author(3), 2, Some((0, id)), &returned);
    world.publish(payee, vec![checkpoint]);
    world.run();
    assert_eq!(world.word(payee, &id), "refused");
    let (entry, left) = receipts(&world);
    assert!(!entry && left < kept, "the bank has heard: both are let go");
}
