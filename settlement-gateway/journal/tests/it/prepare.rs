//! Who prepares a submission, and how much of it, changes no answer: neither what somebody crafted
//! nor what the books meanwhile say otherwise.

use crate::signed::with_torsion;
use crate::world::*;
use hundi_journal::bank::{Bank, Profile};
use hundi_journal::input::Input;
use hundi_journal::limits::ITEMS_PER_SUBMISSION_MAX;
use hundi_journal::output::{Later, Outputs, Rejected, Verdict, Wants};
use hundi_journal::prepare::Submission;
use hundi_ledger::id::Signature;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::PayeeVerdict::{Accepted, RefusedDeclined};
use hundi_ledger::seal::SealingSecret;
use std::collections::BTreeMap;

const ENTROPY: [u8; 32] = [6; 32];

fn copy(world: &World) -> Bank {
    Bank::restore(network(), Profile::default(), &world.bank.snapshot()).unwrap()
}

/// What a world's bank says to items that were prepared by `threads` for `bank`.
fn say(world: &World, bank: &Bank, items: &[Vec<u8>], threads: usize) -> (Outputs, Vec<u8>) {
    let submission = prepared(bank, &world.keys, items, threads);
    let mut decides = copy(world);
    let outputs = decides.submit(world.now, ENTROPY, submission, &world.keys);
    (outputs, decides.snapshot())
}

/// Several authors' entries with everything that an item can be between them.
fn crowd(world: &mut World) -> Vec<Vec<u8>> {
    let mut authors: Vec<(Wallet, Log)> = (1..=5).map(|n| world.payer(n, 10_000)).collect();
    let (stranger, elsewhere) =
        (Wallet::new(BANK, customer(8), 8), Wallet::new(OTHER, customer(9), 9));
    let mut items = Vec::new();
    for round in 0..50 {
        for payer in 0..5 {
            let payee = (payer + 1 + round % 4) % 5;
            let mut log = authors[payer].1.clone();
            let (from, to) = (&authors[payer].0, &authors[payee].0);
            let made = match round % 10 {
                3 => log.pay_unopenable(from, to, 1),
                _ => log.pay(from, to, 1),
            };
            match round % 10 {
                0 => items.push(with_signature(&made, Signature([round as u8; 64]))),
                1 => {
                    let seed = from.secret.to_seed();
                    let crafted = with_torsion(&seed, &made.id.0, payer + 1);
                    items.push(with_signature(&made, crafted));
                }
                2 => items.push(made.item.clone()),
                3 | 4 => items.push(receipt(to, &made, Accepted, 0)),
                5 => {
                    let mut forged = receipt(to, &made, RefusedDeclined, 0);
                    let last = forged.len() - 1;
                    forged[last - 40] ^= 1;
                    items.push(forged);
                }
                6 => items.push(receipt(to, &made, RefusedDeclined, 0)),
                _ => {}
            }
            items.push(made.item);
            authors[payer].1 = log;
        }
    }
    items.push(Log::new(1).pay(&stranger, &authors[0].0, 5).item);
    items.push(Log::new(1).pay(&elsewhere, &authors[0].0, 5).item);
    items.push(Log::new(1).pay(&authors[4].0, &authors[0].0, 9_000).item);
    items.push(Item::Certificate(certificate(OTHER, 1)).encode());
    items.push(vec![99]);
    items.push(items[7].clone());
    items
}

#[test]
fn whoever_prepares_the_answers_are_the_same() {
    let mut world = World::new();
    let items = crowd(&mut world);
    let alone = {
        let mut bank = copy(&world);
        let input = Input::Submit { items: items.clone() };
        let outputs = bank.decide(world.now, ENTROPY, input, &world.keys).unwrap();
        (outputs, bank.snapshot())
    };
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for verdict in &alone.0.verdicts {
        let name = match verdict {
            Verdict::Decided { outcome: Outcome::Settled, duplicate: false, .. } => "settled",
            Verdict::Decided { duplicate: true, .. } => "duplicate",
            Verdict::Rejected(Rejected::Signature) => "forged",
            Verdict::Rejected(Rejected::Malformed) => "malformed",
            Verdict::Taken { .. } => "receipt",
            Verdict::Later(_) => "later",
            _ => "other",
        };
        *counts.entry(name).or_default() += 1;
    }
    for name in ["settled", "duplicate", "forged", "malformed", "receipt", "later"] {
        assert!(counts.contains_key(name), "{name}: {counts:?}");
    }
    for threads in [1, 2, 3, 7] {
        assert_eq!(say(&world, &copy(&world), &items, threads), alone, "{threads} threads");
    }
    // Prepared for books that lack the authors, or have half of it already.
    assert_eq!(say(&world, &World::new().bank, &items, 2), alone);
    let (first, second) = items.split_at(items.len() / 2);
    let before = copy(&world);
    world.handle(Input::Submit { items: first.to_vec() }).unwrap();
    let whole = [second, first].concat();
    let now = say(&world, &copy(&world), &whole, 1);
    assert_eq!(say(&world, &before, &whole, 3), now);
}

#[test]
fn items_that_were_decoded_elsewhere_are_the_same_submission() {
    let mut world = World::new();
    let mut items = crowd(&mut world);
    items.retain(|bytes| Item::decode(&network().id(), bytes).is_ok());
    let expected = say(&world, &world.bank, &items, 1);
    let mut submission = Submission::new(&network().id());
    for bytes in &items {
        submission.push(bytes, Item::decode(&network().id(), bytes).unwrap());
    }
    let mut bank = copy(&world);
    let outputs = bank.submit(world.now, ENTROPY, submission, &world.keys);
    assert_eq!((outputs, bank.snapshot()), expected);
}

