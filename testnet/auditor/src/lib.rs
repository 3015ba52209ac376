//! Judges: an independent reading of `docs/protocol.md`.
//!
//! This crate imports none of ours. It was written from the protocol document, to show that the
//! document suffices, and to judge what the other crates write: [`records`] decodes every record,
//! [`signatures`] says who had to sign it, [`contradiction`] compares headers, [`sealing`] opens
//! bodies and receipts, [`sync`] reads the messages of a session and computes what its sides compare.
//! With these, [`run`] judges whole runs by the [`facts`] of them.
//! It only reads: it encodes nothing and decides nothing.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod books;
pub mod contradiction;
mod core;
pub mod facts;
pub mod hashes;
mod intake;
mod known;
mod opening;
mod read;
pub mod records;
mod rules;
pub mod run;
pub mod sealing;
pub mod signatures;
pub mod sync;

pub use read::Refused;
