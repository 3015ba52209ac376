//! Random payments, cheats, refunds, closes and receipts in random order with duplicates. After
//! every step the independent auditor checks I3, I4 and I5 and a replay gives the identical bank;
//! at the end nobody honest has lost anything (I2).

use crate::tally::Beside;
use crate::world::*;
use hundi_journal::account::{Account, CustomerId};
use hundi_journal::bank::Profile;
use hundi_journal::event::Change;
use hundi_journal::input::{GrantTerms, Input, OperationKind};
use hundi_journal::output::Verdict;
use hundi_journal::state::{Source, Standing};
use hundi_ledger::id::{Hash, Serial};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::entry::Kind;
use hundi_ledger::record::freeze::FreezeReason;
use hundi_ledger::record::proof::Claim;
use hundi_ledger::record::receipt::PayeeVerdict::{Accepted, RefusedDeclined};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// One random action: what, and four numbers that it interprets.
type Action = (u8, u8, u8, u8, bool);

/// How often each case was reached, over all runs.
type Reached = BTreeMap<String, u64>;

const AUTHORS: usize = 4;
const CHEAT: usize = 1;

/// What a test knows of an entry it made.
struct Known {
    made: Made,
    author: usize,
    payee: usize,
    opens: bool,
    pays: bool,
    in_time: bool,
    disclosed: bool,
    refused: bool,
    knew: bool,
}

struct Run {
    world: World,
    /// Authors of the bank, then an unenrolled one, then one of another bank.
    wallets: Vec<Wallet>,
    /// The branches of each author's log; honest ones have one.
    logs: Vec<Vec<Log>>,
    limits: BTreeMap<(usize, Serial), u64>,
    open: Vec<bool>,
    known: Vec<Known>,
    receipts: Vec<(Vec<u8>, usize, bool, bool)>,
}

impl Run {
    fn new() -> Self {
        let mut world = World::with_profile(Profile { guarantee_per_payee_percent: 60 });
        world.operate(OperationKind::Provision, 10_000).unwrap();
        let mut wallets = Vec::new();
        for n in 1..=4 {
            wallets.push(world.enrol(customer(n), n));
            world.fund(customer(n), 500);
        }
        wallets.push(Wallet::new(BANK, customer(8), 8));
        wallets.push(Wallet::new(OTHER, customer(9), 9));
        let mut run = Self {
            world,
            wallets,
            logs: vec![Vec::new(); AUTHORS],
            limits: BTreeMap::new(),
            open: vec![false; AUTHORS],
            known: Vec::new(),
            receipts: Vec::new(),
        };
        for author in 0..AUTHORS {
            run.renew(author, 100, author == 2);
        }
        run
    }

    /// A new grant, on which the author's log goes on.
    fn renew(&mut self, author: usize, limit: u64, credit: bool) {
        let terms = GrantTerms {
            guarantee: amount(if author == CHEAT { 80 } else { 20 }),
            source: if credit { Source::Credit } else { Source::Prefunded },
            ..GrantTerms::prefunded(amount(limit))
        };
        let key = self.wallets[author].key();
        if self.world.handle(Input::IssueGrant { author: key, terms }).is_err() {
            return;
        }
        let serial = *self.world.bank.authors()[&key].grants.keys().next_back().unwrap();
        self.limits.insert((author, serial), limit);
        let log = self.logs[author].first().cloned().unwrap_or_else(|| Log::new(serial.0));
        self.logs[author] = vec![Log { serial, total: 0, ..log }];
        self.open[author] = true;
    }

    fn act(&mut self, (what, a, b, c, flag): Action, reached: &mut Reached) {
        let author = usize::from(a) % AUTHORS;
        let honest = if author == CHEAT { 0 } else { author };
        match what % 16 {
            0..=2 => self.pay(honest, b, c, flag && c.is_multiple_of(3)),
            3 | 4 => self.cheat(b, c, flag),
            5..=7 => self.submit(&[usize::from(b), usize::from(c), usize::from(a)], flag, reached),
            8 => self.answer(usize::from(b) * 3 + usize::from(c), flag, a),
            9 => self.give_receipt(usize::from(b)),
            10 => self.refund(usize::from(b), c, flag),
            11 if c.is_multiple_of(3) => self.close(honest),
            11 => self.renew(honest, u64::from(b) + 1, flag),
            12 => self.pass_time(u64::from(b)),
            13 => self.money(author, u64::from(b), flag, c),
            14 => self.other(a, b),
            _ => self.forge(usize::from(b), usize::from(c), reached),
        }
    }

