//! Whole worlds from a seed, in two kinds. An *orderly* one is what honest banks make: numbers
//! ascend, what is decided stays decided, windows only move on, and authors that contradict
//! themselves have not been pruned yet. A *wild* one has everything: ties of every record, stolen
//! keys that a later certificate bounds, checkpoints that take back what others decided, bank time
//! that goes back, more grants than are held.

use crate::world::{
    A, B, Dice, EPOCH, Node, START, Writer, Written, amount, bulletin_with, certificate,
    certificate_with, checkpoint_with, freeze_with, grant_with, names, online, proof, receipt,
};
use hundi_ledger::codec::List;
use hundi_ledger::id::{BankNumber, Hash, Serial};
use hundi_ledger::record::checkpoint::{Frontier, Live, Outcome};
use hundi_ledger::record::entry::{Header, Kind};
use hundi_ledger::record::freeze::FreezeReason;
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::{Change, Key, Status};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Runs a law over many seeds. The seeds are the same in every run, so that no run fails for not
/// reaching something; `PROPTEST_RNG_SEED` gives others. A failure names its seed.
pub(crate) fn over_seeds(cases: u32, law: impl Fn(&mut Dice, &mut Reached)) -> Reached {
    let reached = RefCell::new(Reached::default());
    let mut config =
        ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    TestRunner::new(config)
        .run(&any::<u64>().no_shrink(), |seed| {
            law(&mut Dice(seed), &mut reached.borrow_mut());
            Ok(())
        })
        .unwrap();
    reached.into_inner()
}

/// How often something was reached.
#[derive(Default)]
pub(crate) struct Reached(pub(crate) BTreeMap<&'static str, u64>);

impl Reached {
    pub(crate) fn count(&mut self, what: &'static str, times: usize) {
        *self.0.entry(what).or_default() += times as u64;
    }

    /// Prints all counts, and fails if one of `wanted` was never reached.
    pub(crate) fn expect(&self, law: &str, wanted: &[&str]) {
        for (what, times) in &self.0 {
            println!("{law}: {what}: {times}");
        }
        for what in wanted {
            assert!(
                self.0.get(what).is_some_and(|times| *times > 0),
                "{law}: {what} never reached"
            );
        }
    }
}

/// The items of a world: bank records first, and what every replica starts from.
pub(crate) struct Items {
    /// Certificates and enrolment grants that every replica of an orderly world holds.
    pub(crate) base: Vec<Vec<u8>>,
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) entries: Vec<Vec<u8>>,
}

/// Forms of contradiction; the name is that of the count.
const FORMS: [&str; 6] = [
    "proof: same sequence",
    "proof: neighbour that does not fit",
    "proof: overlap across a gap",
    "proof: serial back",
    "proof: after a close",
    "three branches and more",
];

/// An orderly world.
pub(crate) fn orderly(dice: &mut Dice, reached: &mut Reached) -> Items {
    let mut items = Items { base: vec![], records: vec![], entries: vec![] };
    for bank in [A, B] {
        items.base.push(certificate(bank, 1, &[]));
        // Rotation: each certificate honours all that its predecessors signed.
        items.records.push(certificate(bank, 2, &[(1, 50)]));
        items.records.push(certificate(bank, 3, &[(1, 50), (2, 60)]));
    }
    for number in 0..2 + dice.below(3) as u32 {
        let bank = if dice.one_in(3) { B } else { A };
        if dice.one_in(3) {
            cheat(dice, reached, &mut items, bank, number);
        } else {
            honest(dice, reached, &mut items, bank, number);
        }
    }
    for bank in [A, B] {
        for epoch in [1, 9, 30] {
            if dice.one_in(3) {
                let time = START + epoch * EPOCH;
                items.records.push(bulletin_with(bank, epoch, time, |_| {}));
            }
        }
    }
    items
}

