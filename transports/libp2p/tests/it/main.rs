//! Public-interface tests over real TCP on loopback.
#![allow(clippy::unwrap_used, missing_docs)]

mod smoke;
