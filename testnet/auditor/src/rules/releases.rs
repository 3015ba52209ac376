//! When a reserve returns to where it came from: the section "Grant" of the protocol, and what the loss
//! rule and the kind *close* say of it.

use super::broken;
use crate::books::Release;
use crate::run::{Bank, Broken, Invariant};

/// Before claim-until a reserve is released by its author's close only, down to what was promised, and
/// never under a contradiction or a bearer grant.
pub(crate) fn judge(bank: &Bank<'_>) -> Vec<Broken> {
    let early = bank.books.releases.iter().filter_map(|release| {
        let why = too_early(bank, release)?;
        let what = format!(
            "{} of serial {} released at {}, {why}",
            release.amount, release.serial, release.clock_s
        );
        Some(broken(Invariant::LossRule, what, &[release.author.key]))
    });
    early.collect()
}

fn too_early(bank: &Bank<'_>, release: &Release) -> Option<&'static str> {
    let key = (release.author, release.serial);
    let grant = bank.intake.grants.get(&key)?;
    if release.clock_s >= grant.claim_until {
        return None;
    }
    if bank.intake.contested(release.author, release.serial, release.step) {
        return Some("before the end of claims under a contradiction");
    }
    if grant.flags == 1 {
        return Some("before the end of claims of a bearer grant");
    }
    match bank.intake.closes.get(&key) {
        Some((step, _)) if *step > release.step => Some("before its close came"),
        Some((_, total)) if release.left < i128::from(*total) - release.settled => {
            Some("and what is left is less than was promised")
        }
        Some(_) => None,
        None => Some("before the end of claims, and it was not closed"),
    }
}
