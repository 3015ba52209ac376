//! The engine through its public interface: several devices, a bank, stores that acknowledge when
//! told to, and links that can be cut.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod bank;
mod chaos;
mod device;
mod durability;
mod evidence;
mod foresee;
mod links;
mod outcomes;
mod payments;
mod scopes;
mod world;
