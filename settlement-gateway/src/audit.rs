//! The audit of a bank's store: `hundi_journal::audit` over the stored events, a replay of the
//! same events, and whether both agree with each other and with the running bank.

use crate::journal_store::{JournalStore, OpenJournalError};
use hundi_journal::audit::Auditor;
use hundi_journal::event::Event;
use hundi_ledger::id::{BankNumber, Hash, NetworkId};
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
    Ok(audit_events(&journal.events()?, network, number, bank))
}

/// Audits events that have been read.
pub fn audit_events(
    events: &[Event],
    network: NetworkId,
    number: BankNumber,
    bank: Option<(u64, Hash)>,
) -> Audited {
    let until = bank.map_or(u64::MAX, |(until, _)| until);
    let mut auditor = Auditor::new(network, number);
    events.iter().take_while(|event| event.number <= until).for_each(|event| auditor.feed(event));
    let report = auditor.finish();
    let mut findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
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
