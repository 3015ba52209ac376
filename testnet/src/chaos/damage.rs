//! Damaged stores: files of a copy are flipped, zeroed, cut or removed while its program is off.
//! Then the program must either refuse to start and name the damage, or start with everything that
//! was acknowledged. It must not panic, and it must not lose anything in silence.

use super::report::Facts;
use super::town::{DEVICES, Town};
use crate::answers::{Audit, History};
use crate::demo::Progress;
use crate::demo::world::{copy_dir, run_args};
use crate::phone::Signed;
use crate::process::{Process, Starting, check_interrupted};
use anyhow::{Context, Result, ensure};
use hundi_node::store::{Store, StoreOptions};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are zeroed: a sector that the drive gave up.
const SECTOR_BYTES: u64 = 512;
/// Entries that are looked for in a damaged bank that starts; the audit counts all of them.
const ENTRIES_LOOKED_AT: usize = 64;

/// How a program ends that refuses: something is lacking, or something is not as it should be.
const STATUSES: [&str; 2] = ["ended with exit status: 1:", "ended with exit status: 3:"];

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip,
    Zero,
    Truncate,
    Empty,
    Remove,
}

const DAMAGES: [Damage; 5] =
    [Damage::Flip, Damage::Zero, Damage::Truncate, Damage::Empty, Damage::Remove];

/// What became of a program with a damaged store.
#[derive(Clone, Debug)]
enum Verdict {
    /// It did not start, and named the damage.
    Refused { said: String, salvaged: bool },
    /// It started, with everything acknowledged.
    Recovered,
    /// It started, without something acknowledged.
    Lost(String),
    /// Neither.
    EndedBadly(String),
}

impl Verdict {
    fn count(self, what: &str, facts: &mut Facts) {
        match self {
            Self::Refused { salvaged, .. } => {
                facts.refused += 1;
                facts.salvaged += u64::from(salvaged);
            }
            Self::Recovered => facts.recovered += 1,
            Self::Lost(_) => facts.expect_kept(false, &format!("after {what}: {self}")),
            Self::EndedBadly(_) => {
                facts.ended_badly += 1;
                facts.fail(format!("after {what}: {self}"));
            }
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { said, salvaged: true } => {
                write!(out, "refused, can be salvaged: {said}")
            }
            Self::Refused { said, salvaged: false } => {
                write!(out, "refused, nothing to salvage: {said}")
            }
            Self::Recovered => write!(out, "recovered"),
            Self::Lost(said) => write!(out, "LOST: {said}"),
            Self::EndedBadly(said) => write!(out, "ENDED BADLY: {said}"),
        }
    }
}

/// What must be in the directories that are copied and damaged.
#[derive(Debug)]
pub(super) struct Homes {
    /// Each with the payments that its history must have; the gateway's has none.
    homes: Vec<(PathBuf, BTreeSet<String>)>,
    programs: (PathBuf, PathBuf),
    entries: Vec<Signed>,
    settled: u64,
}

impl Homes {
    /// Of a town that is about to stop, with what its people were told.
    pub(super) fn new(town: &Town, entries: &[Signed]) -> Result<Self> {
        let mut homes = Vec::new();
        for device in &town.world.devices {
            let rows = device.history()?.payments.into_iter();
            homes.push((device.dir.clone(), rows.map(|row| row.id).collect()));
        }
        homes.push((town.world.gateway.dir.clone(), BTreeSet::new()));
        let settled = town.world.gateway.intake()?.settled;
        let entries = entries.iter().rev().take(ENTRIES_LOOKED_AT).cloned().collect();
        Ok(Self { homes, programs: town.world.programs(), entries, settled })
    }

    /// Damages so many copies, one after the other, in `dir`.
    pub(super) fn damage(
        &self,
        count: u64,
        dir: &Path,
        dice: &mut ChaCha8Rng,
        facts: &mut Facts,
        progress: &Progress,
    ) -> Result<()> {
        for number in 0..count {
            check_interrupted()?;
            // The gateway every other time: it has two stores.
            let at = if number % 2 == 0 { DEVICES } else { below(dice, DEVICES as u64) as usize };
            let copy = dir.join(format!("damaged-{number}"));
            copy_dir(&self.homes[at].0, &copy)?;
            let (store, what) = damage_one(&copy, dice)?;
            facts.corruptions += 1;
            let verdict = self.judge(at, &copy, &store, facts)?;
            progress.say(&format!("{what}: {verdict}"));
            verdict.count(&what, facts);
            fs::remove_dir_all(&copy)
                .with_context(|| format!("cannot remove {}", copy.display()))?;
        }
        Ok(())
    }

