//! Keys that run twice: a phone copied with its keys, and a phone that goes back in time.

use super::super::disk::Image;
use super::super::world::World;

/// Copies an honest phone, keys and all, and lives on beside it.
#[derive(Default)]
pub(in super::super) struct ClonedPhone {
    copied: bool,
}

impl ClonedPhone {
    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        if self.copied {
            return None;
        }
        let honest = (0..).zip(&world.nodes);
        let phones = honest.filter(|(_, at)| at.is_honest() && at.device.identity.is_some());
        let phones: Vec<u32> = phones.map(|(node, _)| node).collect();
        let dice = world.schemes.get_mut(&me)?;
        if dice.percent(70) {
            return Some(dice.between(60_000, 900_000)); // The phone is to have a history.
        }
        let victim = dice.pick(&phones)?;
        let victim = &world.nodes[victim as usize].device;
        let (identity, image) = (victim.identity?, victim.disk.image());
        world.truth.unsafe_keys.insert(identity.author());
        world.crash(me);
        let device = &mut world.node(me).device;
        device.identity = Some(identity);
        device.replace_disk(image);
        self.copied = true;
        None
    }
}

/// Keeps a copy of its own disk and goes back to it, with its keys.
#[derive(Default)]
pub(in super::super) struct RestoredBackup {
    backup: Option<Image>,
}

impl RestoredBackup {
    pub(super) fn moment(&mut self, world: &mut World, me: u32) -> Option<u64> {
        match self.backup.take() {
            None => self.backup = Some(world.node(me).device.disk.image()),
            Some(backup) => {
                world.crash(me);
                world.node(me).device.replace_disk(backup);
            }
        }
        let dice = world.schemes.get_mut(&me)?;
        Some(dice.between(5 * 60_000, 30 * 60_000))
    }
}
