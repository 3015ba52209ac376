//! How fast news travels: one payment, and the proof against somebody whose phone and its copy pay
//! at the same moment at opposite ends. Whole engines on links that stand, or in a village whose
//! people meet for seconds; no gateway can be reached, so that nothing settles meanwhile.

use super::graph::{Graph, Shape};
use super::random::{Dice, Purpose};
use super::scenario::{Fixed, Scenario};
use super::stage::{Arrivals, Shown};
use super::world::{Phase, World};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use hundi_ledger::id::Hash;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;

/// Minutes after which links on which nothing happens are as quiet as they get.
const QUIET_MINUTES: u64 = 5;
/// Milliseconds of traffic that are counted as one payment's.
const WINDOW_MS: u64 = 60_000;
/// Milliseconds between two looks at whether everybody holds something.
const LOOK_MS: u64 = 5_000;
/// Milliseconds after which news that has not reached everybody is given up.
const GIVEN_UP_MS: u64 = 15 * 60_000;
/// The same where people have to meet first.
const GIVEN_UP_MEETING_MS: u64 = 2 * 3_600_000;
/// Percent of the nodes that are waited for there: somebody may stay at home all day.
const MEETING_PERCENT: u64 = 99;
/// Minor units of every payment.
const MINOR: u64 = 100;

/// What connects people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Links {
    /// Like Wi-Fi, held, with gossip of which a part is lost.
    Wifi,
    /// Like Bluetooth, held: slow, in order, no gossip.
    Ble,
    /// Like Bluetooth, for seconds, between people who walk about a village.
    Meetings,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Phones.
    pub nodes: u32,
    /// What connects them.
    pub links: Links,
    /// How the graph of links that stand is made.
    pub shape: Shape,
    /// Percent of gossip, and of attempts to meet, that is lost.
    pub loss_percent: u8,
    /// Payments, one after the other, before the double spend.
    pub payments: u32,
}

/// How one piece of news spread.
#[derive(Clone, Debug, Default)]
pub struct Wave {
    /// Nodes that are to have it.
    pub nodes: u64,
    /// Milliseconds until each that was reached had it, in order.
    pub after_ms: Vec<u64>,
}

impl Wave {
    fn of(arrivals: &Arrivals, of: &BTreeSet<u32>, from_ms: u64) -> Self {
        let reached = arrivals.iter().filter(|(node, _)| of.contains(node));
        let mut after_ms: Vec<u64> =
            reached.map(|(_, at_ms)| at_ms.saturating_sub(from_ms)).collect();
        after_ms.sort_unstable();
        Self { nodes: of.len() as u64, after_ms }
    }

    /// Milliseconds until so many of a hundred nodes had it; none if that never came.
    pub fn until(&self, percent: u64) -> Option<u64> {
        let rank = (self.nodes * percent).div_ceil(100).max(1) as usize;
        self.after_ms.get(rank - 1).copied()
    }
}

/// What went over all links.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Traffic {
    /// Frames on links and copies of gossip, lost ones included.
    pub transmissions: u64,
    /// The bytes in them.
    pub bytes: u64,
}

/// What one seed came to.
#[derive(Clone, Debug)]
pub struct Spread {
    /// Links that the farthest pair has between it; 0 where nobody stands still.
    pub diameter: u64,
    /// Every payment.
    pub payments: Vec<Wave>,
    /// The proof, from the moment of the double spend, among everybody but the cheat's phones.
    pub proof: Wave,
    /// What one minute without any news moves.
    pub quiet: Traffic,
    /// What the minutes after all payments moved.
    pub busy: Traffic,
}

/// Runs one seed.
///
/// # Errors
/// When something was violated, or nobody could pay.
pub fn run(seed: u64, setting: &Setting) -> Result<Spread> {
    let mut world = World::staged(seed, &scenario(seed, setting)?)?;
    world.introduce_everybody();
    for site in 0..world.scenario.gateways {
        world.throw_away(site);
    }
    Experiment::new(seed, *setting, world)?.run()
}

fn scenario(seed: u64, setting: &Setting) -> Result<Scenario> {
    let parts = json!({
        "nodes": setting.nodes, "gateways": 1, "banks": 1, "minutes": 60, "payments_per_hour": 1,
        "expiry_minutes": 1_440, "claim_minutes": 10_080, "scope_bits": 0, "heals": false,
        "radio": {
            "villages": 1, "village_m": 150, "range_m": 40, "loss_percent": setting.loss_percent,
            "wifi_percent": 0, "scan_s": 30, "contact_s": 20, "links_max": 5,
        },
        "faults": {}, "adversaries": [],
    });
    Scenario::of(seed, &Fixed { parts: Some(parts), ..Fixed::default() })
}

struct Experiment {
    setting: Setting,
    world: World,
    graph: Graph,
    dice: Dice,
    /// The number of the first phone: those of gateways come before.
    first: u32,
    /// The cheat's phone and its copy.
    cheats: [u32; 2],
    diameter: u64,
}

impl Experiment {
    fn new(seed: u64, setting: Setting, mut world: World) -> Result<Self> {
        let graph = Graph::new(seed, setting.shape, setting.nodes);
        let first = world.scenario.gateways;
        let (one, _) = graph.farthest(0);
        let (other, diameter) = graph.farthest(one);
        let cheats = [first + one, first + other];
        world.clone_phone(cheats[0], cheats[1])?;
        let mut dice = Dice::new(seed, Purpose::Graph);
        if setting.links == Links::Meetings {
            world.phase = Phase::Storm; // People walk about, and scan.
        } else {
            for [a, b] in graph.links() {
                let (gossip, latency_ms, bytes_per_s) = match setting.links {
                    Links::Wifi => (true, dice.between(2, 15), 1_000_000),
                    _ => (false, dice.between(20, 90), 20_000),
                };
                world.begin_link([first + a, first + b], gossip, latency_ms, bytes_per_s);
            }
        }
        let diameter = if setting.links == Links::Meetings { 0 } else { u64::from(diameter) };
        Ok(Self { setting, world, graph, dice, first, cheats, diameter })
    }

