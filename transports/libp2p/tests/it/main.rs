//! Public-interface tests over real TCP: on loopback, and for mDNS in network namespaces of their
//! own.
#![allow(clippy::unwrap_used, missing_docs)]

mod conformance;
mod gossip;
mod kit;
mod links;
mod mdns;
mod proxy;
mod reach;
mod stranger;