    fn keep(&mut self, made: Made, author: usize, payee: usize, opens: bool, pays: bool) {
        let (in_time, disclosed, refused, knew) = (false, false, false, false);
        self.known.push(Known {
            made,
            author,
            payee,
            opens,
            pays,
            in_time,
            disclosed,
            refused,
            knew,
        });
    }

    fn pay(&mut self, author: usize, b: u8, c: u8, wrong_key: bool) {
        if !self.open[author] {
            return;
        }
        let payee = usize::from(b) % self.wallets.len();
        let log = &mut self.logs[author][0];
        let left = self.limits[&(author, log.serial)] - log.total;
        let spend = 1 + u64::from(c) % 20;
        if spend > left {
            return;
        }
        let (from, to) = (&self.wallets[author], &self.wallets[payee]);
        let made =
            if wrong_key { log.pay_unopenable(from, to, spend) } else { log.pay(from, to, spend) };
        self.keep(made, author, payee, !wrong_key, true);
    }

    /// The cheat goes on with one of its branches, or starts another one.
    fn cheat(&mut self, b: u8, c: u8, branch: bool) {
        let payee = usize::from(b) % self.wallets.len();
        let at = usize::from(c) % self.logs[CHEAT].len();
        let mut log = self.logs[CHEAT][at].clone();
        match c % 11 {
            // A gap that hides an entry, an overlap, a skipped interval, a return in serial.
            0 => log.total = log.total.saturating_sub(7),
            1 => log.total += 3,
            2 => (log.sequence, log.previous) = (log.sequence + 2, Some(Hash([c; 32]))),
            3 if log.serial.0 > 1 => (log.serial, log.total) = (Serial(1), 0),
            4 => {
                let made = log.close(&self.wallets[CHEAT]);
                self.keep(made, CHEAT, payee, true, false);
            }
            _ => {}
        }
        let log_before = log.clone();
        let spend = 1 + u64::from(b ^ c) % 60;
        let (from, to) = (&self.wallets[CHEAT], &self.wallets[payee]);
        if log.sequence == 0 && log.total > 0 {
            return;
        }
        let made = log.pay(from, to, spend);
        self.keep(made, CHEAT, payee, true, true);
        if branch && self.logs[CHEAT].len() < 4 {
            self.logs[CHEAT].push(log_before);
        }
        self.logs[CHEAT][at] = log;
    }

    fn submit(&mut self, picks: &[usize], batch: bool, reached: &mut Reached) {
        if self.known.is_empty() {
            return;
        }
        let count = if batch { picks.len() } else { 1 };
        let picks: Vec<usize> =
            picks.iter().take(count).map(|pick| pick % self.known.len()).collect();
        let items: Vec<Vec<u8>> =
            picks.iter().map(|pick| self.known[*pick].made.item.clone()).collect();
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let held: Vec<bool> = picks.iter().map(|pick| self.is_submitted(*pick)).collect();
        let verdicts = self.world.submit(&items);
        for ((pick, held), verdict) in picks.into_iter().zip(held).zip(verdicts) {
            if let Verdict::Decided { entry, duplicate, .. }
            | Verdict::Held { entry, duplicate, .. } = verdict
            {
                assert_eq!(entry, self.known[pick].made.id, "the answer is about what was sent");
                assert!(duplicate || !held, "what is recorded stays recorded");
                *reached.entry("duplicate".into()).or_default() += u64::from(duplicate);
            }
            if !held && self.is_submitted(pick) {
                let header = self.known[pick].made.entry.header();
                let grant = self.world.bank.grant(&header.author.key, header.serial).unwrap();
                let until = u64::from(grant.grant.claim_until);
                self.known[pick].in_time = self.world.now < until;
            }
        }
    }