/// An author that keeps to the rules, at a bank that decides its log bit by bit.
fn honest(
    dice: &mut Dice,
    reached: &mut Reached,
    items: &mut Items,
    bank: BankNumber,
    number: u32,
) {
    let mut writer = Writer::new(bank, number);
    items.base.push(grant_with(writer.id, 0, |_| {}));
    let serials = 1 + dice.below(3) as u16;
    for serial in 1..=serials {
        // Earlier grants lapse earlier; the last bulletin's time is epoch 30.
        let claim = START + u32::from(serial) * (5 + dice.below(20) as u32) * EPOCH;
        items.records.push(grant_with(writer.id, serial, |grant| {
            grant.expiry = START + EPOCH;
            grant.claim_until = claim.max(grant.expiry);
        }));
    }
    let longest = if dice.one_in(3) { 90 } else { 14 };
    let length = dice.below(longest);
    let mut serial = 1;
    let mut written: Vec<Written> = Vec::new();
    for _ in 0..length {
        let last = writer.last.map_or(Kind::PAYMENT, |last| last.kind);
        if serial < serials && (last == Kind::CLOSE || dice.one_in(8)) {
            serial += 1;
        } else if last == Kind::CLOSE {
            break;
        }
        let (kind, minor) = match dice.below(9) {
            0 => (Kind::REFUND, 0),
            1 if dice.one_in(4) => (Kind::CLOSE, 0),
            2 if dice.one_in(9) => (Kind::PAYMENT, 990),
            _ => (Kind::PAYMENT, 1 + dice.below(9)),
        };
        written.push(writer.append(kind, serial, minor, b""));
    }
    let mut papers = Writer::new(bank, number);
    for _ in 0..dice.below(3) {
        items.entries.push(papers.append(Kind::DOCUMENT, 0, 0, b"sealed").bytes);
    }
    checkpoints(dice, reached, items, &writer, &written);
    items.entries.extend(written.into_iter().map(|one| one.bytes));
    for epoch in 0..dice.below(3) as u32 {
        reached.count("freeze", 1);
        items.records.push(freeze_with(writer.id, |freeze| freeze.epoch = 5 + epoch));
    }
    if dice.one_in(2) {
        items.entries.push(receipt(writer.id, number, dice.below(4) as u8));
    }
}

/// Checkpoints of ascending frontier; what is settled beyond it stays settled.
fn checkpoints(
    dice: &mut Dice,
    reached: &mut Reached,
    items: &mut Items,
    writer: &Writer,
    written: &[Written],
) {
    let settled: Vec<bool> = written.iter().map(|_| dice.one_in(4)).collect();
    let mut frontier = 0;
    for version in 1..=dice.below(4) as u32 {
        frontier += dice.below(12) as usize;
        let Some(last) = written.get(frontier) else { break };
        let beyond = written.iter().zip(&settled).skip(frontier + 1).filter(|(_, yes)| **yes);
        // Only what the bank can have received by then: all of it from the second version on.
        let named: Vec<_> =
            beyond.filter(|_| version > 1).map(|(one, _)| (&one.claim, Outcome::Settled)).collect();
        reached.count("settled beyond the frontier", named.len());
        items.records.push(checkpoint_with(writer.id, version, |record| {
            let sequence = last.claim.sequence();
            record.frontier = Some(Frontier { sequence, hash: last.claim.id });
            record.carry_to = (sequence + 30).max(40);
            record.names = names(&named);
            (record.certificate, record.epoch) =
                if version > 2 { (2, 55) } else { (1, 10 + version) };
        }));
    }
}

/// An author that contradicts itself, in one form or several. Nothing of it is pruned yet.
fn cheat(dice: &mut Dice, reached: &mut Reached, items: &mut Items, bank: BankNumber, number: u32) {
    let mut writer = Writer::new(bank, number);
    items.base.push(grant_with(writer.id, 0, |_| {}));
    items.base.push(grant_with(writer.id, 1, |_| {}));
    items.base.push(grant_with(writer.id, 2, |_| {}));
    let mut written: Vec<Written> =
        (0..2 + dice.below(5)).map(|_| writer.append(Kind::PAYMENT, 1, 10, b"")).collect();
    let form = dice.below(FORMS.len() as u64) as usize;
    written.extend(contradiction(dice, &mut writer, form));
    if dice.one_in(3) {
        let last = written.len() - 1;
        let other = written.iter().position(|one| one.claim.contradicts(&written[last].claim));
        if let Some(other) = other {
            reached.count("proof given as an item", 1);
            items.records.push(proof(&written[other], &written[last]));
        }
    }
    reached.count(FORMS[form], 1);
    items.entries.extend(written.into_iter().map(|one| one.bytes));
}

