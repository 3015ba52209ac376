//! The sessions of `docs/vectors/sync.json`: they run byte for byte as told, and every value in them
//! is what `docs/protocol.md` says, computed a second time from what the sender holds as it speaks.

use crate::messages::{keyed, position, sum};
use crate::vectors::json::{hex, unhex};
use crate::vectors::messages::{self, Node, SIDES};
use crate::vectors::symbols::{self, Element};
use crate::vectors::{array, file, network, rows};
use hundi_ledger::id::{AuthorId, Hash};
use hundi_ledger::record::entry::Class;
use hundi_ledger::record::item::Subject;
use hundi_ledger::replica::Replica;
use hundi_ledger::replica::author::Author;
use hundi_ledger::sync::{Config, MESSAGE_BYTES_MAX, Session, SyncError};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn sessions_run_byte_for_byte_as_told() {
    let file = file("sync.json");
    let mut seen = BTreeSet::new();
    for row in rows(&file["sessions"]) {
        let name = row["name"].as_str().unwrap();
        let told = messages::meeting(row).run();
        let transcript = rows(&row["transcript"]);
        for (at, (line, (from, bytes))) in transcript.iter().zip(&told.messages).enumerate() {
            assert_eq!(line["from"], SIDES[*from], "{name}, message {at}");
            assert_eq!(*bytes, unhex(&line["bytes"]), "{name}, message {at}");
            let end = line["fields"]["end"].as_str().unwrap_or_default();
            seen.insert((line["message"].as_str().unwrap().to_string(), end.to_string()));
            for range in line["fields"].as_array().into_iter().flatten() {
                let split = range.get("children").is_some();
                seen.insert((line["message"].as_str().unwrap().to_string(), split.to_string()));
            }
        }
        assert_eq!(transcript.len(), told.messages.len(), "{name}");
        for (at, side) in SIDES.iter().enumerate() {
            let [before, after] = [told.digests[0][at], told.digests[1][at]];
            assert_eq!(hex(before.0), row[side]["digest_before"], "{name}");
            assert_eq!(hex(after.0), row[side]["digest_after"], "{name}");
            assert_eq!(told.in_sync[at], row[side]["in_sync"].as_bool(), "{name}");
        }
        let equal = row[SIDES[0]]["digest_after"] == row[SIDES[1]]["digest_after"];
        assert_eq!(told.in_sync, [Some(equal); 2], "{name}");
    }
    let every = ["open", "open more", "have", "item", "symbols", "more", "cache", "cache ask"];
    for message in every.into_iter().chain(["wants", "banks", "head ask", "equal"]) {
        assert!(seen.iter().any(|(kind, _)| kind == message), "{message} is shown");
    }
    for (message, which) in
        [("turn", "more"), ("turn", "finished"), ("ranges", "true"), ("ranges", "false")]
    {
        assert!(seen.contains(&(message.to_string(), which.to_string())), "{message} {which}");
    }
}

/// One side of one session as it speaks, read a second time.
struct Second<'a> {
    link: [u8; 32],
    own: &'a [AuthorId],
    node: &'a Node,
}

