//! What is written to the bank's store: the units of work of a real bank, each a function of its
//! number, so that whoever cut the power can say what must be there. Customers join, promise money
//! and are settled; some units are larger than a batch of the store and are staged in several.

use super::contents::{Failure, Found, Load, Model};
use super::writer::Said;
use crate::phone::{BANK, Phone};
use anyhow::{Context, Result};
use hundi_gateway::app::replay;
use hundi_gateway::audit::{audit_events, stated_head};
use hundi_gateway::journal_store::{AccountRow, JournalOptions, JournalStore, Unit};
use hundi_journal::account::CustomerId;
use hundi_journal::bank::{Bank, Profile};
use hundi_journal::event::Event;
use hundi_journal::input::{GrantTerms, Input, Keys, Operation, OperationKind};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::SealingKey;
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank as NetworkBank, Definition, Network};
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::replica::Key;
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::SecretKey;
use hundi_node::store::{Store, StoreOptions};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;

/// When the bank opens, Unix seconds.
const START: u32 = 1_000_000;
/// Bytes of one batch here: small, so that large units are staged and cut in between.
const BATCH_BYTES_MAX: usize = 16 * 1024;
/// What the payer may promise, minor units.
const LIMIT_MINOR: u64 = 1_000_000_000;
/// One of so many units opens a crowd of accounts, which no batch holds.
const CROWD_EVERY: u64 = 13;
/// Customers of a crowd.
const CROWD: u8 = 24;
/// One of so many units signs a bulletin.
const BULLETIN_EVERY: u64 = 5;

/// A bank that does the same in every run.
struct Scenario {
    bank: Bank,
    keys: Keys,
    payer: Phone,
    payee: Phone,
    done: u64,
}

impl Scenario {
    fn new() -> Result<Self> {
        let keys = Keys {
            issue: SecretKey::from_seed(&[1; 32]),
            issue_certificate: 1,
            settle: SecretKey::from_seed(&[2; 32]),
            settle_certificate: 2,
            sealing: vec![SealingSecret::from_bytes(&[3; 32])],
        };
        let network = network()?;
        let phone = |seed| Phone::new(network.id(), sealing(), [seed; 32]);
        let bank = Bank::new(network.clone(), BANK, Profile::default()).context("a bank")?;
        Ok(Self { bank, keys, payer: phone(5), payee: phone(6), done: 0 })
    }

    /// The next unit of work.
    fn next(&mut self) -> Result<Unit> {
        self.done += 1;
        let n = self.done;
        let mut unit = Unit::default();
        if n == 1 {
            self.found(&mut unit)?;
        } else if n.is_multiple_of(CROWD_EVERY) {
            for one in 0..CROWD {
                let mut id = [one; 16];
                id[..8].copy_from_slice(&n.to_be_bytes());
                self.open(&mut unit, CustomerId(id))?;
                let seed = bytes_of(n << 8 | u64::from(one));
                let phone = Phone::new(self.bank.network().id(), sealing(), seed);
                self.enrol(&mut unit, CustomerId(id), &phone)?;
            }
        } else {
            let count = 1 + n % 8;
            let pay = |_| self.payer.pay(&self.payee, 1 + n % 100, START);
            let items: Result<Vec<_>> = (0..count).map(pay).map(|it| Ok(it?.item)).collect();
            self.handle(&mut unit, Input::Submit { items: items? })?;
        }
        if n.is_multiple_of(BULLETIN_EVERY) {
            self.handle(&mut unit, Input::Bulletin)?;
        }
        Ok(unit)
    }

    /// The first unit: certificates, the payer with its grant, and the payee.
    fn found(&mut self, unit: &mut Unit) -> Result<()> {
        let root = SecretKey::from_seed(&[4; 32]);
        let online = [
            (1, self.keys.issue.public(), ROLE_ISSUE),
            (2, self.keys.settle.public(), ROLE_SETTLE),
        ];
        for (number, key, roles) in online {
            let honours = List::default();
            let record = Certificate { version: VERSION, bank: BANK, number, key, roles, honours };
            let record = sign(&self.bank.network().id(), record, &root)?.into_inner();
            let record = record.encode();
            self.handle(unit, Input::InstallCertificate { record })?;
        }
        let (payer, payee) = (CustomerId([1; 16]), CustomerId([2; 16]));
        for customer in [payer, payee] {
            self.open(unit, customer)?;
        }
        let network = self.bank.network().id();
        for (customer, seed) in [(payer, 5), (payee, 6)] {
            self.enrol(unit, customer, &Phone::new(network, sealing(), [seed; 32]))?;
        }
        let amount = Amount::new(LIMIT_MINOR)?;
        let kind = OperationKind::Fund(payer);
        let operation = Operation { kind, currency: rupees()?, amount, reference: [7; 16] };
        self.handle(unit, Input::Operate(operation))?;
        let (author, terms) = (self.payer.author.key, GrantTerms::prefunded(amount));
        self.handle(unit, Input::IssueGrant { author, terms })
    }

    fn open(&mut self, unit: &mut Unit, customer: CustomerId) -> Result<()> {
        self.handle(unit, Input::OpenCustomer { customer })?;
        let row = AccountRow { name: customer.to_string(), currency: rupees()? };
        unit.accounts.push((customer, row));
        Ok(())
    }

    fn enrol(&mut self, unit: &mut Unit, customer: CustomerId, phone: &Phone) -> Result<()> {
        let (key, sealing) = (phone.author.key, phone.sealing_key());
        let currency = rupees()?;
        let enrol = Input::Enrol { customer, key, sealing, currency, display_name: None };
        self.handle(unit, enrol)
    }

