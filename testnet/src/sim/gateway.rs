//! Gateways: what their node hears goes to the bank's intake, what the bank signs goes to the mesh
//! through every gateway of that bank, and a bank that starts does first what the real one does.

use super::Invariant;
use super::event::Event;
use super::identity::certificates;
use super::people::{LIMIT, Wish};
use super::world::{Phase, World};
use hundi_engine::limits::PUBLISH_ITEMS_MAX;
use hundi_engine::{Command, Event as EngineEvent};
use hundi_journal::bank::HandleError;
use hundi_journal::input::{GrantTerms, Input};
use hundi_journal::output::Notification;
use hundi_ledger::id::{PublicKey, Serial};
use hundi_ledger::money::Amount;
use hundi_ledger::record::item::{Item, Subject};
use hundi_ledger::replica::{Key, Shelf};

/// Items in one submission.
const SUBMIT_ITEMS_MAX: usize = 1_024;
/// Milliseconds between two looks at everything that a gateway's node holds.
const RESCAN_MS: u64 = 300_000;
/// Milliseconds between two ticks of a bank.
const TICK_MS: u64 = 30_000;

impl World {
    /// A gateway's node tells of something that its bank may want.
    pub(super) fn gather(
        &mut self,
        site: u32,
        bank: u32,
        event: &EngineEvent,
        item: Option<Vec<u8>>,
    ) {
        let arrived = match event {
            EngineEvent::ItemNew { .. } => item,
            EngineEvent::Intake { bytes } | EngineEvent::BankFault { arrived: bytes, .. } => {
                Some(bytes.clone())
            }
            _ => None,
        };
        let Some(item) = arrived.filter(|item| self.wants(bank, item)) else { return };
        let at = self.node(site);
        at.gathered.push(item);
        if at.gathered.len() == 1 {
            self.schedule.after(20, Event::Submit { site });
        }
    }

    /// Whether an item is of use to a bank, as the gateway decides it.
    pub(super) fn wants(&self, bank: u32, item: &[u8]) -> bool {
        let host = &self.hosts[bank as usize];
        let Ok(decoded) = Item::decode(&self.network.id(), item) else { return false };
        if self.is_withheld(item) {
            return false;
        }
        let about = match decoded.subject() {
            Subject::Bank(bank) => bank,
            Subject::Author(author) => author.bank,
        };
        match &decoded {
            Item::Receipt(receipt) => receipt.payer_bank == host.number,
            Item::Entry(_) | Item::Proof(_) => about == host.number,
            _ => about == host.number && !host.holds(&Key::of(&decoded), item),
        }
    }

    pub(super) fn submit(&mut self, site: u32) {
        let at = self.node(site);
        let Some(bank) = at.site.filter(|_| at.device.is_up()) else { return };
        let items = std::mem::take(&mut at.gathered);
        for items in items.chunks(SUBMIT_ITEMS_MAX) {
            // A bank that is down takes nothing: the next look at everything brings it.
            self.ask_bank(bank, Input::Submit { items: items.to_vec() });
        }
    }

    /// Hands over everything that a gateway's node holds.
    pub(super) fn rescan(&mut self, site: u32) {
        self.look_at_everything(site);
        self.schedule.after(RESCAN_MS, Event::Rescan { site });
    }

    pub(super) fn look_at_everything(&mut self, site: u32) {
        let at = &self.nodes[site as usize];
        let (Some(bank), Some(engine)) = (at.site, &at.device.engine) else { return };
        let keys = engine.keys(&at.device.disk);
        let items = keys.iter().filter_map(|key| at.device.disk.item(key));
        let wanted: Vec<Vec<u8>> = items.filter(|item| self.wants(bank, item)).collect();
        for items in wanted.chunks(SUBMIT_ITEMS_MAX) {
            self.ask_bank(bank, Input::Submit { items: items.to_vec() });
        }
    }

    /// Has a bank decide; what follows waits for its disk. Returns whether it was not refused.
    pub(super) fn ask_bank(&mut self, bank: u32, input: Input) -> bool {
        if let Input::Submit { items } = &input {
            self.witness.submitted(bank, &self.network.id(), items);
        }
        let now_ms = self.now_ms();
        let host = &mut self.hosts[bank as usize];
        let waited = host.unsynced() > 0;
        let done = host.handle(now_ms, input, &mut self.trace);
        if host.is_stopped() {
            self.call_operator(bank);
        }
        let host = &mut self.hosts[bank as usize];
        match done {
            Some(Ok(())) => {
                let life = host.life;
                if self.phase == Phase::Setup {
                    self.bank_synced(bank, life);
                } else if !waited {
                    let wait_ms = self.disks[bank as usize].between(2, 60);
                    self.schedule.after(wait_ms, Event::BankSynced { bank, life });
                }
                true
            }
            Some(Err(HandleError::Stopped)) => {
                self.counters.stopped += 1;
                false
            }
            Some(Err(_)) | None => false,
        }
    }

