//! Paying, being paid, refunding, asking the bank.

use crate::bank::{amount, author, sealing};
use crate::world::{Over, World};
use hundi_engine::output::{PayError, RefundError, RequestError, SignError, Unable};
use hundi_engine::wallet::{PaymentState, Sureness};
use hundi_engine::{Answer, Command};
use hundi_ledger::money::Amount;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::receipt::PayeeVerdict;
use hundi_ledger::verdict::payee::NotNow;

/// Payer and payee, linked and in sync.
pub fn pair(over: Over) -> (World, usize, usize) {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 0);
    world.connect(payer, payee, over);
    world.run();
    (world, payer, payee)
}

#[test]
fn paid_received_and_settled_over_a_link_and_over_gossip() {
    for over in [Over::Link, Over::Gossip] {
        let (mut world, payer, payee) = pair(over);
        let request = world.request(payee, 1_000);
        let id = world.pay(payer, &request);
        assert_eq!(world.word(payer, &id), "signed");
        world.run();
        for device in [payer, payee] {
            assert_eq!(world.word(device, &id), "received");
            assert_eq!(world.view(device, &id).sum, amount(1_000));
        }
        world.assert_converged();
        let balance =
            world.devices[payer].engine.balance(world.now(), &world.devices[payer].store).unwrap();
        assert_eq!(balance.promised, amount(1_000));
        assert_eq!(balance.grant.unwrap().left, amount(9_000));
        let balance =
            world.devices[payee].engine.balance(world.now(), &world.devices[payee].store).unwrap();
        assert_eq!(balance.received_verified, amount(1_000));
        assert_eq!(balance.received_settled, Amount::ZERO);

        let settled = [(0, id, Outcome::Settled)];
        let checkpoint = world.bank.checkpoint(author(1), 1, Some((0, id)), &settled);
        world.publish(payer, vec![checkpoint]);
        world.run();
        for device in [payer, payee] {
            assert_eq!(world.word(device, &id), "settled");
            assert_eq!(world.view(device, &id).sureness, Sureness::Settled);
            let store = &world.devices[device].store;
            let entries = store.items.keys().filter(|key| key.within()[0] == 7).count();
            assert_eq!(entries, 0, "a settled entry is let go");
        }
        let balance =
            world.devices[payee].engine.balance(world.now(), &world.devices[payee].store).unwrap();
        assert_eq!(balance.received_settled, amount(1_000));
        let balance =
            world.devices[payer].engine.balance(world.now(), &world.devices[payer].store).unwrap();
        assert_eq!(balance.promised, Amount::ZERO);
        assert_eq!(balance.grant.unwrap().left, amount(9_000));
        world.assert_converged();
        world.pass(600);
        assert_eq!(world.word(payee, &id), "settled");
    }
}

#[test]
fn many_payments_in_a_row_each_follow_the_last() {
    let (mut world, payer, payee) = pair(Over::Link);
    let mut ids = Vec::new();
    for n in 1..=5 {
        let request = world.request(payee, n * 10);
        ids.push(world.pay(payer, &request));
        world.run();
    }
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(world.word(payer, id), "received");
        assert_eq!(world.view(payer, id).sequence as usize, n);
    }
    assert_eq!(world.devices[payee].engine.history(&world.devices[payee].store).len(), 5);
    world.assert_converged();
}

#[test]
fn a_payment_made_alone_reaches_its_payee_through_a_courier() {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 0);
    let courier = world.add(3, 0);
    let request = world.request(payee, 700);
    let id = world.pay(payer, &request);
    let link = world.connect(payer, courier, Over::Link);
    world.run();
    world.cut(link);
    assert_eq!(world.word(payer, &id), "signed");
    let link = world.connect(courier, payee, Over::Link);
    world.run();
    assert_eq!(world.word(payee, &id), "received", "{:?}", world.view(payee, &id));
    world.pass(60);
    world.cut(link);
    world.connect(courier, payer, Over::Link);
    world.run();
    assert_eq!(world.word(payer, &id), "received", "the receipt came back by the courier");
    assert_eq!(world.view(payee, &id).sureness, Sureness::Carried(1));
}

