//! What a bank can be asked to do. Inputs serialise, without keys: a recorded run is a file.

use crate::account::CustomerId;
use crate::state::Source;
use alloc::vec::Vec;
use borsh::{BorshDeserialize, BorshSerialize};
use hundi_ledger::codec::Text;
use hundi_ledger::id::{BankNumber, Hash, PublicKey, SealingKey};
use hundi_ledger::limits::NAME_BYTES_MAX;
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::freeze::FreezeReason;
use hundi_ledger::record::grant::Policy;
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::SecretKey;

/// The secrets that a call signs and opens with. They are never part of the state.
#[derive(Debug)]
pub struct Keys {
    /// Signs grants and freezes.
    pub issue: SecretKey,
    /// The certificate that names the issuing key.
    pub issue_certificate: u16,
    /// Signs checkpoints and bulletins.
    pub settle: SecretKey,
    /// The certificate that names the settling key.
    pub settle_certificate: u16,
    /// Opens bodies and receipts: the key that new grants name first, then earlier ones.
    pub sealing: Vec<SealingSecret>,
}

impl Keys {
    /// The secret of one of the bank's sealing keys.
    pub(crate) fn sealing_secret(&self, public: &SealingKey) -> Option<&SealingSecret> {
        self.sealing.iter().find(|secret| secret.public() == *public)
    }
}

/// The terms of a grant to issue; the rest follows from the author and the books.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct GrantTerms {
    /// Where the reserve comes from.
    pub source: Source,
    /// What may be promised in all.
    pub limit: Amount,
    /// What one payment may promise.
    pub cap: Amount,
    /// What the bank pays beyond the reserve in a contradiction, at most.
    pub guarantee: Amount,
    /// Seconds from now until payees refuse.
    pub expiry_seconds: u32,
    /// Seconds after the expiry within which the bank honours what reaches it.
    pub claim_seconds: u32,
    /// Unsettled entries that may stand before a payment.
    pub unsettled_max: u8,
    /// Percent that each unsettled entry takes off what may be accepted offline.
    pub penalty_percent: u8,
    /// Percent that the penalty always leaves.
    pub penalty_floor_percent: u8,
    /// Whether this is a bearer grant.
    pub bearer: bool,
    /// Terms on payees and categories, if any.
    pub policy: Option<Policy>,
    /// The owner's verified name if the owner wants it shown. It goes into the signed record and
    /// not into the journal.
    pub display_name: Option<Text<NAME_BYTES_MAX>>,
}

impl GrantTerms {
    /// The defaults of DESIGN §3 for a prefunded grant of `limit`: 24 hours, seven days to claim,
    /// ten unsettled, penalty 10 % down to 30 %, no guarantee, cap at the limit.
    pub fn prefunded(limit: Amount) -> Self {
        Self {
            source: Source::Prefunded,
            limit,
            cap: limit,
            guarantee: Amount::ZERO,
            expiry_seconds: 24 * 3_600,
            claim_seconds: 7 * 24 * 3_600,
            unsettled_max: 10,
            penalty_percent: 10,
            penalty_floor_percent: 30,
            bearer: false,
            policy: None,
            display_name: None,
        }
    }
}

/// An operation on accounts. `reference` makes it happen once: the same operation again changes
/// nothing, another one under the same reference is refused.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Operation {
    /// What is done.
    pub kind: OperationKind,
    /// The currency.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// A random number chosen by whoever asks.
    pub reference: [u8; 16],
}

/// The operations on accounts (DESIGN §8, the table of events).
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum OperationKind {
    /// Money comes in for a customer.
    Fund(CustomerId),
    /// A customer takes money out.
    Withdraw(CustomerId),
    /// The bank sets money aside for guarantees.
    Provision,
    /// The bank gives up (part of) its claim on an offender.
    WriteOff(CustomerId),
    /// An offender pays (part of) the bank's claim from its balance.
    Recover(CustomerId),
    /// What is owed to another bank is paid.
    SettleWindow(BankNumber),
}

/// What the bank is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Input {
    /// Install a certificate of this bank that its root signed, and publish it.
    InstallCertificate {
        /// The encoded record without item tag.
        record: Vec<u8>,
    },
    /// Open a customer. Again: nothing happens.
    OpenCustomer {
        /// The customer.
        customer: CustomerId,
    },
    /// State that two customers share an interest: no guarantee between them.
    Link {
        /// One.
        a: CustomerId,
        /// The other.
        b: CustomerId,
    },
    /// Enrol a key as an author of a customer and issue its enrolment grant.
    Enrol {
        /// Whose it is.
        customer: CustomerId,
        /// The signing key.
        key: PublicKey,
        /// The sealing key.
        sealing: SealingKey,
        /// The author's one currency.
        currency: Currency,
        /// The verified name if the owner wants it shown.
        display_name: Option<Text<NAME_BYTES_MAX>>,
    },
    /// Move money between accounts.
    Operate(Operation),
    /// Issue the next grant to an author and fund its reserve.
    IssueGrant {
        /// The author's key.
        author: PublicKey,
        /// The terms.
        terms: GrantTerms,
    },
    /// Freeze an author.
    Freeze {
        /// The author's key.
        author: PublicKey,
        /// Why.
        reason: FreezeReason,
    },
    /// Take items from the mesh or from a client: entries, receipts, proofs, bank records. The same
    /// as [`crate::bank::Bank::submit`] of what nobody has prepared.
    Submit {
        /// Encoded items, with their tags.
        items: Vec<Vec<u8>>,
    },
    /// Do what is due by now: claim-until, disclosures, refunds that lapse. Every minute or so.
    Tick,
    /// Sign a bulletin.
    Bulletin,
    /// Close the review of an author's contradiction.
    CloseCase {
        /// The author's key.
        author: PublicKey,
        /// Provisionally paid entries that the review decides against, for complicity.
        denied: Vec<Hash>,
    },
    /// Sign again after a fault has been looked into.
    Resume,
}
