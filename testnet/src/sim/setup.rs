//! The morning of a run: banks with their certificates and money, gateways, people with enrolled
//! keys and a grant each. Nothing fails yet.

use super::adversary::Mind;
use super::bank::Host;
use super::canary::Bug;
use super::check::{Books, Truth};
use super::coverage::Coverage;
use super::device::Device;
use super::event::Event;
use super::identity::{Identity, network};
use super::movement::{Habit, Mover};
use super::people::{LIMIT, Wish};
use super::radio::Air;
use super::random::{Dice, Purpose};
use super::report::Counters;
use super::scenario::Scenario;
use super::schedule::Schedule;
use super::trace::Trace;
use super::witness::Witness;
use super::world::{Node, Phase, World};
use anyhow::{Context, Result};
use hundi_engine::{Command, Config};
use hundi_journal::account::CustomerId;
use hundi_journal::input::{Input, Operation, OperationKind};
use hundi_ledger::id::BankNumber;
use hundi_ledger::money::{Amount, Currency};
use hundi_ledger::sign::Verifier;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Milliseconds after which the last of the people has got up.
const UP_MS: u64 = 60_000;

impl World {
    /// The world of a seed at its first moment.
    pub(super) fn new(seed: u64, scenario: Scenario, canary: Option<Bug>) -> Result<Self> {
        let network = network(seed, scenario.banks)?;
        let movers = movers(seed, &scenario);
        let count = scenario.gateways + scenario.nodes;
        let mut world = Self {
            seed,
            network: network.clone(),
            phase: Phase::Setup,
            schedule: Schedule::default(),
            trace: Trace::new(),
            nodes: Vec::new(),
            hosts: Vec::new(),
            air: Air::new(Dice::new(seed, Purpose::Radio), movers),
            people: Dice::new(seed, Purpose::People),
            disks: (0..count).map(|node| Dice::new(seed, Purpose::Disk(node))).collect(),
            faults: BTreeMap::new(),
            schemes: BTreeMap::new(),
            truth: Truth::default(),
            coverage: Coverage::new(&scenario),
            counters: Counters::default(),
            violation: None,
            keys: 0,
            scenario,
            canary,
            verifier: Rc::new(RefCell::new(Verifier::remembering())),
            witness: Witness::new(network.encode()),
            stage: None,
            watch: None,
            differs: None,
            stopped: false,
        };
        for node in 0..count {
            world.add_node(node)?;
        }
        for number in 1..=world.scenario.banks {
            world.add_bank(BankNumber(number))?;
        }
        for node in world.scenario.gateways..count {
            world.add_person(node)?;
        }
        world.begin();
        Ok(world)
    }

    fn add_node(&mut self, node: u32) -> Result<()> {
        let scenario = &self.scenario;
        let phone = node.checked_sub(scenario.gateways);
        let mut config = Config { intake: phone.is_none(), ..Config::default() };
        let mut identity = None;
        if phone.is_some() {
            config.scope_bits = scenario.scope_bits;
            // Some drop all they can from memory after every call: nobody can tell.
            if node.is_multiple_of((scenario.nodes / 8).max(3)) {
                config.resident_authors = 0;
            }
            identity = Some(self.next_identity(node));
        }
        let network = self.network.clone();
        let mut device =
            Device::new(self.seed, node, config, network, identity, Rc::clone(&self.verifier));
        device.sends_early = self.canary == Some(Bug::SendsBeforePersist);
        device.ignores_read_errors = self.canary == Some(Bug::IgnoresReadErrors);
        device.disk.lies = self.canary == Some(Bug::LyingDisk);
        device.disk.hoards = self.canary == Some(Bug::NeverDeletes);
        device.start().map_err(|error| anyhow::anyhow!("node {node}: {}", error.0))?;
        let scheme = phone.and_then(|phone| self.scenario.adversaries.get(phone as usize));
        let scheme = scheme.copied();
        if let Some(identity) = identity {
            self.truth.owners.insert(identity.author(), node);
            if scheme.is_some() {
                self.truth.unsafe_keys.insert(identity.author());
            }
        }
        if scheme.is_some() {
            self.schemes.insert(node, Dice::new(self.seed, Purpose::Adversary(node)));
        }
        self.nodes.push(Node {
            device,
            site: phone.is_none().then_some(node % u32::from(self.scenario.banks)),
            customer: phone.map(customer),
            links: BTreeSet::new(),
            wishes: BTreeMap::new(),
            commands: 0,
            heard: BTreeSet::new(),
            waiting: BTreeMap::new(),
            wake_ms: None,
            fuse: None,
            gathered: Vec::new(),
            crash_unsynced: false,
            scheme,
            mind: scheme.map(Mind::new),
            identities: identity.into_iter().collect(),
        });
        Ok(())
    }

