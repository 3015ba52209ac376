//! Bugs on purpose, at the seam between the parts under test and their drivers or checkers, to
//! show that each checker can fail. The command line offers them only in a build with the feature
//! `canary`; nobody ships this crate.

use super::Invariant;
use super::world::World;
use clap::ValueEnum;
use hundi_auditor::facts::Answer;
use hundi_journal::event::{Change, Event};
use hundi_ledger::money::Amount;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::item::Item;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bug {
    /// What waits for the disk is sent at once.
    SendsBeforePersist,
    /// The disk says that something is durable when it is not.
    LyingDisk,
    /// A read that fails is taken for one that finds nothing.
    IgnoresReadErrors,
    /// Some devices never hear a checkpoint.
    LosesCheckpoints,
    /// Proofs reach nobody, and what would prove the same reaches half of the devices.
    LosesProofs,
    /// A gateway never hands over some of the entries that it hears.
    LosesPayments,
    /// The disk keeps what it should forget.
    NeverDeletes,
    /// A grant is funded with less than its limit.
    PaysAboveLimit,
    /// A posting is missing from the books.
    LosesPosting,
    /// A settlement is posted twice.
    PostsTwice,
    /// The guarantee pays more than it is.
    OverdrawsGuarantee,
    /// What comes when claims are over is paid.
    PaysLate,
    /// A bank that is asked again about what it has settled says that it came too late. Only the
    /// auditor listens to answers.
    ChangesAnswers,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 13] = [
        Self::SendsBeforePersist,
        Self::LyingDisk,
        Self::IgnoresReadErrors,
        Self::LosesCheckpoints,
        Self::LosesProofs,
        Self::LosesPayments,
        Self::NeverDeletes,
        Self::PaysAboveLimit,
        Self::LosesPosting,
        Self::PostsTwice,
        Self::OverdrawsGuarantee,
        Self::PaysLate,
        Self::ChangesAnswers,
    ];

    /// The checker that must catch it.
    pub fn breaks(self) -> Invariant {
        match self {
            Self::SendsBeforePersist => Invariant::NoFraming,
            Self::LyingDisk => Invariant::Durable,
            Self::IgnoresReadErrors | Self::LosesCheckpoints => Invariant::Convergence,
            Self::LosesProofs => Invariant::Evidence,
            Self::LosesPayments => Invariant::NoLoss,
            Self::NeverDeletes => Invariant::Bounded,
            Self::PaysAboveLimit => Invariant::Solvency,
            Self::LosesPosting => Invariant::Conservation,
            Self::OverdrawsGuarantee | Self::PaysLate => Invariant::LossBound,
            Self::PostsTwice | Self::ChangesAnswers => Invariant::ExactlyOnce,
        }
    }

    /// A durable event as the books see it under this bug.
    pub(super) fn bend(self, event: &Event) -> Event {
        let mut bent = event.clone();
        match (self, &mut bent.change) {
            (Self::PaysAboveLimit, Change::GrantIssued { grant, .. }) => {
                grant.limit = Amount::new(grant.limit.minor() / 2).unwrap_or(Amount::ZERO);
            }
            (Self::LosesPosting, Change::Decided { outcome: Outcome::Settled, .. }) => {
                bent.transactions.clear();
            }
            (Self::PostsTwice, Change::Decided { outcome: Outcome::Settled, .. }) => {
                bent.transactions.extend(event.transactions.first().cloned());
            }
            (Self::OverdrawsGuarantee, Change::PaidProvisionally { from_guarantee, .. }) => {
                *from_guarantee = from_guarantee.add(*from_guarantee).unwrap_or(*from_guarantee);
            }
            (Self::PaysLate, Change::EntryReceived { .. }) => bent.at += 10 * 365 * 24 * 3_600,
            _ => {}
        }
        bent
    }

    /// An answer of a bank under this bug; `again` if it has answered about the entry before.
    pub(super) fn bend_answer(self, answer: &mut Answer, again: bool) {
        let settled = answer.outcome == Some(Outcome::Settled as u8);
        if self == Self::ChangesAnswers && again && settled {
            (answer.outcome, answer.amount) = (Some(Outcome::RejectedLate as u8), 0);
        }
    }
}

impl World {
    /// Whether a bug keeps an item from arriving.
    pub(super) fn is_swallowed(&self, to: u32, item: &[u8]) -> bool {
        let Some(bug) = self.canary else { return false };
        let half = to.is_multiple_of(2);
        match (bug, Item::decode(&self.network.id(), item)) {
            (Bug::LosesProofs, Ok(Item::Proof(_))) => true,
            (Bug::LosesProofs, Ok(Item::Entry(entry))) => {
                half && !self.is_safe(&entry.header().author)
            }
            (Bug::LosesCheckpoints, Ok(Item::Checkpoint(_))) => half,
            _ => false,
        }
    }

    /// Whether a bug keeps a gateway from handing an item over.
    pub(super) fn is_withheld(&self, item: &[u8]) -> bool {
        self.canary == Some(Bug::LosesPayments)
            && matches!(
                Item::decode(&self.network.id(), item),
                Ok(Item::Entry(entry)) if entry.id().0[0].is_multiple_of(4)
            )
    }
}