    fn is_submitted(&self, at: usize) -> bool {
        let held = self.world.bank.entry(&self.known[at].made.id);
        held.is_some_and(|held| held.standing != Standing::HeaderOnly)
    }

    /// The payee of an entry signs its verdict.
    fn answer(&mut self, at: usize, refuses: bool, a: u8) {
        if self.known.is_empty() {
            return;
        }
        let at = at % self.known.len();
        let known = &self.known[at];
        let knew = a.is_multiple_of(5);
        let verdict = if refuses && a.is_multiple_of(2) { RefusedDeclined } else { Accepted };
        let epoch = if knew { u32::MAX } else { 0 };
        let item = receipt(&self.wallets[known.payee], &known.made, verdict, epoch);
        self.receipts.push((item, at, verdict == RefusedDeclined, knew));
    }

    fn give_receipt(&mut self, at: usize) {
        if self.receipts.is_empty() {
            return;
        }
        let (item, entry, refused, knew) = self.receipts[at % self.receipts.len()].clone();
        if matches!(self.world.submit_one(&item), Verdict::Taken { .. }) {
            let known = &mut self.known[entry];
            known.disclosed = true;
            known.refused |= refused;
            known.knew |= knew;
        }
    }

    /// The payee of an entry returns (part of) it, whether it may or not.
    fn refund(&mut self, at: usize, c: u8, spends: bool) {
        if self.known.is_empty() {
            return;
        }
        let at = at % self.known.len();
        let (payer, payee) = (self.known[at].author, self.known[at].payee);
        if payee >= AUTHORS || payee == CHEAT || !self.open[payee] {
            return;
        }
        let original = &self.known[at].made;
        let whole = original.entry.header().amount.minor();
        let sum = if c.is_multiple_of(4) { whole + 1 } else { whole / 2 + 1 };
        let log = &mut self.logs[payee][0];
        if spends && log.total + sum > self.limits[&(payee, log.serial)] {
            return;
        }
        let made = log.refund(&self.wallets[payee], &self.wallets[payer], original.id, sum, spends);
        self.keep(made, payee, payer, true, false);
    }

    fn close(&mut self, author: usize) {
        if self.open[author] {
            let made = self.logs[author][0].close(&self.wallets[author]);
            self.keep(made, author, author, true, false);
            self.open[author] = false;
        }
    }

    fn pass_time(&mut self, b: u64) {
        let step = match b % 16 {
            0 => 8 * DAY,
            1 => 3 * DAY,
            _ => b * 60,
        };
        self.world.tick_at(self.world.now + step);
    }

    fn money(&mut self, author: usize, b: u64, take: bool, c: u8) {
        let claim = take && c % 4 < 2;
        let author = if claim { CHEAT } else { author };
        let of = CustomerId([u8::try_from(author).unwrap() + 1; 16]);
        let kind = match (take, c % 4) {
            (false, _) => OperationKind::Fund(of),
            (true, 0) => OperationKind::Recover(of),
            (true, 1) => OperationKind::WriteOff(of),
            (true, _) => OperationKind::Withdraw(of),
        };
        // Refused when the account does not hold as much.
        let whole = self.world.held(u8::try_from(author).unwrap() + 1).max(1);
        let sum = match (take, claim) {
            (_, true) => b % 4 + 1,
            (true, false) => whole,
            (false, false) => b + 1,
        };
        let _ = self.world.operate(kind, sum);
    }

    fn other(&mut self, a: u8, b: u8) {
        let key = self.wallets[CHEAT].key();
        match a % 4 {
            0 => drop(self.world.handle(Input::Bulletin).unwrap()),
            1 => drop(self.world.handle(Input::CloseCase { author: key, denied: vec![] })),
            2 if b.is_multiple_of(8) => {
                let author = self.wallets[3].key();
                self.world.handle(Input::Freeze { author, reason: FreezeReason::Lost }).unwrap();
            }
            _ => {
                let (a, b) = (customer(1 + a % 4), customer(1 + b % 4));
                if b == customer(4) {
                    self.world.handle(Input::Link { a, b }).unwrap();
                }
            }
        }
    }

