//! The world of one run: nodes, banks, radio and people, and the loop that lets one event after the
//! other happen. What a device wants carried out is carried out here.

use super::adversary::{Kind, Mind};
use super::bank::Host;
use super::canary::Bug;
use super::check::Truth;
use super::coverage::Coverage;
use super::device::{Action, Device, SharedVerifier};
use super::event::Event;
use super::identity::Identity;
use super::people::Wish;
use super::radio::Air;
use super::random::Dice;
use super::replay::Watch;
use super::report::Counters;
use super::scenario::Scenario;
use super::schedule::Schedule;
use super::stage::Stage;
use super::trace::Trace;
use super::witness::Witness;
use super::{Invariant, Violation};
use hundi_engine::{Event as EngineEvent, Input};
use hundi_journal::account::CustomerId;
use hundi_ledger::record::network::Network;
use std::collections::{BTreeMap, BTreeSet};

/// What a run is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is judged and nothing fails yet.
    Setup,
    /// People, faults and adversaries.
    Storm,
    /// An experiment says who meets whom and who pays whom; nothing fails by itself.
    Staged,
    /// Nothing fails any more, nobody schemes, everybody can be reached.
    Calm,
}

/// One node of the mesh: a phone with a person, or a gateway.
pub(super) struct Node {
    pub(super) device: Device,
    /// Which bank it is a gateway of.
    pub(super) site: Option<u32>,
    /// The person's account; none for a gateway.
    pub(super) customer: Option<CustomerId>,
    /// Links that are up or coming up.
    pub(super) links: BTreeSet<u64>,
    /// What its person waits for, by command.
    pub(super) wishes: BTreeMap<u64, Wish>,
    pub(super) commands: u64,
    /// Gossip that has been here, and gossip that waits for the engine's verdict.
    pub(super) heard: BTreeSet<[u8; 32]>,
    pub(super) waiting: BTreeMap<u64, (u64, Vec<u8>)>,
    /// When it will be woken.
    pub(super) wake_ms: Option<u64>,
    /// Crashes after so many more actions.
    pub(super) fuse: Option<u32>,
    /// What its bank is still to be given.
    pub(super) gathered: Vec<Vec<u8>>,
    /// Crashes as soon as something is on its way to the disk.
    pub(super) crash_unsynced: bool,
    /// What kind of adversary it is; none for the honest.
    pub(super) scheme: Option<Kind>,
    /// What an adversary has in mind; out while it thinks.
    pub(super) mind: Option<Mind>,
    /// Numbers of the keys it has had: a phone that lost its keys enrols new ones.
    pub(super) identities: Vec<Identity>,
}

impl Node {
    /// Whether it does what it should.
    pub(super) fn is_honest(&self) -> bool {
        self.scheme.is_none()
    }
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) scenario: Scenario,
    pub(super) network: Network,
    pub(super) phase: Phase,
    pub(super) schedule: Schedule,
    pub(super) trace: Trace,
    pub(super) nodes: Vec<Node>,
    pub(super) hosts: Vec<Host>,
    pub(super) air: Air,
    pub(super) people: Dice,
    pub(super) disks: Vec<Dice>,
    pub(super) faults: BTreeMap<u8, Dice>,
    pub(super) schemes: BTreeMap<u32, Dice>,
    pub(super) truth: Truth,
    pub(super) coverage: Coverage,
    pub(super) counters: Counters,
    pub(super) violation: Option<Violation>,
    /// The next number for a key.
    pub(super) keys: u32,
    pub(super) canary: Option<Bug>,
    pub(super) verifier: SharedVerifier,
    /// What the auditor is to judge.
    pub(super) witness: Witness,
    /// What an experiment has arranged and watches, in a run that is one.
    pub(super) stage: Option<Stage>,
    /// Who follows the run, the first event that was not as it should be, and whether to stop.
    pub(super) watch: Option<Watch>,
    pub(super) differs: Option<u64>,
    pub(super) stopped: bool,
}

impl World {
    pub(super) fn now_ms(&self) -> u64 {
        self.schedule.now_ms()
    }

