//! In the end everybody reaches the bank, over the network: what was accepted over the air settles,
//! each payment once, and the books hold.

use super::super::node::{Node, until};
use super::super::{Guest, Seen};
use crate::answers::{Audit, Books};
use crate::process::{Process, first_listening};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;

/// Who hands in: the payers of what was accepted, and the cheat and its clone.
const PEOPLE: [&str; 6] = ["asha", "ravi", "sita", "mira", "kiran", "clone"];

pub(super) fn settles(guest: &mut Guest) -> Result<Seen> {
    let log = guest.payload.join("gateway.log");
    let args = ["--listen", "127.0.0.1:0", "--no-mdns"].map(str::to_owned);
    let mut gateway = Process::start(&guest.program("hundi-gateway"), &guest.bank(), &log, &args)?;
    let bank = first_listening(gateway.client())?.to_string();
    let mut nodes: Vec<Node> = Vec::new();
    for name in PEOPLE {
        nodes.push(guest.start_plain(name, &["--reach", &bank])?);
    }
    let mut settled = BTreeSet::new();
    for node in &nodes {
        node.until("what was accepted settles", || {
            let rows = node.rows()?.into_iter().filter(|row| guest.accepted.contains(&row.id));
            let (done, open): (Vec<_>, Vec<_>) = rows.partition(|row| row.state == "settled");
            settled.extend(done.into_iter().map(|row| row.id));
            Ok(open.is_empty())
        })?;
    }
    let accepted = guest.accepted.iter().collect::<BTreeSet<_>>().len();
    ensure!(settled.len() == accepted, "{} of {accepted} accepted settled", settled.len());
    let mut audit: Option<Audit> = None;
    until(|| {
        audit = Some(gateway.client().get("/v1/audit")?);
        Ok(audit.as_ref().is_some_and(|audit| audit.ok))
    })
    .with_context(|| {
        format!("the audit finds {:?}", audit.as_ref().map(|audit| &audit.findings))
    })?;
    let books: Books = gateway.client().get("/v1/books")?;
    ensure!(books.currencies.values().all(|book| book.balanced && book.sum == 0), "{books:?}");
    for node in nodes {
        node.stop()?;
    }
    gateway.stop()?;
    Ok(format!("{accepted} payments settled; the audit finds nothing").into())
}
