//! A checkpoint: what the home bank has decided about one author's log, in a size that depends on
//! the author's activity and not on the length of the log.

use super::certificate::ROLE_SETTLE;
use super::{BankRecord, Record, VERSION, rule};
use crate::codec::{DecodeError, List};
use crate::id::{AuthorId, BankNumber, Hash, Serial};
use crate::limits::{CARRY_WINDOW, LIVE_SERIALS_MAX, NAMES_MAX};
use crate::money::Amount;
use borsh::{BorshDeserialize, BorshSerialize};

/// What became of a named entry. One byte on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Outcome {
    /// Posted, the payee credited.
    Settled = 0,
    /// In a contradiction; its payee may still be paid when the review closes.
    Contested = 1,
    /// Posted and then returned: the payee's signed refusal won.
    Returned = 2,
    /// Rejected: nothing of it is left to pay it from, by the loss rule or the grant's limit.
    RejectedUncovered = 16,
    /// Rejected: reached the bank after the grant's claim-until.
    RejectedLate = 17,
    /// Rejected: its author was frozen, and the payee knew.
    RejectedFrozen = 18,
    /// Rejected: nobody could open its body by claim-until and seven days.
    RejectedUnopened = 19,
    /// Rejected: a refund above, beside or without its original.
    RejectedRefund = 20,
    /// Rejected: the payee refused it with a signature.
    RejectedRefused = 21,
    /// Rejected: spends, but is of a kind that this bank does not know.
    RejectedKind = 22,
}

/// The last entry of the author's chain that is decided with everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Frontier {
    /// Its sequence number.
    pub sequence: u32,
    /// The hash of its header.
    pub hash: Hash,
}

/// Where one live grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Live {
    /// Its serial.
    pub serial: Serial,
    /// `spent_total` of this serial at the frontier.
    pub total: Amount,
    /// What has been settled under it, beyond the frontier included.
    pub settled: Amount,
}

/// The outcome of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Name {
    /// The entry's sequence number.
    pub sequence: u32,
    /// 16 bytes of the hash of the entry's header hash under the checkpoint's salt.
    pub tag: [u8; 16],
    /// What became of it.
    pub outcome: Outcome,
}

/// A home bank's word on one author's log.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Checkpoint {
    /// [`VERSION`].
    pub version: u8,
    /// The author; its bank signs.
    pub author: AuthorId,
    /// The certificate that names the signing key.
    pub certificate: u16,
    /// Ascending with every checkpoint of this author, from 1.
    pub number: u32,
    /// The bank's epoch at signing.
    pub epoch: u32,
    /// The last sequence number that relays carry; at most one window beyond the frontier.
    pub carry_to: u32,
    /// Keys the tags of [`Checkpoint::names`], fresh for every checkpoint.
    pub salt: [u8; 16],
    /// The frontier; none while nothing is decided.
    pub frontier: Option<Frontier>,
    /// The live grants, by strictly ascending serial.
    pub live: List<Live, LIVE_SERIALS_MAX>,
    /// Outcomes, strictly ascending.
    pub names: List<Name, NAMES_MAX>,
}

/// The tag under which a checkpoint with `salt` names the entry whose header hash is `hash`.
pub fn tag(salt: &[u8; 16], hash: &Hash) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("hundi v1 checkpoint name");
    hasher.update(salt).update(&hash.0);
    let mut tag = [0; 16];
    hasher.finalize_xof().fill(&mut tag);
    tag
}

impl Checkpoint {
    /// The first sequence number that is not decided.
    pub fn undecided_from(&self) -> u32 {
        self.frontier.map_or(0, |frontier| frontier.sequence.saturating_add(1))
    }

    /// The outcome that this checkpoint names for the entry, if it names it.
    pub fn outcome(&self, sequence: u32, hash: &Hash) -> Option<Outcome> {
        let from = self.names.partition_point(|name| name.sequence < sequence);
        let named = self.names.get(from..)?.iter().take_while(|name| name.sequence == sequence);
        let mut wanted = None;
        for name in named {
            if name.tag == *wanted.get_or_insert_with(|| tag(&self.salt, hash)) {
                return Some(name.outcome);
            }
        }
        None
    }

    /// Where the grant of that serial stood at the frontier, if it is live.
    pub fn live(&self, serial: Serial) -> Option<&Live> {
        self.live.binary_search_by_key(&serial, |live| live.serial).ok().map(|at| &self.live[at])
    }

    /// How many sequence numbers beyond the frontier and below `sequence` no name calls settled:
    /// the unsettled entries that stand before an entry with that number.
    pub fn unsettled_before(&self, sequence: u32) -> u32 {
        let from = self.undecided_from();
        let mut settled = 0;
        let mut last = None;
        for name in self.names.iter().filter(|name| {
            (from..sequence).contains(&name.sequence) && name.outcome == Outcome::Settled
        }) {
            // Two names at one number (a contradiction) fill one place.
            if last.replace(name.sequence) != Some(name.sequence) {
                settled += 1;
            }
        }
        sequence.saturating_sub(from).saturating_sub(settled)
    }
}

impl Record for Checkpoint {
    const CONTEXT: &'static str = "hundi v1 checkpoint";

    fn check(&self) -> Result<(), DecodeError> {
        rule(self.version == VERSION, "version")?;
        rule(self.number > 0, "checkpoints are numbered from 1")?;
        // At most CARRY_WINDOW sequence numbers that are undecided and carried.
        let last = self
            .frontier
            .map_or(CARRY_WINDOW - 1, |frontier| frontier.sequence.saturating_add(CARRY_WINDOW));
        rule(self.carry_to <= last, "carried at most one window beyond the frontier")?;
        let serials = self.live.windows(2).all(|pair| pair[0].serial < pair[1].serial);
        rule(serials, "live grants by strictly ascending serial")?;
        let names = self
            .names
            .windows(2)
            .all(|pair| (pair[0].sequence, pair[0].tag) < (pair[1].sequence, pair[1].tag));
        rule(names, "names strictly ascending")
    }
}

impl BankRecord for Checkpoint {
    const ROLE: u8 = ROLE_SETTLE;
    fn bank(&self) -> BankNumber {
        self.author.bank
    }
    fn certificate(&self) -> u16 {
        self.certificate
    }
    fn epoch(&self) -> u32 {
        self.epoch
    }
}
