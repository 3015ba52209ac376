//! Sessions at their limits: short contacts, large and hostile differences, what a session holds in
//! memory, and what happens to the set while it runs.

use crate::world::{A, Dice, Node, Writer, author, certificate, checkpoint_at, grant, id, receipt};
use hundi_ledger::id::{AuthorId, PublicKey};
use hundi_ledger::record::item::Item;
use hundi_ledger::replica::{Shelf, Status};
use hundi_ledger::sync::{Config, Out, Session, SyncError, TAG_ITEM};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const TAG_HAVE: u8 = 3;
const TAG_TURN: u8 = 4;
const TAG_SYMBOLS: u8 = 6;
const TAG_MORE: u8 = 7;
const TAG_WANTS: u8 = 10;
const TAG_RANGES: u8 = 11;
const MORE: [u8; 2] = [TAG_TURN, 0];
const SYMBOL_BYTES: usize = 12;

/// What became of a contact.
#[derive(Default)]
pub(crate) struct Met {
    pub(crate) done: [Option<bool>; 2],
    errors: Vec<SyncError>,
    /// Messages by tag.
    tags: BTreeMap<u8, usize>,
    turns: usize,
    metadata: usize,
    pub(crate) items: usize,
    longest: usize,
    memory: usize,
}

fn open_handed() -> Config {
    Config { others_items_max: usize::MAX, ..Config::default() }
}

/// A contact in which `between` sees every message before it arrives, may change it, the nodes, or
/// say that the link is cut.
pub(crate) fn contact(
    nodes: &mut [Node; 2],
    link: u8,
    configs: [Config; 2],
    mut between: impl FnMut(&mut [Node; 2], usize, &mut Vec<u8>) -> bool,
) -> Met {
    let mut met = Met::default();
    let open = |side: usize, config| {
        let Node { replica, shelf, .. } = &nodes[side];
        Session::open(side == 0, &[link; 32], replica, shelf, config)
    };
    let [first, second] = configs;
    let ((first, outs), (second, _)) = (open(0, first), open(1, second));
    let mut sessions = [first, second];
    let mut queue: VecDeque<(usize, Vec<u8>)> = VecDeque::new();
    let mut pending = (0, outs);
    loop {
        let (side, outs) = &mut pending;
        for out in outs.drain(..) {
            match out {
                Out::Send(bytes) => queue.push_back((*side, bytes)),
                Out::SendItem(key) => {
                    if let Some(item) = nodes[*side].shelf.item(&key) {
                        queue.push_back((*side, [&[TAG_ITEM][..], &item].concat()));
                    }
                }
                Out::Received(item) => drop(nodes[*side].apply(&item)),
                Out::Done { in_sync } => met.done[*side] = Some(in_sync),
            }
        }
        let Some((from, mut bytes)) = queue.pop_front() else { return met };
        if !between(nodes, from, &mut bytes) {
            return met;
        }
        let tag = bytes.first().copied().unwrap_or_default();
        *met.tags.entry(tag).or_default() += 1;
        met.turns += usize::from(tag == TAG_TURN);
        if tag == TAG_ITEM {
            met.items += 1;
        } else {
            met.metadata += bytes.len();
            met.longest = met.longest.max(bytes.len());
        }
        let to = 1 - from;
        let outs = match sessions[to].handle(&bytes, &nodes[to].replica, &nodes[to].shelf) {
            Ok(outs) => outs,
            Err(error) => {
                met.errors.push(error);
                Vec::new()
            }
        };
        met.memory = sessions.iter().map(Session::memory_bytes).max().unwrap().max(met.memory);
        pending = (to, outs);
    }
}

pub(crate) fn configs() -> [Config; 2] {
    [open_handed(), open_handed()]
}

pub(crate) fn meet(nodes: &mut [Node; 2], link: u8) -> Met {
    let met = contact(nodes, link, configs(), |_, _, _| true);
    assert_eq!(met.errors, []);
    met
}

