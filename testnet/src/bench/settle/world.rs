//! The bank that the bench measures: enrolled and funded authors with real keys, and really signed
//! and sealed payments of theirs, all made before any clock starts. Payers are drawn evenly; a few
//! payees are paid most (Zipf with exponent 1, as people shop). All of it follows from a seed.
//!
//! What is measured starts from a copy of the enrolled bank and its store, so that every row
//! settles the same payments from the same books.

use crate::demo::world::copy_dir;
use crate::phone::{BANK, Payee, Phone};
use crate::process::check_interrupted;
use anyhow::{Context, Result, anyhow, bail};
use hundi_gateway::journal_store::{JournalStore, Unit};
use hundi_journal::account::CustomerId;
use hundi_journal::bank::{Bank, Profile};
use hundi_journal::input::{GrantTerms, Input, Keys, Operation, OperationKind};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{Hash, PublicKey, Signature};
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::record::certificate::{Certificate, ROLE_ISSUE, ROLE_SETTLE};
use hundi_ledger::record::item::Item;
use hundi_ledger::record::network::{Bank as NetworkBank, Definition, Network};
use hundi_ledger::record::{VERSION, sign};
use hundi_ledger::seal::SealingSecret;
use hundi_ledger::sign::SecretKey;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// When the network starts, Unix seconds.
const START: u32 = 1_700_000_000;
/// What every author may promise, minor units: more than it ever does.
pub(super) const LIMIT_MINOR: u64 = 1_000_000_000_000;
/// The largest payment, minor units.
const PAYMENT_MINOR_MAX: u64 = 10_000;
/// Authors that are enrolled in one unit of work.
const ENROLLED_AT_ONCE: usize = 256;
/// The weight of the first payee: the others have an integer part of it.
const ZIPF_SCALE: u64 = 1 << 40;

/// What the author of an entry signed: key, id and signature.
pub(super) type Claim = (PublicKey, Hash, Signature);

/// A bank with its customers, and the payments that it is to settle.
#[derive(Debug)]
pub struct World {
    network: Network,
    bank: Bank,
    books: PathBuf,
    /// The payments as encoded items, in the order in which they are handed in.
    pub items: Arc<Vec<Vec<u8>>>,
    /// What verifies each of them.
    pub claims: Vec<Claim>,
    /// What each of them says.
    pub(super) plan: Vec<Planned>,
    /// The keys of those who pay and are paid.
    pub(super) authors: Vec<PublicKey>,
}

/// One payment that somebody signs; people by their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    /// Who pays.
    pub(super) payer: usize,
    /// Who is paid.
    pub(super) payee: usize,
    /// How much.
    pub(super) minor: u64,
}

/// A payment that somebody has signed, with its place in the plan.
type Placed = (usize, Vec<u8>, Claim);

impl World {
    /// Enrols `authors` at a bank whose store is below `dir`, and signs `payments`. Signing uses
    /// every core.
    ///
    /// # Errors
    /// When the directory cannot be used, or a record breaks a rule of the ledger.
    pub fn new(dir: &Path, seed: u64, authors: usize, payments: usize) -> Result<Self> {
        let network = network()?;
        let sealing = sealing_secret().public();
        let phone = |at: usize| Phone::new(network.id(), sealing, bytes_of(seed, at as u64));
        let phones: Vec<Phone> = (0..authors).map(phone).collect();
        let books = dir.join("enrolled");
        let bank = enrol(&network, &books, &phones)?;
        let plan = plan(seed, authors, payments);
        let authors = phones.iter().map(|phone| phone.author.key).collect();
        let (items, claims) = sign_all(&network, phones, &plan)?;
        Ok(Self { network, bank, books, items: Arc::new(items), claims, plan, authors })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The bank right after everybody was enrolled, and its store, in `dir`, which does not exist
    /// yet.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn start(&self, dir: &Path) -> Result<(Bank, JournalStore)> {
        copy_dir(&self.books, dir)?;
        let (journal, events) = JournalStore::open(dir, self.network.id())?;
        if events.len() as u64 != self.bank.events() {
            bail!("the copied store has {} events", events.len());
        }
        Ok((self.bank.clone(), journal))
    }
}

