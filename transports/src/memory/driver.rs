//! A [`Network`] on tokio's clock, so that what is written for links in general runs on memory.
//!
//! Thin on purpose: time passes, waiting is waiting. With tokio's clock paused a run takes no time.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::link::{Endpoint, LinkEvent, LinkId, SendError};
use crate::memory::{Network, NodeId};

/// A network shared by the endpoints of its nodes.
#[derive(Clone, Debug)]
pub struct Driver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    network: Mutex<Network>,
    changed: Notify,
    started: Instant,
}

impl Driver {
    /// Runs `network` from now on: its virtual time zero is this moment.
    pub fn new(network: Network) -> Self {
        let (changed, started) = (Notify::new(), Instant::now());
        Driver { shared: Arc::new(Shared { network: Mutex::new(network), changed, started }) }
    }

    /// One node's end of everything. One per node: they would take each other's events.
    pub fn endpoint(&self, node: NodeId) -> MemoryEndpoint {
        MemoryEndpoint { driver: self.clone(), node }
    }

    /// Does something with the network at the present moment.
    pub fn with<T>(&self, action: impl FnOnce(&mut Network, Duration) -> T) -> T {
        let result = action(&mut self.lock(), self.shared.started.elapsed());
        self.shared.changed.notify_waiters();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Network> {
        self.shared.network.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Repeats `attempt` whenever something may have changed, until it has a result.
    async fn until<T>(&self, mut attempt: impl FnMut(&mut Network, Duration) -> Option<T>) -> T {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // From here on no change goes unnoticed.
            changed.as_mut().enable();
            let (result, due) = {
                let mut network = self.lock();
                (attempt(&mut network, self.shared.started.elapsed()), network.next_due())
            };
            if let Some(result) = result {
                self.shared.changed.notify_waiters();
                return result;
            }
            match due {
                Some(due) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(self.shared.started + due) => {}
                },
                None => changed.await,
            }
        }
    }
}

/// One node of a [`Network`] as an [`Endpoint`].
#[derive(Debug)]
pub struct MemoryEndpoint {
    driver: Driver,
    node: NodeId,
}

impl Endpoint for MemoryEndpoint {
    async fn send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError> {
        let node = self.node;
        self.driver
            .until(|network, now| match network.send(now, node, link, &bytes) {
                Err(SendError::Full) => None,
                result => Some(result),
            })
            .await
    }

    fn try_send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError> {
        self.driver.with(|network, now| network.send(now, self.node, link, &bytes))
    }

    async fn close(&self, link: LinkId) {
        self.driver.with(|network, now| network.close(now, self.node, link));
    }

    async fn next(&mut self) -> Option<LinkEvent> {
        let node = self.node;
        Some(self.driver.until(|network, now| network.next_event(now, node)).await)
    }
}
