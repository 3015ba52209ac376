//! Why a command could not be done, each with what to do about it.

use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::id::Hash;
use hundi_ledger::log::DraftError;
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::verdict::payer::SpendError;
use thiserror::Error;

/// Why this device does nothing for its owner now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, BorshSerialize, BorshDeserialize)]
pub enum Unable {
    /// A relay: it has no keys.
    #[error("this node has no wallet: start it with a key")]
    NoKeys,
    /// A persist failed.
    #[error("the store has failed: check the disk and start the node again")]
    StoreFailed,
}

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, BorshSerialize, BorshDeserialize)]
pub enum SignError {
    /// This device does nothing for its owner now.
    #[error(transparent)]
    Unable(#[from] Unable),
    /// An entry of this key that this device does not know exists.
    #[error("this key has signed elsewhere: enrol a new key with the bank")]
    Stopped,
    /// No grant under which this could be signed.
    #[error("no grant is in force: connect to the bank and ask for one")]
    NoGrant,
    /// The log is full, or its total would not fit.
    #[error("the log of this key is full: enrol a new key with the bank")]
    Full,
    /// The bank's sealing key is one that nothing can be sealed to.
    #[error("a sealing key is not valid: ask for a new request or grant")]
    SealingKey,
}

impl From<DraftError> for SignError {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::Stopped => SignError::Stopped,
            DraftError::Closed(_) => SignError::NoGrant,
            DraftError::Full | DraftError::Amount(_) => SignError::Full,
        }
    }
}

/// Why no payment request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, BorshSerialize, BorshDeserialize)]
pub enum RequestError {
    /// This device does nothing for its owner now.
    #[error(transparent)]
    Unable(#[from] Unable),
    /// No grant certifies this key, so nobody could carry what it is paid.
    #[error("this key is not enrolled with its bank yet: connect to the bank first")]
    NotEnrolled,
    /// Another currency than that of this author's grants.
    #[error("this wallet is in {0}: ask for that currency")]
    Currency(Currency),
    /// An amount of 0.
    #[error("ask for more than nothing, or leave the amount to the payer")]
    ZeroAmount,
    /// A time in the past, or beyond what a time can state.
    #[error("the request would expire at once: give it more time")]
    Expires,
    /// Too many requests are kept.
    #[error("too many open requests: wait until some are paid or expire")]
    TooMany,
}

/// Why nothing was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, BorshSerialize, BorshDeserialize)]
pub enum PayError {
    /// Nothing can be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A request of another network.
    #[error("the request is for another network than this wallet's")]
    Network,
    /// A request of this very author.
    #[error("this is a request of this wallet itself: somebody else must pay it")]
    Own,
    /// The request's time has run out.
    #[error("the request has expired: ask for a new one")]
    Expired,
    /// The grant is in another currency.
    #[error("the request is in {asked}, this wallet's grant in {granted}")]
    Currency {
        /// What the request asks for.
        asked: Currency,
        /// What the grant is in.
        granted: Currency,
    },
    /// The request leaves the amount open, and none was given.
    #[error("the request names no amount: say how much to pay")]
    AmountMissing,
    /// The request names another amount.
    #[error("the request is for {asked} minor units, no other amount")]
    AmountDiffers {
        /// What the request asks for.
        asked: Amount,
    },
    /// An amount of 0.
    #[error("pay more than nothing")]
    ZeroAmount,
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
    /// The grant's policy does not allow this payee or category.
    #[error("the grant does not allow this payee or category")]
    Policy,
}

impl From<SpendError> for PayError {
    fn from(error: SpendError) -> Self {
        match error {
            SpendError::NoGrant => SignError::NoGrant.into(),
            SpendError::Limit { left } => PayError::Limit { left },
            SpendError::Cap { cap } => PayError::Cap { cap },
            SpendError::Unsettled { unsettled, cap } => PayError::Unsettled { unsettled, cap },
            SpendError::TooManyUnsettled { unsettled } => PayError::TooManyUnsettled { unsettled },
            SpendError::Barred => PayError::Barred,
        }
    }
}

/// Why nothing was returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, BorshSerialize, BorshDeserialize)]
pub enum RefundError {
    /// Nothing can be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// No payment of that id was received.
    #[error("no payment with this id was received here: look it up in the history")]
    Unknown,
    /// The payment was not accepted, or came to nothing: there is nothing to return.
    #[error("this payment was not accepted, so there is nothing to return")]
    NotReceived,
    /// Returned before.
    #[error("this payment was refunded before, by {0}")]
    Already(Hash),
    /// More than was paid, or nothing.
    #[error("between 1 and {paid} minor units can be returned")]
    Sum {
        /// What was paid.
        paid: Amount,
    },
    /// The bank has frozen this key, or a proof bars it.
    #[error("this key is barred: contact the bank")]
    Barred,
}