impl Second<'_> {
    fn key(&self, purpose: &str) -> [u8; 32] {
        messages::session_key(purpose, &self.link)
    }

    fn element(&self, subject: &Subject, element: &Hash) -> Element {
        let bytes = messages::subject_bytes(subject);
        let author = symbols::author_tag(&self.key("short id"), &bytes);
        (author, symbols::state(&self.key("tag"), &element.0))
    }

    fn tag(&self, author: &AuthorId) -> [u8; 5] {
        let tag = symbols::author_tag(&self.key("short id"), &author.to_bytes());
        *tag.to_le_bytes().first_chunk().unwrap()
    }

    fn head(&self) -> Vec<(Subject, Hash)> {
        self.node.replica.head_elements().collect()
    }

    /// The authors in a range, with their elements.
    fn authors(&self, range: &Value) -> Vec<(AuthorId, Hash)> {
        let (bits, first) = bounds(range);
        let inside = |author: &AuthorId| {
            bits == 0 || position(author) >> (64 - bits) == first >> (64 - bits)
        };
        let elements = self.node.replica.elements();
        elements
            .filter_map(|(subject, element)| match subject {
                Subject::Author(author) if inside(&author) => Some((author, element)),
                _ => None,
            })
            .collect()
    }

    fn set(&self, stream: &Value) -> Vec<Element> {
        match stream.as_str() {
            Some("head") => self.head().iter().map(|(of, it)| self.element(of, it)).collect(),
            _ => {
                let authors = self.authors(stream);
                authors.iter().map(|(of, it)| self.element(&Subject::Author(*of), it)).collect()
            }
        }
    }

    fn core(&self) -> Vec<u8> {
        sum(&self.node.replica.elements().map(|(_, of)| of.0).collect::<Vec<_>>())
    }

    /// Checks what a message says; false for those that say nothing about what is held.
    fn check(&self, side: usize, message: &str, fields: &Value) -> bool {
        match message {
            "open" | "open more" | "turn" | "equal" => return self.check_values(side, fields),
            "symbols" => {
                let start = usize::try_from(fields["start"].as_u64().unwrap()).unwrap();
                let said: Vec<[u8; 12]> = rows(&fields["symbols"]).iter().map(array).collect();
                let made = symbols::symbols(&self.set(&fields["stream"]), start + said.len());
                assert_eq!(made[start..], said);
            }
            "more" if !fields["sketch"].is_null() => {
                let made = symbols::sketch(&self.set(&fields["stream"]));
                assert_eq!(hex(made), fields["sketch"]);
                let entries = |id: &&AuthorId| {
                    self.node
                        .replica
                        .author(id, &self.node.shelf)
                        .is_some_and(|of| of.entries().next().is_some())
                };
                let own = self.own.iter().filter(entries);
                let own: Value = own.map(|id| hex(&position(id).to_be_bytes()[..2])).collect();
                assert_eq!(own, fields["own"]);
            }
            "ranges" => rows(fields).iter().for_each(|range| self.check_range(range)),
            "have" => {
                for vector in rows(&fields["vectors"]) {
                    let mut known = self.authors(&fields["range"]).into_iter();
                    let known = known.find(|(id, _)| self.tag(id) == array(&vector["author"]));
                    let known = known
                        .map(|(id, _)| self.node.replica.author(&id, &self.node.shelf).unwrap());
                    assert_eq!(known.map_or(Value::Null, |of| self.held(of)), vector["held"]);
                }
            }
            "banks" => rows(&fields["banks"]).iter().for_each(|bank| self.check_bank(bank)),
            "cache" => {
                let cached = self.cached();
                assert!(rows(fields).iter().all(|tag| cached.contains(&array(tag))));
            }
            "cache ask" => {
                let cached = self.cached();
                assert!(rows(fields).iter().all(|tag| !cached.contains(&array(tag))));
            }
            _ => return false,
        }
        true
    }

    fn check_values(&self, side: usize, fields: &Value) -> bool {
        let Some(said) = fields["core"].as_str() else { return false };
        let made: [u8; 8] = keyed(&self.key(SIDES[side]), &self.core());
        assert!(hex(made).starts_with(said));
        if let Some(said) = fields["head"].as_str() {
            let elements: Vec<[u8; 32]> = self.head().iter().map(|(_, of)| of.0).collect();
            let made: [u8; 2] = keyed(&self.key("initiator"), &sum(&elements));
            assert_eq!(hex(made), said);
        }
        true
    }

    fn check_range(&self, range: &Value) {
        let authors = self.authors(&range["range"]);
        let wide = |of: &Hash| symbols::wide(&self.key("tag"), &of.0);
        if let Some(children) = range["children"].as_array() {
            let (bits, _) = bounds(&range["range"]);
            for (at, said) in children.iter().enumerate() {
                let child = authors
                    .iter()
                    .filter(|(author, _)| position(author) >> (60 - bits) & 15 == at as u64);
                let made = child.fold(0u64, |sum, (_, of)| sum.wrapping_add(wide(of)));
                assert_eq!(made.to_le_bytes(), array::<8>(said));
            }
            return;
        }
        let mut elements = self.set(&range["range"]);
        elements.sort_unstable();
        let row = |(author, state): &Element| json!({ "author": hex(&author.to_le_bytes()[..5]), "state": hex(state.to_le_bytes()) });
        assert_eq!(elements.iter().map(row).collect::<Value>(), range["elements"]);
    }

    fn short_tag(&self, ids: &[Hash]) -> String {
        let ids: Vec<u8> = ids.iter().flat_map(|id| id.0).collect();
        hex(keyed::<2>(&self.key("tag"), &ids))
    }

    /// What a vector says of an author.
    fn held(&self, author: &Author) -> Value {
        let ids: Vec<Hash> = author.grants().map(|grant| grant.id()).collect();
        let serials: Vec<u16> = author.grants().map(|grant| grant.serial.0).collect();
        let top = serials.last().copied().unwrap_or(0);
        let bits = serials.iter().filter(|serial| **serial > 0 && top - **serial < 64);
        let bits = bits.fold(0u64, |bits, serial| bits | 1 << (top - serial));
        let checkpoint = author.checkpoint().map(|held| {
            json!({
                "certificate": held.certificate,
                "number": held.number,
                "tag": self.short_tag(&[held.id()]),
            })
        });
        json!({
            "grants_tag": self.short_tag(&ids),
            "enrolled": serials.contains(&0),
            "top": top,
            "serials": bitmap(bits),
            "checkpoint": checkpoint,
            "freeze": author.freeze().map(|held| self.short_tag(&[held.id()])),
            "proven": author.proof().is_some(),
            "money": self.run(author, Class::Money),
            "documents": self.run(author, Class::Document),
        })
    }

    fn run(&self, author: &Author, class: Class) -> Value {
        let entries: Vec<(u32, Hash)> = author
            .entries()
            .filter(|claim| claim.kind.class() == class)
            .map(|claim| (claim.sequence(), claim.id))
            .collect();
        let Some((base, _)) = entries.first() else { return Value::Null };
        let held: BTreeSet<u32> = entries.iter().map(|(sequence, _)| *sequence).collect();
        let ends = held.iter().filter(|sequence| !held.contains(&(**sequence + 1)));
        let tag = |end: &u32| {
            let (_, id) = entries.iter().find(|(sequence, _)| sequence == end).unwrap();
            hex(&keyed::<8>(&self.key("tag"), &id.0)[4..])
        };
        let bits = held.iter().fold(0u64, |bits, sequence| bits | 1 << (sequence - base));
        json!({ "base": base, "bitmap": bitmap(bits), "tags": ends.map(tag).collect::<Vec<_>>() })
    }

    fn check_bank(&self, said: &Value) {
        let number = hundi_ledger::id::BankNumber(said["bank"].as_u64().unwrap() as u16);
        let tag = |id: Hash| hex(&keyed::<8>(&self.key("tag"), &id.0)[4..]);
        let certificates: Vec<Value> = self
            .node
            .replica
            .trust()
            .of(number)
            .map(|held| json!({ "number": held.number, "tag": tag(held.id()) }))
            .collect();
        assert_eq!(Value::from(certificates), said["certificates"]);
        let bulletin = self.node.replica.bulletin(number).map(|held| {
            json!({ "certificate": held.certificate, "epoch": held.epoch, "tag": tag(held.id()) })
        });
        assert_eq!(json!(bulletin), said["bulletin"]);
    }

    /// The wide tags of what is cached.
    fn cached(&self) -> Vec<[u8; 8]> {
        let ids = self.node.replica.cached().map(|(_, id)| id);
        ids.map(|id| keyed(&self.key("tag"), &id.0)).collect()
    }
}

