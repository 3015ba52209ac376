//! The suite for all links, on memory: on a quiet radio and on a bad one.

use std::collections::HashMap;
use std::time::Duration;

use hundi_transports::conformance::Rig;
use hundi_transports::conformance_tests;
use hundi_transports::limits::MEMORY_WINDOW_BYTES;
use hundi_transports::link::LinkId;
use hundi_transports::memory::driver::{Driver, MemoryEndpoint};
use hundi_transports::memory::{Conditions, Network, NodeId};

struct MemoryRig<const BAD: bool> {
    driver: Driver,
    links: HashMap<(usize, usize), LinkId>,
}

impl<const BAD: bool> Rig for MemoryRig<BAD> {
    type End = MemoryEndpoint;

    async fn new(count: usize) -> (Self, Vec<MemoryEndpoint>) {
        let conditions = if BAD {
            Conditions {
                lost_per_mille: 100,
                held_back_per_mille: 300,
                segment_bytes: 500,
                retransmit_after: Duration::from_millis(5),
                ..Conditions::default()
            }
        } else {
            Conditions::default()
        };
        let mut network = Network::new(7, conditions);
        let nodes: Vec<NodeId> = (0..count).map(|_| network.add_node()).collect();
        let driver = Driver::new(network);
        let ends = nodes.into_iter().map(|node| driver.endpoint(node)).collect();
        (MemoryRig { driver, links: HashMap::new() }, ends)
    }

    async fn connect(&mut self, from: usize, to: usize) {
        let link = self
            .driver
            .with(|network, now| network.connect(now, NodeId(from), NodeId(to)))
            .unwrap();
        self.links.insert((from, to), link);
    }

    async fn cut(&mut self, from: usize, to: usize, after_bytes: usize) {
        let link = self.links[&(from, to)];
        self.driver.with(|network, now| network.cut(now, NodeId(to), link, after_bytes));
    }

    async fn garble(&mut self, from: usize, to: usize) {
        let link = self.links[&(from, to)];
        let garbage = [20, 0, 1, 2, 3];
        self.driver.with(|network, now| network.inject(now, NodeId(to), link, &garbage));
    }

    fn backlog_bytes_max() -> usize {
        MEMORY_WINDOW_BYTES
    }
}

mod quiet {
    use super::*;
    conformance_tests!(MemoryRig<false>);
}

mod bad {
    use super::*;
    conformance_tests!(MemoryRig<true>);
}