fn grants(numbers: impl Iterator<Item = u32>) -> Vec<Vec<u8>> {
    numbers.map(|number| grant(author(A, number), 0)).collect()
}

/// Two nodes that share `common` authors; each knows `apart` others.
fn villages(common: u32, apart: u32) -> [Node; 2] {
    let base: Vec<_> = [certificate(A, 1, &[])].into_iter().chain(grants(0..common)).collect();
    [0, 1].map(|side| {
        let mut node = Node::with(&base);
        let from = common + side * apart;
        grants(from..from + apart).iter().for_each(|item| {
            node.take(item);
        });
        node
    })
}

/// Writers of one key that part at `fork`, and what each wrote up to its height.
fn branches(fork: u32, heights: [u32; 2]) -> [Vec<Vec<u8>>; 2] {
    [0u64, 1].map(|side| {
        let mut writer = Writer::new(A, 1);
        let pay = |sequence: u32| {
            let minor = if sequence >= fork { 5 + side } else { 5 };
            writer.pay(minor).bytes
        };
        (0..heights[side as usize]).map(pay).collect()
    })
}

/// Two branches that start at one number lead to the headers, and to a proof on both sides within
/// one round trip more than honest entries take, whatever the heights.
#[test]
fn two_branches_are_proven_on_both_sides_whatever_the_heights() {
    let mut forks = 0;
    for fork in [0, 1, 4, 9] {
        for a in [fork + 1, fork + 2, 12] {
            for b in [fork + 1, fork + 3, 12, 20] {
                let base = [certificate(A, 1, &[]), grant(author(A, 1), 0), grant(author(A, 1), 1)];
                let written = branches(fork, [a, b]);
                let mut nodes = [0, 1].map(|side: usize| {
                    let mut node = Node::with(&base);
                    written[side].iter().for_each(|item| {
                        node.take(item);
                    });
                    node
                });
                let (mut turns, mut proven_at) = (0, None);
                let met = contact(&mut nodes, 1, configs(), |nodes, _, message| {
                    turns += usize::from(message[0] == TAG_TURN);
                    if nodes.iter().all(|node| node.proven(&author(A, 1))) {
                        proven_at.get_or_insert(turns);
                    }
                    true
                });
                // Symbols, vector, items and wants, items: and one round trip more.
                let proven_at = proven_at.expect("both have the proof");
                assert!(proven_at <= 5, "fork {fork}, heights {a} and {b}: {proven_at} turns");
                // Some once more, from cache to cache.
                assert!(met.items <= 2 * (a + b) as usize, "{} items", met.items);
                forks += 1;
            }
        }
    }
    assert_eq!(forks, 48);
}

#[test]
fn gaps_are_filled_and_nothing_held_is_sent() {
    let base = [certificate(A, 1, &[]), grant(author(A, 1), 0), grant(author(A, 1), 1)];
    let mut writer = Writer::new(A, 1);
    let written: Vec<_> = (0..30).map(|_| writer.pay(1).bytes).collect();
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let mut missing = 0;
        let mut nodes = [Node::with(&base), Node::with(&base)];
        for item in &written {
            let held = dice.below(4); // one, the other, both, both
            let lack = |side| held == side;
            nodes.iter_mut().zip(0..).for_each(|(node, side)| {
                if !lack(side) {
                    node.take(item).unwrap();
                }
            });
            missing += usize::from(held < 2);
        }
        let met = meet(&mut nodes, seed as u8);
        assert_eq!(met.done, [Some(true); 2]);
        assert_eq!(met.items, missing, "exactly what is missing");
    }
}

