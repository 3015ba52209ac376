//! What a bank signs: checkpoints, bulletins, freezes, and evidence against the bank itself; and
//! a signer with a nonce of its own choice, to make second signatures.

use crate::world::*;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use hundi_journal::account::Account;
use hundi_journal::audit::Finding;
use hundi_journal::bank::{Bank, HandleError, Profile};
use hundi_journal::event::{Change, Event};
use hundi_journal::input::Input;
use hundi_journal::output::{Later, Rejected, Verdict};
use hundi_journal::transaction::{Key, Transaction};
use hundi_ledger::id::{Hash, Serial, Signature};
use hundi_ledger::record::bulletin::{Bulletin, freezes_digest};
use hundi_ledger::record::checkpoint::{Checkpoint, Outcome};
use hundi_ledger::record::freeze::{Freeze, FreezeReason};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::{VERSION, sign};
use sha2::{Digest, Sha512};

/// A valid Ed25519 signature of `message` that differs from the deterministic one.
pub fn with_nonce(seed: &[u8; 32], message: &[u8]) -> Signature {
    with_torsion(seed, message, 0)
}

/// The same with a point of small order in it, which verifiers that are not careful disagree about.
pub fn with_torsion(seed: &[u8; 32], message: &[u8], torsion: usize) -> Signature {
    let expanded = Sha512::digest(seed);
    let mut low: [u8; 32] = expanded[..32].try_into().unwrap();
    low[0] &= 248;
    low[31] = (low[31] & 127) | 64;
    let secret = Scalar::from_bytes_mod_order(low);
    let public = EdwardsPoint::mul_base(&secret).compress();
    let nonce = Scalar::from(123_456_789_u64);
    let commitment = (EdwardsPoint::mul_base(&nonce) + EIGHT_TORSION[torsion]).compress();
    let mut hasher = Sha512::new();
    hasher.update(commitment.as_bytes());
    hasher.update(public.as_bytes());
    hasher.update(message);
    let wide: [u8; 64] = hasher.finalize().into();
    let challenge = Scalar::from_bytes_mod_order_wide(&wide);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(commitment.as_bytes());
    signature[32..].copy_from_slice((nonce + challenge * secret).as_bytes());
    Signature(signature)
}

fn last_bulletin(world: &World) -> Bulletin {
    let bulletins = world.records.iter().filter_map(|item| match item {
        Item::Bulletin(record) => Some(Bulletin::clone(record)),
        _ => None,
    });
    bulletins.max_by_key(|bulletin| bulletin.epoch).unwrap()
}

#[test]
fn one_checkpoint_per_author_and_batch() {
    let mut world = World::new();
    let (a, mut log_a) = world.payer(1, 100);
    let (b, mut log_b) = world.payer(2, 100);
    let made: Vec<Made> =
        (0..3).flat_map(|_| [log_a.pay(&a, &b, 5), log_b.pay(&b, &a, 5)]).collect();
    let items: Vec<&[u8]> = made.iter().map(|made| &made.item[..]).collect();
    let before = world.records.len();
    world.submit(&items);
    let numbers: Vec<u32> = world.records[before..]
        .iter()
        .map(|item| match item {
            Item::Checkpoint(record) => record.number,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(numbers, [1, 1]);
    world.submit(&items);
    assert_eq!(world.records.len(), before + 2, "nothing new, nothing signed");
    let first = world.checkpoint(&a).unwrap();
    world.submit_one(&log_a.pay(&a, &b, 5).item);
    let second = world.checkpoint(&a).unwrap();
    assert_eq!((first.number, second.number), (1, 2));
    assert_ne!(first.salt, second.salt, "names are salted afresh");
    assert_eq!(second.carry_to, second.undecided_from() + 63);
    world.check();
}

#[test]
fn names_hold_the_last_64_and_what_is_not_settled_until_claim_until() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 1_000);
    let payee = world.enrol(customer(2), 2);
    let refused = log.pay(&payer, &payee, 1);
    let refusal =
        receipt(&payee, &refused, hundi_ledger::record::receipt::PayeeVerdict::RefusedDeclined, 0);
    world.submit(&[&refused.item, &refusal]);
    let made: Vec<Made> = (0..100).map(|_| log.pay(&payer, &payee, 1)).collect();
    let items: Vec<&[u8]> = made.iter().map(|made| &made.item[..]).collect();
    world.submit(&items);
    let checkpoint = world.checkpoint(&payer).unwrap();
    assert_eq!(checkpoint.frontier.unwrap().hash, made[99].id);
    assert_eq!(checkpoint.names.len(), 65);
    assert_eq!(checkpoint.outcome(0, &refused.id), Some(Outcome::RejectedRefused));
    assert_eq!(checkpoint.outcome(100, &made[99].id), Some(Outcome::Settled));
    assert_eq!(checkpoint.outcome(1, &made[0].id), None, "decided and settled, so not named");
    world.tick_at(CLAIM_UNTIL);
    world.fund(customer(1), 10);
    let serial = world.grant(&payer, 10, 0);
    log.serial = serial;
    log.total = 0;
    world.submit_one(&log.pay(&payer, &payee, 1).item);
    let checkpoint = world.checkpoint(&payer).unwrap();
    assert_eq!(checkpoint.outcome(0, &refused.id), None, "its grant has lapsed");
    let live: Vec<u16> = checkpoint.live.iter().map(|live| live.serial.0).collect();
    assert_eq!(live, [0, serial.0]);
    world.check();
}

