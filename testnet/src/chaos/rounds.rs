//! The rough treatment: a program is killed, stopped, its disk is full, or the power goes under
//! everybody. After each, what was acknowledged is looked for.

use super::instant::{Instant, segment_bytes};
use super::load::{HandedIn, Paid, Signals};
use super::memory::{Memory, is_at_bank};
use super::report::Facts;
use super::town::{DEVICES, Town, Victim};
use crate::demo::world::World;
use crate::process::{LOOK_EVERY, check_interrupted, tail};
use anyhow::{Context, Result, bail};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant as Clock};

/// How long a victim may go without being asked for anything. Only then is there something wrong
/// with the load.
const ASKED_DEADLINE: Duration = Duration::from_secs(60);
/// How long an aimed kill waits for the store to grow after the victim was asked.
const GROWTH_DEADLINE: Duration = Duration::from_millis(200);
/// Of ten kills, those that are aimed at the moment after the store has grown.
const AIMED_OF_TEN: u64 = 7;
/// An aimed kill falls so long after the growth, at most, microseconds.
const AIMED_SPREAD_US: u64 = 300;
/// Another kill falls so long after the victim was asked for something, at most, microseconds.
const SPREAD_US: u64 = 60_000;
/// The longest stop, milliseconds.
const STOP_MS: u64 = 700;
/// One of so many kills is followed by a look at the directory before the program starts again.
const OFFLINE_EVERY: u64 = 3;
/// Bytes that the full disk has left: some batches still fit.
const LEFT_BYTES: u64 = 512 << 10;
/// How long a disk may take to be full.
const FULL_DEADLINE: Duration = Duration::from_secs(60);
/// As the programs have it when the machine lacks something.
const EXIT_LACKS: i32 = 3;

/// A town with what its people were told.
pub(super) struct Chaos {
    pub(super) town: Town,
    pub(super) memory: Memory,
    pub(super) facts: Facts,
    pub(super) dice: ChaCha8Rng,
}

impl Chaos {
    fn below(&mut self, bound: u64) -> u64 {
        self.dice.next_u64() % bound
    }

    /// A device, or the gateway as often as two devices.
    fn draw_victim(&mut self) -> Victim {
        let drawn = self.below(DEVICES as u64 + 2);
        usize::try_from(drawn)
            .ok()
            .filter(|it| *it < DEVICES)
            .map_or(Victim::Gateway, Victim::Device)
    }

    /// Kills somebody under load, at an instant that is random, or random after its store has
    /// grown; and says where it fell.
    pub(super) fn kill(&mut self) -> Result<()> {
        let victim = self.draw_victim();
        let aimed = self.below(10) < AIMED_OF_TEN;
        let wait =
            Duration::from_micros(self.below(if aimed { AIMED_SPREAD_US } else { SPREAD_US }));
        let store = self.town.store(victim);
        let (struck, paid, handed_in) =
            self.town.under_load(Some(victim), |world, _, signals| {
                wait_until_asked(signals)?;
                if aimed {
                    wait_for_growth(&store);
                }
                std::thread::sleep(wait);
                let struck = Clock::now();
                kill_one(world, victim)?;
                Ok(struck)
            })?;
        self.facts.kills += 1;
        self.memory.take(&paid, &handed_in);
        if self.facts.kills.is_multiple_of(OFFLINE_EVERY) {
            self.town.look_offline(victim, &mut self.facts)?;
        }
        self.reopen(&[victim])?;
        let sent = match victim {
            Victim::Device(device) => paid[device].unanswered,
            Victim::Gateway => handed_in.unanswered.as_ref().map(|(sent, _)| *sent),
        };
        // What was sent to a dead program was not cut off by its death.
        let sent = sent.filter(|sent| *sent < struck);
        let stored = self.look_at(victim, &handed_in)?;
        let instant = match (sent, stored) {
            (None, _) => Instant::Idle,
            (Some(_), false) => Instant::BeforePersist,
            (Some(_), true) => Instant::BeforeAcknowledgement,
        };
        let since = sent.map_or(Duration::ZERO, |sent| struck.duration_since(sent));
        self.facts.histogram.count(instant, since);
        Ok(())
    }

    /// Stops somebody under load with SIGSTOP and has it go on: nothing is lost, and what waited is
    /// answered.
    pub(super) fn stop(&mut self) -> Result<()> {
        let victim = self.draw_victim();
        let stopped = Duration::from_millis(1 + self.below(STOP_MS));
        let (_, paid, handed_in) = self.town.under_load(Some(victim), |world, _, signals| {
            wait_until_asked(signals)?;
            let process = match victim {
                Victim::Device(device) => {
                    world.devices[device].process().context("a device that is off")?
                }
                Victim::Gateway => world.gateway.process(),
            };
            process.suspend()?;
            std::thread::sleep(stopped);
            process.resume()
        })?;
        self.facts.stops += 1;
        self.memory.take(&paid, &handed_in);
        for (device, one) in paid.iter().enumerate() {
            let answered = one.unanswered.is_none();
            self.facts.expect_kept(answered, &format!("an answer of device {device}, which runs"));
        }
        let answered = handed_in.unanswered.is_none();
        self.facts.expect_kept(answered, "an answer of the gateway, which runs");
        self.look_at(victim, &handed_in)?;
        Ok(())
    }