    /// Decides one input, at a time and with entropy that follow from where the bank is.
    fn handle(&mut self, unit: &mut Unit, input: Input) -> Result<()> {
        let at = self.bank.events();
        let entropy = bytes_of(at);
        let outputs = self.bank.handle(u64::from(START) + self.done, entropy, input, &self.keys)?;
        unit.events.extend(outputs.events);
        unit.records.extend(outputs.records);
        Ok(())
    }
}

/// Bytes that follow from a number, and look random.
fn bytes_of(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut bytes);
    bytes
}

/// The bank's sealing key.
fn sealing() -> SealingKey {
    SealingSecret::from_bytes(&[3; 32]).public()
}

fn rupees() -> Result<Currency> {
    Ok(Currency::new("INR")?)
}

fn network() -> Result<Network> {
    let root = SecretKey::from_seed(&[4; 32]).public();
    let bank = NetworkBank { number: BANK, root, name: Text::new("bank")? };
    Ok(Network::new(Definition {
        version: VERSION,
        name: Text::new("power cut")?,
        start: START,
        epoch_seconds: 60,
        banks: List::new(vec![bank]).context("one bank")?,
    })?)
}

fn options(store: StoreOptions) -> JournalOptions {
    JournalOptions { store, batch_bytes_max: BATCH_BYTES_MAX }
}

/// The writing side.
pub(super) struct Writing {
    scenario: Scenario,
    journal: JournalStore,
}

impl Writing {
    /// Opens the store and brings the bank to where the store is.
    pub(super) fn open(dir: &Path, store: StoreOptions) -> Result<Self> {
        let mut scenario = Scenario::new()?;
        let network = scenario.bank.network().id();
        let (journal, events) = JournalStore::open_with(dir, network, options(store))?;
        while scenario.bank.events() < events.len() as u64 {
            scenario.next()?;
        }
        Ok(Self { scenario, journal })
    }
}

impl Load for Writing {
    fn done(&self) -> u64 {
        self.scenario.done
    }

    fn write(&mut self) -> Result<bool> {
        let unit = self.scenario.next()?;
        self.journal.append(&unit)?;
        Ok(false)
    }
}

/// What must be in the bank's store.
pub(super) struct Expected {
    scenario: Scenario,
    events: Vec<Event>,
    records: BTreeMap<Key, Vec<u8>>,
    accounts: BTreeMap<CustomerId, AccountRow>,
}

impl Expected {
    /// Of a store that is not there yet.
    pub(super) fn new() -> Result<Self> {
        let (events, records) = (Vec::new(), BTreeMap::new());
        Ok(Self { scenario: Scenario::new()?, events, records, accounts: BTreeMap::new() })
    }

    /// Does what the bank does until it has as many events as were found.
    fn follow(&mut self, events: u64) -> Result<()> {
        while self.scenario.bank.events() < events {
            let unit = self.scenario.next()?;
            let network = self.scenario.bank.network().id();
            for record in unit.records {
                let key = Key::of(&Item::decode(&network, &record)?);
                self.records.insert(key, record);
            }
            self.events.extend(unit.events);
            self.accounts.extend(unit.accounts);
        }
        Ok(())
    }

    /// Compares everything that the store shows with what the bank has done so far.
    fn compare(&self, journal: &JournalStore, events: &[Event]) -> Result<Option<String>> {
        if events != self.events {
            return Ok(Some(format!("{} events, not those of whole units", events.len())));
        }
        let (mut held, mut records) = (journal.records()?, Vec::from_iter(self.records.values()));
        held.sort_unstable();
        records.sort_unstable();
        if !held.iter().eq(records) {
            return Ok(Some("the records are not those of the events".to_owned()));
        }
        if BTreeMap::from_iter(journal.accounts()?) != self.accounts {
            return Ok(Some("the customers' rows are not those of the events".to_owned()));
        }
        let network = self.scenario.bank.network();
        let bank = replay(network, BANK, events)?;
        let held = Some((bank.events(), bank.journal_head()));
        let stated = stated_head(journal, &network.id(), BANK)?;
        let audited = audit_events(events, network.id(), BANK, held, stated);
        Ok((!audited.ok()).then(|| audited.findings.join("; ")))
    }
}

impl Model for Expected {
    fn done(&self) -> u64 {
        self.scenario.done
    }

    fn verify(&mut self, dir: &Path, said: &Said) -> Result<Found, Failure> {
        let network = self.scenario.bank.network().id();
        let opened = JournalStore::open_with(dir, network, options(StoreOptions::default()));
        let (journal, events) = opened.map_err(|error| Failure::Unopened(error.to_string()))?;
        if (events.len() as u64) < self.scenario.bank.events() {
            let before = self.scenario.bank.events();
            return Err(Failure::Lost(format!("{} events, there were {before}", events.len())));
        }
        self.follow(events.len() as u64)?;
        said.is_kept_by(self.scenario.done)?;
        if let Some(finding) = self.compare(&journal, &events)? {
            return Err(Failure::Contradiction(finding));
        }
        let opened = journal.opened().clone();
        drop(journal);
        let (store, _) = Store::open(dir, StoreOptions::default())
            .map_err(|error| Failure::Unopened(error.to_string()))?;
        Failure::from_check(&store)?;
        Ok(Found { done: self.scenario.done, opened })
    }
}