    /// Keys that nobody has had before, for the person of a node.
    pub(super) fn next_identity(&mut self, node: u32) -> Identity {
        let number = self.keys;
        self.keys += 1;
        let banks = u32::from(self.scenario.banks);
        let bank = BankNumber((node % banks) as u16 + 1);
        Identity::new(self.seed, number, bank)
    }

    fn add_bank(&mut self, number: BankNumber) -> Result<()> {
        let bank = self.hosts.len() as u32;
        self.hosts.push(Host::new(
            self.seed,
            number,
            self.network.clone(),
            Rc::clone(&self.verifier),
        ));
        self.truth.books.push(Books::new(self.network.id(), number));
        self.witness.bank(self.seed, number);
        self.start_bank(bank);
        // What the guarantees of all grants need, or the last to come would get none.
        let grants = u64::from(self.scenario.nodes / 10).max(100);
        self.operate(bank, OperationKind::Provision, grants * LIMIT)
    }

    /// Moves money at a bank.
    pub(super) fn operate(&mut self, bank: u32, kind: OperationKind, minor: u64) -> Result<()> {
        let mut reference = [0; 16];
        reference.copy_from_slice(&self.people.bytes()[..16]);
        let amount = Amount::new(minor)?;
        let operation = Operation { kind, currency: Currency::new("INR")?, amount, reference };
        self.ask_bank(bank, Input::Operate(operation));
        Ok(())
    }

    fn add_person(&mut self, node: u32) -> Result<()> {
        let customer = self.nodes[node as usize].customer.context("a person has an account")?;
        let bank = node % u32::from(self.scenario.banks);
        self.ask_bank(bank, Input::OpenCustomer { customer });
        self.operate(bank, OperationKind::Fund(customer), 10 * LIMIT)?;
        self.enrol(node)
    }

    /// Enrols the key that a phone has now, with a grant, and hands the phone what it needs.
    pub(super) fn enrol(&mut self, node: u32) -> Result<()> {
        let at = &self.nodes[node as usize];
        let customer = at.customer.context("a person has an account")?;
        let identity = at.device.identity.context("a phone has keys")?;
        let bank = node % u32::from(self.scenario.banks);
        let (key, sealing) = (identity.author().key, identity.keys().sealing.public());
        let currency = Currency::new("INR")?;
        let display_name = None;
        self.ask_bank(bank, Input::Enrol { customer, key, sealing, currency, display_name });
        self.issue(bank, key);
        // The person waits at the counter until it is done.
        self.bank_synced(bank, self.hosts[bank as usize].life);
        self.hand_records(node);
        Ok(())
    }

    /// What a customer gets at the counter: all certificates, and the own grants.
    fn hand_records(&mut self, node: u32) {
        let me = self.nodes[node as usize].device.identity.map(|it| it.author());
        let mut items = Vec::new();
        for host in &self.hosts {
            items.extend(host.certificates());
            items.extend(me.into_iter().flat_map(|me| host.records_about(&me)));
        }
        self.command(node, Command::Publish { items }, Wish::Else);
    }

    /// Everything is durable; life begins.
    fn begin(&mut self) {
        for site in 0..self.scenario.gateways {
            if let Some(bank) = self.node(site).site {
                self.publish_records(site, bank);
            }
        }
        self.run_until(1_000);
        self.phase = Phase::Storm;
        for node in 0..self.nodes.len() as u32 {
            let wait_ms = self.people.between(0, UP_MS);
            self.schedule.after(wait_ms, Event::Scan { node });
            if self.node(node).site.is_none() {
                let wait_ms = UP_MS + self.people.between(0, 5 * UP_MS);
                self.schedule.after(wait_ms, Event::Person { node });
            } else {
                self.schedule.after(1_000, Event::Rescan { site: node });
            }
            if !self.node(node).is_honest() {
                self.schedule.after(UP_MS, Event::Scheme { node });
            }
        }
        for bank in 0..self.hosts.len() as u32 {
            self.schedule.after(1_000, Event::BankTick { bank });
            self.schedule.after(2_000, Event::Bulletin { bank });
        }
        self.schedule.after(super::check::INSPECT_MS, Event::Inspect);
        self.plan_faults();
    }
}

fn customer(phone: u32) -> CustomerId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&(phone + 1).to_le_bytes());
    CustomerId(id)
}

fn movers(seed: u64, scenario: &Scenario) -> Vec<Mover> {
    let villages = scenario.radio.villages;
    let mover = |node: u32| match node.checked_sub(scenario.gateways) {
        None => Mover::new(seed, node, 0, Habit::Stays, &scenario.radio),
        Some(phone) => {
            let habit = match phone % 8 {
                7 if villages > 1 => Habit::Bus,
                3 | 5 if villages > 1 => Habit::Commuter,
                _ => Habit::Villager,
            };
            Mover::new(seed, node, phone % villages, habit, &scenario.radio)
        }
    };
    (0..scenario.gateways + scenario.nodes).map(mover).collect()
}