    /// Cuts the power under everybody, under load.
    pub(super) fn power_cut(&mut self) -> Result<()> {
        let Some(disk) = &self.town.disk else { return Ok(()) };
        let cutter = disk.cutter()?;
        let wait = Duration::from_micros(self.below(SPREAD_US));
        let (_, paid, handed_in) = self.town.under_load(None, |world, _, signals| {
            wait_until_asked(signals)?;
            std::thread::sleep(wait);
            cutter.cut()?;
            Town::everybody().try_for_each(|victim| kill_one(world, victim))
        })?;
        if let Some(disk) = &mut self.town.disk {
            disk.reboot()?;
        }
        self.facts.power_cuts += 1;
        self.all_again(&paid, &handed_in)
    }

    /// Fills the disk under everybody. A program that cannot write any more must end and say so;
    /// when there is room again everybody starts, with everything acknowledged.
    pub(super) fn fill_disk(&mut self) -> Result<()> {
        if self.town.disk.is_none() {
            return Ok(());
        }
        let (ended, paid, handed_in) = self.town.under_load(None, |world, disk, signals| {
            wait_until_asked(signals)?;
            disk.context("a disk")?.fill(LEFT_BYTES)?;
            let ended = wait_for_ends(world)?;
            Town::everybody().try_for_each(|victim| kill_one(world, victim))?;
            Ok(ended)
        })?;
        for (who, code, said) in &ended {
            let named = *code == Some(EXIT_LACKS) && said.contains("no space left");
            self.facts.disk_full += 1;
            if !named {
                self.facts.disk_full_unnamed += 1;
                self.facts.fail(format!("{who}, on a full disk, ended with {code:?}: {said}"));
            }
        }
        if let Some(disk) = &self.town.disk {
            disk.make_room()?;
        }
        self.all_again(&paid, &handed_in)
    }

    /// Everybody was down: all start again, and all are looked at.
    fn all_again(&mut self, paid: &[Paid], handed_in: &HandedIn) -> Result<()> {
        self.memory.take(paid, handed_in);
        let everybody: Vec<Victim> = Town::everybody().collect();
        self.reopen(&everybody)?;
        everybody.iter().try_for_each(|victim| self.look_at(*victim, handed_in).map(drop))
    }

    fn reopen(&mut self, victims: &[Victim]) -> Result<()> {
        check_interrupted()?;
        for victim in victims {
            if let Err(error) = self.town.start_again(*victim) {
                self.facts.unopened += 1;
                self.facts.fail(format!("{victim:?} does not start again: {error:#}"));
                return Err(error);
            }
        }
        self.town.gather()
    }

    /// Looks for everything that a victim acknowledged. Returns whether what it was asked last and
    /// did not answer is in its store.
    fn look_at(&mut self, victim: Victim, handed_in: &HandedIn) -> Result<bool> {
        let Self { town, memory, facts, .. } = self;
        match victim {
            Victim::Device(device) => Ok(memory.check_device(&town.world, device, facts)? > 0),
            Victim::Gateway => {
                memory.check_gateway(&town.world, handed_in.acknowledged.len(), facts)?;
                let Some((_, batch)) = &handed_in.unanswered else { return Ok(false) };
                let at_bank: Vec<bool> =
                    batch.iter().map(|it| is_at_bank(&town.world, it)).collect::<Result<_>>()?;
                let whole = at_bank.iter().all(|it| *it == at_bank[0]);
                facts.expect_no_contradiction(whole, "a batch is there in part");
                Ok(at_bank[0])
            }
        }
    }
}

fn wait_until_asked(signals: &Signals) -> Result<()> {
    let deadline = Clock::now() + ASKED_DEADLINE;
    while !signals.asked.load(Ordering::Acquire) {
        check_interrupted()?;
        if Clock::now() > deadline {
            bail!("a program was not asked for anything in {} s", ASKED_DEADLINE.as_secs());
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

/// Waits until a batch has been written to the store's segment, or not: the verdict on where the
/// kill fell does not depend on it.
fn wait_for_growth(store: &Path) {
    let (before, deadline) = (segment_bytes(store), Clock::now() + GROWTH_DEADLINE);
    while segment_bytes(store) == before && Clock::now() < deadline {
        std::thread::yield_now();
    }
}

fn kill_one(world: &mut World, victim: Victim) -> Result<()> {
    match victim {
        Victim::Device(device) => world.kill(device),
        Victim::Gateway => world.gateway.process().end(),
    }
}

/// Who ended of itself, with which status, and the end of its log.
type Ended = (String, Option<i32>, String);

/// Waits until a program has ended, and a little longer for others.
fn wait_for_ends(world: &mut World) -> Result<Vec<Ended>> {
    let deadline = Clock::now() + FULL_DEADLINE;
    while ended(world)?.is_empty() {
        check_interrupted()?;
        if Clock::now() > deadline {
            bail!("the disk is full, and no program has met it in {} s", FULL_DEADLINE.as_secs());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    std::thread::sleep(LOOK_EVERY * 20);
    ended(world)
}

fn ended(world: &mut World) -> Result<Vec<Ended>> {
    let devices = world.devices.iter_mut().filter_map(|device| {
        let name = device.name.clone();
        device.process().map(|process| (name, process))
    });
    let everybody = devices.collect::<Vec<_>>();
    let mut found = Vec::new();
    for (name, process) in everybody {
        if let Some(status) = process.ended()? {
            found.push((name, status.code(), tail(process.log())));
        }
    }
    let gateway = world.gateway.process();
    if let Some(status) = gateway.ended()? {
        found.push(("the gateway".to_owned(), status.code(), tail(gateway.log())));
    }
    Ok(found)
}
