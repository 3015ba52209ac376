//! Decides: a bank's books, intake, loss rule, checkpoints and freezes, without IO.
#![no_std]

extern crate alloc;
