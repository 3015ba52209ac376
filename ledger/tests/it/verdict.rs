//! The payee's acceptance rule (DESIGN §4) as a table: the case in which every line holds, and for
//! each line one change that breaks it, with the exact judgement. Then the payer's verdict against
//! the payee's: what the payer's device allows, an honest payee with the same records accepts.

use crate::world::{
    self, A, B, EPOCH, NOW, Node, START, Writer, Written, amount, author, bulletin_with,
    certificate, checkpoint_at, checkpoint_with, freeze_with, grant_with, inr, live, names,
    plaintext, proof,
};
use hundi_ledger::body::{Plaintext, Refund};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, Hash, Serial};
use hundi_ledger::log::Log;
use hundi_ledger::money::Currency;
use hundi_ledger::record::Verified;
use hundi_ledger::record::checkpoint::{Frontier, Outcome};
use hundi_ledger::record::entry::{Class, Entry, Header, Kind, Position, SignedHeader};
use hundi_ledger::record::grant::{FLAG_BEARER, Grant, Policy};
use hundi_ledger::record::receipt::PayeeVerdict::{self, *};
use hundi_ledger::verdict::payee::{Case, Expected, Judgement, NotNow, judge};
use hundi_ledger::verdict::payer::{SpendError, grant_for};
use proptest::prelude::*;

/// Everything a verdict looks at, owned, so that a test can change one thing.
struct Scene {
    node: Node,
    payer: Writer,
    entry: Verified<Entry>,
    previous: Option<Verified<SignedHeader>>,
    plaintext: Plaintext,
    payee: AuthorId,
    expected: Expected,
    now: u32,
}

const PAYEE: u32 = 900;

fn payee() -> AuthorId {
    author(B, PAYEE)
}

fn asked(minor: u64) -> Expected {
    Expected::Request { currency: inr(), amount: Some(amount(minor)), expires: NOW + 600 }
}

impl Scene {
    /// A payer with that grant; its second entry pays 50 to the payee.
    fn granted(change: impl FnOnce(&mut Grant)) -> Self {
        let mut payer = Writer::new(A, 1);
        let records =
            [certificate(A, 1, &[]), world::grant(payer.id, 0), grant_with(payer.id, 1, change)];
        let node = Node::with(&records);
        let first = payer.pay(20);
        let entry = payer.sign(payer.next(Kind::PAYMENT, 1, 50), b"");
        Self {
            node,
            payer,
            entry: entry.entry,
            previous: Some(first.entry.verified_header()),
            plaintext: plaintext(payee()),
            payee: payee(),
            expected: asked(50),
            now: NOW,
        }
    }

    fn new() -> Self {
        Self::granted(|_| {})
    }

    /// The scene with another entry in the place of the second.
    fn header(mut self, change: impl FnOnce(&mut Header)) -> Self {
        let mut header = self.payer.next(Kind::PAYMENT, 1, 50);
        change(&mut header);
        self.entry = self.payer.sign(header, b"").entry;
        self
    }

    /// The scene with more records at the payee.
    fn knows(mut self, items: &[Vec<u8>]) -> Self {
        for item in items {
            assert!(self.node.take(item).unwrap().is_new());
        }
        self
    }

