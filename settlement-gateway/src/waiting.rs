//! Waiting for what comes over a channel, but not for ever, on a thread of its own.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What waiting came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited<T> {
    /// Something came.
    Came(T),
    /// Nothing came in that time.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for so long, without a runtime: one that shuts down takes its timers with it.
pub(crate) fn receive_within<T>(inbox: &mut mpsc::Receiver<T>, time: Duration) -> Waited<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let until = Instant::now() + time;
    loop {
        match inbox.poll_recv(&mut context) {
            Poll::Ready(Some(it)) => return Waited::Came(it),
            Poll::Ready(None) => return Waited::Closed,
            Poll::Pending => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Waited::Nothing;
        }
        // Whatever wakes it, also for no reason: it looks again.
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_until_something_comes_or_nothing_will() {
        let (sender, mut inbox) = mpsc::channel(1);
        assert_eq!(receive_within(&mut inbox, Duration::from_millis(1)), Waited::Nothing);
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            sender.blocking_send(7).unwrap();
        });
        let long = Duration::from_secs(600);
        assert_eq!(receive_within(&mut inbox, long), Waited::Came(7));
        assert_eq!(receive_within(&mut inbox, long), Waited::Closed);
        other.join().unwrap();
    }
}