/// A later certificate takes the effect from a checkpoint: what it decided is undecided again, and
/// comes back to whoever lacks it. Found by the fuzz target `session`.
#[test]
fn what_a_checkpoint_without_effect_decided_comes_back() {
    for side in [0, 1] {
        let mut writer = Writer::new(A, 1);
        let written: Vec<_> = (0..6).map(|_| writer.pay(1)).collect();
        let late = checkpoint_at(writer.id, 3, &written[3].claim);
        let base = [
            certificate(A, 1, &[]),
            certificate(A, 2, &[(1, 2)]),
            grant(writer.id, 0),
            grant(writer.id, 1),
            late,
        ];
        let mut nodes = [Node::with(&base), Node::with(&base)];
        for one in &written {
            assert_eq!(nodes[side].take(&one.bytes), Some(Status::Stored), "nothing is decided");
        }
        assert_eq!(meet(&mut nodes, 1).done, [Some(true); 2]);
        assert_eq!(nodes[1 - side].core(&writer.id), [0, 1, 2, 3, 4, 5]);
    }
}

/// Contacts that are cut after so many bytes, until both sides agree: how many there were. Every one
/// of them gains.
fn short_contacts(nodes: &mut [Node; 2], bytes_max: usize) -> u8 {
    for link in 0..=255 {
        if nodes[0].digest() == nodes[1].digest() {
            return link;
        }
        let held = |nodes: &[Node; 2]| nodes.iter().map(|node| node.shelf.0.len()).sum::<usize>();
        let (before, mut bytes) = (held(nodes), 0);
        let met = contact(nodes, link, configs(), |_, _, message| {
            bytes += message.len() + 2;
            bytes <= bytes_max
        });
        assert_eq!(met.errors, []);
        assert!(held(nodes) > before, "contact {link} gained nothing");
    }
    panic!("255 contacts, and still different");
}

#[test]
fn short_contacts_always_gain() {
    let mut nodes = villages(300, 250);
    let contacts = short_contacts(&mut nodes, 6_000);
    println!("500 differing authors in {contacts} contacts of 6 kB");
    assert_eq!(nodes[0].replica.elements().count(), 801);
    let mut nodes = villages(10, 6);
    short_contacts(&mut nodes, 1_200);
}

/// Two nodes that share authors, each of whom has signed something that the first node lacks.
fn neighbours(authors: u32) -> [Node; 2] {
    let mut nodes = villages(0, 0);
    for number in 0..authors {
        let mut writer = Writer::new(A, number);
        for node in &mut nodes {
            [0, 1].iter().for_each(|serial| {
                node.take(&grant(writer.id, *serial));
            });
        }
        nodes[1].take(&writer.pay(5).bytes).unwrap();
    }
    nodes
}

/// But for the first ones, which answer a question, ranges are begun beside vectors and wants only
/// once an item has gone: a contact that ends soon has gained before it goes on looking.
#[test]
fn the_first_items_come_before_more_ranges() {
    let is_first = |message: &[u8]| {
        let prefix = usize::from(message[1]).div_ceil(8);
        message[2 + prefix..4 + prefix] == [0, 0]
    };
    for link in 0..6 {
        let mut nodes = neighbours(400);
        let (mut items, mut begun, mut named, mut late) = (0, 0, 0, 0);
        let mut looking = false;
        let mut configs = configs();
        configs[0].differs = true;
        let met = contact(&mut nodes, link, configs, |_, _, message| {
            match message[0] {
                TAG_ITEM => items += 1,
                TAG_HAVE | TAG_WANTS => named += 1,
                TAG_SYMBOLS if message[1] > 0 && is_first(message) => begun += 1,
                TAG_TURN => {
                    assert!(items > 0 || named == 0 || begun == 0 || !looking, "link {link}");
                    looking |= begun > 0;
                    late += usize::from(items > 0 && named > 0 && begun > 0);
                    (named, begun) = (0, 0);
                }
                _ => {}
            }
            true
        });
        assert_eq!((met.done, met.items), ([Some(true); 2], 400));
        assert!(late > 0, "link {link}");
    }
}