    /// Lets everything happen that is due by `until_ms`, or until something is violated.
    pub(super) fn run_until(&mut self, until_ms: u64) {
        while self.violation.is_none() && !self.stopped {
            let Some(event) = self.schedule.next(until_ms) else { return };
            self.trace.event(self.now_ms(), &event);
            let caption = self.caption(&event);
            self.happen(event);
            self.watched(caption);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Scan { node } => self.scan(node),
            Event::LinkUp { link, end } => self.link_up(link, end),
            Event::LinkEnds { link } => self.drop_link(link),
            Event::Frame { link, end, bytes } => self.frame_arrives(link, end, bytes),
            Event::Gossip { link, end, bytes } => self.gossip_arrives(link, end, bytes),
            Event::Wake { node, life } => self.wake(node, life),
            Event::Synced { node, life } => self.synced(node, life),
            Event::Person { node } => self.person_acts(node),
            Event::Shown { payer, payee, request } => self.request_shown(payer, payee, request),
            Event::Restart { node } => self.restart(node),
            Event::Fault { kind, count, waited } => self.fault_strikes(kind, count, waited),
            Event::Recovers { kind, node } => self.fault_passes(kind, node),
            Event::Submit { site } => self.submit(site),
            Event::Rescan { site } => self.rescan(site),
            Event::BankSynced { bank, life } => self.bank_synced(bank, life),
            Event::BankTick { bank } => self.bank_tick(bank),
            Event::Bulletin { bank } => self.bank_signs_the_time(bank),
            Event::Renew { bank, author } => self.renew(bank, author),
            Event::Operator { bank } => self.operator_comes(bank),
            Event::Scheme { node } => self.scheme(node),
            Event::Inspect => self.inspect(),
        }
    }

    /// Notes what must not be. The first one ends the run.
    pub(super) fn violated(&mut self, invariant: Invariant, what: String) {
        let at_ms = self.now_ms();
        self.violation.get_or_insert(Violation { invariant, what, at_ms });
    }

    pub(super) fn node(&mut self, node: u32) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    /// Hands an input to a device and carries out what follows.
    pub(super) fn input(&mut self, node: u32, input: Input) {
        let now_ms = self.now_ms();
        let actions = self.nodes[node as usize].device.handle(now_ms, input, &mut self.trace);
        self.carry_out(node, actions);
    }

    fn wake(&mut self, node: u32, life: u32) {
        let now_ms = self.now_ms();
        let at = self.node(node);
        if at.device.life != life || !at.device.is_up() {
            return;
        }
        match at.wake_ms {
            Some(due) if due <= now_ms => {
                at.wake_ms = None;
                self.input(node, Input::Tick);
            }
            Some(due) => self.schedule.at(due, Event::Wake { node, life }),
            None => {}
        }
    }

    fn synced(&mut self, node: u32, life: u32) {
        let now_ms = self.now_ms();
        let device = &mut self.nodes[node as usize].device;
        if device.life != life || !device.is_up() || device.has_failed() {
            return;
        }
        // The writer takes what has queued up, as a whole or one at a time.
        let count = self.disks[node as usize].between(1, 4) as usize;
        let actions = device.synced(now_ms, count, &mut self.trace);
        if device.disk.unsynced() > 0 {
            self.sync_later(node);
        }
        self.carry_out(node, actions);
    }

    /// Has the disk finish its oldest batch after a while.
    fn sync_later(&mut self, node: u32) {
        let device = &self.nodes[node as usize].device;
        let life = device.life;
        let dice = &mut self.disks[node as usize];
        let wait_ms = match device.disk.health {
            super::disk::Health::Slow => dice.between(1_000, 8_000),
            _ if dice.percent(5) => dice.between(20, 400),
            _ => dice.between(1, 8),
        };
        self.schedule.after(wait_ms, Event::Synced { node, life });
    }

    /// Carries out what a device wants, in order, until its fuse burns down.
    pub(super) fn carry_out(&mut self, node: u32, actions: Vec<Action>) {
        self.witness_disk(node);
        if let Some(breach) = self.node(node).device.breach.take() {
            self.violated(Invariant::Contract, format!("node {node}: {breach}"));
        }
        for action in actions {
            if let Some(left) = self.nodes[node as usize].fuse {
                if left == 0 {
                    return self.crash(node);
                }
                self.node(node).fuse = Some(left - 1);
            }
            self.carry_out_one(node, action);
            if !self.node(node).device.is_up() {
                return;
            }
        }
    }

