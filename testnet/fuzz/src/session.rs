//! Sync sessions: one against a peer that says anything, or two whole ones over a link that does
//! what the input says (`meeting`).

use crate::meeting::{Reached, meeting, reached};
use crate::replica::Node;
use crate::world;
use hundi_ledger::replica::Key;
use hundi_ledger::sync::{Config, Out, Session, TURNS_MAX};
use std::collections::BTreeSet;

/// Messages of one input that are looked at.
const MESSAGES_MAX: usize = 128;

/// In the first byte of an input: two replicas meet.
pub(crate) const MEETING: u8 = 0x40;
/// Bytes that a session may hold.
const MEMORY_BYTES_MAX: usize = 1 << 20;

/// The first byte says which of the two.
pub(crate) fn session(bytes: &[u8]) {
    drive(bytes);
}

/// As [`session`], and tells which messages were taken.
pub(crate) fn drive(bytes: &[u8]) -> Reached {
    match bytes.first() {
        Some(first) if first & MEETING != 0 => meeting(bytes),
        _ => against_anything(bytes),
    }
}

/// The first byte says who opens; then messages, each behind a u16 length. A session sends only what
/// is held, holds little, and ends.
fn against_anything(bytes: &[u8]) -> Reached {
    let world = world::world();
    let mut taken = Reached::new();
    let Some((first, mut rest)) = bytes.split_first() else { return taken };
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
        let handled = session.handle(message, &node.replica, &node.shelf);
        assert!(session.memory_bytes() <= MEMORY_BYTES_MAX, "{} bytes", session.memory_bytes());
        match handled {
            Ok(outs) => {
                reached(&mut taken, message);
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
    taken
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