/// The bank's secrets.
pub(super) fn keys() -> Keys {
    Keys {
        issue: SecretKey::from_seed(&[1; 32]),
        issue_certificate: 1,
        settle: SecretKey::from_seed(&[2; 32]),
        settle_certificate: 2,
        sealing: vec![sealing_secret()],
    }
}

/// The bank's sealing secret.
pub(super) fn sealing_secret() -> SealingSecret {
    SealingSecret::from_bytes(&[3; 32])
}

fn root() -> SecretKey {
    SecretKey::from_seed(&[4; 32])
}

fn network() -> Result<Network> {
    let bank = NetworkBank { number: BANK, root: root().public(), name: Text::new("bank")? };
    Ok(Network::new(Definition {
        version: VERSION,
        name: Text::new("settle")?,
        start: START,
        epoch_seconds: 60,
        banks: List::new(vec![bank])?,
    })?)
}

/// Bytes that follow from a seed and a number, and look random.
fn bytes_of(seed: u64, number: u64) -> [u8; 32] {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    dice.set_stream(number + 1);
    let mut bytes = [0; 32];
    dice.fill_bytes(&mut bytes);
    bytes
}

/// Gives every phone a customer, money, and a grant of all of it.
fn enrol(network: &Network, dir: &Path, phones: &[Phone]) -> Result<Bank> {
    let mut bank = Bank::new(network.clone(), BANK, Profile::default()).context("a bank")?;
    let (journal, _) = JournalStore::open(dir, network.id())?;
    let keys = keys();
    let mut founding = Vec::new();
    for (number, key, roles) in
        [(1, keys.issue.public(), ROLE_ISSUE), (2, keys.settle.public(), ROLE_SETTLE)]
    {
        let honours = List::default();
        let record = Certificate { version: VERSION, bank: BANK, number, key, roles, honours };
        let record = sign(&network.id(), record, &root())?.into_inner().encode();
        founding.push(Input::InstallCertificate { record });
    }
    append(&mut bank, &journal, &keys, founding)?;
    for (first, phones) in (0..).step_by(ENROLLED_AT_ONCE).zip(phones.chunks(ENROLLED_AT_ONCE)) {
        check_interrupted()?;
        let mut inputs = Vec::with_capacity(4 * phones.len());
        for (number, phone) in (first..).zip(phones) {
            inputs.extend(joining(number, phone)?);
        }
        append(&mut bank, &journal, &keys, inputs)?;
    }
    Ok(bank)
}

/// What makes a phone an author that can pay.
fn joining(number: u128, phone: &Phone) -> Result<[Input; 4]> {
    let customer = CustomerId(number.to_be_bytes());
    let currency = Currency::new("INR")?;
    let amount = Amount::new(LIMIT_MINOR)?;
    let (key, sealing) = (phone.author.key, phone.sealing_key());
    let kind = OperationKind::Fund(customer);
    let reference = number.to_le_bytes();
    Ok([
        Input::OpenCustomer { customer },
        Input::Enrol { customer, key, sealing, currency, display_name: None },
        Input::Operate(Operation { kind, currency, amount, reference }),
        Input::IssueGrant { author: key, terms: GrantTerms::prefunded(amount) },
    ])
}

/// Has inputs decided and makes them durable in one unit of work, as the bank's thread does.
fn append(bank: &mut Bank, journal: &JournalStore, keys: &Keys, inputs: Vec<Input>) -> Result<()> {
    let mut unit = Unit::default();
    for input in inputs {
        let outputs = bank.handle(now(), bytes_of(0, bank.events()), input, keys)?;
        unit.events.extend(outputs.events);
        unit.records.extend(outputs.records);
    }
    Ok(journal.append(&unit)?)
}

