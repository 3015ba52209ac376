//! Drives: links over Bluetooth Low Energy on Linux, through BlueZ.
//!
//! One owner task holds the pure [`hundi_transports::ble::radio::Radio`], which decides everything;
//! this crate carries its outputs out with bluer and tells it what came of them. A keeper beside it
//! opens the adapter, notices when it or its daemon goes, and tries again by itself. Both run on a
//! thread of their own. A driver gets a [`Handle`] to ask with and [`Events`] to listen to, and
//! never sees a type of bluer. `docs/ble.md` has the profile to the byte and what the driver of a
//! radio owes it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod advertiser;
mod backoff;
mod bearer;
mod bus;
mod client;
mod config;
mod error;
mod event;
mod handle;
mod keeper;
mod limits;
mod note;
mod owner;
mod scanner;
mod server;
mod start;
mod station;

pub use config::Config;
pub use error::AdapterError;
pub use event::Event;
pub use handle::{AskError, Events, Handle};
pub use start::{StartError, start};
