//! The model: every state of the sound bank, a run against every bug, and the real journal beside
//! it.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod bugs;
mod journal;
mod real;
mod states;
