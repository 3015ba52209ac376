//! The payee's verdict on an entry that pays it, with nothing but what it holds.

use crate::body::{Payment, Plaintext, Refund};
use crate::id::AuthorId;
use crate::money::{Amount, Currency};
use crate::record::Verified;
use crate::record::entry::{Entry, Header, Kind, Position, SignedHeader};
use crate::record::grant::Grant;
use crate::record::proof::Claim;
use crate::record::receipt::PayeeVerdict;
use crate::replica::author::Author;
use crate::replica::{Replica, Shelf};
use borsh::{BorshDeserialize, BorshSerialize};
use thiserror::Error;

/// What the payee knows of the request (or, for a refund, of the payment) that an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// An open request for this much in this currency; no amount lets the payer say.
    Request {
        /// The currency asked for.
        currency: Currency,
        /// The amount asked for.
        amount: Option<Amount>,
        /// Not accepted after, Unix seconds.
        expires: u32,
    },
    /// For a refund: this payee's own payment, of which this much is not yet returned, to the
    /// author of the refund.
    Original {
        /// The currency it was paid in.
        currency: Currency,
        /// What has not been returned yet.
        unreturned: Amount,
    },
    /// Nothing is known by that name.
    Unknown,
}

/// Everything a verdict looks at.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What the payee holds, the records of the offer included.
    pub replica: &'a Replica,
    /// Where what the replica holds is read from.
    pub shelf: &'a dyn Shelf,
    /// The entry, opened by this payee.
    pub entry: &'a Verified<Entry>,
    /// The plaintext of its body.
    pub plaintext: &'a Plaintext,
    /// The header before it, when the payer sent it.
    pub previous: Option<&'a Verified<SignedHeader>>,
    /// The payee.
    pub payee: AuthorId,
    /// What the payee expects under the name that the plaintext gives.
    pub expected: Expected,
    /// The payee's own clock, Unix seconds.
    pub now: u32,
}

/// A reason that may pass: answered without a signature, and judged anew when asked again.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error, BorshSerialize, BorshDeserialize,
)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum NotNow {
    /// The grant is not held.
    #[error("the payer's grant is missing")]
    MissingGrant = 1,
    /// Neither the previous header nor a checkpoint directly before the entry is held.
    #[error("the payer's previous entry is missing")]
    MissingPrevious = 2,
    /// The grant starts later, by this clock.
    #[error("the payer's grant is not in force yet by this device's clock")]
    NotYetInForce = 3,
    /// The grant has expired, by this clock.
    #[error("the payer's grant has expired: the payer needs a new one from the bank")]
    Expired = 4,
    /// Too many unsettled entries stand before it.
    #[error("the payer has too many unsettled payments: they must reach the bank first")]
    TooManyUnsettled = 5,
    /// More than the penalty for unsettled entries leaves.
    #[error("more than may be accepted offline while the payer's earlier payments are unsettled")]
    Penalty = 6,
    /// Beyond what relays carry of this author: it might never reach the bank.
    #[error("the payer's log runs too far ahead of the bank")]
    BeyondWindow = 7,
    /// The request's time has run out.
    #[error("the request has expired: ask for a new one")]
    RequestExpired = 8,
    /// Not an entry this payee can judge: another payee, or a kind that pays nobody.
    #[error("not a payment to this device")]
    NotForMe = 9,
    /// The checkpoint held has decided this sequence number.
    #[error("the bank has decided this entry already")]
    Decided = 10,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Everything that can be checked offline holds.
    Accept {
        /// The highest epoch whose digest of freezes is held in full.
        freezes_epoch: u32,
        /// The number of the checkpoint checked against; 0 when none.
        checkpoint: u32,
        /// The grant is a bearer grant: show the verdict as unsure.
        unsure: bool,
    },
    /// Final: sign it.
    Refuse(PayeeVerdict),
    /// Not final: answer without a signature.
    NotNow(NotNow),
}

enum Exit {
    Refuse(PayeeVerdict),
    NotNow(NotNow),
}

impl From<PayeeVerdict> for Exit {
    fn from(verdict: PayeeVerdict) -> Self {
        Exit::Refuse(verdict)
    }
}

