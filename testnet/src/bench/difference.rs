//! Differences: what one of two nodes holds and the other lacks, made on top of a world that both
//! share. The next difference is made on top of what the last contact left, as on a phone: only
//! after some of them do both nodes start again from the world.

use super::world::{Node, Piece, World, Writer};
use anyhow::{Result, bail};
use hundi_ledger::id::Hash;
use hundi_ledger::replica::Status;
use hundi_ledger::trust::VerifiedItem;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// In which way differing authors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mix {
    /// Half have one entry on each side that the other side lacks, a quarter is absent on one
    /// side, a quarter has five entries more on one side.
    Mixed,
    /// One entry is missing on one side.
    One,
    /// Three entries are missing on one side.
    Three,
}

impl Mix {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Mix::Mixed => "mixed",
            Mix::One => "one",
            Mix::Three => "three",
        }
    }

    /// How the differing author with that place differs.
    pub(super) fn kind(self, at: usize) -> Kind {
        match (self, at % 4) {
            (Mix::One, _) => Kind::More(1),
            (Mix::Three, _) => Kind::More(3),
            (Mix::Mixed, 0 | 2) => Kind::Both,
            (Mix::Mixed, 1) => Kind::Absent,
            (Mix::Mixed, _) => Kind::More(5),
        }
    }
}

/// How one author differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Both,
    Absent,
    More(u32),
}

/// Which authors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placement {
    /// Any; what differs is as old as what the author has signed otherwise.
    Scattered,
    /// Those with the newest entries; what differs is newer than everything else.
    Recent,
}

impl Placement {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Placement::Scattered => "scattered",
            Placement::Recent => "recent",
        }
    }
}

/// What each of two nodes holds that the other lacks.
#[derive(Debug, Default)]
pub struct Difference {
    /// By the side that holds it, in an order in which it can be taken.
    pub only: [Vec<Piece>; 2],
}

impl Difference {
    /// Canonical bytes of the items that each side holds alone.
    pub fn bytes(&self) -> [u64; 2] {
        [0, 1].map(|side| self.only[side].iter().map(|piece| piece.bytes.len() as u64).sum())
    }
}

/// Two nodes that share a world.
#[derive(Debug)]
pub struct Pair<'world> {
    world: &'world World,
    /// Initiator and responder.
    pub nodes: [Node; 2],
    /// Where the logs that have grown since end.
    grown: BTreeMap<usize, Writer>,
    added: u64,
    newest: u32,
    /// Time and id of what both nodes hold beyond the world.
    pub exchanged: Vec<(u32, Hash)>,
}

impl<'world> Pair<'world> {
    /// Two nodes that hold the whole world.
    pub fn new(world: &'world World) -> Self {
        Self::of(world, world.base.clone())
    }

    /// The same, with the world's own node as one of the two.
    pub fn of(world: &'world World, base: Node) -> Self {
        let nodes = [base.clone(), base];
        let newest = world.newest();
        Self { world, nodes, grown: BTreeMap::new(), added: 0, newest, exchanged: Vec::new() }
    }

