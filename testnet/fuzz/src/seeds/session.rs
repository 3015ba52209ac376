//! Inputs of the target `session`: what two nodes really say, and meetings that reach every message
//! there is.

use crate::replica::Node;
use crate::session::MEETING;
use crate::symbols::EXTREME_TAGS;
use crate::world;
use hundi_ledger::replica::Shelf;
use hundi_ledger::sync::{Config, Out, Session, TAG_ITEM};

pub(super) fn sessions() -> Vec<Vec<u8>> {
    let full = world::full_node();
    let empty = Node::new(world::world());
    let heard = [(full, &empty), (&empty, full)].map(|(one, other)| heard(one, other));
    heard.into_iter().flatten().chain(meetings()).collect()
}

/// What each of two nodes hears, behind the byte that says which side it is.
fn heard(one: &Node, other: &Node) -> [Vec<u8>; 2] {
    let nodes = [one, other];
    let config = || Config { others_items_max: 100, ..Config::default() };
    let (first, outs) = Session::open(true, &[7; 32], &one.replica, &one.shelf, config());
    let (second, _) = Session::open(false, &[7; 32], &other.replica, &other.shelf, config());
    let mut sessions = [first, second];
    let mut heard = [vec![0x80], vec![0x81]];
    let mut waiting: Vec<(usize, Out)> = outs.into_iter().map(|out| (0, out)).collect();
    while !waiting.is_empty() {
        let (from, out) = waiting.remove(0);
        let message = match out {
            Out::Send(message) => message,
            Out::SendItem(key) => {
                [&[TAG_ITEM], &nodes[from].shelf.item(&key).unwrap_or_default()[..]].concat()
            }
            Out::Received(_) | Out::Done { .. } => continue,
        };
        let to = 1 - from;
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        heard[to].extend(length.to_le_bytes());
        heard[to].extend(&message);
        let outs =
            sessions[to].handle(&message, &nodes[to].replica, &nodes[to].shelf).unwrap_or_default();
        waiting.extend(outs.into_iter().map(|out| (to, out)));
    }
    heard
}

const FORCE: u8 = 1;
const DIFFERS: u8 = 4;
const BOTH_OWN: u8 = 0x18;
const SHORT_MESSAGES: u8 = 0x20;
/// Which items of the pool a side holds: everything; nothing; and some that differ.
const ALL: u64 = u64::MAX;
const NONE: u64 = 0;
const SOME: u64 = 0x0f0f_5a5a_3c3c_9999;

/// Flags, crowd and scopes, pools, and what is done to messages: how many pass, what, how.
fn meetings() -> Vec<Vec<u8>> {
    let seed = |flags: u8, crowd: u8, pools: [u64; 2], changes: &[u8]| {
        let mut bytes = vec![MEETING | flags, crowd];
        pools.iter().for_each(|pool| bytes.extend(pool.to_le_bytes()));
        bytes.extend(changes);
        bytes
    };
    let small_scope =
        |crowd: u8, initiator: u8, responder: u8| crowd | initiator << 3 | responder << 5;
    let mut seeds = vec![
        seed(0, 2, [NONE; 2], &[]),
        seed(BOTH_OWN, 5, [NONE; 2], &[]),
        seed(DIFFERS, 6, [SOME, !SOME], &[]),
        seed(SHORT_MESSAGES, 3, [ALL, SOME], &[]),
        seed(0, 1, [NONE, ALL], &[]),
        seed(0, 0, [0x0003_ffff, 0x0000_2ffd_ffff], &[]),
        seed(FORCE, 0, [SOME, SOME], &[]),
        seed(0, 7, [ALL, ALL], &[]),
        seed(0, small_scope(5, 2, 0), [SOME, ALL], &[]),
        seed(DIFFERS, small_scope(3, 2, 3), [SOME, !SOME], &[]),
        seed(0, small_scope(3, 3, 3), [NONE; 2], &[]),
        // A stream whose second part never comes.
        seed(0, 4, [NONE; 2], &[5, 0]),
        // Dropped, doubled, changed, cut, replaced, preceded, swapped.
        seed(0, 3, [SOME, !SOME], &[1, 0, 2, 1, 3, 2, 9, 0, 0x10, 4, 3, 5, 0, 2, 4, 2, 4, 0]),
        seed(0, 5, [SOME, ALL], &[9, 5, 2, 4, 0, 3, 6, 8, 2, 40, 0, 1, 20, 6]),
    ];
    // Subjects that no hash would have drawn, in the symbols of both sides.
    for tags in EXTREME_TAGS.chunks(4) {
        let mut changes = Vec::new();
        for (at, tag) in tags.iter().enumerate() {
            changes.extend([u8::from(at == 0), 7]);
            changes.extend(&tag.to_le_bytes()[..5]);
            changes.extend([9, 0, 0, 0]);
        }
        seeds.push(seed(FORCE, 0, [NONE; 2], &changes));
        seeds.push(seed(0, 2, [SOME, ALL], &changes));
    }
    seeds.push(seed(BOTH_OWN, 3, [ALL, ALL], &[]));
    seeds.push(seed(0, 0, [SOME, SOME], &[]));
    seeds
}
