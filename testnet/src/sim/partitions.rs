//! What a cheat can cost at worst: its phone is copied as often as there are places that hear
//! nothing of each other, and in each of them it promises the whole grant. Then all places meet, the
//! gateway takes in everything, claims end, and the books say who lost what.

use super::people::LIMIT;
use super::scenario::{Fixed, Scenario};
use super::world::World;
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use hundi_journal::account::Account;
use hundi_ledger::id::{BankNumber, Hash};
use hundi_ledger::money::Currency;
use hundi_ledger::record::checkpoint::Outcome;
use serde::Serialize;
use serde_json::json;

/// Minutes that a bank has for taking in everything once all places meet.
const SETTLES_MINUTES: u64 = 30;

/// How a cheat divides its grant in each place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// One payment of the whole limit.
    Whole,
    /// Seven payments to seven payees, as large as a payee accepts after so many; the smallest are
    /// such as a guarantee can pay.
    Divided,
}

impl Pattern {
    /// Hundredths of the limit of each payment. After n unsettled ones a payee accepts
    /// (10 - n) tenths of the limit, and three at least.
    fn hundredths(self) -> &'static [u64] {
        match self {
            Self::Whole => &[100],
            Self::Divided => &[40, 25, 10, 10, 5, 5, 5],
        }
    }
}

/// What was lost, minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Places that heard nothing of each other.
    pub places: u32,
    /// How the cheat paid.
    pub pattern: Pattern,
    /// The limit of its grant.
    pub limit: u64,
    /// The guarantee of its grant.
    pub guarantee: u64,
    /// What honest payees accepted in all.
    pub accepted: u64,
    /// What they were paid in the end.
    pub paid: u64,
    /// What of that the bank paid beyond the reserve: its loss, if the cheat has nothing.
    pub bank_lost: u64,
    /// What payees accepted and were not paid.
    pub payees_lost: u64,
    /// Payments that the bank had not decided after half an hour in reach of every payee.
    pub undecided: u64,
}

impl Loss {
    /// The most that the bank can lose: the guarantee, and nothing if nobody was cheated.
    pub fn bank_bound(&self) -> u64 {
        if self.places > 1 { self.guarantee } else { 0 }
    }

    /// The most that payees can lose: every place but one accepts up to the limit, in which the
    /// intervals of the entries are disjoint, and the reserve pays the limit once.
    pub fn payees_bound(&self) -> u64 {
        u64::from(self.places - 1) * self.limit
    }

    /// Whether the rule held.
    pub fn is_within_bounds(&self) -> bool {
        self.bank_lost <= self.bank_bound()
            && self.payees_lost <= self.payees_bound()
            && self.accepted == self.paid + self.payees_lost
            && self.paid <= self.limit + self.bank_lost
    }
}

/// Runs one seed.
///
/// # Errors
/// When something was violated, or a payee refused what the rules admit.
pub fn run(seed: u64, places: u32, pattern: Pattern) -> Result<Loss> {
    let mut mesh = Mesh::new(seed, places, pattern)?;
    for (turn, hundredths) in pattern.hundredths().iter().enumerate() {
        mesh.cheat_pays(turn as u32, LIMIT * hundredths / 100)?;
    }
    mesh.all_places_meet()?;
    mesh.world.end_claims();
    mesh.world.still_holds()?;
    mesh.loss(places, pattern)
}

struct Mesh {
    world: World,
    places: u32,
    /// Payees of each place.
    payees: u32,
    /// Entries that honest payees accepted, with their sums.
    accepted: Vec<(Hash, u64)>,
    /// How many of them the bank had not decided when claims began to end.
    undecided: u64,
}

