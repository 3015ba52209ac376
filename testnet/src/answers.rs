//! What the programs answer, as far as a judge looks at it. Every name is one of the local API's.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What `init` of a device prints.
#[derive(Clone, Debug, Deserialize)]
pub struct Identity {
    /// The author, as `BANK-KEY`.
    pub author: String,
    /// Its X25519 key.
    pub sealing_key: String,
}

/// `GET /v1/status` of a node or gateway.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// The network's id.
    pub network: String,
    /// The digest of the core.
    pub digest: String,
    /// Where it listens for other nodes.
    pub listen: Vec<SocketAddr>,
    /// Entries in the core.
    pub entries: u64,
    /// Entries of proven authors, and receipts: carried best effort.
    pub cached: u64,
    /// Authors that it holds a proof against.
    pub proofs: Vec<String>,
    /// Whether it never signs again.
    pub stopped: bool,
    /// Links that are up.
    pub links: u64,
}

/// What a gateway's status says beside that of a node.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Intake {
    /// Entries that the bank has durably.
    pub accepted: u64,
    /// Settled: final.
    pub settled: u64,
    /// Rejected for good.
    pub rejected: u64,
    /// Under a contradiction: a review decides.
    pub contested: u64,
    /// Settled, then returned because the payee had refused.
    pub returned: u64,
    /// Since when a checkpoint is due, Unix seconds; none when the bank has told everything.
    pub checkpoint_due: Option<u64>,
}

/// `GET /v1/balance` of a device.
#[derive(Clone, Debug, Deserialize)]
pub struct Balance {
    /// The limit of the grant in force, minor units.
    pub granted_minor: u64,
}

/// One row of a device's history.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// The entry.
    pub id: String,
    /// `out` or `in`.
    pub direction: String,
    /// `payment` or `refund`, or what pays nobody.
    pub kind: String,
    /// How far it is.
    pub state: String,
    /// Minor units.
    pub amount_minor: u64,
    /// The other party's author.
    pub counterparty: Option<String>,
    /// Its place in the author's log.
    pub sequence: u32,
}

/// `GET /v1/history` of a device.
#[derive(Clone, Debug, Deserialize)]
pub struct History {
    /// Newest first.
    pub payments: Vec<Row>,
}

/// A request for money.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    /// What the payer scans.
    pub uri: String,
}

/// What was just signed.
#[derive(Clone, Debug, Deserialize)]
pub struct Signed {
    /// The entry.
    pub id: String,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Imported {
    /// Items that were new.
    pub new: u64,
    /// Items that could not be taken.
    pub refused: u64,
}

/// A customer's account at the bank.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// Its id.
    pub account: String,
    /// At the customer's disposal, minor units.
    #[serde(default)]
    pub balance_minor: u64,
    /// Credited provisionally.
    #[serde(default)]
    pub pending_minor: u64,
    /// Set aside for grants.
    #[serde(default)]
    pub reserved_minor: u64,
}

/// The books of one currency.
#[derive(Clone, Debug, Deserialize)]
pub struct Book {
    /// The sum over all accounts: zero.
    pub sum: i64,
    /// Whether it is.
    pub balanced: bool,
    /// Balances by kind of account, minor units; what the bank owes is positive.
    pub accounts: BTreeMap<String, i64>,
}

/// `GET /v1/books` of a gateway.
#[derive(Clone, Debug, Deserialize)]
pub struct Books {
    /// By currency.
    pub currencies: BTreeMap<String, Book>,
}

/// `GET /v1/audit` of a gateway.
#[derive(Clone, Debug, Deserialize)]
pub struct Audit {
    /// Whether nothing was found.
    pub ok: bool,
    /// What was found.
    pub findings: Vec<String>,
    /// Entries settled, recounted from the stored events.
    pub settled: u64,
}

/// What one payee of a case got.
#[derive(Clone, Debug, Deserialize)]
pub struct CasePayee {
    /// The entry that pays it.
    pub entry: String,
    /// Its place in the offender's log.
    pub sequence: u32,
    /// The payee's author, where the bank could open the entry.
    pub payee: Option<String>,
    /// What was promised, minor units.
    pub amount_minor: u64,
    /// What the bank has paid.
    pub got_minor: u64,
    /// How the bank decided.
    pub outcome: Option<String>,
}

/// `GET /v1/cases/ID` of a gateway.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// One line per entry under the contradicted grants.
    pub payees: Vec<CasePayee>,
}
