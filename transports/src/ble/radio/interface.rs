//! What goes into a radio and what comes out of it: the words between it and a system's Bluetooth
//! API.

use crate::ble::advertisement::{Beacon, Sighting};
use crate::ble::contacts::{Address, Patience};
use crate::ble::hint::Session;
use crate::ble::limits::CONNECTIONS_MAX;
use crate::ble::scan::ScanConfig;
use crate::channel::LinkKey;
use crate::link::{LinkEvent, LinkId};

/// What the driver calls a connection; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Who made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This device: it writes, and hears notifications.
    Central,
    /// The other one: this device notifies.
    Peripheral,
}

/// How a device takes part; times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What separates networks; both ends of a link must have the same.
    pub network: Vec<u8>,
    /// Whom to leave alone, and for how long.
    pub patience: Patience,
    /// When to listen.
    pub scan: ScanConfig,
    /// Connections at once; one of them is kept for a payment.
    pub connections_max: usize,
    /// Values handed to the driver and not yet reported as sent, per connection. 1 where a system
    /// takes one at a time (Android). More fill a connection event better; all of them are lost
    /// when the connection is.
    pub unsent_max: usize,
    /// How long one id is advertised, on average. Bluetooth's own addresses change every 15
    /// minutes; faster costs contacts, slower is followed for longer.
    pub rotate_ms: u64,
    /// How often a new fingerprint is put on the air at most: each one is a call to the system.
    pub advertise_ms: u64,
    /// How long a link may carry no message before the end that began it closes it, to save both
    /// batteries.
    pub idle_ms: u64,
    /// How long a device that has just shown a session looks for no peer of its own: its payer may
    /// be about to connect, and two devices that connect to each other at the same moment may both
    /// get nothing. Longer, and a stall that always shows one would fetch no news.
    pub expect_ms: u64,
    /// Whether the system advertises service data. iOS does not.
    pub service_data: bool,
}

impl Config {
    /// For the network of this name.
    pub fn new(network: &[u8]) -> Self {
        Config {
            network: network.to_vec(),
            patience: Patience::default(),
            scan: ScanConfig::default(),
            connections_max: CONNECTIONS_MAX,
            unsent_max: 8,
            rotate_ms: 900_000,
            advertise_ms: 2_000,
            idle_ms: 10_000,
            expect_ms: 30_000,
            service_data: true,
        }
    }
}

/// What happened, or what the device wants.
#[derive(Clone, Debug)]
pub enum Input {
    /// The adapter is there and on, or is not (any more).
    Powered(bool),
    /// A device was seen while scanning.
    Sighted {
        /// What the system calls it.
        address: Address,
        /// What it advertises.
        sighting: Sighting,
    },
    /// A connection is ready: as a central, services are known and notifications subscribed, or
    /// the L2CAP channel is open; as a peripheral, the first value came or the channel was opened.
    Connected {
        /// What the driver calls it.
        connection: ConnectionId,
        /// With whom.
        address: Address,
        /// Who made it.
        role: Role,
        /// Bytes of the longest value that it carries: of GATT the MTU less 3, at most 512; of
        /// L2CAP the other end's longest unit less the length in front of each fragment.
        bytes_max: usize,
        /// The beacon in INFO, if it was read.
        beacon: Option<Beacon>,
    },
    /// A connection that was asked for cannot be had.
    ConnectFailed {
        /// With whom.
        address: Address,
    },
    /// The longest value of a connection has changed.
    BytesMax {
        /// The connection.
        connection: ConnectionId,
        /// As in `Connected`.
        bytes_max: usize,
    },
    /// A write, a notification or an L2CAP unit came.
    Received {
        /// The connection that brought it.
        connection: ConnectionId,
        /// The value.
        bytes: Vec<u8>,
    },
    /// The system has taken a value of this connection, and takes another.
    Sent {
        /// The connection.
        connection: ConnectionId,
    },
    /// A connection is gone.
    Disconnected {
        /// Which.
        connection: ConnectionId,
    },
    /// The running scan has ended by itself.
    ScanLost,
    /// What this node holds has changed; 32 bytes that stand for it.
    Hold([u8; 32]),
    /// Payments of this device have no answer yet; the newest has this number, higher than those
    /// before it. Nodes that hold the same are asked for them, too, and for a newer one anew. `None`:
    /// there is none any more.
    Await(Option<u32>),
    /// Show a session in a payment request and wait for its payer; or no longer.
    Invite(Option<(Session, LinkKey)>),
    /// Look for the payee of this session and give it the first message.
    Pay {
        /// What its hint says.
        session: Session,
        /// The offer. It is durable: it may have arrived whatever happens.
        first: Vec<u8>,
        /// When to give up.
        until_ms: u64,
    },
    /// The payer no longer waits.
    StopPaying,
    /// Messages of a link are not taken at present.
    Pause(LinkId),
    /// They are taken again.
    Resume(LinkId),
    /// Close a link.
    Close(LinkId),
    /// Nothing but that time has passed.
    Time,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Advertise these bytes, connectable, in place of what was.
    Advertise {
        /// The whole legacy advertisement.
        bytes: Vec<u8>,
        /// Whether to take a new random address first: the bytes are those of somebody else.
        new_address: bool,
        /// Whether somebody waits: every 20 to 100 ms, else about once a second.
        fast: bool,
    },
    /// Stop to advertise.
    StopAdvertising,
    /// Start to scan; `fast` with the whole of the radio's time.
    Scan {
        /// Whether somebody waits.
        fast: bool,
    },
    /// Stop to scan.
    StopScan,
    /// Make a connection; answered by `Connected` or `ConnectFailed`.
    Connect {
        /// With whom.
        address: Address,
        /// The number of its L2CAP channel, if it is known beforehand.
        psm: Option<u16>,
    },
    /// Write without response, or send on the L2CAP channel; answered by `Sent`.
    Write {
        /// Where.
        connection: ConnectionId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Notify, or send on the L2CAP channel; answered by `Sent`.
    Notify {
        /// Where.
        connection: ConnectionId,
        /// What.
        bytes: Vec<u8>,
    },
    /// End a connection; answered by `Disconnected`.
    Disconnect {
        /// Which.
        connection: ConnectionId,
    },
    /// The link whose `Up` comes right behind is one of a session: with the payee that was looked
    /// for, or with a payer that has seen the session.
    Session {
        /// The link.
        link: LinkId,
    },
    /// A link came up, brought a message, or ended.
    Link(LinkEvent),
    /// The first message of a payer, right behind its link's `Up`. It may be a repetition: it may
    /// only lead to what is harmless twice.
    First {
        /// The link that brought it.
        link: LinkId,
        /// The offer.
        bytes: Vec<u8>,
    },
    /// The payee was not found, or did not answer, in time. The payment may have arrived.
    NoAnswer,
}
