//! What an honest payee's verdict accepts, the bank settles (DESIGN §4), against the payee's real
//! verdict: payers who keep to the rules and payers who do not, payees that hold more or less of
//! the bank's records, and everything accepted reaching the bank in any order before claim-until.
//! Exceptions are a contradiction and a freeze that the payee knew, and nothing else.

use crate::world::*;
use hundi_journal::input::{GrantTerms, Input};
use hundi_ledger::id::{AuthorId, Hash, Serial};
use hundi_ledger::record::Verified;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::entry::SignedHeader;
use hundi_ledger::record::freeze::FreezeReason;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::PayeeVerdict::Accepted;
use hundi_ledger::replica::{Change, Key, Replica, Shelf};
use hundi_ledger::verdict::payee::{Case, Expected, Judgement, judge};
use std::collections::BTreeMap;

/// Numbers that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()].clone()
    }
}

#[derive(Default)]
struct Stored(BTreeMap<Key, Vec<u8>>);

impl Shelf for Stored {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        self.0.item(key)
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        self.0.items(author)
    }
}

/// A payee's device: what it holds of the mesh.
struct Payee {
    wallet: Wallet,
    replica: Replica,
    stored: Stored,
}

impl Payee {
    fn new(wallet: Wallet) -> Self {
        Self { wallet, replica: Replica::new(network()), stored: Stored::default() }
    }

    fn take(&mut self, item: &Item) {
        let Ok(item) = self.replica.trust().verify(item.clone()) else { return };
        for change in self.replica.apply(item, &self.stored).changes {
            match change {
                Change::Put { key, bytes } => drop(self.stored.0.insert(key, bytes)),
                Change::Delete { key } => drop(self.stored.0.remove(&key)),
            }
        }
    }

    fn judge(
        &mut self,
        made: &Made,
        before: Option<&Verified<SignedHeader>>,
        now: u64,
    ) -> Judgement {
        self.take(&Item::Entry(made.entry.clone()));
        let entry = made.entry.clone().verify().unwrap();
        let expected = Expected::Request { currency: inr(), amount: None, expires: u32::MAX };
        judge(&Case {
            replica: &self.replica,
            shelf: &self.stored,
            entry: &entry,
            plaintext: &payment(&self.wallet),
            previous: before,
            payee: self.wallet.author,
            expected,
            now: u32::try_from(now).unwrap(),
        })
    }
}

struct Promised {
    made: Made,
    payee: usize,
    freezes_epoch: u32,
}

#[derive(Default)]
struct Reached {
    accepted: u64,
    not_accepted: u64,
    contradicted: u64,
    frozen: u64,
    second_grants: u64,
}

/// The next header of a payer that does not keep to the rules.
fn bend(log: &Log, dice: &mut Dice) -> Log {
    let mut bent = log.clone();
    match dice.below(6) {
        0 => bent.total += 1 + dice.below(9),
        1 => bent.total = bent.total.saturating_sub(1 + dice.below(9)),
        2 => {
            bent.sequence += 1 + u32::try_from(dice.below(3)).unwrap();
            bent.previous = Some(Hash([7; 32]));
        }
        3 => bent.serial = Serial(1),
        4 => bent.serial = Serial(bent.serial.0 + 1),
        _ => (bent.sequence, bent.previous, bent.total) = (0, None, 0),
    }
    bent
}

