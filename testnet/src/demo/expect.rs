//! Expectations: what must be seen, what was seen, and whether it held. Waiting looks again and
//! again until it holds; only a generous deadline turns it into a failure, never a measured time.

use crate::process::pause;
use anyhow::Result;
use serde::Serialize;
use std::fmt::Debug;
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long something may take that is on its way. Twice the longest pause between two sync
/// sessions on a quiet link, so that what gossip has lost still arrives.
pub const DEADLINE: Duration = Duration::from_secs(240);

/// One expectation.
#[derive(Clone, Debug, Serialize)]
pub struct Expectation {
    /// What it is about.
    pub name: String,
    /// What must be.
    pub expected: String,
    /// What was.
    pub seen: String,
    /// Whether they agree.
    pub held: bool,
}

/// Something that the rest builds on did not come: there is no point in going on.
#[derive(Debug, Error)]
#[error("not reached: {0}")]
pub struct NotReached(pub String);

/// All expectations so far.
#[derive(Debug, Default)]
pub struct Expectations {
    all: Vec<Expectation>,
}

impl Expectations {
    /// Notes whether two things are equal.
    pub fn equal<T: PartialEq + Debug>(&mut self, name: &str, expected: &T, seen: &T) {
        let held = expected == seen;
        self.note(name, format!("{expected:?}"), format!("{seen:?}"), held);
    }

    /// Notes what was compared elsewhere.
    pub fn note(&mut self, name: &str, expected: String, seen: String, held: bool) {
        self.all.push(Expectation { name: name.to_owned(), expected, seen, held });
    }

    /// Looks until what is seen is what is expected, and returns how long that took.
    ///
    /// # Errors
    /// When the deadline passes (noted as not held), looking fails, or a person interrupts.
    pub fn wait<T: PartialEq + Debug>(
        &mut self,
        name: &str,
        expected: &T,
        look: impl FnMut() -> Result<T>,
    ) -> Result<Duration> {
        let (took, seen) = wait_until(look, |seen| seen == expected)?;
        self.equal(name, expected, &seen);
        match took {
            Some(took) => Ok(took),
            None => Err(NotReached(name.to_owned()).into()),
        }
    }

    /// Everything noted.
    pub fn all(&self) -> &[Expectation] {
        &self.all
    }

    /// Whether everything held.
    pub fn held(&self) -> bool {
        self.all.iter().all(|one| one.held)
    }

    /// Takes over what was noted elsewhere.
    pub fn extend(&mut self, other: Self) {
        self.all.extend(other.all);
    }
}

/// Looks until it is enough or the deadline has passed: how long it took (none when it was never
/// enough), and what was seen last.
///
/// # Errors
/// When looking fails or a person interrupts.
pub fn wait_until<T>(
    mut look: impl FnMut() -> Result<T>,
    enough: impl Fn(&T) -> bool,
) -> Result<(Option<Duration>, T)> {
    let start = Instant::now();
    loop {
        let seen = look()?;
        if enough(&seen) {
            return Ok((Some(start.elapsed()), seen));
        }
        if start.elapsed() > DEADLINE {
            return Ok((None, seen));
        }
        pause()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_looks_until_it_holds() {
        let mut expectations = Expectations::default();
        let mut looks = 0;
        let counted = expectations.wait("three looks", &3, || {
            looks += 1;
            Ok(looks)
        });
        assert!(counted.is_ok() && expectations.held());
        expectations.equal("other", &1, &2);
        assert!(!expectations.held());
    }
}
