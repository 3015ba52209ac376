//! Sessions as the auditor reads them: every message, and what its values mean.

use super::held::{Held, author_of};
use super::{array, bytes, file, network, rows};
use hundi_auditor::records::{Author, Item, Record};
use hundi_auditor::sync::symbols::{
    Pair, Symbol, check, differences, estimate, places, sketch, symbols,
};
use hundi_auditor::sync::vector::{Run, Vector, Want};
use hundi_auditor::sync::{
    Content, Message, Purpose, Range, Stream, author_tag, digest, keyed, pair, position, short_tag,
    sum, tag, wide_tag,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const EVERYTHING: Range = Range { bits: 0, first: 0 };
const SIDES: [(&str, Purpose); 2] =
    [("initiator", Purpose::Initiator), ("responder", Purpose::Responder)];

/// The bytes of a subject as the files name it.
fn subject(row: &Value) -> Vec<u8> {
    let bank = u16::try_from(row["bank"].as_u64().unwrap()).unwrap().to_le_bytes();
    match row.get("key") {
        Some(key) => [&bank[..], &array::<32>(key)].concat(),
        None => bank.to_vec(),
    }
}

fn elements(rows_of: &Value) -> Vec<[u8; 32]> {
    rows(rows_of).iter().map(|row| array(&row["element"])).collect()
}

fn pairs(link: &[u8; 32], rows_of: &Value) -> Vec<Pair> {
    let of = rows(rows_of).iter();
    of.map(|row| pair(link, &subject(&row["subject"]), &array(&row["element"]))).collect()
}

fn little_endian(value: &Value) -> u64 {
    bytes(value).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn sums_digests_tags_and_positions() {
    let (network, file) = (network(), file("digests.json"));
    for row in rows(&file["accumulators"]) {
        let elements: Vec<[u8; 32]> = rows(&row["elements"]).iter().map(array).collect();
        assert_eq!(digest(&network.id, &sum(&elements)), array(&row["digest"]));
    }
    for row in rows(&file["replicas"]) {
        let (core, head) = (sum(&elements(&row["core"])), sum(&elements(&row["head"])));
        assert_eq!(digest(&network.id, &core), array(&row["digest"]));
        let link = array(&row["handshake_hash"]);
        let said = array::<8>(&row["fingerprint_initiator"]);
        assert_eq!(keyed(&link, Purpose::Initiator, &core), said);
        let said = array::<8>(&row["fingerprint_responder"]);
        assert_eq!(keyed(&link, Purpose::Responder, &core), said);
        let said = array::<8>(&row["fingerprint_head"]);
        assert_eq!(keyed(&link, Purpose::Initiator, &head), said);
        for row in rows(&row["core"]).iter().chain(rows(&row["head"])) {
            let element = array(&row["element"]);
            let (author, state) = pair(&link, &subject(&row["subject"]), &element);
            assert_eq!(author, little_endian(&row["author_tag"]));
            assert_eq!(u64::from(state), little_endian(&row["state"]));
            assert_eq!(wide_tag(&link, &element), little_endian(&row["wide_tag"]));
        }
        for row in rows(&row["positions"]) {
            let author = subject(&row["author"]).try_into().unwrap();
            let place = u64::from_be_bytes(array(&row["position"]));
            assert_eq!(position(&network.id, &author), place);
        }
    }
}

#[test]
fn symbols_tell_what_differs() {
    let file = file("symbols.json");
    for row in rows(&file["places"]) {
        let author = little_endian(&row["author"]);
        assert_eq!(row["check"], check(author));
        let told: Vec<usize> = serde_json::from_value(row["places"].clone()).unwrap();
        assert_eq!(places(author, 1024), told);
    }
    let mut undecided = 0;
    for row in rows(&file["sets"]) {
        let set = |name: &str| -> Vec<Pair> {
            let state = |row: &Value| u32::try_from(row["state"].as_u64().unwrap()).unwrap();
            rows(&row[name]).iter().map(|row| (little_endian(&row["author"]), state(row))).collect()
        };
        let read = |name: &str| -> Vec<Symbol> {
            let symbol = |value| Symbol::from_bytes(&array(value)).unwrap();
            rows(&row[name]).iter().map(symbol).collect()
        };
        let [ours, theirs] = ["ours", "theirs"].map(set);
        let [our_symbols, their_symbols] = ["our_symbols", "their_symbols"].map(read);
        assert_eq!(symbols(&ours, our_symbols.len()), our_symbols, "{}", row["name"]);
        assert_eq!(symbols(&theirs, their_symbols.len()), their_symbols, "{}", row["name"]);
        let told: BTreeSet<(u64, i64)> = rows(&row["differences"])
            .iter()
            .map(|row| (little_endian(&row["author"]), row["delta"].as_i64().unwrap()))
            .collect();
        match differences(&their_symbols, &our_symbols) {
            Some(found) => assert_eq!(found, told, "{}", row["name"]),
            None => {
                assert!(told.len() > our_symbols.len(), "{}", row["name"]);
                undecided += 1;
            }
        }
        let [our_sketch, their_sketch] = [sketch(&ours), sketch(&theirs)];
        assert_eq!(our_sketch, bytes(&row["our_sketch"]));
        assert_eq!(their_sketch, bytes(&row["their_sketch"]));
        assert_eq!(row["estimate"], estimate(&our_sketch, &their_sketch), "{}", row["name"]);
    }
    assert_eq!(undecided, 1, "one pair differs in more than its symbols tell");
}

/// The first session, of which `digests.json` tells the elements: its values, its symbols, and what
/// the initiator finds by them.
#[test]
fn the_first_session_says_what_its_replicas_hold() {
    let (sync, digests) = (file("sync.json"), file("digests.json"));
    let (session, replicas) = (&sync["sessions"][0], rows(&digests["replicas"]));
    let link = array(&session["handshake_hash"]);
    let lines: Vec<Message> = rows(&session["transcript"]).iter().map(message).collect();
    let [before, _, after] = replicas else { panic!("three replicas") };
    let core = sum(&elements(&before["core"]));
    let head = sum(&elements(&before["head"]));
    let opening = Message::Open {
        core: keyed(&link, Purpose::Initiator, &core),
        head: keyed(&link, Purpose::Initiator, &head),
    };
    assert_eq!(lines[0], opening);
    let core = sum(&elements(&after["core"]));
    for (side, purpose) in SIDES {
        let last = rows(&session["transcript"]).iter().rfind(|line| line["from"] == side).unwrap();
        assert_eq!(message(last), Message::Finished(keyed(&link, purpose, &core)), "{side}");
        assert_eq!(session[side]["digest_after"], after["digest"]);
    }
    let sets = |name: &str| [0, 1].map(|at| pairs(&link, &replicas[at][name]));
    let mut found = BTreeMap::new();
    for line in &lines {
        let Message::Symbols { stream, start: 0, symbols: theirs } = line else { continue };
        let [ours, held] = match stream {
            Stream::Head => sets("head"),
            // Banks are in no stream of the core.
            Stream::Core(_) => [0, 1].map(|at| {
                let authors = rows(&replicas[at]["core"]).iter();
                let authors = authors.filter(|row| row["subject"].get("key").is_some());
                pairs(&link, &authors.cloned().collect())
            }),
        };
        assert_eq!(*theirs, symbols(&held, theirs.len()));
        let told = differences(theirs, &symbols(&ours, theirs.len())).unwrap();
        let state = |of: &[Pair], tag| {
            of.iter().find(|(author, _)| *author == tag).map_or(0, |(_, state)| i64::from(*state))
        };
        let tags: BTreeSet<u64> = ours.iter().chain(&held).map(|(author, _)| *author).collect();
        let differ = tags.into_iter().map(|tag| (tag, state(&held, tag) - state(&ours, tag)));
        assert_eq!(told, differ.filter(|(_, delta)| *delta != 0).collect());
        let theirs = told.into_iter().filter(|(tag, _)| state(&held, *tag) > 0);
        found.insert(*stream, theirs.map(|(tag, _)| tag).collect::<BTreeSet<u64>>());
    }
    // Of whom the other side holds something, the initiator says what it holds itself.
    let vectors = lines.iter().find_map(|line| match line {
        Message::Have { vectors, .. } => Some(vectors.iter().map(|one| one.author).collect()),
        _ => None,
    });
    assert_eq!(vectors.as_ref(), found.get(&Stream::Core(EVERYTHING)));
    assert_eq!(found[&Stream::Head].len(), 2, "a bank and a freeze");
}

fn message(line: &Value) -> Message {
    Message::read(&bytes(&line["bytes"])).unwrap()
}

/// Goes through all messages of a session, and shows each with its place, its sender, and what both
/// sides hold as it is sent.
fn walk(session: &Value, mut see: impl FnMut(usize, usize, &Message, &[Held; 2])) {
    let mut held = SIDES.map(|(side, _)| {
        let mut held = Held::new(network().id);
        rows(&session[side]["items"]).iter().for_each(|item| held.take(&bytes(item)));
        held
    });
    let lost: Vec<usize> = serde_json::from_value(session["lost"].clone()).unwrap();
    for (at, line) in rows(&session["transcript"]).iter().enumerate() {
        let from = SIDES.iter().position(|(side, _)| line["from"] == *side).unwrap();
        let said = message(line);
        see(at, from, &said, &held);
        if let Message::Item(item) = said
            && !lost.contains(&at)
        {
            held[1 - from].take(&item);
        }
    }
}

/// Sides take turns, and a turn ends once.
#[test]
fn turns_alternate_and_sessions_end() {
    for session in rows(&file("sync.json")["sessions"]) {
        let (mut speaks, mut finished) = (0, [false; 2]);
        walk(session, |_, from, message, _| {
            assert_eq!(from, speaks, "{}", session["name"]);
            match message {
                Message::Open { .. } | Message::More | Message::Busy => {
                    finished[from] = false;
                    speaks = 1 - from;
                }
                Message::Finished(_) | Message::Equal(_) => {
                    finished[from] = true;
                    speaks = 1 - from;
                }
                _ => {}
            }
        });
        let equal = session["initiator"]["digest_after"] == session["responder"]["digest_after"];
        for (side, _) in SIDES {
            assert_eq!(session[side]["in_sync"], equal, "{}", session["name"]);
        }
        let answered = rows(&session["transcript"]).len() == 2;
        assert!(answered || finished == [true; 2], "{}", session["name"]);
    }
}

/// In sessions of grants and entries alone, every value follows from the items.
#[test]
fn values_follow_from_items() {
    let (mut plain, mut seen) = (0, BTreeSet::new());
    for session in rows(&file("sync.json")["sessions"]) {
        let link = array(&session["handshake_hash"]);
        walk(session, |_, from, message, held| {
            let held = &held[from];
            if !held.is_plain() {
                return;
            }
            plain += 1;
            if let Some(kind) = check_values(&link, SIDES[from].1, message, held) {
                seen.insert(kind);
            }
        });
    }
    assert!(plain > 100);
    let every = ["children", "elements", "open", "sketch", "symbols", "value"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), every);
}

fn check_values(
    link: &[u8; 32],
    side: Purpose,
    message: &Message,
    held: &Held,
) -> Option<&'static str> {
    match message {
        Message::Finished(value) => {
            assert_eq!(*value, keyed(link, side, &sum(&held.core())));
            Some("value")
        }
        Message::Open { core, head } | Message::OpenMore { core, head, .. } => {
            assert_eq!(*core, keyed(link, side, &sum(&held.core())));
            let banks: Vec<[u8; 32]> = held.banks().into_values().collect();
            assert_eq!(*head, keyed(link, side, &sum(&banks)));
            Some("open")
        }
        Message::Symbols { stream: Stream::Core(range), start, symbols: said } => {
            let start = usize::from(*start);
            let made = symbols(&held.pairs(link, *range), start + said.len());
            assert_eq!(made[start..], *said);
            Some("symbols")
        }
        Message::Ask { sketch: Some(said), .. } => {
            assert_eq!(sketch(&held.pairs(link, EVERYTHING)), said.cells);
            Some("sketch")
        }
        Message::Ranges(ranges) => {
            let mut kind = "elements";
            for (range, content) in ranges {
                match content {
                    Content::Children(sums) => {
                        kind = "children";
                        for (said, at) in sums.iter().zip(0u64..) {
                            let bits = range.bits + 4;
                            let first = range.first | at << (64 - u32::from(bits));
                            assert_eq!(held.sum(link, Range { bits, first }), *said);
                        }
                    }
                    Content::Elements(said) => {
                        let mut made = held.pairs(link, *range);
                        made.sort_unstable();
                        assert_eq!(made, *said);
                    }
                }
            }
            Some(kind)
        }
        _ => None,
    }
}

