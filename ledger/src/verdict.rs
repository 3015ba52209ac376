//! What is accepted where (DESIGN §4).
//!
//! The relay's verdict is [`crate::replica::Replica::apply`]; the bank's is in the journal. Here
//! are the payee's, offline and with what one message brings, and the payer's.

pub mod payee;
pub mod payer;
