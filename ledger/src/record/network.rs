//! The network definition (the genesis file): which banks there are and who their roots are. Its
//! hash is the network id. It is distributed out of band and trusted as configured.

use super::{VERSION, check_version, rule};
use crate::codec::{self, DecodeError, List, Text};
use crate::id::{BankNumber, NetworkId, PublicKey};
use crate::limits::{BANKS_MAX, NAME_BYTES_MAX};
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};

const CONTEXT: &str = "hundi v1 network";
/// A full list of banks with the longest names, and room for the rest.
const BYTES_MAX: usize = BANKS_MAX * (2 + 32 + 1 + NAME_BYTES_MAX) + 128;

/// One bank of a network.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Bank {
    /// Its number, unique in the network.
    pub number: BankNumber,
    /// Its offline root key, which signs its certificates and nothing else.
    pub root: PublicKey,
    /// Its name, for people.
    pub name: Text<NAME_BYTES_MAX>,
}

/// The definition of a network.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Definition {
    /// [`VERSION`].
    pub version: u8,
    /// Its name, for people.
    pub name: Text<NAME_BYTES_MAX>,
    /// When bank time starts, Unix seconds.
    pub start: u32,
    /// Seconds that one epoch may advance bank time at most.
    pub epoch_seconds: u32,
    /// The banks, by strictly ascending number.
    pub banks: List<Bank, BANKS_MAX>,
}

/// A network definition with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    id: NetworkId,
    definition: Definition,
}

impl Network {
    /// The network of a definition.
    ///
    /// # Errors
    /// When the definition breaks a rule: no bank, banks out of order, an epoch of no length.
    pub fn new(definition: Definition) -> Result<Self, DecodeError> {
        rule(definition.version == VERSION, "version")?;
        rule(definition.epoch_seconds > 0, "an epoch has a length")?;
        rule(!definition.banks.is_empty(), "a network has a bank")?;
        let ascending = definition.banks.windows(2).all(|pair| pair[0].number < pair[1].number);
        rule(ascending, "banks by strictly ascending number")?;
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&codec::encode(&definition));
        Ok(Self { id: NetworkId(*hasher.finalize().as_bytes()), definition })
    }

    /// Reads a genesis file.
    ///
    /// # Errors
    /// When the bytes are not the one encoding of a network definition.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_version(bytes)?;
        Self::new(codec::decode(bytes, BYTES_MAX)?)
    }

    /// The bytes of the genesis file.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&self.definition)
    }

    /// The network id.
    pub fn id(&self) -> NetworkId {
        self.id
    }

    /// The definition.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The bank of that number, if there is one.
    pub fn bank(&self, number: BankNumber) -> Option<&Bank> {
        let banks = &self.definition.banks;
        banks.binary_search_by_key(&number, |bank| bank.number).ok().map(|at| &banks[at])
    }
}