    fn carry_out_one(&mut self, node: u32, action: Action) {
        match action {
            Action::Send(link, bytes) => self.send(node, link.0, bytes),
            Action::Publish(bytes) => self.publish(node, &bytes, None),
            Action::Validate(handle, verdict) => self.gossip_judged(node, handle, verdict),
            Action::Close(link, reason) => self.close(node, link.0, reason),
            Action::Answer(id, answer) => self.answered(node, id, answer),
            Action::Event(event, item) => self.event(node, event, item),
            Action::Syncing => {
                if std::mem::take(&mut self.node(node).crash_unsynced) {
                    self.node(node).fuse = Some(self.disks[node as usize].below(4) as u32);
                }
                if self.node(node).device.disk.unsynced() == 1 {
                    self.sync_later(node);
                }
            }
            Action::Failed => self.store_failed(node),
            Action::Wake(at_ms) => {
                let at = self.node(node);
                let life = at.device.life;
                let sooner = at.wake_ms.is_none_or(|due| at_ms < due);
                at.wake_ms = Some(at_ms);
                if sooner {
                    self.schedule.at(at_ms, Event::Wake { node, life });
                }
            }
        }
    }

    fn event(&mut self, node: u32, event: EngineEvent, item: Option<Vec<u8>>) {
        if let Some(bank) = self.node(node).site {
            self.gather(node, bank, &event, item);
        }
        self.watched_by_stage(node, &event);
        self.told(node, &event);
    }

    /// The power of a node goes, in the middle of whatever it does.
    pub(super) fn crash(&mut self, node: u32) {
        if !self.node(node).device.is_up() {
            return;
        }
        if self.phase == Phase::Calm {
            self.violated(Invariant::Contract, format!("node {node} goes down in the calm"));
        }
        self.counters.crashes += 1;
        let dice = &mut self.disks[node as usize];
        let at = &mut self.nodes[node as usize];
        let kept = dice.below(at.device.disk.unsynced() as u64 + 1) as usize;
        self.witness_crash(node, kept);
        let at = &mut self.nodes[node as usize];
        at.device.crash(kept);
        at.fuse = None;
        at.wake_ms = None;
        at.waiting.clear();
        at.heard.clear();
        at.gathered.clear();
        let links = std::mem::take(&mut at.links);
        let wishes = std::mem::take(&mut at.wishes);
        for link in links {
            self.drop_link(link);
        }
        self.wishes_lost(node, wishes);
        if let Some(bank) = self.hosted_by(node) {
            self.crash_bank(bank);
        }
        let wait_ms = self.disks[node as usize].between(500, 240_000);
        self.schedule.after(wait_ms, Event::Restart { node });
    }

    /// The store takes no writes: the device stands still, and its person starts it again when
    /// there is room.
    fn store_failed(&mut self, node: u32) {
        let now_ms = self.now_ms();
        let actions = self.nodes[node as usize].device.persist_failed(now_ms, &mut self.trace);
        self.carry_out(node, actions);
        self.crash(node);
    }

    /// A device that is down starts, and its gateway's bank with it.
    pub(super) fn restart(&mut self, node: u32) {
        if self.node(node).device.is_up() {
            return;
        }
        if self.phase == Phase::Calm {
            self.node(node).device.mend();
        }
        let started = self.node(node).device.start();
        let failed_reads = self.node(node).device.disk.failed_reads.take();
        if let Err(error) = started {
            if failed_reads > 0 {
                return self.schedule.after(10_000, Event::Restart { node });
            }
            return self.violated(Invariant::Durable, format!("node {node}: {}", error.0));
        }
        self.compare_openings(node);
        self.still_there(node);
        self.input(node, Input::Tick);
        if let Some(bank) = self.hosted_by(node) {
            self.start_bank(bank);
        }
        if let Some(bank) = self.node(node).site {
            self.publish_records(node, bank);
            self.schedule.after(1_000, Event::Rescan { site: node });
        }
    }

    /// The bank whose database stands at a node: that of the first of its gateways.
    pub(super) fn hosted_by(&self, node: u32) -> Option<u32> {
        (node < u32::from(self.scenario.banks)).then_some(node)
    }
}
