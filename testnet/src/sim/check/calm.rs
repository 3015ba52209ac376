//! When faults have stopped and adversaries have fallen silent: everything honest settles, all
//! honest nodes hold the same core (I1, I2, I6), and once claims are over the books end as the loss
//! rule says.

use super::super::Invariant;
use super::super::world::{Node, Phase, World};
use super::Known;
use hundi_engine::wallet::PaymentState;
use hundi_journal::audit::Auditor;
use hundi_journal::bank::{Bank, Profile};
use hundi_journal::input::Input;
use hundi_journal::state::Standing;
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::record::checkpoint::Outcome;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::proof::Claim;
use hundi_ledger::replica::Key;
use std::collections::{BTreeMap, BTreeSet};

/// Minutes within which a mesh of this many nodes must have settled everything.
fn minutes_max(nodes: usize) -> u64 {
    30 + nodes as u64 / 10
}

impl World {
    /// Ends the storm and demands liveness within a bound.
    pub(in super::super) fn calm_down(&mut self) {
        self.end_storm();
        let honest = self.honest_nodes();
        for minute in 1.. {
            self.run_until(self.now_ms() + 60_000);
            if self.violation.is_some() || self.stopped {
                return;
            }
            let Some((invariant, what)) = self.unfinished() else {
                self.counters.calm_minutes = minute;
                self.witness_moment(true);
                return self.inspect();
            };
            if minute >= minutes_max(honest.len()) {
                return self.violated(invariant, format!("after {minute} calm minutes {what}"));
            }
        }
    }

    fn honest_nodes(&self) -> Vec<u32> {
        let nodes = (0..).zip(&self.nodes);
        nodes.filter(|(_, node)| node.is_honest()).map(|(node, _)| node).collect()
    }

    fn end_storm(&mut self) {
        self.phase = Phase::Calm;
        self.air.sides = None;
        // First of all: the end of a link is the occasion on which a device goes down, too.
        for at in &mut self.nodes {
            (at.fuse, at.crash_unsynced) = (None, false);
        }
        for node in 0..self.nodes.len() as u32 {
            self.cut_links(node);
        }
        self.faults_pass();
        let honest = self.honest_nodes();
        for (node, at) in (0..).zip(&mut self.nodes) {
            if !at.is_honest() {
                at.device.crash(usize::MAX);
                continue;
            }
            at.device.mend();
            at.device.clock = Default::default();
            if at.device.is_up() && at.device.disk.unsynced() > 0 {
                let life = at.device.life;
                self.schedule.after(1, super::super::event::Event::Synced { node, life });
            }
        }
        for node in &honest {
            self.restart(*node);
        }
        // One component with short ways: a ring, and a chord from everybody across it.
        let count = honest.len();
        let stride = (count / 3).max(2);
        let mut linked = BTreeSet::new();
        for at in 0..count {
            for (way, to) in [(at + 1) % count, (at + stride) % count].into_iter().enumerate() {
                let pair = (honest[at.min(to)], honest[at.max(to)]);
                if pair.0 != pair.1 && linked.insert(pair) {
                    self.begin_link([honest[at], honest[to]], way == 0 && at % 3 == 0, 10, 250_000);
                }
            }
        }
    }

    /// What is not as it must be in the end, if anything is not.
    fn unfinished(&self) -> Option<(Invariant, String)> {
        let honest = self.honest_nodes();
        if let Some(node) = honest.iter().find(|node| !self.nodes[**node as usize].device.is_up()) {
            return Some((Invariant::Durable, format!("node {node} is down")));
        }
        if let Some(bank) = self.hosts.iter().position(|host| host.is_stopped()) {
            return Some((Invariant::NoLoss, format!("bank {bank} has stopped")));
        }
        if let Some(what) = self.disagreement(&honest) {
            return Some(what);
        }
        let payments = self.truth.payments.iter();
        payments.filter_map(|(id, known)| self.unsettled(id, known)).next()
    }

    /// I1 and I6: one core and one opinion about who is proven.
    fn disagreement(&self, honest: &[u32]) -> Option<(Invariant, String)> {
        let scoped = self.scenario.scope_bits > 0;
        let engines = honest.iter().filter_map(|node| {
            let at = &self.nodes[*node as usize];
            Some((*node, at.site.is_some(), at.device.engine.as_ref()?))
        });
        let engines: Vec<_> = engines.collect();
        let whole: Vec<_> = engines.iter().filter(|(_, site, _)| *site || !scoped).collect();
        let (first, _, engine) = whole.first()?;
        let proven = |engine: &hundi_engine::Engine| engine.status().proven;
        let held = proven(engine);
        let other = engines.iter().find(|(_, _, it)| proven(it) != held);
        if let Some((other, ..)) = other {
            let what = format!("nodes {first} and {other} hold other proofs");
            return Some((Invariant::Evidence, what));
        }
        if let Some(author) = self.unproven(honest, &held) {
            let what =
                format!("{author} contradicts itself on honest disks, and nobody has a proof");
            return Some((Invariant::Evidence, what));
        }
        if let Some((other, ..)) = whole.iter().find(|(_, _, it)| it.digest() != engine.digest()) {
            let missing = self.difference(*first, *other).chain(self.difference(*other, *first));
            let missing: Vec<String> = missing.take(4).collect();
            let what = format!("nodes {first} and {other} hold other cores: {missing:?}");
            return Some((Invariant::Convergence, what));
        }
        None
    }

