//! Two nodes find each other with mDNS, in two network namespaces joined by a virtual cable.
//!
//! libp2p leaves loopback out of mDNS, and tests do not announce themselves on the machine's own
//! network, so this needs the right to make namespaces: root and the `ip` command. Where these
//! lack the test fails and names them.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use hundi_transport_libp2p::{Config, ReachList};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::kit::Node;

/// Two namespaces with a cable between them; gone when dropped.
struct Cable {
    names: [String; 2],
}

fn ip(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .unwrap_or_else(|error| panic!("the `ip` command (package iproute2) is needed: {error}"));
    assert!(
        output.status.success(),
        "`ip {arguments}` failed; this test needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN): {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Cable {
    fn new(test: &str) -> Self {
        let names = ["a", "b"].map(|side| format!("hundi-{test}-{}-{side}", std::process::id()));
        let cable = Cable { names };
        let [a, b] = &cable.names;
        ip(&format!("netns add {a}"));
        ip(&format!("netns add {b}"));
        ip(&format!("link add eth0 netns {a} type veth peer name eth0 netns {b}"));
        for (name, host) in [(a, 1), (b, 2)] {
            ip(&format!("-n {name} address add 192.0.2.{host}/24 dev eth0"));
            ip(&format!("-n {name} link set lo up"));
            ip(&format!("-n {name} link set eth0 up"));
            // Multicast needs a route, as every machine on a LAN has.
            ip(&format!("-n {name} route add default dev eth0"));
        }
        cable
    }

    /// Runs `work` on a thread that lives in one of the namespaces.
    fn on<T: Send + 'static>(
        &self,
        side: usize,
        work: impl Future<Output = T> + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let namespace = File::open(format!("/run/netns/{}", self.names[side])).unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).unwrap();
            // One thread: all its sockets are made here.
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _ = sender.send(runtime.block_on(work));
        });
        receiver
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}

fn found<T>(receiver: &mpsc::Receiver<T>) -> T {
    receiver.recv_timeout(Duration::from_secs(90)).expect("one side found nobody or panicked")
}

#[test]
fn two_nodes_on_one_lan_find_each_other() {
    let cable = Cable::new("find");
    let (met, both) = std::sync::mpsc::channel();
    let (leave, staying) = tokio::sync::watch::channel(false);
    let sides: Vec<_> = (0..2)
        .map(|side| {
            let (met, mut staying) = (met.clone(), staying.clone());
            let listen = vec![format!("192.0.2.{}:0", side + 1).parse().unwrap()];
            cable.on(side, async move {
                let mut node =
                    Node::start(Config { mdns: true, ..Config::new("lan", listen) }).await;
                let info = node.up().await;
                met.send(info).unwrap();
                staying.wait_for(|leave| *leave).await.unwrap();
                node.stop().await.iter().filter(|event| is_up(event)).count()
            })
        })
        .collect();
    let infos = [found(&both), found(&both)];
    assert_eq!(infos[0].handshake_hash, infos[1].handshake_hash);
    assert_ne!(infos[0].initiator, infos[1].initiator);
    leave.send(true).unwrap();
    for side in &sides {
        // Whoever is found by both its dials still gets one link only.
        assert_eq!(found(side), 0, "a second link");
    }
}

#[test]
fn a_reach_list_hides_whom_mdns_finds_and_without_mdns_nobody_is_found() {
    let cable = Cable::new("hide");
    let listen: Vec<std::net::SocketAddr> = vec!["192.0.2.2:7001".parse().unwrap()];
    let wanted: ReachList = listen.iter().copied().collect();
    // On the other side: one node that announces itself and is not listed, and the listed one,
    // which does not announce itself.
    let other = cable.on(1, async move {
        let announced = vec!["192.0.2.2:7002".parse().unwrap()];
        let _loud = Node::start(Config { mdns: true, ..Config::new("lan", announced) }).await;
        let mut quiet = Node::start(Config::new("lan", listen)).await;
        quiet.up().await;
        let pick = |event: &hundi_transport_libp2p::Event| {
            matches!(event, hundi_transport_libp2p::Event::LinkDown { .. }).then_some(())
        };
        quiet.find("the end", pick).await;
        quiet.stop().await.iter().filter(|event| is_up(event)).count()
    });
    let here = cable.on(0, async move {
        let listen = vec!["192.0.2.1:0".parse().unwrap()];
        let config = Config { mdns: true, reach: Some(wanted), ..Config::new("lan", listen) };
        let mut node = Node::start(config).await;
        let listed = node.up().await;
        // Once the list is gone, the announced node is found as well.
        node.handle.set_reach(None).await.unwrap();
        let announced = node.up().await;
        assert_ne!(listed.link, announced.link);
        node.stop().await;
    });
    found(&here);
    assert_eq!(found(&other), 0);
}

fn is_up(event: &hundi_transport_libp2p::Event) -> bool {
    matches!(event, hundi_transport_libp2p::Event::LinkUp { .. })
}
