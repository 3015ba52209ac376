//! Faults of a bank: two records with one identity and version but different content. Evidence,
//! kept and reported; which of the two is in force is settled by the merge rule alike everywhere.

use crate::id::Hash;
use crate::record::item::Item;
use alloc::vec::Vec;

/// A bank signed two different records where there may be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The record that arrived, as an encoded item.
    pub arrived: Vec<u8>,
    /// The id of the record that was held.
    pub held: Hash,
}

impl Fault {
    pub(crate) fn new(arrived: &Item, held: Hash) -> Self {
        Self { arrived: arrived.encode(), held }
    }
}