/// Entries that contradict what `writer` has signed so far, in the form of that number.
fn contradiction(dice: &mut Dice, writer: &mut Writer, form: usize) -> Vec<Written> {
    let last = writer.last.unwrap();
    let (next, total) = (last.sequence() + 1, last.spent_total.minor());
    let far = next + 1 + dice.below(8) as u32;
    let one = |header| vec![writer.sign(header, b"")];
    match form {
        0 => {
            let position = last.position;
            let spent_total = last.spent_total;
            let minor = amount(spent_total.minor() - last.start.minor());
            let twin = writer.next(Kind::PAYMENT, 1, 1);
            one(Header { position, spent_total, amount: minor, time: 7, ..twin })
        }
        1 => one(Header { spent_total: amount(total + 9), ..writer.next(Kind::PAYMENT, 1, 5) }),
        2 => one(writer.at(far, 1, total - 1, 5)),
        3 => {
            let other = writer.append(Kind::PAYMENT, 2, 5, b"");
            vec![other, writer.sign(writer.at(far + 1, 1, 500, 5), b"")]
        }
        4 => {
            let close = writer.append(Kind::CLOSE, 1, 0, b"");
            vec![close, writer.sign(writer.at(far + 1, 1, 500, 5), b"")]
        }
        _ => {
            let branch = |time| {
                let header = Header { time, ..writer.next(Kind::PAYMENT, 1, 5) };
                writer.sign(header, b"")
            };
            (0..3 + dice.below(20) as u32).map(branch).collect()
        }
    }
}

/// A wild world: an orderly one, and records by a bank that is at fault or robbed.
pub(crate) fn wild(dice: &mut Dice, reached: &mut Reached) -> Items {
    let mut items = orderly(dice, reached);
    let mut base = core::mem::take(&mut items.base);
    items.records.append(&mut base);
    for bank in [A, B] {
        // A second certificate of one number, with another key or another bound.
        let number = 1 + dice.below(3) as u16;
        match dice.below(4) {
            0 => items.records.push(certificate_with(bank, number, &[], |record| {
                record.key = online(bank, 90).public();
            })),
            1 => items.records.push(certificate(bank, 3, &[(1, 11), (2, 54)])),
            2 => items.records.push(certificate(bank, 4, &[(1, 6), (2, 0), (3, 0)])),
            _ => {}
        }
        if dice.one_in(8) {
            items.records.extend((5..22).map(|number| certificate(bank, number, &[])));
        }
        if dice.one_in(4) {
            for content in [5, 6] {
                items.records.push(bulletin_with(bank, 41, START + EPOCH, |bulletin| {
                    bulletin.journal_head = Hash([content; 32]);
                }));
            }
        }
        for _ in 0..dice.below(3) {
            // Ties, bank time that goes back, bulletins of a bounded certificate.
            let (epoch, certificate) = (dice.below(40) as u32, 1 + dice.below(3) as u16);
            let time = START + dice.below(u64::from(epoch) + 1) as u32 * EPOCH;
            items.records.push(bulletin_with(bank, epoch, time, |bulletin| {
                bulletin.certificate = certificate;
                bulletin.journal_head = Hash([dice.below(3) as u8; 32]);
            }));
        }
    }
    for number in 0..5 {
        for bank in [A, B] {
            if dice.one_in(2) {
                at_fault(dice, &mut items, bank, number);
            }
        }
    }
    items
}

