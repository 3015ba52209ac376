//! After every step: what leaves a device is durable there, what a person is told agrees with the
//! books, and nobody honest is accused.

use super::super::Invariant;
use super::super::people::Wish;
use super::super::world::{Phase, World};
use super::Known;
use hundi_engine::Event;
use hundi_engine::wallet::{PaymentState, PaymentView, Purpose};
use hundi_ledger::id::Hash;
use hundi_ledger::offer::Offer;
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::record::receipt::PayeeVerdict;
use hundi_ledger::replica::Key;
use hundi_ledger::sync::TAG_ITEM;

/// The tag of an offer on a link.
const TAG_OFFER: u8 = 16;

impl World {
    /// A frame leaves a device: an own entry in it is durable there (I7).
    pub(in super::super) fn leaves(&mut self, node: u32, bytes: &[u8]) {
        match bytes.split_first() {
            Some((&TAG_ITEM, item)) => self.leaves_as_item(node, item),
            Some((&TAG_OFFER, offer)) => {
                if let Ok(offer) = Offer::decode(offer) {
                    self.leaves_as_item(node, &offer.entry);
                }
            }
            _ => {}
        }
    }

    /// An item leaves a device.
    pub(in super::super) fn leaves_as_item(&mut self, node: u32, item: &[u8]) {
        let device = &self.nodes[node as usize].device;
        let Some(me) = device.identity.filter(|_| self.nodes[node as usize].is_honest()) else {
            return;
        };
        let Ok(Item::Entry(entry)) = Item::decode(&self.network.id(), item) else { return };
        let (id, author) = (entry.id(), entry.header().author);
        if author == me.author() && device.disk.is_on_its_way(&Key::entry(author, id)) {
            let what = format!("node {node} sends its entry {id} before it is durable");
            self.violated(Invariant::NoFraming, what);
        }
    }

    /// A person is told that something was paid.
    pub(in super::super) fn told_paid(&mut self, node: u32, payee: u32, id: Hash) {
        self.counters.payments += 1;
        if !self.nodes[node as usize].is_honest() {
            return;
        }
        self.note(node, id);
        self.witness.told_signed(&id);
        if let Some(known) = self.truth.payments.get_mut(&id) {
            (known.signed, known.payee) = (true, Some(payee));
        }
    }

    /// A device tells of something.
    pub(in super::super) fn told(&mut self, node: u32, event: &Event) {
        if !self.nodes[node as usize].is_honest() {
            return;
        }
        match event {
            Event::PaymentChanged { id, .. } => self.note(node, *id),
            Event::Proven { author } if self.is_safe(author) => {
                let what = format!("node {node} holds a proof against honest author {author}");
                self.violated(Invariant::NoFraming, what);
            }
            Event::Stopped => {
                let me = self.nodes[node as usize].device.identity.map(|it| it.author());
                if let Some(me) = me {
                    self.witness.stopped(me);
                }
                if me.is_some_and(|me| self.is_safe(&me)) {
                    let what = format!("honest node {node} has stopped signing");
                    self.violated(Invariant::NoFraming, what);
                }
            }
            Event::BankFault { arrived, .. } if !self.may_contradict(arrived) => {
                let what = format!("node {node} holds two records where its bank may sign one");
                self.violated(Invariant::NoFraming, what);
            }
            _ => {}
        }
    }

    /// Whether a record is of a bank that may have signed another one with its version.
    fn may_contradict(&self, record: &[u8]) -> bool {
        let item = Item::decode(&self.network.id(), record);
        item.is_ok_and(|item| match item.subject() {
            Subject::Bank(bank) => self.truth.contradicting.contains(&bank),
            Subject::Author(author) => self.truth.contradicting.contains(&author.bank),
        })
    }