#[test]
fn a_receipt_comes_back_though_the_cores_are_equal() {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 0);
    let courier = world.add(3, 0);
    for (a, b) in [(payer, payee), (payee, courier), (courier, payer), (payee, courier)] {
        let link = world.connect(a, b, Over::Link);
        world.run();
        world.cut(link);
    }
    world.assert_converged();
    let request = world.request(payee, 700);
    let id = world.pay(payer, &request);
    for (a, b) in [(payer, courier), (courier, payee)] {
        let link = world.connect(a, b, Over::Link);
        world.run();
        world.cut(link);
    }
    world.assert_converged();
    assert_eq!(world.word(payer, &id), "signed");
    world.connect(payer, courier, Over::Link);
    world.run();
    assert_eq!(world.word(payer, &id), "received");
    assert_eq!(world.view(payer, &id).sureness, Sureness::Carried(1));
}

#[test]
fn paying_one_request_twice_pays_once() {
    let (mut world, payer, payee) = pair(Over::Link);
    let request = world.request(payee, 1_000);
    let id = world.pay(payer, &request);
    assert_eq!(world.try_pay(payer, &request), Ok(id));
    world.run();
    assert_eq!(world.try_pay(payer, &request), Ok(id));
    assert_eq!(world.devices[payer].engine.history(&world.devices[payer].store).len(), 1);
}

#[test]
fn a_request_answered_once_refuses_others_and_a_standing_one_does_not() {
    let mut world = World::new();
    let payers = [world.add(1, 10_000), world.add(3, 10_000)];
    let payee = world.add(2, 0);
    for payer in payers {
        world.connect(payer, payee, Over::Link);
    }
    world.run();
    let once = world.request(payee, 100);
    let standing = world.try_request(payee, Some(50), true).unwrap();
    let ids = payers.map(|payer| {
        let id = world.pay(payer, &once);
        world.run();
        id
    });
    assert_eq!(world.word(payers[0], &ids[0]), "received");
    assert_eq!(world.word(payers[1], &ids[1]), "refused");
    assert_eq!(world.view(payers[1], &ids[1]).verdict, Some(PayeeVerdict::RefusedRequest));
    for payer in payers {
        let id = world.pay(payer, &standing);
        world.run();
        assert_eq!(world.word(payer, &id), "received");
    }
    let again =
        Command::Pay { request: standing, amount: None, memo: None, category: 0, again: true };
    let Answer::Pay(Ok(id)) = world.command(payers[0], again) else { panic!() };
    world.run();
    assert_eq!(world.word(payers[0], &id), "received");
}

#[test]
fn refusals_are_signed_once_repeated_and_returned_by_the_bank() {
    let (mut world, payer, payee) = pair(Over::Link);
    let mut request = world.request(payee, 1_000);
    request.amount = Some(amount(999));
    let id = world.pay(payer, &request);
    world.run();
    for device in [payer, payee] {
        assert_eq!(world.word(device, &id), "refused");
        assert_eq!(world.view(device, &id).verdict, Some(PayeeVerdict::RefusedMismatch));
    }
    let receipts = |world: &World| {
        let items = world.devices[payee].store.items.iter();
        let receipts = items.filter(|(key, _)| key.within()[0] == 8);
        receipts.map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>()
    };
    let before = receipts(&world);
    assert_eq!(before.len(), 1);
    // The payer asks again on a new link, and after the payee has restarted.
    world.crash(payee);
    world.connect(payer, payee, Over::Link);
    world.run();
    assert_eq!(receipts(&world), before, "the old answer, for ever");
    let returned = [(0, id, Outcome::Returned)];
    let checkpoint = world.bank.checkpoint(author(1), 1, Some((0, id)), &returned);
    world.publish(payee, vec![checkpoint]);
    world.run();
    assert_eq!(world.view(payer, &id).outcome, Some(Outcome::Returned));
    assert_eq!(world.word(payer, &id), "refused");
    let balance =
        world.devices[payer].engine.balance(world.now(), &world.devices[payer].store).unwrap();
    assert_eq!(balance.promised, Amount::ZERO);
}

