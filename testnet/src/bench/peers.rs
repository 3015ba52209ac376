//! The peers that our session is measured beside, on the same items over the same kind of link:
//! [`negentropy`] (range-based set reconciliation of item ids, then the items themselves) and
//! [`automerge`] (its documents and their sync protocol). Each exchange ends with the same entries
//! on both sides, or is an error.

pub mod automerge;
pub mod negentropy;