/// Where a contact is too short for everything, own entries are among what it brings.
#[test]
fn own_entries_go_in_the_first_ranges() {
    for side in [0usize, 1] {
        for number in 5_000..5_006 {
            let mut nodes = villages(100, 200);
            let mut writer = Writer::new(A, number);
            for node in &mut nodes {
                [0, 1].iter().for_each(|serial| {
                    node.take(&grant(writer.id, *serial));
                });
            }
            nodes[side].take(&writer.pay(5).bytes).unwrap();
            let mut configs = configs();
            configs[side].own = [writer.id].into();
            let mut bytes = 0;
            contact(&mut nodes, number as u8, configs, |_, _, message| {
                bytes += message.len();
                bytes < 20_000
            });
            assert_eq!(nodes[1 - side].core(&writer.id), [0], "side {side}, author {number}");
            assert_ne!(nodes[0].digest(), nodes[1].digest(), "the contact was too short for all");
        }
    }
}

#[test]
fn symbols_that_come_with_the_opening_save_half_a_round_trip() {
    // How often the direction changes before the last item.
    let changes = |differs| {
        let mut nodes = villages(1_000, 5);
        let [mut first, second] = configs();
        first.differs = differs;
        let (mut speaks, mut changes, mut last) = (0, 0, 0);
        let met = contact(&mut nodes, 9, [first, second], |_, from, message| {
            changes += usize::from(core::mem::replace(&mut speaks, from) != from);
            if message[0] == TAG_ITEM {
                last = changes;
            }
            true
        });
        assert_eq!(met.done, [Some(true); 2]);
        last
    };
    assert_eq!((changes(true), changes(false)), (2, 3));
    let mut equal = villages(50, 0);
    let differs = || Config { differs: true, ..open_handed() };
    let met = contact(&mut equal, 1, [differs(), open_handed()], |_, _, _| true);
    assert_eq!(met.done, [Some(true); 2], "known wrongly, it costs some symbols");
    assert!(met.metadata < 400);
}

/// Symbols that were changed on the way: nothing decodes, and ranges bring the rest.
#[test]
fn symbols_that_lie_lead_to_ranges() {
    for large in [false, true] {
        let mut nodes = if large { villages(60, 150) } else { villages(300, 7) };
        let mut dice = Dice(7);
        let met = contact(&mut nodes, 1, configs(), |_, _, message| {
            if message[0] == TAG_SYMBOLS {
                let bits = usize::from(message[1]);
                let before = 4 + if bits == 0xff { 0 } else { bits.div_ceil(8) };
                for symbol in message[before..].chunks_mut(SYMBOL_BYTES) {
                    symbol[0] ^= dice.roll() as u8 | 1;
                }
            }
            true
        });
        assert_eq!(met.errors, []);
        assert!(met.tags.contains_key(&TAG_RANGES), "{:?}", met.tags);
        let equal = nodes[0].digest() == nodes[1].digest();
        assert!(equal, "ranges always end: {:?} {:?}", met.tags, met.done);
        assert_eq!(met.done, [Some(true); 2]);
    }
}

