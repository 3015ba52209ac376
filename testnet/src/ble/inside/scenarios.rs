//! The scenarios, in the order in which they are played. Each starts the devices that it needs and
//! stops them; who is out of another's reach is simply off meanwhile.

mod bank;
mod cheat;
mod crowd;
mod cut;
mod driver;
mod foreign;

use super::super::Machine;
use super::node::{Node, Paid};
use super::{Guest, Seen, last_logged, restart_bluetoothd};
use anyhow::{Result, ensure};
use std::time::{Duration, SystemTime};

/// What a payer's driver writes into its log when it is connected.
const CONNECTED: &str = "owner::connections: a connection ";

/// How a scenario is played.
type Play = fn(&mut Guest) -> Result<Seen>;

/// The scenarios of a machine, by name.
pub(super) fn of(machine: Machine) -> &'static [(&'static str, Play)] {
    match machine {
        Machine::Pair => PAIR,
        Machine::Crowd => CROWD,
    }
}

const CROWD: &[(&str, Play)] = &[("three-at-once", crowd::three)];

const PAIR: &[(&str, Play)] = &[
    ("pay-l2cap", |guest| pay(guest, &[])),
    ("pay-gatt", |guest| pay(guest, &["--gatt-only"])),
    ("refusal", refusal),
    ("strangers-sync", strangers),
    ("double-spend", cheat::double_spend),
    ("payee-vanishes-first", |guest| cut::vanish(guest, cut::When::First)),
    ("payee-vanishes-middle", |guest| cut::vanish(guest, cut::When::Middle)),
    ("payee-vanishes-last", |guest| cut::vanish(guest, cut::When::Last)),
    ("payee-restarts", cut::restarts),
    ("bluetoothd-killed", cut::daemon_killed),
    ("foreign-gatt", |guest| foreign::pays(guest, "gatt")),
    ("foreign-l2cap", |guest| foreign::pays(guest, "l2cap")),
    ("hostile", foreign::attacks),
    ("eatt-off", |guest| eatt(guest, 1)),
    ("eatt-on", eatt_on),
    ("floor", |guest| driver::measures(guest, "floor")),
    ("times-l2cap", |guest| times(guest, "l2cap", "mira", &[])),
    ("times-gatt", |guest| times(guest, "gatt", "sita", &["--gatt-only"])),
    ("goodput", |guest| driver::measures(guest, "goodput")),
    ("bank-settles", bank::settles),
];

/// By QR code: asked for, paid, received on both devices, with no network at all.
fn pay(guest: &mut Guest, more: &[&str]) -> Result<Seen> {
    let (payer, payee) = guest.pair(more)?;
    let paid = payer.pay_received(&payee.request("12.50")?)?;
    let row = payee.row(&paid.id)?;
    ensure!(row.is_some_and(|row| row.state == "received"), "the payee does not have it");
    guest.accepted.push(paid.id);
    payer.stop()?;
    payee.stop()?;
    let ms = paid.took.as_millis();
    Ok(format!("received after {ms} ms, attempts: {}", paid.attempts).into())
}

/// A request that somebody has answered already is refused to the next, signed. The first payer
/// comes over the network, so that the session is still on the air for the second.
fn refusal(guest: &mut Guest) -> Result<Seen> {
    let payee = guest.start("ravi", "hci0", &[])?;
    let uri = payee.request("3.00")?;
    let first = pay_by_network(guest, &payee, &uri, "asha")?;
    let second = guest.start("sita", "hci1", &[])?;
    let refused = second.pay(&uri, 60)?;
    ensure!(refused.state == "refused", "the second payer got {}", refused.state);
    for node in [first, second, payee] {
        node.stop()?;
    }
    Ok(format!("refused after {} ms", refused.took.as_millis()).into())
}