/// Unix seconds by the machine's clock: the bank's thread reads the same.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Who pays whom how much, in order.
fn plan(seed: u64, authors: usize, payments: usize) -> Vec<Planned> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let payees = Zipf::new(authors);
    let mut draw = |below: u64| dice.next_u64() % below.max(1);
    let planned = |_| {
        let payer = usize::try_from(draw(authors as u64)).unwrap_or(0);
        let payee = payees.at(draw(payees.total()));
        // Nobody pays itself: its neighbour is paid instead.
        let payee = if payee == payer { (payee + 1) % authors } else { payee };
        Planned { payer, payee, minor: 1 + draw(PAYMENT_MINOR_MAX) }
    };
    (0..payments).map(planned).collect()
}

/// Numbers of which the k-th, from 1 on, is drawn k times as rarely as the first.
struct Zipf {
    /// The sums of the weights so far.
    sums: Vec<u64>,
}

impl Zipf {
    fn new(count: usize) -> Self {
        let mut sum = 0;
        let sums = (1..=count as u64).map(|rank| {
            sum += ZIPF_SCALE / rank;
            sum
        });
        Self { sums: sums.collect() }
    }

    fn total(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    /// The number, from 0 on, on which a draw below the total falls.
    fn at(&self, drawn: u64) -> usize {
        self.sums.partition_point(|sum| *sum <= drawn)
    }
}

/// Signs the plan; each core has the phones of its own, so that logs stay logs.
fn sign_all(
    network: &Network,
    phones: Vec<Phone>,
    plan: &[Planned],
) -> Result<(Vec<Vec<u8>>, Vec<Claim>)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let payees: Vec<Payee> = phones.iter().map(Phone::payee).collect();
    let mut shares: Vec<Vec<(usize, Phone)>> = (0..cores).map(|_| Vec::new()).collect();
    for (at, phone) in phones.into_iter().enumerate() {
        shares[at % cores].push((at, phone));
    }
    let payees = &payees;
    let signed: Result<Vec<Vec<Placed>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || sign_share(network, share, payees, plan)))
            .collect();
        let died = |_| anyhow!("a signing thread died");
        workers.into_iter().map(|worker| worker.join().map_err(died)?).collect()
    });
    let mut signed: Vec<Placed> = signed?.into_iter().flatten().collect();
    signed.sort_unstable_by_key(|(at, ..)| *at);
    Ok(signed.into_iter().map(|(_, item, claim)| (item, claim)).unzip())
}

fn sign_share(
    network: &Network,
    mut share: Vec<(usize, Phone)>,
    payees: &[Payee],
    plan: &[Planned],
) -> Result<Vec<Placed>> {
    let mut signed = Vec::new();
    for (at, planned) in plan.iter().enumerate() {
        // The numbers of a share are in order.
        let Ok(place) = share.binary_search_by_key(&planned.payer, |(number, _)| *number) else {
            continue;
        };
        check_interrupted()?;
        let phone = &mut share[place].1;
        let paid = phone.pay_to(&payees[planned.payee], planned.minor, START)?;
        let Item::Entry(entry) = Item::decode(&network.id(), &paid.item)? else {
            bail!("a payment is an entry");
        };
        signed.push((at, paid.item, (phone.author.key, paid.id, entry.signature())));
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_first_payee_is_paid_most() {
        let zipf = Zipf::new(4);
        let quarter = ZIPF_SCALE / 12;
        // 12 : 6 : 4 : 3 twelfths.
        assert_eq!(
            [0, 11, 12, 17, 18, 21, 22, 24].map(|at| zipf.at(at * quarter + 9)),
            [0, 0, 1, 1, 2, 2, 3, 3]
        );
        assert_eq!(zipf.at(zipf.total() - 1), 3);
    }

    #[test]
    fn one_seed_makes_one_world_and_nobody_pays_itself() {
        let dir = tempfile::tempdir().unwrap();
        let world = |name: &str, seed| World::new(&dir.path().join(name), seed, 5, 40).unwrap();
        let (one, same, other) = (world("a", 7), world("b", 7), world("c", 8));
        assert_eq!(one.items, same.items);
        assert_ne!(one.items, other.items);
        assert!(plan(7, 5, 1_000).iter().all(|it| it.payer != it.payee));
        let ids: BTreeSet<Hash> = one.claims.iter().map(|(_, id, _)| *id).collect();
        assert_eq!(ids.len(), 40);
    }
}