#[test]
fn bulletins_keep_to_the_step_and_cover_the_freezes_before_them() {
    let mut world = World::new();
    let (payer, _) = world.payer(1, 100);
    for (after, expected) in [(0, START), (30, START + 30), (10_000, START + 10_000)] {
        world.now = START + after;
        world.handle(Input::Bulletin).unwrap();
        let bulletin = last_bulletin(&world);
        assert!(bulletin.keeps_time(&network()));
        assert_eq!(u64::from(bulletin.time), expected);
        assert_eq!(bulletin.freezes, 0);
    }
    let before = last_bulletin(&world).epoch;
    let freeze = || Input::Freeze { author: payer.key(), reason: FreezeReason::Lost };
    world.handle(freeze()).unwrap();
    world.handle(freeze()).unwrap();
    let state = world.bank.authors()[&payer.key()].freeze.unwrap();
    assert!(state.epoch > before, "an earlier bulletin cannot have covered it");
    world.handle(Input::Bulletin).unwrap();
    let bulletin = last_bulletin(&world);
    assert!(bulletin.epoch >= state.epoch);
    assert_eq!(bulletin.freezes, 1);
    assert_eq!(bulletin.freezes_digest, freezes_digest(&network().id(), vec![state.id]));
    let stated = world.events.iter().rev().find_map(|event| match event.change {
        Change::BulletinSigned { .. } => Some(event.number),
        _ => None,
    });
    let head = world.events[..stated.unwrap() as usize - 1]
        .iter()
        .fold(Hash([0; 32]), |head, event| event.chain(&head));
    assert_eq!(bulletin.journal_head, head);
    world.check();
}

/// A checkpoint with the bank's true signature that its books never made.
pub fn rogue(world: &World, wallet: &Wallet, number: u32) -> Vec<u8> {
    let mut checkpoint = world.checkpoint(wallet).unwrap();
    checkpoint.number = number;
    checkpoint.salt = [9; 16];
    let signed = sign(&network().id(), checkpoint, &keys(BANK).settle).unwrap();
    Item::Checkpoint(signed.into_inner()).encode()
}

#[test]
fn two_contents_under_one_version_stop_the_bank() {
    for number in [1, 7] {
        let mut world = World::new();
        let (payer, mut log) = world.payer(1, 100);
        let payee = world.enrol(customer(2), 2);
        world.submit_one(&log.pay(&payer, &payee, 10).item);
        let own: Vec<Vec<u8>> = world.records.iter().map(Item::encode).collect();
        for record in &own {
            let verdict = world.submit_one(record);
            assert!(matches!(verdict, Verdict::Taken { duplicate: true, .. }), "{verdict:?}");
        }
        let evidence = rogue(&world, &payer, number);
        let next = log.pay(&payer, &payee, 10);
        let verdicts = world.submit(&[&next.item, &evidence]);
        assert_eq!(verdicts, vec![Verdict::Later(Later::Stopped); 2]);
        assert!(world.bank.fault().is_some());
        let records = world.records.len();
        assert_eq!(world.handle(Input::Bulletin).unwrap_err(), HandleError::Stopped);
        assert_eq!(world.submit_one(&next.item), Verdict::Later(Later::Stopped));
        assert_eq!(world.records.len(), records, "nothing is signed");
        world.handle(Input::Resume).unwrap();
        assert!(settled(&world.submit_one(&next.item)));
        let again = world.submit_one(&evidence);
        assert!(matches!(again, Verdict::Taken { duplicate: true, .. }), "looked into already");
        world.check();
    }
}

