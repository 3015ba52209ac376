//! Who is there, what was signed and what was granted: as little as shows every clause of the rule.
//!
//! The honest author signs one payment. The equivocator signs one that both of its branches
//! follow, and then a branch to each payee: one payment of all that is left, or two smaller ones.
//! Whichever branch comes first leaves too little for the other.

/// An author of the bank. Each has a currency of its own, so that it names a currency as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Author {
    /// Contradicts itself never.
    Honest,
    /// Signs two entries with one sequence number.
    Equivocator,
}

impl Author {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Honest, Self::Equivocator];

    /// What its grant promises at most: what was set aside for it.
    pub fn limit(self) -> i8 {
        match self {
            Self::Honest => 2,
            Self::Equivocator => 4,
        }
    }

    /// What the bank pays beyond that in a contradiction. The limit, one branch and the guarantee
    /// are such that the bound of limit and guarantee together is met exactly, and that the order
    /// drawn decides who is paid.
    pub fn guarantee(self) -> i8 {
        match self {
            Self::Honest => 0,
            Self::Equivocator => 2,
        }
    }

    /// What it signed.
    pub fn entries(self) -> impl Iterator<Item = Entry> + Clone {
        Entry::ALL.into_iter().filter(move |entry| entry.author() == self)
    }
}

/// Who is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Payee {
    /// One.
    First,
    /// The other.
    Second,
}

/// A payment that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entry {
    /// The honest author's.
    Honest,
    /// The equivocator's first, which lies below its contradiction.
    Below,
    /// One branch: all that is left, to the first payee.
    Whole,
    /// The other branch: less, to the second payee.
    Part,
    /// What follows in the other branch, to the same payee.
    Rest,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who signed it.
    pub author: Author,
    /// Its place in the log.
    pub sequence: u8,
    /// The entry before it.
    pub previous: Option<Entry>,
    /// Where its interval of the grant starts.
    pub start: i8,
    /// What it promises.
    pub amount: i8,
    /// To whom.
    pub payee: Payee,
}

impl Entry {
    /// All, by author and place.
    pub const ALL: [Self; 5] = [Self::Honest, Self::Below, Self::Whole, Self::Part, Self::Rest];

    /// What it says.
    pub fn terms(self) -> Terms {
        use Author::{Equivocator, Honest};
        use Payee::{First, Second};
        let (author, sequence, previous, start, amount, payee) = match self {
            Self::Honest => (Honest, 0, None, 0, 1, Second),
            Self::Below => (Equivocator, 0, None, 0, 1, First),
            Self::Whole => (Equivocator, 1, Some(Self::Below), 1, 3, First),
            Self::Part => (Equivocator, 1, Some(Self::Below), 1, 2, Second),
            Self::Rest => (Equivocator, 2, Some(Self::Part), 3, 1, Second),
        };
        Terms { author, sequence, previous, start, amount, payee }
    }

    /// Who signed it.
    pub fn author(self) -> Author {
        self.terms().author
    }

    /// What it promises.
    pub fn amount(self) -> i8 {
        self.terms().amount
    }

    /// Where its interval ends: its `spent_total`.
    pub fn total(self) -> i8 {
        self.terms().start + self.terms().amount
    }

    /// Whether an honest payee of it is owed its money by the bank, whatever else was signed: its
    /// author contradicted itself nowhere, or only above it.
    pub fn is_owed(self) -> bool {
        matches!(self, Self::Honest | Self::Below)
    }

    /// Whether this and `other` cannot both be honest (`docs/protocol.md`, contradictions, as far
    /// as payments under one grant go).
    pub fn contradicts(self, other: Self) -> bool {
        if self == other || self.author() != other.author() {
            return false;
        }
        let ordered = self.terms().sequence <= other.terms().sequence;
        let (a, b) = if ordered { (self, other) } else { (other, self) };
        let (at, next) = (a.terms().sequence, b.terms());
        at == next.sequence
            || a.total() > next.start
            || next.sequence == at + 1 && (next.previous != Some(a) || next.start != a.total())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_branches_contradict_each_other() {
        for a in Entry::ALL {
            for b in Entry::ALL {
                let branches = (a == Entry::Whole && matches!(b, Entry::Part | Entry::Rest))
                    || (b == Entry::Whole && matches!(a, Entry::Part | Entry::Rest));
                assert_eq!(a.contradicts(b), branches, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn no_branch_promises_more_than_the_limit() {
        for entry in Entry::ALL {
            assert!(entry.total() <= entry.author().limit(), "{entry:?}");
        }
        let all: i8 = Author::Equivocator.entries().map(Entry::amount).sum();
        let covered = Author::Equivocator.limit() + Author::Equivocator.guarantee();
        assert!(all > covered, "both branches are more than the bank ever pays");
    }
}
