//! Payees who do not treat their payments as they should: one claims as late as it can, another
//! says yes and no.

use super::super::identity::bank_keys;
use super::super::world::World;
use hundi_ledger::id::Hash;
use hundi_ledger::record::item::Item;
use hundi_ledger::record::receipt::{PayeeVerdict, Statement};
use hundi_ledger::record::sign;
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::seal::{self, receipt};
use hundi_ledger::sync::TAG_ITEM;
use std::collections::BTreeSet;

const TAG_REPLY: u8 = 17;
/// Items that are kept for later.
const KEPT_MAX: usize = 64;

/// Says nothing to anybody about what it is paid, and goes to the bank with it in the end.
#[derive(Default)]
pub(in super::super) struct LateClaimer {
    kept: Vec<Vec<u8>>,
}

impl LateClaimer {
    pub(super) fn kept_back(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.kept
    }

    pub(super) fn sends(&mut self, world: &mut World, me: u32, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let own = world.node(me).device.identity.map(|it| it.author());
        let Some((tag, item)) = bytes.split_first() else { return vec![bytes] };
        let keeps = match (*tag, Item::decode(&world.network.id(), item)) {
            (TAG_ITEM, Ok(Item::Receipt(_))) => true,
            (TAG_ITEM, Ok(Item::Entry(entry))) => Some(entry.header().author) != own,
            (tag, _) => tag == TAG_REPLY,
        };
        if !keeps {
            return vec![bytes];
        }
        if *tag == TAG_ITEM && self.kept.len() < KEPT_MAX {
            self.kept.push(item.to_vec());
        }
        Vec::new()
    }
}

/// Accepts as everybody does, signs a refusal of the same payment later, and sends both about.
#[derive(Default)]
pub(in super::super) struct RefuseThenSubmit {
    refused: BTreeSet<Hash>,
}

impl RefuseThenSubmit {
    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        let device = &world.nodes[me as usize].device;
        if let Some(engine) = &device.engine {
            let views = engine.history(&device.disk).into_iter();
            let paid = views.filter(|view| !view.outgoing && !self.refused.contains(&view.id));
            let paid: Vec<_> = paid.filter_map(|view| Some((view.party?, view.id))).collect();
            for (author, id) in paid {
                let key = Key::entry(author, id);
                let Some(refusal) = refusal(world, me, &key) else { continue };
                let links = world.node(me).links.clone();
                for link in &links {
                    // The payment itself is submitted as well.
                    let entry = world.node(me).device.disk.item(&key);
                    for item in [Some(refusal.clone()), entry].into_iter().flatten() {
                        world.transmit(me, *link, [&[TAG_ITEM], item.as_slice()].concat());
                    }
                }
                if !links.is_empty() {
                    self.refused.insert(id);
                }
            }
        }
        Some(world.schemes.get_mut(&me)?.between(60_000, 600_000))
    }
}

/// A signed refusal of an entry that pays this node.
fn refusal(world: &World, me: u32, key: &Key) -> Option<Vec<u8>> {
    let network = world.network.id();
    let device = &world.nodes[me as usize].device;
    let (identity, item) = (device.identity?, device.disk.item(key)?);
    let Ok(Item::Entry(entry)) = Item::decode(&network, &item) else { return None };
    let header = entry.header();
    let grant = device.disk.item(&Key::Grant(header.author, header.serial))?;
    let Ok(Item::Grant(grant)) = Item::decode(&network, &grant) else { return None };
    let keys = identity.keys();
    let payer = keys.sealing.agree(&grant.author_sealing).ok()?;
    let opened = seal::open_as_payee(&network, header, entry.body(), &payer).ok()?;
    let payer_bank = header.author.bank;
    let bank = bank_keys(world.seed, payer_bank).sealing.first()?.public();
    let bank = keys.sealing.agree(&bank).ok()?;
    let statement = Statement {
        entry: entry.id(),
        verdict: PayeeVerdict::RefusedDeclined,
        freezes_epoch: 0,
        checkpoint: 0,
    };
    let signer = receipt::Signer { author: keys.author, sealing: keys.sealing.public() };
    let draft = receipt::seal(&network, &signer, payer_bank, &bank, &opened.key, &statement);
    Some(Item::Receipt(sign(&network, draft, &keys.signing).ok()?.into_inner()).encode())
}