    /// Somebody whose entries on honest disks contradict each other without being proven.
    fn unproven(&self, honest: &[u32], proven: &[AuthorId]) -> Option<AuthorId> {
        let network = self.network.id();
        let mut claims: BTreeMap<AuthorId, BTreeMap<Hash, Claim>> = BTreeMap::new();
        for node in honest {
            let image = self.nodes[*node as usize].device.disk.image();
            for (key, item) in image.every_item() {
                let Key::Entry(author, id) = *key else { continue };
                if !proven.contains(&author)
                    && let Ok(Item::Entry(entry)) = Item::decode(&network, item)
                {
                    let claim = Claim::of(entry.header(), id);
                    claims.entry(author).or_default().insert(id, claim);
                }
            }
        }
        let contradicts = |claims: &BTreeMap<Hash, Claim>| {
            claims.values().any(|one| claims.values().any(|other| one.contradicts(other)))
        };
        claims.into_iter().find(|(_, claims)| contradicts(claims)).map(|(author, _)| author)
    }

    /// What one node holds and another does not.
    fn difference(&self, one: u32, other: u32) -> impl Iterator<Item = String> {
        let keys = |node: u32| -> BTreeSet<Key> {
            let device = &self.nodes[node as usize].device;
            let engine = device.engine.as_ref();
            engine.map(|engine| engine.keys(&device.disk)).into_iter().flatten().collect()
        };
        let (held, lacking) = (keys(one), keys(other));
        held.into_iter()
            .filter(move |key| !lacking.contains(key))
            .map(move |key| format!("{one} has {key:?}"))
    }

    /// I2 while claims last: whoever was paid honestly is, and both sides know.
    fn unsettled(&self, id: &Hash, known: &Known) -> Option<(Invariant, String)> {
        let payer = known.payer?;
        // A phone that is lost takes what only it had with it.
        let key_of = |node: u32| self.nodes[node as usize].identities.last().map(|it| it.author());
        let kept = key_of(payer);
        let accepted =
            known.accepted_by.is_some() && known.accepted_by == known.payee.and_then(key_of);
        let has_copy = accepted || known.signed && kept == Some(known.author);
        let other_books = self.truth.two_faced.contains(&known.author.bank);
        if !has_copy || !known.pays || other_books || self.is_taken_back(&known.author, id) {
            return None;
        }
        let unsettled = |what: &str| Some((Invariant::NoLoss, format!("payment {id} {what}")));
        match self.outcome(&known.author, id) {
            None => return unsettled("has not reached its bank"),
            Some(Outcome::Settled) => {}
            Some(Outcome::Returned | Outcome::RejectedRefused) if self.may_refuse(known) => {}
            Some(Outcome::RejectedFrozen) if kept != Some(known.author) => {}
            Some(Outcome::RejectedLate) if self.reached_late(&known.author, id) => {}
            Some(outcome) => return unsettled(&format!("is {outcome:?}")),
        }
        let open = |node: u32| {
            let device = &self.nodes[node as usize].device;
            let view = device.engine.as_ref()?.payment(id, &device.disk)?;
            let open = matches!(
                view.state,
                PaymentState::Signed | PaymentState::Delivered | PaymentState::Received
            );
            open.then_some(view.state.word())
        };
        let payee = known.payee.filter(|_| accepted);
        let nodes = [(kept == Some(known.author)).then_some(payer), payee];
        for node in nodes.into_iter().flatten() {
            if let Some(word) = open(node).filter(|_| self.nodes[node as usize].is_honest()) {
                return unsettled(&format!("is decided, and {word} at node {node}"));
            }
        }
        None
    }

    /// Whether the payee has refused, or its key is in hands that may have.
    fn may_refuse(&self, known: &Known) -> bool {
        let copied = |payee: &Node| {
            let mut authors = payee.identities.iter().map(|it| it.author());
            !payee.is_honest() || authors.any(|author| !self.is_safe(&author))
        };
        known.refused || known.payee.is_none_or(|payee| copied(&self.nodes[payee as usize]))
    }

    /// What a bank has durably decided.
    fn outcome(&self, author: &AuthorId, id: &Hash) -> Option<Outcome> {
        let at = self.hosts.iter().position(|host| host.number == author.bank)?;
        self.truth.books.get(at)?.outcomes.get(id).copied()
    }

