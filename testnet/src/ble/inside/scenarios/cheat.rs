//! A device that was copied pays at two stalls that never meet; somebody walks from one to the
//! other.

use super::super::{Guest, Seen};
use anyhow::{Result, ensure};

/// What both stalls are promised.
const PROMISED: &str = "7.00";

/// Both payees accept; the walker's visit to the second stall proves it there, and the next visit
/// to the first one proves it there, too.
pub(super) fn double_spend(guest: &mut Guest) -> Result<Seen> {
    let mut paid = Vec::new();
    let mut author = None;
    for (cheat, payee) in [("kiran", "ravi"), ("clone", "sita")] {
        let payee = guest.start(payee, "hci0", &[])?;
        let cheat = guest.start(cheat, "hci1", &[])?;
        paid.push(cheat.pay_received(&payee.request(PROMISED)?)?.id);
        author = Some(cheat.author()?);
        cheat.stop()?;
        payee.stop()?;
    }
    let author = author.unwrap_or_default();
    ensure!(paid[0] != paid[1], "two promises are two entries");
    let walker = guest.start("mira", "hci1", &[])?;
    for (stall, proven) in [("sita", false), ("ravi", true), ("sita", true)] {
        let payee = guest.start(stall, "hci0", &[])?;
        payee
            .until("it holds what the walker holds", || Ok(payee.digest()? == walker.digest()?))?;
        for node in [&payee, &walker] {
            let holds = node.holds_proof(&author)?;
            ensure!(holds == proven, "at {stall}, {} holds a proof: {holds}", node.name);
        }
        payee.stop()?;
    }
    walker.stop()?;
    Ok("proven at both stalls and by the walker".to_owned().into())
}
