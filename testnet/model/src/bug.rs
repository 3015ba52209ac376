//! Ways to break the bank, one at a time: each makes a property fail, which shows that the
//! property says something.

/// What is wrong with the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bug {
    /// What was decided from a book that has moved on since is written all the same.
    WritesWhatWasOvertaken,
    /// A gateway holds an entry against those only that it took itself.
    KeepsConflictsToItself,
    /// An entry that is submitted again is decided again.
    ForgetsVerdicts,
    /// A contested entry is paid from the guarantee at once.
    DrawsBeforeClaimsEnd,
    /// Each payment may take the whole guarantee, whatever was paid from it.
    GuaranteesEachPayment,
    /// Nothing is set aside for what was promised below the contradiction.
    SetsNothingAside,
    /// A crash may leave half of a unit of work in the book.
    TearsUnits,
    /// An answer leaves before its unit of work is durable.
    AnswersFirst,
    /// What is left of a contested reserve returns before the review closes.
    ReleasesUnderReview,
    /// A gateway goes by its own clock even when the book says that claims are over.
    TrustsItsOwnClock,
}

impl Bug {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::WritesWhatWasOvertaken,
        Self::KeepsConflictsToItself,
        Self::ForgetsVerdicts,
        Self::DrawsBeforeClaimsEnd,
        Self::GuaranteesEachPayment,
        Self::SetsNothingAside,
        Self::TearsUnits,
        Self::AnswersFirst,
        Self::ReleasesUnderReview,
        Self::TrustsItsOwnClock,
    ];
}
