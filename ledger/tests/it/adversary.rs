//! What somebody hostile signs, replays, withholds or floods, through the public interface.

use crate::world::{
    self, A, B, EPOCH, Node, START, Writer, amount, author, author_key, bulletin_with, certificate,
    certificate_with, checkpoint_at, checkpoint_with, freeze_with, grant, grant_with, id, live,
    names, network_named, online, proof, receipt, signed,
};
use hundi_ledger::id::Hash;
use hundi_ledger::limits::{
    CACHE_ENTRIES_PER_AUTHOR_MAX, CACHE_RECEIPTS_PER_SIGNER_MAX, CARRY_WINDOW,
    CERTIFICATES_PER_BANK_MAX,
};
use hundi_ledger::record::certificate::{ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::checkpoint::{Frontier, Outcome};
use hundi_ledger::record::entry::{Entry, Header, Kind, Position, body_hash};
use hundi_ledger::record::freeze::FreezeReason;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::proof::Proof;
use hundi_ledger::replica::{Change, Key, Replica, Status};
use hundi_ledger::trust::{VerifiedItem, VerifyError};

/// A node that knows the first bank and both grants of author 1.
fn node() -> Node {
    let one = author(A, 1);
    Node::with(&[certificate(A, 1, &[]), grant(one, 0), grant(one, 1)])
}

/// Of two items, the one whose id is lower first.
fn by_id(a: Vec<u8>, b: Vec<u8>) -> [Vec<u8>; 2] {
    let of = |bytes: &[u8]| Item::decode(&id(), bytes).unwrap().id();
    if of(&a) < of(&b) { [a, b] } else { [b, a] }
}

/// Both nodes hold the same core after they have told each other everything twice.
fn converge(a: &mut Node, b: &mut Node) {
    for _ in 0..2 {
        a.merge(b);
        b.merge(a);
    }
    assert_eq!(a.digest(), b.digest());
}

#[test]
fn nothing_is_replayed_on_another_network() {
    let elsewhere = network_named("Elsewhere");
    let mut payer = Writer::new(A, 1);
    let (one, two) = (payer.pay(10), payer.sign(payer.at(0, 1, 0, 11), b""));
    let items = [
        certificate(A, 1, &[]),
        grant(payer.id, 0),
        checkpoint_with(payer.id, 1, |_| {}),
        freeze_with(payer.id, |_| {}),
        bulletin_with(A, 1, START, |_| {}),
        one.bytes.clone(),
        proof(&one, &two),
        receipt(payer.id, 1, 1),
    ];
    let mut there = Replica::new(elsewhere.clone());
    let own = Item::decode(&elsewhere.id(), &items[0]).unwrap();
    assert!(matches!(there.trust().verify(own), Err(VerifyError::Signature(_))));
    // Even where bank and certificate are the same in both networks, no signature holds.
    let record = match Item::decode(&id(), &items[0]).unwrap() {
        Item::Certificate(record) => (*record).clone(),
        _ => unreachable!(),
    };
    let there_signed =
        hundi_ledger::record::sign(&elsewhere.id(), record, &world::root(A)).unwrap();
    let _ = there.apply(VerifiedItem::Certificate(there_signed), &world::MemoryShelf::default());
    for bytes in &items {
        // In another network the headers of a proof have other hashes, and perhaps another order.
        let Ok(item) = Item::decode(&elsewhere.id(), bytes) else {
            assert_eq!(bytes[0], 6);
            continue;
        };
        let verified = there.trust().verify(item);
        assert!(matches!(verified, Err(VerifyError::Signature(_))), "{verified:?}");
    }
}

#[test]
fn nothing_is_replayed_as_another_kind_bank_author_or_grant() {
    let mut payer = Writer::new(A, 1);
    let entry = payer.pay(10);
    let trust = node().replica.trust().clone();
    // Any byte of what is signed names something: no other value verifies.
    for at in 1..entry.bytes.len() {
        let mut forged = entry.bytes.clone();
        forged[at] ^= 1;
        let verified = Item::decode(&id(), &forged).map(|item| trust.verify(item).is_ok());
        assert_ne!(verified, Ok(true), "byte {at}");
    }
    // A signature of one record kind under the tag of another.
    let grant = grant(payer.id, 1);
    for tag in 1..=8u8 {
        let mut other = grant.clone();
        other[0] = tag;
        let verified = Item::decode(&id(), &other).map(|item| trust.verify(item).is_ok());
        assert_eq!(verified == Ok(true), tag == 2, "tag {tag}");
    }
}

#[test]
fn a_bank_cannot_sign_for_anothers_author() {
    let mut node = node();
    node.take(&certificate(B, 1, &[])).unwrap();
    let victim = author(A, 1);
    // Signed with the other bank's key, naming the victim as it is.
    let key = online(B, 1);
    let forged = [
        signed(world::grant_record(victim, 2), &key, Item::Grant),
        {
            let record = checkpoint_with(victim, 9, |_| {});
            let Item::Checkpoint(record) = Item::decode(&id(), &record).unwrap() else { panic!() };
            signed((*record).clone(), &key, Item::Checkpoint)
        },
        {
            let record = freeze_with(victim, |_| {});
            let Item::Freeze(record) = Item::decode(&id(), &record).unwrap() else { panic!() };
            signed((*record).clone(), &key, Item::Freeze)
        },
    ];
    for item in &forged {
        assert_eq!(node.take(item), None, "does not verify");
    }
    // Naming (B, key) it may sign; that says nothing about (A, key).
    let other = author(B, 1);
    assert_eq!(node.take(&grant(other, 0)), Some(Status::Stored));
    assert_eq!(node.take(&freeze_with(other, |_| {})), Some(Status::Stored));
    assert!(node.replica.is_frozen(&other) && !node.replica.is_frozen(&victim));
}

#[test]
fn one_key_enrolled_at_two_banks_is_two_authors() {
    let mut node = node();
    let (mut here, mut there) = (Writer::new(A, 1), Writer::new(B, 1));
    for item in [certificate(B, 1, &[]), grant(there.id, 0), grant(there.id, 1)] {
        node.take(&item).unwrap();
    }
    let (a, b) = (here.pay(10), there.pay(99));
    assert_eq!(node.take(&a.bytes), Some(Status::Stored));
    assert_eq!(node.take(&b.bytes), Some(Status::Stored), "no contradiction across banks");
    assert!(Proof::new(&id(), &a.entry.verified_header(), &b.entry.verified_header()).is_none());
    let again = there.sign(there.at(0, 1, 0, 98), b"");
    assert_eq!(node.take(&again.bytes), Some(Status::Cached));
    assert!(node.proven(&there.id) && !node.proven(&here.id));
    assert_eq!(node.core(&here.id), [0]);
}

#[test]
fn a_misfit_is_proven_once_the_withheld_middle_arrives() {
    let mut node = node();
    let mut payer = Writer::new(A, 1);
    let (first, middle) = (payer.pay(10), payer.pay(20));
    // Claims to follow the middle, and starts elsewhere.
    let misfit =
        payer.sign(Header { spent_total: amount(45), ..payer.next(Kind::PAYMENT, 1, 5) }, b"");
    assert_eq!(node.take(&first.bytes), Some(Status::Stored));
    assert_eq!(node.take(&misfit.bytes), Some(Status::Stored), "nothing to compare it with");
    let applied = node.apply(&middle.bytes).unwrap();
    assert_eq!(applied.proven, Some(payer.id));
    assert!(node.core(&payer.id).is_empty());
}

#[test]
fn a_document_and_a_payment_may_have_one_sequence_number() {
    let mut node = node();
    let mut payer = Writer::new(A, 1);
    let document = payer.sign(payer.next(Kind::DOCUMENT, 0, 0), b"sealed");
    let payment = payer.pay(10);
    assert_eq!(document.claim.sequence(), payment.claim.sequence());
    assert_eq!(node.take(&payment.bytes), Some(Status::Stored));
    assert_eq!(node.take(&document.bytes), Some(Status::Stored));
    assert!(!node.proven(&payer.id));
    let other = payer.sign(Header { time: 7, ..payer.at(0, 0, 0, 0).into_document() }, b"sealed");
    assert_eq!(node.apply(&other.bytes).unwrap().proven, Some(payer.id), "two documents do");
}

trait IntoDocument {
    fn into_document(self) -> Header;
    fn into_refund(self) -> Header;
}

impl IntoDocument for Header {
    fn into_document(self) -> Header {
        Header { kind: Kind::DOCUMENT, ..self }
    }

    fn into_refund(self) -> Header {
        Header { kind: Kind::REFUND, ..self }
    }
}

#[test]
fn a_certified_flooder_stops_at_its_window() {
    let mut node = node();
    let mut payer = Writer::new(A, 1);
    let statuses: Vec<Status> = (0..200)
        .map(|_| node.take(&payer.append(Kind::REFUND, 1, 0, b"").bytes).unwrap())
        .collect();
    let stored = statuses.iter().filter(|status| status.is_new()).count();
    assert_eq!(stored, 41, "0 to carry_to");
    assert!(statuses[41..].iter().all(|status| *status == Status::BeyondWindow));
    let documents = (0..200)
        .map(|_| payer.append(Kind::DOCUMENT, 0, 0, b""))
        .filter(|one| node.take(&one.bytes).unwrap().is_new());
    assert!(documents.count() <= CARRY_WINDOW as usize);
}

/// The author has a long history; the relay holds its newest grant and not its checkpoint.
#[test]
fn a_flooder_stops_where_only_the_grant_is_held() {
    let mut node = node();
    let payer = Writer::new(A, 1);
    let newest = grant_with(payer.id, 2, |grant| {
        (grant.first_sequence, grant.carry_to) = (10_000, 10_063);
    });
    node.take(&newest).unwrap();
    // Every second number, so that no two are neighbours that do not fit.
    let stored = (0..5_000)
        .map(|at| payer.sign(payer.at(at * 2, 0, 0, 0).into_refund(), b""))
        .filter(|one| node.take(&one.bytes).unwrap().is_new())
        .count();
    assert_eq!(stored, 0, "long decided, as the grant's window says");
    let documents = (0..5_000)
        .map(|at| payer.sign(payer.at(at * 2, 0, 0, 0).into_document(), b""))
        .filter(|one| node.take(&one.bytes).unwrap().is_new())
        .count();
    assert!(documents <= CARRY_WINDOW as usize, "{documents}");
}

#[test]
fn the_uncertified_are_not_stored() {
    let mut node = node();
    let mut stranger = Writer::new(A, 2);
    let before = node.shelf.0.len();
    for _ in 0..50 {
        assert_eq!(node.take(&stranger.pay(1).bytes), Some(Status::MissingGrant));
    }
    let pair = [5, 6].map(|minor| stranger.sign(stranger.at(90, 1, 500, minor), b""));
    assert_eq!(node.take(&proof(&pair[0], &pair[1])), Some(Status::MissingGrant));
    assert_eq!(node.take(&receipt(stranger.id, 2, 1)), Some(Status::MissingGrant));
    let checkpoint = checkpoint_with(stranger.id, 1, |_| {});
    assert_eq!(node.take(&checkpoint), Some(Status::MissingGrant));
    assert_eq!(node.take(&freeze_with(stranger.id, |_| {})), Some(Status::MissingGrant));
    assert_eq!(node.shelf.0.len(), before);
    assert!(node.author(&stranger.id).is_none());
}

/// Invariant I8: two headers and a bounded cache.
#[test]
fn a_hundred_thousand_contradicting_entries() {
    let mut node = node();
    let payer = Writer::new(A, 1);
    let (before, key) = (node.shelf.0.len(), author_key(1));
    let mut proven = 0;
    for time in 0..100_000u32 {
        let header = Header {
            version: 1,
            kind: Kind::PAYMENT,
            author: payer.id,
            position: Position::First,
            time,
            serial: hundi_ledger::id::Serial(1),
            amount: amount(5),
            spent_total: amount(5),
            body_hash: body_hash(&id(), b""),
        };
        let entry = Entry::sign(&id(), header, vec![], &key).unwrap();
        let applied = node.replica.apply(VerifiedItem::Entry(entry), &node.shelf);
        proven += usize::from(applied.proven.is_some());
        for change in applied.changes {
            match change {
                Change::Put { key, bytes } => drop(node.shelf.0.insert(key, bytes)),
                Change::Delete { key } => drop(node.shelf.0.remove(&key)),
            }
        }
    }
    assert_eq!(proven, 1);
    let known = node.author(&payer.id).unwrap();
    assert_eq!(known.entries().count(), 0);
    assert_eq!(known.cached().count(), CACHE_ENTRIES_PER_AUTHOR_MAX);
    assert_eq!(node.shelf.0.len() - before, 1 + CACHE_ENTRIES_PER_AUTHOR_MAX, "and the proof");
}

#[test]
fn receipts_of_one_signer_are_bounded() {
    let mut node = node();
    let signer = author(A, 1);
    for content in 0..=255 {
        assert_eq!(node.take(&receipt(signer, 1, content)), Some(Status::Cached));
    }
    assert_eq!(node.replica.receipts().count(), CACHE_RECEIPTS_PER_SIGNER_MAX);
    let stored = node.shelf.0.keys().filter(|key| matches!(key, Key::Receipt(..))).count();
    assert_eq!(stored, CACHE_RECEIPTS_PER_SIGNER_MAX);
}

#[test]
fn two_records_of_one_version_are_a_fault() {
    let one = author(A, 1);
    let pairs = [
        by_id(certificate(A, 2, &[]), certificate(A, 2, &[(1, 9)])),
        by_id(grant(one, 1), grant_with(one, 1, |grant| grant.limit = amount(2_000))),
        by_id(
            checkpoint_with(one, 3, |_| {}),
            checkpoint_with(one, 3, |record| record.salt = [8; 16]),
        ),
        by_id(
            freeze_with(one, |_| {}),
            freeze_with(one, |freeze| freeze.reason = FreezeReason::Decision),
        ),
        by_id(
            bulletin_with(A, 3, START, |_| {}),
            bulletin_with(A, 3, START, |bulletin| bulletin.journal_head = Hash([2; 32])),
        ),
    ];
    for pair in &pairs {
        let fresh = || Node::with(&[certificate(A, 1, &[]), grant(one, 0)]);
        let mut digests = Vec::new();
        for order in [[0, 1], [1, 0]] {
            let mut node = fresh();
            assert_eq!(node.apply(&pair[order[0]]).unwrap().fault, None);
            let applied = node.apply(&pair[order[1]]).unwrap();
            let fault = applied.fault.unwrap();
            assert_eq!(fault.arrived, pair[order[1]]);
            assert_eq!(fault.held, Item::decode(&id(), &pair[order[0]]).unwrap().id());
            digests.push(node.digest());
        }
        assert_eq!(digests[0], digests[1], "whichever came first");
    }
}

/// An entry that one checkpoint disputed waits in the cache; when another takes that one's place
/// and admits the entry, it is in the core again, as at a node that never saw the first.
#[test]
fn what_a_better_record_admits_leaves_the_cache() {
    let mut payer = Writer::new(A, 1);
    let written: Vec<_> = (0..3).map(|_| payer.pay(10)).collect();
    for salt in 0..32u8 {
        let disputes = checkpoint_with(payer.id, 1, |record| {
            record.salt = [salt; 16];
            record.frontier = Some(Frontier { sequence: 1, hash: Hash([1; 32]) });
        });
        let admits = checkpoint_with(payer.id, 1, |_| {});
        if by_id(disputes.clone(), admits.clone())[1] != admits {
            continue;
        }
        let (mut a, mut b) = (node(), node());
        b.take(&admits).unwrap();
        for one in &written {
            a.take(&one.bytes).unwrap();
            b.take(&one.bytes).unwrap();
        }
        a.take(&disputes).unwrap();
        assert_eq!(a.author(&payer.id).unwrap().cached().count(), 1, "disputed");
        a.take(&admits).unwrap();
        assert!(a.core(&payer.id).contains(&1));
        converge(&mut a, &mut b);
        assert_eq!(a.core(&payer.id), [0, 1, 2]);
        return;
    }
    panic!("no salt gave the order");
}

/// Whoever was paid at a place that the bank decided otherwise may never meet a gateway: relays
/// carry it there, however far beyond its frontier the bank has the author carried.
#[test]
fn what_contradicts_a_decided_entry_is_carried_in_the_cache() {
    let mut payer = Writer::new(A, 1);
    let mut copy = payer.clone();
    let (first, last) = (payer.pay(10), payer.pay(10));
    let (at_name, at_frontier) = (copy.pay(20), copy.pay(20));
    let decided = checkpoint_with(payer.id, 1, |record| {
        record.frontier = Some(Frontier { sequence: 1, hash: last.claim.id });
        record.carry_to = 1 + CARRY_WINDOW;
        record.live = live(1, 20);
        record.names = names(&[(&first.claim, Outcome::Settled)]);
    });
    let mut before = node();
    for item in [&at_name.bytes, &at_frontier.bytes, &decided] {
        assert_eq!(before.take(item), Some(Status::Stored));
    }
    let mut after = node();
    assert_eq!(after.take(&decided), Some(Status::Stored));
    for one in [&at_name, &at_frontier] {
        assert_eq!(after.take(&one.bytes), Some(Status::Cached));
    }
    for one in [&first, &last] {
        assert_eq!(after.take(&one.bytes), Some(Status::Decided));
    }
    for node in [&before, &after] {
        let known = node.author(&payer.id).unwrap();
        assert_eq!((known.entries().count(), known.cached().count()), (0, 2));
    }
}

#[test]
fn an_entry_out_of_the_core_still_contradicts_one_in_it() {
    let mut payer = Writer::new(A, 1);
    let first = payer.pay(10);
    let settled = payer.pay(10);
    let position = settled.claim.position;
    let other = payer.sign(Header { position, time: 1, ..payer.at(1, 1, 10, 10) }, b"");
    let named = checkpoint_with(payer.id, 1, |record| {
        record.names = names(&[(&settled.claim, Outcome::Settled)]);
    });
    let mut decided = node();
    for item in [&first.bytes, &named, &other.bytes] {
        assert_eq!(decided.take(item), Some(Status::Stored));
    }
    let applied = decided.apply(&settled.bytes).unwrap();
    assert_eq!(applied.proven, Some(payer.id), "named by the checkpoint, and contradicted");

    // Beyond the window, and against the grant.
    for header in [payer.at(41, 1, 5, 3), payer.at(7, 1, 5, 1_000)] {
        let mut node = node();
        node.take(&settled.bytes).unwrap();
        let applied = node.apply(&payer.sign(header, b"").bytes).unwrap();
        assert_eq!(applied.proven, Some(payer.id));
        assert!(node.proven(&payer.id));
    }
}

/// Two certificates with one number, a fault of the root: what the displaced key signed is held by
/// nobody, so that those who saw it and those who did not agree.
#[test]
fn a_displaced_certificate_takes_its_records_along() {
    let one = author(A, 1);
    let second = online(A, 77);
    let pair = by_id(
        certificate(A, 1, &[]),
        certificate_with(A, 1, &[], |record| record.key = second.public()),
    );
    let [displaced, stays] = pair;
    let key =
        |bytes: &[u8]| if *bytes == certificate(A, 1, &[]) { online(A, 1) } else { online(A, 77) };
    let by =
        |bytes: &[u8], serial| signed(world::grant_record(one, serial), &key(bytes), Item::Grant);
    let mut a = Node::with(&[displaced.clone(), by(&displaced, 0), by(&displaced, 1)]);
    let mut b = Node::with(&[stays.clone(), by(&stays, 0)]);
    assert!(a.author(&one).is_some());
    converge(&mut a, &mut b);
    let known = a.author(&one).unwrap();
    assert_eq!(known.grants().count(), 1);
}

#[test]
fn a_certificate_beyond_the_newest_takes_its_records_along() {
    let one = author(A, 1);
    let last = CERTIFICATES_PER_BANK_MAX as u16 + 1;
    let newest = |node: &mut Node| {
        for number in 2..=last {
            node.take(&certificate(A, number, &[])).unwrap();
        }
    };
    let later = grant_with(one, 1, |grant| grant.certificate = last);
    let (mut a, mut b) = (node(), Node::default());
    newest(&mut a);
    newest(&mut b);
    assert!(!a.shelf.0.contains_key(&Key::Certificate(A, 1)), "and its bytes are deleted");
    b.take(&later).unwrap();
    converge(&mut a, &mut b);
    assert_eq!(b.author(&one).unwrap().grants().count(), 1);
}

#[test]
fn roles_are_kept_apart() {
    let one = author(A, 1);
    let role = |roles| certificate_with(A, 1, &[], |record| record.roles = roles);
    let issue = Node::with(&[role(ROLE_ISSUE)]);
    let settle = Node::with(&[role(ROLE_SETTLE)]);
    let takes = |node: &Node, item: &[u8]| node.clone().take(item).is_some();
    for (item, issued) in [
        (grant(one, 0), true),
        (freeze_with(one, |_| {}), true),
        (checkpoint_with(one, 1, |_| {}), false),
        (bulletin_with(A, 1, START, |_| {}), false),
    ] {
        assert_eq!(takes(&issue, &item), issued);
        assert_eq!(takes(&settle, &item), !issued);
    }
    let fast = bulletin_with(A, 2, START + 2 * EPOCH + 1, |_| {});
    assert!(!takes(&settle, &fast), "bank time runs no faster than its epochs");
}

#[test]
fn pruned_entries_are_not_taken_again() {
    let mut node = node();
    let mut payer = Writer::new(A, 1);
    let written: Vec<_> = (0..5).map(|_| payer.pay(10)).collect();
    written.iter().for_each(|one| assert_eq!(node.take(&one.bytes), Some(Status::Stored)));
    node.take(&checkpoint_at(payer.id, 1, &written[2].claim)).unwrap();
    assert_eq!(node.core(&payer.id), [3, 4]);
    for one in &written[..3] {
        assert_eq!(node.take(&one.bytes), Some(Status::Decided));
    }
    assert_eq!(node.core(&payer.id), [3, 4]);
    let entries = node.shelf.0.keys().filter(|key| matches!(key, Key::Entry(..))).count();
    assert_eq!(entries, 2, "and their bytes are gone");
}
