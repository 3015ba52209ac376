//! The bank's keys and certificates on disk: the root in a file of its own, so that it can be kept
//! elsewhere, and the online keys that its certificates name.

use hundi_journal::input::Keys;
use hundi_ledger::codec::{List, Text, TextError};
use hundi_ledger::id::{BankNumber, PublicKey};
use hundi_ledger::limits::NAME_BYTES_MAX;
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank, Definition, Network};
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::SecretKey;
use hundi_node::container;
use hundi_node::home::{Home, HomeError, read_genesis};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// The file of the root's secret, below `keys`. Nothing but making certificates needs it.
pub const ROOT_FILE: &str = "root";
/// The file of the online secrets, below `keys`.
pub const BANK_FILE: &str = "bank";
/// Seconds between two epochs of a network that this program defines.
const EPOCH_SECONDS: u32 = 60;
/// The first certificates of a bank.
const ISSUE_CERTIFICATE: u16 = 1;
const SETTLE_CERTIFICATE: u16 = 2;
/// The file of the certificates: public, installed at the first start.
const CERTIFICATES_FILE: &str = "certificates";

/// Why a bank was not set up.
#[derive(Debug, Error)]
pub enum InitError {
    /// The directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A name is too long or holds characters that names may not hold.
    #[error("the name {name:?} cannot be used: {error}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        error: TextError,
    },
    /// The banks do not make a network.
    #[error("these banks make no network: {0}")]
    Network(String),
    /// The network has no such bank, or under another root.
    #[error("in {genesis} bank {bank} does not have the root {root}: ask whoever made the file")]
    OtherRoot {
        /// The genesis file.
        genesis: PathBuf,
        /// The bank.
        bank: BankNumber,
        /// The root in this directory.
        root: PublicKey,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(String),
}

/// Why a bank's keys cannot be used.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The certificates cannot be read.
    #[error("{path}: {error}: restore it from a copy, or make the bank's directory anew")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: container::ReadError,
    },
}

/// Another bank of a network that is being defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerBank {
    /// Its number.
    pub number: BankNumber,
    /// Its root.
    pub root: PublicKey,
    /// Its name.
    pub name: String,
}

/// Which network a bank is set up for.
#[derive(Clone, Debug)]
pub enum Membership {
    /// One that is defined now.
    New {
        /// The network's name.
        network: String,
        /// This bank's name.
        bank: String,
        /// The other banks.
        peers: Vec<PeerBank>,
    },
    /// One that somebody has defined.
    Existing {
        /// Its genesis file.
        genesis: PathBuf,
    },
}

/// A bank's identity as it runs.
#[derive(Debug)]
pub struct BankKeys {
    /// Its number.
    pub number: BankNumber,
    /// Its online secrets.
    pub keys: Keys,
    /// Its certificates: encoded records without item tag.
    pub certificates: Vec<Vec<u8>>,
}

/// The root of this directory, made when there is none yet. Returns its public key.
///
/// # Errors
/// When the directory cannot be used.
pub fn make_root(home: &Home) -> Result<PublicKey, InitError> {
    if !home.dir().join("keys").join(ROOT_FILE).exists() {
        home.write_secrets(ROOT_FILE, &[("signing", fresh()?)])?;
    }
    Ok(root(home)?.public())
}

