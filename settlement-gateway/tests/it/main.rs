//! Tests of the gateway through its public faces: the HTTP API in process, the binary's command
//! line, and the binary killed under load.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod api;
mod client;
mod command_line;
mod crowd;
mod deploy;
mod device;
mod drain;
mod due;
mod gateway;
mod kill;
mod mesh;
mod scrape;
