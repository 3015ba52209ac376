//! Why there is no Bluetooth at present, and what a person can do about it. None of it is final:
//! the keeper goes on trying.

use bluer::{ErrorKind, InternalErrorKind};
use thiserror::Error;

/// Why the adapter cannot be used. It is tried again by itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AdapterError {
    /// There is no D-Bus to find BlueZ on.
    #[error("the system D-Bus cannot be reached ({reason}): start dbus-daemon")]
    NoBus {
        /// What D-Bus said.
        reason: String,
    },
    /// BlueZ's daemon is not there.
    #[error("bluetoothd is not running: install bluez, and start the service bluetooth")]
    NoDaemon,
    /// The daemon was restarted: everything that was registered with it is gone.
    #[error("bluetoothd was restarted")]
    DaemonRestarted,
    /// There is no such adapter.
    #[error("{}", no_adapter(wanted.as_deref(), there))]
    NoAdapter {
        /// The one that was asked for by name.
        wanted: Option<String>,
        /// Those that are there.
        there: Vec<String>,
    },
    /// The adapter was there and is gone.
    #[error("adapter {name} was removed: plug it in again")]
    Removed {
        /// Its name.
        name: String,
    },
    /// The adapter is switched off.
    #[error(
        "adapter {name} is off: bluetoothctl power on; if that fails, rfkill unblock bluetooth"
    )]
    PoweredOff {
        /// Its name.
        name: String,
    },
    /// The system does not let this program use BlueZ.
    #[error("not permitted to use BlueZ ({reason}): add the user to the group bluetooth")]
    NotPermitted {
        /// What BlueZ or D-Bus said.
        reason: String,
    },
    /// The adapter or BlueZ lacks something that is needed.
    #[error("adapter {name} lacks what is needed ({reason}): Bluetooth 4.0 with LE, BlueZ 5.50")]
    NotSupported {
        /// The adapter's name.
        name: String,
        /// What BlueZ said.
        reason: String,
    },
    /// BlueZ did not answer in time.
    #[error("BlueZ does not answer: if it stays so, restart the service bluetooth")]
    NoAnswer,
    /// BlueZ failed in another way.
    #[error("BlueZ failed: {reason}")]
    Failed {
        /// What it said.
        reason: String,
    },
}

fn no_adapter(wanted: Option<&str>, there: &[String]) -> String {
    match (wanted, there) {
        (None, _) => "no Bluetooth adapter: plug one in, or load its driver".to_owned(),
        (Some(wanted), []) => format!("no Bluetooth adapter {wanted}, nor any other: plug it in"),
        (Some(wanted), there) => {
            format!("no Bluetooth adapter {wanted}: choose one of {}", there.join(", "))
        }
    }
}

impl AdapterError {
    /// What an error of BlueZ means for the adapter of this name.
    pub(crate) fn of(name: &str, error: &bluer::Error) -> Self {
        let (name, reason) = (name.to_owned(), error.to_string());
        match &error.kind {
            ErrorKind::NotFound | ErrorKind::DoesNotExist => AdapterError::Removed { name },
            ErrorKind::NotReady => AdapterError::PoweredOff { name },
            ErrorKind::NotAuthorized => AdapterError::NotPermitted { reason },
            ErrorKind::NotSupported => AdapterError::NotSupported { name, reason },
            ErrorKind::Internal(InternalErrorKind::DBusConnectionLost) => {
                AdapterError::NoBus { reason }
            }
            ErrorKind::Internal(InternalErrorKind::DBus(dbus)) if is_unknown(dbus) => {
                AdapterError::NotSupported { name, reason }
            }
            ErrorKind::Internal(InternalErrorKind::DBus(dbus)) => of_dbus(dbus, reason),
            _ => AdapterError::Failed { reason },
        }
    }
}

/// Whether the daemon does not know what it was asked for.
fn is_unknown(name: &str) -> bool {
    let unknown = ["UnknownInterface", "UnknownMethod", "UnknownObject", "UnknownProperty"];
    let name = name.strip_prefix("org.freedesktop.DBus.Error.");
    name.is_some_and(|name| unknown.contains(&name))
}

/// What an error of D-Bus itself, by its name, means.
pub(crate) fn of_dbus(name: &str, reason: String) -> AdapterError {
    match name.strip_prefix("org.freedesktop.DBus.Error.") {
        Some("ServiceUnknown" | "NameHasNoOwner") => AdapterError::NoDaemon,
        Some(spawn) if spawn.starts_with("Spawn.") => AdapterError::NoDaemon,
        Some("AccessDenied" | "AuthFailed") => AdapterError::NotPermitted { reason },
        Some("NoReply" | "Timeout" | "TimedOut") => AdapterError::NoAnswer,
        Some("Disconnected" | "NoServer" | "FileNotFound") => AdapterError::NoBus { reason },
        _ => AdapterError::Failed { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: ErrorKind) -> bluer::Error {
        bluer::Error { kind, message: "because".to_owned() }
    }

    fn of_bus(name: &str) -> AdapterError {
        let dbus = InternalErrorKind::DBus(format!("org.freedesktop.DBus.Error.{name}"));
        AdapterError::of("hci0", &error(ErrorKind::Internal(dbus)))
    }

    #[test]
    fn each_error_says_what_is_wrong() {
        let name = "hci0".to_owned();
        let of = |kind| AdapterError::of("hci0", &error(kind));
        assert_eq!(of(ErrorKind::NotReady), AdapterError::PoweredOff { name: name.clone() });
        assert_eq!(of(ErrorKind::NotFound), AdapterError::Removed { name });
        assert!(matches!(of(ErrorKind::NotSupported), AdapterError::NotSupported { .. }));
        assert!(
            matches!(of(ErrorKind::Failed), AdapterError::Failed { reason } if reason.contains("because"))
        );
        assert_eq!(of_bus("ServiceUnknown"), AdapterError::NoDaemon);
        assert_eq!(of_bus("Spawn.ChildExited"), AdapterError::NoDaemon);
        assert!(matches!(of_bus("UnknownMethod"), AdapterError::NotSupported { .. }));
        assert_eq!(of_bus("NoReply"), AdapterError::NoAnswer);
        assert!(matches!(of_bus("AccessDenied"), AdapterError::NotPermitted { .. }));
        assert!(matches!(of_bus("Disconnected"), AdapterError::NoBus { .. }));
        assert!(matches!(of_bus("Elsewhere"), AdapterError::Failed { .. }));
    }

    #[test]
    fn a_missing_adapter_is_named_and_so_are_those_that_are_there() {
        let there = vec!["hci1".to_owned(), "hci2".to_owned()];
        let wanted = Some("hci0".to_owned());
        let error = AdapterError::NoAdapter { wanted: wanted.clone(), there };
        let text = "no Bluetooth adapter hci0: choose one of hci1, hci2";
        assert_eq!(error.to_string(), text);
        let none = AdapterError::NoAdapter { wanted, there: vec![] };
        assert_eq!(none.to_string(), "no Bluetooth adapter hci0, nor any other: plug it in");
    }
}