    /// Whether an entry reached its bank after the claim-until of its grant.
    fn reached_late(&self, author: &AuthorId, id: &Hash) -> bool {
        let late = || {
            let at = self.hosts.iter().position(|host| host.number == author.bank)?;
            let received = *self.truth.books.get(at)?.received.get(id)?;
            let bank = self.hosts[at].bank.as_ref()?;
            let serial = bank.entry(id)?.claim.serial;
            let grant = bank.grant(&author.key, serial)?;
            Some(received >= u64::from(grant.grant.claim_until))
        };
        late().unwrap_or(false)
    }

    /// Lets all claims end and all reviews close, and looks at the books as a whole.
    pub(in super::super) fn end_claims(&mut self) {
        for node in 0..self.nodes.len() as u32 {
            self.cut_links(node);
        }
        let minutes = u64::from(self.scenario.expiry_minutes + self.scenario.claim_minutes);
        let wait_ms = 60_000 * minutes + 9 * 24 * 3_600_000;
        self.claim_what_was_kept_back();
        for _ in 0..3 {
            self.schedule.forget_all();
            self.schedule.next(self.now_ms() + wait_ms);
            for bank in 0..self.hosts.len() as u32 {
                self.ask_bank(bank, Input::Tick);
                let open = self.hosts[bank as usize].bank.iter().flat_map(|bank| bank.cases());
                let open: Vec<_> = open.filter(|(_, case)| case.closed.is_none()).collect();
                let open: Vec<_> = open.into_iter().map(|(author, _)| *author).collect();
                for author in open {
                    self.ask_bank(bank, Input::CloseCase { author, denied: Vec::new() });
                }
                let told = self.hosts[bank as usize].sync();
                self.books_events(bank, &told);
            }
            self.claim_what_was_kept_back();
        }
        for bank in 0..self.hosts.len() {
            if let Some((invariant, what)) = self.wrong_in_the_end(bank) {
                self.violated(invariant, format!("bank {bank}: {what}"));
            }
        }
    }

    fn wrong_in_the_end(&self, at: usize) -> Option<(Invariant, String)> {
        let host = &self.hosts[at];
        let bank = host.bank.as_ref()?;
        let mut replayed = Bank::new(self.network.clone(), host.number, Profile::default())?;
        for event in host.events() {
            if let Err(error) = replayed.apply(event) {
                let what = format!("event {} does not follow: {error}", event.number);
                return Some((Invariant::Durable, what));
            }
        }
        if replayed.snapshot() != bank.snapshot() {
            return Some((Invariant::Durable, "its events replay to another state".into()));
        }
        let audited = Auditor::clone(&self.truth.books.get(at)?.auditor).finish();
        if let Some(finding) = audited.findings.first() {
            return Some((Invariant::Conservation, finding.to_string()));
        }
        for row in bank.books().trial_balance() {
            let held = audited.balances.get(&(row.account, row.currency)).copied().unwrap_or(0);
            if held != row.balance {
                let what =
                    format!("{} is {} and adds up to {held}", row.account.label(), row.balance);
                return Some((Invariant::Conservation, what));
            }
        }
        for (id, entry) in bank.entries() {
            match entry.standing {
                Standing::Decided(_) | Standing::HeaderOnly => {}
                standing => {
                    return Some((Invariant::NoLoss, format!("entry {id} stays {standing:?}")));
                }
            }
        }
        let payments = self.truth.payments.iter();
        let lost = payments.filter(|(_, known)| known.author.bank == host.number);
        lost.filter_map(|(id, known)| self.lost(bank, id, known)).next()
    }

    /// I2 in the end: what an honest payee accepted below all contradictions of its payer, and
    /// what reached the bank in time, is paid.
    fn lost(&self, bank: &Bank, id: &Hash, known: &Known) -> Option<(Invariant, String)> {
        let payee_honest = known.payee.is_some_and(|it| self.nodes[it as usize].is_honest());
        let taken_back = self.is_taken_back(&known.author, id);
        if known.accepted_by.is_none() || !known.pays || !payee_honest || taken_back {
            return None;
        }
        let entry = bank.entry(id)?;
        if entry.standing == Standing::HeaderOnly {
            return None;
        }
        let key = &known.author.key;
        let case = bank.cases().get(key);
        let lowest = case.and_then(|case| case.lowest.get(&entry.claim.serial));
        let above = lowest.is_some_and(|lowest| entry.claim.spent_total > *lowest);
        let frozen = bank.authors().get(key).is_some_and(|author| author.freeze.is_some());
        match self.outcome(&known.author, id) {
            Some(Outcome::Settled) => None,
            Some(Outcome::RejectedLate) if self.reached_late(&known.author, id) => None,
            Some(Outcome::RejectedUncovered) if above => None,
            Some(Outcome::RejectedFrozen) if frozen => None,
            Some(Outcome::Returned | Outcome::RejectedRefused) if self.may_refuse(known) => None,
            outcome => {
                let what = format!("accepted payment {id} ends as {outcome:?}");
                Some((Invariant::NoLoss, what))
            }
        }
    }
}
