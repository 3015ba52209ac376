//! Drives: links that move opaque bytes between two peers. Nothing here knows what money is.
//!
//! A *link* ([`link`]) is a live, encrypted channel that carries whole messages in order. What
//! every link is made of is pure (bytes in, bytes out; time and entropy are arguments): frames
//! ([`frame`]), what a frame says ([`signal`]), the secure channel ([`channel`]) and rate limits ([`rate`]). libp2p and BLE have crates of their own, so that their dependencies stay there.
//! `docs/links.md` has every format to the byte.
//!
//! # Entry points for fuzzing
//!
//! Each decoder has a pure entry that takes arbitrary bytes and must return, never panic and never
//! hold more than its limit:
//!
//! - [`frame::decode_all`]: any byte stream as frames;
//! - [`signal::decode`]: any bytes as one signal;
//! - [`channel::read_arbitrary`]: any bytes as a handshake message and as a sealed record;
//! - `hundi_transport_libp2p::opening::decode`: any bytes as the opening message of a libp2p link.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod channel;
pub mod frame;
pub mod limits;
pub mod link;
pub mod rate;
pub mod signal;
