//! Tests of the node through its public interface.
#![allow(clippy::unwrap_used, missing_docs)]

mod bluetooth;
mod command_line;
mod device;
mod keys;
mod store;
mod store_kill;
mod store_model;
mod store_power_cut;
mod store_writer;
mod unreadable;
