//! Measures a replica whose authors live on disk: fills a store in the directory given, opens it from summaries, and
//! compares applying entries with verifying their signatures singly.
//! `cargo run --release -p hundi-node --example replica_figures -- DIRECTORY [AUTHORS [ENTRIES_EACH]]`

use anyhow::Context;
use hundi_engine::output::Published;
use hundi_engine::{Answer, Command, Config, Input, Opening, Output};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, BankNumber, SealingKey, Serial};
use hundi_ledger::log::Log;
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::entry::{Class, Entry, Kind, body_hash};
use hundi_ledger::record::grant::Grant;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::record::network::{Bank, Definition, Network};
use hundi_ledger::record::{VERSION, Verified, sign};
use hundi_ledger::replica::key::subject_bytes;
use hundi_ledger::replica::{Change, Key, Replica, Shelf};
use hundi_ledger::sign::SecretKey;
use hundi_ledger::trust::VerifiedItem;
use hundi_node::store::{Barrier, Store, StoreOptions, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BANK: BankNumber = BankNumber(1);
const STATE: &[u8] = b"state";
/// Items that one commit takes.
const BATCH: usize = 1024;
const RESIDENT: usize = hundi_engine::limits::RESIDENT_AUTHORS_MAX;

struct OnDisk(Store);

impl Shelf for OnDisk {
    fn item(&self, key: &Key) -> Option<Vec<u8>> {
        self.0.get(&subject_bytes(&key.subject()), &key.within()).ok()?
    }

    fn items(&self, author: &AuthorId) -> Vec<Vec<u8>> {
        let values = self.0.values(&subject_bytes(&Subject::Author(*author)));
        values.unwrap_or_default().into_iter().map(|(_, item)| item).collect()
    }
}

struct World {
    network: Network,
    root: SecretKey,
    online: SecretKey,
}

impl World {
    fn new() -> anyhow::Result<Self> {
        let (root, online) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let bank = Bank { number: BANK, root: root.public(), name: Text::new("Bank")? };
        let network = Network::new(Definition {
            version: VERSION,
            name: Text::new("Figures")?,
            start: 1_700_000_000,
            epoch_seconds: 3600,
            banks: List::new(vec![bank])?,
        })?;
        Ok(Self { network, root, online })
    }

    fn certificate(&self) -> anyhow::Result<Item> {
        let record = Certificate {
            version: VERSION,
            bank: BANK,
            number: 1,
            key: self.online.public(),
            roles: ROLE_ISSUE | ROLE_SETTLE,
            honours: List::new(vec![])?,
        };
        Ok(Item::Certificate(sign(&self.network.id(), record, &self.root)?.into_inner()))
    }

    fn author(&self, number: usize) -> (AuthorId, SecretKey) {
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let key = SecretKey::from_seed(&seed);
        (AuthorId { bank: BANK, key: key.public() }, key)
    }

    fn grant(&self, author: AuthorId, serial: u16) -> anyhow::Result<Item> {
        let limit = if serial == 0 { 0 } else { 1_000_000 };
        let record = Grant {
            version: VERSION,
            author,
            certificate: 1,
            epoch: 1,
            author_sealing: SealingKey([3; 32]),
            bank_sealing: SealingKey([4; 32]),
            serial: Serial(serial),
            currency: Currency::new("INR")?,
            limit: Amount::new(limit)?,
            cap: Amount::new(limit)?,
            guarantee: Amount::ZERO,
            not_before: 1_700_000_000,
            expiry: u32::MAX,
            claim_until: u32::MAX,
            first_sequence: 0,
            carry_to: 40,
            unsettled_max: 10,
            penalty_percent: 10,
            penalty_floor_percent: 30,
            flags: 0,
            policy: None,
            display_name: None,
        };
        Ok(Item::Grant(sign(&self.network.id(), record, &self.online)?.into_inner()))
    }

    /// The next payment of a log.
    fn pay(&self, log: &mut Log, key: &SecretKey) -> anyhow::Result<Verified<Entry>> {
        let mut header = log.draft(Kind::PAYMENT, Serial(1), Amount::new(5)?, 1_700_000_100)?;
        let body = vec![7; 127];
        header.body_hash = body_hash(&self.network.id(), &body);
        let entry = Entry::sign(&self.network.id(), header, body, key)?;
        anyhow::ensure!(log.append(entry.claim()), "a log follows itself");
        Ok(entry)
    }

    /// The log of an author that has signed so many entries, and its key.
    fn log(&self, number: usize, entries: usize) -> anyhow::Result<(Log, SecretKey)> {
        let (author, key) = self.author(number);
        let mut log = Log::new(author, Class::Money);
        for _ in 0..entries {
            self.pay(&mut log, &key)?;
        }
        Ok((log, key))
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().context("name a directory that may be filled")?);
    let mut number = |or| arguments.next().map_or(Ok(or), |text| text.parse::<usize>());
    let (authors, entries) = (number(100_000)?, number(10)?);
    let world = World::new()?;
    if !dir.exists() {
        fill(&world, &dir, authors, entries)?;
        println!("filled; call again to measure");
        return Ok(());
    }
    measure(&world, &dir, authors, entries)
}

fn options() -> StoreOptions {
    StoreOptions { barrier: Barrier::Off, ..StoreOptions::default() }
}

/// Without an engine: what was signed here need not be verified.
fn fill(world: &World, dir: &Path, authors: usize, entries: usize) -> anyhow::Result<()> {
    let (store, _) = Store::open(dir, options())?;
    let shelf = OnDisk(store);
    let mut replica = Replica::new(world.network.clone());
    let mut writes = Vec::new();
    let certificate = replica.trust().verify(world.certificate()?)?;
    spell(replica.apply(certificate, &shelf).changes, &mut writes);
    for number in 0..authors {
        let (mut log, key) = world.log(number, 0)?;
        for serial in 0..2 {
            let grant = replica.trust().verify(world.grant(log.author(), serial)?)?;
            spell(replica.apply(grant, &shelf).changes, &mut writes);
        }
        for _ in 0..entries {
            let entry = VerifiedItem::Entry(world.pay(&mut log, &key)?);
            spell(replica.apply(entry, &shelf).changes, &mut writes);
        }
        if writes.len() >= BATCH || number + 1 == authors {
            for (author, summary) in replica.take_summaries(usize::MAX) {
                let key = [&b"author/"[..], &author.to_bytes()].concat();
                let value = summary.context("an author is gone")?;
                writes.push(Write::Put { subject: STATE.to_vec(), key, value });
            }
            let (key, value) = (b"authors".to_vec(), vec![1]);
            writes.push(Write::Put { subject: STATE.to_vec(), key, value });
            shelf.0.commit(&std::mem::take(&mut writes))?;
            replica.evict(RESIDENT);
        }
    }
    println!("digest {}", replica.digest());
    Ok(())
}

fn spell(changes: Vec<Change>, writes: &mut Vec<Write>) {
    let place = |key: &Key| (subject_bytes(&key.subject()), key.within());
    writes.extend(changes.into_iter().map(|change| match change {
        Change::Put { key, bytes: value } => {
            let (subject, key) = place(&key);
            Write::Put { subject, key, value }
        }
        Change::Delete { key } => {
            let (subject, key) = place(&key);
            Write::Delete { subject, key }
        }
    }));
}

fn measure(world: &World, dir: &Path, authors: usize, entries: usize) -> anyhow::Result<()> {
    println!("before: {}", resident()?);
    let started = Instant::now();
    let (store, report) = Store::open(dir, options())?;
    println!("store opened in {:?} ({:?}), {}", started.elapsed(), report.index, resident()?);
    let banks = store.values(&subject_bytes(&Subject::Bank(BANK)))?;
    let banks = banks.into_iter().map(|(_, item)| item).collect();
    let mut opening = Opening::new(&Config::default(), world.network.clone(), None, banks);
    store.for_each_of(STATE, |key, value| opening.state(key, value))?;
    anyhow::ensure!(opening.is_complete(), "summaries are missing");
    let shelf = OnDisk(store);
    let mut engine = opening.finish(Config::default(), None, &shelf)?;
    println!("engine opened after {:?}, {}", started.elapsed(), resident()?);
    let status = engine.status();
    println!("{} authors, {} entries, digest {}", status.authors, status.entries, status.digest);

    let count = authors.min(2_000);
    let grouped: Vec<(usize, usize)> = (0..count).map(|at| (at, 5)).collect();
    let scattered: Vec<(usize, usize)> =
        (0..count * 5).map(|at| (count + at * 7_919 % (authors - count), 1)).collect();
    for (name, plan) in [("five of each author", grouped), ("one each, scattered", scattered)] {
        let mut fresh = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        for (number, new) in plan {
            if !seen.insert(number) {
                continue;
            }
            let (mut log, key) = world.log(number, entries)?;
            for _ in 0..new {
                fresh.push(Item::Entry(world.pay(&mut log, &key)?.into_inner()).encode());
            }
        }
        let network = world.network.id();
        let started = Instant::now();
        for bytes in &fresh {
            let Item::Entry(entry) = Item::decode(&network, bytes)? else { continue };
            entry.verify()?;
        }
        let verified = started.elapsed();
        let (mut applied, mut stored) = (Duration::ZERO, Duration::ZERO);
        for items in fresh.chunks(BATCH) {
            let command = Command::Publish { items: items.to_vec() };
            let started = Instant::now();
            let input = Input::Command { id: 1, command };
            let outputs = engine.handle(1_700_000_200_000, [1; 32], input, &shelf);
            applied += started.elapsed();
            let started = Instant::now();
            for output in outputs {
                match output {
                    Output::Persist { number, writes } => {
                        let writes: Vec<Write> = writes.into_iter().map(write).collect();
                        shelf.0.commit(&writes)?;
                        let input = Input::Persisted { number };
                        let _ = engine.handle(1_700_000_200_000, [1; 32], input, &shelf);
                    }
                    Output::Answer { answer: Answer::Publish(taken), .. } => {
                        anyhow::ensure!(taken.iter().all(|one| *one == Published::Taken));
                    }
                    _ => {}
                }
            }
            stored += started.elapsed();
        }
        let rate = |time: Duration| fresh.len() as u128 * 1_000_000 / time.as_micros().max(1);
        println!(
            "{name}: {} entries, verified {}/s, verified and applied {}/s, stored {}/s, {}",
            fresh.len(),
            rate(verified),
            rate(applied),
            rate(stored),
            resident()?
        );
    }
    Ok(())
}

fn write(write: hundi_engine::Write) -> Write {
    let place = |key: &Key| (subject_bytes(&key.subject()), key.within());
    match write {
        hundi_engine::Write::Item { key, bytes: value } => {
            let (subject, key) = place(&key);
            Write::Put { subject, key, value }
        }
        hundi_engine::Write::DeleteItem { key } => {
            let (subject, key) = place(&key);
            Write::Delete { subject, key }
        }
        hundi_engine::Write::State { key, bytes: value } => {
            Write::Put { subject: STATE.to_vec(), key, value }
        }
        hundi_engine::Write::DeleteState { key } => Write::Delete { subject: STATE.to_vec(), key },
    }
}

fn resident() -> anyhow::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines =
        status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    Ok(lines.map(|line| line.replace(char::is_whitespace, "")).collect::<Vec<_>>().join(" "))
}
