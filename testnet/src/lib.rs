//! Judges: local networks of real hundi processes, broken on purpose and judged.
//!
//! [`demo`] is the living mesh that one command shows; [`chaos`] breaks real programs under load and
//! [`power_cut`] their stores, on a [`disk`] of their own, with payments that a [`phone`] signs;
//! [`sim`] lives through thousands of worse mornings in one thread and judges every step;
//! [`ble`] has devices pay each other by Bluetooth, in a machine of its own; [`mod@bench`] measures what a
//! sync session costs beside its peers; [`postgres`] is a database server to throw away; [`process`] starts, stops and kills the real binaries that [`paths`] finds, and [`answers`] is what they say. [`sync_peer`] is the other way
//! round: our side of a session, for somebody else to judge or to be judged by. Nothing here decides what is
//! right about money: it compares what the programs say with what a script says must come out.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod answers;
pub mod bench;
pub mod ble;
pub mod chaos;
pub mod demo;
pub mod disk;
pub mod paths;
pub mod phone;
pub mod postgres;
pub mod power_cut;
pub mod process;
pub mod sim;
pub mod sync_peer;
