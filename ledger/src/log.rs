//! The author's own log: what its key has signed, and what it may sign next.
//!
//! An honest author never contradicts itself (invariant I7). The log holds the one position from
//! which the next header follows; a drafted header is built from nothing else. Whoever drives it
//! makes the signed entry durable, with the log as it is after it, before any byte leaves.

use crate::id::{AuthorId, Hash, Serial};
use crate::money::{Amount, AmountError};
use crate::record::VERSION;
use crate::record::entry::{Class, Header, Kind, Position};
use crate::record::proof::Claim;
use borsh::{BorshDeserialize, BorshSerialize};
use thiserror::Error;

/// Why the author may not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DraftError {
    /// An entry of this key that this device does not know exists: it never signs with it again.
    #[error("this key has signed elsewhere; this device must enrol a new key")]
    Stopped,
    /// The grant's serial is below one already used, or was closed.
    #[error("grant {0} is closed; use a newer one")]
    Closed(Serial),
    /// Sequence numbers are used up.
    #[error("the log is full")]
    Full,
    /// The total would not fit.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// Where one log of an author stands.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Log {
    author: AuthorId,
    class: Class,
    last: Option<Claim>,
    stopped: bool,
}

impl Log {
    /// The empty log of a new key.
    pub fn new(author: AuthorId, class: Class) -> Self {
        Self { author, class, last: None, stopped: false }
    }

    /// The author.
    pub fn author(&self) -> AuthorId {
        self.author
    }

    /// What the last entry claims, if there is one.
    pub fn last(&self) -> Option<&Claim> {
        self.last.as_ref()
    }

    /// Whether the author must never sign with this key again.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The next sequence number; none when they are used up.
    pub fn next_sequence(&self) -> Option<u32> {
        self.last.map_or(Some(0), |last| last.sequence().checked_add(1))
    }

    /// What the grant of that serial has promised so far.
    pub fn spent_total(&self, serial: Serial) -> Amount {
        self.last.filter(|last| last.serial == serial).map_or(Amount::ZERO, |last| last.spent_total)
    }

    /// The header that would follow, with `body_hash` still zero: the body is sealed to the head,
    /// and its hash filled in afterwards.
    ///
    /// # Errors
    /// When the author may not sign it.
    pub fn draft(
        &self,
        kind: Kind,
        serial: Serial,
        amount: Amount,
        time: u32,
    ) -> Result<Header, DraftError> {
        if self.stopped {
            return Err(DraftError::Stopped);
        }
        let closed = self.last.is_some_and(|last| {
            last.serial > serial || last.serial == serial && last.kind == Kind::CLOSE
        });
        if closed {
            return Err(DraftError::Closed(serial));
        }
        let position = match self.last {
            None => Position::First,
            Some(last) => Position::After {
                sequence: last.sequence().checked_add(1).ok_or(DraftError::Full)?,
                previous: last.id,
            },
        };
        Ok(Header {
            version: VERSION,
            kind,
            author: self.author,
            position,
            time,
            serial,
            amount,
            spent_total: self.spent_total(serial).add(amount)?,
            body_hash: Hash([0; 32]),
        })
    }

    /// Takes the entry that was signed from the draft. Returns whether it follows; if not, the log
    /// is unchanged.
    #[must_use]
    pub fn append(&mut self, claim: Claim) -> bool {
        let follows = claim.kind.class() == self.class
            && match self.last {
                None => claim.position == Position::First,
                Some(last) => {
                    claim.position.previous() == Some(last.id)
                        && self.next_sequence() == Some(claim.sequence())
                        && !last.contradicts(&claim)
                }
            };
        if follows && !self.stopped {
            self.last = Some(claim);
        }
        follows && !self.stopped
    }

    /// Stops for good: an entry of this key has appeared that this device did not sign.
    pub fn stop(&mut self) {
        self.stopped = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BankNumber, NetworkId, PublicKey};

    #[test]
    fn drafts_follow_and_never_contradict() {
        let author = AuthorId { bank: BankNumber(1), key: PublicKey([1; 32]) };
        let network = NetworkId([0; 32]);
        let mut log = Log::new(author, Class::Money);
        let plan = [
            (Kind::PAYMENT, 1, 10),
            (Kind::PAYMENT, 1, 5),
            (Kind::CLOSE, 1, 0),
            (Kind::PAYMENT, 2, 7),
        ];
        let mut claims = alloc::vec::Vec::new();
        for (kind, serial, minor) in plan {
            let header = log.draft(kind, Serial(serial), Amount::new(minor).unwrap(), 9).unwrap();
            let claim = Claim::of(&header, header.id(&network));
            assert!(log.append(claim));
            assert!(!log.append(claim), "twice");
            claims.push(claim);
        }
        for (at, a) in claims.iter().enumerate() {
            assert!(claims[at + 1..].iter().all(|b| !a.contradicts(b)));
        }
        assert_eq!(
            log.draft(Kind::PAYMENT, Serial(1), Amount::ZERO, 9),
            Err(DraftError::Closed(Serial(1)))
        );
        assert_eq!(log.spent_total(Serial(2)).minor(), 7);
        log.stop();
        assert_eq!(log.draft(Kind::PAYMENT, Serial(2), Amount::ZERO, 9), Err(DraftError::Stopped));
    }
}
