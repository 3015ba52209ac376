//! TEMPORARY: the replica's view that the on-disk replica brings.
use crate::id::{AuthorId, Hash};
use crate::record::item::Subject;
use crate::replica::accumulator::Accumulator;
use crate::replica::range::{Range, position};
use crate::replica::{Key, Replica, Shelf, author::Author};

impl Replica {
    pub(crate) fn author_at(&self, id: &AuthorId, _: &dyn Shelf) -> Option<&Author> {
        self.author(id)
    }
    pub(crate) fn authors_in(&self, range: Range) -> impl Iterator<Item = (&AuthorId, &Hash)> {
        let network = self.network();
        self.elements().iter().filter_map(move |(subject, element)| match subject {
            Subject::Author(author)
                if range == Range::ALL || range.contains(position(&network, author)) =>
            {
                Some((author, element))
            }
            _ => None,
        })
    }
    pub(crate) fn head_elements(&self) -> impl Iterator<Item = (Subject, Hash)> {
        let banks = self.elements().iter().filter_map(|(subject, element)| {
            matches!(subject, Subject::Bank(_)).then_some((*subject, *element))
        });
        let evidence =
            self.evidence_elements().map(|(author, element)| (Subject::Author(*author), *element));
        banks.chain(evidence)
    }
    pub(crate) fn head_fingerprint(&self, key: &[u8; 32]) -> [u8; 8] {
        let mut sum = Accumulator::default();
        self.head_elements().for_each(|(_, element)| sum.replace(None, Some(&element)));
        sum.fingerprint(key)
    }
    pub(crate) fn cached(&self) -> impl Iterator<Item = (Key, Hash)> {
        let entries = self.authors().flat_map(|(author, known)| {
            known.cached().map(move |claim| (Key::Entry(*author, claim.id), claim.id))
        });
        entries.chain(self.receipts().map(|(signer, id)| (Key::Receipt(*signer, *id), *id)))
    }
}
impl Replica {
    pub(crate) fn core_len(&self) -> u64 {
        self.elements().len() as u64
    }
}
impl Replica {
    pub(crate) fn scope(&self) -> Range {
        Range::ALL
    }
}
