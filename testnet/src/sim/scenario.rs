//! What a run is made of. A run is a function of its seed and its scenario; the default mix draws
//! the scenario from the seed, and a file or the command line may fix parts of it.

use super::adversary::Kind as Adversary;
use super::fault::Kind as Fault;
use super::random::{Dice, Purpose};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How people live and their radios reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radio {
    /// Villages; the first one is the town with the market and the gateways.
    pub villages: u32,
    /// Metres from a village's middle to its edge.
    pub village_m: u32,
    /// Metres that a radio reaches.
    pub range_m: u32,
    /// Percent of what is gossiped, and of attempts to connect, that is lost.
    pub loss_percent: u8,
    /// Percent of contacts that are like Wi-Fi (fast, held, with gossip) and not like Bluetooth.
    pub wifi_percent: u8,
    /// Seconds between two scans of one radio, on average.
    pub scan_s: u32,
    /// Seconds that a contact like Bluetooth lasts at most.
    pub contact_s: u32,
    /// Links that a phone holds at most.
    pub links_max: u32,
}

/// Everything that a run follows from, besides its seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Phones, those of adversaries included.
    pub nodes: u32,
    /// Gateways. They belong to the banks in turn; those of one bank share its database.
    pub gateways: u32,
    /// Banks, at most as many as gateways.
    pub banks: u16,
    /// Minutes with people, faults and adversaries, before faults stop and liveness is demanded.
    pub minutes: u32,
    /// Payments that a person is asked for in an hour.
    pub payments_per_hour: u32,
    /// Minutes after which payees refuse a grant.
    pub expiry_minutes: u32,
    /// Minutes after that for which the bank honours it.
    pub claim_minutes: u32,
    /// As for the engine: phones keep the payments of one in 2ⁿ authors.
    pub scope_bits: u8,
    /// Where people are and what radios do.
    pub radio: Radio,
    /// How often each fault strikes.
    pub faults: BTreeMap<Fault, u32>,
    /// One phone for each; the others are honest.
    pub adversaries: Vec<Adversary>,
    /// Whether liveness is demanded in the end.
    pub heals: bool,
}

/// What of a scenario the command line fixes.
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    /// Phones.
    pub nodes: Option<u32>,
    /// Gateways.
    pub gateways: Option<u32>,
    /// Hours.
    pub hours: Option<u32>,
    /// Parts of a scenario, as JSON.
    pub parts: Option<Value>,
}

impl Scenario {
    /// The scenario of a seed, with what is fixed.
    ///
    /// # Errors
    /// When what is fixed is not a part of a scenario, or breaks a rule of one.
    pub fn of(seed: u64, fixed: &Fixed) -> Result<Self> {
        let mut dice = Dice::new(seed, Purpose::Mix);
        let nodes = dice.between(12, 20) as u32;
        let nodes = fixed.nodes.unwrap_or(nodes);
        let gateways = fixed.gateways.unwrap_or(dice.between(1, 2) as u32);
        let drawn = dice.pick(&[30, 45, 60, 90]).unwrap_or(60);
        let minutes = fixed.hours.map_or(drawn, |hours| 60 * hours);
        let scenario = Self::drawn(&mut dice, nodes, gateways, minutes);
        let scenario = match &fixed.parts {
            Some(parts) => scenario.with(parts)?,
            None => scenario,
        };
        scenario.check()?;
        Ok(scenario)
    }

    fn drawn(dice: &mut Dice, nodes: u32, gateways: u32, minutes: u32) -> Self {
        let villages = 1 + nodes / 12;
        let short = dice.percent(20);
        let radio = Radio {
            villages: if nodes > 100 { 1 + nodes / 200 } else { villages },
            village_m: if nodes > 100 { 150 } else { 50 },
            range_m: dice.between(25, 50) as u32,
            loss_percent: dice.between(0, 25) as u8,
            wifi_percent: dice.pick(&[0, 20, 50, 100]).unwrap_or(20),
            scan_s: dice.between(20, 90) as u32,
            contact_s: dice.between(15, 90) as u32,
            links_max: dice.between(3, 6) as u32,
        };
        let mut faults = BTreeMap::new();
        for fault in Fault::ALL {
            if dice.percent(50) {
                faults.insert(fault, 1 + dice.below(u64::from(fault.most())) as u32);
            }
        }
        let banks = if gateways > 1 && dice.percent(50) { 2 } else { 1 };
        let third = u64::from(nodes / 3);
        let count = if dice.percent(25) { 0 } else { dice.between(1, third) };
        // Of a bank in two hands little is promised: another one beside it shows the rest.
        let alone = |kind: &Adversary| banks > 1 || *kind != Adversary::TwoFacedBank;
        let kinds: Vec<Adversary> = Adversary::ALL.into_iter().filter(alone).collect();
        let draw = |_| dice.pick(&kinds);
        let mut adversaries: Vec<Adversary> = (0..count).filter_map(draw).collect();
        if banks > 1
            && dice.percent(30)
            && let Some(first) = adversaries.first_mut()
        {
            *first = Adversary::TwoFacedBank;
        }
        Self {
            nodes,
            gateways,
            banks,
            minutes,
            payments_per_hour: 6,
            expiry_minutes: if short { minutes / 2 } else { 24 * 60 },
            claim_minutes: if short { 10 * minutes } else { 7 * 24 * 60 },
            scope_bits: if nodes > 2_000 { 7 } else { 0 },
            radio,
            faults,
            adversaries,
            heals: true,
        }
    }

    /// This scenario with parts of another one.
    fn with(&self, parts: &Value) -> Result<Self> {
        let mut whole = serde_json::to_value(self).context("a scenario has no JSON")?;
        let (Some(held), Some(given)) = (whole.as_object_mut(), parts.as_object()) else {
            anyhow::bail!("a scenario is a JSON object");
        };
        for (name, part) in given {
            match (held.get_mut(name), part) {
                (Some(Value::Object(inner)), Value::Object(new)) if name == "radio" => {
                    inner.extend(new.clone());
                }
                _ => drop(held.insert(name.clone(), part.clone())),
            }
        }
        serde_json::from_value(whole).context("not a scenario")
    }

    /// What must hold of a scenario.
    fn check(&self) -> Result<()> {
        ensure!((2..=100_000).contains(&self.nodes), "nodes: 2 to 100000");
        ensure!((1..=256).contains(&self.gateways), "gateways: 1 to 256");
        ensure!(self.banks >= 1 && u32::from(self.banks) <= self.gateways, "banks: 1 to gateways");
        ensure!((1..=60 * 24 * 60).contains(&self.minutes), "minutes: 1 to 86400");
        ensure!(self.radio.villages >= 1 && self.radio.range_m >= 1, "a village and a radio");
        ensure!(self.radio.links_max >= 1 && self.radio.scan_s >= 1, "links and scans");
        ensure!(self.expiry_minutes >= 1 && self.claim_minutes >= 1, "grants last for a while");
        let honest = (self.nodes as usize).checked_sub(self.adversaries.len());
        ensure!(honest >= Some(2), "two honest phones at least");
        Ok(())
    }
}
