//! What an experiment arranges itself, instead of leaving it to chance: who can hear whom, who pays
//! whom and at which moment. It watches when each node holds what it asks about.

use super::people::Wish;
use super::scenario::Scenario;
use super::world::{Phase, World};
use anyhow::{Result, ensure};
use hundi_engine::limits::PUBLISH_ITEMS_MAX;
use hundi_engine::{Command, Event as EngineEvent, Input};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::money::Amount;
use hundi_ledger::replica::Key;
use hundi_ledger::request::PaymentRequest;
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds that a store is given to make durable what people did at once.
const SETTLES_MS: u64 = 10_000;

/// When each node held something, milliseconds of the run.
pub(super) type Arrivals = BTreeMap<u32, u64>;

/// A request that its payer has read.
pub(super) struct Shown {
    pub(super) payer: u32,
    pub(super) payee: u32,
    request: PaymentRequest,
}

/// What an experiment has arranged, and what it has seen.
#[derive(Default)]
pub(super) struct Stage {
    /// Payers who wait for the experiment's word.
    cast: BTreeSet<u32>,
    shown: Vec<Shown>,
    /// Authors whose entries and proofs are of interest.
    watched: BTreeSet<AuthorId>,
    entries: BTreeMap<Hash, Arrivals>,
    proven: BTreeMap<AuthorId, Arrivals>,
}

impl Stage {
    /// The entries of interest that somebody holds.
    pub(super) fn known(&self) -> BTreeSet<Hash> {
        self.entries.keys().copied().collect()
    }

    /// When each node held an entry.
    pub(super) fn held(&self, entry: &Hash) -> Arrivals {
        self.entries.get(entry).cloned().unwrap_or_default()
    }

    /// When each node held a proof against an author.
    pub(super) fn barred(&self, author: &AuthorId) -> Arrivals {
        self.proven.get(author).cloned().unwrap_or_default()
    }
}

impl World {
    /// A world in which an experiment decides what happens: everybody is enrolled, nobody hears
    /// anybody, and nobody does anything.
    pub(super) fn staged(seed: u64, scenario: &Scenario) -> Result<Self> {
        let mut world = Self::new(seed, scenario.clone(), None)?;
        world.phase = Phase::Staged;
        world.stage = Some(Stage::default());
        Ok(world)
    }

    /// The phones' numbers.
    pub(super) fn phones(&self) -> std::ops::Range<u32> {
        self.scenario.gateways..self.nodes.len() as u32
    }

    /// Gives everybody the records of everybody: a village that has been in sync for long.
    pub(super) fn introduce_everybody(&mut self) {
        let records: Vec<Vec<u8>> = self.hosts.iter().flat_map(|host| host.records()).collect();
        for node in self.phones() {
            for items in records.chunks(PUBLISH_ITEMS_MAX) {
                self.command(node, Command::Publish { items: items.to_vec() }, Wish::Else);
            }
        }
        self.pass(SETTLES_MS);
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, ms: u64) {
        self.run_until(self.now_ms() + ms);
    }

    /// Nothing may have been violated so far.
    pub(super) fn still_holds(&self) -> Result<()> {
        ensure!(
            self.violation.is_none(),
            "{}",
            self.violation.iter().map(ToString::to_string).collect::<String>()
        );
        Ok(())
    }

    /// Has a payee ask a payer for money. Both have their word from the experiment only.
    pub(super) fn ask(&mut self, payee: u32, payer: u32, minor: u64) {
        let author = self.node(payer).device.identity.map(|it| it.author());
        if let Some(stage) = &mut self.stage {
            stage.cast.insert(payer);
            stage.watched.extend(author);
        }
        let command = Command::Request {
            currency: None,
            amount: Amount::new(minor).ok(),
            memo: Text::new("rice").unwrap_or_default(),
            expires_s: 900,
            standing: false,
            hints: List::default(),
        };
        self.command(payee, command, Wish::Ask { payer });
    }

    /// A payer has read a request: kept, if an experiment decides when it pays.
    pub(super) fn kept_by_stage(
        &mut self,
        payer: u32,
        payee: u32,
        request: PaymentRequest,
    ) -> Option<PaymentRequest> {
        match self.stage.as_mut().filter(|stage| stage.cast.contains(&payer)) {
            Some(stage) => {
                stage.shown.push(Shown { payer, payee, request });
                None
            }
            None => Some(request),
        }
    }

    /// Waits until the requests that were asked for have been read.
    pub(super) fn read_requests(&mut self) -> Vec<Shown> {
        self.pass(SETTLES_MS);
        self.stage.as_mut().map(|stage| std::mem::take(&mut stage.shown)).unwrap_or_default()
    }

    /// Has a payer pay what it has read, now.
    pub(super) fn pay(&mut self, shown: Shown) {
        let Shown { payer, payee, request } = shown;
        let (amount, memo, category, again) = (None, None, 0, false);
        let command = Command::Pay { request: request.clone(), amount, memo, category, again };
        self.command(payer, command, Wish::Pay { payee, request });
    }

    /// Puts a copy of one phone, keys and all, in the place of another one.
    pub(super) fn clone_phone(&mut self, of: u32, onto: u32) -> Result<()> {
        let original = &self.nodes[of as usize].device;
        let (identity, image) = (original.identity, original.disk.image());
        self.truth.unsafe_keys.extend(identity.map(|it| it.author()));
        let at = self.node(onto);
        at.device.crash(0);
        at.device.identity = identity;
        at.device.replace_disk(image);
        at.wake_ms = None;
        at.device.start().map_err(|error| anyhow::anyhow!("the copy: {}", error.0))?;
        self.input(onto, Input::Tick);
        Ok(())
    }

    /// A phone is thrown away.
    pub(super) fn throw_away(&mut self, node: u32) {
        self.cut_links(node);
        self.node(node).device.crash(usize::MAX);
    }

    /// A device tells of something that an experiment may want to know.
    pub(super) fn watched_by_stage(&mut self, node: u32, event: &EngineEvent) {
        let now_ms = self.now_ms();
        let Some(stage) = &mut self.stage else { return };
        match event {
            EngineEvent::ItemNew { key: Key::Entry(author, id) }
                if stage.watched.contains(author) =>
            {
                stage.entries.entry(*id).or_default().entry(node).or_insert(now_ms);
            }
            EngineEvent::Proven { author } if stage.watched.contains(author) => {
                stage.proven.entry(*author).or_default().entry(node).or_insert(now_ms);
            }
            _ => {}
        }
    }
}
