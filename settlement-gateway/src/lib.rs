//! Drives: the bank's settlement gateway. A mesh node whose intake is a bank: durable store of the
//! bank's events, the one thread that owns the books, HTTP API, and what the command line needs.
//!
//! What is decided is `hundi_journal`'s; the mesh side is the node's library.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod api;
pub mod app;
pub mod audit;
pub mod bank_task;
pub mod config;
mod gate;
pub mod journal_store;
pub mod keys;
mod limits;
mod mesh;
mod metrics;
mod monitor;
mod pipeline;
mod problem;
mod signer;
mod waiting;
mod words;
