//! What the bench of spreading came to: tables for people, one JSON object for programs, curves,
//! and whether what must hold did.

use super::figures::{Reach, Row};
use crate::bench::Outcome;
use crate::bench::drawing::{self, Line, Panel, Scale};
use crate::bench::expectation::Expectation;
use crate::sim::graph::Shape;
use crate::sim::partitions::{Loss, Pattern};
use crate::sim::spread::Links;
use serde_json::{Value, json};
use std::fmt;

/// Milliseconds in which 99 of a hundred phones on Wi-Fi have news, at p95.
const WIFI_MS_MAX: u64 = 5_000;
/// The same for Bluetooth links that stand.
const BLE_MS_MAX: u64 = 60_000;
/// What is taken for never.
const NEVER_MS: u64 = u64::MAX;
/// A colour for every line of a panel.
const COLOURS: [&str; 6] = ["#0b6e4f", "#c8553d", "#588bae", "#d9a441", "#7b5ea7", "#222222"];
/// The bound's.
const GREY: &str = "#777777";

/// A run's result.
#[derive(Debug, Default)]
pub struct Report {
    /// Every setting, in order.
    pub rows: Vec<Row>,
    /// The worst loss for every number of places and every pattern.
    pub losses: Vec<Loss>,
    /// What must hold.
    pub expectations: Vec<Expectation>,
}

impl Report {
    pub(super) fn add_row(&mut self, row: Row) {
        let name = row.name();
        let goal_ms = match (row.setting.links, row.setting.shape) {
            (Links::Wifi, Shape::Random) => Some(WIFI_MS_MAX),
            (Links::Ble, _) => Some(BLE_MS_MAX),
            _ => None,
        };
        for (what, reach) in [("hold a payment", &row.payment), ("bar a cheat", &row.proof)] {
            if let Some(goal_ms) = goal_ms {
                let measured = reach.p95_ms[2].unwrap_or(NEVER_MS);
                let what = format!("{name}: 99 % {what}, ms at p95");
                self.expectations.push(Expectation::at_most(what, measured, goal_ms));
            }
            // Where people have to meet, somebody may stay at home.
            if row.setting.links != Links::Meetings {
                let what =
                    format!("{name}: everybody comes to {what}; waves that did not get so far");
                self.expectations.push(Expectation::at_most(what, reach.unfinished, 0));
            }
        }
        self.rows.push(row);
    }

    pub(super) fn add_loss(&mut self, loss: Loss) {
        let name = format!("{} places, {:?}", loss.places, loss.pattern);
        let bank = format!("{name}: the bank lost, minor units");
        self.expectations.push(Expectation::at_most(bank, loss.bank_lost, loss.bank_bound()));
        let payees = format!("{name}: payees lost, minor units");
        self.expectations.push(Expectation::at_most(payees, loss.payees_lost, loss.payees_bound()));
        let undecided = format!("{name}: payments that the bank did not get to decide");
        self.expectations.push(Expectation::at_most(undecided, loss.undecided, 0));
        let unexplained = format!("{name}: sums that do not add up");
        let wrong = u64::from(!loss.is_within_bounds());
        self.expectations.push(Expectation::at_most(unexplained, wrong, 0));
        self.losses.push(loss);
    }
}

impl Outcome for Report {
    fn held(&self) -> bool {
        self.expectations.iter().all(|one| one.held)
    }

    fn to_json(&self) -> Value {
        let losses = self.losses.iter().map(|loss| {
            let mut value = json!(loss);
            value["bank_bound"] = json!(loss.bank_bound());
            value["payees_bound"] = json!(loss.payees_bound());
            value
        });
        json!({
            "ok": self.held(),
            "spread": self.rows,
            "losses": losses.collect::<Vec<_>>(),
            "expectations": self.expectations,
        })
    }

