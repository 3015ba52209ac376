//! Whom to dial, and when: every address on the reach list or found by mDNS, again and again, with
//! growing, jittered waits. Pure; time and jitter are arguments.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::limits::{DISCOVERED_MAX, REDIAL_FIRST, REDIAL_MAX};

/// The addresses that this node keeps in contact with.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    targets: BTreeMap<SocketAddr, Target>,
    discovered: BTreeSet<SocketAddr>,
    listed: Option<BTreeSet<SocketAddr>>,
}

#[derive(Debug)]
struct Target {
    state: State,
    /// The wait after the next failure.
    wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Dial at this time.
    Due(Duration),
    /// A connection is being made or opened.
    Dialling,
    /// A link is there.
    Linked,
}

impl Targets {
    /// Whether a link may stay or be made: there is no list, or one of the addresses is on it.
    pub(crate) fn is_reachable<'a>(&self, mut any: impl Iterator<Item = &'a SocketAddr>) -> bool {
        self.listed.as_ref().is_none_or(|listed| any.any(|address| listed.contains(address)))
    }

    /// Takes a new reach list; what is new on it is due at once.
    pub(crate) fn set_list(&mut self, now: Duration, listed: Option<BTreeSet<SocketAddr>>) {
        self.listed = listed;
        self.keep_wanted(now);
    }

    /// An address was announced on the LAN.
    pub(crate) fn discovered(&mut self, now: Duration, address: SocketAddr) {
        if self.discovered.len() < DISCOVERED_MAX {
            self.discovered.insert(address);
            self.keep_wanted(now);
        }
    }

    /// An announced address expired, or turned out to be of another network.
    pub(crate) fn expired(&mut self, now: Duration, address: SocketAddr) {
        self.discovered.remove(&address);
        self.keep_wanted(now);
    }

    fn keep_wanted(&mut self, now: Duration) {
        let wanted = self.listed.as_ref().unwrap_or(&self.discovered);
        self.targets.retain(|address, _| wanted.contains(address));
        for address in wanted {
            let fresh = Target { state: State::Due(now), wait: REDIAL_FIRST };
            self.targets.entry(*address).or_insert(fresh);
        }
    }

    /// The addresses to dial now; each counts as being dialled from here on.
    #[must_use]
    pub(crate) fn take_due(&mut self, now: Duration) -> Vec<SocketAddr> {
        let mut due = Vec::new();
        for (address, target) in &mut self.targets {
            if matches!(target.state, State::Due(at) if at <= now) {
                target.state = State::Dialling;
                due.push(*address);
            }
        }
        due
    }

    /// When the next address is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let due = self.targets.values().filter_map(|target| match target.state {
            State::Due(at) => Some(at),
            State::Dialling | State::Linked => None,
        });
        due.min()
    }

    /// Dialling brought no link: wait, longer each time. `jitter` spreads the wait over its upper
    /// half, so that two ends do not keep meeting in the middle.
    pub(crate) fn failed(&mut self, now: Duration, address: SocketAddr, jitter: u16) {
        let Some(target) = self.targets.get_mut(&address) else {
            return;
        };
        if target.state == State::Dialling {
            target.state = State::Due(now + jittered(target.wait, jitter));
            target.wait = (target.wait * 2).min(REDIAL_MAX);
        }
    }

    /// A link with this address is there.
    pub(crate) fn linked(&mut self, address: SocketAddr) {
        if let Some(target) = self.targets.get_mut(&address) {
            *target = Target { state: State::Linked, wait: REDIAL_FIRST };
        }
    }

    /// The link with this address is gone: dial again after the shortest wait.
    pub(crate) fn lost(&mut self, now: Duration, address: SocketAddr, jitter: u16) {
        if let Some(target) = self.targets.get_mut(&address) {
            let state = State::Due(now + jittered(REDIAL_FIRST, jitter));
            *target = Target { state, wait: REDIAL_FIRST * 2 };
        }
    }
}

fn jittered(wait: Duration, jitter: u16) -> Duration {
    let half = wait / 2;
    half + half * u32::from(jitter) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn list(ports: &[u16]) -> Option<BTreeSet<SocketAddr>> {
        Some(ports.iter().copied().map(address).collect())
    }

    #[test]
    fn waits_grow_to_the_longest_and_never_hurry() {
        let mut targets = Targets::default();
        let mut now = Duration::ZERO;
        targets.set_list(now, list(&[1]));
        let mut waits = Vec::new();
        for _ in 0..10 {
            assert_eq!(targets.take_due(now), [address(1)]);
            assert_eq!(targets.take_due(now), [], "not twice");
            assert_eq!(targets.next_due(), None);
            targets.failed(now, address(1), 0);
            let due = targets.next_due().unwrap();
            waits.push(due - now);
            now = due;
        }
        assert_eq!(waits[0], REDIAL_FIRST / 2);
        assert_eq!(*waits.last().unwrap(), REDIAL_MAX / 2);
        assert!(waits.is_sorted());
        assert_eq!(jittered(REDIAL_MAX, u16::MAX), REDIAL_MAX);
    }

    #[test]
    fn a_link_stops_dialling_and_its_end_starts_it_again() {
        let mut targets = Targets::default();
        targets.set_list(Duration::ZERO, list(&[1]));
        assert_eq!(targets.take_due(Duration::ZERO), [address(1)]);
        targets.linked(address(1));
        targets.failed(Duration::ZERO, address(1), 0);
        assert_eq!(targets.next_due(), None, "a late failure of a second dial changes nothing");
        targets.lost(Duration::from_secs(9), address(1), u16::MAX);
        assert_eq!(targets.next_due(), Some(Duration::from_secs(9) + REDIAL_FIRST));
    }

    #[test]
    fn the_list_decides_who_is_reachable_and_hides_what_was_discovered() {
        let mut targets = Targets::default();
        targets.discovered(Duration::ZERO, address(7));
        assert!(targets.is_reachable([].iter()));
        targets.set_list(Duration::ZERO, list(&[1, 2]));
        assert_eq!(targets.take_due(Duration::ZERO), [address(1), address(2)]);
        assert!(targets.is_reachable([address(9), address(2)].iter()));
        assert!(!targets.is_reachable([address(7)].iter()));
        assert!(!targets.is_reachable([].iter()));
        targets.set_list(Duration::ZERO, None);
        assert_eq!(targets.take_due(Duration::ZERO), [address(7)]);
        targets.expired(Duration::ZERO, address(7));
        assert_eq!(targets.next_due(), None);
    }

    #[test]
    fn what_is_announced_is_bounded() {
        let mut targets = Targets::default();
        for port in 1..=u16::try_from(DISCOVERED_MAX).unwrap() + 9 {
            targets.discovered(Duration::ZERO, address(port));
        }
        assert_eq!(targets.take_due(Duration::ZERO).len(), DISCOVERED_MAX);
    }
}
