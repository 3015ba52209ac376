//! Bluetooth Low Energy, everything of it that is pure.

pub mod advertisement;
pub mod contacts;
mod entropy;
pub mod fragment;
pub mod hello;
pub mod hint;
pub mod info;
pub mod limits;
pub mod link;
pub mod pipe;
pub mod radio;
mod receiver;
#[cfg(test)]
mod rig;
pub mod scan;
mod sender;
