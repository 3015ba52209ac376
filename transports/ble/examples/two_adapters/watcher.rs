//! What the driver tells while it works: counted, and printed on standard error but for the finest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What one adapter's driver has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Values handed to BlueZ: writes, notifications, units of a channel.
    pub(crate) values: u64,
    /// Bytes of these.
    pub(crate) bytes: u64,
    /// Sightings of devices that are ours or somebody's.
    pub(crate) seen: u64,
}

/// The counts of all adapters so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watcher(Arc<Mutex<BTreeMap<String, Counts>>>);

impl Watcher {
    /// The counts of one adapter so far.
    pub(crate) fn of(&self, adapter: &str) -> Counts {
        let counts = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        counts.get(adapter).copied().unwrap_or_default()
    }
}

/// Listens to the driver from now on.
pub(crate) fn install() -> anyhow::Result<Watcher> {
    let watcher = Watcher::default();
    let prints = std::env::var_os("HUNDI_QUIET").is_none();
    let listener = Listener { watcher: watcher.clone(), started: Instant::now(), prints };
    tracing::subscriber::set_global_default(listener).context("somebody listens already")?;
    Ok(watcher)
}

struct Listener {
    watcher: Watcher,
    started: Instant,
    prints: bool,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("hundi_transport_ble")
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if self.prints {
            let ms = self.started.elapsed().as_millis();
            eprintln!("{ms:>6} {} {}{}", fields.adapter, fields.message, fields.rest);
        }
        let mut all = self.watcher.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let counts = all.entry(fields.adapter).or_default();
        match fields.message.as_str() {
            "value" => {
                counts.values += 1;
                counts.bytes += fields.bytes;
            }
            "seen" => counts.seen += 1,
            _ => {}
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields {
    adapter: String,
    message: String,
    bytes: u64,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "adapter" => value.clone_into(&mut self.adapter),
            name => self.rest.push_str(&format!(" {name}={value}")),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "bytes" {
            self.bytes = value;
        }
        self.record_debug(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.rest.push_str(&format!(" {name}={value:?}")),
        }
    }
}
