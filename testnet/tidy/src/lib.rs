//! Judges: checks on the source that the compiler does not make.
//!
//! Every rule of the house that is written down as a rule is held here: which crate may import
//! which ([`arrows`]), how a crate declares what it stands on ([`manifests`]), what deciding code
//! may not say and how long a file may grow ([`rust`]), which words are not used ([`words`]), and
//! that the documents speak of things that exist ([`documents`]). Each check is a function from
//! text to [`Finding`]s, so that its own tests can show it fail; `tests/it` runs them all on the
//! real tree. What `rustc`, `clippy`, `rustfmt` and `cargo deny` already hold is left to them.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod arrows;
pub mod documents;
mod finding;
pub mod lex;
pub mod manifests;
pub mod rust;
mod tree;
pub mod words;

pub use finding::{Finding, report};
pub use tree::{ReadError, Tree};

/// Folders of the crates that decide: `no_std`, no clock, no floating point.
pub const DECIDING: [&str; 3] = ["ledger", "node/engine", "settlement-gateway/journal"];
