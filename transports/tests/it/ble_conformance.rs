//! The suite for all links, on Bluetooth's state machines: on quiet air and on bad air.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use hundi_transports::ble::limits::{FRAGMENT_BYTES_MAX, INBOX_BYTES_MAX, OUTBOX_BYTES_MAX};
use hundi_transports::ble::radio::{Config, ConnectionId, Input, Output};
use hundi_transports::conformance::Rig;
use hundi_transports::conformance_tests;
use hundi_transports::link::{Endpoint, LinkEvent, LinkId, SendError};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

use crate::ether::{Air, Ether};

/// The ether on tokio's clock.
#[derive(Clone)]
struct Driver {
    ether: Arc<Mutex<Ether>>,
    changed: Arc<Notify>,
    started: Instant,
}

impl Driver {
    fn lock(&self) -> MutexGuard<'_, Ether> {
        let mut ether = self.ether.lock().unwrap();
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap();
        ether.advance(now_ms);
        ether
    }

    fn with<T>(&self, action: impl FnOnce(&mut Ether) -> T) -> T {
        let result = action(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    async fn until<T>(&self, mut attempt: impl FnMut(&mut Ether) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (result, due) = {
                let mut ether = self.lock();
                (attempt(&mut ether), ether.due())
            };
            if let Some(result) = result {
                self.changed.notify_waiters();
                return result;
            }
            match due {
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(self.started + Duration::from_millis(due)) => {}
                },
                None => changed.await,
            }
        }
    }
}

struct End {
    driver: Driver,
    at: usize,
}

impl Endpoint for End {
    async fn send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError> {
        let attempt = |ether: &mut Ether| match ether.send(self.at, link, &bytes) {
            Err(SendError::Full) => None,
            result => Some(result),
        };
        self.driver.until(attempt).await
    }

    fn try_send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError> {
        self.driver.with(|ether| ether.send(self.at, link, &bytes))
    }

    async fn close(&self, link: LinkId) {
        self.driver.with(|ether| ether.handle(self.at, Input::Close(link)));
    }

    async fn next(&mut self) -> Option<LinkEvent> {
        let at = self.at;
        let attempt = |ether: &mut Ether| match ether.next_event(at) {
            Some(Output::Link(event)) => Some(event),
            _ => None,
        };
        Some(self.driver.until(attempt).await)
    }
}

struct BleRig<const BAD: bool> {
    driver: Driver,
    connections: HashMap<(usize, usize), ConnectionId>,
}

impl<const BAD: bool> Rig for BleRig<BAD> {
    type End = End;

    async fn new(count: usize) -> (Self, Vec<End>) {
        let air = if BAD {
            Air { bytes_max: 182, latency_ms: 2, jitter_ms: 3, lost_per_mille: 10 }
        } else {
            Air { bytes_max: 512, latency_ms: 1, ..Air::default() }
        };
        let mut ether = Ether::new(7, air);
        for _ in 0..count {
            ether.add(Config { connections_max: 8, ..Config::new(b"conformance") });
        }
        let (ether, changed) = (Arc::new(Mutex::new(ether)), Arc::new(Notify::new()));
        let driver = Driver { ether, changed, started: Instant::now() };
        let ends = (0..count).map(|at| End { driver: driver.clone(), at }).collect();
        (BleRig { driver, connections: HashMap::new() }, ends)
    }

    async fn connect(&mut self, from: usize, to: usize) {
        let connection = self.driver.with(|ether| ether.connect(from, to));
        self.connections.insert((from, to), connection);
    }

    async fn cut(&mut self, from: usize, to: usize, after_bytes: usize) {
        let connection = self.connections[&(from, to)];
        self.driver.with(|ether| ether.cut(connection, after_bytes));
    }

    async fn garble(&mut self, from: usize, to: usize) {
        let connection = self.connections[&(from, to)];
        self.driver.with(|ether| ether.inject(to, connection, &[20, 0, 1, 2, 3]));
    }

    fn backlog_bytes_max() -> usize {
        // Queued, under way, arrived, decoded, and handed to the driver before it paused the link.
        let window = 32 * FRAGMENT_BYTES_MAX;
        OUTBOX_BYTES_MAX + window + 3 * (INBOX_BYTES_MAX + window)
    }
}

mod quiet {
    use super::*;
    conformance_tests!(BleRig<false>);
}

mod bad {
    use super::*;
    conformance_tests!(BleRig<true>);
}
