//! The bank through its public interface: conformance of postings, the loss rule, adversaries,
//! and the invariants under random actions.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod adversary;
mod books;
mod due;
mod intake;
mod laws;
mod loss;
mod prepare;
mod promise;
mod refunds;
mod signed;
mod table;
mod tally;
mod world;
