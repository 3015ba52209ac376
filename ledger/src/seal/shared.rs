//! A bounded memory of what pairs of sealing keys share. It decides nothing: whatever is in it is
//! what the same two keys agree on again.

use super::{SealError, SealingSecret, Shared};
use crate::id::SealingKey;
use alloc::collections::BTreeMap;

/// The other party's key, then the own one: the first is what differs.
type Pair = (SealingKey, SealingKey);

/// Two generations: what was used since the young one was last full, and what was used before.
/// Dropping the old one as a whole forgets what has not been used for longest. Wiped when dropped;
/// never printed.
#[derive(Clone)]
pub struct SharedSecrets {
    each_max: usize,
    young: BTreeMap<Pair, Shared>,
    old: BTreeMap<Pair, Shared>,
    agreements: u64,
}

impl SharedSecrets {
    /// An empty memory of at most so many secrets in each generation.
    pub fn new(each_max: usize) -> Self {
        Self { each_max, young: BTreeMap::new(), old: BTreeMap::new(), agreements: 0 }
    }

    /// What `secret` shares with `other`.
    ///
    /// # Errors
    /// When the other key is of small order.
    pub fn agree(
        &mut self,
        secret: &SealingSecret,
        other: &SealingKey,
    ) -> Result<Shared, SealError> {
        let pair = (*other, secret.public());
        if let Some(shared) = self.young.get(&pair) {
            return Ok(shared.clone());
        }
        let shared = match self.old.remove(&pair) {
            Some(shared) => shared,
            None => {
                self.agreements += 1;
                secret.agree(other)?
            }
        };
        if self.young.len() >= self.each_max {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(pair, shared.clone());
        Ok(shared)
    }

    /// How often two keys had to agree so far, because nothing was remembered of them.
    pub fn agreements(&self) -> u64 {
        self.agreements
    }
}

impl core::fmt::Debug for SharedSecrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SharedSecrets of {} pairs", self.young.len() + self.old.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SealingSecret {
        SealingSecret::from_bytes(&[byte; 32])
    }

    #[test]
    fn it_is_what_the_two_keys_agree_on() {
        let mut shared = SharedSecrets::new(8);
        for _ in 0..2 {
            for (own, other) in [(1, 2), (2, 1), (1, 3), (3, 2)] {
                let other = secret(other).public();
                let again = secret(own).agree(&other).unwrap();
                assert_eq!(shared.agree(&secret(own), &other).unwrap().0, again.0);
            }
        }
        assert_eq!(shared.agreements(), 4, "once for each pair");
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let (own, used) = (secret(1), secret(9).public());
        let mut shared = SharedSecrets::new(4);
        for other in 10..50 {
            assert!(shared.agree(&own, &used).is_ok());
            assert!(shared.agree(&own, &secret(other).public()).is_ok());
            assert!(shared.young.len() <= 4 && shared.old.len() <= 4);
        }
        assert_eq!(shared.agreements(), 41, "what is used is agreed on once");
        assert!(shared.agree(&own, &secret(10).public()).is_ok());
        assert_eq!(shared.agreements(), 42, "what was not used for long is forgotten");
    }

    #[test]
    fn a_key_of_small_order_shares_nothing() {
        let mut shared = SharedSecrets::new(4);
        assert!(shared.agree(&secret(1), &SealingKey([0; 32])).is_err());
        assert!(shared.young.is_empty());
    }
}
