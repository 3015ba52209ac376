//! The records that banks sign. The version is read before, the signature behind.

use super::Author;
use crate::hashes::checkpoint_tag;
use crate::read::{Reader, Refused, rule};

/// May sign grants and freezes.
pub const ROLE_ISSUE: u8 = 1;
/// May sign checkpoints and bulletins.
pub const ROLE_SETTLE: u8 = 2;

/// A bound on an earlier certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Honour {
    /// Its number.
    pub certificate: u16,
    /// The last epoch honoured under it.
    pub epoch_last: u32,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The bank.
    pub bank: u16,
    /// Its number.
    pub number: u16,
    /// The online key.
    pub key: [u8; 32],
    /// What the key may sign.
    pub roles: u8,
    /// Bounds on earlier certificates.
    pub honours: Vec<Honour>,
}

impl Certificate {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let record = Self {
            bank: reader.u16()?,
            number: reader.u16()?,
            key: reader.array()?,
            roles: reader.u8()?,
            honours: reader.list(64, |reader| {
                Ok(Honour { certificate: reader.u16()?, epoch_last: reader.u32()? })
            })?,
        };
        rule(record.number > 0, "number above 0")?;
        rule((1..=3).contains(&record.roles), "roles 1, 2 or 3")?;
        let ascending = record.honours.is_sorted_by(|a, b| a.certificate < b.certificate);
        rule(ascending, "honours strictly ascending")?;
        let below = record.honours.iter().all(|bound| bound.certificate < record.number);
        rule(below, "honours below number")?;
        Ok(record)
    }
}

/// Terms on payees and categories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Allowed payees; empty allows all.
    pub payees: Vec<Author>,
    /// Allowed categories; empty allows all.
    pub categories: Vec<u8>,
}

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields of the document's table, in its order.
pub struct Grant {
    pub author: Author,
    pub certificate: u16,
    pub epoch: u32,
    pub author_sealing: [u8; 32],
    pub bank_sealing: [u8; 32],
    pub serial: u16,
    pub currency: String,
    pub flags: u8,
    pub limit: u64,
    pub cap: u64,
    pub guarantee: u64,
    pub not_before: u32,
    pub expiry: u32,
    pub claim_until: u32,
    pub first_sequence: u32,
    pub carry_to: u32,
    pub unsettled_max: u8,
    pub penalty_percent: u8,
    pub penalty_floor_percent: u8,
    pub policy: Option<Policy>,
    pub display_name: Option<String>,
}

impl Grant {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let record = Self {
            author: Author::read(reader)?,
            certificate: reader.u16()?,
            epoch: reader.u32()?,
            author_sealing: reader.array()?,
            bank_sealing: reader.array()?,
            serial: reader.u16()?,
            currency: currency(reader)?,
            flags: reader.u8()?,
            limit: reader.amount()?,
            cap: reader.amount()?,
            guarantee: reader.amount()?,
            not_before: reader.u32()?,
            expiry: reader.u32()?,
            claim_until: reader.u32()?,
            first_sequence: reader.u32()?,
            carry_to: reader.u32()?,
            unsettled_max: reader.u8()?,
            penalty_percent: reader.u8()?,
            penalty_floor_percent: reader.u8()?,
            policy: reader.option(|reader| {
                Ok(Policy {
                    payees: reader.list(16, Author::read)?,
                    categories: reader.list(16, Reader::u8)?,
                })
            })?,
            display_name: reader.option(|reader| reader.text(64))?,
        };
        record.check()?;
        Ok(record)
    }

    fn check(&self) -> Result<(), Refused> {
        rule(self.flags <= 1, "flags 0 or 1")?;
        let ordered = self.not_before <= self.expiry && self.expiry <= self.claim_until;
        rule(ordered, "not_before, expiry, claim_until in order")?;
        rule(self.cap <= self.limit, "cap within limit")?;
        let percents = self.penalty_percent <= 100 && self.penalty_floor_percent <= 100;
        rule(percents, "percents up to 100")?;
        let last = self.first_sequence.saturating_add(63);
        rule(self.carry_to <= last, "carry_to within the window")?;
        if self.serial == 0 {
            rule(self.limit == 0 && self.guarantee == 0, "enrolment grants nothing")?;
        }
        if self.flags == 1 {
            rule(self.guarantee == 0, "a bearer grant has no guarantee")?;
        }
        if let Some(policy) = &self.policy {
            let ascending = policy.payees.is_sorted_by(|a, b| a < b)
                && policy.categories.is_sorted_by(|a, b| a < b);
            rule(ascending, "policy strictly ascending")?;
        }
        Ok(())
    }
}