    fn to_svg(&self) -> String {
        let reach = |title: &str, pick: fn(&Row) -> &Reach| Panel {
            title: title.to_owned(),
            scales: [Scale::Logarithmic, Scale::Linear],
            lines: COLOURS
                .into_iter()
                .zip(&self.rows)
                .map(|(colour, row)| {
                    let points = pick(row).curve.iter().map(|(ms, part)| ((*ms).max(10), *part));
                    (colour, points.collect())
                })
                .collect(),
        };
        let loss = |pick: fn(&Loss) -> u64, pattern: Pattern| -> Vec<(u64, u64)> {
            let some = self.losses.iter().filter(|loss| loss.pattern == pattern);
            some.map(|loss| (u64::from(loss.places), pick(loss))).collect()
        };
        let losses = |title: &str, pick: fn(&Loss) -> u64, bound: fn(&Loss) -> u64| {
            let lines: Vec<Line> = vec![
                (GREY, loss(bound, Pattern::Whole)),
                (COLOURS[0], loss(pick, Pattern::Whole)),
                (COLOURS[1], loss(pick, Pattern::Divided)),
            ];
            Panel { title: title.to_owned(), scales: [Scale::Linear; 2], lines }
        };
        let panels = [
            reach("% of phones that hold a payment, by ms", |row| &row.payment),
            reach("% of phones that bar a cheat, by ms", |row| &row.proof),
            losses("payees' loss by places", |it| it.payees_lost, Loss::payees_bound),
            losses("bank's loss by places", |it| it.bank_lost, Loss::bank_bound),
        ];
        let legend = [
            ("Wi-Fi; whole", COLOURS[0]),
            ("sparse; divided", COLOURS[1]),
            ("Wi-Fi, grid", COLOURS[2]),
            ("Bluetooth", COLOURS[3]),
            ("Bluetooth, grid", COLOURS[4]),
            ("meeting", COLOURS[5]),
            ("bound of loss", GREY),
        ];
        drawing::svg(&panels, &legend)
    }

    fn to_markdown(&self, plot: Option<&str>) -> String {
        let picture = plot.map_or_else(String::new, |file| {
            format!("![how news spreads, and what a cheat costs]({file})\n\n")
        });
        format!(
            "# How news spreads, and what a cheat costs\n\n\
             Written by `hundi-testnet bench spread`; [the simulator](simulator.md#spread-and-loss) \
             says how it measures and how to read it.\n\n{picture}```text\n{}```\n",
            self
        )
    }
}

/// Tables for people.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            writeln!(out, "SECONDS UNTIL SO MANY PHONES HAVE IT, p50 / p95 over all waves")?;
            writeln!(
                out,
                "  {:<10} {:>5} {:>15} {:>15} {:>15} {:>15}",
                "", "waves", "50 %", "90 %", "99 %", "all"
            )?;
        }
        for row in &self.rows {
            match row.diameter {
                0 => writeln!(out, "{}", row.name())?,
                links => writeln!(out, "{}; the farthest are {links} links apart", row.name())?,
            }
            for (what, reach) in [("payment", &row.payment), ("proof", &row.proof)] {
                write!(out, "  {what:<10} {:>5}", reach.waves)?;
                for (p50, p95) in reach.p50_ms.iter().zip(&reach.p95_ms) {
                    write!(out, " {:>15}", format!("{} / {}", seconds(*p50), seconds(*p95)))?;
                }
                writeln!(out)?;
            }
            writeln!(
                out,
                "  per phone: {} transmissions and {} bytes for a payment; {} and {} in a quiet minute",
                decimal(row.payment_transmissions_thousandths),
                row.payment_bytes,
                decimal(row.quiet_transmissions_thousandths),
                row.quiet_bytes
            )?;
        }
        if !self.losses.is_empty() {
            writeln!(out, "\nLOSS, minor units, the worst seed; most = the rule's bound")?;
            writeln!(
                out,
                "  {:<8} {:>6} {:>7} {:>9} {:>9} {:>8} {:>10} {:>6} {:>12} {:>6}",
                "pattern",
                "places",
                "limit",
                "guarantee",
                "accepted",
                "paid",
                "bank lost",
                "most",
                "payees lost",
                "most"
            )?;
        }
        for loss in &self.losses {
            writeln!(
                out,
                "  {:<8} {:>6} {:>7} {:>9} {:>9} {:>8} {:>10} {:>6} {:>12} {:>6}",
                format!("{:?}", loss.pattern).to_lowercase(),
                loss.places,
                loss.limit,
                loss.guarantee,
                loss.accepted,
                loss.paid,
                loss.bank_lost,
                loss.bank_bound(),
                loss.payees_lost,
                loss.payees_bound()
            )?;
        }
        writeln!(out)?;
        Expectation::write_all(&self.expectations, out)
    }
}

fn seconds(ms: Option<u64>) -> String {
    ms.map_or("never".into(), decimal)
}

/// Thousandths as a decimal.
fn decimal(thousandths: u64) -> String {
    format!("{}.{}", thousandths / 1_000, thousandths % 1_000 / 100)
}
