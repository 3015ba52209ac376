//! The engine through its public interface.
#![allow(clippy::unwrap_used, missing_docs)]