#[test]
fn a_full_submission_looks_at_no_more_items() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let made = log.pay(&payer, &payer, 1);
    let mut submission =
        Submission::decode(&network().id(), &vec![vec![99]; ITEMS_PER_SUBMISSION_MAX - 1]);
    assert!(!submission.is_full());
    let item = Item::decode(&network().id(), &made.item).unwrap();
    submission.push(&made.item, item.clone());
    assert!(submission.is_full());
    submission.push(&made.item, item);
    let verdicts = world.bank.submit(world.now, ENTROPY, submission, &world.keys).verdicts;
    let last = verdicts.len() - 1;
    assert_eq!(last, ITEMS_PER_SUBMISSION_MAX);
    assert!(settled(&verdicts[last - 1]));
    assert_eq!(verdicts[last], Verdict::Later(Later::Capacity { proof: None }));
}

#[test]
fn a_forged_item_among_many_is_found_alone() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 10_000);
    let (other, mut other_log) = world.payer(2, 10_000);
    let mut items: Vec<Vec<u8>> = (0..200)
        .flat_map(|_| [log.pay(&payer, &other, 1).item, other_log.pay(&other, &payer, 1).item])
        .collect();
    items[170][100] ^= 1;
    for threads in [1, 2] {
        let (outputs, _) = say(&world, &world.bank, &items, threads);
        for (at, verdict) in outputs.verdicts.iter().enumerate() {
            match at {
                170 => assert_eq!(*verdict, Verdict::Rejected(Rejected::Signature)),
                _ => assert!(settled(verdict), "{at}: {verdict:?}"),
            }
        }
    }
}

/// The number of items that a bank has prepared for it.
fn due(bank: &Bank, submissions: &mut [&mut Submission], threads: usize) -> Vec<usize> {
    bank.divide(submissions, threads).iter().map(|part| part.len()).collect()
}

#[test]
fn what_is_recorded_or_repeated_is_not_verified() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 1_000);
    let payee = world.enrol(customer(2), 2);
    let made: Vec<Made> = (0..70).map(|_| log.pay(&payer, &payee, 1)).collect();
    let accepted = receipt(&payee, &made[0], Accepted, 0);
    let items: Vec<Vec<u8>> = made.iter().map(|it| it.item.clone()).chain([accepted]).collect();
    let decode = |items: &[Vec<u8>]| Submission::decode(&network().id(), items);
    let twice = [&items[..], &items[..70]].concat();
    let (mut first, mut second) = (decode(&twice), decode(&items[..70]));
    let counts = due(&world.bank, &mut [&mut first, &mut second], 4);
    assert_eq!(counts, [64, 7], "once each, in parts that are worth it");
    world.handle(Input::Submit { items: items.clone() }).unwrap();
    assert_eq!(due(&world.bank, &mut [&mut decode(&twice)], 2), []);
    // What has been prepared is not due again.
    let (new, mut before) = (log.pay(&payer, &payee, 1).item, copy(&world));
    let mut submission = prepared(&before, &world.keys, &[new.clone(), new], 1);
    assert_eq!(due(&before, &mut [&mut submission], 1), []);
    let verdicts = before.submit(world.now, ENTROPY, submission, &world.keys).verdicts;
    assert_eq!(outcome_of(&verdicts[0]), Some((Outcome::Settled, false, false)));
    assert_eq!(outcome_of(&verdicts[1]), Some((Outcome::Settled, true, false)));
}

/// What was read with other keys than the books name is read again.
#[test]
fn a_stale_reading_is_not_believed() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    let items = [log.pay(&payer, &payee, 10).item];
    // Other books, in which the same author has another sealing key.
    let mut other = World::new();
    other.handle(Input::OpenCustomer { customer: customer(1) }).unwrap();
    let sealing = SealingSecret::from_bytes(&[77; 32]);
    other.handle(enrolment(&Wallet { sealing, ..Wallet::new(BANK, customer(1), 1) })).unwrap();
    other.fund(customer(1), 100);
    other.grant(&payer, 100, 0);

    let submit = |world: &World, prepared_for: &Bank| {
        let submission = prepared(prepared_for, &world.keys, &items, 1);
        let mut bank = copy(world);
        let outputs = bank.submit(world.now, ENTROPY, submission, &world.keys);
        (outputs.verdicts[0].clone(), bank.agreements())
    };
    let (verdict, agreements) = submit(&world, &world.bank);
    assert!(settled(&verdict) && agreements == 0, "the reading spares the bank its own");
    let (verdict, agreements) = submit(&world, &other.bank);
    assert!(settled(&verdict) && agreements == 1, "{verdict:?}");
    let (verdict, _) = submit(&other, &world.bank);
    assert!(matches!(verdict, Verdict::Held { wants: Wants::Disclosure, .. }), "{verdict:?}");

    // Nor what was read with a key that the bank has given up since.
    let submission = prepared(&world.bank, &world.keys, &items, 1);
    world.keys.sealing.clear();
    let outputs = copy(&world).submit(world.now, ENTROPY, submission, &world.keys);
    let held = matches!(outputs.verdicts[0], Verdict::Held { wants: Wants::Disclosure, .. });
    assert!(held, "{:?}", outputs.verdicts);
}
