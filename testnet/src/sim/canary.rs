//! Bugs on purpose, to show that each checker can fail. Only a build with the feature `canary` can
//! switch one on.

use clap::ValueEnum;

/// A bug at the seam between the parts under test and their drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Bug {
    /// What waits for the disk is sent at once.
    SendsBeforePersist,
}
