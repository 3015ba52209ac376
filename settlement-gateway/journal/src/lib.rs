//! Decides: a bank's books, intake, loss rule, checkpoints and freezes, without IO.
//!
//! A [`bank::Bank`] is event-sourced: [`bank::Bank::handle`] turns an [`input::Input`] into
//! [`output::Outputs`] whose events are the only thing to store; applying the stored events to an
//! empty bank gives the identical state. Time and randomness are arguments, keys are never part
//! of the state. [`audit`] recomputes the invariants from the events alone.
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used))]

extern crate alloc;

pub mod account;
pub mod apply;
pub mod audit;
pub mod bank;
pub mod books;
mod bulletin;
pub mod checkpoint;
mod contradiction;
mod due;
pub mod event;
mod fault;
mod freeze;
pub mod grant;
pub mod input;
mod intake;
pub mod limits;
pub mod loss;
pub mod operation;
pub mod output;
pub mod prepare;
mod receipt;
mod refund;
mod settle;
pub mod state;
pub mod tally;
pub mod transaction;