/// Books restored from an old copy meet what the bank signed since: once an operator has looked
/// into it, the bank goes on above it and signs no second content under one version.
#[test]
fn books_that_lack_something_go_on_above_it() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    world.submit_one(&log.pay(&payer, &payee, 10).item);
    world.handle(Input::Bulletin).unwrap();
    let (id, own) = (network().id(), keys(BANK));
    let mut bulletin = last_bulletin(&world);
    bulletin.epoch += 5;
    let freeze = Freeze {
        version: VERSION,
        author: payee.author,
        certificate: own.issue_certificate,
        epoch: world.bank.epoch(),
        reason: FreezeReason::Lost,
    };
    let freeze = sign(&id, freeze, &own.issue).unwrap().into_inner();
    let mut grant = world.bank.grant(&payer.key(), Serial(1)).unwrap().grant.clone();
    grant.serial = Serial(4);
    let lost = [
        rogue(&world, &payer, 7),
        Item::Bulletin(sign(&id, bulletin.clone(), &own.settle).unwrap().into_inner()).encode(),
        Item::Freeze(freeze.clone()).encode(),
        Item::Grant(sign(&id, grant, &own.issue).unwrap().into_inner()).encode(),
    ];
    for item in &lost {
        assert_eq!(world.submit_one(item), Verdict::Later(Later::Stopped));
        world.handle(Input::Resume).unwrap();
        assert!(matches!(world.submit_one(item), Verdict::Taken { duplicate: true, .. }));
    }
    world.submit_one(&log.pay(&payer, &payee, 10).item);
    assert_eq!(world.checkpoint(&payer).unwrap().number, 9);
    world.fund(customer(1), 10);
    assert_eq!(world.grant(&payer, 10, 0), Serial(5));
    world.handle(Input::Bulletin).unwrap();
    let next = last_bulletin(&world);
    assert_eq!(next.epoch, bulletin.epoch + 1);
    // The freeze stands: it is in the digest, it is signed once, and there is no further grant.
    assert_eq!(next.freezes_digest, freezes_digest(&id, vec![freeze.id()]));
    let reason = FreezeReason::Decision;
    world.handle(Input::Freeze { author: payee.key(), reason }).unwrap();
    let freezes = world.records.iter().filter(|item| matches!(item, Item::Freeze(_)));
    assert_eq!(freezes.count(), 0);
    world.fund(customer(2), 10);
    let terms = hundi_journal::input::GrantTerms::prefunded(amount(10));
    assert!(world.handle(Input::IssueGrant { author: payee.key(), terms }).is_err());
    world.check();
}

/// A checkpoint that the books lack is in force in the mesh. What the books say is told above it at
/// once: its author's next entry may never come.
#[test]
fn a_resumed_bank_tells_what_its_books_say() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    world.submit_one(&log.pay(&payer, &payee, 10).item);
    world.submit_one(&rogue(&world, &payer, 7));
    world.handle(Input::Resume).unwrap();
    assert_eq!(world.checkpoint(&payer).unwrap().number, 8);
    world.handle(Input::Resume).unwrap();
    assert_eq!(world.checkpoint(&payer).unwrap().number, 8, "there was nothing to resume");
    world.check();
}

/// The copy is older than the enrolment of the author that the record is about.
#[test]
fn a_record_about_somebody_whom_the_books_do_not_know_is_gone_on_above_too() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    world.submit_one(&log.pay(&payer, &payee, 10).item);
    let mut checkpoint = world.checkpoint(&payer).unwrap();
    checkpoint.author = Wallet::new(BANK, customer(3), 3).author;
    let signed = sign(&network().id(), checkpoint, &keys(BANK).settle).unwrap();
    let lost = Item::Checkpoint(signed.into_inner()).encode();
    assert_eq!(world.submit_one(&lost), Verdict::Later(Later::Stopped));
    let records = world.records.len();
    world.handle(Input::Resume).unwrap();
    assert_eq!(world.records.len(), records, "there is nothing to say about it");
    assert!(matches!(world.submit_one(&lost), Verdict::Taken { duplicate: true, .. }));
    assert!(settled(&world.submit_one(&log.pay(&payer, &payee, 10).item)));
    world.check();
}

#[test]
fn bank_b_cannot_sign_for_the_author_of_bank_a() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    world.submit_one(&log.pay(&payer, &payee, 10).item);
    let other = keys(OTHER);
    let id = network().id();
    let freeze = |certificate| Freeze {
        version: VERSION,
        author: payer.author,
        certificate,
        epoch: 1,
        reason: FreezeReason::Decision,
    };
    let mut checkpoint = Checkpoint::clone(&world.checkpoint(&payer).unwrap());
    checkpoint.number = 9;
    let items = [
        Item::Freeze(sign(&id, freeze(1), &other.issue).unwrap().into_inner()).encode(),
        Item::Checkpoint(sign(&id, checkpoint, &other.settle).unwrap().into_inner()).encode(),
    ];
    for item in items {
        assert_eq!(world.submit_one(&item), Verdict::Rejected(Rejected::Signature));
    }
    // With this bank's own settling key, which may not freeze.
    let wrong_role = sign(&id, freeze(2), &keys(BANK).settle).unwrap().into_inner();
    let verdict = world.submit_one(&Item::Freeze(wrong_role).encode());
    assert_eq!(verdict, Verdict::Rejected(Rejected::Signature));
    let foreign = Item::Certificate(certificate(OTHER, 1)).encode();
    assert_eq!(world.submit_one(&foreign), Verdict::Later(Later::OtherBank));
    assert!(world.bank.fault().is_none());
    world.check();
}