    fn expects(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// The payer pays `count` times before the judged payment.
    fn after(mut self, count: u32) -> Self {
        for _ in 1..count {
            let written = self.payer.pay(1);
            self.previous = Some(written.entry.verified_header());
        }
        self.header(|_| {})
    }

    fn judge(&self) -> Judgement {
        judge(&Case {
            replica: &self.node.replica,
            shelf: &self.node.shelf,
            entry: &self.entry,
            plaintext: &self.plaintext,
            previous: self.previous.as_ref(),
            payee: self.payee,
            expected: self.expected,
            now: self.now,
        })
    }
}

/// The first entry of the scene's payer.
fn first() -> Written {
    Writer::new(A, 1).pay(20)
}

const ACCEPT: Judgement = Judgement::Accept { freezes_epoch: 0, checkpoint: 0, unsure: false };

fn refuse(verdict: PayeeVerdict) -> Judgement {
    Judgement::Refuse(verdict)
}

fn not_now(reason: NotNow) -> Judgement {
    Judgement::NotNow(reason)
}

#[test]
fn a_payment_for_which_every_line_holds() {
    assert_eq!(Scene::new().judge(), ACCEPT);
    let any = Expected::Request { currency: inr(), amount: None, expires: NOW };
    assert_eq!(Scene::new().expects(any).judge(), ACCEPT, "a request that names no amount");
    // The first entry needs nothing before it.
    let mut scene = Scene::new().expects(asked(20));
    (scene.entry, scene.previous) = (first().entry, None);
    assert_eq!(scene.judge(), ACCEPT);
    // Directly after the frontier, the checkpoint vouches for what is before.
    let mut scene = Scene::new().knows(&[checkpoint_at(author(A, 1), 3, &first().claim)]);
    scene.previous = None;
    assert_eq!(scene.judge(), Judgement::Accept { freezes_epoch: 0, checkpoint: 3, unsure: false });
    // The bank's freezes are held in full: the receipt says up to which epoch.
    let scene = Scene::new().knows(&[bulletin_with(A, 4, START + 50, |_| {})]);
    assert_eq!(scene.judge(), Judgement::Accept { freezes_epoch: 4, checkpoint: 0, unsure: false });
    let scene = Scene::granted(|grant| grant.flags = FLAG_BEARER);
    assert_eq!(scene.judge(), Judgement::Accept { freezes_epoch: 0, checkpoint: 0, unsure: true });
    // A held entry is as good as a sent one.
    let mut scene = Scene::new().knows(&[first().bytes]);
    scene.previous = None;
    assert_eq!(scene.judge(), ACCEPT);
}

#[test]
fn the_grant_must_be_in_force() {
    let mut scene = Scene::new();
    scene.now = START - 1;
    assert_eq!(scene.judge(), not_now(NotNow::NotYetInForce));
    scene.now = START;
    assert_eq!(scene.judge(), ACCEPT, "its first second");
    let any = Expected::Request { currency: inr(), amount: None, expires: u32::MAX };
    let mut scene = Scene::new().expects(any);
    scene.now = START + 86_400;
    assert_eq!(scene.judge(), ACCEPT, "its last second");
    scene.now = START + 86_401;
    assert_eq!(scene.judge(), not_now(NotNow::Expired));
    // A clock that is behind is never believed against the bank's.
    let late = START + 2 * 86_400;
    let scene = Scene::new().expects(any).knows(&[bulletin_with(A, 48, late, |_| {})]);
    assert_eq!((scene.now, scene.judge()), (NOW, not_now(NotNow::Expired)));
    let soon = |grant: &mut Grant| grant.not_before = START + 4_000;
    let scene = Scene::granted(soon).expects(any);
    assert_eq!(scene.judge(), not_now(NotNow::NotYetInForce));
    let scene = scene.knows(&[bulletin_with(A, 2, START + 5_000, |_| {})]);
    let accepted = Judgement::Accept { freezes_epoch: 2, checkpoint: 0, unsure: false };
    assert_eq!(scene.judge(), accepted, "the bulletin tells a slow clock that it is in force");

    let scene = Scene::new().header(|header| header.serial = Serial(2));
    assert_eq!(scene.judge(), not_now(NotNow::MissingGrant), "misfit or not, it is not known");
    let mut scene = Scene::new();
    scene.node = Node::default();
    assert_eq!(scene.judge(), not_now(NotNow::MissingGrant));
    // A certificate that bounds the signer of the grant takes its effect away.
    let scene = Scene::new().knows(&[certificate(A, 2, &[(1, 0)])]);
    assert_eq!(scene.judge(), not_now(NotNow::MissingGrant));
}

#[test]
fn the_header_contradicts_nothing_held() {
    let payer = Scene::new().payer;
    // What the payee holds, and the payer sends nothing or something else.
    let equivocation = payer.sign(payer.next(Kind::PAYMENT, 1, 51), b"");
    let scene = Scene::new().knows(&[equivocation.bytes]);
    assert_eq!(scene.judge(), refuse(RefusedContradiction), "same sequence");
    let overlap = payer.sign(payer.at(7, 1, 60, 5), b"");
    let scene = Scene::new().knows(&[overlap.bytes]);
    assert_eq!(scene.judge(), refuse(RefusedContradiction), "overlap across a gap");
    let close = Header { kind: Kind::CLOSE, ..payer.at(0, 1, 0, 0) };
    let scene = Scene::new().knows(&[payer.sign(close, b"").bytes]);
    assert_eq!(scene.judge(), refuse(RefusedContradiction), "after a close");
    let later = payer.sign(payer.at(9, 0, 0, 0).into_refund(), b"");
    let scene = Scene::new().knows(&[later.bytes]);
    assert_eq!(scene.judge(), refuse(RefusedContradiction), "serial goes back");
    // The header before it, as sent.
    let misfit = |header: &mut Header| header.spent_total = amount(71);
    assert_eq!(Scene::new().header(misfit).judge(), refuse(RefusedContradiction), "gap");
    let previous = |header: &mut Header| {
        header.position = Position::After { sequence: 1, previous: Hash([8; 32]) };
    };
    assert_eq!(Scene::new().header(previous).judge(), refuse(RefusedContradiction));

    let mut scene = Scene::new();
    scene.previous = None;
    assert_eq!(scene.judge(), not_now(NotNow::MissingPrevious));
    // Another author's header says nothing about this log.
    let mut stranger = Writer::new(A, 2);
    scene.previous = Some(stranger.pay(20).entry.verified_header());
    assert_eq!(scene.judge(), not_now(NotNow::MissingPrevious));
    // A header that is named as previous but stands further back: the middle is withheld.
    let skip = |header: &mut Header| {
        let previous = first().claim.id;
        header.position = Position::After { sequence: 2, previous };
    };
    assert_eq!(Scene::new().header(skip).judge(), not_now(NotNow::MissingPrevious));
    let mut scene = Scene::new().header(skip).knows(&[first().bytes]);
    scene.previous = None;
    assert_eq!(scene.judge(), not_now(NotNow::MissingPrevious));
}

trait IntoRefund {
    fn into_refund(self) -> Header;
}

impl IntoRefund for Header {
    fn into_refund(self) -> Header {
        Header { kind: Kind::REFUND, ..self }
    }
}

#[test]
fn no_freeze_and_no_proof() {
    let scene = Scene::new().knows(&[freeze_with(author(A, 1), |_| {})]);
    assert_eq!(scene.judge(), refuse(RefusedFrozen));
    let payer = Scene::new().payer;
    let pair = [40, 41].map(|minor| payer.sign(payer.at(9, 1, 500, minor), b""));
    let scene = Scene::new().knows(&[proof(&pair[0], &pair[1])]);
    assert_eq!(scene.judge(), refuse(RefusedContradiction));
    // A freeze signed with a stolen key bars nobody, and does not hide the bank's own.
    let stolen = freeze_with(author(A, 1), |freeze| freeze.epoch = 3);
    let bound = certificate(A, 2, &[(1, 2)]);
    let mut scene = Scene::granted(|grant| grant.epoch = 2).knows(&[stolen, bound]);
    assert_eq!(scene.judge(), ACCEPT);
    let real = freeze_with(author(A, 1), |freeze| (freeze.certificate, freeze.epoch) = (2, 9));
    scene = scene.knows(&[real]);
    assert_eq!(scene.judge(), refuse(RefusedFrozen), "the bank's own freeze, signed later");
}

#[test]
fn the_checkpoint_decides_what_is_before_it() {
    let payer = author(A, 1);
    let scene = |change: &dyn Fn(&mut hundi_ledger::record::checkpoint::Checkpoint)| {
        Scene::new().knows(&[checkpoint_with(payer, 1, |record| change(record))])
    };
    let total = |total| {
        move |record: &mut hundi_ledger::record::checkpoint::Checkpoint| {
            record.live = live(1, total);
        }
    };
    assert_eq!(scene(&total(21)).judge(), refuse(RefusedTerms), "starts below the total");
    let accepted = Judgement::Accept { freezes_epoch: 0, checkpoint: 1, unsure: false };
    assert_eq!(scene(&total(20)).judge(), accepted);

    // Directly after the frontier an interval starts at the total, neither below nor above.
    let frontier = |total| {
        move |record: &mut hundi_ledger::record::checkpoint::Checkpoint| {
            record.frontier = Some(Frontier { sequence: 0, hash: first().claim.id });
            record.live = live(1, total);
        }
    };
    for (at, expected) in
        [(19, refuse(RefusedContradiction)), (20, accepted), (21, refuse(RefusedTerms))]
    {
        let mut scene = scene(&frontier(at));
        scene.previous = None;
        assert_eq!(scene.judge(), expected, "frontier at {at}");
    }
    let mut none = scene(&|record| {
        record.frontier = Some(Frontier { sequence: 0, hash: first().claim.id });
    });
    none.previous = None;
    assert_eq!(none.judge(), refuse(RefusedContradiction), "a serial that is new starts at 0");
    // A serial that the frontier has left behind is closed, whatever its own total.
    let left = scene(&|record| {
        frontier(20)(record);
        let mut both = record.live.to_vec();
        both.push(hundi_ledger::record::checkpoint::Live { serial: Serial(2), ..both[0] });
        record.live = List::new(both).unwrap();
    });
    assert_eq!(left.judge(), refuse(RefusedContradiction), "a higher serial was used before");

    let other = scene(&|record| {
        record.frontier = Some(Frontier { sequence: 0, hash: Hash([1; 32]) });
        record.live = live(1, 20);
    });
    assert_eq!(other.judge(), refuse(RefusedContradiction), "the bank decided another branch");
    let decided = scene(&|record| {
        record.frontier = Some(Frontier { sequence: 1, hash: Hash([1; 32]) });
    });
    assert_eq!(decided.judge(), not_now(NotNow::Decided));
    let claim = Scene::new().entry.claim();
    let named = scene(&|record| record.names = names(&[(&claim, Outcome::Settled)]));
    assert_eq!(named.judge(), not_now(NotNow::Decided));
}

/// Whatever order checkpoints come in, the newest that is held counts: an offer with an old one
/// opens nothing that the bank has decided since.
#[test]
fn a_stale_checkpoint_opens_nothing_again() {
    let payer = Writer::new(A, 1);
    let old = checkpoint_with(payer.id, 1, |record| record.carry_to = 30);
    let new = checkpoint_with(payer.id, 2, |record| {
        record.frontier = Some(Frontier { sequence: 1, hash: Hash([1; 32]) });
    });
    for records in [[old.clone(), new.clone()], [new.clone(), old.clone()]] {
        let mut scene = Scene::new();
        for record in &records {
            scene.node.take(record).unwrap();
        }
        assert_eq!(scene.judge(), not_now(NotNow::Decided));
    }
    // Who holds only the old one judges by that, and says so.
    let accepted = Judgement::Accept { freezes_epoch: 0, checkpoint: 1, unsure: false };
    assert_eq!(Scene::new().knows(&[old]).judge(), accepted);
}

#[test]
fn sequence_and_window() {
    let late = |grant: &mut Grant| (grant.first_sequence, grant.carry_to) = (2, 40);
    assert_eq!(Scene::granted(late).judge(), refuse(RefusedTerms), "before the first sequence");
    let narrow = |grant: &mut Grant| grant.carry_to = 0;
    let mut payer = Scene::new().payer;
    let mut scene = Scene::granted(narrow);
    // The enrolment grant counts as well: the highest that is held.
    assert_eq!(scene.judge(), ACCEPT);
    scene.node = Node::with(&[certificate(A, 1, &[]), grant_with(payer.id, 1, narrow)]);
    assert_eq!(scene.judge(), not_now(NotNow::BeyondWindow));
    scene.node.take(&checkpoint_with(payer.id, 1, |record| record.carry_to = 1)).unwrap();
    let accepted = Judgement::Accept { freezes_epoch: 0, checkpoint: 1, unsure: false };
    assert_eq!(scene.judge(), accepted, "raised by a checkpoint");

    let scene = |grant: fn(&mut Grant)| Scene::granted(grant).after(10);
    assert_eq!(scene(|_| {}).judge(), not_now(NotNow::TooManyUnsettled), "ten before it");
    assert_eq!(scene(|grant| grant.unsettled_max = 11).judge(), ACCEPT);
    // What a checkpoint names as settled is not unsettled.
    let settled = payer.pay(1);
    let cp = checkpoint_with(payer.id, 1, |record| {
        record.names = names(&[(&settled.claim, Outcome::Settled)]);
    });
    assert_eq!(scene(|_| {}).knows(&[cp]).judge(), accepted);
    let cp = checkpoint_with(payer.id, 1, |record| {
        record.names = names(&[(&settled.claim, Outcome::Contested)]);
    });
    assert_eq!(scene(|_| {}).knows(&[cp]).judge(), not_now(NotNow::TooManyUnsettled));
}

#[test]
fn amounts_and_the_penalty() {
    let pay = |minor: u64| {
        Scene::new()
            .header(|header| {
                header.amount = amount(minor);
                header.spent_total = amount(20 + minor);
            })
            .expects(asked(minor))
    };
    assert_eq!(pay(400).judge(), ACCEPT, "the cap itself");
    assert_eq!(pay(401).judge(), refuse(RefusedLimit), "over the cap");
    let wide = |grant: &mut Grant| grant.cap = amount(1_000);
    for (minor, expected) in [
        (900, ACCEPT),
        (901, not_now(NotNow::Penalty)),
        (980, not_now(NotNow::Penalty)),
        (981, refuse(RefusedLimit)),
    ] {
        let mut scene = pay(minor);
        scene.node = Scene::granted(wide).node;
        assert_eq!(scene.judge(), expected, "{minor} of 1,000 with one unsettled");
    }
    // limit × max(10 − n, 3) / 10 down to its floor.
    for (before, cap) in [(1, 900), (2, 800), (6, 400), (7, 300), (8, 300), (9, 300)] {
        for (minor, expected) in [(cap, ACCEPT), (cap + 1, not_now(NotNow::Penalty))] {
            let mut scene = Scene::granted(wide).after(before);
            let mut header = scene.payer.next(Kind::PAYMENT, 1, minor);
            header.time = NOW;
            scene.entry = scene.payer.sign(header, b"").entry;
            assert_eq!(scene.expects(asked(minor)).judge(), expected, "{minor} after {before}");
        }
    }
}

#[test]
fn the_policy_of_the_grant() {
    let allow = |payees: Vec<AuthorId>, categories: Vec<u8>| {
        Scene::granted(move |grant| {
            grant.policy = Some(Policy {
                payees: List::new(payees).unwrap(),
                categories: List::new(categories).unwrap(),
            });
        })
        .judge()
    };
    assert_eq!(allow(vec![], vec![]), ACCEPT);
    assert_eq!(allow(vec![payee()], vec![0, 4]), ACCEPT);
    assert_eq!(allow(vec![author(A, PAYEE)], vec![]), refuse(RefusedTerms), "another bank's");
    assert_eq!(allow(vec![], vec![1, 4]), refuse(RefusedTerms));
    // Under a bearer grant only payments are valid.
    let mut scene = Scene::granted(|grant| grant.flags = FLAG_BEARER)
        .header(|header| header.kind = Kind::REFUND)
        .expects(Expected::Original { currency: inr(), unreturned: amount(50) });
    scene.plaintext = refund(50);
    assert_eq!(scene.judge(), refuse(RefusedTerms));
}

fn refund(sum: u64) -> Plaintext {
    let (original, sum) = (Hash([1; 32]), amount(sum));
    Plaintext::Refund(Refund { payee: payee(), original, sum, memo: Text::default() })
}

#[test]
fn whom_and_what_it_answers() {
    let mut scene = Scene::new();
    scene.payee = author(A, PAYEE);
    assert_eq!(scene.judge(), not_now(NotNow::NotForMe), "one key at another bank is another");
    assert_eq!(Scene::new().expects(Expected::Unknown).judge(), refuse(RefusedRequest));
    assert_eq!(Scene::new().expects(asked(49)).judge(), refuse(RefusedMismatch));
    let currency = Currency::new("KES").unwrap();
    let other = Expected::Request { currency, amount: Some(amount(50)), expires: NOW + 1 };
    assert_eq!(Scene::new().expects(other).judge(), refuse(RefusedMismatch));
    let over = Expected::Request { currency: inr(), amount: None, expires: NOW - 1 };
    assert_eq!(Scene::new().expects(over).judge(), not_now(NotNow::RequestExpired));
    let original = Expected::Original { currency: inr(), unreturned: amount(50) };
    assert_eq!(Scene::new().expects(original).judge(), refuse(RefusedRequest), "no refund");
}

#[test]
fn refunds() {
    let scene = |spends: u64, sum: u64, unreturned: u64| {
        let mut scene = Scene::new()
            .header(|header| {
                header.kind = Kind::REFUND;
                header.amount = amount(spends);
                header.spent_total = amount(20 + spends);
            })
            .expects(Expected::Original { currency: inr(), unreturned: amount(unreturned) });
        scene.plaintext = refund(sum);
        scene.judge()
    };
    assert_eq!(scene(50, 50, 50), ACCEPT, "spends the grant");
    assert_eq!(scene(0, 50, 50), ACCEPT, "moves it out of the original");
    assert_eq!(scene(50, 49, 50), refuse(RefusedMismatch));
    assert_eq!(scene(0, 0, 50), refuse(RefusedMismatch));
    assert_eq!(scene(0, 51, 50), refuse(RefusedLimit), "above the original");
}

#[test]
fn a_lying_bulletin_does_not_make_a_payee_claim_to_know_freezes() {
    // Signed with a key that a later certificate bounds to an earlier epoch.
    let lie = bulletin_with(A, 90, START + 60, |_| {});
    let scene = Scene::new().knows(&[lie, certificate(A, 2, &[(1, 1)])]);
    assert_eq!(scene.judge(), ACCEPT);
}

#[test]
fn the_payer_does_not_sign_what_nobody_would_accept() {
    let payer = Writer::new(A, 1);
    let log = Log::new(payer.id, Class::Money);
    let spend = |node: &Node, log: &Log, minor| {
        grant_for(&node.replica, &node.shelf, log, amount(minor), NOW).map(|grant| grant.serial.0)
    };
    let node = Scene::new().node;
    assert_eq!(spend(&node, &log, 400), Ok(1));
    assert_eq!(spend(&node, &log, 401), Err(SpendError::Cap { cap: amount(400) }));
    assert_eq!(spend(&node, &log, 1_001), Err(SpendError::Limit { left: amount(1_000) }));
    assert_eq!(spend(&Node::default(), &log, 1), Err(SpendError::NoGrant));
    // A grant for later numbers is not one for this log.
    let later = Scene::granted(|grant| grant.first_sequence = 1).node;
    assert_eq!(spend(&later, &log, 1), Err(SpendError::NoGrant));
    // The bank knows entries of this key that this log does not: a restored backup.
    let behind = |change: fn(&mut hundi_ledger::record::checkpoint::Checkpoint)| {
        let mut node = Scene::new().node;
        node.take(&checkpoint_with(payer.id, 1, change)).unwrap();
        spend(&node, &log, 1)
    };
    assert_eq!(behind(|_| {}), Ok(1));
    let frontier = |record: &mut hundi_ledger::record::checkpoint::Checkpoint| {
        record.frontier = Some(Frontier { sequence: 0, hash: Hash([1; 32]) });
    };
    assert_eq!(behind(frontier), Err(SpendError::Barred));
    assert_eq!(behind(|record| record.live = live(1, 5)), Err(SpendError::Barred));
    let named = |record: &mut hundi_ledger::record::checkpoint::Checkpoint| {
        record.names = names(&[(&first().claim, Outcome::Settled)]);
    };
    assert_eq!(behind(named), Err(SpendError::Barred));
    // So does the mesh.
    let mut node = Scene::new().node;
    node.take(&first().bytes).unwrap();
    assert_eq!(spend(&node, &log, 1), Err(SpendError::Barred));
    node.take(&freeze_with(payer.id, |_| {})).unwrap();
    assert_eq!(spend(&node, &log, 1), Err(SpendError::Barred));
}

/// What the payer's world looks like.
#[derive(Clone, Debug)]
struct Plan {
    payments: Vec<(u64, bool)>,
    limit: u64,
    cap: u64,
    unsettled_max: u8,
    penalty: u8,
    floor: u8,
    carry_to: u32,
    frontier: Option<usize>,
    second: bool,
    bank_time: u32,
    now: u32,
    spend: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let amounts = proptest::collection::vec((1u64..60, any::<bool>()), 0..14);
    let grant = (200u64..1_500, 1u64..600, 1u8..14, 0u8..30, 0u8..60, 0u32..20);
    let rest = (proptest::option::of(0usize..14), any::<bool>(), 0u32..30, 0u32..90_000, 1u64..300);
    (amounts, grant, rest).prop_map(|(payments, grant, rest)| {
        let (limit, cap, unsettled_max, penalty, floor, carry_to) = grant;
        let (frontier, second, epochs, after, spend) = rest;
        Plan {
            payments,
            limit,
            cap: cap.min(limit),
            unsettled_max,
            penalty,
            floor,
            carry_to,
            frontier,
            second,
            bank_time: START + epochs * EPOCH,
            now: START + after,
            spend,
        }
    })
}

thread_local! {
    static ALLOWED: std::cell::Cell<(u32, u32)> = const { std::cell::Cell::new((0, 0)) };
}

fn payer_and_payee_agree(plan: &Plan) {
    let mut payer = Writer::new(A, 1);
    let mut log = Log::new(payer.id, Class::Money);
    let terms = |grant: &mut Grant| {
        (grant.limit, grant.cap) = (amount(plan.limit), amount(plan.cap));
        grant.unsettled_max = plan.unsettled_max;
        (grant.penalty_percent, grant.penalty_floor_percent) = (plan.penalty, plan.floor);
        grant.carry_to = plan.carry_to;
    };
    let mut records = vec![
        certificate(A, 1, &[]),
        grant_with(payer.id, 0, |grant| grant.carry_to = 0),
        grant_with(payer.id, 1, terms),
        bulletin_with(A, 100, plan.bank_time, |_| {}),
    ];
    let mut written = Vec::new();
    for (minor, _) in &plan.payments {
        let one = payer.pay(*minor);
        assert!(log.append(one.claim));
        written.push(one);
    }
    let decided = plan.frontier.and_then(|at| written.get(at));
    if let Some(last) = decided {
        let beyond = written.iter().zip(&plan.payments);
        let settled: Vec<_> = beyond
            .filter(|(one, (_, settled))| *settled && one.claim.sequence() > last.claim.sequence())
            .map(|(one, _)| (&one.claim, Outcome::Settled))
            .collect();
        records.push(checkpoint_with(payer.id, 1, |record| {
            let sequence = last.claim.sequence();
            record.frontier = Some(Frontier { sequence, hash: last.claim.id });
            record.live = live(1, last.claim.spent_total.minor());
            record.carry_to = sequence + plan.carry_to;
            record.names = names(&settled);
        }));
    }
    if plan.second {
        records.push(grant_with(payer.id, 2, |grant| {
            terms(grant);
            grant.first_sequence = decided.map_or(0, |last| last.claim.sequence() + 1);
            grant.carry_to += grant.first_sequence;
        }));
    }
    let node = Node::with(&records);
    let allowed = grant_for(&node.replica, &node.shelf, &log, amount(plan.spend), plan.now);
    let (mut yes, mut no) = ALLOWED.get();
    let Ok(grant) = allowed else {
        no += 1;
        return ALLOWED.set((yes, no));
    };
    yes += 1;
    ALLOWED.set((yes, no));
    let header = log.draft(Kind::PAYMENT, grant.serial, amount(plan.spend), plan.now).unwrap();
    let entry = payer.sign(header, b"").entry;
    let previous = written.last().map(|one| one.entry.verified_header());
    let expires = u32::MAX;
    let judgement = judge(&Case {
        replica: &node.replica,
        shelf: &node.shelf,
        entry: &entry,
        plaintext: &plaintext(payee()),
        previous: previous.as_ref(),
        payee: payee(),
        expected: Expected::Request { currency: inr(), amount: None, expires },
        now: plan.now,
    });
    assert!(matches!(judgement, Judgement::Accept { .. }), "{judgement:?} in {plan:?}");
}

#[test]
fn what_the_payer_may_sign_an_honest_payee_accepts() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&plan(), |plan| {
            payer_and_payee_agree(&plan);
            Ok(())
        })
        .unwrap();
    let (yes, no) = ALLOWED.get();
    println!("payer: {yes} allowed, {no} not");
    assert!(yes > 40 && no > 40);
}
