//! The driver where there is no Bluetooth: without a bus, and before a stand-in for BlueZ's daemon.
//! Real daemons and controllers are the rig's part.
#![allow(clippy::unwrap_used, missing_docs)]

mod absent;
mod kit;
mod stand_in;
