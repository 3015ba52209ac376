//! The audit of a bank's store: `hundi_journal::audit` over the stored events, whether a replay (or
//! the running bank) arrives at the same journal hash, and whether the bank's newest bulletin, which
//! others hold as well, states the hash that the events before it have.

use crate::journal_store::{JournalStore, OpenJournalError};
use hundi_journal::audit::Auditor;
use hundi_journal::event::{Change, Event};
use hundi_ledger::id::{BankNumber, Hash, NetworkId};
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::Key;
use hundi_node::store::ReadError;
use serde_json::{Value, json};

/// What an audit says.
#[derive(Clone, Debug)]
pub struct Audited {
    /// What the auditor recomputed.
    pub report: hundi_journal::audit::Report,
    /// Everything that must not be, in words.
    pub findings: Vec<String>,
}

impl Audited {
    /// Whether nothing was found.
    pub fn ok(&self) -> bool {
        self.findings.is_empty()
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let report = &self.report;
        let sums = report.sums.iter().map(|(currency, sum)| (currency.code(), sum.to_string()));
        json!({
            "ok": self.ok(),
            "findings": self.findings,
            "events": report.events,
            "transactions": report.transactions,
            "entries": report.entries,
            "settled": report.settled,
            "erased": report.erased,
            "sums": sums.collect::<std::collections::BTreeMap<_, _>>(),
            "head": report.head.to_string(),
        })
    }
}

/// Audits what is stored. `bank` is what a running bank holds: its last event and journal hash.
///
/// # Errors
/// When the events cannot be read; damage is one of the reasons.
pub fn audit(
    journal: &JournalStore,
    network: NetworkId,
    number: BankNumber,
    bank: Option<(u64, Hash)>,
) -> Result<Audited, OpenJournalError> {
    let stated = stated_head(journal, &network, number)?;
    Ok(audit_events(&journal.events()?, network, number, bank, stated))
}

/// What the bank's newest bulletin states: its id and the journal hash.
///
/// # Errors
/// When it cannot be read.
pub fn stated_head(
    journal: &JournalStore,
    network: &NetworkId,
    number: BankNumber,
) -> Result<Option<Stated>, ReadError> {
    let item = journal.record(&Key::Bulletin(number))?;
    Ok(match item.and_then(|item| Item::decode(network, &item).ok()) {
        Some(Item::Bulletin(bulletin)) => {
            Some(Stated { bulletin: bulletin.id(), head: bulletin.journal_head })
        }
        _ => None,
    })
}

/// What the newest bulletin states.
#[derive(Clone, Copy, Debug)]
pub struct Stated {
    /// The bulletin's id.
    pub bulletin: Hash,
    /// The journal hash before it.
    pub head: Hash,
}

/// Events that cannot be read are a finding, too.
pub fn unreadable(error: &OpenJournalError, network: NetworkId, number: BankNumber) -> Audited {
    let mut audited = audit_events(&[], network, number, None, None);
    audited.findings.push(error.to_string());
    audited
}

/// Audits events that have been read.
pub fn audit_events(
    events: &[Event],
    network: NetworkId,
    number: BankNumber,
    bank: Option<(u64, Hash)>,
    stated: Option<Stated>,
) -> Audited {
    let until = bank.map_or(u64::MAX, |(until, _)| until);
    let mut auditor = Auditor::new(network, number);
    let mut head = Hash([0; 32]);
    let mut other = None;
    for event in events.iter().take_while(|event| event.number <= until) {
        if let (Change::BulletinSigned { id, epoch }, Some(stated)) = (&event.change, stated)
            && *id == stated.bulletin
            && head != stated.head
        {
            other = Some(format!(
                "the events before the bulletin of epoch {epoch} are not those it was signed over: \
                 it states {}, they have {head}",
                stated.head
            ));
        }
        head = event.chain(&head);
        auditor.feed(event);
    }
    let report = auditor.finish();
    let mut findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    findings.extend(other);
    if let Some((events, head)) = bank
        && (report.events, report.head) != (events, head)
    {
        findings.push(format!(
            "the running bank is at event {events} with journal hash {head}, the store at {} with {}",
            report.events, report.head
        ));
    }
    Audited { report, findings }
}
