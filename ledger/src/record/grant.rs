//! A grant: a bank's promise that this key may promise up to this much, on these terms.

use super::certificate::ROLE_ISSUE;
use super::{BankRecord, Record, VERSION, rule};
use crate::codec::{DecodeError, List, Text};
use crate::id::{AuthorId, BankNumber, SealingKey, Serial};
use crate::limits::{CARRY_WINDOW, NAME_BYTES_MAX, POLICY_LIST_MAX};
use crate::money::{Amount, Currency};
use borsh::{BorshDeserialize, BorshSerialize};

/// Bit of [`Grant::flags`]: a bearer grant (voucher, code, token), whose key may be known to more
/// than one holder: no guarantee, only payments, and an offline verdict on it is unsure.
pub const FLAG_BEARER: u8 = 1;

/// What may be paid under a grant, as far as a payee can check it offline.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Policy {
    /// The only payees allowed, ascending; empty allows all.
    pub payees: List<AuthorId, POLICY_LIST_MAX>,
    /// The only categories allowed, ascending; empty allows all.
    pub categories: List<u8, POLICY_LIST_MAX>,
}

/// A bank's grant to an author.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Grant {
    /// [`VERSION`].
    pub version: u8,
    /// The author; its bank signs.
    pub author: AuthorId,
    /// The certificate that names the signing key.
    pub certificate: u16,
    /// The bank's epoch at signing.
    pub epoch: u32,
    /// The author's X25519 key: seals what it pays, opens what it is paid.
    pub author_sealing: SealingKey,
    /// The bank's X25519 key for entries under this grant.
    pub bank_sealing: SealingKey,
    /// Serial within the author; 0 is the enrolment grant.
    pub serial: Serial,
    /// The author's one currency.
    pub currency: Currency,
    /// [`FLAG_BEARER`] or 0.
    pub flags: u8,
    /// What may be promised in all.
    pub limit: Amount,
    /// What one payment may promise.
    pub cap: Amount,
    /// What the bank pays beyond the reserve in a contradiction, at most.
    pub guarantee: Amount,
    /// In force from, Unix seconds.
    pub not_before: u32,
    /// Payees refuse after it, Unix seconds.
    pub expiry: u32,
    /// The bank honours what reaches it before, Unix seconds by its own clock.
    pub claim_until: u32,
    /// The first sequence number under this grant.
    pub first_sequence: u32,
    /// The last sequence number that relays carry, until a checkpoint raises it.
    pub carry_to: u32,
    /// Unsettled entries that may stand before a payment: payees want fewer.
    pub unsettled_max: u8,
    /// Percent that each unsettled entry takes off what may be accepted offline.
    pub penalty_percent: u8,
    /// Percent that the penalty always leaves.
    pub penalty_floor_percent: u8,
    /// Terms on payees and categories, if any.
    pub policy: Option<Policy>,
    /// The owner's verified name, if the owner wants one shown.
    pub display_name: Option<Text<NAME_BYTES_MAX>>,
}

impl Grant {
    /// What a payee may accept offline when `unsettled` entries stand before the payment, limits
    /// on the interval aside: min(cap, limit × max(100 − n × penalty, floor) / 100).
    pub fn offline_cap(&self, unsettled: u32) -> Amount {
        let taken = unsettled.saturating_mul(u32::from(self.penalty_percent)).min(100);
        let left = u8::try_from(100 - taken).unwrap_or(0).max(self.penalty_floor_percent);
        self.cap.min(self.limit.percent(left))
    }

    /// Whether this is a bearer grant.
    pub fn is_bearer(&self) -> bool {
        self.flags & FLAG_BEARER != 0
    }
}

impl Record for Grant {
    const CONTEXT: &'static str = "hundi v1 grant";

    fn check(&self) -> Result<(), DecodeError> {
        rule(self.version == VERSION, "version")?;
        rule(self.flags & !FLAG_BEARER == 0, "known flags")?;
        rule(self.not_before <= self.expiry, "expiry not before the start")?;
        rule(self.expiry <= self.claim_until, "claims until expiry at least")?;
        rule(self.cap <= self.limit, "cap within the limit")?;
        let percents = self.penalty_percent <= 100 && self.penalty_floor_percent <= 100;
        rule(percents, "percents up to 100")?;
        let last = self.first_sequence.saturating_add(CARRY_WINDOW - 1);
        rule(self.carry_to <= last, "carried at most one window from the first sequence")?;
        if self.serial == Serial::ENROLMENT {
            rule(self.limit.is_zero() && self.guarantee.is_zero(), "enrolment grants nothing")?;
        }
        if self.is_bearer() {
            rule(self.guarantee.is_zero(), "a bearer grant has no guarantee")?;
        }
        if let Some(policy) = &self.policy {
            let payees = policy.payees.windows(2).all(|pair| pair[0] < pair[1]);
            let categories = policy.categories.windows(2).all(|pair| pair[0] < pair[1]);
            rule(payees && categories, "policy lists strictly ascending")?;
        }
        Ok(())
    }
}

impl BankRecord for Grant {
    const ROLE: u8 = ROLE_ISSUE;
    fn bank(&self) -> BankNumber {
        self.author.bank
    }
    fn certificate(&self) -> u16 {
        self.certificate
    }
    fn epoch(&self) -> u32 {
        self.epoch
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::PublicKey;

    /// A grant that keeps all rules, for tests to change.
    pub(crate) fn sample() -> Grant {
        let amount = |minor| Amount::new(minor).unwrap();
        Grant {
            version: VERSION,
            author: AuthorId { bank: BankNumber(1), key: PublicKey([2; 32]) },
            certificate: 1,
            epoch: 1,
            author_sealing: SealingKey([3; 32]),
            bank_sealing: SealingKey([4; 32]),
            serial: Serial(1),
            currency: Currency::new("INR").unwrap(),
            flags: 0,
            limit: amount(100_000),
            cap: amount(50_000),
            guarantee: Amount::ZERO,
            not_before: 1_000,
            expiry: 2_000,
            claim_until: 3_000,
            first_sequence: 0,
            carry_to: 40,
            unsettled_max: 10,
            penalty_percent: 10,
            penalty_floor_percent: 30,
            policy: None,
            display_name: None,
        }
    }

    #[test]
    fn penalty_falls_to_the_floor_and_stays() {
        let grant = sample();
        let caps: alloc::vec::Vec<u64> =
            [0, 1, 4, 6, 7, 8, 9, u32::MAX].map(|n| grant.offline_cap(n).minor()).into();
        assert_eq!(caps, [50_000, 50_000, 50_000, 40_000, 30_000, 30_000, 30_000, 30_000]);
    }

    #[test]
    fn rules_hold() {
        assert!(sample().check().is_ok());
        let broken: [fn(&mut Grant); 8] = [
            |g| g.flags = 2,
            |g| g.expiry = 999,
            |g| g.claim_until = 1_999,
            |g| g.cap = Amount::MAX,
            |g| g.penalty_percent = 101,
            |g| g.carry_to = 64,
            |g| g.serial = Serial::ENROLMENT,
            |g| (g.flags, g.guarantee) = (FLAG_BEARER, Amount::new(1).unwrap()),
        ];
        for change in broken {
            let mut grant = sample();
            change(&mut grant);
            assert!(grant.check().is_err());
        }
    }
}