/// What vectors say is what their side's items make of it.
#[test]
fn vectors_say_what_their_side_holds() {
    let (mut known, mut unknown, mut tags) = (0, 0, 0);
    for session in rows(&file("sync.json")["sessions"]) {
        let link = array(&session["handshake_hash"]);
        walk(session, |_, from, message, held| {
            let Message::Have { range, vectors } = message else { return };
            for vector in vectors {
                match author(&link, &held[from], vector.author) {
                    Some(author) => {
                        assert!(range.contains(position(&network().id, &author.to_bytes())));
                        tags += check_vector(&link, &held[from], author, vector);
                        known += 1;
                    }
                    None => {
                        assert_eq!(vector.held, None);
                        unknown += 1;
                    }
                }
            }
        });
    }
    assert!(known >= 5 && unknown >= 40 && tags >= 8);
}

/// The author held that has this tag.
fn author(link: &[u8; 32], held: &Held, tag: u64) -> Option<Author> {
    held.authors().into_iter().find(|author| author_tag(link, &author.to_bytes()) == tag)
}

/// Checks a vector, and counts the tags of entries in it.
fn check_vector(link: &[u8; 32], held: &Held, author: Author, vector: &Vector) -> usize {
    let said = vector.held.as_ref().unwrap();
    let grants = held.grants(author);
    let ids: Vec<[u8; 32]> = grants.values().copied().collect();
    assert_eq!(said.grants_tag, short_tag(link, &ids));
    assert_eq!(said.serials(), grants.keys().copied().collect::<Vec<_>>());
    let checkpoint = held.checkpoint(author);
    let told =
        checkpoint.map(|(certificate, number, id)| (certificate, number, short_tag(link, &[id])));
    assert_eq!(said.checkpoint, told);
    assert_eq!(said.freeze, held.freeze(author).map(|id| short_tag(link, &[id])));
    let entries = held.entries(author);
    let mut tags = 0;
    for (document, run) in [(false, &said.money), (true, &said.documents)] {
        let Some(run) = run else { continue };
        for sequence in run.sequences() {
            assert!(entries.iter().any(|(class, at, _)| (*class, *at) == (document, sequence)));
        }
        for (sequence, told) in run.tagged() {
            let named = entries
                .iter()
                .any(|(class, at, id)| (*class, *at, tag(link, id)) == (document, sequence, told));
            assert!(named);
            tags += 1;
        }
    }
    tags
}

