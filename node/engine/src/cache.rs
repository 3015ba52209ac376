//! A bounded memory of shared secrets, by the other party's sealing key.

use crate::limits::SHARED_SECRETS_MAX;
use alloc::collections::BTreeMap;
use hundi_ledger::id::SealingKey;
use hundi_ledger::seal::{SealError, SealingSecret, Shared};

/// Two generations: what was used since the young one was last full, and what was used before.
/// Dropping the old one as a whole forgets what has not been used for longest.
#[derive(Default)]
pub(crate) struct SharedSecrets {
    young: BTreeMap<SealingKey, Shared>,
    old: BTreeMap<SealingKey, Shared>,
}

impl SharedSecrets {
    /// What `secret` shares with `other`.
    ///
    /// # Errors
    /// When the other key is of small order.
    pub(crate) fn agree(
        &mut self,
        secret: &SealingSecret,
        other: &SealingKey,
    ) -> Result<Shared, SealError> {
        if let Some(shared) = self.young.get(other) {
            return Ok(shared.clone());
        }
        let shared = match self.old.remove(other) {
            Some(shared) => shared,
            None => secret.agree(other)?,
        };
        if self.young.len() >= SHARED_SECRETS_MAX {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(*other, shared.clone());
        Ok(shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_bounded_and_keeps_what_is_used() {
        let secret = SealingSecret::from_bytes(&[1; 32]);
        let mut cache = SharedSecrets::default();
        for n in 0..2 * SHARED_SECRETS_MAX + 10 {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(n as u64 + 9).to_le_bytes());
            cache.young.insert(SealingKey(bytes), secret.agree(&SealingKey([9; 32])).unwrap());
            if cache.young.len() > SHARED_SECRETS_MAX {
                cache.old = core::mem::take(&mut cache.young);
            }
        }
        assert!(cache.agree(&secret, &SealingKey([9; 32])).is_ok());
        assert!(cache.young.contains_key(&SealingKey([9; 32])));
        assert!(cache.young.len() + cache.old.len() <= 2 * SHARED_SECRETS_MAX + 2);
        assert!(cache.agree(&secret, &SealingKey([0; 32])).is_err(), "small order");
    }
}