/// Whatever is changed in whatever message: no side says that it is in sync when it is not, and the
/// next honest contact makes up for it.
#[test]
fn tampered_messages_never_end_in_sync_that_is_not() {
    let (mut ended, mut refused) = (0, 0);
    for seed in 0..120 {
        let mut dice = Dice(seed);
        let mut nodes = villages(40, 3 + seed as u32 % 60);
        let met = contact(&mut nodes, 1, configs(), |_, _, message| {
            if message[0] != TAG_ITEM && dice.one_in(3) {
                let at = 1 + dice.below(message.len() as u64) as usize;
                if let Some(byte) = message.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            true
        });
        let equal = nodes[0].digest() == nodes[1].digest();
        for in_sync in met.done.into_iter().flatten() {
            assert!(!in_sync || equal, "seed {seed}");
            ended += 1;
        }
        refused += met.errors.len();
        assert_eq!(meet(&mut nodes, 2).done, [Some(true); 2]);
    }
    assert!(ended > 10 && refused > 20, "{ended} {refused}");
}

#[test]
fn streams_without_end_are_cut_off() {
    let node = villages(50, 0)[0].clone();
    let mut session = Session::open(true, &[1; 32], &node.replica, &node.shelf, open_handed()).0;
    let mut handle = |bytes: &[u8]| session.handle(bytes, &node.replica, &node.shelf);
    let mut start = 0u16;
    let error = loop {
        let mut message = vec![TAG_SYMBOLS, 0, start as u8, (start >> 8) as u8];
        message.extend([7; SYMBOL_BYTES * 100]);
        match handle(&message) {
            Ok(outs) => assert!(outs.is_empty()),
            Err(error) => break error,
        }
        // One stream is as long as it may be: on to the next range.
        start = (start + 100) % 1_000;
    };
    assert_eq!(error, SyncError::TooManySymbols);
    // More and more asked for: symbols come to an end, and so does patience.
    let stubborn = |looks_max| {
        let config = Config { looks_max, ..open_handed() };
        let (mut session, _) = Session::open(false, &[1; 32], &node.replica, &node.shelf, config);
        let mut handle = |bytes: &[u8]| session.handle(bytes, &node.replica, &node.shelf);
        handle(&[1, 9, 9, 9, 9, 9, 9, 9, 9]).unwrap();
        let mut symbols = 0;
        for _ in 0..60 {
            for next in (25u16..1_000).step_by(200) {
                if let Err(error) = handle(&[TAG_MORE, 0, next as u8, (next >> 8) as u8]) {
                    return (symbols, Some(error));
                }
            }
            match handle(&MORE) {
                Ok(outs) => {
                    let of = outs.iter().filter_map(|out| match out {
                        Out::Send(bytes) if bytes[0] == TAG_SYMBOLS => Some(bytes.len()),
                        _ => None,
                    });
                    symbols += of.sum::<usize>();
                }
                Err(error) => return (symbols, Some(error)),
            }
        }
        (symbols, None)
    };
    let (_, error) = stubborn(1_000);
    assert_eq!(error, Some(SyncError::TooManyLooks), "fifty authors, some twenty times");
    let (symbols, error) = stubborn(u64::MAX);
    assert_eq!(error, None);
    assert!(symbols < 60 * 1_024 * SYMBOL_BYTES, "one answer a turn at most");
}

/// A question of a few bytes fetches symbols only of streams that were begun, and of all together no
/// more than a turn may have; and everything that is looked at counts.
#[test]
fn short_questions_do_not_fetch_long_answers() {
    let node = villages(50, 0)[0].clone();
    let opened = |looks_max| {
        let config = Config { looks_max, ..open_handed() };
        let (mut session, _) = Session::open(false, &[1; 32], &node.replica, &node.shelf, config);
        let open = [&[1][..], &[9; 8]].concat();
        session.handle(&open, &node.replica, &node.shelf).unwrap();
        session
    };
    let mut session = opened(u64::MAX);
    let mut handle = |bytes: &[u8]| session.handle(bytes, &node.replica, &node.shelf).unwrap();
    for number in 0..500u16 {
        let [high, low] = number.to_be_bytes();
        handle(&[TAG_MORE, 16, high, low, 200, 3]); // Ranges that were never begun.
    }
    handle(&[TAG_MORE, 0, 200, 3]);
    let symbols: usize = handle(&MORE)
        .iter()
        .filter_map(|out| match out {
            Out::Send(bytes) if bytes[0] == TAG_SYMBOLS => Some(bytes.len() / SYMBOL_BYTES),
            _ => None,
        })
        .sum();
    assert!((1..=1_024).contains(&symbols), "{symbols}: of the one stream that was begun");
    // Head asks, offers and requests of cached items are looks, too.
    for message in [vec![13, 1, 0, 0, 0, 0], vec![8, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1]] {
        let mut node = node.clone();
        let writer = Writer::new(A, 1);
        node.take(&receipt(writer.id, 1, 1)).unwrap();
        let mut session = opened(2_000);
        let error = (0..200_000).find_map(|at| {
            let message = if at % 400 == 399 { &MORE[..] } else { &message };
            session.handle(message, &node.replica, &node.shelf).err()
        });
        assert_eq!(error, Some(SyncError::TooManyLooks), "{message:?}");
    }
}

/// Wants for what was never told bring nothing, and one that is repeated is answered once.
#[test]
fn wants_are_answered_once() {
    let base = [certificate(A, 1, &[]), grant(author(A, 1), 0), grant(author(A, 1), 1)];
    let mut writer = Writer::new(A, 1);
    let written: Vec<_> = (0..6).map(|_| writer.pay(1).bytes).collect();
    let mut nodes = [Node::with(&base), Node::with(&base)];
    written.iter().for_each(|item| {
        nodes[0].take(item);
    });
    nodes[1].take(&written[0]).unwrap();
    let mut seen = false;
    let met = contact(&mut nodes, 1, configs(), |_, from, message| {
        if message[0] == TAG_WANTS {
            assert_eq!(from, 1);
            let first = message[1..].to_vec();
            (0..50).for_each(|_| message.extend(&first));
            message.extend([200, 1, 1]);
            seen = true;
        }
        true
    });
    assert!(seen);
    assert_eq!(met.done, [Some(true); 2]);
    assert_eq!(met.items, 5);
}

/// What the session holds stays below a mebibyte, also when everything differs.
#[test]
fn a_session_stays_small_whatever_differs() {
    let mut nodes = villages(0, 3_000);
    let met = meet(&mut nodes, 1);
    println!(
        "6,000 of 6,000 authors differ: {} bytes of session, {} turns, {} bytes of metadata",
        met.memory, met.turns, met.metadata
    );
    assert_eq!(met.done, [Some(true); 2]);
    assert!(met.memory < 1 << 20);
    assert_eq!(met.items, 6_000);
}

/// A peer that says as much as it may of everything does not make the session grow.
#[test]
fn a_talkative_peer_does_not_make_the_session_grow() {
    let node = villages(3_000, 0)[0].clone();
    for initiator in [true, false] {
        let (mut session, _) =
            Session::open(initiator, &[1; 32], &node.replica, &node.shelf, open_handed());
        let mut dice = Dice(3);
        if !initiator {
            let _ = session.handle(&[1, 9, 9, 9, 9, 9, 9, 9, 9], &node.replica, &node.shelf);
        }
        let (mut taken, mut memory) = (0, 0);
        for at in 0..3_000u32 {
            let mut message = match at % 6 {
                0 => vec![TAG_SYMBOLS, 16, dice.roll() as u8, dice.roll() as u8, 0, 0],
                1 => vec![TAG_HAVE, 0],
                2 => vec![TAG_WANTS],
                3 => vec![13],
                4 => vec![TAG_MORE, 16, dice.roll() as u8, dice.roll() as u8, 9, 0],
                _ => MORE.to_vec(),
            };
            match at % 6 {
                0 => message.extend((0..2 * SYMBOL_BYTES).map(|_| dice.roll() as u8 & 0x7f)),
                1 => (0..1_000).for_each(|_| {
                    message.extend((0..5).map(|_| dice.roll() as u8));
                    message.push(0);
                }),
                2 => (0..500u16).for_each(|at| {
                    message.extend([at as u8, (at >> 8) as u8, 1]);
                }),
                3 => message.extend((0..5_000).map(|_| dice.roll() as u8)),
                _ => {}
            }
            match session.handle(&message, &node.replica, &node.shelf) {
                Ok(_) => taken += 1,
                Err(_) => break,
            }
            memory = memory.max(session.memory_bytes());
        }
        println!("{taken} messages of a talkative peer: {memory} bytes");
        assert!(taken > 100 && memory < 1 << 20);
    }
}

#[test]
fn messages_fit_the_link() {
    for bytes_max in [64, 200, 1_000] {
        let mut nodes = villages(30, 40);
        let config = || Config { message_bytes_max: bytes_max, ..open_handed() };
        let met = contact(&mut nodes, 1, [config(), config()], |_, _, _| true);
        assert_eq!(met.done, [Some(true); 2]);
        // The sketch is one piece.
        assert!(met.longest <= bytes_max.max(520), "{} of {bytes_max}", met.longest);
    }
}

/// Items that come from elsewhere while a session runs do it no harm.
#[test]
fn gossip_in_the_middle_does_no_harm() {
    for seed in 0..30 {
        let mut dice = Dice(seed);
        let mut nodes = villages(80, 20 + seed as u32 * 3);
        let mut next = 10_000;
        let met = contact(&mut nodes, seed as u8, configs(), |nodes, _, message| {
            if message[0] != TAG_ITEM && dice.one_in(2) {
                let side = dice.below(2) as usize;
                nodes[side].take(&grant(author(A, next), 0)).unwrap();
                next += 1;
            }
            true
        });
        assert_eq!(met.errors, []);
        let equal = nodes[0].digest() == nodes[1].digest();
        assert!(met.done.iter().all(|done| *done == Some(equal)), "both end, and say what is so");
        let met = meet(&mut nodes, 100);
        assert_eq!(met.done, [Some(true); 2]);
    }
}

/// The peer knows the key of short ids, being one end of the link: two authors with one tag delay
/// what is known of them, on that link.
#[test]
fn colliding_tags_only_delay() {
    let link = 5;
    let short = blake3::derive_key("hundi v1 sync short id", &[link; 32]);
    let prime = (1u64 << 40) - 87;
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let of = |number: u64| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        AuthorId { bank: A, key: PublicKey(key) }
    };
    let pair = (0u64..)
        .find_map(|number| {
            let hash = blake3::keyed_hash(&short, &of(number).to_bytes());
            let tag = u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()) % (prime - 1);
            seen.insert(tag, number).map(|other| [other, number])
        })
        .unwrap();
    let twins = pair.map(|number| grant(of(number), 0));
    let states: [&[usize]; 4] = [&[], &[0], &[1], &[0, 1]];
    for ours in states {
        for theirs in states {
            let mut nodes = villages(20, 2);
            ours.iter().for_each(|at| {
                nodes[0].take(&twins[*at]);
            });
            theirs.iter().for_each(|at| {
                nodes[1].take(&twins[*at]);
            });
            let met = meet(&mut nodes, link);
            let equal = nodes[0].digest() == nodes[1].digest();
            assert_eq!(met.done, [Some(equal); 2], "{ours:?} {theirs:?}");
            assert_eq!(meet(&mut nodes, link + 1).done, [Some(true); 2]);
        }
    }
}

/// Items that nobody asked for, or that do not verify, end nothing.
#[test]
fn items_out_of_turn_are_handed_on_and_judged_there() {
    let mut nodes = villages(20, 3);
    let stray = grant(author(A, 9_000), 0);
    let mut forged = grant(author(A, 9_001), 0);
    *forged.last_mut().unwrap() ^= 1;
    let mut strays: Vec<_> = [stray.clone(), forged, vec![2, 1, 9], vec![]].into();
    let met = contact(&mut nodes, 1, configs(), |_, _, message| {
        if message[0] == TAG_ITEM
            && let Some(item) = strays.pop()
        {
            *message = [&[TAG_ITEM][..], &item].concat();
        }
        true
    });
    assert_eq!(met.errors, []);
    assert!(met.done.iter().all(Option::is_some));
    assert!(strays.is_empty());
    assert_eq!(meet(&mut nodes, 2).done, [Some(true); 2]);
    let Item::Grant(stray) = Item::decode(&id(), &stray).unwrap() else { panic!() };
    let known: BTreeSet<_> = nodes.iter().map(|node| node.replica.knows(&stray.author)).collect();
    assert_eq!(known, [true].into());
}
