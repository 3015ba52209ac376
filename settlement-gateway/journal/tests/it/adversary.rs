//! Every cheat that the issue names and that the gateway has to meet.

use crate::world::*;
use hundi_journal::input::{GrantTerms, Input};
use hundi_journal::output::{Later, Rejected, Verdict, Wants};
use hundi_ledger::id::{Hash, PublicKey, Signature};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::entry::{Entry, Kind};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Definition, Network};
use hundi_ledger::record::proof::Proof;
use hundi_ledger::record::receipt::PayeeVerdict::{Accepted, RefusedDeclined};

/// One payer with 100 under grant 1 and one payee.
fn market() -> (World, Wallet, Log, Wallet) {
    let mut world = World::new();
    let (payer, log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    (world, payer, log, payee)
}

#[test]
fn forged_truncated_swapped_or_missing_body_burns_nothing() {
    let (mut world, payer, mut log, payee) = market();
    let good = log.pay(&payer, &payee, 10);
    let events = world.events.len();
    let mut forged = good.item.clone();
    forged[100] ^= 1;
    let truncated = &good.item[..good.item.len() - 1];
    let no_body = &good.item[..155];
    let mut swapped = good.item[..155].to_vec();
    let other = Log::new(1).pay(&payer, &payee, 11);
    swapped.extend_from_slice(&other.item[155..]);
    let verdicts = world.submit(&[&forged, truncated, no_body, &swapped, b"", &[99]]);
    let expected = [
        Rejected::Signature,
        Rejected::Signature,
        Rejected::Signature,
        Rejected::Signature,
        Rejected::Malformed,
        Rejected::Malformed,
    ];
    assert_eq!(verdicts, expected.map(Verdict::Rejected));
    assert_eq!(world.events.len(), events, "nothing was recorded");
    assert!(settled(&world.submit_one(&good.item)), "the genuine one settles");
    world.check();
}

#[test]
fn one_bad_item_never_spoils_its_batch() {
    let (mut world, payer, mut log, payee) = market();
    let made: Vec<Made> = (0..5).map(|_| log.pay(&payer, &payee, 10)).collect();
    let mut forged = made[2].item.clone();
    forged[120] ^= 4;
    let items: Vec<&[u8]> =
        vec![&made[0].item, &forged, &made[1].item, &made[2].item, &made[3].item, &made[4].item];
    let verdicts = world.submit(&items);
    assert_eq!(verdicts[1], Verdict::Rejected(Rejected::Signature));
    let others = verdicts.iter().enumerate().filter(|(at, _)| *at != 1);
    assert!(others.clone().all(|(_, verdict)| settled(verdict)));
    assert_eq!(world.held(2), 50);
    world.check();
}

#[test]
fn replay_on_another_network_bank_or_kind_is_nothing_here() {
    let (mut world, payer, mut log, payee) = market();
    let elsewhere = {
        let definition = Definition { epoch_seconds: 61, ..network().definition().clone() };
        Network::new(definition).unwrap().id()
    };
    let made = log.clone().pay(&payer, &payee, 10);
    let mut header = made.entry.header().clone();
    header.body_hash = hundi_ledger::record::entry::body_hash(&elsewhere, made.entry.body());
    let body = made.entry.body().to_vec();
    let replayed = Entry::sign(&elsewhere, header, body, &payer.secret).unwrap().into_inner();
    let replayed = Item::Entry(replayed).encode();
    assert_eq!(world.submit_one(&replayed), Verdict::Rejected(Rejected::Signature));
    // As another kind, by its byte in the header.
    let mut kind = made.item.clone();
    kind[2] = Kind::REFUND.0;
    assert_eq!(world.submit_one(&kind), Verdict::Rejected(Rejected::Signature));
    // As an entry of the other bank: signature over other bytes.
    let mut bank = made.item.clone();
    bank[3] = 2;
    assert_eq!(world.submit_one(&bank), Verdict::Rejected(Rejected::Signature));
    assert!(settled(&world.submit_one(&log.pay(&payer, &payee, 10).item)));
    world.check();
}

#[test]
fn retry_and_second_signature_get_the_recorded_answer() {
    let (mut world, payer, mut log, payee) = market();
    let made = log.pay(&payer, &payee, 10);
    assert_eq!(outcome_of(&world.submit_one(&made.item)), Some((Outcome::Settled, false, false)));
    let events = world.events.len();
    for _ in 0..2 {
        let again = world.submit(&[&made.item, &made.item]);
        assert!(again.iter().all(|it| outcome_of(it) == Some((Outcome::Settled, true, false))));
    }
    // Another valid signature of the same header is the same entry: ids never cover signatures.
    let resigned = with_signature(&made, resign(&payer, made.id));
    assert_ne!(resigned, made.item);
    let again = world.submit_one(&resigned);
    assert_eq!(outcome_of(&again), Some((Outcome::Settled, true, false)));
    // A forged one is no answer at all.
    let forged = with_signature(&made, Signature([7; 64]));
    assert_eq!(world.submit_one(&forged), Verdict::Rejected(Rejected::Signature));
    assert_eq!(world.events.len(), events);
    assert_eq!(world.held(2), 10);
    world.check();
}

/// A second valid Ed25519 signature of `id`: with a nonce of the signer's own choice.
fn resign(wallet: &Wallet, id: Hash) -> Signature {
    crate::signed::with_nonce(&wallet.secret.to_seed(), &id.0)
}

#[test]
fn intervals_that_repeat_overlap_skip_or_exceed() {
    let (mut world, payer, log, payee) = market();
    let mut honest = log.clone();
    let made: Vec<Made> = (0..3).map(|_| honest.pay(&payer, &payee, 10)).collect();
    let items: Vec<&[u8]> = made.iter().map(|made| &made.item[..]).collect();
    assert!(world.submit(&items).iter().all(settled));
    // Beyond the limit: nothing is contradicted, but nobody honest accepts it.
    let above = honest.clone().pay(&payer, &payee, 71);
    let verdict = world.submit_one(&above.item);
    assert_eq!(outcome_of(&verdict), Some((Outcome::RejectedUncovered, false, false)));
    // The interval of entry 1 again, two places later.
    let mut repeat = honest.clone();
    repeat.total = 10;
    let repeat = repeat.pay(&payer, &payee, 10);
    let verdict = world.submit_one(&repeat.item);
    assert!(matches!(verdict, Verdict::Decided { proof: Some(_), .. }), "{verdict:?}");
    let report = world.check();
    assert!(report.settled <= 4);
    assert_eq!(world.held(2) + world.balance_reserve(&payer, 1), 100);
}

/// Directly after an entry: an interval that leaves something out, one that takes something twice,
/// and one that is right but follows another header.
#[test]
fn a_neighbour_skips_overlaps_or_follows_another() {
    for (total, previous) in [(15, None), (5, None), (10, Some(Hash([5; 32])))] {
        for later_first in [false, true] {
            let (mut world, payer, mut log, payee) = market();
            let before = log.pay(&payer, &payee, 10);
            log.total = total;
            log.previous = previous.or(log.previous);
            let after = log.pay(&payer, &payee, 10);
            let (first, second) = if later_first { (&after, &before) } else { (&before, &after) };
            assert!(settled(&world.submit_one(&first.item)));
            let verdict = world.submit_one(&second.item);
            assert!(matches!(verdict, Verdict::Decided { proof: Some(_), .. }), "{verdict:?}");
            let author = &world.bank.authors()[&payer.key()];
            assert!(author.proof.is_some() && author.freeze.is_some());
            world.check();
        }
    }
}

#[test]
fn a_gap_that_nobody_fills_delays_nobody() {
    let (mut world, payer, mut log, payee) = market();
    let first = log.pay(&payer, &payee, 10);
    let hidden = log.pay(&payer, &payee, 10);
    let third = log.pay(&payer, &payee, 10);
    assert!(settled(&world.submit_one(&third.item)));
    assert!(settled(&world.submit_one(&first.item)));
    let checkpoint = world.checkpoint(&payer).unwrap();
    assert_eq!(checkpoint.frontier.unwrap().hash, first.id);
    assert_eq!(checkpoint.outcome(2, &third.id), Some(Outcome::Settled));
    assert_eq!(checkpoint.outcome(1, &hidden.id), None);
    assert_eq!(checkpoint.unsettled_before(3), 1);
    assert!(settled(&world.submit_one(&hidden.item)));
    let checkpoint = world.checkpoint(&payer).unwrap();
    assert_eq!(checkpoint.frontier.unwrap().hash, third.id);
    assert_eq!(checkpoint.live.last().unwrap().settled.minor(), 30);
    world.check();
}

#[test]
fn overlap_across_a_gap_is_a_contradiction_in_either_order() {
    for later_first in [false, true] {
        let (mut world, payer, log, payee) = market();
        let mut near = log.clone();
        near.pay(&payer, &payee, 10);
        let b = near.pay(&payer, &payee, 10);
        let mut far = near.clone();
        (far.sequence, far.previous, far.total) = (9, Some(Hash([5; 32])), 15);
        let far = far.pay(&payer, &payee, 10);
        let (first, second) = if later_first { (&far, &b) } else { (&b, &far) };
        assert!(settled(&world.submit_one(&first.item)));
        let verdict = world.submit_one(&second.item);
        assert!(matches!(verdict, Verdict::Decided { proof: Some(_), .. }), "{verdict:?}");
        assert!(world.bank.authors()[&payer.key()].freeze.is_some());
        world.check();
    }
}

#[test]
fn a_neighbour_that_does_not_fit_with_the_middle_withheld() {
    let (mut world, payer, log, payee) = market();
    let mut one = log.clone();
    let first = one.pay(&payer, &payee, 10);
    let mut other = log.clone();
    other.pay(&payer, &payee, 12);
    let second = other.pay(&payer, &payee, 10);
    // The second follows a sibling of the first that nobody shows.
    assert!(settled(&world.submit_one(&first.item)));
    let verdict = world.submit_one(&second.item);
    let Verdict::Decided { proof: Some(proof), .. } = verdict else { panic!("{verdict:?}") };
    let proof = match Item::decode(&network().id(), &proof).unwrap() {
        Item::Proof(proof) => proof.verify().unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(proof.author(), payer.author);
    world.check();
}

#[test]
fn nothing_follows_a_close() {
    let (mut world, payer, mut log, payee) = market();
    let paid = log.pay(&payer, &payee, 10);
    let close = log.close(&payer);
    let mut after = log.clone();
    after.pay(&payer, &payee, 20);
    let after = after.pay(&payer, &payee, 20);
    assert!(settled(&world.submit_one(&close.item)), "decided on its signature");
    assert_eq!(world.held(1), 90, "the rest returned at once");
    let verdict = world.submit_one(&after.item);
    let contested =
        matches!(verdict, Verdict::Decided { outcome: Outcome::Contested, proof: Some(_), .. });
    assert!(contested, "{verdict:?}");
    assert!(settled(&world.submit_one(&paid.item)), "what was promised before it is paid");
    world.check();
}

#[test]
fn a_serial_never_goes_back() {
    let (mut world, payer, mut log, payee) = market();
    world.fund(customer(1), 50);
    let second = world.grant(&payer, 50, 0);
    let old = log.clone();
    log.serial = second;
    log.total = 0;
    let new = log.pay(&payer, &payee, 10);
    let mut back = log.clone();
    back.serial = old.serial;
    back.total = 0;
    let back = back.pay(&payer, &payee, 10);
    assert!(settled(&world.submit_one(&new.item)));
    let verdict = world.submit_one(&back.item);
    assert!(matches!(verdict, Verdict::Decided { proof: Some(_), .. }), "{verdict:?}");
    world.check();
}

#[test]
fn document_and_payment_with_one_number_do_not_contradict() {
    let (mut world, payer, mut log, payee) = market();
    let document = log.clone().write(&payer, Kind::DOCUMENT, 0, None, None, None);
    let paid = log.pay(&payer, &payee, 10);
    assert!(world.submit(&[&document.item, &paid.item]).iter().all(settled));
    assert!(world.bank.authors()[&payer.key()].proof.is_none());
    assert_eq!(world.checkpoint(&payer).unwrap().frontier.unwrap().hash, paid.id);
    world.check();
}

#[test]
fn one_key_at_two_banks_is_two_authors() {
    let (mut world, payer, mut log, payee) = market();
    let twin = Wallet::new(OTHER, payer.customer, 1);
    assert_eq!(twin.author.key, payer.author.key);
    let elsewhere = Log::new(1).pay(&twin, &payee, 77);
    assert_eq!(world.submit_one(&elsewhere.item), Verdict::Later(Later::OtherBank));
    assert!(settled(&world.submit_one(&log.pay(&payer, &payee, 10).item)));
    assert!(world.bank.authors()[&payer.key()].proof.is_none());
    // At one bank a key is one author.
    assert!(world.handle(enrolment(&payer)).is_err());
    world.check();
}

#[test]
fn keys_that_could_misbehave_are_refused() {
    let mut world = World::new();
    world.handle(Input::OpenCustomer { customer: customer(1) }).unwrap();
    let mut identity = [0; 32];
    identity[0] = 1;
    let minus_one = {
        let mut bytes = [0xff; 32];
        bytes[0] = 0xec;
        bytes[31] = 0x7f;
        bytes
    };
    for key in [[0xff; 32], identity, minus_one] {
        let input = Input::Enrol {
            customer: customer(1),
            key: PublicKey(key),
            sealing: sealing_key(1),
            currency: inr(),
            display_name: None,
        };
        assert!(world.handle(input).is_err());
    }
    let mut weak = Wallet::new(BANK, customer(1), 1);
    let input = Input::Enrol {
        customer: customer(1),
        key: weak.key(),
        sealing: hundi_ledger::id::SealingKey([0; 32]),
        currency: inr(),
        display_name: None,
    };
    assert!(world.handle(input).is_err(), "a zero sealing key");
    weak.customer = customer(9);
    assert!(world.handle(enrolment(&weak)).is_err(), "no such customer");
    world.check();
}

#[test]
fn a_wrong_key_is_settled_by_disclosure_in_either_order() {
    for receipt_first in [false, true] {
        let (mut world, payer, mut log, payee) = market();
        let stranger = world.enrol(customer(3), 3);
        let made = log.pay_unopenable(&payer, &payee, 10);
        let disclosure = receipt(&payee, &made, Accepted, 0);
        let pretended = receipt(&stranger, &made, RefusedDeclined, 0);
        if receipt_first {
            assert!(matches!(world.submit_one(&pretended), Verdict::Taken { .. }));
            assert!(matches!(world.submit_one(&disclosure), Verdict::Taken { .. }));
        }
        let verdict = world.submit_one(&made.item);
        if receipt_first {
            assert!(settled(&verdict), "{verdict:?}");
        } else {
            let wants =
                Verdict::Held { entry: made.id, wants: Wants::Disclosure, duplicate: false };
            assert_eq!(verdict, wants);
            let verdict = world.submit_one(&pretended);
            assert_eq!(verdict, Verdict::Rejected(Rejected::NotPayee), "who is not paid");
            // Even after claim-until, within the time of disclosure.
            world.tick_at(CLAIM_UNTIL + DAY);
            assert!(matches!(world.submit_one(&disclosure), Verdict::Taken { .. }));
        }
        assert_eq!(world.outcome(&made), Some(Outcome::Settled));
        assert_eq!(world.held(2), 10);
        world.check();
    }
}

#[test]
fn what_nobody_opens_is_rejected_after_the_time_of_disclosure() {
    let (mut world, payer, mut log, payee) = market();
    let made = log.pay_unopenable(&payer, &payee, 10);
    world.submit_one(&made.item);
    world.tick_at(CLAIM_UNTIL);
    assert_eq!(world.held(1), 90, "what it would take stays in the reserve");
    world.tick_at(CLAIM_UNTIL + 7 * DAY);
    assert_eq!(world.outcome(&made), Some(Outcome::RejectedUnopened));
    assert_eq!(world.held(1), 100);
    let late = world.submit_one(&receipt(&payee, &made, Accepted, 0));
    assert_eq!(late, Verdict::Rejected(Rejected::NotPayee));
    world.check();
}

#[test]
fn a_signed_refusal_wins_in_either_order_and_returns_once() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (mut world, payer, mut log, payee) = market();
        let made = log.pay(&payer, &payee, 10);
        let items = [
            made.item.clone(),
            receipt(&payee, &made, Accepted, 0),
            receipt(&payee, &made, RefusedDeclined, 0),
        ];
        for at in order {
            world.submit_one(&items[at]);
            world.check();
        }
        for item in &items {
            world.submit_one(item);
        }
        let refused =
            matches!(world.outcome(&made), Some(Outcome::Returned | Outcome::RejectedRefused));
        assert!(refused, "{order:?}: {:?}", world.outcome(&made));
        assert_eq!(world.held(2), 0);
        world.tick_at(CLAIM_UNTIL);
        assert_eq!(world.held(1), 100, "{order:?}: all of it is the payer's again");
        world.check();
    }
}