    /// Bytes with a flipped bit: nothing of the genuine entry changes.
    fn forge(&mut self, at: usize, bit: usize, reached: &mut Reached) {
        if self.known.is_empty() {
            return;
        }
        let mut item = self.known[at % self.known.len()].made.item.clone();
        let at = 1 + bit * 7 % (item.len() - 1);
        item[at] ^= 1 << (bit % 8);
        let before = self.world.bank.snapshot();
        let verdict = self.world.submit_one(&item);
        let nothing = matches!(verdict, Verdict::Rejected(_) | Verdict::Later(_));
        assert!(nothing, "{verdict:?}");
        assert_eq!(self.world.bank.snapshot(), before);
        *reached.entry("forged".into()).or_default() += 1;
    }

    /// What the payees of provisional payments say about them when asked late.
    fn last_words(&mut self, c: u8) {
        let provisional = |known: &Known| {
            let held = self.world.bank.entry(&known.made.id);
            held.is_some_and(|held| matches!(held.standing, Standing::Provisional { .. }))
        };
        if let Some(at) = self.known.iter().position(provisional) {
            self.answer(at, c.is_multiple_of(8), c);
            self.give_receipt(self.receipts.len() - 1);
        }
    }

    /// Ends all claims and reviews; `late` happens between the end of claims and the review's.
    fn settle_down(&mut self, late: &[Action], reached: &mut Reached) {
        self.world.tick_at(self.world.now + 8 * DAY);
        for action in late {
            self.act(*action, reached);
            if action.2.is_multiple_of(4) {
                self.last_words(action.3);
            }
            self.world.check();
        }
        for _ in 0..3 {
            self.world.tick_at(self.world.now + 8 * DAY);
            let author = self.wallets[CHEAT].key();
            let _ = self.world.handle(Input::CloseCase { author, denied: vec![] });
        }
        self.world.fund(customer(2), 50);
        for (_, _, b, c, _) in late {
            self.money(CHEAT, u64::from(*b), true, c % 2);
        }
    }

    /// I2: whoever accepted honestly and reached the bank in time has been paid.
    fn nobody_honest_lost(&self, reached: &mut Reached) {
        let claims: Vec<Claim> =
            self.world.bank.entries().values().map(|entry| entry.claim).collect();
        let cheat = self.wallets[CHEAT].key();
        for known in self.known.iter().filter(|it| it.pays && it.in_time) {
            let header = known.made.entry.header();
            let promised = self.limits.get(&(known.author, header.serial)).copied();
            let below = if known.author == CHEAT {
                let of_cheat = |claim: &&Claim| {
                    let entry = &self.world.bank.entries()[&claim.id];
                    entry.header.header.author.key == cheat && claim.serial == header.serial
                };
                let others: Vec<&Claim> = self
                    .world
                    .bank
                    .entries()
                    .values()
                    .filter(|entry| entry.header.header.author.key == cheat)
                    .map(|entry| &entry.claim)
                    .collect();
                let lowest = claims
                    .iter()
                    .filter(of_cheat)
                    .filter(|claim| others.iter().any(|other| claim.contradicts(other)))
                    .map(|claim| claim.start)
                    .min();
                lowest.is_none_or(|lowest| header.spent_total <= lowest)
            } else {
                true
            };
            let within = promised.is_some_and(|limit| header.spent_total.minor() <= limit);
            if !below || !within || !known.opens && !known.disclosed {
                continue;
            }
            let outcome = self.world.outcome(&known.made).unwrap();
            let name = if known.author == CHEAT { "paid below" } else { "paid honest" };
            *reached.entry(name.into()).or_default() += 1;
            let allowed = match outcome {
                Outcome::Settled => true,
                Outcome::Returned | Outcome::RejectedRefused => known.refused,
                Outcome::RejectedFrozen => known.knew,
                // Its receipt came when nothing could be disclosed any more.
                Outcome::RejectedUnopened => !known.opens,
                _ => false,
            };
            assert!(allowed, "{outcome:?} of {:?}", header);
        }
    }
}

