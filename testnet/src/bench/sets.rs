//! Two nodes whose sets differ by so many authors: what one contact costs with our session and
//! with the peers, over many seeds.

use super::Options;
use super::bound::minimum_bytes;
use super::contact::{Opening, meet};
use super::difference::{Mix, Pair, Placement};
use super::figures::Figures;
use super::measure::Sample;
use super::peers::automerge::{Documents, document};
use super::peers::negentropy;
use super::report::{Report, Row};
use super::world::{Node, Shape, World};
use crate::demo::Progress;
use crate::process::check_interrupted;
use ::automerge::Automerge;
use anyhow::Result;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Differences, each made on what the last contact left, before both nodes start from the world
/// again: an author's window has room for so many times five entries.
pub(super) const SEEDS_PER_WORLD: u64 = 10;
/// Seeds that Automerge is measured with.
const AUTOMERGE_SEEDS: u64 = 3;
/// Contacts after which two nodes are no longer expected to become equal.
const CONTACTS_MAX: u64 = 8;
/// What every author holds at the start.
pub(super) const SHAPE: Shape = Shape { enrolled: true, entries: 2 };

/// One row to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    pub(super) case: &'static str,
    pub(super) difference: usize,
    pub(super) mix: Mix,
    pub(super) placement: Placement,
    pub(super) opening: Opening,
    pub(super) seeds: u64,
    pub(super) automerge_seeds: u64,
}

/// Measures the differences of the options.
///
/// # Errors
/// When a part fails or a person interrupts.
pub(super) fn run(options: &Options, report: &mut Report, progress: &Progress) -> Result<()> {
    progress.say(&format!("signing for {} authors", options.authors));
    let world = World::new(1, options.authors, SHAPE)?;
    progress.say("making Automerge's document of it");
    let base = document(&world)?;
    for spec in specs(options) {
        let row = measure(&world, None, Some(&base), &spec, progress)?;
        report.expect_of_set(&row);
        report.rows.push(row);
    }
    Ok(())
}

fn specs(options: &Options) -> Vec<Spec> {
    let fits = |difference: &usize| *difference * 10 <= options.authors;
    let differences = || [0, 1, 10, 100, 1_000].into_iter().filter(fits);
    let mut specs = Vec::new();
    let seeds = options.seeds;
    let mut add = |difference, mix, placement, opening| {
        let automerge_seeds = match opening {
            Opening::Advertised => seeds.min(AUTOMERGE_SEEDS),
            Opening::Blind => 0,
        };
        let case = "sets";
        specs.push(Spec { case, difference, mix, placement, opening, seeds, automerge_seeds });
    };
    for placement in [Placement::Scattered, Placement::Recent] {
        for difference in differences() {
            add(difference, Mix::Mixed, placement, Opening::Advertised);
        }
    }
    for mix in [Mix::One, Mix::Three] {
        for difference in differences().filter(|difference| *difference > 0) {
            add(difference, mix, Placement::Scattered, Opening::Advertised);
        }
    }
    // What it costs not to know beforehand that something differs: half a round trip.
    for difference in differences() {
        add(difference, Mix::Mixed, Placement::Scattered, Opening::Blind);
    }
    specs
}

/// Measures one row. The first pair is made of `start` if there is one, else of the world's copy.
///
/// # Errors
/// When a part fails or a person interrupts.
pub(super) fn measure(
    world: &World,
    mut start: Option<Node>,
    automerge: Option<&Automerge>,
    spec: &Spec,
    progress: &Progress,
) -> Result<Row> {
    let (mut ours, mut negentropies, mut automerges) = (Vec::new(), Vec::new(), Vec::new());
    let mut unequal = 0;
    let mut pair = None;
    let mut documents = None;
    for seed in 0..spec.seeds {
        check_interrupted()?;
        if seed % SEEDS_PER_WORLD == 0 {
            // The old pair goes before the new one comes: they are large.
            drop(pair.take());
            drop(documents.take());
        }
        let pair = pair.get_or_insert_with(|| match start.take() {
            Some(base) => Pair::of(world, base),
            None => Pair::new(world),
        });
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let difference = pair.differ(spec.mix, spec.placement, spec.difference, &mut dice)?;
        negentropies.push(negentropy::exchange(pair, &difference)?);
        if let Some(base) = automerge.filter(|_| seed < spec.automerge_seeds) {
            let documents = documents.get_or_insert_with(|| Documents::new(base));
            automerges.push(documents.exchange(&difference)?);
        }
        let (sample, equal) = meet_until_equal(pair, spec.opening, seed)?;
        let [up, down] = difference.bytes();
        unequal += u64::from(!equal || sample.missing() != up + down);
        ours.push(sample);
        pair.exchanged(&difference);
    }
    let row = Row {
        case: spec.case,
        authors: world.writers.len() as u64,
        difference: spec.difference as u64,
        mix: spec.mix,
        placement: spec.placement,
        opening: spec.opening,
        minimum_bytes: minimum_bytes(world.writers.len() as u64, spec.difference as u64, spec.mix),
        unequal,
        ours: Figures::of(&ours),
        negentropy: Figures::of(&negentropies),
        automerge: (!automerges.is_empty()).then(|| Figures::of(&automerges)),
    };
    progress.say(&row.line());
    Ok(row)
}

/// Has a pair meet until both hold the same: once, if the session is what it says.
fn meet_until_equal(pair: &mut Pair<'_>, opening: Opening, seed: u64) -> Result<(Sample, bool)> {
    let mut sum: Option<Sample> = None;
    for contact in 0..CONTACTS_MAX {
        let handshake = super::walk::handshake(seed, contact);
        let one = meet(&mut pair.nodes, &handshake, opening, None)?.cost;
        sum = Some(sum.map_or(one, |sum| sum.and(&one)));
        let [first, second] = &pair.nodes;
        if first.replica.digest() == second.replica.digest() {
            return Ok((sum.unwrap_or_default(), true));
        }
    }
    Ok((sum.unwrap_or_default(), false))
}
