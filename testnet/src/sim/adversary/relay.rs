//! Nodes that twist what they pass on.

use super::super::world::World;
use hundi_ledger::codec::List;
use hundi_ledger::offer::Offer;
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::sync::TAG_ITEM;

/// The last tag of a sync session's messages; an item's is one of them.
const TAG_SYNC_LAST: u8 = 15;
const TAG_OFFER: u8 = 16;
const TAG_REPLY: u8 = 17;

/// Passes on nothing of others.
pub(in super::super) struct Withholder;

impl Withholder {
    pub(super) fn sends(&mut self, world: &mut World, me: u32, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let own = world.node(me).device.identity.map(|it| it.author());
        let item = bytes.strip_prefix(&[TAG_ITEM]);
        let item = item.and_then(|item| Item::decode(&world.network.id(), item).ok());
        let of_others = item.is_some_and(|item| Key::of(&item).author() != own);
        if of_others { Vec::new() } else { vec![bytes] }
    }
}

/// Passes on nothing about every second author, and neither proofs nor freezes.
pub(in super::super) struct SelectiveRelay;

impl SelectiveRelay {
    pub(super) fn sends(&mut self, world: &mut World, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let item = bytes.strip_prefix(&[TAG_ITEM]);
        let key = item.and_then(|item| Item::decode(&world.network.id(), item).ok());
        let dropped = key.map(|item| Key::of(&item)).is_some_and(|key| match key {
            Key::Proof(_) | Key::Freeze(_) => true,
            key => key.author().is_some_and(|author| author.key.0[0].is_multiple_of(2)),
        });
        if dropped { Vec::new() } else { vec![bytes] }
    }
}

/// A payee that answers no offer and gives no receipt.
pub(in super::super) struct SilentPayee;

impl SilentPayee {
    pub(super) fn sends(&mut self, world: &mut World, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let receipt = match bytes.split_first() {
            Some((&TAG_REPLY, _)) => true,
            Some((&TAG_ITEM, item)) => {
                matches!(Item::decode(&world.network.id(), item), Ok(Item::Receipt(_)))
            }
            _ => false,
        };
        if receipt { Vec::new() } else { vec![bytes] }
    }
}

/// Frames that a replayer remembers.
const REMEMBERED_MAX: usize = 64;

/// Says again what it said before, on any link.
#[derive(Default)]
pub(in super::super) struct Replayer {
    said: Vec<Vec<u8>>,
}

impl Replayer {
    pub(super) fn sends(&mut self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        if self.said.len() < REMEMBERED_MAX {
            self.said.push(bytes.clone());
        }
        vec![bytes]
    }

    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        for link in world.node(me).links.clone() {
            let at = world.schemes.get_mut(&me)?.below(self.said.len() as u64) as usize;
            if let Some(frame) = self.said.get(at).cloned() {
                world.transmit(me, link, frame);
            }
        }
        let dice = world.schemes.get_mut(&me)?;
        // What is remembered grows old and is replaced.
        if dice.percent(10) {
            self.said.clear();
        }
        Some(dice.between(2_000, 30_000))
    }
}

/// Offers payments beside the first checkpoint that it ever had.
#[derive(Default)]
pub(in super::super) struct StaleCheckpoint {
    first: Option<Vec<u8>>,
}

impl StaleCheckpoint {
    pub(super) fn sends(&mut self, world: &mut World, me: u32, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(identity) = world.node(me).device.identity else { return vec![bytes] };
        let newest = world.node(me).device.disk.item(&Key::Checkpoint(identity.author()));
        if self.first.is_none() {
            self.first = newest;
        }
        let (Some((&TAG_OFFER, offer)), Some(first)) = (bytes.split_first(), &self.first) else {
            return vec![bytes];
        };
        let Ok(mut offer) = Offer::decode(offer) else { return vec![bytes] };
        let network = world.network.id();
        let is_checkpoint =
            |record: &[u8]| matches!(Item::decode(&network, record), Ok(Item::Checkpoint(_)));
        let Ok(first) = List::new(first.clone()) else { return vec![bytes] };
        let records = offer
            .records
            .iter()
            .map(|record| if is_checkpoint(record) { first.clone() } else { record.clone() });
        match List::new(records.collect()) {
            Ok(records) => offer.records = records,
            Err(_) => return vec![bytes],
        }
        vec![[&[TAG_OFFER], offer.encode().as_slice()].concat()]
    }
}

/// Changes bytes in sync messages, leaves some out and doubles others.
pub(in super::super) struct LiarInSync;

impl LiarInSync {
    pub(super) fn sends(&mut self, world: &mut World, me: u32, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(dice) = world.schemes.get_mut(&me) else { return vec![bytes] };
        let sync = bytes.first().is_some_and(|tag| *tag <= TAG_SYNC_LAST && *tag != TAG_ITEM);
        if !sync {
            return vec![bytes];
        }
        match dice.below(10) {
            0 => Vec::new(),
            1 => vec![bytes.clone(), bytes],
            2..=5 => {
                let mut twisted = bytes;
                let at = 1 + dice.below((twisted.len() as u64).saturating_sub(1)) as usize;
                if let Some(byte) = twisted.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
                vec![twisted]
            }
            _ => vec![bytes],
        }
    }
}
