//! The market morning as it must go: who pays whom how much, who returns what, which payments must
//! be refused, all made from one seed. What has to come out of it is counted here, from the script
//! alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// Payments that every villager makes: a grant lets ten entries stand unsettled, and one is left
/// for a refund.
const PAYMENTS_EACH: usize = 9;
/// Requests per village that two payers answer: the second one must be refused.
const TWICE_PER_VILLAGE: usize = 2;
/// Villagers per village who return a payment that they received.
const REFUNDS_PER_VILLAGE: usize = 3;
/// Payments that the courier makes in its own village.
const COURIER_PAYMENTS: usize = 4;
/// Minor units per major unit.
const MAJOR: u64 = 100;

/// What the cheat pays before it cheats.
pub const BELOW_MINOR: u64 = 100 * MAJOR;
/// What the cheat promises in the first village.
pub const FIRST_BRANCH_MINOR: u64 = 600 * MAJOR;
/// What its clone promises under the same sequence number in the other one.
pub const SECOND_BRANCH_MINOR: u64 = 700 * MAJOR;
/// The cheat's grant: enough for either, not for both.
pub const CHEAT_LIMIT_MINOR: u64 = 1_000 * MAJOR;

const NAMES: [&str; 24] = [
    "Asha", "Binu", "Chandra", "Deepa", "Esha", "Farid", "Gita", "Hari", "Indu", "Jaya", "Kiran",
    "Lata", "Mohan", "Nila", "Omar", "Priya", "Qadir", "Rani", "Sunil", "Tara", "Uma", "Vijay",
    "Yusuf", "Zoya",
];

/// Somebody with a device and an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// For people.
    pub name: String,
    /// What the bank puts into the account first, minor units.
    pub fund_minor: u64,
    /// How much of it may be promised offline.
    pub limit_minor: u64,
}

/// One thing that happens at a market. Persons are numbered as in [`Script::people`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// One pays another, and is accepted.
    Pay {
        /// Who pays.
        payer: usize,
        /// Who is paid.
        payee: usize,
        /// Minor units.
        amount_minor: u64,
    },
    /// Two pay one request: the second is refused, with a signature.
    PayTwice {
        /// Who pays first.
        first: usize,
        /// Who pays after that was accepted.
        second: usize,
        /// Who asked once.
        payee: usize,
        /// Minor units.
        amount_minor: u64,
    },
    /// A payee returns what an earlier act paid it, whole or in part.
    Refund {
        /// The number of that act in the same village.
        of: usize,
        /// Minor units.
        amount_minor: u64,
    },
    /// Somebody tries to promise more than payees would accept now: the device does not sign.
    HoldBack {
        /// Who tries.
        payer: usize,
        /// To whom.
        payee: usize,
        /// Minor units.
        amount_minor: u64,
    },
}

/// A village: who lives there, and its morning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Village {
    /// For people.
    pub name: &'static str,
    /// Numbers of the persons who live there.
    pub members: Vec<usize>,
    /// What happens, in order.
    pub acts: Vec<Act>,
    /// Whom the cheat pays here.
    pub cheated: usize,
}

/// What must come out of some acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Payments signed.
    pub made: u64,
    /// Of them accepted by their payees.
    pub accepted: u64,
    /// Of them refused by their payees.
    pub refused: u64,
    /// Refunds signed and accepted.
    pub refunded: u64,
    /// Payments that the payer's own device did not sign.
    pub held_back: u64,
}

impl Counts {
    /// Entries that this leaves in the logs.
    pub fn entries(&self) -> u64 {
        self.made + self.refunded
    }

    /// Adds what one act does.
    pub fn add(&mut self, act: &Act) {
        match act {
            Act::Pay { .. } => {
                self.made += 1;
                self.accepted += 1;
            }
            Act::PayTwice { .. } => {
                self.made += 2;
                self.accepted += 1;
                self.refused += 1;
            }
            Act::Refund { .. } => self.refunded += 1,
            Act::HoldBack { .. } => self.held_back += 1,
        }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            made: self.made + other.made,
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            refunded: self.refunded + other.refunded,
            held_back: self.held_back + other.held_back,
        }
    }
}

impl Village {
    /// What its morning comes to.
    pub fn counts(&self) -> Counts {
        self.acts.iter().fold(Counts::default(), |mut counts, act| {
            counts.add(act);
            counts
        })
    }
}