fn count(run: &Run, reached: &mut Reached) {
    let mut add = |name: String| *reached.entry(name).or_default() += 1;
    for event in &run.world.events {
        match &event.change {
            Change::Decided { outcome, entry, .. } => {
                add(format!("{outcome:?}"));
                let entry = run.world.bank.entry(entry).unwrap();
                let header = &entry.header.header;
                if header.kind == Kind::REFUND && *outcome == Outcome::Settled {
                    let form = if header.amount.is_zero() { "balance" } else { "grant" };
                    add(format!("refund from {form}"));
                }
            }
            Change::Contradicted { proof: Some(_), .. } => add("contradiction".into()),
            Change::Contradicted { proof: None, .. } => add("lower contradiction".into()),
            Change::PaidProvisionally { from_guarantee, from_reserve, .. } => {
                let guarantee = if from_guarantee.is_zero() { "rest" } else { "guarantee" };
                add(format!("provisional from {guarantee}"));
                if !from_guarantee.is_zero() && !from_reserve.is_zero() {
                    add("provisional from both".into());
                }
            }
            Change::Closed { .. } => add("closed".into()),
            Change::RefundWaiting { .. } => add("refund waiting".into()),
            Change::ReturnDue { .. } => add("return due".into()),
            Change::ReceiptWaiting { .. } => add("receipt waiting".into()),
            Change::ClaimsEnded { ended: true, .. } => add("grant ended".into()),
            Change::ClaimsEnded { ended: false, .. } => add("grant held open".into()),
            Change::CaseClosed { .. } => add("case closed".into()),
            Change::TakenBack { .. } => add("taken back".into()),
            Change::WrittenOff { .. } => add("written off".into()),
            Change::Recovered { .. } => add("recovered".into()),
            Change::Frozen { reason: FreezeReason::Lost, .. } => add("lost".into()),
            _ => {}
        }
        for posting in event.transactions.iter().flat_map(|it| it.postings()) {
            if matches!(posting.account, Account::Suspense(_) | Account::DueTo(_)) {
                add(posting.account.kind().into());
            }
        }
    }
    for known in run.known.iter().filter(|known| !known.opens) {
        if run.world.outcome(&known.made) == Some(Outcome::Settled) {
            add("settled by disclosure".into());
        }
    }
}

/// What the random runs must reach.
const WANTED: &str = "Settled, Contested, Returned, RejectedUncovered, RejectedLate, RejectedFrozen, \
    RejectedUnopened, RejectedRefund, RejectedRefused, contradiction, \
    lower contradiction, provisional from rest, provisional from guarantee, \
    provisional from both, refund from balance, refund from grant, refund waiting, \
    return due, receipt waiting, settled by disclosure, closed, grant ended, \
    grant held open, case closed, taken back, written off, recovered, lost, \
    suspense, due_to, duplicate, forged, paid below, paid honest";

#[test]
fn random_runs_keep_the_invariants_and_reach_every_case() {
    let config = Config { cases: 160, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let reached = RefCell::new(Reached::new());
    let action = any::<Action>();
    let result = runner.run(&prop::collection::vec(action, 40..140), |actions| {
        let mut reached = reached.borrow_mut();
        let mut run = Run::new();
        let mut tally = Beside::default();
        let (early, late) = actions.split_at(actions.len() - 12);
        for action in early {
            run.act(*action, &mut reached);
            run.world.check();
            tally.check(&run.world.events, &run.world.bank);
        }
        run.settle_down(late, &mut reached);
        run.world.check();
        tally.check(&run.world.events, &run.world.bank);
        tally.check_at_once(&run.world.events, &run.world.bank);
        run.nobody_honest_lost(&mut reached);
        count(&run, &mut reached);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let reached = reached.into_inner();
    for (name, times) in &reached {
        println!("{times:6} {name}");
    }
    for name in WANTED.split(", ") {
        assert!(reached.get(name).is_some_and(|times| *times > 0), "never reached: {name}");
    }
}