#[test]
fn a_return_waits_for_the_payees_balance() {
    let (mut world, payer, mut log, payee) = market();
    let made = log.pay(&payer, &payee, 10);
    world.submit_one(&made.item);
    let withdraw = hundi_journal::input::OperationKind::Withdraw(customer(2));
    world.operate(withdraw, 10).unwrap();
    world.submit_one(&receipt(&payee, &made, RefusedDeclined, 0));
    assert_eq!(world.outcome(&made), Some(Outcome::Settled), "nobody else pays for it");
    world.fund(customer(2), 25);
    assert_eq!(world.outcome(&made), Some(Outcome::Returned));
    assert_eq!((world.held(1), world.held(2)), (10, 15));
    world.fund(customer(2), 25);
    assert_eq!(world.held(2), 40, "once");
    world.check();
}

#[test]
fn late_is_final_and_early_is_not_the_payers_clock() {
    let (mut world, payer, mut log, payee) = market();
    let in_time = log.pay(&payer, &payee, 10);
    let late = log.pay(&payer, &payee, 10);
    world.now = CLAIM_UNTIL - 1;
    assert!(settled(&world.submit_one(&in_time.item)), "whatever time the entry states");
    world.now = CLAIM_UNTIL;
    let verdict = world.submit_one(&late.item);
    assert_eq!(outcome_of(&verdict), Some((Outcome::RejectedLate, false, false)));
    world.handle(Input::Tick).unwrap();
    assert_eq!((world.held(1), world.held(2)), (90, 10));
    world.now = START;
    let verdict = world.submit_one(&late.item);
    assert_eq!(outcome_of(&verdict), Some((Outcome::RejectedLate, true, false)));
    world.check();
}

