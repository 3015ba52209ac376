//! Who answers as BlueZ on the bus: the one thing that bluer does not say.
//!
//! A daemon that is killed says goodbye to nobody, and one that was restarted looks like before but
//! has forgotten everything. Its unique name on the bus changes.

use std::sync::Arc;
use std::time::Duration;

use dbus::nonblock::{Proxy, SyncConnection};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::{AdapterError, of_dbus};
use crate::limits::CALL_TIMEOUT;

const BUS: &str = "org.freedesktop.DBus";

/// A connection to the system bus.
pub(crate) struct Bus {
    connection: Arc<SyncConnection>,
    reader: JoinHandle<()>,
}

impl Bus {
    pub(crate) async fn open() -> Result<Self, AdapterError> {
        // It blocks until the bus has answered: half a minute where one hangs.
        let opening = tokio::task::spawn_blocking(dbus_tokio::connection::new_system_sync);
        let no_bus = |reason: String| AdapterError::NoBus { reason };
        let opened = opening.await.map_err(|error| no_bus(error.to_string()))?;
        let (resource, connection) = opened.map_err(|error| no_bus(error.to_string()))?;
        let reader = tokio::spawn(async move {
            let lost = resource.await;
            tracing::debug!(%lost, "the bus is gone");
        });
        Ok(Bus { connection, reader })
    }

    /// The unique name of the daemon that answers as BlueZ.
    pub(crate) async fn daemon(&self) -> Result<String, AdapterError> {
        let proxy = Proxy::new(BUS, "/org/freedesktop/DBus", CALL_TIMEOUT, self.connection.clone());
        let call = proxy.method_call(BUS, "GetNameOwner", ("org.bluez",));
        // The bus's own time-out does not come once its reader has ended.
        let answer = timeout(CALL_TIMEOUT + Duration::from_secs(1), call).await;
        let answer: Result<(String,), dbus::Error> = answer.map_err(|_| AdapterError::NoAnswer)?;
        answer.map(|(owner,)| owner).map_err(|error| {
            of_dbus(error.name().unwrap_or_default(), error.message().unwrap_or_default().into())
        })
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