/// Whatever is wanted by a vector is in it, and comes in the next turn.
#[test]
fn what_is_wanted_comes() {
    let mut wanted = 0;
    for session in rows(&file("sync.json")["sessions"]) {
        let link = array(&session["handshake_hash"]);
        let network = network().id;
        let mut told: [Vec<Vector>; 2] = Default::default();
        let mut due: Vec<(usize, u64, Want, Vector)> = Vec::new();
        let mut came: Vec<Item> = Vec::new();
        walk(session, |_, from, message, _| match message {
            Message::Have { vectors, .. } => told[from].extend(vectors.iter().cloned()),
            Message::Wants(wants) => {
                for want in wants {
                    let vector = told[1 - from][usize::from(want.index)].clone();
                    due.push((1 - from, vector.author, want.clone(), vector));
                }
            }
            Message::Item(item) => came.push(Item::read(&network, item).unwrap()),
            Message::More | Message::Busy | Message::Finished(_) => {
                due.retain(|(side, tag, want, vector)| {
                    if *side == from {
                        let of = |item: &&Item| {
                            author_of(item)
                                .is_some_and(|author| author_tag(&link, &author.to_bytes()) == *tag)
                        };
                        let items: Vec<&Item> = came.iter().filter(of).collect();
                        check_want(want, vector, &items);
                        wanted += 1;
                    }
                    *side != from
                });
                came.clear();
                told[1 - from].clear();
            }
            _ => {}
        });
        assert!(due.is_empty(), "{}", session["name"]);
    }
    assert!(wanted >= 4);
}

