//! Returning a received payment to its payer: once, never above it. With a grant that has a limit
//! the refund spends it like a payment; without one the sum stands in the body and moves money out
//! of the original alone.

use super::pay::Draft;
use super::record::{PaymentState, Purpose, Record};
use super::{RefundError, SignError, Unable};
use crate::engine::Engine;
use crate::step::Step;
use hundi_ledger::body::{self, Plaintext};
use hundi_ledger::codec::Text;
use hundi_ledger::id::Hash;
use hundi_ledger::limits::MEMO_BYTES_MAX;
use hundi_ledger::money::Amount;
use hundi_ledger::record::entry::Kind;
use hundi_ledger::record::grant::Grant;
use hundi_ledger::verdict::payer::{self, SpendError};

impl Engine {
    pub(crate) fn refund(
        &mut self,
        step: &mut Step<'_>,
        payment: Hash,
        sum: Option<Amount>,
        memo: Text<MEMO_BYTES_MAX>,
    ) -> Result<Hash, RefundError> {
        let wallet = self.wallet.as_ref().ok_or(SignError::Unable(Unable::NoKeys))?;
        let original = wallet.records.get(&payment).ok_or(RefundError::Unknown)?;
        let paid = !original.outgoing && matches!(original.purpose, Purpose::Payment { .. });
        let party = original.party.filter(|_| paid).ok_or(RefundError::Unknown)?;
        if let Some(refund) = original.refund {
            return Err(RefundError::Already(refund));
        }
        if !matches!(original.state, PaymentState::Received | PaymentState::Settled) {
            return Err(RefundError::NotReceived);
        }
        let sum = sum.unwrap_or(original.sum);
        if sum.is_zero() || sum > original.sum {
            return Err(RefundError::Sum { paid: original.sum });
        }
        let (grant, amount) = self.grant_for_refund(step, original, sum)?;
        let plaintext =
            body::Refund { payee: party.author, original: payment, sum, memo: memo.clone() };
        let draft = Draft {
            kind: Kind::REFUND,
            grant: &grant,
            amount,
            sum,
            party: Some(party),
            plaintext: Some(Plaintext::Refund(plaintext)),
            purpose: Purpose::Refund { original: payment },
            memo,
        };
        let mut original = original.clone();
        let id = self.sign(step, draft)?;
        original.refund = Some(id);
        original.returned = sum;
        self.record_changed(step, original);
        self.offer_everywhere(step, &id);
        Ok(id)
    }

    /// The grant to refund under, and how much of it the refund spends.
    fn grant_for_refund(
        &self,
        step: &Step<'_>,
        original: &Record,
        sum: Amount,
    ) -> Result<(Grant, Amount), RefundError> {
        let wallet = self.wallet.as_ref().ok_or(SignError::Unable(Unable::NoKeys))?;
        if wallet.log.is_stopped() {
            return Err(SignError::Stopped.into());
        }
        match payer::grant_for(&self.replica, step, &wallet.log, sum, step.now()) {
            Ok(grant) if grant.currency == original.currency && !grant.is_bearer() => {
                return Ok(((***grant).clone(), sum));
            }
            Err(SpendError::Barred) => return Err(RefundError::Barred),
            _ => {}
        }
        Ok((self.grant_for_nothing(step, true)?, Amount::ZERO))
    }
}