fn run(seed: u64, reached: &mut Reached) {
    let mut dice = Dice(seed);
    let mut world = World::new();
    let payer = world.enrol(customer(1), 1);
    world.fund(customer(1), 2_000);
    let terms = |dice: &mut Dice| GrantTerms {
        cap: amount(100 + dice.below(200)),
        unsettled_max: u8::try_from(2 + dice.below(12)).unwrap(),
        penalty_percent: u8::try_from(dice.below(20)).unwrap(),
        ..GrantTerms::prefunded(amount(300))
    };
    let first = terms(&mut dice);
    world.issue(&payer, first);
    let mut payees: Vec<Payee> = (2..5).map(|n| Payee::new(world.enrol(customer(n), n))).collect();
    let bends = dice.below(3) == 0;
    let mut log = Log::new(1);
    let mut before: Option<Verified<SignedHeader>> = None;
    let mut promised: Vec<Promised> = Vec::new();
    let mut everything: Vec<Made> = Vec::new();
    for _ in 0..40 {
        world.now += dice.below(1_800);
        let at = usize::try_from(dice.below(3)).unwrap();
        match dice.below(12) {
            // The payee hears of some of what the bank has signed.
            0..=2 => {
                let share = 1 + dice.below(3);
                for item in &world.records {
                    if dice.below(share) == 0 {
                        payees[at].take(item);
                    }
                }
            }
            3 => drop(world.handle(Input::Bulletin).unwrap()),
            4 if !everything.is_empty() => {
                let made = dice.pick(&everything);
                world.submit_one(&made.item);
            }
            5 if log.serial.0 == 1 && log.sequence > 2 => {
                let second = terms(&mut dice);
                let author = payer.key();
                if world.handle(Input::IssueGrant { author, terms: second }).is_ok() {
                    (log.serial, log.total) = (Serial(2), 0);
                    reached.second_grants += 1;
                }
            }
            6 if dice.below(20) == 0 => {
                let author = payer.key();
                world.handle(Input::Freeze { author, reason: FreezeReason::Lost }).unwrap();
                world.handle(Input::Bulletin).unwrap();
            }
            _ => {
                let mut writing =
                    if bends && dice.below(4) == 0 { bend(&log, &mut dice) } else { log.clone() };
                let most = if dice.below(4) == 0 { 300 } else { 30 };
                let spend = 1 + dice.below(most);
                // No record states that a log begins above 0.
                if writing.sequence == 0 && writing.total > 0 {
                    continue;
                }
                let payee = &mut payees[at];
                let made = if dice.below(6) == 0 {
                    writing.pay_unopenable(&payer, &payee.wallet, spend)
                } else {
                    writing.pay(&payer, &payee.wallet, spend)
                };
                everything.push(made.clone());
                // The offer brings the grants, and a checkpoint that may be long out of date.
                let of_payer = |item: &&Item| match item {
                    Item::Certificate(_) => true,
                    Item::Grant(grant) => grant.author == payer.author,
                    _ => false,
                };
                world.records.iter().filter(of_payer).for_each(|item| payee.take(item));
                match payee.judge(&made, before.as_ref(), world.now) {
                    Judgement::Accept { freezes_epoch, .. } => {
                        reached.accepted += 1;
                        before = made.entry.signed_header().verify(&network().id()).ok();
                        log = writing;
                        promised.push(Promised { made, payee: at, freezes_epoch });
                    }
                    // A payer that was told no goes on from there, or as if it had signed nothing.
                    _ => {
                        reached.not_accepted += 1;
                        if !bends || dice.below(2) == 0 {
                            before = made.entry.signed_header().verify(&network().id()).ok();
                            log = writing;
                        }
                    }
                }
            }
        }
    }
    // What was accepted reaches the bank before claim-until, in any order, much of the rest too.
    world.now = CLAIM_UNTIL - 1;
    let mut items: Vec<Vec<u8>> = Vec::new();
    for one in &promised {
        items.push(one.made.item.clone());
        items.push(receipt(&payees[one.payee].wallet, &one.made, Accepted, one.freezes_epoch));
    }
    items.extend(everything.iter().filter(|_| dice.below(2) == 0).map(|it| it.item.clone()));
    for at in (1..items.len()).rev() {
        items.swap(at, usize::try_from(dice.below(at as u64 + 1)).unwrap());
    }
    for part in items.chunks(3) {
        let part: Vec<&[u8]> = part.iter().map(Vec::as_slice).collect();
        world.submit(&part);
    }
    // A receipt that came before an entry nobody had seen yet was kept or is given again.
    for one in &promised {
        let again = receipt(&payees[one.payee].wallet, &one.made, Accepted, one.freezes_epoch);
        world.submit_one(&again);
    }
    world.check();
    let author = &world.bank.authors()[&payer.key()];
    if author.proof.is_some() {
        reached.contradicted += 1;
        return;
    }
    for one in &promised {
        let knew = author.freeze.is_some_and(|freeze| one.freezes_epoch >= freeze.epoch);
        reached.frozen += u64::from(author.freeze.is_some());
        let outcome = world.outcome(&one.made);
        let header = one.made.entry.header();
        assert!(outcome == Some(Outcome::Settled) || knew, "seed {seed}: {outcome:?} {header:?}");
    }
}

#[test]
fn what_an_honest_payee_accepts_the_bank_settles() {
    let mut reached = Reached::default();
    for seed in 0..120 {
        run(seed, &mut reached);
    }
    let Reached { accepted, not_accepted, contradicted, frozen, second_grants } = reached;
    println!(
        "{accepted} accepted, {not_accepted} not, {contradicted} runs contradicted, {frozen} \
         accepted of a frozen payer, {second_grants} second grants"
    );
    assert!(accepted > 300 && not_accepted > 300);
    assert!(contradicted > 10 && contradicted < 60 && frozen > 10 && second_grants > 20);
}