/// How many bits all positions in a range share, and its first position.
fn bounds(range: &Value) -> (u64, u64) {
    let mut first = [0; 8];
    let prefix = unhex(&range["prefix"]);
    first[..prefix.len()].copy_from_slice(&prefix);
    (range["bits"].as_u64().unwrap(), u64::from_be_bytes(first))
}

/// A bitmap without the empty bytes at its end.
fn bitmap(bits: u64) -> String {
    let bytes = bits.to_le_bytes();
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    hex(&bytes[..length])
}

#[test]
fn messages_say_what_their_sender_holds() {
    let file = file("sync.json");
    let mut checked = BTreeSet::new();
    for row in rows(&file["sessions"]) {
        let meeting = messages::meeting(row);
        let mut lines = rows(&row["transcript"]).iter();
        meeting.run_watched(|side, node, _| {
            let line = lines.next().unwrap();
            let own = &meeting.own[side];
            let second = Second { link: meeting.handshake_hash, own, node };
            let message = line["message"].as_str().unwrap();
            if second.check(side, message, &line["fields"]) {
                checked.insert(message.to_string());
            }
        });
        assert!(lines.next().is_none());
    }
    let every = ["open", "open more", "have", "turn", "symbols", "more", "cache", "cache ask"];
    for message in every.into_iter().chain(["ranges", "banks", "equal"]) {
        assert!(checked.contains(message), "{message} is checked");
    }
}

#[test]
fn messages_that_are_none_end_a_session() {
    let file = file("sync.json");
    let replica = Replica::new(network());
    let shelf = crate::world::MemoryShelf::default();
    let session = || Session::open(false, &[1; 32], &replica, &shelf, Config::default()).0;
    let too_long = [vec![3, 0], vec![0; MESSAGE_BYTES_MAX]].concat();
    let refused =
        rows(&file["refused"]).iter().map(|row| (row["name"].clone(), unhex(&row["bytes"])));
    let mut count = 0;
    for (name, bytes) in refused.chain([("too long".into(), too_long)]) {
        let mut session = session();
        let error = session.handle(&bytes, &replica, &shelf).unwrap_err();
        assert!(matches!(error, SyncError::Decode(_)), "{name}: {error}");
        assert!(session.is_done());
        count += 1;
    }
    assert!(count > 50);
    // They are read; all but openings come too early here.
    for row in rows(&file["taken"]) {
        let opening = row["bytes"].as_str().unwrap().starts_with("02");
        let due = session().handle(&unhex(&row["bytes"]), &replica, &shelf);
        assert_eq!(due.err(), (!opening).then_some(SyncError::NotDue), "{}", row["name"]);
    }
}