fn currency(reader: &mut Reader<'_>) -> Result<String, Refused> {
    let code = reader.array::<3>()?;
    if code.iter().all(u8::is_ascii_uppercase) {
        Ok(code.map(char::from).iter().collect())
    } else {
        Err(Refused::Canonical)
    }
}

/// The last entry decided with everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frontier {
    /// Its sequence number.
    pub sequence: u32,
    /// Its id.
    pub hash: [u8; 32],
}

/// Where one live grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its serial.
    pub serial: u16,
    /// `spent_total` at the frontier.
    pub total: u64,
    /// What has been settled under it.
    pub settled: u64,
}

/// The outcome of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its sequence number.
    pub sequence: u32,
    /// Its tag.
    pub tag: [u8; 16],
    /// 0 settled, or another number of the document's table.
    pub outcome: u8,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields of the document's table, in its order.
pub struct Checkpoint {
    pub author: Author,
    pub certificate: u16,
    pub number: u32,
    pub epoch: u32,
    pub carry_to: u32,
    pub salt: [u8; 16],
    pub frontier: Option<Frontier>,
    pub live: Vec<Live>,
    pub names: Vec<Name>,
}

impl Checkpoint {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        let record = Self {
            author: Author::read(reader)?,
            certificate: reader.u16()?,
            number: reader.u32()?,
            epoch: reader.u32()?,
            carry_to: reader.u32()?,
            salt: reader.array()?,
            frontier: reader
                .option(|reader| Ok(Frontier { sequence: reader.u32()?, hash: reader.array()? }))?,
            live: reader.list(17, |reader| {
                let serial = reader.u16()?;
                Ok(Live { serial, total: reader.amount()?, settled: reader.amount()? })
            })?,
            names: reader.list(512, |reader| {
                Ok(Name {
                    sequence: reader.u32()?,
                    tag: reader.array()?,
                    outcome: reader.choice(&[0, 1, 2, 16, 17, 18, 19, 20, 21, 22])?,
                })
            })?,
        };
        rule(record.number > 0, "number above 0")?;
        let last = record.frontier.map_or(63, |frontier| frontier.sequence.saturating_add(64));
        rule(record.carry_to <= last, "carry_to within the window")?;
        rule(record.live.is_sorted_by(|a, b| a.serial < b.serial), "live strictly ascending")?;
        let names = record.names.is_sorted_by(|a, b| (a.sequence, a.tag) < (b.sequence, b.tag));
        rule(names, "names strictly ascending")?;
        Ok(record)
    }

    /// The outcome named for the entry with that number and id.
    pub fn named(&self, sequence: u32, id: &[u8; 32]) -> Option<u8> {
        let tag = checkpoint_tag(&self.salt, id);
        let named = |name: &&Name| name.sequence == sequence && name.tag == tag;
        self.names.iter().find(named).map(|name| name.outcome)
    }
}

/// A freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// Who is frozen.
    pub author: Author,
    /// The certificate of the signing key.
    pub certificate: u16,
    /// The bank's epoch.
    pub epoch: u32,
    /// 1 contradiction, 2 lost, 3 the bank's decision.
    pub reason: u8,
}

impl Freeze {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        Ok(Self {
            author: Author::read(reader)?,
            certificate: reader.u16()?,
            epoch: reader.u32()?,
            reason: reader.choice(&[1, 2, 3])?,
        })
    }
}

/// A bulletin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields of the document's table, in its order.
pub struct Bulletin {
    pub bank: u16,
    pub certificate: u16,
    pub epoch: u32,
    pub time: u32,
    pub freezes: u32,
    pub freezes_digest: [u8; 32],
    pub journal_head: [u8; 32],
}

impl Bulletin {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Refused> {
        Ok(Self {
            bank: reader.u16()?,
            certificate: reader.u16()?,
            epoch: reader.u32()?,
            time: reader.u32()?,
            freezes: reader.u32()?,
            freezes_digest: reader.array()?,
            journal_head: reader.array()?,
        })
    }
}
