//! Which checkpoints are due: an author's, from the first event that somebody has to be told of
//! until a checkpoint is signed. It is state like all else, so that a crash between a decision and
//! its checkpoint forgets none.

use crate::event::{Change, Event};
use crate::state::State;
use hundi_ledger::id::{Hash, PublicKey};
use hundi_ledger::record::entry::Class;

impl State {
    /// Notes what an event that is applied means for its author's next checkpoint.
    pub(crate) fn note_change(&mut self, event: &Event) {
        if let Some((author, tell)) = self.told_by(&event.change) {
            self.note(author, tell, event.at);
        }
    }

    /// Whose checkpoint says something else after a change, and whether that has to be told. What
    /// follows from a new grant, or from the end of an old one, is told with the next entry.
    fn told_by(&self, change: &Change) -> Option<(PublicKey, bool)> {
        let of = |entry: &Hash| {
            let header = &self.entries.get(entry)?.header.header;
            Some((header.author.key, header.kind.class() == Class::Money))
        };
        match change {
            Change::GrantIssued { grant, .. } => Some((grant.author.key, false)),
            Change::ClaimsEnded { author, .. } => Some((*author, false)),
            Change::HeaderReceived { header } => Some((header.header.author.key, false)),
            Change::EntryReceived { header, .. } => {
                Some((header.header.author.key, header.header.kind.class() == Class::Money))
            }
            Change::Decided { entry, .. }
            | Change::PaidProvisionally { entry, .. }
            | Change::TakenBack { entry } => of(entry),
            Change::Contradicted { author, .. } | Change::CaseClosed { author } => {
                Some((*author, true))
            }
            _ => None,
        }
    }

    /// Notes that the event which is being applied outdates drafts of an author's checkpoint; with
    /// `tell`, that a checkpoint is due from now on.
    pub(crate) fn note(&mut self, key: PublicKey, tell: bool, at: u64) {
        let number = self.number + 1;
        let Some(author) = self.authors.get_mut(&key) else { return };
        author.changed = number;
        if author.checkpoint == u32::MAX {
            // There is no number for another one.
            if let Some(since) = author.due.take() {
                self.due.remove(&since);
            }
        } else if tell && author.due.is_none() {
            author.due = Some(number);
            self.due.insert(number, (key, at));
        }
    }
}
