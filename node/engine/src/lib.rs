//! Decides: one whole device of the hundi mesh, minus IO.
#![no_std]

extern crate alloc;