impl From<NotNow> for Exit {
    fn from(reason: NotNow) -> Self {
        Exit::NotNow(reason)
    }
}

/// Judges an entry that opened for this payee.
pub fn judge(case: &Case<'_>) -> Judgement {
    match check(case) {
        Ok(judgement) => judgement,
        Err(Exit::Refuse(verdict)) => Judgement::Refuse(verdict),
        Err(Exit::NotNow(reason)) => Judgement::NotNow(reason),
    }
}

fn check(case: &Case<'_>) -> Result<Judgement, Exit> {
    let header = case.entry.header();
    let replica = case.replica;
    let bank_time = replica.bank_time(header.author.bank);
    let clock = case.now.max(bank_time);
    let author = replica.author(&header.author, case.shelf).ok_or(NotNow::MissingGrant)?;
    let grant = author
        .grant_in_effect(replica.trust(), bank_time, header.serial)
        .ok_or(NotNow::MissingGrant)?;

    check_addressed(case)?;
    check_evidence(case, author)?;
    check_expected(case, grant, clock)?;
    check_grant_terms(case, grant)?;
    check_checkpoint(case, author)?;
    check_position(case, author)?;
    check_clock(grant, clock)?;
    let unsettled = check_window(case, author, grant)?;
    if header.amount > grant.offline_cap(unsettled) {
        return Err(NotNow::Penalty.into());
    }
    let checkpoint = author.checkpoint_in_effect(replica.trust());
    Ok(Judgement::Accept {
        freezes_epoch: replica.freezes_epoch(header.author.bank),
        checkpoint: checkpoint.map_or(0, |held| held.number),
        unsure: grant.is_bearer(),
    })
}

fn check_addressed(case: &Case<'_>) -> Result<(), Exit> {
    if case.plaintext.payee() == Some(case.payee) { Ok(()) } else { Err(NotNow::NotForMe.into()) }
}

fn check_evidence(case: &Case<'_>, author: &Author) -> Result<(), Exit> {
    let claim = case.entry.claim();
    let proven = author.proof().is_some();
    let previous = case.previous.filter(|held| held.header.author == case.entry.header().author);
    let misfit = previous.is_some_and(|held| {
        let id = held.header.id(&case.replica.network());
        Claim::of(&held.header, id).contradicts(&claim)
    });
    if proven || misfit || author.contradicted_by(&claim).is_some() {
        return Err(PayeeVerdict::RefusedContradiction.into());
    }
    if case.replica.is_frozen(&case.entry.header().author) {
        return Err(PayeeVerdict::RefusedFrozen.into());
    }
    Ok(())
}

fn check_expected(case: &Case<'_>, grant: &Grant, clock: u32) -> Result<(), Exit> {
    let header = case.entry.header();
    match (case.plaintext, case.expected) {
        (_, Expected::Unknown) => Err(PayeeVerdict::RefusedRequest.into()),
        (Plaintext::Payment(_), Expected::Request { currency, amount, expires }) => {
            if grant.currency != currency || amount.is_some_and(|amount| amount != header.amount) {
                return Err(PayeeVerdict::RefusedMismatch.into());
            }
            if clock > expires {
                return Err(NotNow::RequestExpired.into());
            }
            Ok(())
        }
        (Plaintext::Refund(refund), Expected::Original { currency, unreturned }) => {
            let stated = header.amount.is_zero() || header.amount == refund.sum;
            if grant.currency != currency || !stated || refund.sum.is_zero() {
                return Err(PayeeVerdict::RefusedMismatch.into());
            }
            if refund.sum > unreturned {
                return Err(PayeeVerdict::RefusedLimit.into());
            }
            Ok(())
        }
        _ => Err(PayeeVerdict::RefusedRequest.into()),
    }
}

fn check_grant_terms(case: &Case<'_>, grant: &Grant) -> Result<(), Exit> {
    let header = case.entry.header();
    if header.spent_total > grant.limit || header.amount > grant.cap {
        return Err(PayeeVerdict::RefusedLimit.into());
    }
    if header.sequence() < grant.first_sequence || !policy_allows(grant, case.plaintext) {
        return Err(PayeeVerdict::RefusedTerms.into());
    }
    if grant.is_bearer() && header.kind != Kind::PAYMENT {
        return Err(PayeeVerdict::RefusedTerms.into());
    }
    Ok(())
}

