//! The network definition.

use crate::hashes::network_id;
use crate::read::{Reader, Refused, rule};

/// One bank of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bank {
    /// Its number.
    pub number: u16,
    /// Its root key.
    pub root: [u8; 32],
    /// Its name.
    pub name: String,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub id: [u8; 32],
    /// Its name.
    pub name: String,
    /// When bank time starts.
    pub start: u32,
    /// Seconds by which an epoch may advance bank time.
    pub epoch_seconds: u32,
    /// Its banks.
    pub banks: Vec<Bank>,
}

impl Network {
    /// Reads a genesis file.
    ///
    /// # Errors
    /// Why the bytes are not one.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let mut reader = Reader::versioned(bytes)?;
        let network = Self {
            id: network_id(bytes),
            name: reader.text(64)?,
            start: reader.u32()?,
            epoch_seconds: reader.u32()?,
            banks: reader.list(1024, |reader| {
                Ok(Bank { number: reader.u16()?, root: reader.array()?, name: reader.text(64)? })
            })?,
        };
        reader.end()?;
        rule(network.epoch_seconds > 0, "epoch_seconds above 0")?;
        rule(!network.banks.is_empty(), "at least one bank")?;
        let ascending = network.banks.is_sorted_by(|a, b| a.number < b.number);
        rule(ascending, "banks strictly ascending by number")?;
        Ok(network)
    }

    /// The bank of that number.
    pub fn bank(&self, number: u16) -> Option<&Bank> {
        self.banks.iter().find(|bank| bank.number == number)
    }
}
