//! Tests through the public interface of the ledger, in one binary.
#![allow(clippy::unwrap_used, missing_docs)]

mod adversary;
mod contacts;
mod evict;
mod generate;
mod merge;
mod messages;
mod records;
mod scopes;
mod sealing;
mod sessions;
mod signatures;
mod sync;
mod vectors;
mod verdict;
mod world;
