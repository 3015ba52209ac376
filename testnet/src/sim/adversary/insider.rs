//! Somebody inside a bank: a second instance of it, from a copy of its books and with its keys,
//! signs other records under the versions that the first one signs as well, and shows them to a
//! part of the mesh.

use super::super::bank::Host;
use super::super::random::{Dice, Purpose};
use super::super::world::World;
use hundi_journal::input::Input;
use hundi_ledger::replica::{Key, Shelf};
use hundi_ledger::sync::TAG_ITEM;

/// Records that wait for somebody to be shown to.
const RECORDS_MAX: usize = 128;
/// Streams of twins stand above those of devices and below those of banks.
const TWINS: u32 = 1 << 23;

#[derive(Default)]
pub(in super::super) struct TwoFacedBank {
    twin: Option<Host>,
    records: Vec<Vec<u8>>,
}

impl TwoFacedBank {
    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        if self.twin.is_none() && world.schemes.get_mut(&me)?.percent(40) {
            self.copy(world, me);
        }
        if let Some(twin) = &mut self.twin {
            let now_ms = world.now_ms();
            let entries = Self::entries(world, me, twin);
            // It has no scruples about what the other instance has signed.
            for input in [Input::Resume, Input::Submit { items: entries }, Input::Bulletin] {
                twin.handle(now_ms, input, &mut world.trace);
            }
            self.records.extend(twin.sync().records);
            self.records.drain(..self.records.len().saturating_sub(RECORDS_MAX));
            for link in world.node(me).links.clone() {
                self.link_up(world, me, link);
            }
        }
        Some(world.schemes.get_mut(&me)?.between(60_000, 600_000))
    }

    fn copy(&mut self, world: &mut World, me: u32) {
        let bank = me % u32::from(world.scenario.banks);
        let host = &world.hosts[bank as usize];
        if host.bank.is_none() {
            return;
        }
        let entropy = Dice::new(world.seed, Purpose::Entropy(TWINS + me));
        self.twin = host.twin(world.seed, entropy);
        let number = host.number;
        world.truth.contradicting.insert(number);
        world.truth.two_faced.insert(number);
    }

    /// Entries of the bank's authors that its own node holds.
    fn entries(world: &World, me: u32, twin: &Host) -> Vec<Vec<u8>> {
        let device = &world.nodes[me as usize].device;
        let Some(engine) = &device.engine else { return Vec::new() };
        let keys = engine.keys(&device.disk).into_iter();
        let own = |key: &Key| matches!(key, Key::Entry(author, _) | Key::Proof(author) if author.bank == twin.number);
        keys.filter(own).filter_map(|key| device.disk.item(&key)).collect()
    }

    /// Shows its records to every second node.
    pub(super) fn link_up(&mut self, world: &mut World, me: u32, link: u64) {
        let Some(peer) = world.peer(me, link) else { return };
        if peer.is_multiple_of(2) {
            for record in &self.records {
                world.transmit(me, link, [&[TAG_ITEM], record.as_slice()].concat());
            }
        }
    }
}
