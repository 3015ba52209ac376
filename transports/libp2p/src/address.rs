//! Socket addresses as libp2p writes them, and back. Only plain TCP; all else is none of ours.

use std::net::{IpAddr, SocketAddr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// `/ip4/…/tcp/…` or `/ip6/…/tcp/…`.
pub(crate) fn to_multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// The socket address of a TCP multiaddress, with or without a peer id behind it.
pub(crate) fn from_multiaddr(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else {
        return None;
    };
    match parts.next() {
        None | Some(Protocol::P2p(_)) if parts.next().is_none() => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// Whether an address can be dialled as it stands. IPv6 link-local addresses need a scope, which
/// multiaddresses do not carry.
pub(crate) fn is_dialable(address: SocketAddr) -> bool {
    let link_local = matches!(address.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    address.port() != 0 && !address.ip().is_unspecified() && !link_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_addresses_come_back_and_others_do_not() {
        for text in ["127.0.0.1:80", "[::1]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(from_multiaddr(&to_multiaddr(address)), Some(address));
        }
        for text in ["/ip4/127.0.0.1/udp/1", "/dns4/example.org/tcp/1", "/ip4/127.0.0.1/tcp/1/ws"] {
            assert_eq!(from_multiaddr(&text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn what_has_no_port_or_needs_a_scope_is_not_dialled() {
        for text in ["127.0.0.1:0", "0.0.0.0:1", "[fe80::1]:1"] {
            assert!(!is_dialable(text.parse().unwrap()), "{text}");
        }
        assert!(is_dialable("192.0.2.1:1".parse().unwrap()));
    }
}
