//! Several on one peripheral at the same time. Only controllers that hold several connections do.

use super::super::node::Node;
use super::super::{Guest, Seen};
use anyhow::{Result, ensure};

/// Who meets the payee, each on an adapter of its own.
const CROWD: [(&str, &str); 3] = [("asha", "hci1"), ("sita", "hci2"), ("mira", "hci3")];

/// Three strangers learn from one what it has, and then want to pay it the same request at the same
/// time: one gets a receipt, the others a signed refusal, at once or from the mesh: a payee that has
/// been paid takes its session off the air.
pub(super) fn three(guest: &mut Guest) -> Result<Seen> {
    let payee = guest.start("ravi", "hci0", &[])?;
    let uri = payee.request_by_network("1.00")?;
    let earlier = super::pay_by_network(guest, &payee, &uri, "kiran")?;
    earlier.stop()?;
    let mut crowd: Vec<Node> = Vec::new();
    for (name, adapter) in CROWD {
        crowd.push(guest.start(name, adapter, &[])?);
    }
    for node in &crowd {
        node.until("it holds what the payee holds", || Ok(node.digest()? == payee.digest()?))?;
    }
    let uri = payee.request("2.00")?;
    let paid: Vec<_> = std::thread::scope(|scope| {
        let paying: Vec<_> = crowd.iter().map(|node| scope.spawn(|| node.pay_once(&uri))).collect();
        paying.into_iter().map(|paying| paying.join()).collect()
    });
    let mut states = Vec::new();
    for one in paid {
        let one = one.map_err(|_| anyhow::anyhow!("a payer broke down"))??;
        if one.state == "received" {
            guest.accepted.push(one.id);
        }
        states.push(one.state);
    }
    states.sort_unstable();
    ensure!(states == ["received", "refused", "refused"], "the payers got {states:?}");
    for node in crowd {
        node.stop()?;
    }
    payee.stop()?;
    Ok("three at once hold what it holds; of three payers one got a receipt".to_owned().into())
}
