//! The figures of one setting over all its seeds: how long news took, and what it moved.

use crate::bench::measure::Spread as Percentiles;
use crate::sim::spread::{Links, Setting, Spread, Traffic, Wave};
use serde::Serialize;

/// Parts of all nodes whose times are told, percent.
const PARTS: [u64; 4] = [50, 90, 99, 100];
/// Parts of all nodes that a curve has points for, percent.
const CURVE: [u64; 13] = [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99, 100];

/// How long one kind of news took.
#[derive(Clone, Debug, Serialize)]
pub struct Reach {
    /// How often it was measured.
    pub waves: u64,
    /// How often it was given up before everybody had it.
    pub unfinished: u64,
    /// Milliseconds until 50, 90, 99 and 100 percent of the nodes had it: half of the waves were
    /// not slower. None where a wave never came so far.
    pub p50_ms: [Option<u64>; 4],
    /// The same for 95 of a hundred waves.
    pub p95_ms: [Option<u64>; 4],
    /// Milliseconds and percent of the nodes, of the wave in the middle.
    pub curve: Vec<(u64, u64)>,
}

impl Reach {
    fn of(waves: &[&Wave]) -> Self {
        let at = |percent: u64| -> Option<Percentiles> {
            let until: Option<Vec<u64>> = waves.iter().map(|wave| wave.until(percent)).collect();
            until.map(|until| Percentiles::of(until.into_iter()))
        };
        let curve = CURVE.into_iter().filter_map(|it| Some((at(it)?.p50, it))).collect();
        Self {
            waves: waves.len() as u64,
            unfinished: waves.iter().filter(|wave| wave.until(100).is_none()).count() as u64,
            p50_ms: PARTS.map(|part| at(part).map(|it| it.p50)),
            p95_ms: PARTS.map(|part| at(part).map(|it| it.p95)),
            curve,
        }
    }
}

/// One setting.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub setting: Setting,
    /// Links between the farthest two, the most of all seeds.
    pub diameter: u64,
    /// A payment.
    pub payment: Reach,
    /// A proof, from the moment of the double spend.
    pub proof: Reach,
    /// Transmissions per phone and payment beyond those of a quiet minute, thousandths.
    pub payment_transmissions_thousandths: u64,
    /// The bytes in them.
    pub payment_bytes: u64,
    /// Transmissions per phone in a quiet minute, thousandths.
    pub quiet_transmissions_thousandths: u64,
    /// The bytes in them.
    pub quiet_bytes: u64,
}

impl Row {
    pub(super) fn new(setting: Setting, spreads: &[Spread]) -> Self {
        let payments: Vec<&Wave> = spreads.iter().flat_map(|one| &one.payments).collect();
        let proofs: Vec<&Wave> = spreads.iter().map(|one| &one.proof).collect();
        let sum = |pick: fn(&Spread) -> Traffic| {
            spreads
                .iter()
                .map(pick)
                .fold((0, 0), |sum, it| (sum.0 + it.transmissions, sum.1 + it.bytes))
        };
        let (quiet, busy) = (sum(|one| one.quiet), sum(|one| one.busy));
        let (nodes, seeds) = (u64::from(setting.nodes), spreads.len() as u64);
        let of_payments = |busy: u64, quiet: u64| {
            busy.saturating_sub(quiet * u64::from(setting.payments))
                / (nodes * payments.len().max(1) as u64)
        };
        Self {
            setting,
            diameter: spreads.iter().map(|one| one.diameter).max().unwrap_or(0),
            payment: Reach::of(&payments),
            proof: Reach::of(&proofs),
            payment_transmissions_thousandths: of_payments(1_000 * busy.0, 1_000 * quiet.0),
            payment_bytes: of_payments(busy.1, quiet.1),
            quiet_transmissions_thousandths: 1_000 * quiet.0 / (nodes * seeds.max(1)),
            quiet_bytes: quiet.1 / (nodes * seeds.max(1)),
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        let Setting { nodes, links, shape, loss_percent, .. } = self.setting;
        let shape = format!("{shape:?}").to_lowercase();
        match links {
            Links::Wifi => format!("{nodes} phones, Wi-Fi, {shape}, {loss_percent} % lost"),
            Links::Ble => format!("{nodes} phones, Bluetooth held, {shape}"),
            Links::Meetings => format!("{nodes} phones, Bluetooth, meeting"),
        }
    }

    /// One line about it for people who wait.
    pub fn line(&self) -> String {
        let ms = |reach: &Reach| reach.p95_ms[2].map_or("never".into(), |ms| format!("{ms} ms"));
        format!(
            "{}: 99 % hold a payment after {}, bar a double-spender after {} (p95)",
            self.name(),
            ms(&self.payment),
            ms(&self.proof)
        )
    }
}
