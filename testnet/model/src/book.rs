//! The book that both gateways share: all that is durable. It changes by steps only, and a unit of
//! work is a list of steps that is written whole.

use crate::cast::{Author, Entry, Payee};

/// An account in an author's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// Where money comes from.
    Nostro,
    /// The payer's online balance.
    Payer,
    /// What is set aside for the grant.
    Reserve,
    /// The bank's claim on the payer for what it paid beyond the reserve.
    Receivable,
    /// A payee's online balance.
    Credited(Payee),
    /// What a payee was paid until the review closes.
    Pending(Payee),
}

impl Account {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::Nostro,
        Self::Payer,
        Self::Reserve,
        Self::Receivable,
        Self::Credited(Payee::First),
        Self::Credited(Payee::Second),
        Self::Pending(Payee::First),
        Self::Pending(Payee::Second),
    ];

    fn index(self) -> usize {
        match self {
            Self::Nostro => 0,
            Self::Payer => 1,
            Self::Reserve => 2,
            Self::Receivable => 3,
            Self::Credited(payee) => 4 + payee as usize,
            Self::Pending(payee) => 6 + payee as usize,
        }
    }

    /// Whether it holds somebody's money and may not be overdrawn.
    pub fn holds_money(self) -> bool {
        !matches!(self, Self::Nostro | Self::Receivable)
    }
}

/// What the book says about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing.
    Absent,
    /// Paid for good.
    Settled,
    /// In a contradiction and not paid so far.
    Contested,
    /// In a contradiction and paid until the review closes.
    Provisional {
        /// What of it came from the guarantee.
        from_guarantee: i8,
    },
    /// Rejected: nothing left to pay it from.
    Uncovered,
    /// Rejected: it came when claims were over.
    Late,
}

impl Standing {
    /// Whether nothing will change it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::Uncovered | Self::Late)
    }
}

/// The review of an author's contradiction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Case {
    /// No contradiction is known.
    None,
    /// It goes on.
    Open,
    /// It is over.
    Closed,
}

/// One change of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// One side of a transaction, for an entry or for none.
    Post {
        /// The currency.
        currency: Author,
        /// The account.
        account: Account,
        /// What it gains, or below zero what it gives.
        amount: i8,
        /// The entry that it pays.
        entry: Option<Entry>,
    },
    /// An entry has this standing from now on.
    Stand(Entry, Standing),
    /// An author contradicted itself: its case is open. What came in time lowers the place where
    /// its contradiction starts.
    Contradicted(Author, Option<i8>),
    /// Claim-until has passed for an author's grant.
    ClaimsEnded(Author),
    /// The review is over.
    CaseClosed(Author),
}

/// All that is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Book {
    standing: [Standing; Entry::ALL.len()],
    /// What each entry has moved to its payee, counted from what was posted alone.
    moved: [i8; Entry::ALL.len()],
    balances: [[i8; Account::ALL.len()]; Author::ALL.len()],
    lowest: [Option<i8>; Author::ALL.len()],
    claims_ended: [bool; Author::ALL.len()],
    case: [Case; Author::ALL.len()],
    overturned: bool,
}

impl Book {
    /// Both grants are funded, and nothing has been claimed.
    pub fn funded() -> Self {
        let mut book = Self {
            standing: [Standing::Absent; Entry::ALL.len()],
            moved: [0; Entry::ALL.len()],
            balances: [[0; Account::ALL.len()]; Author::ALL.len()],
            lowest: [None; Author::ALL.len()],
            claims_ended: [false; Author::ALL.len()],
            case: [Case::None; Author::ALL.len()],
            overturned: false,
        };
        for author in Author::ALL {
            let mut post = |account, amount| {
                book.apply(Step::Post { currency: author, account, amount, entry: None });
            };
            post(Account::Nostro, -author.limit());
            post(Account::Reserve, author.limit());
        }
        book
    }

    /// Writes one step.
    pub fn apply(&mut self, step: Step) {
        match step {
            Step::Post { currency, account, amount, entry } => {
                self.balances[currency as usize][account.index()] += amount;
                let paid = matches!(account, Account::Credited(_) | Account::Pending(_));
                if let Some(entry) = entry.filter(|_| paid) {
                    self.moved[entry as usize] += amount;
                }
            }
            Step::Stand(entry, standing) => {
                let before = self.standing(entry);
                self.overturned |= before.is_final() && before != standing;
                self.standing[entry as usize] = standing;
            }
            Step::Contradicted(author, start) => {
                let case = &mut self.case[author as usize];
                if *case == Case::None {
                    *case = Case::Open;
                }
                if let Some(start) = start {
                    let lowest = &mut self.lowest[author as usize];
                    *lowest = Some(lowest.map_or(start, |held| held.min(start)));
                    // A review that was closed too early opens again while claims go on.
                    if !self.claims_ended[author as usize] {
                        *case = Case::Open;
                    }
                }
            }
            Step::ClaimsEnded(author) => self.claims_ended[author as usize] = true,
            Step::CaseClosed(author) => self.case[author as usize] = Case::Closed,
        }
    }

    /// What it says about an entry.
    pub fn standing(&self, entry: Entry) -> Standing {
        self.standing[entry as usize]
    }

    /// What an entry has moved to its payee.
    pub fn moved(&self, entry: Entry) -> i8 {
        self.moved[entry as usize]
    }

    /// What an account holds in an author's currency.
    pub fn balance(&self, currency: Author, account: Account) -> i8 {
        self.balances[currency as usize][account.index()]
    }

    /// The lowest start among an author's contradicting entries that came in time.
    pub fn lowest(&self, author: Author) -> Option<i8> {
        self.lowest[author as usize]
    }

    /// Whether claim-until has passed for an author's grant.
    pub fn claims_ended(&self, author: Author) -> bool {
        self.claims_ended[author as usize]
    }

    /// The review of an author's contradiction.
    pub fn case(&self, author: Author) -> Case {
        self.case[author as usize]
    }

    /// Whether an outcome that was final has been replaced by another one.
    pub fn overturned(&self) -> bool {
        self.overturned
    }

    /// The entries of an author that stand so.
    pub fn standing_so(&self, author: Author, so: fn(Standing) -> bool) -> Vec<Entry> {
        author.entries().filter(|entry| so(self.standing(*entry))).collect()
    }
}
