//! Decides: records, encoding, signing, sealing, replica, verdicts and sync sessions of the hundi mesh, without IO.
#![no_std]

extern crate alloc;
