//! Tests of the benches, of sessions over streams of any grain, of one side of a session for other
//! implementations, and of whole networks of real processes: the demo from end to end, and devices
//! that are killed while they pay.
#![allow(clippy::unwrap_used, missing_docs)]

mod bench;
mod demo;
mod frames;
mod kill;
mod sim;
mod sync_peer;
