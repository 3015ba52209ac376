//! What a bank makes durable: the books balance (I4), no grant pays more than its limit and
//! guarantee (I3), nothing is paid twice (I5). The adding up is the journal's auditor's, which
//! shares no code with what decides; each signature is verified there once and nowhere else. What a
//! cheat may cost is looked at in [`super::loss`].

use super::super::Invariant;
use super::super::bank::Told;
use super::super::world::World;
use super::Books;
use hundi_journal::audit::Finding;
use hundi_journal::event::{Change, Event};
use hundi_ledger::id::NetworkId;
use hundi_ledger::record::checkpoint::Outcome;

impl Books {
    /// The next durable event.
    pub(in super::super) fn feed(&mut self, event: &Event, network: &NetworkId) {
        self.auditor.feed(event);
        self.losses.feed(event, network);
        match &event.change {
            Change::EntryReceived { header, .. } => {
                self.received.insert(header.header.id(network), event.at);
            }
            Change::GrantIssued { id, .. } => {
                self.grants.insert(*id);
            }
            Change::Decided { entry, outcome, .. } => {
                if *outcome == Outcome::Settled {
                    self.settled.insert(*entry);
                }
                self.outcomes.insert(*entry, *outcome);
            }
            _ => {}
        }
    }
}

impl World {
    /// Events that are durable from now on.
    pub(in super::super) fn books_events(&mut self, bank: u32, told: &Told) {
        let network = self.network.id();
        let canary = self.canary;
        self.witness.told(bank, &network, told, canary);
        let Some(books) = self.truth.books.get_mut(bank as usize) else { return };
        let settled = books.settled.len();
        for event in &told.events {
            books.feed(&canary.map_or_else(|| event.clone(), |bug| bug.bend(event)), &network);
            match &event.change {
                Change::GrantIssued { grant, id, .. } => {
                    self.truth.grants.insert((grant.author, *id));
                }
                Change::PaidProvisionally { from_guarantee, .. } => {
                    self.counters.guaranteed += from_guarantee.minor();
                }
                Change::Contradicted { proof: Some(_), .. } => self.counters.proofs += 1,
                _ => {}
            }
        }
        self.counters.settled += (books.settled.len() - settled) as u64;
        if let Some(what) = books.losses.beyond.take() {
            self.violated(Invariant::LossBound, format!("bank {bank}: {what}"));
        }
        let Some(books) = self.truth.books.get_mut(bank as usize) else { return };
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
