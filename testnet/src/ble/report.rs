//! What came out: one line per scenario, and the figures that were counted or measured.

use super::cost::Offer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// What became of one scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// Its name.
    pub scenario: String,
    /// Whether everything in it came out as it must.
    pub held: bool,
    /// What was seen, or what went wrong.
    pub seen: String,
    /// Milliseconds that it took, in the guest.
    pub ms: u64,
    /// Its figures, by name.
    #[serde(default)]
    pub figures: BTreeMap<String, u64>,
}

impl Held {
    /// Something that should not have happened outside of a scenario.
    pub(super) fn broken(scenario: &str, seen: String) -> Self {
        let (scenario, figures) = (scenario.to_owned(), BTreeMap::new());
        Self { scenario, held: false, seen, ms: 0, figures }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.held { "held" } else { "FAILED" };
        let (seconds, tenths) = (self.ms / 1_000, self.ms % 1_000 / 100);
        write!(formatter, "{:<24} {word:<6} {seconds:>4}.{tenths} s  {}", self.scenario, self.seen)
    }
}

/// Everything that came out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which they ended.
    pub scenarios: Vec<Held>,
    /// What offers of a payer cost on the air.
    pub offers: Vec<Offer>,
    /// How long all of it took.
    pub seconds: u64,
}

impl Report {
    /// Whether every scenario held, and there was one.
    pub fn held(&self) -> bool {
        !self.scenarios.is_empty() && self.scenarios.iter().all(|held| held.held)
    }

    /// One object for programs.
    pub fn to_json(&self) -> Value {
        let failed = self.scenarios.iter().filter(|held| !held.held).count();
        let foreign = self.scenarios.iter().find(|held| held.scenario.starts_with("foreign"));
        let worst = self.offers.iter().find(|offer| !offer.payee_knows);
        let by_mtu: BTreeMap<String, usize> = worst
            .map(|offer| offer.writes.iter().map(|(mtu, writes)| (mtu.to_string(), *writes)))
            .into_iter()
            .flatten()
            .collect();
        let figures: BTreeMap<&String, u64> = self
            .scenarios
            .iter()
            .flat_map(|held| &held.figures)
            .map(|(name, at)| (name, *at))
            .collect();
        let share = |bearer: &str| {
            let percent = figures.get(&format!("goodput_{bearer}_percent"))?;
            // As a decimal fraction, from whole percent.
            format!("{}.{:02}", percent / 100, percent % 100).parse::<Value>().ok()
        };
        json!({
            "scenarios": self.scenarios,
            "failed": failed,
            "held": self.held(),
            "payment_round_trips": worst.map(|offer| offer.round_trips),
            "writes_by_mtu": by_mtu,
            "offers": self.offers,
            "foreign_client": foreign.map(|held| held.held),
            "goodput_share_gatt": share("gatt"),
            "goodput_share_l2cap": share("l2cap"),
            "seconds": self.seconds,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for held in &self.scenarios {
            writeln!(formatter, "{held}")?;
            for (name, value) in &held.figures {
                writeln!(formatter, "    {name:<32} {value:>10}")?;
            }
        }
        writeln!(formatter, "\nFIRST MESSAGE OF A PAYER, COUNTED")?;
        for offer in &self.offers {
            writeln!(formatter, "  {offer}")?;
        }
        let held = self.scenarios.iter().filter(|held| held.held).count();
        let all = self.scenarios.len();
        writeln!(formatter, "\n{held} of {all} scenarios held, in {} s.", self.seconds)
    }
}