/// The entry stands beyond what the bank has decided, and follows it.
fn check_checkpoint(case: &Case<'_>, author: &Author) -> Result<(), Exit> {
    let header = case.entry.header();
    let checkpoint = author.checkpoint_in_effect(case.replica.trust());
    let Some(checkpoint) = checkpoint else { return Ok(()) };
    if header.sequence() < checkpoint.undecided_from()
        || checkpoint.outcome(header.sequence(), &case.entry.id()).is_some()
    {
        return Err(NotNow::Decided.into());
    }
    let total = checkpoint.live(header.serial).map_or(Amount::ZERO, |live| live.total);
    if header.start() < total {
        return Err(PayeeVerdict::RefusedTerms.into());
    }
    // Something was spent under a higher serial before this entry: the serial goes back.
    let left_behind =
        checkpoint.live.iter().any(|live| live.serial > header.serial && !live.total.is_zero());
    // Directly after the frontier the interval starts where the bank's total ends. The frontier's
    // header need not be at hand, but the bank has it, and with it a proof.
    let follows = checkpoint.frontier.filter(|it| Some(it.sequence) == preceding(header));
    let misfit = follows.is_some_and(|frontier| {
        header.position.previous() != Some(frontier.hash) || header.start() != total
    });
    if left_behind || misfit {
        return Err(PayeeVerdict::RefusedContradiction.into());
    }
    Ok(())
}

/// The sequence number directly before an entry's.
fn preceding(header: &Header) -> Option<u32> {
    header.sequence().checked_sub(1)
}

fn policy_allows(grant: &Grant, plaintext: &Plaintext) -> bool {
    let Some(policy) = &grant.policy else { return true };
    let payees = policy.payees.is_empty()
        || plaintext.payee().is_some_and(|payee| policy.payees.contains(&payee));
    let category = match plaintext {
        Plaintext::Payment(Payment { category, .. }) => Some(category),
        Plaintext::Refund(Refund { .. }) | Plaintext::GrantRequest(_) => None,
    };
    let categories = policy.categories.is_empty()
        || category.is_some_and(|category| policy.categories.contains(category));
    payees && categories
}

/// The entry must be seen to follow something: nothing, the frontier, or the header directly before
/// it; one further back may hide what stands between.
fn check_position(case: &Case<'_>, author: &Author) -> Result<(), Exit> {
    let header = case.entry.header();
    let Position::After { previous, .. } = header.position else { return Ok(()) };
    let before = preceding(header);
    let network = case.replica.network();
    let sent = case.previous.is_some_and(|held| {
        held.header.author == header.author
            && Some(held.header.sequence()) == before
            && held.header.id(&network) == previous
    });
    let frontier = author
        .checkpoint_in_effect(case.replica.trust())
        .and_then(|held| held.frontier)
        .is_some_and(|frontier| Some(frontier.sequence) == before);
    let held =
        || author.carried().iter().any(|it| it.id == previous && Some(it.sequence()) == before);
    if sent || frontier || held() {
        return Ok(());
    }
    Err(NotNow::MissingPrevious.into())
}

fn check_clock(grant: &Grant, clock: u32) -> Result<(), Exit> {
    if clock < grant.not_before {
        return Err(NotNow::NotYetInForce.into());
    }
    if clock > grant.expiry {
        return Err(NotNow::Expired.into());
    }
    Ok(())
}

fn check_window(case: &Case<'_>, author: &Author, grant: &Grant) -> Result<u32, Exit> {
    let sequence = case.entry.header().sequence();
    let trust = case.replica.trust();
    if sequence > author.carry_to(trust) {
        return Err(NotNow::BeyondWindow.into());
    }
    let unsettled =
        author.checkpoint_in_effect(trust).map_or(sequence, |held| held.unsettled_before(sequence));
    if unsettled >= u32::from(grant.unsettled_max) {
        return Err(NotNow::TooManyUnsettled.into());
    }
    Ok(unsettled)
}