    /// What a bank has decided is durable: now it may be told.
    pub(super) fn bank_synced(&mut self, bank: u32, life: u32) {
        let host = &mut self.hosts[bank as usize];
        if host.life != life || host.bank.is_none() {
            return;
        }
        let told = host.sync();
        self.books_events(bank, &told);
        for notification in told.notifications {
            if let Notification::GrantRequested { author, .. } = notification {
                let wait_ms = self.people.between(1_000, 60_000);
                self.schedule.after(wait_ms, Event::Renew { bank, author: author.0 });
            }
        }
        self.publish_everywhere(bank, &told.records);
    }

    pub(super) fn publish_everywhere(&mut self, bank: u32, records: &[Vec<u8>]) {
        for site in 0..self.scenario.gateways {
            if self.node(site).site == Some(bank) {
                self.publish_at(site, records);
            }
        }
    }

    fn publish_at(&mut self, site: u32, records: &[Vec<u8>]) {
        for items in records.chunks(PUBLISH_ITEMS_MAX) {
            if self.node(site).device.is_up() {
                self.command(site, Command::Publish { items: items.to_vec() }, Wish::Else);
            }
        }
    }

    /// What the mesh may lack since a gateway's last run.
    pub(super) fn publish_records(&mut self, site: u32, bank: u32) {
        let records = self.hosts[bank as usize].records();
        self.publish_at(site, &records);
    }

    /// A bank's process goes down; what had reached its disk will count.
    pub(super) fn crash_bank(&mut self, bank: u32) {
        let unsynced = self.hosts[bank as usize].unsynced() as u64;
        let kept = self.disks[bank as usize].below(unsynced + 1) as usize;
        let durable = self.hosts[bank as usize].crash(kept);
        self.books_events(bank, &durable);
    }

    /// A bank's process starts: certificates, what its nodes hold, what is due, the time.
    pub(super) fn start_bank(&mut self, bank: u32) {
        if let Err(error) = self.hosts[bank as usize].start() {
            return self.violated(Invariant::Durable, format!("bank {bank}: {error:#}"));
        }
        let number = self.hosts[bank as usize].number;
        match certificates(self.seed, &self.network.id(), number) {
            Ok(records) => {
                for record in records {
                    self.ask_bank(bank, Input::InstallCertificate { record });
                }
            }
            Err(error) => {
                return self.violated(Invariant::Contract, format!("bank {bank}: {error:#}"));
            }
        }
        for site in 0..self.scenario.gateways {
            if self.node(site).site == Some(bank) {
                self.look_at_everything(site);
            }
        }
        self.ask_bank(bank, Input::Tick);
        self.ask_bank(bank, Input::Bulletin);
    }

    pub(super) fn bank_tick(&mut self, bank: u32) {
        self.ask_bank(bank, Input::Tick);
        self.schedule.after(TICK_MS, Event::BankTick { bank });
    }

    pub(super) fn bank_signs_the_time(&mut self, bank: u32) {
        self.ask_bank(bank, Input::Bulletin);
        let wait_ms = 1_000 * u64::from(self.network.definition().epoch_seconds);
        self.schedule.after(wait_ms, Event::Bulletin { bank });
    }

    /// The bank's policy: whoever asks gets the next grant if the account holds as much.
    pub(super) fn renew(&mut self, bank: u32, author: [u8; 32]) {
        self.issue(bank, PublicKey(author));
    }

    /// Issues the next grant to an author, on the scenario's terms.
    pub(super) fn issue(&mut self, bank: u32, author: PublicKey) -> Option<Serial> {
        let limit = Amount::new(LIMIT).ok()?;
        let terms = GrantTerms {
            expiry_seconds: 60 * self.scenario.expiry_minutes,
            claim_seconds: 60 * self.scenario.claim_minutes,
            guarantee: Amount::new(LIMIT / 10).ok()?,
            ..GrantTerms::prefunded(limit)
        };
        self.ask_bank(bank, Input::IssueGrant { author, terms });
        let known = self.hosts[bank as usize].bank.as_ref()?.authors().get(&author)?;
        known.grants.keys().next_back().copied()
    }
}
