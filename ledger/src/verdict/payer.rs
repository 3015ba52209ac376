//! The payer's verdicts: may this author promise that now, and what does an answer mean.

use crate::id::{AuthorId, Hash, Serial};
use crate::log::Log;
use crate::money::Amount;
use crate::record::entry::Kind;
use crate::record::grant::Grant;
use crate::record::proof::Claim;
use crate::record::receipt::{PayeeVerdict, Receipt, Statement};
use crate::record::{Signed, Verified};
use crate::replica::author::Author;
use crate::replica::{Replica, Shelf};
use crate::seal::ContentKey;
use crate::seal::receipt;
use alloc::vec::Vec;
use thiserror::Error;

/// Why a payment would not be accepted, found before anything is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SpendError {
    /// The bank has granted nothing that is in force.
    #[error("no grant is in force: connect to the bank and ask for one")]
    NoGrant,
    /// Less is left of the grant.
    #[error("only {left} minor units are left to promise under this grant")]
    Limit {
        /// What is left.
        left: Amount,
    },
    /// The grant caps one payment lower.
    #[error("one payment may be at most {cap} minor units under this grant")]
    Cap {
        /// The cap.
        cap: Amount,
    },
    /// Payees would refuse it until earlier payments settle.
    #[error(
        "{unsettled} payments are unsettled: at most {cap} minor units until they reach the bank"
    )]
    Unsettled {
        /// How many stand before it.
        unsettled: u32,
        /// What payees accept now.
        cap: Amount,
    },
    /// Payees would refuse any until earlier payments settle.
    #[error("{unsettled} payments are unsettled: no other is accepted until they reach the bank")]
    TooManyUnsettled {
        /// How many stand before it.
        unsettled: u32,
    },
    /// The bank has frozen this key, or a proof bars it.
    #[error("this key is barred: contact the bank")]
    Barred,
}

/// The grant under which `log` may promise `amount` now, the way every honest payee will see it.
///
/// # Errors
/// Why no payee would accept.
pub fn grant_for<'a>(
    replica: &'a Replica,
    shelf: &dyn Shelf,
    log: &Log,
    amount: Amount,
    now: u32,
) -> Result<&'a Verified<Signed<Grant>>, SpendError> {
    let author_id = log.author();
    let author = replica.author(&author_id, shelf).ok_or(SpendError::NoGrant)?;
    if replica.is_proven(&author_id) || replica.is_frozen(&author_id) {
        return Err(SpendError::Barred);
    }
    let grant = current_grant(replica, shelf, log, now).ok_or(SpendError::NoGrant)?;
    if is_behind(replica, author, log, grant.serial) {
        return Err(SpendError::Barred);
    }
    let left = left(log, grant);
    if amount > left {
        return Err(SpendError::Limit { left });
    }
    if amount > grant.cap {
        return Err(SpendError::Cap { cap: grant.cap });
    }
    let sequence = log.next_sequence().unwrap_or(u32::MAX);
    let checkpoint = author.checkpoint_in_effect(replica.trust());
    let unsettled = checkpoint.map_or(sequence, |held| held.unsettled_before(sequence));
    let cap = grant.offline_cap(unsettled);
    let beyond = sequence > author.carry_to(replica.trust());
    if beyond || unsettled >= u32::from(grant.unsettled_max) {
        return Err(SpendError::TooManyUnsettled { unsettled });
    }
    if amount > cap {
        return Err(SpendError::Unsettled { unsettled, cap });
    }
    Ok(grant)
}

/// Whether bank or mesh hold entries of this key that the log does not: another device signs with
/// it, or this one was restored. What follows from such a log contradicts them (invariant I7).
fn is_behind(replica: &Replica, author: &Author, log: &Log, serial: Serial) -> bool {
    let next = log.next_sequence().unwrap_or(u32::MAX);
    let draft = log.draft(Kind::PAYMENT, serial, Amount::ZERO, 0);
    let contradicted = draft.is_ok_and(|header| {
        let claim = Claim::of(&header, header.id(&replica.network()));
        author.contradicted_by(&claim).is_some()
    });
    let checkpoint = author.checkpoint_in_effect(replica.trust());
    let decided = checkpoint.is_some_and(|held| {
        let frontier = held.frontier.filter(|it| it.sequence.saturating_add(1) >= next);
        let other = frontier.is_some_and(|it| log.last().map(|last| last.id) != Some(it.hash));
        let beyond = held.names.iter().any(|name| name.sequence >= next);
        let spent = held.live.iter().any(|live| {
            live.serial > serial && !live.total.is_zero()
                || live.serial == serial && live.total > log.spent_total(serial)
        });
        other || beyond || spent
    });
    contradicted || decided
}

/// The newest grant in force that the log has not closed, and has reached.
pub fn current_grant<'a>(
    replica: &'a Replica,
    shelf: &dyn Shelf,
    log: &Log,
    now: u32,
) -> Option<&'a Verified<Signed<Grant>>> {
    let author_id = log.author();
    let bank_time = replica.bank_time(author_id.bank);
    let clock = now.max(bank_time);
    let author = replica.author(&author_id, shelf)?;
    let next = log.next_sequence()?;
    let serials: Vec<Serial> = author.grants().map(|grant| grant.serial).collect();
    serials
        .into_iter()
        .rev()
        .filter(|serial| *serial != Serial::ENROLMENT)
        .filter_map(|serial| author.grant_in_effect(replica.trust(), bank_time, serial))
        .find(|grant| {
            let usable = log.draft(Kind::PAYMENT, grant.serial, Amount::ZERO, 0).is_ok();
            let reached = grant.first_sequence <= next;
            usable && reached && (grant.not_before..=grant.expiry).contains(&clock)
        })
}

/// What is left to promise under a grant.
pub fn left(log: &Log, grant: &Grant) -> Amount {
    grant.limit.sub(log.spent_total(grant.serial)).unwrap_or(Amount::ZERO)
}

/// What a verified receipt says about this author's entry, if it is about that entry and signed by
/// its payee.
pub fn read_receipt(
    replica: &Replica,
    receipt: &Verified<Signed<Receipt>>,
    payee: &AuthorId,
    entry: &Hash,
    key: &ContentKey,
) -> Option<Statement> {
    if receipt.signer != *payee {
        return None;
    }
    let statement = receipt::open(&replica.network(), receipt, key)?;
    (statement.entry == *entry).then_some(statement)
}

/// Whether a payee's verdict is an acceptance.
pub fn is_accepted(statement: &Statement) -> bool {
    statement.verdict == PayeeVerdict::Accepted
}
