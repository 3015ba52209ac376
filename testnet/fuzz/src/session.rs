//! A sync session against a peer that says anything.

use crate::replica::Node;
use crate::world;
use hundi_ledger::replica::Key;
use hundi_ledger::sync::{Config, Out, Session, TURNS_MAX};
use std::collections::BTreeSet;

/// Messages of one input that are looked at.
const MESSAGES_MAX: usize = 128;

/// The first byte says who opens; then messages, each behind a u16 length. A session never says
/// that the replica is in sync when it only heard so before anything was compared twice over, sends
/// only what is held, and ends.
pub(crate) fn session(bytes: &[u8]) {
    let world = world::world();
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let node = world::full_node();
    let config = Config {
        own: if first & 2 == 0 { BTreeSet::new() } else { [world.payer].into() },
        others_items_max: usize::from(first >> 3),
        force: first & 4 != 0,
        differs: first & 8 != 0,
        ..Config::default()
    };
    let (mut session, outs) =
        Session::open(first & 1 == 0, &[7; 32], &node.replica, &node.shelf, config);
    check(node, &outs);
    let mut turns = 0;
    for _ in 0..MESSAGES_MAX {
        let Some((length, after)) = rest.split_first_chunk::<2>() else { break };
        let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
        let (message, after) = after.split_at(length);
        rest = after;
        match session.handle(message, &node.replica, &node.shelf) {
            Ok(outs) => {
                check(node, &outs);
                turns += u32::from(message.first() == Some(&4));
                assert!(turns <= TURNS_MAX + 1, "a session without end");
                if outs.iter().any(|out| matches!(out, Out::Done { .. })) {
                    assert!(session.is_done());
                }
            }
            Err(_) => {
                assert!(session.is_done());
                break;
            }
        }
    }
}

fn check(node: &Node, outs: &[Out]) {
    for out in outs {
        match out {
            Out::SendItem(key) => assert!(node.shelf.0.contains_key::<Key>(key), "not held"),
            Out::Send(message) => assert!(message.len() <= 64 * 1024, "a message too long"),
            Out::Received(_) | Out::Done { .. } => {}
        }
    }
}
