//! What a bank makes durable: the books balance (I4), no grant pays more than its limit and
//! guarantee (I3), nothing is paid twice (I5). The adding up is the journal's auditor's, which
//! shares no code with what decides; each signature is verified there once and nowhere else.

use super::super::Invariant;
use super::super::bank::Told;
use super::super::world::World;
use hundi_journal::audit::Finding;
use hundi_journal::event::Change;
use hundi_ledger::record::checkpoint::Outcome;

impl World {
    /// Events that are durable from now on.
    pub(in super::super) fn books_events(&mut self, bank: u32, told: &Told) {
        let network = self.network.id();
        let canary = self.canary;
        self.witness.told(bank, &network, told, canary);
        let Some(books) = self.truth.books.get_mut(bank as usize) else { return };
        for event in &told.events {
            books.auditor.feed(&canary.map_or_else(|| event.clone(), |bug| bug.bend(event)));
            match &event.change {
                Change::EntryReceived { header, .. } => {
                    books.received.insert(header.header.id(&network), event.at);
                }
                Change::Decided { entry, outcome, .. } => {
                    if *outcome == Outcome::Settled {
                        self.counters.settled += u64::from(books.settled.insert(*entry));
                    }
                    books.outcomes.insert(*entry, *outcome);
                }
                Change::Contradicted { proof: Some(_), .. } => self.counters.proofs += 1,
                _ => {}
            }
        }
        let found = books.auditor.findings().get(books.findings..).unwrap_or_default();
        books.findings += found.len();
        if let Some(finding) = found.first() {
            let (invariant, what) = (invariant_of(finding), format!("bank {bank}: {finding}"));
            self.violated(invariant, what);
        }
    }
}

fn invariant_of(finding: &Finding) -> Invariant {
    match finding {
        Finding::Insolvent(..) | Finding::Unfunded(..) | Finding::Overdrawn(..) => {
            Invariant::Solvency
        }
        Finding::Unbalanced(_) | Finding::Sum(..) => Invariant::Conservation,
        Finding::Twice(_)
        | Finding::SettledTwice(..)
        | Finding::WrongAmount(..)
        | Finding::OverReturned(..) => Invariant::ExactlyOnce,
        Finding::Numbering(_) => Invariant::Durable,
        Finding::NoEvidence(..) | Finding::BadEvidence(..) => Invariant::Evidence,
    }
}
