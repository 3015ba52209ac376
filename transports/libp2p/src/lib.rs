//! Drives: links over libp2p, for the LAN and the internet.
//!
//! One owner task holds the swarm: TCP, Noise, Yamux, identify, mDNS (if switched on), gossipsub,
//! and a stream protocol that carries one long-lived link per pair of peers. A driver gets a
//! [`Handle`] to ask with and [`Events`] to listen to; it never sees a libp2p type. The identity is
//! fresh at every start. What the bytes of messages and gossip mean is left to the driver, which
//! also decides what gossip goes further.
//!
//! [`opening::decode`] is the fuzzing entry of the opening exchange; those of frames and signals
//! are in `hundi-transports`. `docs/links.md` has the formats to the byte.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod behaviour;
mod config;
mod event;
mod gate;
mod handle;
pub mod limits;
mod links;
pub mod opening;
mod owner;
mod start;
mod targets;
mod task;

pub use config::{Config, ReachList, StartError};
pub use event::{DialError, Event, MessageId, PublishError, SetReachError, Verdict};
pub use handle::{Events, Handle};
pub use limits::Limits;
pub use start::start;
