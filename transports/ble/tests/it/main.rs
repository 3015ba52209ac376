//! The driver where there is no Bluetooth. Real adapters and daemons are the rig's part.
#![allow(clippy::unwrap_used, missing_docs)]

mod absent;
