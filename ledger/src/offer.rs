//! An offer: everything a payee's verdict needs, in one message from the payer.

use crate::codec::{self, DecodeError, List};
use crate::limits::ITEM_BYTES_MAX;
use crate::record::entry::SignedHeader;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

/// Items besides the entry: two certificates, the enrolment grant, the grant, the checkpoint, the
/// bulletin, and room for one more certificate.
pub const OFFER_ITEMS_MAX: usize = 8;
/// Bytes of the largest offer.
pub const OFFER_BYTES_MAX: usize = 2 * ITEM_BYTES_MAX;

/// A payment with what its payee needs to judge it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Offer {
    /// Encoded items in the order in which they can be applied: certificates, grant, checkpoint.
    pub records: List<List<u8, ITEM_BYTES_MAX>, OFFER_ITEMS_MAX>,
    /// The header before the entry, unless the entry is the author's first or directly after the
    /// checkpoint's frontier.
    pub previous: Option<SignedHeader>,
    /// The entry, an encoded item.
    pub entry: List<u8, ITEM_BYTES_MAX>,
}

impl Offer {
    /// Decodes an offer; nothing in it is verified.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of an offer.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, OFFER_BYTES_MAX)
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}
