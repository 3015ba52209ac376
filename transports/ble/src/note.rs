//! What tasks tell the owner.

use hundi_transports::ble::advertisement::{Beacon, Sighting};
use hundi_transports::ble::radio::ConnectionId;

use crate::bearer::Bearer;
use crate::error::AdapterError;
use crate::station::Station;

/// Names one attempt to connect, so that a late answer to an earlier one is known as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt(pub(crate) u64);

/// What a task tells the owner.
#[derive(Debug)]
pub(crate) enum Note {
    /// The adapter is there, on, and serves.
    On(Box<Station>),
    /// It is not (any more).
    Off(AdapterError),
    /// A device was seen.
    Sighted { address: bluer::Address, sighting: Sighting },
    /// The scan has ended by itself, or could not be started.
    ScanLost,
    /// A central has written a value to this end's service.
    Wrote { address: bluer::Address, mtu: u16, bytes: Vec<u8> },
    /// A central has opened a channel.
    Accepted { address: bluer::Address, bearer: Bearer },
    /// A connection that was asked for is ready.
    Opened { attempt: Attempt, bearer: Bearer, beacon: Option<Beacon> },
    /// It cannot be had.
    Failed { attempt: Attempt },
    /// A connection has brought a value.
    Received { connection: ConnectionId, bytes: Vec<u8> },
    /// A connection takes another value.
    Sent { connection: ConnectionId },
    /// A connection is gone.
    Gone { connection: ConnectionId },
    /// A device is disconnected and forgotten.
    Released { address: bluer::Address },
}
