//! Judging whole runs: [`judge`] looks at the facts of a run and says which invariants were broken, and
//! by what.
//!
//! The rules stand in `rules/`, a file for each invariant. What several of them need is worked out
//! once before: items are read (`known`), the books added up from their postings (`books`), and what
//! each bank should have decided is told from what reached it (`intake`).

use crate::books::Books;
use crate::facts::{BankFacts, Facts};
use crate::intake::Intake;
use crate::known::Known;
use crate::read::Refused;
use crate::rules;
use std::fmt;

/// What can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// I1: the same items come to the same core, and quiet components hold one.
    Convergence,
    /// I2: what an honest payee accepted from an honest payer settles.
    NoHonestLoss,
    /// I3: no grant settles above limit and guarantee.
    Solvency,
    /// I4: every transaction balances, and no balance is made up.
    Conservation,
    /// I5: an entry settles at most once, and gets one answer for ever.
    ExactlyOnce,
    /// I6: two headers that contradict each other end as a proof everywhere, and a freeze.
    Evidence,
    /// I7: nobody honest ever contradicts itself, and nothing leaves before it is durable.
    NoFraming,
    /// I8: nobody holds more, or verifies more, than the limits.
    Bounded,
    /// The loss rule: who is paid, from what, in which order, and when reserves return.
    LossRule,
    /// What a bank signs verifies, has one content, and says what its books say.
    BankRecords,
}

impl fmt::Display for Invariant {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Convergence => "I1 convergence",
            Self::NoHonestLoss => "I2 no honest loss",
            Self::Solvency => "I3 solvency",
            Self::Conservation => "I4 conservation",
            Self::ExactlyOnce => "I5 exactly once",
            Self::Evidence => "I6 evidence",
            Self::NoFraming => "I7 no framing",
            Self::Bounded => "I8 bounded",
            Self::LossRule => "loss rule",
            Self::BankRecords => "records of a bank",
        })
    }
}

/// One thing that was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// Which invariant.
    pub invariant: Invariant,
    /// What happened, for people.
    pub what: String,
    /// The ids of the items that show it.
    pub items: Vec<[u8; 32]>,
}

impl fmt::Display for Broken {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.invariant, self.what)?;
        for id in &self.items {
            to.write_str(" ")?;
            id.iter().try_for_each(|byte| write!(to, "{byte:02x}"))?;
        }
        Ok(())
    }
}

/// A bank with its books added up and its intake judged.
pub(crate) struct Bank<'a> {
    pub(crate) facts: &'a BankFacts,
    pub(crate) books: Books,
    pub(crate) intake: Intake<'a>,
}

/// All that was broken in a run; nothing is what one hopes for.
///
/// # Errors
/// When the network definition of the facts is none.
pub fn judge(facts: &Facts) -> Result<Vec<Broken>, Refused> {
    let known = Known::read(facts)?;
    let honest = facts.banks.iter().filter(|bank| bank.honest);
    let banks: Vec<Bank<'_>> = honest
        .map(|bank| {
            let books = Books::of(bank);
            let intake = Intake::of(&known, bank, &books);
            Bank { facts: bank, books, intake }
        })
        .collect();
    let mut broken = rules::convergence::judge(&known);
    broken.extend(rules::framing::judge(&known));
    broken.extend(rules::bounds::judge(&known));
    broken.extend(rules::evidence::spread(&known));
    for bank in &banks {
        broken.extend(rules::honest_loss::judge(&known, bank));
        broken.extend(rules::solvency::judge(bank));
        broken.extend(rules::conservation::judge(bank));
        broken.extend(rules::exactly_once::judge(&known, bank));
        broken.extend(rules::evidence::frozen(&known, bank));
        broken.extend(rules::framing::two_verdicts(&known, bank));
        broken.extend(rules::loss::judge(&known, bank));
        broken.extend(rules::guarantee::judge(&known, bank));
        broken.extend(rules::releases::judge(bank));
        broken.extend(rules::bank_records::judge(&known, bank));
    }
    broken.sort();
    broken.dedup();
    Ok(broken)
}
