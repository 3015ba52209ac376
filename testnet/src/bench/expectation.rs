//! What a bench expects of its figures, and whether it held.

use serde::Serialize;
use std::fmt::Write as _;

/// One expectation.
#[derive(Clone, Debug, Serialize)]
pub struct Expectation {
    /// What it is about.
    pub name: String,
    /// Whether it holds.
    pub held: bool,
    /// What was measured.
    pub measured: u64,
    /// The most, or the least, that it may be.
    pub limit: u64,
}

impl Expectation {
    /// That something is not above a limit.
    pub fn at_most(name: String, measured: u64, limit: u64) -> Self {
        Self { name, held: measured <= limit, measured, limit }
    }

    /// That something is not below a limit.
    pub fn at_least(name: String, measured: u64, limit: u64) -> Self {
        Self { name: format!("{name} (at least)"), held: measured >= limit, measured, limit }
    }

    /// What did not hold, and how many did.
    pub fn write_all(all: &[Self], out: &mut String) -> std::fmt::Result {
        let failed: Vec<&Self> = all.iter().filter(|one| !one.held).collect();
        for one in &failed {
            writeln!(
                out,
                "NOT HELD: {}: {}, and the limit is {}",
                one.name, one.measured, one.limit
            )?;
        }
        match failed.len() {
            0 => writeln!(out, "All {} expectations held.", all.len()),
            count => writeln!(out, "{count} of {} expectations did not hold.", all.len()),
        }
    }
}
