//! A bank that signs whatever a test asks for.

use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, Hash, NetworkId, SealingKey, Serial};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::bulletin::{Bulletin, freezes_digest};
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::checkpoint::{Checkpoint, Frontier, Name, Outcome, tag};
use hundi_ledger::record::freeze::{Freeze, FreezeReason};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank as Listed, Definition, Network};
use hundi_ledger::record::{Record, VERSION, sign};
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::SecretKey;

pub const START: u32 = 1_700_000_000;

pub struct Bank {
    root: SecretKey,
    online: SecretKey,
    sealing: SealingSecret,
    pub network: Network,
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub fn amount(minor: u64) -> Amount {
    Amount::new(minor).unwrap()
}

impl Bank {
    pub fn new() -> Self {
        let root = key(200);
        let bank = Listed {
            number: BankNumber(1),
            root: root.public(),
            name: Text::new("First Bank").unwrap(),
        };
        let definition = Definition {
            version: VERSION,
            name: Text::new("test").unwrap(),
            start: START,
            epoch_seconds: 60 * 24 * 3600,
            banks: List::new(vec![bank]).unwrap(),
        };
        let network = Network::new(definition).unwrap();
        let sealing = SealingSecret::from_bytes(&[202; 32]);
        Self { root, online: key(201), sealing, network }
    }

    pub fn id(&self) -> NetworkId {
        self.network.id()
    }

    fn signed<T: Record + Clone>(
        &self,
        record: T,
        by: &SecretKey,
    ) -> hundi_ledger::record::Signed<T> {
        sign(&self.id(), record, by).unwrap().into_inner()
    }

    pub fn certificate(&self) -> Vec<u8> {
        let certificate = Certificate {
            version: VERSION,
            bank: BankNumber(1),
            number: 1,
            key: self.online.public(),
            roles: ROLE_ISSUE | ROLE_SETTLE,
            honours: List::default(),
        };
        Item::Certificate(self.signed(certificate, &self.root)).encode()
    }

    /// A grant of that serial and limit; serial 0 is the enrolment grant.
    pub fn grant(&self, to: AuthorId, sealing: SealingKey, serial: u16, limit: u64) -> Grant {
        Grant {
            version: VERSION,
            author: to,
            certificate: 1,
            epoch: 1,
            author_sealing: sealing,
            bank_sealing: self.sealing.public(),
            serial: Serial(serial),
            currency: Currency::new("INR").unwrap(),
            flags: 0,
            limit: amount(limit),
            cap: amount(limit),
            guarantee: Amount::ZERO,
            not_before: START,
            expiry: START + if serial == 0 { 900 * 24 * 3600 } else { 24 * 3600 },
            claim_until: START + if serial == 0 { 900 * 24 * 3600 } else { 8 * 24 * 3600 },
            first_sequence: 0,
            carry_to: 40,
            unsettled_max: 10,
            penalty_percent: 10,
            penalty_floor_percent: 30,
            policy: None,
            display_name: None,
        }
    }

    pub fn granted(&self, grant: Grant) -> Vec<u8> {
        Item::Grant(self.signed(grant, &self.online)).encode()
    }

    /// A checkpoint with everything up to `frontier` decided, and these outcomes named.
    pub fn checkpoint(
        &self,
        author: AuthorId,
        number: u32,
        frontier: Option<(u32, Hash)>,
        outcomes: &[(u32, Hash, Outcome)],
    ) -> Vec<u8> {
        let salt = [number as u8; 16];
        let mut names: Vec<Name> = outcomes
            .iter()
            .map(|(sequence, hash, outcome)| Name {
                sequence: *sequence,
                tag: tag(&salt, hash),
                outcome: *outcome,
            })
            .collect();
        names.sort_unstable();
        let checkpoint = Checkpoint {
            version: VERSION,
            author,
            certificate: 1,
            number,
            epoch: 1,
            carry_to: 40,
            salt,
            frontier: frontier.map(|(sequence, hash)| Frontier { sequence, hash }),
            live: List::default(),
            names: List::new(names).unwrap(),
        };
        Item::Checkpoint(self.signed(checkpoint, &self.online)).encode()
    }

    pub fn freeze(&self, author: AuthorId) -> Vec<u8> {
        let freeze = Freeze {
            version: VERSION,
            author,
            certificate: 1,
            epoch: 1,
            reason: FreezeReason::Lost,
        };
        Item::Freeze(self.signed(freeze, &self.online)).encode()
    }

    pub fn bulletin(&self, epoch: u32, time: u32) -> Vec<u8> {
        let bulletin = Bulletin {
            version: VERSION,
            bank: BankNumber(1),
            certificate: 1,
            epoch,
            time,
            freezes: 0,
            freezes_digest: freezes_digest(&self.id(), Vec::new()),
            journal_head: Hash([0; 32]),
        };
        Item::Bulletin(self.signed(bulletin, &self.online)).encode()
    }
}

pub fn author(seed: u8) -> AuthorId {
    AuthorId { bank: BankNumber(1), key: key(seed).public() }
}

pub fn keys(seed: u8) -> hundi_engine::Keys {
    hundi_engine::Keys {
        author: author(seed),
        signing: key(seed),
        sealing: SealingSecret::from_bytes(&[seed; 32]),
    }
}

pub fn sealing(seed: u8) -> SealingKey {
    SealingSecret::from_bytes(&[seed; 32]).public()
}
