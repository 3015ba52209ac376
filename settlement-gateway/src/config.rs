//! How a gateway runs: one struct, filled and checked at the edge (command line or test). Where the
//! values come from is [`settings`]'s.

pub mod settings;

use hundi_node::daemon::Bluetooth;
use hundi_node::home::Home;
use std::net::SocketAddr;
use std::time::Duration;

/// How a gateway runs.
#[derive(Debug)]
pub struct Config {
    /// The gateway's directory.
    pub home: Home,
    /// Where other nodes reach it.
    pub listen: Vec<SocketAddr>,
    /// Where its HTTP API listens; port 0 takes a free one.
    pub api: SocketAddr,
    /// Where whoever watches it asks for its health and its metrics, besides the API; nowhere if
    /// none.
    pub monitoring: Option<SocketAddr>,
    /// Whether to find nodes on the local network by mDNS.
    pub mdns: bool,
    /// The only nodes to be in contact with; none means all.
    pub reach: Option<Vec<SocketAddr>>,
    /// Whether and how to use Bluetooth: a branch that phones walk past.
    pub bluetooth: Option<Bluetooth>,
    /// How often the bank looks at what is due: claims that end, refunds that lapse.
    pub tick: Duration,
    /// How often everything that the node holds is handed to the bank again, in case it was too
    /// busy, stopped or not certain when it came.
    pub rescan: Duration,
    /// How long working off what was taken may last when the gateway stops.
    pub drain: Duration,
}

impl Config {
    /// A gateway in `home` on loopback and free ports, without mDNS, reached by all.
    pub fn new(home: Home) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            home,
            listen: vec![loopback],
            api: loopback,
            monitoring: None,
            mdns: false,
            reach: None,
            bluetooth: None,
            tick: Duration::from_secs(5),
            rescan: Duration::from_secs(300),
            drain: Duration::from_secs(30),
        }
    }
}
