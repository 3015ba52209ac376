//! Payers who sign what no honest device signs: the same seam for each, another twist.

use super::super::identity::START;
use super::super::world::World;
use super::forge::{self, Place};
use hundi_ledger::id::{Hash, Serial};
use hundi_ledger::record::entry::Entry;
use hundi_ledger::request::PaymentRequest;

/// How a payment is twisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Twist {
    /// Says to have been signed weeks ago.
    Backdates,
    /// Claims an interval that another payment has claimed.
    FalseTotal,
    /// Keeps every second entry to itself, and what lies between does not fit.
    BreaksNeighbours,
    /// Wraps a key that does not open the body for the bank.
    WrongKey,
    /// Grows a second branch of many entries before anybody sees it.
    LongBranch,
}

/// Entries of a long branch.
const BRANCH: u32 = 20;
/// Frames that wait for a link.
const WAITING_MAX: usize = 64;

/// A payer with a twist. It offers to its payees and tells everybody else.
pub(in super::super) struct TwistedPayer {
    twist: Twist,
    sequence: u32,
    previous: Hash,
    spent: u64,
    waiting: Vec<(u32, Entry)>,
}

impl TwistedPayer {
    pub(super) fn new(twist: Twist) -> Self {
        Self { twist, sequence: 0, previous: Hash([0; 32]), spent: 0, waiting: Vec::new() }
    }

    pub(super) fn request(
        &mut self,
        world: &mut World,
        me: u32,
        payee: u32,
        request: &PaymentRequest,
    ) -> bool {
        let odd = !self.sequence.is_multiple_of(2);
        let now = START + (world.now_ms() / 1000) as u32;
        let mut place = Place {
            sequence: self.sequence,
            previous: self.previous,
            serial: Serial(1),
            start: self.spent,
            time: now,
            wrong_key: false,
        };
        match self.twist {
            Twist::Backdates => place.time = now - 30 * 24 * 3_600,
            Twist::FalseTotal if odd => place.start = self.spent.saturating_sub(7),
            Twist::BreaksNeighbours if odd => place.start = self.spent + 3,
            Twist::WrongKey => place.wrong_key = true,
            Twist::LongBranch if self.sequence == 3 => {
                self.grow_branch(world, me, payee, request, now);
            }
            _ => {}
        }
        let minor = request.amount.map_or(10, |amount| amount.minor());
        if self.sign(world, me, payee, &place, minor, request).is_some() {
            self.deliver_everywhere(world, me);
        }
        true
    }

    fn sign(
        &mut self,
        world: &mut World,
        me: u32,
        payee: u32,
        place: &Place,
        minor: u64,
        request: &PaymentRequest,
    ) -> Option<()> {
        let identity = world.node(me).device.identity?;
        let entry = forge::payment(world, identity, place, minor, request)?;
        self.sequence = place.sequence + 1;
        self.previous = entry.id();
        self.spent = place.start + minor;
        // The middle stays at home; its neighbours are seen.
        let withheld = self.twist == Twist::BreaksNeighbours && place.sequence % 4 == 2;
        if !withheld && self.waiting.len() < WAITING_MAX {
            self.waiting.push((payee, entry));
        }
        Some(())
    }

    /// Another story from the first entry on.
    fn grow_branch(
        &mut self,
        world: &mut World,
        me: u32,
        payee: u32,
        request: &PaymentRequest,
        time: u32,
    ) {
        let stem = (self.sequence, self.previous, self.spent);
        (self.sequence, self.previous, self.spent) = (0, Hash([0; 32]), 0);
        for _ in 0..BRANCH {
            let (sequence, previous, start) = (self.sequence, self.previous, self.spent);
            let (serial, wrong_key) = (Serial(1), false);
            let place = Place { sequence, previous, serial, start, time, wrong_key };
            if self.sign(world, me, payee, &place, 1, request).is_none() {
                break;
            }
        }
        (self.sequence, self.previous, self.spent) = stem;
    }

    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        self.deliver_everywhere(world, me);
        Some(60_000)
    }

    fn deliver_everywhere(&mut self, world: &mut World, me: u32) {
        for link in world.node(me).links.clone() {
            self.link_up(world, me, link);
        }
    }

    /// Offers to its payee what waits; a stranger gets the rest, once.
    pub(super) fn link_up(&mut self, world: &mut World, me: u32, link: u64) {
        let Some(peer) = world.peer(me, link) else { return };
        for (payee, entry) in std::mem::take(&mut self.waiting) {
            let stranger = world.schemes.get_mut(&me).is_some_and(|dice| dice.percent(30));
            if payee == peer {
                if let Some(frame) = forge::as_offer(world, me, &entry, None) {
                    world.transmit(me, link, frame);
                }
            } else if stranger {
                world.transmit(me, link, forge::as_item(&entry));
            } else {
                self.waiting.push((payee, entry));
            }
        }
    }
}
