//! Drives: durable store, daemon, local API and the command line hundi.
//!
//! [`store`] keeps what must survive a power cut; [`daemon`] owns the engine and connects it with
//! the store and the network; [`api`] is what programs on this machine talk to, [`client`] how
//! they do; [`home`] and [`device`] are the directory and the keys in it. What is accepted, signed
//! and forwarded is decided in `hundi-engine`, never here.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod client;
pub mod command_line;
pub mod daemon;
pub mod device;
pub mod home;
pub mod money;
pub mod store;
pub mod telemetry;

/// The engine, for whoever drives a node as part of something larger: the gateway.
pub use hundi_engine as engine;
/// The file container, likewise.
pub use hundi_transports::container;