impl Mesh {
    fn new(seed: u64, places: u32, pattern: Pattern) -> Result<Self> {
        let payees = pattern.hundredths().len() as u32;
        let parts = json!({
            "nodes": (places * (1 + payees)).max(2), "gateways": 1, "banks": 1, "minutes": 60,
            "expiry_minutes": 1_440, "claim_minutes": 10_080, "scope_bits": 0, "heals": false,
            "radio": { "loss_percent": 0 }, "faults": {}, "adversaries": [],
        });
        let scenario = Scenario::of(seed, &Fixed { parts: Some(parts), ..Fixed::default() })?;
        let mut world = World::staged(seed, &scenario)?;
        world.introduce_everybody();
        let mut mesh = Self { world, places, payees, accepted: Vec::new(), undecided: 0 };
        let original = mesh.cheat(0);
        for place in 0..places {
            if place > 0 {
                mesh.world.clone_phone(original, mesh.cheat(place))?;
            }
            for payee in 0..payees {
                for other in payee + 1..payees {
                    mesh.link(mesh.payee(place, payee), mesh.payee(place, other));
                }
                mesh.link(mesh.cheat(place), mesh.payee(place, payee));
            }
        }
        Ok(mesh)
    }

    /// The cheat's phone at a place.
    fn cheat(&self, place: u32) -> u32 {
        self.world.scenario.gateways + place * (1 + self.payees)
    }

    fn payee(&self, place: u32, payee: u32) -> u32 {
        self.cheat(place) + 1 + payee
    }

    fn link(&mut self, a: u32, b: u32) {
        self.world.begin_link([a, b], false, 30, 20_000);
    }

    /// In every place at the same moment the cheat pays the next payee.
    fn cheat_pays(&mut self, turn: u32, minor: u64) -> Result<()> {
        for place in 0..self.places {
            self.world.ask(self.payee(place, turn), self.cheat(place), minor);
        }
        for shown in self.world.read_requests() {
            self.world.pay(shown);
        }
        self.world.pass(10_000);
        self.world.still_holds()?;
        let known: Vec<Hash> = self.accepted.iter().map(|(id, _)| *id).collect();
        let payments = self.world.truth.payments.iter();
        let fresh = payments.filter(|(id, it)| it.accepted_by.is_some() && !known.contains(id));
        let fresh: Vec<(Hash, u64)> = fresh.map(|(id, _)| (*id, minor)).collect();
        ensure!(
            fresh.len() == self.places as usize,
            "{} of {} payees accepted payment {turn}",
            fresh.len(),
            self.places
        );
        self.accepted.extend(fresh);
        Ok(())
    }

    /// The cheat throws its phones away; everybody else meets the gateway.
    fn all_places_meet(&mut self) -> Result<()> {
        for place in 0..self.places {
            self.world.throw_away(self.cheat(place));
            // Relays carry little of a proven author: everybody brings their own to the gateway.
            for payee in 0..self.payees {
                self.link(0, self.payee(place, payee));
            }
        }
        for _ in 0..SETTLES_MINUTES {
            self.world.pass(60_000);
            self.world.still_holds()?;
            let open = self.accepted.iter().filter(|(id, _)| self.outcome(id).is_none());
            self.undecided = open.count() as u64;
            if self.undecided == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    fn outcome(&self, id: &Hash) -> Option<Outcome> {
        self.world.truth.books.first()?.outcomes.get(id).copied()
    }

    fn loss(&self, places: u32, pattern: Pattern) -> Result<Loss> {
        let bank = self.world.hosts[0].bank.as_ref().context("a bank")?;
        let cheat = self.world.nodes[self.cheat(0) as usize].device.identity.context("keys")?;
        let key = cheat.author().key;
        ensure!(cheat.author().bank == BankNumber(1), "one bank");
        let customer = self.world.nodes[self.cheat(0) as usize].customer.context("an account")?;
        let grant = bank.authors().get(&key).and_then(|it| it.grants.values().next_back());
        let grant = &grant.context("a grant")?.grant;
        let receivable = Account::DoubleSpendReceivable(customer);
        let bank_lost = bank.books().balance(receivable, Currency::new("INR")?).unsigned_abs();
        let sum = |paid: bool| -> u64 {
            let all = self.accepted.iter();
            let some = all.filter(|(id, _)| (self.outcome(id) == Some(Outcome::Settled)) == paid);
            some.map(|(_, minor)| minor).sum()
        };
        Ok(Loss {
            places,
            pattern,
            limit: grant.limit.minor(),
            guarantee: grant.guarantee.minor(),
            accepted: sum(true) + sum(false),
            paid: sum(true),
            bank_lost: u64::try_from(bank_lost)?,
            payees_lost: sum(false),
            undecided: self.undecided,
        })
    }
}
