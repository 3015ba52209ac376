//! The rules, a file for each. Every one looks at facts on its own and says what breaks it; what several
//! need is worked out before, see [`crate::run`].

pub(crate) mod bank_records;
pub(crate) mod bounds;
pub(crate) mod conservation;
pub(crate) mod convergence;
pub(crate) mod evidence;
pub(crate) mod exactly_once;
pub(crate) mod framing;
pub(crate) mod guarantee;
pub(crate) mod honest_loss;
pub(crate) mod loss;
pub(crate) mod releases;
pub(crate) mod solvency;

use crate::run::{Broken, Invariant};

/// Something broken.
fn broken(invariant: Invariant, what: String, items: &[[u8; 32]]) -> Broken {
    Broken { invariant, what, items: items.to_vec() }
}
