//! Decides: one whole device of the hundi mesh, minus IO.
//!
//! [`Engine::handle`] takes the time, fresh entropy and one [`Input`], and returns what the driver
//! does next, as [`Outputs`]. The engine owns the replica, the wallet and the links' sessions; it
//! leaves sockets, files, clocks and randomness to whoever drives it. DESIGN §10 states the
//! contract, [`output`] what it asks of a driver.
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used))]

extern crate alloc;

mod engine;
mod foresee;
pub mod input;
pub mod limits;
mod links;
mod load;
mod message;
mod open;
pub mod output;
mod prove;
mod relay;
mod step;
pub mod wallet;

pub use engine::{Config, Engine, Keys, Status};
pub use input::{Command, Input, LinkId, LinkKind};
pub use links::Peer;
pub use load::LoadError;
pub use open::Opening;
pub use output::{Answer, Event, Output, Outputs, Payload, Verdict, Write};
