//! A TCP path that can be cut after so many bytes, or fed with garbage. Runs on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Where to connect instead of the real address, and what may be done to the path.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// Bytes that may still pass towards the target.
    left: AtomicI64,
    garble: Notify,
}

impl Proxy {
    /// Passes connections on to `target`.
    pub(crate) async fn new(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { left: AtomicI64::new(i64::MAX), garble: Notify::new() });
        let proxy = Proxy { address, shared: shared.clone() };
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(pass(from, target, shared.clone()));
            }
        });
        proxy
    }

    /// Severs the path once this many more bytes went towards the target.
    pub(crate) fn cut(&self, after_bytes: usize) {
        self.shared.left.store(i64::try_from(after_bytes).unwrap(), Ordering::SeqCst);
    }

    /// Puts bytes that nobody sent on the way towards the target.
    pub(crate) fn garble(&self) {
        self.shared.garble.notify_one();
    }
}

async fn pass(from: TcpStream, target: SocketAddr, shared: Arc<Shared>) {
    let to = TcpStream::connect(target).await.unwrap();
    let (mut from_read, mut from_write) = from.into_split();
    let (mut to_read, mut to_write) = to.into_split();
    let back = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut to_read, &mut from_write).await;
    });
    let mut buffer = vec![0; 4_096];
    loop {
        tokio::select! {
            () = shared.garble.notified() => {
                if to_write.write_all(&[0x5a; 64]).await.is_err() {
                    break;
                }
            }
            length = from_read.read(&mut buffer) => {
                let Ok(length @ 1..) = length else { break };
                let length = i64::try_from(length).unwrap();
                let left = shared.left.fetch_sub(length, Ordering::SeqCst);
                let passing = usize::try_from(length.min(left).max(0)).unwrap();
                if to_write.write_all(&buffer[..passing]).await.is_err() || left < length {
                    break;
                }
            }
        }
    }
    // Both directions end with the sockets.
    back.abort();
}