    fn run(mut self) -> Result<Spread> {
        self.world.pass(QUIET_MINUTES * 60_000);
        let before = self.traffic();
        self.world.pass(QUIET_MINUTES * 60_000);
        let quiet = self.since(before);
        let quiet = Traffic {
            transmissions: quiet.transmissions / QUIET_MINUTES,
            bytes: quiet.bytes / QUIET_MINUTES,
        };
        let mut payments = Vec::new();
        let mut busy = Traffic::default();
        for _ in 0..self.setting.payments {
            let (wave, moved) = self.one_payment()?;
            busy.transmissions += moved.transmissions;
            busy.bytes += moved.bytes;
            payments.push(wave);
        }
        let proof = self.double_spend()?;
        Ok(Spread { diameter: self.diameter, payments, proof, quiet, busy })
    }

    fn traffic(&self) -> Traffic {
        let counters = &self.world.counters;
        let transmissions = counters.frames + counters.gossips;
        Traffic { transmissions, bytes: counters.bytes + counters.gossip_bytes }
    }

    fn since(&self, before: Traffic) -> Traffic {
        let now = self.traffic();
        Traffic {
            transmissions: now.transmissions - before.transmissions,
            bytes: now.bytes - before.bytes,
        }
    }

    /// Who stands beside somebody, but for the cheat's phones.
    fn beside(&mut self, node: u32) -> Option<u32> {
        let near = match self.setting.links {
            Links::Meetings => self.world.near(node),
            _ => {
                let around = self.graph.around(node - self.first);
                around.into_iter().map(|it| self.first + it).collect()
            }
        };
        let near: Vec<u32> =
            near.into_iter().filter(|it| *it >= self.first && !self.cheats.contains(it)).collect();
        self.dice.pick(&near)
    }

    /// Somebody who has not paid yet pays whoever stands beside.
    fn one_payment(&mut self) -> Result<(Wave, Traffic)> {
        for _ in 0..100 {
            let payer = self.first + self.dice.below(u64::from(self.setting.nodes)) as u32;
            let payee = self.beside(payer).filter(|_| !self.cheats.contains(&payer));
            let Some(payee) = payee else { continue };
            self.world.ask(payee, payer, MINOR);
            let shown = self.world.read_requests();
            let before = self.traffic();
            let (from_ms, entry) = self.signed(shown, 1)?;
            let everybody: BTreeSet<u32> = self.world.phones().collect();
            self.world.pass(WINDOW_MS.saturating_sub(self.world.now_ms() - from_ms));
            let moved = self.since(before);
            let held = |world: &World| world.stage.as_ref().map(|it| it.held(&entry));
            return Ok((self.spreads(&held, &everybody, from_ms)?, moved));
        }
        anyhow::bail!("nobody stands beside anybody")
    }

    /// The cheat's two phones pay at the same moment.
    fn double_spend(&mut self) -> Result<Wave> {
        // In a village the two wait until somebody comes by each of them, at one moment.
        let mut payees = self.cheats.map(|phone| self.beside(phone));
        for _ in 0..360 {
            if payees.iter().any(Option::is_none) {
                self.world.pass(10_000);
                payees = self.cheats.map(|phone| self.beside(phone));
            }
        }
        for (phone, payee) in self.cheats.into_iter().zip(payees) {
            self.world.ask(payee.context("nobody comes by")?, phone, MINOR);
        }
        let shown = self.world.read_requests();
        let (from_ms, _) = self.signed(shown, 2)?;
        let cheat = self.world.node(self.cheats[0]).device.identity.context("keys")?.author();
        let mut others: BTreeSet<u32> = self.world.phones().collect();
        others.retain(|node| !self.cheats.contains(node));
        let barred = |world: &World| world.stage.as_ref().map(|it| it.barred(&cheat));
        self.spreads(&barred, &others, from_ms)
    }

    /// Has everybody pay who was asked, so many payments: the moment, and one of the entries.
    fn signed(&mut self, shown: Vec<Shown>, count: usize) -> Result<(u64, Hash)> {
        let known = |world: &World| world.stage.as_ref().map(|it| it.known()).unwrap_or_default();
        let (from_ms, before) = (self.world.now_ms(), known(&self.world));
        shown.into_iter().for_each(|shown| self.world.pay(shown));
        self.world.pass(1_000);
        let fresh: Vec<Hash> = known(&self.world).difference(&before).copied().collect();
        ensure!(fresh.len() == count, "{} payments were signed, not {count}", fresh.len());
        Ok((from_ms, *fresh.first().context("a payment")?))
    }

    /// Waits until all of them hold something, or nearly all where people have to meet.
    fn spreads(
        &mut self,
        held: &dyn Fn(&World) -> Option<Arrivals>,
        by: &BTreeSet<u32>,
        from_ms: u64,
    ) -> Result<Wave> {
        let (given_up_ms, percent) = match self.setting.links {
            Links::Meetings => (GIVEN_UP_MEETING_MS, MEETING_PERCENT),
            _ => (GIVEN_UP_MS, 100),
        };
        loop {
            let wave = Wave::of(&held(&self.world).unwrap_or_default(), by, from_ms);
            if wave.until(percent).is_some() || self.world.now_ms() > from_ms + given_up_ms {
                return Ok(wave);
            }
            self.world.pass(LOOK_MS);
            self.world.still_holds()?;
        }
    }
}