/// A payment over the network; its payer stays, in contact.
fn pay_by_network(guest: &mut Guest, payee: &Node, uri: &str, payer: &'static str) -> Result<Node> {
    let payer = guest.start_plain(payer, &["--reach", &payee.listens()?])?;
    payee.tell("/v1/reach", &serde_json::json!({ "reach": [payer.listens()?] }))?;
    guest.accepted.push(payer.pay_received(uri)?.id);
    Ok(payer)
}

/// Two who have never met: what one holds the other holds soon, and then they leave each other
/// alone.
fn strangers(guest: &mut Guest) -> Result<Seen> {
    let one = guest.start("ravi", "hci0", &[])?;
    let uri = one.request_by_network("1.00")?;
    pay_by_network(guest, &one, &uri, "asha")?.stop()?;
    let other = guest.start("mira", "hci1", &[])?;
    let start = std::time::Instant::now();
    ensure!(one.status()?["entries"] != other.status()?["entries"], "there is nothing to tell");
    one.until("both hold the same", || Ok(one.digest()? == other.digest()?))?;
    let took = start.elapsed();
    let entries = other.status()?["entries"].clone();
    one.stop()?;
    other.stop()?;
    Ok(format!("the same {entries} entries after {} ms", took.as_millis()).into())
}

/// With so many channels of BlueZ's attribute protocol: with several, notifications overtake each
/// other.
fn eatt(guest: &mut Guest, count: u32) -> Result<Seen> {
    restart_bluetoothd(Some(&channels(count)))?;
    let (payer, payee) = guest.pair(&["--gatt-only"])?;
    for _ in 0..3 {
        let paid = payer.pay_received(&payee.request("1.00")?)?;
        guest.accepted.push(paid.id);
    }
    payer.stop()?;
    payee.stop()?;
    Ok("three payments".to_owned().into())
}

/// With three channels, the default of BlueZ before 5.67; then with one again, as in all the others.
fn eatt_on(guest: &mut Guest) -> Result<Seen> {
    let seen = eatt(guest, 3);
    restart_bluetoothd(Some(&channels(1)))?;
    seen
}

/// BlueZ's configuration for so many channels.
fn channels(count: u32) -> String {
    format!("[GATT]\nChannels = {count}\n")
}

/// Payments one right after the other, each with a session and a connection of its own. For each
/// bearer another pays: without the bank nobody pays more than 64 times. The daemon is a fresh one:
/// what BlueZ keeps of earlier devices is not what is measured.
fn times(guest: &mut Guest, bearer: &str, payer: &'static str, more: &[&str]) -> Result<Seen> {
    restart_bluetoothd(None)?;
    let payee = guest.start("ravi", "hci0", more)?;
    let payer = guest.start(payer, "hci1", more)?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..guest.payments {
        let Paid { id, took, attempts, .. } = payer.pay_received(&payee.request("1.00")?)?;
        let connected = last_logged(payer.log(), CONNECTED)?;
        let since = SystemTime::now().duration_since(connected).unwrap_or_default();
        guest.accepted.push(id);
        let ms = [took, since].map(|one| one.as_millis());
        eprintln!(
            "{bearer}: received after {} ms, connected {}, attempts: {attempts}",
            ms[0], ms[1]
        );
        cold.push(took);
        warm.push(since);
    }
    payer.stop()?;
    payee.stop()?;
    let mut seen = Seen::from(format!("{} payments", cold.len()));
    for (from, mut took) in [("command", cold), ("connection", warm)] {
        took.sort_unstable();
        for (name, percent) in [("p50", 50), ("p95", 95), ("max", 100)] {
            let at = u64::try_from(percentile(&took, percent).as_millis())?;
            seen.figures.insert(format!("{bearer}_from_{from}_{name}_ms"), at);
        }
    }
    Ok(seen)
}

/// The value that so many percent do not exceed; of sorted values.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sorted: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(10));
        assert_eq!(percentile(&sorted, 95), Duration::from_millis(19));
        assert_eq!(percentile(&sorted[..1], 50), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
