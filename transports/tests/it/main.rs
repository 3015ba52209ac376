//! Public-interface tests of links that need no network.
#![allow(clippy::unwrap_used, missing_docs)]

mod memory;
mod memory_conformance;