    /// Starts the program on a damaged copy, and says what became of it.
    fn judge(&self, at: usize, copy: &Path, store: &Path, facts: &mut Facts) -> Result<Verdict> {
        let is_gateway = at == DEVICES;
        let program = if is_gateway { &self.programs.1 } else { &self.programs.0 };
        let log = copy.join("log");
        let started = Starting::begin(program, copy, &log, &run_args(None))?.finish();
        let whole = match &started {
            Ok(process) if is_gateway => self.bank_is_whole(process),
            Ok(process) => is_whole(process, &self.homes[at].1),
            Err(_) => Ok(()),
        };
        let said = fs::read_to_string(&log).unwrap_or_default();
        let panicked = said.contains("panicked at");
        Ok(match (started, whole) {
            (Ok(_), Ok(())) => {
                facts.panics_caught += u64::from(panicked);
                Verdict::Recovered
            }
            (Ok(_), Err(error)) => Verdict::Lost(format!("{error:#}")),
            (Err(error), _) => {
                let error = format!("{error:#}");
                let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
                // It ended of itself, with the status of a lack or a refusal, and named the file.
                let in_order = STATUSES.iter().any(|status| error.contains(status));
                let named = last.contains(&store.display().to_string());
                facts.panics += u64::from(panicked);
                if in_order && named && !panicked {
                    Verdict::Refused { said: last.to_owned(), salvaged: is_salvaged(store) }
                } else {
                    Verdict::EndedBadly(error)
                }
            }
        })
    }

    /// Everything that the bank has settled is settled, and its audit holds.
    fn bank_is_whole(&self, process: &Process) -> Result<()> {
        let audit: Audit = process.client().get("/v1/audit")?;
        ensure!(audit.ok, "the audit finds {:?}", audit.findings);
        ensure!(audit.settled == self.settled, "{} settled of {}", audit.settled, self.settled);
        for entry in &self.entries {
            let path = format!("/v1/entries/{}", entry.id);
            let found: serde_json::Value = process.client().get(&path)?;
            ensure!(found["outcome"] == "settled", "{} is {found}", entry.id);
        }
        Ok(())
    }
}

/// Everything that the device's history had is there.
fn is_whole(process: &Process, expected: &BTreeSet<String>) -> Result<()> {
    let history: History = process.client().get("/v1/history")?;
    let found: BTreeSet<String> = history.payments.into_iter().map(|row| row.id).collect();
    let missing = expected.difference(&found).count();
    ensure!(missing == 0, "{missing} of {} payments are missing", expected.len());
    Ok(())
}

/// Whether salvage reads what is left of a store.
fn is_salvaged(store: &Path) -> bool {
    Store::open(store, StoreOptions { salvage: true, ..StoreOptions::default() }).is_ok()
}

/// Damages one file of one store below a home. Returns the store and what was done.
fn damage_one(home: &Path, dice: &mut ChaCha8Rng) -> Result<(PathBuf, String)> {
    let stores: Vec<PathBuf> = ["store", "journal"]
        .map(|name| home.join(name))
        .into_iter()
        .filter(|it| it.is_dir())
        .collect();
    let store = &stores[below(dice, stores.len() as u64) as usize];
    let part = if below(dice, 2) == 0 { "segments" } else { "index" };
    let files = files(&store.join(part))?;
    let file = &files[below(dice, files.len() as u64) as usize];
    let damage = DAMAGES[below(dice, DAMAGES.len() as u64) as usize];
    let bytes = file.metadata().with_context(|| format!("{}", file.display()))?.len();
    let at = below(dice, bytes.max(1));
    apply(damage, file, at, bytes).with_context(|| format!("cannot damage {}", file.display()))?;
    let name = file.strip_prefix(home).unwrap_or(file).display();
    Ok((store.clone(), format!("{damage:?} of {name} at {at} of {bytes}")))
}

fn apply(damage: Damage, path: &Path, at: u64, bytes: u64) -> std::io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    match damage {
        Damage::Flip if bytes > 0 => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            file.write_all_at(&[byte[0] ^ 1 << (at % 8)], at)
        }
        Damage::Zero => {
            let end = (at + SECTOR_BYTES).min(bytes);
            file.write_all_at(&vec![0; (end - at.min(end)) as usize], at)
        }
        Damage::Truncate => file.set_len(at),
        Damage::Flip | Damage::Empty => file.set_len(0),
        Damage::Remove => fs::remove_file(path),
    }
}

/// The files below a directory, in an order that is the same in every run.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries =
            fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else {
                found.insert(entry.path(), ());
            }
        }
    }
    Ok(found.into_keys().collect())
}

fn below(dice: &mut ChaCha8Rng, bound: u64) -> u64 {
    dice.next_u64() % bound
}
