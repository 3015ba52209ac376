//! The suite for all links, over TCP on loopback through a path that can be disturbed.

use std::collections::HashMap;
use std::net::SocketAddr;

use hundi_transport_libp2p::Event;
use hundi_transports::conformance::Rig;
use hundi_transports::conformance_tests;
use hundi_transports::link::{Endpoint, LinkEvent, LinkId, SendError};

use crate::kit::{Node, loopback};
use crate::proxy::Proxy;

struct End(Node);

impl Endpoint for End {
    async fn send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError> {
        self.0.handle.send(link, bytes).await
    }

    fn try_send(&self, link: LinkId, bytes: Vec<u8>) -> Result<(), SendError> {
        self.0.handle.try_send(link, bytes)
    }

    async fn close(&self, link: LinkId) {
        self.0.handle.close(link).await;
    }

    async fn next(&mut self) -> Option<LinkEvent> {
        loop {
            match self.0.next().await? {
                Event::LinkUp { info, .. } => return Some(LinkEvent::Up(info)),
                Event::Message { link, bytes } => return Some(LinkEvent::Message { link, bytes }),
                Event::LinkDown { link, reason } => return Some(LinkEvent::Down { link, reason }),
                _ => {}
            }
        }
    }
}

struct TcpRig {
    handles: Vec<hundi_transport_libp2p::Handle>,
    addresses: Vec<SocketAddr>,
    proxies: HashMap<(usize, usize), Proxy>,
}

impl Rig for TcpRig {
    type End = End;

    async fn new(count: usize) -> (Self, Vec<End>) {
        let mut ends = Vec::new();
        for _ in 0..count {
            ends.push(End(Node::start(loopback()).await));
        }
        let handles = ends.iter().map(|end| end.0.handle.clone()).collect();
        let addresses = ends.iter().map(|end| end.0.address).collect();
        (TcpRig { handles, addresses, proxies: HashMap::new() }, ends)
    }

    async fn connect(&mut self, from: usize, to: usize) {
        let proxy = Proxy::new(self.addresses[to]).await;
        self.handles[from].dial(proxy.address).await.unwrap();
        self.proxies.insert((from, to), proxy);
    }

    async fn cut(&mut self, from: usize, to: usize, after_bytes: usize) {
        self.proxies[&(from, to)].cut(after_bytes);
    }

    async fn garble(&mut self, from: usize, to: usize) {
        self.proxies[&(from, to)].garble();
    }

    /// The send window, the yamux window (which grows while a reader is quick), the system's
    /// sockets on both sides of the proxy, and the events that wait for the driver.
    fn backlog_bytes_max() -> usize {
        32 * 1024 * 1024
    }
}

conformance_tests!(TcpRig);