    /// The world that both started from.
    pub fn world(&self) -> &'world World {
        self.world
    }

    /// Makes `authors` of them differ.
    ///
    /// # Errors
    /// When an item is not taken by the node that is to hold it.
    pub fn differ(
        &mut self,
        mix: Mix,
        placement: Placement,
        authors: usize,
        dice: &mut ChaCha8Rng,
    ) -> Result<Difference> {
        let mut difference = Difference::default();
        let chosen = self.choose(placement, authors, dice);
        for (at, number) in chosen.into_iter().enumerate() {
            let side = at / 4 % 2;
            match mix.kind(at) {
                Kind::Absent => self.add_author(placement, side, dice, &mut difference)?,
                Kind::Both => {
                    self.append(placement, number, side, &mut difference)?;
                    self.append(placement, number, 1 - side, &mut difference)?;
                }
                Kind::More(entries) => {
                    // Without other kinds beside it, every second author is on the other side.
                    let side = if mix == Mix::Mixed { side } else { at % 2 };
                    for _ in 0..entries {
                        self.append(placement, number, side, &mut difference)?;
                    }
                }
            }
        }
        Ok(difference)
    }

    /// Notes that both nodes hold now what differed.
    pub fn exchanged(&mut self, difference: &Difference) {
        let pieces = difference.only.iter().flatten();
        self.exchanged.extend(pieces.map(|piece| (piece.time, piece.id)));
    }

    fn choose(&self, placement: Placement, authors: usize, dice: &mut ChaCha8Rng) -> Vec<usize> {
        let by_time = &self.world.by_time;
        let authors = authors.min(by_time.len());
        match placement {
            Placement::Recent => by_time[by_time.len() - authors..].to_vec(),
            Placement::Scattered => {
                let mut chosen = BTreeSet::new();
                let mut ordered = Vec::with_capacity(authors);
                while ordered.len() < authors {
                    let number = below(dice, by_time.len());
                    if chosen.insert(number) {
                        ordered.push(number);
                    }
                }
                ordered
            }
        }
    }

    fn add_author(
        &mut self,
        placement: Placement,
        side: usize,
        dice: &mut ChaCha8Rng,
        difference: &mut Difference,
    ) -> Result<()> {
        let number = self.world.writers.len() as u64 + self.added;
        self.added += 1;
        let time = match placement {
            Placement::Recent => self.newest + 1,
            Placement::Scattered => self.world.writers[below(dice, self.world.writers.len())].time,
        };
        let (writer, items) = self.world.signer.enrol(number, time)?;
        self.newest = self.newest.max(writer.time);
        for item in items {
            self.give(side, item, difference)?;
        }
        Ok(())
    }

    fn append(
        &mut self,
        placement: Placement,
        number: usize,
        side: usize,
        difference: &mut Difference,
    ) -> Result<()> {
        let mut writer = self.grown.get(&number).unwrap_or(&self.world.writers[number]).clone();
        let time = match placement {
            Placement::Recent => self.newest + 1,
            Placement::Scattered => writer.time + 60,
        };
        self.newest = self.newest.max(time);
        let item = self.world.signer.pay(&mut writer, time)?;
        self.grown.insert(number, writer);
        self.give(side, item, difference)
    }

    fn give(
        &mut self,
        side: usize,
        (piece, _): (Piece, VerifiedItem),
        difference: &mut Difference,
    ) -> Result<()> {
        let status = self.nodes[side].take(&piece.bytes)?;
        if status != Status::Stored {
            bail!("an item of a difference is not taken: {status:?}");
        }
        difference.only[side].push(piece);
        Ok(())
    }
}

fn below(dice: &mut ChaCha8Rng, bound: usize) -> usize {
    usize::try_from(dice.next_u64() % bound.max(1) as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::world::Shape;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn the_mix_is_what_it_says() {
        let world = World::new(1, 40, Shape { enrolled: true, entries: 2 }).unwrap();
        let mut dice = ChaCha8Rng::seed_from_u64(1);
        for placement in [Placement::Scattered, Placement::Recent] {
            let mut pair = Pair::new(&world);
            let difference = pair.differ(Mix::Mixed, placement, 16, &mut dice).unwrap();
            // Of 16: 8 on both sides (one each), 4 absent (4 items), 4 with five entries more;
            // the sides take turns.
            assert_eq!(difference.only.each_ref().map(Vec::len), [8 + 2 * 4 + 2 * 5; 2]);
            let [a, b] = &pair.nodes;
            assert_ne!(a.replica.digest(), b.replica.digest());
            let newest = world.newest();
            let later = difference.only.iter().flatten().filter(|piece| piece.time > newest);
            let all = difference.only.iter().flatten().count();
            assert!(placement != Placement::Recent || later.count() == all);
        }
    }
}