/// Sets up a bank: keys, certificates, and last of all the genesis file.
///
/// # Errors
/// See [`InitError`]. Nothing is in use before the genesis file is there.
pub fn init(home: &Home, number: BankNumber, membership: Membership) -> Result<Network, InitError> {
    let public = make_root(home)?;
    let network = match membership {
        Membership::New { network, bank, mut peers } => {
            peers.push(PeerBank { number, root: public, name: bank });
            define(network, peers)?
        }
        Membership::Existing { genesis } => {
            let network = read_genesis(&genesis)?;
            if network.bank(number).is_none_or(|bank| bank.root != public) {
                return Err(InitError::OtherRoot { genesis, bank: number, root: public });
            }
            network
        }
    };
    let mut stored_number = [0; 32];
    stored_number[..2].copy_from_slice(&number.0.to_le_bytes());
    let (issue, settle) = (fresh()?, fresh()?);
    // An attempt that ended before the genesis file was there left keys that nobody knows.
    let online = home.dir().join("keys").join(BANK_FILE);
    if online.exists() {
        std::fs::remove_file(&online).map_err(|error| HomeError::Io { path: online, error })?;
    }
    home.write_secrets(
        BANK_FILE,
        &[("number", stored_number), ("issue", issue), ("settle", settle), ("sealing", fresh()?)],
    )?;
    let root = root(home)?;
    let certify = |certificate: u16, seed: &[u8; 32], roles: u8| {
        let certificate = Certificate {
            version: VERSION,
            bank: number,
            number: certificate,
            key: SecretKey::from_seed(seed).public(),
            roles,
            honours: List::default(),
        };
        let signed = sign(&network.id(), certificate, &root);
        let signed = signed.map_err(|error| InitError::Network(error.to_string()))?;
        Ok::<_, InitError>(Item::Certificate(signed.into_inner()).encode())
    };
    let certificates = [
        certify(ISSUE_CERTIFICATE, &issue, ROLE_ISSUE)?,
        certify(SETTLE_CERTIFICATE, &settle, ROLE_SETTLE)?,
    ];
    let path = certificates_path(home);
    container::write_file(&path, certificates.iter().map(Vec::as_slice))
        .map_err(|error| HomeError::Io { path, error: std::io::Error::other(error.to_string()) })?;
    home.write_genesis(&network)?;
    Ok(network)
}

/// Reads a bank's online keys and certificates.
///
/// # Errors
/// When they are missing, damaged, or others can read them.
pub fn load(home: &Home) -> Result<BankKeys, KeysError> {
    let number = home.read_secret(BANK_FILE, "number")?;
    let secret = |name| home.read_secret(BANK_FILE, name);
    let keys = Keys {
        issue: SecretKey::from_seed(&secret("issue")?),
        issue_certificate: ISSUE_CERTIFICATE,
        settle: SecretKey::from_seed(&secret("settle")?),
        settle_certificate: SETTLE_CERTIFICATE,
        sealing: vec![SealingSecret::from_bytes(&secret("sealing")?)],
    };
    let path = certificates_path(home);
    let contents =
        container::read_file(&path).map_err(|error| KeysError::Certificates { path, error })?;
    // Behind the item's tag is the record.
    let certificates = contents.items.iter().filter_map(|item| item.get(1..).map(<[u8]>::to_vec));
    Ok(BankKeys {
        number: BankNumber(u16::from_le_bytes([number[0], number[1]])),
        keys,
        certificates: certificates.collect(),
    })
}

fn define(name: String, mut banks: Vec<PeerBank>) -> Result<Network, InitError> {
    banks.sort_by_key(|bank| bank.number);
    let banks = banks
        .into_iter()
        .map(|PeerBank { number, root, name }| Ok(Bank { number, root, name: text(name)? }));
    let banks: Vec<Bank> = banks.collect::<Result<_, InitError>>()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let definition = Definition {
        version: VERSION,
        name: text(name)?,
        start: u32::try_from(now).unwrap_or(u32::MAX),
        epoch_seconds: EPOCH_SECONDS,
        banks: List::new(banks).map_err(|error| InitError::Network(error.to_string()))?,
    };
    Network::new(definition).map_err(|error| InitError::Network(error.to_string()))
}

fn text(name: String) -> Result<Text<NAME_BYTES_MAX>, InitError> {
    Text::new(name.clone()).map_err(|error| InitError::Name { name, error })
}

fn root(home: &Home) -> Result<SecretKey, HomeError> {
    Ok(SecretKey::from_seed(&home.read_secret(ROOT_FILE, "signing")?))
}

fn certificates_path(home: &Home) -> PathBuf {
    Path::join(home.dir(), CERTIFICATES_FILE)
}

fn fresh() -> Result<[u8; 32], InitError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| InitError::Random(error.to_string()))?;
    Ok(bytes)
}