/// The whole morning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The villagers, then the courier.
    pub people: Vec<Person>,
    /// Both villages; the courier starts in the first.
    pub villages: [Village; 2],
    /// Whom the cheat pays before the villages part: lives in the first.
    pub below: usize,
}

impl Script {
    /// The morning of that many villagers, half of them in each village.
    pub fn new(seed: u64, villagers: usize) -> Self {
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
        let mut people: Vec<Person> = (0..=villagers)
            .map(|at| {
                let limit_minor = dice.between(8, 16) * 100 * MAJOR;
                let fund_minor = limit_minor + dice.between(1, 40) * 50 * MAJOR;
                Person { name: name(at), fund_minor, limit_minor }
            })
            .collect();
        if let Some(courier) = people.last_mut() {
            courier.name = "Ravi (courier)".to_owned();
        }
        let half = villagers / 2;
        let first: Vec<usize> = (0..half).collect();
        let second: Vec<usize> = (half..villagers).collect();
        let morning = acts(&mut dice, &people, &first, Some(villagers));
        let below = dice.choose(&first);
        let cheated = dice.choose(&first);
        let one = Village { name: "Anandpur", members: first, acts: morning, cheated };
        let acts = acts(&mut dice, &people, &second, None);
        let cheated = dice.choose(&second);
        let two = Village { name: "Bilaspur", members: second, acts, cheated };
        Self { people, villages: [one, two], below }
    }

    /// The courier's number.
    pub fn courier(&self) -> usize {
        self.people.len() - 1
    }

    /// What the whole morning comes to, without the cheat.
    pub fn counts(&self) -> Counts {
        self.villages[0].counts().plus(self.villages[1].counts())
    }

    /// What each account must hold in the end, reserve included, before what the cheat's payees got.
    pub fn wealth_minor(&self) -> Vec<u64> {
        let mut wealth: Vec<u64> = self.people.iter().map(|person| person.fund_minor).collect();
        let mut move_minor = |from: usize, to: usize, amount: u64| {
            wealth[from] -= amount;
            wealth[to] += amount;
        };
        for village in &self.villages {
            for act in &village.acts {
                match *act {
                    Act::Pay { payer, payee, amount_minor } => {
                        move_minor(payer, payee, amount_minor);
                    }
                    Act::PayTwice { first, payee, amount_minor, .. } => {
                        move_minor(first, payee, amount_minor);
                    }
                    Act::Refund { of, amount_minor } => {
                        if let Some((payer, payee)) = parties(&village.acts, of) {
                            move_minor(payee, payer, amount_minor);
                        }
                    }
                    Act::HoldBack { .. } => {}
                }
            }
        }
        wealth
    }
}

/// Payer and payee of a payment that was accepted.
pub fn parties(acts: &[Act], of: usize) -> Option<(usize, usize)> {
    match acts.get(of) {
        Some(Act::Pay { payer, payee, .. }) => Some((*payer, *payee)),
        Some(Act::PayTwice { first, payee, .. }) => Some((*first, *payee)),
        _ => None,
    }
}

fn name(at: usize) -> String {
    NAMES.get(at).map_or_else(|| format!("Villager {}", at + 1), |name| (*name).to_owned())
}

/// A village's morning: everybody's payments shuffled, some requests answered twice, some payments
/// returned, and one attempt at the end that goes too far.
fn acts(dice: &mut Dice, people: &[Person], members: &[usize], courier: Option<usize>) -> Vec<Act> {
    let each = |payments: usize| move |person: usize| std::iter::repeat_n(person, payments);
    let mut payers: Vec<usize> = members.iter().copied().flat_map(each(PAYMENTS_EACH)).collect();
    payers.extend(courier.into_iter().flat_map(each(COURIER_PAYMENTS)));
    dice.shuffle(&mut payers);
    let mut acts = Vec::new();
    for _ in 0..TWICE_PER_VILLAGE {
        let Some(first) = payers.pop() else { break };
        let Some(at) = payers.iter().rposition(|second| *second != first) else { break };
        let second = payers.remove(at);
        let payee = dice.other(members, &[first, second]);
        acts.push(Act::PayTwice { first, second, payee, amount_minor: dice.price() });
    }
    for payer in payers {
        let payee = dice.other(members, &[payer]);
        acts.push(Act::Pay { payer, payee, amount_minor: dice.price() });
    }
    dice.shuffle(&mut acts);
    add_refunds(dice, &mut acts);
    let payer = dice.choose(members);
    let payee = dice.other(members, &[payer]);
    // With entries unsettled before it, payees accept at most nine tenths of the limit.
    let amount_minor = people[payer].limit_minor / 100 * 95;
    acts.push(Act::HoldBack { payer, payee, amount_minor });
    acts
}

