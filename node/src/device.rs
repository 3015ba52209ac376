//! A device's keys on disk: made once, for one home bank, never overwritten, never in a backup.

use crate::home::{Home, HomeError};
use getrandom::fill;
use hundi_engine::Keys;
use hundi_ledger::id::{AuthorId, BankNumber};
use hundi_ledger::record::network::Network;
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::SecretKey;
use std::io;

const FILE: &str = "author";

/// Makes the keys of a new device and takes the network's genesis file.
///
/// # Errors
/// When the directory is set up already or cannot be written.
pub fn make(home: &Home, network: &Network, bank: BankNumber) -> Result<Keys, HomeError> {
    let (signing, sealing) = (secret(home)?, secret(home)?);
    let mut number = [0; 32];
    number[..2].copy_from_slice(&bank.0.to_le_bytes());
    home.write_secrets(FILE, &[("bank", number), ("signing", signing), ("sealing", sealing)])?;
    home.write_genesis(network)?;
    keys(home)
}

/// Reads the keys of a device.
///
/// # Errors
/// When there are none, they are damaged, or others can read them.
pub fn keys(home: &Home) -> Result<Keys, HomeError> {
    let bank = home.read_secret(FILE, "bank")?;
    let signing = SecretKey::from_seed(&home.read_secret(FILE, "signing")?);
    let sealing = SealingSecret::from_bytes(&home.read_secret(FILE, "sealing")?);
    let bank = BankNumber(u16::from_le_bytes([bank[0], bank[1]]));
    let author = AuthorId { bank, key: signing.public() };
    Ok(Keys { author, signing, sealing })
}

fn secret(home: &Home) -> Result<[u8; 32], HomeError> {
    let mut bytes = [0; 32];
    fill(&mut bytes).map_err(|error| HomeError::Io {
        path: home.dir().to_owned(),
        error: io::Error::other(format!("the system gives no randomness: {error}")),
    })?;
    Ok(bytes)
}
