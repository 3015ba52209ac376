//! How the cost of a contact grows: with the set at a fixed difference, and with the difference at
//! a fixed set.

use super::Options;
use super::contact::Opening;
use super::difference::{Mix, Placement};
use super::peers::automerge::document;
use super::report::Report;
use super::sets::{SEEDS_PER_WORLD, Spec, measure};
use super::world::{Shape, World};
use crate::demo::Progress;
use anyhow::Result;

/// Seeds of a row: growth shows in few.
const SEEDS: u64 = 5;
const _: () = assert!(SEEDS <= SEEDS_PER_WORLD);
/// What every author holds: the least, so that the largest world fits into a machine's memory.
const SHAPE: Shape = Shape { enrolled: false, entries: 1 };
/// Authors above which Automerge is left out: its documents no longer fit into memory beside the
/// rest.
pub const AUTOMERGE_AUTHORS_MAX: usize = 100_000;
/// The difference while the set grows.
pub const DIFFERENCE: usize = 10;

/// Measures both series.
///
/// # Errors
/// When a part fails or a person interrupts.
pub(super) fn run(options: &Options, report: &mut Report, progress: &Progress) -> Result<()> {
    let spec = |case, difference| Spec {
        case,
        difference,
        mix: Mix::Mixed,
        placement: Placement::Scattered,
        opening: Opening::Advertised,
        seeds: options.seeds.min(SEEDS),
        automerge_seeds: 1,
    };
    let mut differing = Vec::new();
    for authors in sizes(options.authors) {
        progress.say(&format!("signing for {authors} authors"));
        let mut world = World::new(6, authors, SHAPE)?;
        let base = if authors <= AUTOMERGE_AUTHORS_MAX { Some(document(&world)?) } else { None };
        // Of the largest world there is memory for two copies, and no more pairs are made of it.
        let start = if authors > options.authors { Some(world.take_base()?) } else { None };
        let row = measure(&world, start, base.as_ref(), &spec("set grows", DIFFERENCE), progress)?;
        report.expect_equal(&row);
        report.rows.push(row);
        if authors == options.authors {
            for difference in differences(authors) {
                let spec = spec("difference grows", difference);
                let row = measure(&world, None, base.as_ref(), &spec, progress)?;
                report.expect_equal(&row);
                differing.push(row);
            }
        }
    }
    report.rows.extend(differing);
    Ok(())
}

/// From a hundredth of the authors to ten times as many.
fn sizes(authors: usize) -> impl Iterator<Item = usize> {
    [authors / 100, authors / 10, authors, authors * 10]
        .into_iter()
        .filter(|authors| *authors >= 2 * DIFFERENCE)
}

/// From one author to a tenth of them.
fn differences(authors: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), |difference| Some(difference * 10))
        .take_while(move |difference| *difference * 10 <= authors)
}
