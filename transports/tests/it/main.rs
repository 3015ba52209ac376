//! Public-interface tests of links that need no network.
#![allow(clippy::unwrap_used, missing_docs)]

mod ble_conformance;
mod ble_payment;
mod ble_radio;
mod ble_vectors;
mod ble_village;
mod ether;
mod memory;
mod memory_conformance;
