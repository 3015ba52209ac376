//! What a node's libp2p side is told at its start, checked once here.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use thiserror::Error;

use crate::limits::{Limits, NETWORK_TAG_BYTES_MAX, REACH_MAX};

/// The remote listen addresses that a node may dial and keep links with. While a node has such a
/// list it dials every address on it, and refuses every link whose other end does not state an
/// address on it. It models geography for tests on one machine; it is not a security boundary,
/// because a peer states its own addresses.
pub type ReachList = BTreeSet<SocketAddr>;

/// Everything [`crate::start`] needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// TCP addresses to listen on; port 0 takes a free one, which [`crate::Event::Listening`] says.
    pub listen: Vec<SocketAddr>,
    /// Whether to look for peers with mDNS and to be found by it. Announces on every interface.
    pub mdns: bool,
    /// Names the network in every protocol name, so that two networks never mix: 1 to
    /// [`NETWORK_TAG_BYTES_MAX`] bytes of `a-z`, `0-9` and `-`. Its meaning is the caller's.
    pub network_tag: String,
    /// The reach list, or `None`: whoever is found or dials may have a link.
    pub reach: Option<ReachList>,
    /// Limits; the defaults suit a phone.
    pub limits: Limits,
}

impl Config {
    /// A configuration that listens on `listen`, without mDNS and without a reach list.
    pub fn new(network_tag: impl Into<String>, listen: Vec<SocketAddr>) -> Self {
        Config {
            listen,
            mdns: false,
            network_tag: network_tag.into(),
            reach: None,
            limits: Limits::default(),
        }
    }
}

/// Why a node's libp2p side did not start. All but `Listen` are a matter of configuration.
#[derive(Debug, Error)]
pub enum StartError {
    /// The network tag is empty, too long or has other characters than `a-z`, `0-9` and `-`.
    #[error("network tag {tag:?}: 1 to {NETWORK_TAG_BYTES_MAX} characters of a-z, 0-9 and -")]
    NetworkTag {
        /// The tag.
        tag: String,
    },
    /// An address cannot be listened on: taken, not of this machine, or not permitted.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// mDNS could not be started: no multicast, or no permission.
    #[error("cannot start mDNS: {0}")]
    Mdns(std::io::Error),
    /// The reach list is longer than this node keeps in contact with.
    #[error("a reach list of {addresses} addresses; at most {REACH_MAX} are kept in contact with")]
    ReachTooLong {
        /// Its length.
        addresses: usize,
    },
    /// libp2p refused its own parameters; a defect of this crate.
    #[error("libp2p: {0}")]
    Parameters(String),
}

/// Checks a network tag.
///
/// # Errors
/// [`StartError::NetworkTag`].
pub(crate) fn check_network_tag(tag: &str) -> Result<(), StartError> {
    let length = (1..=NETWORK_TAG_BYTES_MAX).contains(&tag.len());
    let characters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if length && tag.bytes().all(characters) {
        Ok(())
    } else {
        Err(StartError::NetworkTag { tag: tag.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_tags_are_checked() {
        for good in ["a", "hundi-1", &"x".repeat(NETWORK_TAG_BYTES_MAX)] {
            assert!(check_network_tag(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a/b", "a b", "ü", &"x".repeat(NETWORK_TAG_BYTES_MAX + 1)] {
            assert!(check_network_tag(bad).is_err(), "{bad}");
        }
    }
}
