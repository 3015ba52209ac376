//! Checkpoints that are signed later than what they tell of was decided: none is forgotten, none that
//! was overtaken is told, and what is told in the end is the same.

use crate::signed::rogue;
use crate::world::*;
use hundi_journal::bank::{Bank, Profile};
use hundi_journal::checkpoint::{Draft, SignedDraft};
use hundi_journal::event::{Change, Event};
use hundi_journal::input::{GrantTerms, Input};
use hundi_journal::output::Outputs;
use hundi_ledger::id::PublicKey;
use hundi_ledger::record::checkpoint::{Checkpoint, Outcome};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::PayeeVerdict::{Accepted, RefusedDeclined};

const ENTROPY: [u8; 32] = [6; 32];

fn submission(items: &[&Made]) -> Input {
    Input::Submit { items: items.iter().map(|made| made.item.clone()).collect() }
}

/// What a call does is kept nowhere but in the bank, unless a test stores it.
fn decide(world: &World, bank: &mut Bank, input: Input) -> Vec<Event> {
    let outputs = bank.decide(world.now, ENTROPY, input, &world.keys).unwrap();
    assert!(checkpoints(&outputs).is_empty(), "nothing is signed with the decision");
    outputs.events
}

fn draft(world: &World, bank: &Bank, max: usize) -> Vec<SignedDraft> {
    let drafts = bank.draft_checkpoints(ENTROPY, &world.keys, max);
    drafts.into_iter().map(|draft: Draft| draft.sign(&world.keys)).collect()
}

fn checkpoints(outputs: &Outputs) -> Vec<Checkpoint> {
    let checkpoint = |bytes: &Vec<u8>| match Item::decode(&network().id(), bytes).unwrap() {
        Item::Checkpoint(record) => Some(Checkpoint::clone(&record)),
        _ => None,
    };
    outputs.records.iter().filter_map(checkpoint).collect()
}

#[test]
fn a_draft_that_was_overtaken_is_not_recorded() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    world.fund(customer(1), 50);
    let (first, second) = (log.pay(&payer, &payee, 10), log.pay(&payer, &payee, 10));
    let mut decided = world.bank.clone();
    decide(&world, &mut decided, submission(&[&first]));
    let signed = draft(&world, &decided, 9);
    let recorded = decided.clone().record_checkpoints(world.now, signed.clone());
    assert_eq!(checkpoints(&recorded)[0].frontier.unwrap().sequence, 0, "nothing overtakes it");

    let terms = GrantTerms::prefunded(amount(50));
    let overtaking =
        [submission(&[&second]), Input::IssueGrant { author: payer.key(), terms }, Input::Bulletin];
    for input in overtaking {
        let mut bank = decided.clone();
        decide(&world, &mut bank, input.clone());
        let outputs = bank.record_checkpoints(world.now, signed.clone());
        assert_eq!(outputs, Outputs::default(), "overtaken by {input:?}");
        assert_eq!(bank.checkpoint_due(), Some(world.now), "and still due");
        let again = draft(&world, &bank, 9);
        let outputs = bank.record_checkpoints(world.now, again.clone());
        assert_eq!(outputs.records.len(), 1);
        assert_eq!(bank.checkpoint_due(), None);
        assert_eq!(bank.record_checkpoints(world.now, again), Outputs::default(), "once");
    }

    // What concerns others overtakes nothing.
    let mut bank = decided.clone();
    decide(&world, &mut bank, Input::OpenCustomer { customer: customer(7) });
    assert_eq!(bank.record_checkpoints(world.now, signed.clone()).records.len(), 1);
}

#[test]
fn a_bank_that_has_stopped_signs_nothing_and_forgets_nothing() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    let (first, second) = (log.pay(&payer, &payee, 10), log.pay(&payer, &payee, 10));
    world.submit_one(&first.item);
    let evidence = rogue(&world, &payer, 7);
    let mut bank = world.bank.clone();
    decide(&world, &mut bank, submission(&[&second]));
    let signed = draft(&world, &bank, 9);
    assert_eq!(signed.len(), 1);
    decide(&world, &mut bank, Input::Submit { items: vec![evidence] });
    assert!(bank.fault().is_some());
    assert_eq!(bank.checkpoint_due(), None);
    assert!(bank.draft_checkpoints(ENTROPY, &world.keys, 9).is_empty());
    assert_eq!(bank.record_checkpoints(world.now, signed), Outputs::default());
    decide(&world, &mut bank, Input::Resume);
    let told = checkpoints(&bank.sign_checkpoints(world.now, ENTROPY, &world.keys));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].number, told[0].frontier.unwrap().sequence), (8, 1), "above what was met");
}