fn check_want(want: &Want, vector: &Vector, items: &[&Item]) {
    let held = vector.held.as_ref().unwrap();
    let holds = |is: &dyn Fn(&Record) -> bool| items.iter().any(|item| is(&item.record));
    assert!(!want.checkpoint || holds(&|record| matches!(record, Record::Checkpoint(_))));
    assert!(!want.freeze || holds(&|record| matches!(record, Record::Freeze(_))));
    assert!(!want.proof || holds(&|record| matches!(record, Record::Proof(_))));
    assert_eq!(want.serials & !held.serials, 0);
    let shown = (0..64u16).filter(|bit| want.serials >> bit & 1 == 1).map(|bit| held.top - bit);
    let all = held.serials().into_iter().filter(|_| want.grants);
    for serial in shown.chain(want.enrolment.then_some(0)).chain(all) {
        assert!(holds(&|record| matches!(record, Record::Grant(of) if of.serial == serial)));
    }
    let classes = [(false, want.money, &held.money), (true, want.documents, &held.documents)];
    for (document, bits, run) in classes {
        let run = run.clone().unwrap_or(Run { base: 0, bitmap: 0, tags: vec![] });
        assert_eq!(bits & !run.bitmap, 0);
        for bit in (0..64u32).filter(|bit| bits >> bit & 1 == 1) {
            let is = |record: &Record| {
                matches!(record, Record::Entry(entry)
                    if entry.header.is_document() == document
                        && entry.header.sequence == run.base + bit)
            };
            assert!(holds(&is));
        }
    }
}

