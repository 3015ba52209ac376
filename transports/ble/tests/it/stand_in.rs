//! The driver before a stand-in for BlueZ's daemon, on a bus of the test's own. Needs dbus-daemon.

mod bluez;
mod central;
mod peripheral;
mod recovery;