#[test]
fn unknown_author_grant_and_entry_are_not_verdicts() {
    let (mut world, payer, log, payee) = market();
    let stranger = Wallet::new(BANK, customer(8), 8);
    let made = Log::new(1).pay(&stranger, &payee, 10);
    assert_eq!(world.submit_one(&made.item), Verdict::Later(Later::AuthorUnknown));
    let mut ahead = log.clone();
    ahead.serial = hundi_ledger::id::Serial(2);
    let ahead = ahead.pay(&payer, &payee, 10);
    assert_eq!(world.submit_one(&ahead.item), Verdict::Later(Later::GrantUnknown));
    let orphan = receipt(&stranger, &ahead, Accepted, 0);
    assert_eq!(world.submit_one(&orphan), Verdict::Later(Later::EntryUnknown));
    world.fund(customer(1), 10);
    world.grant(&payer, 10, 0);
    assert!(settled(&world.submit_one(&ahead.item)), "once the grant is there");
    world.check();
}

#[test]
fn kinds_this_bank_does_not_know() {
    let (mut world, payer, mut log, _) = market();
    let spends = log.write(&payer, Kind(40), 10, None, None, None);
    let speaks = log.write(&payer, Kind(41), 0, None, None, None);
    let verdicts = world.submit(&[&spends.item, &speaks.item]);
    assert_eq!(outcome_of(&verdicts[0]), Some((Outcome::RejectedKind, false, false)));
    assert!(settled(&verdicts[1]), "kinds that do not spend are decided on the signature");
    world.check();
}

