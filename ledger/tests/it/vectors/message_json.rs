//! Messages of a sync session as JSON, read from their bytes the way `docs/protocol.md` tells it
//! and without the code that writes them. Tags, prefixes, bitmaps, sums and symbols are shown as
//! their bytes on the wire.

use super::json::hex;
use serde_json::{Value, json};

/// The name and fields of a message. Panics when a byte is missing or left.
pub(crate) fn message(bytes: &[u8]) -> (&'static str, Value) {
    let (tag, rest) = bytes.split_first().unwrap();
    let mut reader = Reader(rest);
    let read = match tag {
        1 => ("open", values(&mut reader)),
        2 => ("open more", open_more(&mut reader)),
        3 => ("have", have(&mut reader)),
        4 => ("turn", turn(&mut reader)),
        5 => ("item", Value::Null),
        6 => ("symbols", symbols(&mut reader)),
        7 => ("more", more(&mut reader)),
        8 => ("cache", reader.list(Reader::hex::<8>)),
        9 => ("cache ask", reader.list(Reader::hex::<8>)),
        10 => ("wants", reader.rest(want)),
        11 => ("ranges", reader.rest(range_sums)),
        12 => ("banks", banks(&mut reader)),
        13 => ("head ask", reader.rest(Reader::hex::<5>)),
        14 => ("scope", range(&mut reader)),
        15 => ("equal", json!({ "core": reader.hex::<2>() })),
        other => panic!("tag {other}"),
    };
    assert!(*tag == 5 || reader.0.is_empty(), "bytes are left");
    read
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        *first
    }

    fn hex<const N: usize>(&mut self) -> Value {
        hex(self.bytes::<N>()).into()
    }

    fn u8(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn list(&mut self, read: fn(&mut Self) -> Value) -> Value {
        (0..self.u16()).map(|_| read(self)).collect()
    }

    /// Values to the end of the message.
    fn rest(&mut self, read: fn(&mut Self) -> Value) -> Value {
        let mut values = Vec::new();
        while !self.0.is_empty() {
            values.push(read(self));
        }
        values.into()
    }

    fn option(&mut self, read: fn(&mut Self) -> Value) -> Value {
        if self.flag() { read(self) } else { Value::Null }
    }

    fn flag(&mut self) -> bool {
        let byte = self.u8();
        assert!(byte < 2);
        byte == 1
    }

    /// As many bytes as the first one says.
    fn counted(&mut self) -> Value {
        let (bytes, rest) = self.0[1..].split_at(usize::from(self.0[0]));
        self.0 = rest;
        assert_ne!(bytes.last(), Some(&0), "one spelling");
        hex(bytes).into()
    }
}

fn values(reader: &mut Reader<'_>) -> Value {
    json!({ "core": reader.hex::<6>(), "head": reader.hex::<2>() })
}

fn open_more(reader: &mut Reader<'_>) -> Value {
    json!({ "flags": reader.u8(), "core": reader.hex::<6>(), "head": reader.hex::<2>() })
}

fn turn(reader: &mut Reader<'_>) -> Value {
    match reader.u8() {
        0 => json!({ "end": "more" }),
        1 => json!({ "end": "busy" }),
        2 => json!({ "end": "finished", "core": reader.hex::<6>() }),
        other => panic!("end {other}"),
    }
}

fn range_of(bits: u8, reader: &mut Reader<'_>) -> Value {
    let (prefix, rest) = reader.0.split_at(usize::from(bits.div_ceil(8)));
    reader.0 = rest;
    json!({ "bits": bits, "prefix": hex(prefix) })
}

fn range(reader: &mut Reader<'_>) -> Value {
    let bits = reader.u8();
    range_of(bits, reader)
}

fn stream(reader: &mut Reader<'_>) -> Value {
    match reader.u8() {
        0xff => "head".into(),
        bits => range_of(bits, reader),
    }
}

