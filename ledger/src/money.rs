//! Money: an integer count of minor units and an ISO 4217 currency code. No floating point, and
//! overflow is an error. Names, symbols and the number of decimals belong to whoever shows money.

use alloc::string::String;
use borsh::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use thiserror::Error;

/// An amount in minor units (paisa, cents), at most 2^48 − 1. Six bytes, little-endian, on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

/// A result of money arithmetic that is not an [`Amount`]: reject what caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("amount outside 0 to 2^48 - 1 minor units")]
pub struct AmountError;

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(0);
    /// The largest amount that the wire can state: 2^48 − 1 minor units.
    pub const MAX: Amount = Amount((1 << 48) - 1);

    /// An amount of `minor` minor units.
    ///
    /// # Errors
    /// When `minor` is above [`Amount::MAX`].
    pub const fn new(minor: u64) -> Result<Self, AmountError> {
        if minor > Self::MAX.0 {
            return Err(AmountError);
        }
        Ok(Self(minor))
    }

    /// The count of minor units.
    pub const fn minor(self) -> u64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// When the sum is above [`Amount::MAX`].
    pub const fn add(self, other: Self) -> Result<Self, AmountError> {
        match self.0.checked_add(other.0) {
            Some(sum) => Self::new(sum),
            None => Err(AmountError),
        }
    }

    /// The difference.
    ///
    /// # Errors
    /// When `other` is larger.
    pub const fn sub(self, other: Self) -> Result<Self, AmountError> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Ok(Self(difference)),
            None => Err(AmountError),
        }
    }

    /// `percent` hundredths of this amount, rounded down; `percent` above 100 counts as 100.
    pub const fn percent(self, percent: u8) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        // 2^48 × 100 is far below 2^64.
        Self(self.0 * percent as u64 / 100)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl BorshSerialize for Amount {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        writer.write_all(&self.0.to_le_bytes()[..6])
    }
}

impl BorshDeserialize for Amount {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let mut bytes = [0u8; 8];
        reader.read_exact(&mut bytes[..6])?;
        Ok(Self(u64::from_le_bytes(bytes)))
    }
}

/// An ISO 4217 alphabetic code: three letters A to Z. Whether the code is assigned is checked
/// where people type it and where a bank issues a grant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Text that is not three letters A to Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a currency is three letters A to Z, as in ISO 4217")]
pub struct CurrencyError;

impl Currency {
    /// A currency by its code.
    ///
    /// # Errors
    /// When `code` is not three letters A to Z.
    pub fn new(code: &str) -> Result<Self, CurrencyError> {
        let bytes: [u8; 3] = code.as_bytes().try_into().map_err(|_| CurrencyError)?;
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: [u8; 3]) -> Result<Self, CurrencyError> {
        if bytes.iter().all(u8::is_ascii_uppercase) { Ok(Self(bytes)) } else { Err(CurrencyError) }
    }

    /// The code as text.
    pub fn code(&self) -> String {
        self.0.iter().map(|b| char::from(*b)).collect()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code())
    }
}

impl BorshSerialize for Currency {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        writer.write_all(&self.0)
    }
}

impl BorshDeserialize for Currency {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let bytes = <[u8; 3]>::deserialize_reader(reader)?;
        Self::from_bytes(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "currency"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(Amount::new(1 << 48), Err(AmountError));
        let one = Amount::new(1).unwrap();
        assert_eq!(Amount::MAX.add(one), Err(AmountError));
        assert_eq!(Amount::ZERO.sub(one), Err(AmountError));
        assert_eq!(Amount::MAX.percent(100), Amount::MAX);
        assert_eq!(Amount::new(99).unwrap().percent(30).minor(), 29);
        assert_eq!(Amount::new(99).unwrap().percent(255).minor(), 99);
    }

    #[test]
    fn currency_is_three_letters() {
        assert_eq!(Currency::new("INR").unwrap().code(), "INR");
        for bad in ["", "IN", "inr", "INRR", "I₹"] {
            assert_eq!(Currency::new(bad), Err(CurrencyError));
        }
    }
}
