//! Drives: links that move opaque bytes between two peers. Nothing here knows what money is.
//!
//! A *link* ([`link`]) is a live, encrypted channel that carries whole messages in order. What
//! every link is made of is pure (bytes in, bytes out; time and entropy are arguments): frames
//! ([`frame`]), what a frame says ([`signal`]), the secure channel ([`channel`]), rate limits
//! ([`rate`]) and the file container ([`container`]). [`memory`] is a whole network in one value,
//! driven by virtual time, with a tokio adapter. [`ble`] is all of Bluetooth but the adapter. libp2p
//! has a crate of its own, so that its dependencies stay there. `docs/links.md` has every format to
//! the byte, `docs/ble.md` those of Bluetooth.
//!
//! # Entry points for fuzzing
//!
//! Each decoder has a pure entry that takes arbitrary bytes and must return, never panic and never
//! hold more than its limit:
//!
//! - [`frame::decode_all`]: any byte stream as frames;
//! - [`signal::decode`]: any bytes as one signal;
//! - [`channel::read_arbitrary`]: any bytes as handshake messages and as a sealed record;
//! - [`container::decode`]: any bytes as a file;
//! - [`ble::read_arbitrary`]: any bytes as what comes off the air, and as values of a connection;
//! - `hundi_transport_libp2p::opening::decode`: any bytes as the opening message of a libp2p link.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod ble;
pub mod channel;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod container;
pub mod frame;
pub mod limits;
pub mod link;
pub mod memory;
pub mod rate;
pub mod signal;
