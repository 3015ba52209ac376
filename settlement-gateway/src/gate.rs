//! The gate before the API: whether requests are still let in, and how many are inside.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// A gate. Open at first; once closed it stays closed.
#[derive(Debug)]
pub(crate) struct Gate {
    closed: AtomicBool,
    inside: watch::Sender<usize>,
}

/// Somebody who was let in; leaves when dropped.
pub(crate) struct Inside<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new() -> Self {
        Self { closed: AtomicBool::new(false), inside: watch::Sender::new(0) }
    }

    /// Lets one in, unless it is closed.
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        // Counted first: whoever closes the gate and then sees nobody inside has seen everybody.
        self.inside.send_modify(|inside| *inside += 1);
        let inside = Inside(self);
        (!self.closed.load(Ordering::SeqCst)).then_some(inside)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// How many are inside.
    pub(crate) fn inside(&self) -> usize {
        *self.inside.borrow()
    }

    /// Completes when nobody is inside.
    pub(crate) async fn emptied(&self) {
        // An error says that the gate is gone, which it is not while it is borrowed.
        drop(self.inside.subscribe().wait_for(|inside| *inside == 0).await);
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.send_modify(|inside| *inside -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_inside_may_finish_and_nobody_else_comes_in() {
        let gate = Gate::new();
        let first = gate.enter().unwrap();
        gate.close();
        assert!(gate.enter().is_none());
        assert_eq!(gate.inside(), 1);
        let waits = gate.emptied();
        tokio::pin!(waits);
        tokio::select! {
            biased;
            () = &mut waits => panic!("one is still inside"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        waits.await;
    }
}
