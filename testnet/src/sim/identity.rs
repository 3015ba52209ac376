//! Who is who: the network, its banks and the keys of every author, all of them from the seed.

use super::random::{Dice, Purpose};
use anyhow::Result;
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, NetworkId};
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::network::{Bank, Definition, Network};
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::SecretKey;

/// When every run begins, Unix seconds.
pub(super) const START: u32 = 1_700_000_000;
/// Seconds between two bulletins.
pub(super) const EPOCH_SECONDS: u32 = 300;

/// Numbers of keys: those of banks stand above those of authors.
const BANKS: u32 = 1 << 24;

/// The secrets of one author. A number names them, so that they can be made again at every start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    seed: u64,
    number: u32,
    author: AuthorId,
}

impl Identity {
    pub(super) fn new(seed: u64, number: u32, bank: BankNumber) -> Self {
        let key = secrets(seed, number).0.public();
        Self { seed, number, author: AuthorId { bank, key } }
    }

    pub(super) fn author(self) -> AuthorId {
        self.author
    }

    pub(super) fn keys(self) -> hundi_engine::Keys {
        let (signing, sealing) = secrets(self.seed, self.number);
        hundi_engine::Keys { author: self.author, signing, sealing }
    }
}

fn secrets(seed: u64, number: u32) -> (SecretKey, SealingSecret) {
    let mut dice = Dice::new(seed, Purpose::Key(number));
    (SecretKey::from_seed(&dice.bytes()), SealingSecret::from_bytes(&dice.bytes()))
}

fn bank_secret(seed: u64, bank: BankNumber, of: u32) -> [u8; 32] {
    Dice::new(seed, Purpose::Key(BANKS + 8 * u32::from(bank.0) + of)).bytes()
}

/// What a bank opens with.
pub(super) fn bank_sealing_secret(seed: u64, bank: BankNumber) -> [u8; 32] {
    bank_secret(seed, bank, 3)
}

/// What a bank signs and opens with.
pub(super) fn bank_keys(seed: u64, bank: BankNumber) -> hundi_journal::input::Keys {
    hundi_journal::input::Keys {
        issue: SecretKey::from_seed(&bank_secret(seed, bank, 1)),
        issue_certificate: 1,
        settle: SecretKey::from_seed(&bank_secret(seed, bank, 2)),
        settle_certificate: 2,
        sealing: vec![SealingSecret::from_bytes(&bank_sealing_secret(seed, bank))],
    }
}

/// A network of banks 1 to `banks`.
pub(super) fn network(seed: u64, banks: u16) -> Result<Network> {
    let bank = |number| -> Result<Bank> {
        let number = BankNumber(number);
        let root = SecretKey::from_seed(&bank_secret(seed, number, 0)).public();
        Ok(Bank { number, root, name: Text::new("Bank")? })
    };
    let banks = (1..=banks).map(bank).collect::<Result<Vec<_>>>()?;
    let definition = Definition {
        version: VERSION,
        name: Text::new("Simulator")?,
        start: START,
        epoch_seconds: EPOCH_SECONDS,
        banks: List::new(banks)?,
    };
    Ok(Network::new(definition)?)
}

/// A bank's certificates, as records: one for issuing, one for settling.
pub(super) fn certificates(
    seed: u64,
    network: &NetworkId,
    bank: BankNumber,
) -> Result<Vec<Vec<u8>>> {
    let keys = bank_keys(seed, bank);
    let root = SecretKey::from_seed(&bank_secret(seed, bank, 0));
    let roles = [(1, keys.issue.public(), ROLE_ISSUE), (2, keys.settle.public(), ROLE_SETTLE)];
    roles
        .into_iter()
        .map(|(number, key, roles)| {
            let honours = List::default();
            let draft = Certificate { version: VERSION, bank, number, key, roles, honours };
            Ok(sign(network, draft, &root)?.into_inner().encode())
        })
        .collect()
}