#[test]
fn what_was_due_at_a_crash_is_due_afterwards() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    let made = log.pay(&payer, &payee, 10);
    let mut bank = world.bank.clone();
    let decided = decide(&world, &mut bank, submission(&[&made]));
    let stored: Vec<Event> = world.events.iter().chain(&decided).cloned().collect();
    let mut replayed = Bank::new(network(), BANK, Profile::default()).unwrap();
    stored.iter().for_each(|event| replayed.apply(event).unwrap());
    assert_eq!(replayed.snapshot(), bank.snapshot());
    let told = replayed.sign_checkpoints(world.now + 9, ENTROPY, &world.keys);
    assert_eq!(checkpoints(&told)[0].frontier.unwrap().hash, made.id);
    told.events.iter().for_each(|event| bank.apply(event).unwrap());
    assert_eq!((bank.checkpoint_due(), bank.snapshot()), (None, replayed.snapshot()));
}

#[test]
fn who_waits_for_longest_is_told_first() {
    let mut world = World::new();
    let mut payers: Vec<(Wallet, Log)> = (1..=3).map(|n| world.payer(n, 100)).collect();
    let payee = world.enrol(customer(9), 9);
    let mut bank = world.bank.clone();
    let since = world.now;
    for at in [2, 0, 1, 2] {
        let (wallet, log) = &mut payers[at];
        let made = log.pay(wallet, &payee, 1);
        decide(&world, &mut bank, submission(&[&made]));
        world.now += 1;
    }
    assert_eq!(bank.checkpoint_due(), Some(since));
    let told = bank.record_checkpoints(world.now, draft(&world, &bank, 2));
    let authors: Vec<PublicKey> = checkpoints(&told).iter().map(|it| it.author.key).collect();
    assert_eq!(authors, [payers[2].0.key(), payers[0].0.key()]);
    assert_eq!(bank.checkpoint_due(), Some(since + 2));
}

/// What a checkpoint tells, but for its number and salt.
fn told(checkpoint: &Checkpoint) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut names: Vec<(u32, Outcome)> =
        checkpoint.names.iter().map(|name| (name.sequence, name.outcome)).collect();
    names.sort_unstable();
    (checkpoint.frontier, checkpoint.live.clone(), checkpoint.carry_to, names)
}

#[test]
fn late_checkpoints_tell_the_same_and_are_fewer() {
    let mut world = World::new();
    let (wallets, mut logs): (Vec<Wallet>, Vec<Log>) =
        (1..=3).map(|n| world.payer(n, 1_000)).unzip();
    let mut late = world.bank.clone();
    for round in 0..90 {
        let (payer, payee) = (&wallets[round % 3], &wallets[(round + 1) % 3]);
        // A double spend near the end of one of them, and everything that payees say.
        let mut cheat = logs[round % 3].clone();
        let made = logs[round % 3].pay(payer, payee, 3);
        let mut items = vec![made.item.clone()];
        match round % 9 {
            0 => items.push(receipt(payee, &made, Accepted, 0)),
            4 => items.push(receipt(payee, &made, RefusedDeclined, 0)),
            _ if round == 80 => items.push(cheat.pay(payer, payee, 2).item),
            _ => {}
        }
        let input = Input::Submit { items };
        decide(&world, &mut late, input.clone());
        world.handle(input).unwrap();
    }
    let signed = |bank: &World, author: PublicKey| {
        let of = |event: &&Event| matches!(&event.change, Change::CheckpointSigned { author: of, .. } if *of == author);
        bank.events.iter().filter(of).count()
    };
    let last = checkpoints(&late.sign_checkpoints(world.now, ENTROPY, &world.keys));
    assert_eq!(last.len(), 3, "one for each");
    for wallet in &wallets {
        assert_eq!(signed(&world, wallet.key()), 30, "one for each submission");
        let late = last.iter().find(|it| it.author == wallet.author).unwrap();
        assert_eq!(late.number, 1);
        assert_eq!(told(late), told(&world.checkpoint(wallet).unwrap()));
    }
    assert_eq!(late.cases(), world.bank.cases(), "signing decides nothing");
}
