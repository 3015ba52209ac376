//! What honest people do: ask each other for money and pay, refund now and then, and ask their
//! bank for a new grant before the old one is used up. Whoever pays an adversary or is paid by one
//! does not know it.

use super::event::Event;
use super::world::{Phase, World};
use hundi_engine::{Answer, Command, Input};
use hundi_ledger::codec::{List, Text};
use hundi_ledger::money::Amount;
use hundi_ledger::request::PaymentRequest;
use std::collections::BTreeMap;

/// What a person waits for.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// A request to show to this payer.
    Ask { payer: u32 },
    /// To have paid this request.
    Pay { payee: u32, request: PaymentRequest },
    /// Anything whose answer changes nothing for the person.
    Else,
}

/// Minor units that a person can ask for at once.
const ASKED_MAX: u64 = 300;
/// Minor units of every grant.
pub(super) const LIMIT: u64 = 10_000;

impl World {
    /// Gives a device a command.
    pub(super) fn command(&mut self, node: u32, command: Command, wish: Wish) {
        let at = self.node(node);
        at.commands += 1;
        let id = at.commands;
        at.wishes.insert(id, wish);
        self.input(node, Input::Command { id, command });
    }

    /// A person has a moment.
    pub(super) fn person_acts(&mut self, node: u32) {
        if self.phase != Phase::Storm || self.stage.is_some() {
            return;
        }
        let pause_ms = 3_600_000 / u64::from(self.scenario.payments_per_hour.max(1));
        let wait_ms = self.people.between(pause_ms / 4, pause_ms * 7 / 4);
        self.schedule.after(wait_ms, Event::Person { node });
        if !self.node(node).device.is_up() || self.node(node).device.has_failed() {
            return;
        }
        match self.people.below(100) {
            0..=5 => self.refund_something(node),
            6..=7 => self.command(node, Command::Close, Wish::Else),
            _ => {
                self.renew_if_needed(node);
                self.ask_somebody(node);
            }
        }
    }

    fn ask_somebody(&mut self, node: u32) {
        let near: Vec<u32> = self.near(node);
        let payers = near.into_iter().filter(|near| self.nodes[*near as usize].site.is_none());
        let payers: Vec<u32> = payers.collect();
        let Some(payer) = self.people.pick(&payers) else { return };
        let amount = Amount::new(self.people.between(1, ASKED_MAX)).ok();
        let command = Command::Request {
            currency: None,
            amount,
            memo: Text::new("rice").unwrap_or_default(),
            expires_s: 900,
            standing: false,
            hints: List::default(),
        };
        self.command(node, command, Wish::Ask { payer });
    }

    fn refund_something(&mut self, node: u32) {
        let device = &self.nodes[node as usize].device;
        let Some(engine) = &device.engine else { return };
        let history = engine.history(&device.disk);
        let received = history.iter().filter(|view| !view.outgoing && view.refund.is_none());
        let received: Vec<_> = received.map(|view| view.id).collect();
        let Some(payment) = self.people.pick(&received) else { return };
        let sum = self.people.percent(50).then(|| Amount::new(1).ok()).flatten();
        let memo = Text::new("sorry").unwrap_or_default();
        self.command(node, Command::Refund { payment, sum, memo }, Wish::Else);
    }

    /// Asks the bank for the next grant when little is left of this one, or it ends soon.
    fn renew_if_needed(&mut self, node: u32) {
        let device = &self.nodes[node as usize].device;
        let Some(engine) = &device.engine else { return };
        let now = u32::try_from(device.clock.shows(self.now_ms()) / 1000).unwrap_or(u32::MAX);
        let Some(balance) = engine.balance(now, &device.disk) else { return };
        let low = balance.grant.is_none_or(|grant| grant.left.minor() < LIMIT / 4);
        if low && self.people.percent(40) {
            let limit = Amount::new(LIMIT).unwrap_or(Amount::ZERO);
            self.command(node, Command::RequestGrant { limit }, Wish::Else);
        }
    }

    /// A device has answered.
    pub(super) fn answered(&mut self, node: u32, id: u64, answer: Answer) {
        let Some(wish) = self.node(node).wishes.remove(&id) else { return };
        match (wish, answer) {
            (Wish::Ask { payer }, Answer::Request(Ok(request))) => {
                let wait_ms = self.people.between(500, 4_000);
                self.schedule.after(wait_ms, Event::Shown { payer, payee: node, request });
            }
            (Wish::Pay { payee, .. }, Answer::Pay(Ok(id))) => self.told_paid(node, payee, id),
            (Wish::Pay { .. }, Answer::Pay(Err(_))) => self.counters.held_back += 1,
            _ => {}
        }
    }

    /// A payer has read a payee's request.
    pub(super) fn request_shown(&mut self, payer: u32, payee: u32, request: PaymentRequest) {
        let Some(request) = self.kept_by_stage(payer, payee, request) else { return };
        if self.phase != Phase::Storm || !self.node(payer).device.is_up() {
            return;
        }
        if self.scheme_on_request(payer, payee, &request) {
            return;
        }
        let (amount, memo, category, again) = (None, None, 0, false);
        let command = Command::Pay { request: request.clone(), amount, memo, category, again };
        self.command(payer, command, Wish::Pay { payee, request });
    }

    /// A device went down with what its person waited for. Whoever was paying reads the request
    /// again when it is back: paying one request twice is paying it once.
    pub(super) fn wishes_lost(&mut self, node: u32, wishes: BTreeMap<u64, Wish>) {
        for wish in wishes.into_values() {
            if let Wish::Pay { payee, request } = wish
                && self.people.percent(70)
            {
                let wait_ms = self.people.between(5_000, 300_000);
                self.schedule.after(wait_ms, Event::Shown { payer: node, payee, request });
            }
        }
    }
}
