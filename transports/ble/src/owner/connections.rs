//! The connections of an owner: opened, written to, ended.

use hundi_transports::ble::advertisement::Beacon;
use hundi_transports::ble::radio::{ConnectionId, Input, Role};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::bearer::Bearer;
use crate::limits::LAST_VALUE;
use crate::note::{Attempt, Note};
use crate::owner::Owner;
use crate::{address, server};

/// An attempt to connect that goes on.
pub(super) struct Attempted {
    pub(super) number: Attempt,
    pub(super) address: bluer::Address,
}

/// A connection that is there.
pub(super) struct Open {
    pub(super) address: bluer::Address,
    /// Who made it.
    role: Role,
    carrier: Carrier,
}

enum Carrier {
    /// It has sockets; dropping these ends it.
    Sockets { values: mpsc::Sender<Vec<u8>>, _closing: oneshot::Sender<()> },
    /// A central that uses this end's service, with the longest value of its MTU.
    Service { bytes_max: usize },
    /// It ends; nothing goes there any more.
    Ending,
}

impl Owner {
    /// A connection with sockets is ready.
    pub(super) fn open(
        &mut self,
        address: bluer::Address,
        role: Role,
        bearer: Bearer,
        beacon: Option<Beacon>,
    ) {
        let connection = ConnectionId(self.number());
        // The radio hands over so many at once and no more.
        let (values, to_send) = mpsc::channel(self.config.radio.unsent_max.max(1));
        let (closing, closed) = oneshot::channel();
        let bytes_max = bearer.bytes_max();
        tracing::debug!(connection = connection.0, %address, ?role, bytes_max, "a connection");
        self.tasks.spawn(bearer.run(connection, to_send, closed, self.notes.clone()));
        let carrier = Carrier::Sockets { values, _closing: closing };
        self.connections.insert(connection, Open { address, role, carrier });
        let address = address::to_radio(address);
        self.inputs.push_back(Input::Connected { connection, address, role, bytes_max, beacon });
    }

    /// A central has written to this end's service; the first time, it has connected.
    pub(super) fn wrote(&mut self, address: bluer::Address, mtu: u16, bytes: Vec<u8>) {
        let Some(station) = &self.station else { return };
        tracing::trace!(%address, mtu, bytes = bytes.len(), "written");
        let bytes_max = server::bytes_max(mtu);
        // What it wrote before it was ended is not a new connection.
        if self.is_ending(address) {
            return;
        }
        let known =
            self.connections.iter_mut().find_map(|(connection, open)| match &mut open.carrier {
                Carrier::Service { bytes_max } if open.address == address => {
                    Some((*connection, bytes_max))
                }
                _ => None,
            });
        let connection = match known {
            Some((connection, of)) => {
                if *of != bytes_max {
                    *of = bytes_max;
                    self.inputs.push_back(Input::BytesMax { connection, bytes_max });
                }
                connection
            }
            None => {
                let (adapter, notes) = (station.adapter.clone(), self.notes.clone());
                let connection = ConnectionId(self.number());
                self.tasks.spawn(server::watch_central(adapter, address, connection, notes));
                let carrier = Carrier::Service { bytes_max };
                let (role, beacon) = (Role::Peripheral, None);
                self.connections.insert(connection, Open { address, role, carrier });
                let address = address::to_radio(address);
                let connected = Input::Connected { connection, address, role, bytes_max, beacon };
                self.inputs.push_back(connected);
                connection
            }
        };
        self.inputs.push_back(Input::Received { connection, bytes });
    }

    pub(super) fn is_ending(&self, address: bluer::Address) -> bool {
        let ending = |open: &Open| matches!(open.carrier, Carrier::Ending);
        self.connections.values().any(|open| open.address == address && ending(open))
    }

    /// Hands a value over. The radio is told when it was taken.
    pub(super) fn transmit(&mut self, connection: ConnectionId, bytes: Vec<u8>) {
        let Some(open) = self.connections.get(&connection) else { return };
        let adapter = self.station.as_ref().map_or("", |station| station.adapter.name());
        tracing::trace!(adapter, connection = connection.0, bytes = bytes.len(), "value");
        let taken = match (&open.carrier, &self.station) {
            (Carrier::Sockets { values, .. }, _) => values.try_send(bytes).is_ok(),
            (Carrier::Service { .. }, Some(station)) => {
                station.notifications.try_send((connection, bytes)).is_ok()
            }
            _ => false,
        };
        if !taken {
            // As if the air had lost it.
            self.inputs.push_back(Input::Sent { connection });
        }
    }

    /// Ends a connection once what was handed over has left; that it is gone is a note.
    pub(super) fn disconnect(&mut self, connection: ConnectionId) {
        let Some(open) = self.connections.get_mut(&connection) else { return };
        match core::mem::replace(&mut open.carrier, Carrier::Ending) {
            // Its task sends what it has, and ends.
            Carrier::Sockets { .. } | Carrier::Ending => {}
            Carrier::Service { .. } => {
                let notes = self.notes.clone();
                self.tasks.spawn(async move {
                    sleep(LAST_VALUE).await;
                    // The owner has stopped if nobody listens.
                    let _ = notes.send(Note::Gone { connection }).await;
                });
            }
        }
    }

    /// A connection is gone, or is to go now.
    pub(super) fn gone(&mut self, connection: ConnectionId) {
        if let Some(open) = self.connections.remove(&connection) {
            // Who has ended it disconnects; the other end of a central's is given time to.
            let by_us = matches!(open.carrier, Carrier::Ending);
            let role = if by_us { Role::Central } else { open.role };
            self.release(open.address, role);
            self.inputs.push_back(Input::Disconnected { connection });
            self.connect_delayed();
        }
    }
}