#[test]
fn refund_by_a_merchant_without_a_limit_and_by_one_with() {
    for limit in [0, 5_000] {
        let mut world = World::new();
        let payer = world.add(1, 10_000);
        let payee = world.add(2, limit);
        world.connect(payer, payee, Over::Link);
        world.run();
        let request = world.request(payee, 1_000);
        let id = world.pay(payer, &request);
        world.run();
        let sum = Err(RefundError::Sum { paid: amount(1_000) });
        assert_eq!(world.try_refund(payee, id, Some(1_001)), sum);
        assert_eq!(world.try_refund(payee, id, Some(0)), sum);
        assert_eq!(world.try_refund(payer, id, None), Err(RefundError::Unknown));
        let refund = world.try_refund(payee, id, Some(400)).unwrap();
        world.run();
        for device in [payer, payee] {
            assert_eq!(world.word(device, &refund), "received", "limit {limit}");
            assert_eq!(world.view(device, &id).refund, Some((refund, amount(400))));
        }
        assert_eq!(world.try_refund(payee, id, None), Err(RefundError::Already(refund)));
        let balance =
            world.devices[payee].engine.balance(world.now(), &world.devices[payee].store).unwrap();
        let expected = if limit == 0 { (0, 400) } else { (400, 0) };
        assert_eq!(
            (balance.promised, balance.refunds_promised),
            (amount(expected.0), amount(expected.1))
        );
        let balance =
            world.devices[payer].engine.balance(world.now(), &world.devices[payer].store).unwrap();
        assert_eq!(balance.received_verified, amount(400));
        let settled = [(0, refund, Outcome::RejectedRefund)];
        let checkpoint = world.bank.checkpoint(author(2), 1, Some((0, refund)), &settled);
        world.publish(payer, vec![checkpoint]);
        world.run();
        for device in [payer, payee] {
            assert_eq!(world.word(device, &refund), "rejected");
            assert_eq!(world.view(device, &id).refund, None, "it can be refunded after all");
        }
    }
}

#[test]
fn a_verdict_waits_for_what_is_missing_and_is_final_then() {
    let mut world = World::new();
    let payer = world.add(1, 10_000);
    let payee = world.add(2, 0);
    let early = world.bank.grant(author(3), sealing(3), 1, 5_000);
    let early = hundi_ledger::record::grant::Grant { not_before: world.now() + 50, ..early };
    let other = world.add(3, 0);
    let grant = world.bank.granted(early);
    world.publish(other, vec![grant]);
    world.connect(payer, payee, Over::Link);
    world.connect(other, payee, Over::Link);
    world.run();
    // A clock that runs ahead promises too early; time alone lets the payee accept.
    let request = world.request(payee, 500);
    let now_ms = world.now_ms;
    world.now_ms += 60_000;
    let id = world.pay(other, &request);
    world.now_ms = now_ms;
    world.run();
    assert_eq!(world.view(payee, &id).not_now, Some(NotNow::NotYetInForce));
    assert_eq!(world.word(other, &id), "delivered");
    world.pass(120);
    assert_eq!(world.word(other, &id), "received");
    // A frozen payer is refused for good.
    let request = world.request(payee, 100);
    let freeze = world.bank.freeze(author(1));
    world.publish(payee, vec![freeze]);
    let id = world.pay(payer, &request);
    world.run();
    assert_eq!(world.view(payer, &id).verdict, Some(PayeeVerdict::RefusedFrozen));
}

#[test]
fn waiting_payments_survive_a_restart() {
    let mut world = World::new();
    let payer = world.add(3, 0);
    let payee = world.add(2, 0);
    let grant = world.bank.grant(author(3), sealing(3), 1, 5_000);
    let grant = hundi_ledger::record::grant::Grant { not_before: world.now() + 50, ..grant };
    let grant = world.bank.granted(grant);
    world.publish(payer, vec![grant]);
    let request = world.request(payee, 500);
    let now_ms = world.now_ms;
    world.now_ms += 60_000;
    let id = world.pay(payer, &request);
    world.now_ms = now_ms;
    world.connect(payer, payee, Over::Link);
    world.run();
    assert_eq!(world.word(payee, &id), "delivered");
    world.crash(payee);
    assert_eq!(world.word(payee, &id), "delivered");
    world.now_ms += 60_000;
    world.connect(payer, payee, Over::Link);
    world.run();
    assert_eq!(world.word(payee, &id), "received");
    assert_eq!(world.word(payer, &id), "received");
}

