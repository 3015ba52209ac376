//! Where the time of a payment goes: the bank and its store driven by one thread, stage after
//! stage, as the bank's thread drives them, with the parts of deciding measured beside it on the same
//! payments.

use super::world::{World, keys, now, sealing_secret};
use crate::bench::measure::thread_ns;
use crate::process::check_interrupted;
use anyhow::{Context, Result, bail};
use hundi_gateway::journal_store::{JournalStore, Unit};
use hundi_journal::bank::Bank;
use hundi_journal::input::Input;
use hundi_journal::limits::SHARED_SECRETS_MAX;
use hundi_journal::output::Outputs;
use hundi_ledger::id::PublicKey;
use hundi_ledger::record::entry::Entry;
use hundi_ledger::record::item::Item;
use hundi_ledger::seal::shared::SharedSecrets;
use hundi_ledger::seal::{Shared, content_key, open};
use hundi_ledger::sign::Verifier;
use std::collections::{BTreeMap, btree_map};
use std::path::Path;
use std::time::Instant;

/// Nanoseconds of every stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    /// Decoding an item and hashing its bytes.
    pub decode: u64,
    /// Verifying the batch, on one core.
    pub verify: u64,
    /// Agreeing on a secret with every author that no batch before had.
    pub agree: u64,
    /// Opening bodies.
    pub open: u64,
    /// Drafting, signing and recording checkpoints, once for each author after all batches.
    pub sign: u64,
    /// The rest of deciding: rules, books, the journal's chain.
    pub decide: u64,
    /// Encoding events to see how large they are, and copying them.
    pub encode: u64,
    /// Processor time of the store.
    pub store: u64,
    /// Waiting for the store's disk.
    pub wait: u64,
}

impl Stages {
    /// Every stage with its name.
    pub fn named(&self) -> [(&'static str, u64); 9] {
        [
            ("decode", self.decode),
            ("verify", self.verify),
            ("agree", self.agree),
            ("open", self.open),
            ("sign", self.sign),
            ("decide", self.decide),
            ("encode", self.encode),
            ("store", self.store),
            ("wait", self.wait),
        ]
    }

    /// All stages together.
    pub fn total(&self) -> u64 {
        self.named().iter().map(|(_, ns)| ns).sum()
    }
}

/// The profile of one size of batches.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Payments of a batch.
    pub batch: usize,
    /// Payments in all.
    pub payments: u64,
    /// Checkpoints that were signed for them.
    pub checkpoints: u64,
    /// All batches.
    pub stages: Stages,
}

/// Profiles so many batches of that size.
///
/// # Errors
/// When the store fails, or the bank does not settle.
pub(super) fn profile(world: &World, dir: &Path, batch: usize, batches: usize) -> Result<Profile> {
    let dir = tempfile::tempdir_in(dir).context("cannot make a directory for the store")?;
    let (mut bank, journal) = world.start(&dir.path().join("journal"))?;
    let mut profile = Profile { batch, payments: 0, checkpoints: 0, stages: Stages::default() };
    let (mut shared, keys) = (SharedSecrets::new(SHARED_SECRETS_MAX), keys());
    for items in world.items.chunks_exact(batch).take(batches) {
        check_interrupted()?;
        let parts = parts(world, &bank, &mut shared, items)?;
        let input = Input::Submit { items: items.to_vec() };
        let (decide, outputs) = timed(|| bank.decide(now(), [5; 32], input, &keys));
        let stages = &mut profile.stages;
        append(&journal, outputs?, stages)?;
        let known = parts.decode + parts.verify + parts.agree + parts.open;
        stages.decode += parts.decode;
        stages.verify += parts.verify;
        stages.agree += parts.agree;
        stages.open += parts.open;
        stages.decide += decide.saturating_sub(known);
        profile.payments += batch as u64;
    }
    let (sign, outputs) = timed(|| bank.sign_checkpoints(now(), [5; 32], &keys));
    profile.stages.sign = sign;
    profile.checkpoints = outputs.records.len() as u64;
    append(&journal, outputs, &mut profile.stages)?;
    Ok(profile)
}

/// The parts of deciding that can be told apart from outside.
struct Parts {
    decode: u64,
    verify: u64,
    agree: u64,
    open: u64,
}

/// `known` remembers what the bank remembers, so that both agree with the same authors.
fn parts(
    world: &World,
    bank: &Bank,
    known: &mut SharedSecrets,
    items: &[Vec<u8>],
) -> Result<Parts> {
    let network = world.network().id();
    let (decode, entries) = timed(|| {
        let decode = |bytes: &Vec<u8>| match Item::decode(&network, bytes) {
            Ok(Item::Entry(entry)) => {
                std::hint::black_box(blake3::hash(bytes));
                Ok(entry)
            }
            _ => bail!("a payment is an entry"),
        };
        items.iter().map(decode).collect::<Result<Vec<Entry>>>()
    });
    let mut entries = entries?;
    let (verify, verified) = timed(|| {
        entries.sort_by_key(|entry| entry.header().author);
        Entry::verify_all(entries, [9; 32], &mut Verifier::default())
    });
    let Ok(verified) = verified else { bail!("a signature of the bench does not hold") };
    let own = sealing_secret();
    let (agree, shared) = timed(|| -> Result<BTreeMap<PublicKey, Shared>> {
        let mut shared = BTreeMap::new();
        for entry in &verified {
            let key = entry.header().author.key;
            if let btree_map::Entry::Vacant(place) = shared.entry(key) {
                let author = bank.authors().get(&key).context("an author that is enrolled")?;
                place.insert(known.agree(&own, &author.sealing)?);
            }
        }
        Ok(shared)
    });
    let shared = shared?;
    let (open, opened) = timed(|| {
        let opens = |entry: &Entry| {
            let header = entry.header();
            let Some(shared) = shared.get(&header.author.key) else { return false };
            let key = content_key(&network, shared, &header.head());
            open(&network, header, entry.body(), &key).is_ok()
        };
        verified.iter().all(|entry| opens(entry))
    });
    if !opened {
        bail!("a payment does not open");
    }
    Ok(Parts { decode, verify, agree, open })
}

/// Makes durable what the bank did, as its thread does.
fn append(journal: &JournalStore, outputs: Outputs, stages: &mut Stages) -> Result<()> {
    let (encode, unit) = timed(|| {
        let bytes: usize = outputs.events.iter().map(|event| event.encode().len()).sum();
        std::hint::black_box(bytes);
        Unit { events: outputs.events.clone(), records: outputs.records, accounts: Vec::new() }
    });
    let from = Instant::now();
    let (store, appended) = timed(|| journal.append(&unit));
    appended?;
    let wall = u64::try_from(from.elapsed().as_nanos())?;
    stages.encode += encode;
    stages.store += store;
    stages.wait += wall.saturating_sub(store);
    Ok(())
}

/// The processor time of some work on this thread, nanoseconds, and what it came to.
fn timed<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let from = thread_ns();
    let done = work();
    (thread_ns().saturating_sub(from), done)
}