#[test]
fn a_frozen_payers_payment_settles_unless_the_payee_knew() {
    let (mut world, payer, mut log, payee) = market();
    let unaware = log.pay(&payer, &payee, 10);
    let aware = log.pay(&payer, &payee, 10);
    let freeze = Input::Freeze {
        author: payer.key(),
        reason: hundi_ledger::record::freeze::FreezeReason::Lost,
    };
    world.handle(freeze).unwrap();
    world.handle(Input::Bulletin).unwrap();
    let epoch = world.bank.authors()[&payer.key()].freeze.unwrap().epoch;
    let before = receipt(&payee, &unaware, Accepted, epoch - 1);
    let after = receipt(&payee, &aware, Accepted, epoch);
    let verdicts = world.submit(&[&unaware.item, &before, &aware.item, &after]);
    assert!(settled(&verdicts[0]));
    assert_eq!(outcome_of(&verdicts[2]), Some((Outcome::RejectedFrozen, false, false)));
    world.check();
}

#[test]
fn first_durable_wins_on_a_bearer_grant() {
    let mut world = World::new();
    let voucher = world.enrol(customer(1), 1);
    let (a, b) = (world.enrol(customer(2), 2), world.enrol(customer(3), 3));
    world.fund(customer(1), 100);
    let terms = GrantTerms { bearer: true, ..GrantTerms::prefunded(amount(100)) };
    world.issue(&voucher, terms);
    let log = Log::new(1);
    let first = log.clone().pay(&voucher, &a, 80);
    let second = log.clone().pay(&voucher, &b, 60);
    let mut closing = log.clone();
    closing.sequence = 5;
    closing.previous = Some(Hash([3; 32]));
    closing.total = 80;
    let closing = closing.close(&voucher);
    assert!(settled(&world.submit_one(&first.item)));
    world.submit_one(&closing.item);
    assert_eq!(world.held(1), 0, "a bearer grant is released at claim-until only");
    world.submit_one(&second.item);
    assert_eq!(world.outcome(&second), Some(Outcome::Contested));
    world.tick_at(CLAIM_UNTIL);
    assert_eq!(world.outcome(&second), Some(Outcome::RejectedUncovered));
    assert_eq!((world.held(1), world.held(2), world.held(3)), (20, 80, 0));
    world.check();
}

#[test]
fn a_proof_from_elsewhere_freezes_before_any_entry_arrives() {
    let (mut world, payer, log, payee) = market();
    let other = world.enrol(customer(3), 3);
    let mut one = log.clone();
    let below = one.pay(&payer, &payee, 30);
    let a = one.clone().pay(&payer, &payee, 50);
    let b = one.clone().pay(&payer, &other, 60);
    let verify = |made: &Made| made.entry.signed_header().verify(&network().id()).unwrap();
    let proof = Proof::new(&network().id(), &verify(&a), &verify(&b)).unwrap().into_inner();
    let proof = Item::Proof(proof).encode();
    assert!(matches!(world.submit_one(&proof), Verdict::Taken { duplicate: false, .. }));
    assert!(matches!(world.submit_one(&proof), Verdict::Taken { duplicate: true, .. }));
    assert!(world.bank.authors()[&payer.key()].freeze.is_some());
    assert!(settled(&world.submit_one(&a.item)), "it fits in what is not set aside");
    let verdict = world.submit_one(&b.item);
    assert_eq!(outcome_of(&verdict), Some((Outcome::Contested, false, true)));
    assert!(settled(&world.submit_one(&below.item)), "set aside for it");
    world.check();
}
