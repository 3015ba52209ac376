//! Decides what a payment mesh holds and accepts, without IO.
//!
//! Records and their one encoding ([`record`], [`codec`]), signing ([`sign`]) and sealing
//! ([`seal`]), who may sign for a bank ([`trust`]), what a node knows ([`replica`]), what is
//! accepted where ([`verdict`]), and how two nodes make each other's knowledge equal ([`sync`]).
//! There are no sockets, files, clocks, threads or ambient randomness here: everything arrives as
//! an argument. `docs/protocol.md` is the same to the byte, for other implementations.
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used))]

extern crate alloc;

pub mod body;
pub mod codec;
pub mod id;
pub mod limits;
pub mod log;
pub mod money;
pub mod offer;
pub mod record;
pub mod replica;
pub mod request;
pub mod seal;
pub mod sign;
pub mod sync;
pub mod trust;
pub mod verdict;
