//! The double-spender: one sequence number, several payees. How each of them hears of its payment
//! is thrown anew every time: from the spender itself, from a stranger, or both.

use super::super::identity::START;
use super::super::world::World;
use super::forge::{self, Place};
use hundi_ledger::id::{Hash, Serial};
use hundi_ledger::record::entry::{Entry, SignedHeader};
use hundi_ledger::request::PaymentRequest;

/// Minor units of every payment that is signed twice.
const MINOR: u64 = 40;
/// Frames that wait for a link.
const WAITING_MAX: usize = 64;

/// How a payee is to hear of a payment.
#[derive(Clone, Copy)]
enum Way {
    Offer,
    ByOthers,
}

#[derive(Default)]
pub(in super::super) struct DoubleSpender {
    /// Requests that are to be paid with one sequence number.
    asked: Vec<(u32, PaymentRequest)>,
    sequence: u32,
    previous: Option<(Hash, SignedHeader)>,
    spent: u64,
    waiting: Vec<(u32, Way, Entry, Option<SignedHeader>)>,
}

impl DoubleSpender {
    pub(super) fn request(
        &mut self,
        world: &mut World,
        me: u32,
        payee: u32,
        request: &PaymentRequest,
    ) -> bool {
        self.asked.push((payee, request.clone()));
        let Some(dice) = world.schemes.get_mut(&me) else { return true };
        if self.asked.len() as u64 > dice.below(4) {
            self.sign(world, me);
        }
        true
    }

    /// Pays everybody who has asked, each as if there were no other.
    fn sign(&mut self, world: &mut World, me: u32) {
        let Some(identity) = world.node(me).device.identity else { return };
        let time = START + (world.now_ms() / 1000) as u32;
        let previous = self.previous.clone();
        let place = Place {
            sequence: self.sequence,
            previous: previous.as_ref().map_or(Hash([0; 32]), |(id, _)| *id),
            serial: Serial(1),
            start: self.spent,
            time,
            wrong_key: false,
        };
        let mut last = None;
        for (payee, request) in std::mem::take(&mut self.asked) {
            let minor = request.amount.map_or(MINOR, |amount| amount.minor());
            let Some(entry) = forge::payment(world, identity, &place, minor, &request) else {
                continue;
            };
            let Some(dice) = world.schemes.get_mut(&me) else { return };
            let ways: &[Way] = match dice.below(3) {
                0 => &[Way::Offer],
                1 => &[Way::ByOthers],
                _ => &[Way::Offer, Way::ByOthers],
            };
            let header = previous.as_ref().map(|(_, header)| header.clone());
            for way in ways {
                if self.waiting.len() < WAITING_MAX {
                    self.waiting.push((payee, *way, entry.clone(), header.clone()));
                }
            }
            last = Some((entry, minor));
        }
        if let Some((entry, minor)) = last {
            world.counters.double_spends += 1;
            let signed =
                SignedHeader { header: entry.header().clone(), signature: entry.signature() };
            self.previous = Some((entry.id(), signed));
            self.sequence += 1;
            self.spent += minor;
        }
        let links: Vec<u64> = world.node(me).links.iter().copied().collect();
        links.into_iter().for_each(|link| self.deliver(world, me, link));
    }

    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        let links: Vec<u64> = world.node(me).links.iter().copied().collect();
        links.into_iter().for_each(|link| self.deliver(world, me, link));
        Some(30_000)
    }

    pub(super) fn link_up(&mut self, world: &mut World, me: u32, link: u64) {
        self.deliver(world, me, link);
    }

    /// Sends what may go over a link.
    fn deliver(&mut self, world: &mut World, me: u32, link: u64) {
        let Some(peer) = world.peer(me, link) else { return };
        let mut kept = Vec::new();
        for (payee, way, entry, previous) in std::mem::take(&mut self.waiting) {
            let frame = match way {
                Way::Offer if payee == peer => forge::as_offer(world, me, &entry, previous.clone()),
                Way::ByOthers if payee != peer => Some(forge::as_item(&entry)),
                _ => None,
            };
            match frame {
                Some(frame) => world.transmit(me, link, frame),
                None => kept.push((payee, way, entry, previous)),
            }
        }
        self.waiting = kept;
    }
}
