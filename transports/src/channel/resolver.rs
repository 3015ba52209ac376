//! Where the secure channel's primitives come from: snow's own, but with the caller's entropy
//! instead of the operating system's, so that the channel stays pure.

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use zeroize::Zeroize;

/// snow's own primitives, with the caller's entropy in place of the operating system's.
pub(super) struct Resolver {
    entropy: [u8; 32],
}

impl Resolver {
    pub(super) fn new(entropy: [u8; 32]) -> Self {
        Resolver { entropy }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        let mut hasher = blake3::Hasher::new_derive_key("hundi 2026 link ephemeral v1");
        hasher.update(&self.entropy);
        Some(Box::new(Expanded { reader: hasher.finalize_xof() }))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// 32 bytes of entropy as an endless stream.
struct Expanded {
    reader: blake3::OutputReader,
}

impl Random for Expanded {
    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), snow::Error> {
        self.reader.fill(destination);
        Ok(())
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.entropy.zeroize();
    }
}
