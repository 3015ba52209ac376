//! Evidence against the bank itself: a record with its signature that does not agree with its
//! books, such as two gateways' records with one version. The bank stops until an operator has
//! looked into it; going on could sign a second contradiction, or settle what was settled. When it
//! goes on, it goes on above what it met: it signs no second content under that version. What the
//! record stood for is not in the books all the same; only the books' own events bring it back.

use crate::apply::remember;
use crate::bank::Work;
use crate::event::Change;
use crate::output::{Later, Notification, Verdict};
use crate::state::{FreezeState, State};
use alloc::vec::Vec;
use hundi_ledger::id::{Hash, NetworkId};
use hundi_ledger::record::item::Item;

/// What the books say about a record that the bank signed.
enum Finding {
    /// The books made it, or something later.
    Known,
    /// The books never made it.
    Lacking,
    /// Another bank's.
    Elsewhere,
}

impl Work<'_> {
    /// Compares a verified bank record with the books.
    pub(crate) fn compare_with_books(&mut self, item: &Item) -> Verdict {
        match self.find(item) {
            Finding::Known => Verdict::Taken { id: item.id(), duplicate: true },
            Finding::Elsewhere => Verdict::Later(Later::OtherBank),
            Finding::Lacking if self.state().acknowledged.contains(&item.id()) => {
                Verdict::Taken { id: item.id(), duplicate: true }
            }
            Finding::Lacking => {
                let change = Change::FaultFound { item: item.encode(), id: item.id() };
                self.record(change, Vec::new());
                self.notify(Notification::Stopped);
                Verdict::Later(Later::Stopped)
            }
        }
    }

    fn find(&self, item: &Item) -> Finding {
        let state = self.state();
        let id = item.id();
        let known = |known| if known { Finding::Known } else { Finding::Lacking };
        // Of versions older than those remembered nothing can be said any more.
        let version = |held: Option<&Hash>, oldest: Option<u32>, number: u32| {
            known(held == Some(&id) || oldest.is_some_and(|oldest| number < oldest))
        };
        match item {
            Item::Certificate(record) if record.bank == state.bank => {
                let bytes = record.encode();
                known(state.certificates.contains(&bytes))
            }
            Item::Grant(record) if record.author.bank == state.bank => {
                let grant = state.grant(&record.author.key, record.serial);
                known(grant.is_some_and(|grant| grant.id == id))
            }
            Item::Freeze(record) if record.author.bank == state.bank => {
                let author = state.authors.get(&record.author.key);
                let freeze = author.and_then(|author| author.freeze);
                known(freeze.is_some_and(|freeze| freeze.id == id))
            }
            Item::Checkpoint(record) if record.author.bank == state.bank => {
                let author = state.authors.get(&record.author.key);
                let held = author.and_then(|author| author.checkpoints.get(&record.number));
                let oldest = author.and_then(|it| it.checkpoints.keys().next().copied());
                version(held, oldest, record.number)
            }
            Item::Bulletin(record) if record.bank == state.bank => {
                let oldest = state.bulletins.keys().next().copied();
                version(state.bulletins.get(&record.epoch), oldest, record.epoch)
            }
            _ => Finding::Elsewhere,
        }
    }

    pub(crate) fn resume(&mut self) {
        if self.state().fault.is_some() {
            self.record(Change::Resumed, Vec::new());
        }
    }
}

impl State {
    /// Takes over from a record that these books never made what may not be signed again.
    pub(crate) fn go_on_above(&mut self, network: &NetworkId, item: &[u8], at: u64) {
        match Item::decode(network, item) {
            Ok(Item::Checkpoint(record)) => {
                let key = record.author.key;
                let author = self.authors.get_mut(&key);
                if let Some(author) = author.filter(|it| it.checkpoint < record.number) {
                    author.checkpoint = record.number;
                    remember(&mut author.checkpoints, record.number, record.id());
                }
                // The record that was met is in force in the mesh, and its author may never pay again:
                // what the books say has to be told above it.
                self.note(key, true, at);
            }
            Ok(Item::Bulletin(record)) if record.epoch >= self.epoch => {
                self.epoch = record.epoch.saturating_add(1);
                remember(&mut self.bulletins, record.epoch, record.id());
            }
            Ok(Item::Freeze(record)) => {
                // The next digest has to cover it, and its payees have to be able to know.
                self.epoch = self.epoch.max(record.epoch);
                if let Some(author) = self.authors.get_mut(&record.author.key) {
                    let (epoch, reason, id) = (record.epoch, record.reason, record.id());
                    author.freeze.get_or_insert(FreezeState { epoch, reason, id });
                }
            }
            Ok(Item::Grant(record)) => {
                if let Some(author) = self.authors.get_mut(&record.author.key) {
                    author.serial_above = author.serial_above.max(record.serial);
                }
            }
            _ => {}
        }
    }
}
