//! What the Bluetooth side of a node is told at its start.

use hundi_transports::ble::radio;
use hundi_transports::ble::scan::ScanConfig;

/// Everything [`crate::start`] needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The adapter's name as BlueZ gives it (`hci0`), or `None`: `hci0` if it is there, else the
    /// first one.
    pub adapter: Option<String>,
    /// Whether to switch the adapter on when it is off. Else that is said, and waited for.
    pub power_on: bool,
    /// Whether to offer and use L2CAP channels. Without them everything goes over GATT.
    pub channels: bool,
    /// How the radio takes part.
    pub radio: radio::Config,
}

impl Config {
    /// For the network of this name, on any adapter.
    pub fn new(network: &[u8]) -> Self {
        let mut radio = radio::Config::new(network);
        radio.scan = ScanConfig::bluez();
        Config { adapter: None, power_on: false, channels: true, radio }
    }
}
