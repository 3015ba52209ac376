//! Evidence against the bank itself: a record with its signature that does not agree with its
//! books, such as two gateways' records with one version. The bank stops until an operator has
//! looked into it; going on could sign a second contradiction, or settle what was settled.

use crate::bank::Work;
use crate::event::Change;
use crate::output::{Later, Notification, Verdict};
use alloc::vec::Vec;
use hundi_ledger::id::Hash;
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
