//! A payer and its payees in one hand: several customers of a bank, of whom nobody knows that they
//! belong together. The payer signs one place of its log for each of them, so that the guarantee
//! has to pay; and a launderer pays strangers in the same place, while its payee sends the money
//! back to it before anybody has seen both.

use super::super::identity::{Identity, START};
use super::super::world::World;
use super::forge::{self, Place};
use hundi_journal::account::CustomerId;
use hundi_journal::input::Input;
use hundi_ledger::id::{BankNumber, Hash, Serial};
use hundi_ledger::money::Currency;
use hundi_ledger::record::entry::Entry;
use hundi_ledger::record::item::Item;
use hundi_ledger::request::PaymentRequest;

/// Payees of its own.
const MULES: u32 = 5;
/// Numbers of their keys: above those of people.
const MULE_KEYS: u32 = 1 << 22;
/// What empties the reserve, and what is then left for the guarantee, minor units.
const LARGE: u64 = 9_900;
const SMALL: u64 = 400;
/// Entries that wait for a link.
const WAITING_MAX: usize = 64;

pub(in super::super) struct Colluder {
    launders: bool,
    mules: Vec<Identity>,
    signed: bool,
    waiting: Vec<Entry>,
    kept: Vec<Vec<u8>>,
}

impl Colluder {
    pub(super) fn new(launders: bool) -> Self {
        Self { launders, mules: Vec::new(), signed: false, waiting: Vec::new(), kept: Vec::new() }
    }

    pub(super) fn kept_back(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.kept
    }

    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        if self.mules.is_empty() {
            self.open_accounts(world, me);
        } else if !self.signed && world.schemes.get_mut(&me)?.percent(40) {
            self.sign(world, me);
        }
        for link in world.node(me).links.clone() {
            self.link_up(world, me, link);
        }
        Some(world.schemes.get_mut(&me)?.between(30_000, 240_000))
    }

    /// Its payees open accounts at its bank, each under a name of its own.
    fn open_accounts(&mut self, world: &mut World, me: u32) {
        let bank = me % u32::from(world.scenario.banks);
        let Ok(currency) = Currency::new("INR") else { return };
        for count in 0..MULES {
            let number = MULE_KEYS + me * MULES + count;
            let mule = Identity::new(world.seed, number, BankNumber(bank as u16 + 1));
            let mut customer = CustomerId([0; 16]);
            customer.0[4..8].copy_from_slice(&number.to_le_bytes());
            let (key, sealing) = (mule.author().key, mule.keys().sealing.public());
            let display_name = None;
            if !world.ask_bank(bank, Input::OpenCustomer { customer }) {
                return self.mules.clear(); // Nobody is there: later.
            }
            world.ask_bank(bank, Input::Enrol { customer, key, sealing, currency, display_name });
            world.truth.owners.insert(mule.author(), me);
            world.truth.unsafe_keys.insert(mule.author());
            self.mules.push(mule);
        }
    }

    /// Pays each of its payees in the same place.
    fn sign(&mut self, world: &mut World, me: u32) {
        self.signed = true;
        let Some(identity) = world.node(me).device.identity else { return };
        for (count, mule) in self.mules.clone().into_iter().enumerate() {
            let minor = if count == 0 { LARGE } else { SMALL };
            let Some(request) = forge::request(world, mule, time(world)) else { return };
            let Some(entry) = self.pay(world, identity, minor, &request) else { return };
            if self.launders && count == 0 {
                let payer = identity.keys().sealing.public();
                let back = forge::refund(world, mule, 0, Hash([0; 32]), &entry, &payer);
                self.waiting.extend(back);
            }
            let Some(dice) = world.schemes.get_mut(&me) else { return };
            if count > 0 && dice.percent(50) {
                self.kept.push(Item::Entry(entry).encode());
            } else {
                self.waiting.push(entry);
            }
        }
    }

    fn pay(
        &self,
        world: &World,
        identity: Identity,
        minor: u64,
        request: &PaymentRequest,
    ) -> Option<Entry> {
        let place = Place {
            sequence: 0,
            previous: Hash([0; 32]),
            serial: Serial(1),
            start: 0,
            time: time(world),
            wrong_key: false,
        };
        forge::payment(world, identity, &place, minor, request)
    }

    /// A stranger asks for money: a launderer pays everybody in the same place.
    pub(super) fn request(
        &mut self,
        world: &mut World,
        me: u32,
        payee: u32,
        request: &PaymentRequest,
    ) -> bool {
        let identity = world.node(me).device.identity.filter(|_| self.launders);
        let Some(identity) = identity else { return true };
        let minor = request.amount.map_or(SMALL, |amount| amount.minor());
        let Some(entry) = self.pay(world, identity, minor, request) else { return true };
        world.counters.double_spends += 1;
        for link in world.node(me).links.clone() {
            if world.peer(me, link) == Some(payee)
                && let Some(frame) = forge::as_offer(world, me, &entry, None)
            {
                world.transmit(me, link, frame);
            }
        }
        true
    }

    /// Tells the next one whom it meets what is to reach the bank.
    pub(super) fn link_up(&mut self, world: &mut World, me: u32, link: u64) {
        self.waiting.truncate(WAITING_MAX);
        for entry in std::mem::take(&mut self.waiting) {
            world.transmit(me, link, forge::as_item(&entry));
        }
    }
}

fn time(world: &World) -> u32 {
    START + (world.now_ms() / 1000) as u32
}
