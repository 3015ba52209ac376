//! What a cheat may cost a bank, by the loss rule: all grants of one customer draw on one
//! guarantee, one payee gets at most half of it, and nothing is paid that reached the bank when its
//! claims were over. Added up from the durable events alone.

use hundi_journal::account::{CustomerId, Party};
use hundi_journal::event::{Change, Event};
use hundi_ledger::id::{Hash, NetworkId, PublicKey, Serial};
use hundi_ledger::record::checkpoint::Outcome;
use std::collections::BTreeMap;

/// The guarantees of one bank's customers, and what was drawn on them.
#[derive(Default)]
pub(in super::super) struct Losses {
    customers: BTreeMap<PublicKey, CustomerId>,
    /// The largest guarantee of any grant of a customer, minor units.
    guarantees: BTreeMap<CustomerId, u64>,
    claims_until: BTreeMap<(PublicKey, Serial), u64>,
    /// Whose entry, under which grant, and when it became durable.
    entries: BTreeMap<Hash, (PublicKey, Serial, u64)>,
    provisional: BTreeMap<Hash, (CustomerId, Party, u64)>,
    /// The first loss beyond the rule.
    pub(super) beyond: Option<String>,
}

impl Losses {
    pub(super) fn feed(&mut self, event: &Event, network: &NetworkId) {
        match &event.change {
            Change::Enrolled { author, customer, .. } => {
                self.customers.insert(*author, *customer);
            }
            Change::GrantIssued { grant, .. } => {
                let author = grant.author.key;
                self.claims_until.insert((author, grant.serial), grant.claim_until.into());
                if let Some(customer) = self.customers.get(&author) {
                    let most = self.guarantees.entry(*customer).or_default();
                    *most = (*most).max(grant.guarantee.minor());
                }
            }
            Change::EntryReceived { header, .. } => {
                let header = &header.header;
                let received = (header.author.key, header.serial, event.at);
                self.entries.insert(header.id(network), received);
            }
            Change::Decided { entry, outcome: Outcome::Settled, .. } => self.came_in_time(entry),
            Change::PaidProvisionally { entry, party, from_guarantee, .. } => {
                self.came_in_time(entry);
                self.draw(entry, *party, from_guarantee.minor());
            }
            Change::TakenBack { entry } => {
                self.provisional.remove(entry);
            }
            _ => {}
        }
    }

    fn came_in_time(&mut self, entry: &Hash) {
        let Some((author, serial, at)) = self.entries.get(entry) else { return };
        if self.claims_until.get(&(*author, *serial)).is_some_and(|until| at >= until) {
            self.found(format!("entry {entry} came when claims were over, and is paid"));
        }
    }

    fn draw(&mut self, entry: &Hash, party: Party, minor: u64) {
        let Some((author, ..)) = self.entries.get(entry) else { return };
        let Some(customer) = self.customers.get(author).copied() else { return };
        self.provisional.insert(*entry, (customer, party, minor));
        let guarantee = self.guarantees.get(&customer).copied().unwrap_or(0);
        let of_customer = self.provisional.values().filter(|(of, ..)| *of == customer);
        let (mut all, mut to_one) = (0, 0);
        for (_, to, minor) in of_customer {
            all += minor;
            to_one += if *to == party { *minor } else { 0 };
        }
        if all > guarantee || 2 * to_one > guarantee {
            let what = format!("{all} of a guarantee of {guarantee} drawn, {to_one} by one payee");
            self.found(what);
        }
    }

    fn found(&mut self, what: String) {
        self.beyond.get_or_insert(what);
    }
}
