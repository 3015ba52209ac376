//! Tests of the benches, and of whole networks of real processes: the demo from end to end, and
//! devices that are killed while they pay.
#![allow(clippy::unwrap_used, missing_docs)]

mod bench;
mod demo;
mod kill;
