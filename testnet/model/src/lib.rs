//! Judges: a small model of the settlement rule, checked in every state that it can reach.
//!
//! Two gateways of one bank share one book. Two authors pay two payees; one of them signs two
//! branches. Entries reach either gateway in any order and as often as they like, clocks pass
//! claim-until one by one, and a gateway may crash between any two steps. [`cast`] says who is
//! there, [`book`] what is durable, [`rule`] what the bank decides, [`world`] what may happen,
//! [`properties`] what must hold, and [`bug`] how it can be broken, so that each property is seen
//! to fail.
//!
//! It imports none of ours, so that it can disagree with the journal. It follows the design, and
//! where that is silent (a contradiction that comes too late, a review that opens again) what the
//! journal does. A test walks both through every book that can arise and compares them.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod book;
pub mod bug;
pub mod cast;
pub mod properties;
pub mod rule;
pub mod world;