/// Has some payees return something, at most one payment each, at the end of the morning in the
/// order in which they were paid.
fn add_refunds(dice: &mut Dice, acts: &mut Vec<Act>) {
    let mut paid: BTreeMap<usize, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, act) in acts.iter().enumerate() {
        if let Act::Pay { payee, amount_minor, .. } = act {
            paid.entry(*payee).or_default().push((at, *amount_minor));
        }
    }
    let mut payees: Vec<usize> = paid.keys().copied().collect();
    dice.shuffle(&mut payees);
    for (turn, payee) in payees.into_iter().take(REFUNDS_PER_VILLAGE).enumerate() {
        let received = &paid[&payee];
        let (of, amount) = received[dice.index(received.len())];
        // Whole ones and parts.
        let amount_minor = if turn % 2 == 0 { amount } else { amount / 2 };
        acts.push(Act::Refund { of, amount_minor });
    }
}

/// Numbers from the seed.
struct Dice(ChaCha8Rng);

impl Dice {
    /// A number from `low` to `high`, both included.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.next_u64() % (high - low + 1)
    }

    /// What something costs at the market: 5 to 60 and some quarters.
    fn price(&mut self) -> u64 {
        self.between(5, 60) * MAJOR + self.between(0, 3) * (MAJOR / 4)
    }

    fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0.next_u64() % length).unwrap_or(0)
    }

    fn choose(&mut self, from: &[usize]) -> usize {
        from[self.index(from.len())]
    }

    fn other(&mut self, from: &[usize], not: &[usize]) -> usize {
        let left: Vec<usize> = from.iter().copied().filter(|one| !not.contains(one)).collect();
        self.choose(&left)
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.index(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_one_script() {
        assert_eq!(Script::new(7, 12), Script::new(7, 12));
        assert_ne!(Script::new(7, 12), Script::new(8, 12));
    }

    #[test]
    fn every_script_has_what_a_morning_needs_and_breaks_no_grant() {
        for seed in 0..200 {
            for villagers in [12, 13, 20] {
                check(&Script::new(seed, villagers));
            }
        }
    }

    fn check(script: &Script) {
        let counts = script.counts();
        assert!(counts.made >= 100, "{counts:?}");
        assert_eq!(counts.made, counts.accepted + counts.refused);
        let [twice, refunds] = [TWICE_PER_VILLAGE, REFUNDS_PER_VILLAGE].map(|each| 2 * each as u64);
        assert_eq!((counts.refused, counts.refunded, counts.held_back), (twice, refunds, 2));
        let mut entries = vec![0_u64; script.people.len()];
        let mut spent = vec![0_u64; script.people.len()];
        for village in &script.villages {
            let mut sign = |person: usize, amount: u64, fits: bool| {
                let left = (10 - entries[person].min(10)).max(3);
                let most = script.people[person].limit_minor / 10 * left;
                let total = spent[person] + amount;
                let kept = amount <= most && total <= script.people[person].limit_minor;
                assert_eq!(kept && entries[person] < 10, fits);
                if fits {
                    entries[person] += 1;
                    spent[person] = total;
                }
            };
            for act in &village.acts {
                match *act {
                    Act::Pay { payer, payee, amount_minor } => {
                        assert_ne!(payer, payee);
                        sign(payer, amount_minor, true);
                    }
                    Act::PayTwice { first, second, payee, amount_minor } => {
                        assert!(first != second && first != payee && second != payee);
                        sign(first, amount_minor, true);
                        sign(second, amount_minor, true);
                    }
                    Act::Refund { of, amount_minor } => {
                        let (_, payee) = parties(&village.acts, of).unwrap();
                        sign(payee, amount_minor, true);
                    }
                    Act::HoldBack { payer, amount_minor, .. } => sign(payer, amount_minor, false),
                }
            }
        }
        let before: u64 = script.people.iter().map(|person| person.fund_minor).sum();
        assert_eq!(script.wealth_minor().iter().sum::<u64>(), before);
    }
}