#[test]
fn payments_that_wait_make_room_for_others() {
    let mut world = World::new();
    let payee = world.add(2, 0);
    let request = world.try_request(payee, None, true).unwrap();
    let early = world.now() + 50;
    for seed in 20..25 {
        let payer = world.add(seed, 0);
        let grant = hundi_ledger::record::grant::Grant {
            not_before: early,
            carry_to: 63,
            unsettled_max: 200,
            penalty_percent: 0,
            ..world.bank.grant(author(seed), sealing(seed), 1, 5_000)
        };
        let grant = world.bank.granted(grant);
        world.publish(payer, vec![grant]);
        let now_ms = world.now_ms;
        world.now_ms += 60_000;
        for _ in 0..60 {
            let command = Command::Pay {
                request: request.clone(),
                amount: Some(amount(1)),
                memo: None,
                category: 0,
                again: true,
            };
            let Answer::Pay(Ok(_)) = world.command(payer, command) else { panic!() };
        }
        world.now_ms = now_ms;
        let mut items: Vec<_> = world.devices[payer].store.items.clone().into_iter().collect();
        items.sort_by_key(|(key, _)| (key.within()[0], key.within()[1..].to_vec()));
        world.publish(payee, items.into_iter().map(|(_, bytes)| bytes).collect());
    }
    let history = world.devices[payee].engine.history(&world.devices[payee].store);
    assert_eq!(history.len(), hundi_engine::limits::WAITING_MAX);
    assert!(history.iter().all(|view| view.state == PaymentState::Delivered));
    let honest = world.add(1, 10_000);
    let once = world.request(payee, 100);
    world.connect(honest, payee, Over::Link);
    let id = world.pay(honest, &once);
    world.run();
    assert_eq!(world.word(honest, &id), "received");
}

#[test]
fn what_cannot_be_done_is_said() {
    let (mut world, payer, payee) = pair(Over::Link);
    let relay = world.add_relay();
    let request = world.request(payee, 1_000);
    let no_keys = SignError::Unable(Unable::NoKeys);
    assert_eq!(world.try_pay(relay, &request), Err(PayError::Sign(no_keys)));
    assert_eq!(world.try_pay(payee, &request), Err(PayError::Own));
    let other = world.add(5, 0);
    assert_eq!(world.try_pay(other, &request), Err(PayError::Sign(SignError::NoGrant)));
    let dear = world.request(payee, 10_001);
    let limit = PayError::Limit { left: amount(10_000) };
    assert_eq!(world.try_pay(payer, &dear), Err(limit));
    let mut foreign = request.clone();
    foreign.network.0[0] ^= 1;
    assert_eq!(world.try_pay(payer, &foreign), Err(PayError::Network));
    let mut old = request.clone();
    old.expires = world.now() - 1;
    assert_eq!(world.try_pay(payer, &old), Err(PayError::Expired));
    let open = world.try_request(payee, None, false).unwrap();
    assert_eq!(world.try_pay(payer, &open), Err(PayError::AmountMissing));
    let given = Command::Pay {
        request: request.clone(),
        amount: Some(amount(7)),
        memo: None,
        category: 0,
        again: false,
    };
    let differs = PayError::AmountDiffers { asked: amount(1_000) };
    assert_eq!(world.command(payer, given), Answer::Pay(Err(differs)));
    let mut weak = request.clone();
    weak.payee_sealing.0 = [0; 32];
    assert_eq!(world.try_pay(payer, &weak), Err(PayError::Sign(SignError::SealingKey)));
    assert_eq!(world.try_request(payee, Some(0), false), Err(RequestError::ZeroAmount));
    let stranger = world.add_with(Some(9), Default::default(), Default::default());
    assert_eq!(world.try_request(stranger, None, false), Err(RequestError::NotEnrolled));
    // Nothing was signed by any of this: the first payment is the log's first.
    let id = world.pay(payer, &request);
    assert_eq!(world.view(payer, &id).sequence, 0);
}