#[test]
fn a_stored_journal_replays_erases_and_shows_damage() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    let made: Vec<Made> = (0..4).map(|_| log.pay(&payer, &payee, 10)).collect();
    let items: Vec<&[u8]> = made.iter().map(|made| &made.item[..]).collect();
    world.submit(&items);
    world.check();
    let head = world.bank.journal_head();
    // Erased bodies leave the journal hash as it is, and only evidence is missing.
    let erased: Vec<Event> = world.events.iter().cloned().map(Event::erased).collect();
    let report = hundi_journal::audit::audit(network().id(), BANK, &erased);
    assert_eq!((report.head, report.erased, report.findings.len()), (head, 4, 0));
    let mut replayed = Bank::new(network(), BANK, Profile::default()).unwrap();
    erased.iter().for_each(|event| replayed.apply(event).unwrap());
    assert_eq!(replayed.snapshot(), world.bank.snapshot());
    // A snapshot is the same bank.
    let snapshot = world.bank.snapshot();
    let restored = Bank::restore(network(), Profile::default(), &snapshot).unwrap();
    assert_eq!(restored.snapshot(), snapshot);
    // A missing event does not apply; a changed one shows in the hash; a settlement whose
    // evidence was taken away shows in the audit.
    let mut bank = Bank::new(network(), BANK, Profile::default()).unwrap();
    assert!(bank.apply(&world.events[1]).is_err());
    let mut changed = world.events.clone();
    changed[3].at += 1;
    let report = hundi_journal::audit::audit(network().id(), BANK, &changed);
    assert_ne!(report.head, head);
    let mut forged = world.events.clone();
    for event in &mut forged {
        if let Change::EntryReceived { header, .. } = &mut event.change {
            header.signature = Signature([1; 64]);
        }
    }
    let report = hundi_journal::audit::audit(network().id(), BANK, &forged);
    assert_eq!(report.findings.len(), 4);
    let mut twice = world.events.clone();
    let again = twice.iter().find(|event| !event.transactions.is_empty()).unwrap().clone();
    twice.push(again);
    let report = hundi_journal::audit::audit(network().id(), BANK, &twice);
    assert!(report.findings.len() >= 2, "numbering and key: {:?}", report.findings);
}

#[test]
fn the_auditor_sees_what_an_honest_bank_never_does() {
    let mut world = World::new();
    let (payer, mut log) = world.payer(1, 100);
    let payee = world.enrol(customer(2), 2);
    world.submit_one(&log.pay(&payer, &payee, 10).item);
    let at = world.events.iter().position(|event| {
        event.transactions.iter().any(|transaction| matches!(transaction.key(), Key::Settle(_)))
    });
    let at = at.unwrap();
    let Key::Settle(id) = world.events[at].transactions[0].key() else { panic!("a settlement") };
    let found = |debit: Account, minor: u64, times: usize| {
        let mut events = world.events[..=at].to_vec();
        let credit = Account::Customer(customer(2));
        let paid = Transaction::transfer(Key::Settle(id), inr(), debit, credit, amount(minor));
        events[at].transactions = vec![paid.unwrap(); times];
        hundi_journal::audit::audit(network().id(), BANK, &events).findings
    };
    let (number, reserve) = (at as u64 + 1, Account::Reserve(payer.author, Serial(1)));
    assert_eq!(found(reserve, 10, 1), []);
    assert_eq!(found(reserve, 9, 1), [Finding::WrongAmount(number, id)]);
    let twice = [Finding::Twice(number), Finding::SettledTwice(number, id)];
    assert_eq!(found(reserve, 10, 2), twice);
    let insolvent =
        [Finding::WrongAmount(number, id), Finding::Insolvent(number, payer.author, Serial(1))];
    assert_eq!(found(Account::Nostro, 101, 1), insolvent);
    let unfunded: Vec<Event> = world
        .events
        .iter()
        .cloned()
        .map(|mut event| {
            if matches!(event.change, Change::GrantIssued { .. }) {
                event.transactions.clear();
            }
            event
        })
        .collect();
    let findings = hundi_journal::audit::audit(network().id(), BANK, &unfunded).findings;
    assert!(matches!(findings[0], Finding::Unfunded(..)), "{findings:?}");
    assert!(matches!(findings[1], Finding::Overdrawn(..)), "{findings:?}");
}
