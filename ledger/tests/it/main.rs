//! Tests through the public interface of the ledger, in one binary.
#![allow(clippy::unwrap_used, missing_docs)]

mod adversary;
mod records;
mod sealing;
mod signatures;
mod vectors;
mod verdict;
mod world;
