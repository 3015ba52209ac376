//! Tests of the node through its public interface.
#![allow(clippy::unwrap_used, missing_docs)]

mod store;
