//! Faults of machines: what may befall an honest device, its disk, its clock, its radio and its
//! bank, and when. Each kind draws from a stream of its own.

use super::coverage::State;
use super::device::Clock;
use super::disk::Health;
use super::event::Event;
use super::random::{Dice, Purpose};
use super::world::World;
use serde::{Deserialize, Serialize};

/// Milliseconds between two looks for a device in the state that a fault is for, and how many looks
/// it takes at most before it strikes whomever it meets.
const WAIT_MS: u64 = 5_000;
const WAITS_MAX: u32 = 120;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A device goes down between any two of its actions, and starts again.
    Crash,
    /// A device goes down while something is on its way to the disk.
    CrashUnsynced,
    /// A disk takes no writes.
    FullDisk,
    /// A disk takes seconds for a write.
    SlowDisk,
    /// Some reads of a disk fail.
    ReadErrors,
    /// A clock jumps, by days at most.
    ClockJump,
    /// A clock runs fast or slow.
    ClockDrift,
    /// The mesh falls into two halves for hours.
    Partition,
    /// Everybody sleeps for hours or days; only gateways run.
    Night,
    /// All links of a device end at once, in the middle of frames.
    LinksCut,
    /// Nearly nothing gets through anywhere.
    Jam,
    /// A gateway goes down, and with the first of a bank the bank.
    GatewayCrash,
    /// A phone is lost; its person restores a backup, which has no keys, on a new one.
    NewPhone,
    /// A bank is started from an old copy of its books.
    BankRestored,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Crash,
        Self::CrashUnsynced,
        Self::FullDisk,
        Self::SlowDisk,
        Self::ReadErrors,
        Self::ClockJump,
        Self::ClockDrift,
        Self::Partition,
        Self::Night,
        Self::LinksCut,
        Self::Jam,
        Self::GatewayCrash,
        Self::NewPhone,
        Self::BankRestored,
    ];

    /// How often the default mix has it strike at most.
    pub(super) fn most(self) -> u32 {
        match self {
            Self::Crash | Self::CrashUnsynced | Self::LinksCut => 12,
            Self::FullDisk
            | Self::SlowDisk
            | Self::ReadErrors
            | Self::ClockJump
            | Self::ClockDrift => 4,
            Self::GatewayCrash => 4,
            Self::Partition | Self::Jam | Self::NewPhone | Self::BankRestored => 2,
            Self::Night => 1,
        }
    }

    fn number(self) -> u8 {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or_default() as u8
    }

    fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl World {
    /// Says when every fault of the scenario strikes.
    pub(super) fn plan_faults(&mut self) {
        let storm_ms = u64::from(self.scenario.minutes) * 60_000;
        for (kind, times) in self.scenario.faults.clone() {
            let number = kind.number();
            let mut dice = Dice::new(self.seed, Purpose::Fault(u32::from(number)));
            for count in 0..times {
                let at_ms = dice.below(storm_ms);
                self.schedule.after(at_ms, Event::Fault { kind: number, count, waited: 0 });
            }
            self.faults.insert(number, dice);
        }
    }

    pub(super) fn fault_strikes(&mut self, number: u8, count: u32, waited: u32) {
        if !self.is_stormy() {
            return;
        }
        let (Some(kind), Some(mut dice)) = (Kind::of(number), self.faults.remove(&number)) else {
            return;
        };
        let (sites, all) = (self.scenario.gateways, self.nodes.len() as u32);
        let targets = match kind {
            Kind::GatewayCrash => 0..sites,
            // The books stand at the first of a bank's gateways.
            Kind::BankRestored => 0..u32::from(self.scenario.banks),
            Kind::ClockJump | Kind::ClockDrift | Kind::NewPhone => sites..all,
            _ => 0..all,
        };
        let from = dice.between(targets.start.into(), u64::from(targets.end) - 1) as u32;
        // Some states last for milliseconds: each fault waits a while for the one that it is for.
        let wanted = State::ALL[(self.seed.wrapping_add(count.into()) % 6) as usize];
        let wanted = wanted.may_meet(kind).then_some(wanted);
        let met = wanted.and_then(|wanted| {
            let mut nodes = (from..targets.end).chain(targets.start..from);
            nodes.find(|node| self.is_in(*node, wanted))
        });
        if met.is_none() && wanted.is_some() && waited < WAITS_MAX {
            let wait_ms = dice.between(WAIT_MS / 2, WAIT_MS * 3 / 2);
            let waited = waited + 1;
            self.schedule.after(wait_ms, Event::Fault { kind: number, count, waited });
        } else {
            let node = met.unwrap_or(from);
            self.counters.faults += 1;
            self.reached(kind, node);
            self.strike(kind, node, &mut dice);
        }
        self.faults.insert(number, dice);
    }

    fn strike(&mut self, kind: Kind, node: u32, dice: &mut Dice) {
        let minute = 60_000;
        let lasts = |dice: &mut Dice, from, to| dice.between(from * minute, to * minute);
        let passes = match kind {
            Kind::Crash | Kind::GatewayCrash => {
                self.node(node).fuse = Some(dice.below(40) as u32);
                None
            }
            Kind::CrashUnsynced => {
                self.node(node).crash_unsynced = true;
                None
            }
            Kind::FullDisk => {
                self.node(node).device.disk.health = Health::Full;
                Some(lasts(dice, 1, 20))
            }
            Kind::SlowDisk => {
                self.node(node).device.disk.health = Health::Slow;
                Some(lasts(dice, 1, 30))
            }
            Kind::ReadErrors => {
                self.node(node).device.disk.failing_reads.set(dice.between(1, 20) as u32);
                None
            }
            Kind::ClockJump => {
                let days = 3 * 24 * 60 * minute as i64;
                let most = if dice.percent(50) { 5 * minute as i64 } else { days };
                let jump = dice.below(2 * most as u64) as i64 - most;
                self.node(node).device.clock.offset_ms += jump;
                Some(lasts(dice, 5, 120))
            }
            Kind::ClockDrift => {
                self.node(node).device.clock.drift_ppm = dice.below(40_000) as i64 - 20_000;
                None
            }
            Kind::Partition => {
                let sides = self.nodes.iter().map(|_| dice.percent(50)).collect();
                self.air.sides = Some(sides);
                self.cut_across();
                Some(lasts(dice, 10, 240))
            }
            Kind::Night => {
                let night_ms = dice.between(4 * 60 * minute, 60 * 60 * minute);
                self.air.silent_until_ms = self.now_ms() + night_ms;
                (0..self.nodes.len() as u32).for_each(|node| self.cut_links(node));
                None
            }
            Kind::LinksCut => {
                self.cut_links(node);
                None
            }
            Kind::Jam => {
                self.air.jammed = true;
                Some(lasts(dice, 5, 40))
            }
            Kind::NewPhone => {
                self.lose_phone(node);
                None
            }
            Kind::BankRestored => {
                self.copy_books(node);
                Some(lasts(dice, 2, 30))
            }
        };
        if let Some(wait_ms) = passes {
            self.schedule.after(wait_ms, Event::Recovers { kind: kind.number(), node });
        }
    }

    /// Ends every link between the two halves.
    fn cut_across(&mut self) {
        let Some(sides) = self.air.sides.clone() else { return };
        let across = |ends: [u32; 2]| sides[ends[0] as usize] != sides[ends[1] as usize];
        let links = self.air.links.iter().filter(|(_, link)| across(link.ends));
        let links: Vec<u64> = links.map(|(id, _)| *id).collect();
        links.into_iter().for_each(|link| self.drop_link(link));
    }

    pub(super) fn fault_passes(&mut self, number: u8, node: u32) {
        match Kind::of(number) {
            Some(Kind::FullDisk | Kind::SlowDisk) => self.node(node).device.mend(),
            Some(Kind::ClockJump) => self.node(node).device.clock = Clock::default(),
            Some(Kind::Partition) => self.air.sides = None,
            Some(Kind::Jam) => self.air.jammed = false,
            Some(Kind::BankRestored) => self.restore_books(node),
            _ => {}
        }
    }

    /// All faults pass at once.
    pub(super) fn faults_pass(&mut self) {
        self.air.jammed = false;
        self.air.silent_until_ms = 0;
    }

    /// A phone is lost with its keys. Its bank freezes them, and its person goes on with new ones.
    fn lose_phone(&mut self, node: u32) {
        if !self.node(node).is_honest() || !self.node(node).device.is_up() {
            return;
        }
        self.crash(node);
        let Some(old) = self.node(node).device.identity.map(|it| it.author()) else { return };
        let bank = node % u32::from(self.scenario.banks);
        if self.hosts[bank as usize].bank.is_none() {
            return; // Nobody at the bank to tell: the phone turns up again.
        }
        let reason = hundi_ledger::record::freeze::FreezeReason::Lost;
        let author = old.key;
        self.ask_bank(bank, hundi_journal::input::Input::Freeze { author, reason });
        let identity = self.next_identity(node);
        self.truth.owners.insert(identity.author(), node);
        let at = self.node(node);
        at.identities.push(identity);
        at.device.identity = Some(identity);
        // The backup's wallet belongs to the lost key: the new phone keeps nothing of it.
        at.device.replace_disk(Default::default());
        self.restart(node);
        if let Err(error) = self.enrol(node) {
            self.violated(super::Invariant::Contract, format!("node {node}: {error:#}"));
        }
    }
}