fn symbols(reader: &mut Reader<'_>) -> Value {
    json!({
        "stream": stream(reader),
        "start": reader.u16(),
        "symbols": reader.rest(Reader::hex::<12>),
    })
}

fn more(reader: &mut Reader<'_>) -> Value {
    let mut fields =
        json!({ "stream": stream(reader), "next": reader.u16(), "sketch": null, "own": [] });
    if !reader.0.is_empty() {
        fields["sketch"] = reader.hex::<448>();
        fields["own"] = reader.rest(Reader::hex::<2>);
    }
    fields
}

fn have(reader: &mut Reader<'_>) -> Value {
    json!({ "range": range(reader), "vectors": reader.rest(vector) })
}

fn vector(reader: &mut Reader<'_>) -> Value {
    let (author, flags) = (reader.hex::<5>(), reader.u8());
    if flags == 0 {
        return json!({ "author": author, "held": null });
    }
    let flag = |at: u8| flags >> at & 1 == 1;
    assert!(flag(0) && !flag(7));
    let mut held = json!({
        "grants_tag": reader.hex::<2>(),
        "enrolled": flag(1),
        "top": reader.u16(),
        "serials": reader.counted(),
        "checkpoint": null,
        "freeze": null,
        "proven": flag(4),
        "money": null,
        "documents": null,
    });
    if flag(2) {
        held["checkpoint"] = json!({
            "certificate": reader.u16(), "number": reader.u32(), "tag": reader.hex::<2>(),
        });
    }
    if flag(3) {
        held["freeze"] = reader.hex::<2>();
    }
    for (at, class) in [(5, "money"), (6, "documents")] {
        if flag(at) {
            held[class] = run(reader);
        }
    }
    json!({ "author": author, "held": held })
}

fn run(reader: &mut Reader<'_>) -> Value {
    let (base, bitmap) = (reader.u32(), reader.counted());
    // One tag for every bit whose next one is not set.
    let mut bits = [0; 8];
    let bytes = super::json::unhex(&bitmap);
    bits[..bytes.len()].copy_from_slice(&bytes);
    let bits = u64::from_le_bytes(bits);
    let tags: Vec<Value> =
        (0..(bits & !(bits >> 1)).count_ones()).map(|_| reader.hex::<4>()).collect();
    json!({ "base": base, "bitmap": bitmap, "tags": tags })
}

fn want(reader: &mut Reader<'_>) -> Value {
    let (index, flags) = (reader.u16(), reader.u8());
    let flag = |at: u8| flags >> at & 1 == 1;
    let mut bitmap = |at| if flag(at) { reader.counted() } else { Value::Null };
    json!({
        "index": index,
        "checkpoint": flag(0),
        "freeze": flag(1),
        "proof": flag(2),
        "enrolment": flag(3),
        "serials": bitmap(4),
        "money": bitmap(5),
        "documents": bitmap(6),
        "grants": flag(7),
    })
}

fn range_sums(reader: &mut Reader<'_>) -> Value {
    let range = range(reader);
    match reader.u8() {
        0xff => {
            let sums: Vec<Value> = (0..16).map(|_| reader.hex::<8>()).collect();
            json!({ "range": range, "children": sums })
        }
        count => {
            let element = |reader: &mut Reader<'_>| json!({ "author": reader.hex::<5>(), "state": reader.hex::<4>() });
            let elements: Vec<Value> = (0..count).map(|_| element(reader)).collect();
            json!({ "range": range, "elements": elements })
        }
    }
}

fn banks(reader: &mut Reader<'_>) -> Value {
    json!({ "answer": reader.flag(), "banks": reader.list(bank) })
}

fn bank(reader: &mut Reader<'_>) -> Value {
    json!({
        "bank": reader.u16(),
        "certificates": reader.list(|reader| json!({ "number": reader.u16(), "tag": reader.hex::<4>() })),
        "bulletin": reader.option(|reader| {
            json!({ "certificate": reader.u16(), "epoch": reader.u32(), "tag": reader.hex::<4>() })
        }),
    })
}
