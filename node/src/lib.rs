//! Drives: durable store, daemon, local API and the command line hundi.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod store;
