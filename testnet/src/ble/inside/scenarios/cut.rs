//! What goes away in the middle of a payment: the payee's device, or the daemon of the system.

use super::super::node::{Node, PATIENCE};
use super::super::{Guest, Seen, count, restart_bluetoothd};
use anyhow::{Result, bail, ensure};
use std::time::{Duration, Instant};

/// What the payee's driver writes into its log for each fragment that has arrived.
const ARRIVED: &str = "owner::connections: written address=";
/// Fragments of a stranger's offer at BlueZ's MTU, 517.
const FRAGMENTS: usize = 4;
/// Starts of a payee's device: BlueZ lays a service out in six ways, by chance.
const STARTS: usize = 6;
/// How long the payer waits for an answer that does not come.
const WAIT_S: u64 = 5;

/// Which fragment of the payer's first message the payee does not survive.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    First,
    Middle,
    Last,
}

impl When {
    fn fragments(self) -> usize {
        match self {
            When::First => 1,
            When::Middle => FRAGMENTS / 2,
            When::Last => FRAGMENTS,
        }
    }
}

/// The payee's device dies with that fragment. Until its owner switches it on again the payment is
/// not confirmed; then the two meet and it is received, once.
pub(super) fn vanish(guest: &mut Guest, when: When) -> Result<Seen> {
    let payee = guest.start("sita", "hci0", &["--gatt-only"])?;
    let payer = guest.start("asha", "hci1", &["--gatt-only"])?;
    let uri = payee.request("2.00")?;
    let before = count(payee.log(), ARRIVED);
    let (first, arrived) = std::thread::scope(|scope| -> Result<_> {
        let paying = scope.spawn(|| payer.pay(&uri, WAIT_S));
        let log = payee.log().to_owned();
        await_fragments(&log, before + when.fragments())?;
        payee.kill()?;
        let first = paying.join().map_err(|_| anyhow::anyhow!("the payer broke down"))??;
        Ok((first, count(&log, ARRIVED) - before))
    })?;
    if matches!(when, When::First | When::Middle) {
        let open = matches!(first.state.as_str(), "signed" | "delivered");
        ensure!(open, "without all of its fragments it is {}", first.state);
    }
    let payee = guest.start("sita", "hci0", &["--gatt-only"])?;
    resume(guest, &payer, &payee, &uri, &first.id)?;
    payer.stop()?;
    payee.stop()?;
    // BlueZ has five places for advertisements, and does not give back that of a program that was
    // killed while it took one: the devices of the other scenarios are to find theirs.
    restart_bluetoothd(None)?;
    Ok(format!("{arrived} fragments had arrived; {} then, received later, once", first.state)
        .into())
}

/// The daemon is killed with the first fragment, and is started again.
pub(super) fn daemon_killed(guest: &mut Guest) -> Result<Seen> {
    let payee = guest.start("sita", "hci0", &["--gatt-only"])?;
    let payer = guest.start("asha", "hci1", &["--gatt-only"])?;
    let uri = payee.request("2.00")?;
    let before = count(payee.log(), ARRIVED);
    let first = std::thread::scope(|scope| -> Result<_> {
        let paying = scope.spawn(|| payer.pay(&uri, WAIT_S));
        await_fragments(payee.log(), before + 1)?;
        restart_bluetoothd(None)?;
        paying.join().map_err(|_| anyhow::anyhow!("the payer broke down"))?
    })?;
    for node in [&payer, &payee] {
        node.await_bluetooth()?;
    }
    resume(guest, &payer, &payee, &uri, &first.id)?;
    payer.stop()?;
    payee.stop()?;
    Ok(format!("{} then, received when the daemon was back, once", first.state).into())
}

/// The payee's device is switched off and on between payments. The payer's system remembers the
/// services of its earlier starts.
pub(super) fn restarts(guest: &mut Guest) -> Result<Seen> {
    let payer = guest.start("asha", "hci1", &["--gatt-only"])?;
    let mut slowest = Duration::ZERO;
    for _ in 0..STARTS {
        let payee = guest.start("sita", "hci0", &["--gatt-only"])?;
        let paid = payer.pay_received(&payee.request("1.00")?)?;
        slowest = slowest.max(paid.took);
        guest.accepted.push(paid.id);
        payee.stop()?;
    }
    payer.stop()?;
    let ms = slowest.as_millis();
    Ok(format!("received after each of {STARTS} starts, the slowest after {ms} ms").into())
}

/// Paying the same link again is the same payment, and in the end both have it, once.
fn resume(guest: &mut Guest, payer: &Node, payee: &Node, uri: &str, id: &str) -> Result<()> {
    let again = payer.pay(uri, PATIENCE.as_secs())?;
    ensure!(again.id == id, "paying again made another payment");
    ensure!(again.state == "received", "resumed, it is {}", again.state);
    let rows = payee.rows()?.into_iter().filter(|row| row.id == id).count();
    ensure!(rows == 1, "the payee has it {rows} times");
    guest.accepted.push(id.to_owned());
    Ok(())
}

fn await_fragments(log: &std::path::Path, wanted: usize) -> Result<()> {
    let start = Instant::now();
    while count(log, ARRIVED) < wanted {
        if start.elapsed() > PATIENCE {
            bail!("{} fragments have not arrived", wanted);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
