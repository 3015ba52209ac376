//! The items of a store that is larger than what should be in memory: one million entries of one
//! hundred thousand authors. They are handed over batch by batch, so that whoever writes them to a
//! disk can measure what a replica of them takes and not what the bench takes.

use super::signer::{BATCH, Shape, Signer};
use anyhow::Result;

/// Authors of the store.
pub const AUTHORS: usize = 100_000;
/// What each of them holds: ten entries under its two grants.
pub const SHAPE: Shape = Shape { enrolled: true, entries: 10 };

/// Signs a world and hands over its encoded items, the bank's first, every author's in an order in
/// which they can be taken. The authors are those that [`World::new`] makes of the same seed.
///
/// # Errors
/// When a record breaks a rule of the ledger, or `take` fails.
pub fn each_batch(
    seed: u64,
    authors: usize,
    shape: Shape,
    mut take: impl FnMut(Vec<Vec<u8>>) -> Result<()>,
) -> Result<()> {
    let signer = Signer::new(seed, shape)?;
    take(signer.bank_items()?.to_vec())?;
    for first in (0..authors).step_by(BATCH) {
        let signed = signer.sign(first..authors.min(first + BATCH))?;
        let pieces = signed.into_iter().flat_map(|(_, items)| items);
        take(pieces.map(|(piece, _)| piece.bytes).collect())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::world::World;
    use hundi_ledger::replica::Status;

    #[test]
    fn the_items_are_those_of_the_world() {
        let shape = Shape { entries: 3, ..SHAPE };
        let whole = World::new(9, 30, shape).unwrap();
        let mut node = World::new(9, 0, shape).unwrap().base;
        let mut batches = 0;
        each_batch(9, 30, shape, |items| {
            let expected = if batches == 0 { Status::Known } else { Status::Stored };
            for item in items {
                assert_eq!(node.take(&item)?, expected);
            }
            batches += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(batches, 2);
        assert_eq!(node.replica.digest(), whole.base.replica.digest());
    }
}
