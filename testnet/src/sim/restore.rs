//! An old copy of a bank's books: how it comes to be in the place of the books, and what the bank's
//! operator does about it. `docs/operators.md` has the procedure: a bank that meets its own later
//! records stops; if the newer books are found, they are put back; else, and for what was signed
//! from the copy in the meantime, the bank is resumed above what it met.

use super::check::Books;
use super::event::Event;
use super::world::World;
use hundi_journal::input::Input;

/// Milliseconds until somebody looks into why a bank has stopped.
const OPERATOR_MS: u64 = 300_000;
/// Records that one visit resumes above: more than a run signs.
const RESUMES_MAX: u32 = 100_000;

impl World {
    /// A copy is made of a bank's books.
    pub(super) fn copy_books(&mut self, bank: u32) {
        let host = &mut self.hosts[bank as usize];
        let image = self.nodes[bank as usize].device.disk.image();
        host.copy = Some((host.durable(), image));
    }

    /// A bank is started from the copy, and its node from one of its store.
    pub(super) fn restore_books(&mut self, bank: u32) {
        let copy = self.hosts[bank as usize].copy.take();
        let Some((books, image)) = copy.filter(|_| self.is_stormy()) else { return };
        self.crash(bank);
        self.truth.contradicting.insert(self.hosts[bank as usize].number);
        self.node(bank).device.replace_disk(image);
        let newer = self.replace_books(bank, books);
        // Every second time the newer books turn up again: the copy was started by mistake.
        let found = self.disks[bank as usize].percent(50);
        self.hosts[bank as usize].newer = found.then_some(newer);
        self.counters.restored += 1;
    }

    fn replace_books(&mut self, bank: u32, books: super::bank::Journal) -> super::bank::Journal {
        let host = &mut self.hosts[bank as usize];
        let replaced = host.replace_books(books);
        let mut books = Books::new(self.network.id(), host.number);
        for event in host.events() {
            books.feed(event, &self.network.id());
        }
        let former = std::mem::replace(&mut self.truth.books[bank as usize], books);
        let books = &self.truth.books[bank as usize];
        let lost = former.outcomes.keys().filter(|id| !books.outcomes.contains_key(*id));
        self.truth.taken_back.extend(lost.copied());
        self.truth.taken_back.extend(former.settled.difference(&books.settled).copied());
        replaced
    }

    /// Somebody is to look into why a bank has stopped.
    pub(super) fn call_operator(&mut self, bank: u32) {
        let host = &mut self.hosts[bank as usize];
        if !std::mem::replace(&mut host.operator_called, true) {
            self.schedule.after(OPERATOR_MS, Event::Operator { bank });
        }
    }

    /// Puts the newer books back if they are there; else resumes until nothing is met any more.
    pub(super) fn operator_comes(&mut self, bank: u32) {
        self.hosts[bank as usize].operator_called = false;
        if !self.hosts[bank as usize].is_stopped() {
            return;
        }
        if let Some(newer) = self.hosts[bank as usize].newer.take() {
            let durable = self.hosts[bank as usize].crash(usize::MAX);
            self.books_events(bank, &durable);
            self.replace_books(bank, newer);
            return self.start_bank(bank);
        }
        for _ in 0..RESUMES_MAX {
            self.ask_bank(bank, Input::Resume);
            for site in 0..self.scenario.gateways {
                if self.node(site).site == Some(bank) {
                    self.look_at_everything(site);
                }
            }
            if !self.hosts[bank as usize].is_stopped() {
                return;
            }
        }
    }
}