    /// Looks at what a wallet says about one of its entries, and notes it.
    fn note(&mut self, node: u32, id: Hash) {
        let device = &self.nodes[node as usize].device;
        let Some(engine) = &device.engine else { return };
        let Some(view) = engine.payment(&id, &device.disk) else {
            return self.violated(Invariant::Durable, format!("node {node} has lost entry {id}"));
        };
        let Some(me) = device.identity.map(|it| it.author()) else { return };
        let Some(author) = (if view.outgoing { Some(me) } else { view.party }) else { return };
        let owner = self.truth.owners.get(&author).copied();
        let payer = owner.filter(|_| self.is_safe(&author));
        let pays = match view.purpose {
            Purpose::Payment { .. } => true,
            Purpose::Refund { .. } => false,
            _ => return,
        };
        let known = self.truth.payments.entry(id).or_insert(Known {
            payer,
            author,
            payee: None,
            signed: false,
            accepted_by: None,
            refused: false,
            pays,
        });
        if !view.outgoing {
            known.payee = Some(node);
            if view.verdict == Some(PayeeVerdict::Accepted) && pays {
                let now_ms = self.schedule.now_ms();
                self.witness.told_accepted(me, id, view.sum.minor(), now_ms);
            }
            if view.verdict == Some(PayeeVerdict::Accepted) {
                known.accepted_by = Some(me);
            }
            known.refused |= view.verdict.is_some_and(|it| it != PayeeVerdict::Accepted);
        }
        self.agrees_with_books(node, &view, author);
    }

    /// What a wallet calls settled or rejected, the books have durably decided so.
    fn agrees_with_books(
        &mut self,
        node: u32,
        view: &PaymentView,
        author: hundi_ledger::id::AuthorId,
    ) {
        let books = self.hosts.iter().position(|host| host.number == author.bank);
        let Some(books) = books.and_then(|at| self.truth.books.get(at)) else { return };
        let outcome = books.outcomes.get(&view.id).copied();
        let other_books =
            self.truth.taken_back.contains(&view.id) || self.truth.two_faced.contains(&author.bank);
        let agrees = match view.state {
            _ if other_books => true,
            PaymentState::Settled => books.settled.contains(&view.id),
            PaymentState::Rejected => outcome.is_none_or(|it| it != Outcome::Settled),
            _ => true,
        };
        if !agrees {
            let state = view.state.word();
            let what = format!("node {node} calls {} {state}, its bank {outcome:?}", view.id);
            self.violated(Invariant::ExactlyOnce, what);
        }
    }

    /// After a start: all that its person was told of is still there.
    pub(in super::super) fn still_there(&mut self, node: u32) {
        let device = &self.nodes[node as usize].device;
        let (Some(engine), Some(me)) = (&device.engine, device.identity) else { return };
        let me = me.author();
        if !self.nodes[node as usize].is_honest() {
            return;
        }
        let told = self.truth.payments.iter().filter(|(_, known)| {
            let signed = known.signed && known.author == me;
            signed || known.accepted_by == Some(me)
        });
        let lost = told.map(|(id, _)| *id).find(|id| engine.payment(id, &device.disk).is_none());
        if let Some(id) = lost {
            self.violated(Invariant::Durable, format!("node {node} was told of {id} and lost it"));
        }
    }

    /// A start from summaries is the same as one in full. Looked at now and then: it verifies all
    /// that is stored.
    pub(in super::super) fn compare_openings(&mut self, node: u32) {
        if self.disks[node as usize].below(4) != 0 {
            return;
        }
        let device = &self.nodes[node as usize].device;
        let Ok(Some(opened)) = device.opened() else { return };
        match device.loaded() {
            Err(error) => {
                self.violated(Invariant::Durable, format!("node {node}: {}", error.0));
            }
            Ok(loaded) => {
                let same = opened.status() == loaded.status()
                    && opened.history(&device.disk) == loaded.history(&device.disk);
                if !same {
                    let what = format!(
                        "node {node} starts from summaries as {:?} and in full as {:?}",
                        opened.status(),
                        loaded.status()
                    );
                    self.violated(Invariant::Convergence, what);
                }
            }
        }
    }

    /// Whether a person waits for an answer in a storm: liveness is demanded in the calm only.
    pub(in super::super) fn is_stormy(&self) -> bool {
        self.phase == Phase::Storm
    }

    /// How many answers a node owes its person.
    pub(in super::super) fn owed(&self, node: u32) -> usize {
        let wishes = self.nodes[node as usize].wishes.values();
        wishes.filter(|wish| !matches!(wish, Wish::Else)).count()
    }
}