/// Certificates, then evidence with the grants that it needs, then the rest, entries behind their
/// author's records.
#[test]
fn items_go_in_order() {
    let network = network().id;
    let mut evidence = 0;
    for session in rows(&file("sync.json")["sessions"]) {
        let mut turn: Vec<Item> = Vec::new();
        walk(session, |_, _, message, _| match message {
            Message::Item(item) => turn.push(Item::read(&network, item).unwrap()),
            Message::More | Message::Busy | Message::Finished(_) => {
                evidence += check_order(&turn);
                turn.clear();
            }
            _ => {}
        });
    }
    assert!(evidence >= 4);
}

/// Checks the items of one turn, and counts the evidence among them.
fn check_order(turn: &[Item]) -> usize {
    let is_evidence = |item: &Item| matches!(item.record, Record::Freeze(_) | Record::Proof(_));
    let mut evidence = 0;
    for (at, item) in turn.iter().enumerate() {
        let before = &turn[..at];
        match &item.record {
            Record::Certificate(_) => {
                assert!(before.iter().all(|one| matches!(one.record, Record::Certificate(_))));
            }
            _ if is_evidence(item) => {
                let early = |one: &Item| {
                    is_evidence(one)
                        || matches!(one.record, Record::Certificate(_) | Record::Grant(_))
                };
                assert!(before.iter().all(early));
                evidence += 1;
            }
            Record::Grant(_) | Record::Checkpoint(_) => {
                let entry = |one: &Item| {
                    matches!(one.record, Record::Entry(_)) && author_of(one) == author_of(item)
                };
                assert!(!before.iter().any(entry));
            }
            _ => {}
        }
    }
    evidence
}

#[test]
fn messages_are_taken_and_refused() {
    let file = file("sync.json");
    for row in rows(&file["taken"]) {
        assert!(Message::read(&bytes(&row["bytes"])).is_ok(), "{}", row["name"]);
    }
    for row in rows(&file["refused"]) {
        assert!(Message::read(&bytes(&row["bytes"])).is_err(), "{}", row["name"]);
    }
}