/// Records about one author that honest banks do not sign.
fn at_fault(dice: &mut Dice, items: &mut Items, bank: BankNumber, number: u32) {
    let id = Writer::new(bank, number).id;
    let any = |dice: &mut Dice| (1 + dice.below(3) as u16, dice.below(70) as u32);
    if dice.one_in(2) {
        let (serial, signer) = (dice.below(4) as u16, any(dice));
        items.records.push(grant_with(id, serial, |grant| {
            (grant.certificate, grant.epoch) = signer;
            grant.claim_until = grant.claim_until.max(START + 90_000) - dice.below(7) as u32;
            grant.expiry = grant.expiry.min(grant.claim_until);
            grant.carry_to = dice.below(60) as u32;
        }));
    }
    if dice.one_in(8) {
        items.records.extend((4..24).map(|serial| grant_with(id, serial, |_| {})));
    }
    for _ in 0..dice.below(4) {
        let (signer, version) = (any(dice), 1 + dice.below(3) as u32);
        let sequence = dice.below(50) as u32;
        let held: Vec<_> = items
            .entries
            .iter()
            .filter_map(|bytes| match Item::decode(&crate::world::id(), bytes) {
                Ok(Item::Entry(entry)) if entry.header().author == id => Some(entry),
                _ => None,
            })
            .collect();
        let honest = held.iter().find(|entry| entry.header().sequence() == sequence);
        let hash = honest.map_or(Hash([2; 32]), |entry| entry.id());
        let named: Vec<_> = held.iter().filter(|_| dice.one_in(3)).collect();
        items.records.push(checkpoint_with(id, version, |record| {
            (record.certificate, record.epoch) = signer;
            record.frontier = dice.one_in(2).then_some(Frontier { sequence, hash });
            record.carry_to = record.frontier.map_or(dice.below(64) as u32, |frontier| {
                (frontier.sequence + 64).saturating_sub(dice.below(80) as u32)
            });
            let mut list: Vec<_> = named
                .iter()
                .map(|entry| hundi_ledger::record::checkpoint::Name {
                    sequence: entry.header().sequence(),
                    tag: hundi_ledger::record::checkpoint::tag(&record.salt, &entry.id()),
                    outcome: Outcome::Settled,
                })
                .collect();
            list.sort();
            list.dedup_by_key(|name| (name.sequence, name.tag));
            record.names = List::new(list).unwrap();
            let (total, settled) = (amount(dice.below(99)), amount(0));
            record.live = List::new(vec![Live { serial: Serial(1), total, settled }]).unwrap();
        }));
    }
    if dice.one_in(2) {
        let signer = any(dice);
        items.records.push(freeze_with(id, |freeze| {
            (freeze.certificate, freeze.epoch) = signer;
            freeze.reason = FreezeReason::Decision;
        }));
    }
    if dice.one_in(4) {
        let (frontier, salt) = (dice.below(9) as u32, dice.below(4) as u8);
        items.records.push(checkpoint_with(id, 4, |_| {}));
        items.records.push(checkpoint_with(id, 4, |record| {
            record.salt = [salt; 16];
            record.frontier = Some(Frontier { sequence: frontier, hash: Hash([3; 32]) });
        }));
        // Signed with a stolen key, after the last epoch that is honoured.
        items.records.push(freeze_with(id, |freeze| freeze.epoch = 51));
    }
    if dice.one_in(4) {
        items.records.push(freeze_with(id, |freeze| freeze.reason = FreezeReason::Decision));
        items.records.push(freeze_with(id, |_| {}));
    }
}

/// A node that took some of the items, and what taking them reached.
pub(crate) fn node(
    dice: &mut Dice,
    items: &Items,
    share: u64,
    shuffled: bool,
    reached: &mut Reached,
) -> Node {
    let mut node = Node::default();
    let mut some: Vec<&Vec<u8>> = Vec::new();
    for list in [&items.records, &items.entries] {
        some.extend(list.iter().filter(|_| dice.below(4) < share));
    }
    if shuffled {
        dice.shuffle(&mut some);
    }
    for bytes in items.base.iter().chain(some) {
        take(&mut node, bytes, reached);
    }
    node
}

/// Takes one item and counts what it reached.
pub(crate) fn take(node: &mut Node, bytes: &[u8], reached: &mut Reached) {
    let Some(applied) = node.apply(bytes) else {
        return reached.count("does not verify here", 1);
    };
    match applied.status {
        Status::MissingGrant => reached.count("missing grant", 1),
        Status::BeyondWindow => reached.count("full window or cache", 1),
        Status::Decided => reached.count("decided", 1),
        Status::Refused => reached.count("against the grant", 1),
        Status::Cached => reached.count("cached", 1),
        Status::Stored | Status::Known => {}
    }
    if applied.fault.is_some() {
        reached.count(
            match bytes[0] {
                1 => "tie of certificates",
                2 => "tie of grants",
                3 => "tie of checkpoints",
                4 => "tie of freezes",
                5 => "tie of bulletins",
                _ => unreachable!("only banks are at fault"),
            },
            1,
        );
    }
    reached.count("contradiction found", usize::from(applied.proven.is_some()));
    for change in &applied.changes {
        if let Change::Delete { key } = change {
            match key {
                Key::Grant(..) => reached.count("grant lapsed, dropped or bounded", 1),
                Key::Freeze(_) => reached.count("freeze without effect", 1),
                Key::Certificate(..) => reached.count("certificate dropped", 1),
                Key::Entry(..) => reached.count("entry pruned", 1),
                Key::Bulletin(_) | Key::Checkpoint(_) | Key::Proof(_) | Key::Receipt(..) => {}
            }
        }
    }
    let bounded = node.replica.authors().filter(|author| {
        let known = node.author(author).unwrap();
        let checkpoint = known.checkpoint();
        checkpoint.is_some() && known.checkpoint_in_effect(node.replica.trust()).is_none()
    });
    reached.count("checkpoint without effect", bounded.count());
}
