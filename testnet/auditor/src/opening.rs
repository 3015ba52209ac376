//! Opening what is sealed to a bank, with that bank's secrets: the bodies of entries, and receipts.

use crate::facts::BankFacts;
use crate::records::{Entry, Grant, PAYMENT, REFUND, Receipt, Statement};
use crate::sealing::{self, Closed, Plaintext, Sealed};
use std::collections::BTreeMap;

/// The public keys of a bank and of somebody else.
type Pair = ([u8; 32], [u8; 32]);

/// A bank's secrets, and what they agree on with others.
pub(crate) struct Opening<'a> {
    network: &'a [u8; 32],
    /// By public key.
    secrets: BTreeMap<[u8; 32], [u8; 32]>,
    shared: BTreeMap<Pair, Option<[u8; 32]>>,
}

impl<'a> Opening<'a> {
    pub(crate) fn new(network: &'a [u8; 32], bank: &BankFacts) -> Self {
        let public = |secret: &[u8; 32]| {
            (x25519_dalek::x25519(*secret, x25519_dalek::X25519_BASEPOINT_BYTES), *secret)
        };
        let secrets = bank.sealing_secrets.iter().map(public).collect();
        Self { network, secrets, shared: BTreeMap::new() }
    }

    fn agree(&mut self, public: &[u8; 32], other: &[u8; 32]) -> Option<[u8; 32]> {
        let secret = self.secrets.get(public)?;
        *self.shared.entry((*public, *other)).or_insert_with(|| sealing::agree(secret, other))
    }

    /// What the body of a payment or refund says: by the key that the bank derives, or else by one of
    /// those that receipts have disclosed.
    pub(crate) fn body(
        &mut self,
        grant: &Grant,
        entry: &Entry,
        disclosed: &[[u8; 32]],
    ) -> Result<Plaintext, Closed> {
        let kind = match entry.header.kind {
            PAYMENT => Sealed::Payment,
            REFUND => Sealed::Refund,
            _ => return Err(Closed::Malformed),
        };
        let head = entry.header.head();
        let shared = self.agree(&grant.bank_sealing, &grant.author_sealing);
        let own = shared.map(|shared| sealing::content_key(self.network, &shared, &head));
        let mut closed = Closed::Commitment;
        for key in own.iter().chain(disclosed) {
            match sealing::open(self.network, kind, &head, &entry.body, key) {
                Err(Closed::Commitment) => {}
                Err(other) => closed = other,
                Ok(plaintext) => return Ok(plaintext),
            }
        }
        Err(closed)
    }

    /// The content key and the statement of a receipt.
    pub(crate) fn receipt(&mut self, receipt: &Receipt) -> Option<([u8; 32], Statement)> {
        let publics: Vec<[u8; 32]> = self.secrets.keys().copied().collect();
        publics.iter().find_map(|public| {
            let shared = self.agree(public, &receipt.signer_sealing)?;
            let key = sealing::disclosed(self.network, receipt, &shared);
            Some((key, sealing::open_receipt(self.network, receipt, &key)?))
        })
    }
}
