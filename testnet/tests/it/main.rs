//! Tests of the benches, of sessions over streams of any grain, of one side of a session for other
//! implementations, and of whole networks of real processes: the demo from end to end, devices that
//! are killed while they pay, chaos, power cuts of both stores, and the database server to throw away.
#![allow(clippy::unwrap_used, missing_docs)]

mod audit;
mod bench;
mod chaos;
mod demo;
mod frames;
mod kill;
mod postgres;
mod power_cut;
mod seeds;
mod settle;
mod sim;
mod spread;
mod sync_peer;
