//! Messages of a sync session as JSON, read from their bytes the way `docs/protocol.md` tells it
//! and without the code that writes them. Short ids, prefixes, bitmaps, sums and tags are shown as
//! their bytes on the wire.

use super::json::hex;
use serde_json::{Value, json};

/// The name and fields of a message. Panics when a byte is missing or left.
pub(crate) fn message(bytes: &[u8]) -> (&'static str, Value) {
    let (tag, rest) = bytes.split_first().unwrap();
    let mut reader = Reader(rest);
    let read = match tag {
        1 => ("open", open(&mut reader)),
        2 => ("ranges", reader.list(range)),
        3 => ("have", have(&mut reader)),
        4 => ("turn", turn(&mut reader)),
        5 => ("item", Value::Null),
        6 => ("evidence", reader.list(tag_wide)),
        7 => ("evidence ask", reader.list(tag_wide)),
        8 => ("cache", reader.list(tag_wide)),
        9 => ("cache ask", reader.list(tag_wide)),
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

    fn option(&mut self, read: fn(&mut Self) -> Value) -> Value {
        if self.flag() { read(self) } else { Value::Null }
    }

    fn flag(&mut self) -> bool {
        let byte = self.u8();
        assert!(byte < 2);
        byte == 1
    }
}

fn tag_wide(reader: &mut Reader<'_>) -> Value {
    reader.hex::<8>()
}

fn tag(reader: &mut Reader<'_>) -> Value {
    reader.hex::<4>()
}

fn open(reader: &mut Reader<'_>) -> Value {
    json!({ "flags": reader.u8(), "core": reader.hex::<6>(), "evidence": reader.hex::<2>() })
}

fn turn(reader: &mut Reader<'_>) -> Value {
    match reader.u8() {
        0 => json!({ "end": "more", "core": reader.hex::<6>() }),
        1 => json!({ "end": "finished", "core": reader.hex::<6>() }),
        2 => json!({ "end": "equal", "core": reader.hex::<4>() }),
        other => panic!("end {other}"),
    }
}

fn range(reader: &mut Reader<'_>) -> Value {
    let (depth, prefix) = (reader.u8(), reader.hex::<8>());
    match reader.u8() {
        0 => {
            let sums: Vec<Value> = (0..16).map(|_| reader.hex::<8>()).collect();
            json!({ "depth": depth, "prefix": prefix, "children": sums })
        }
        1 => {
            let element = |reader: &mut Reader<'_>| json!({ "short": reader.hex::<8>(), "tag": tag_wide(reader) });
            json!({ "depth": depth, "prefix": prefix, "elements": reader.list(element) })
        }
        other => panic!("content {other}"),
    }
}

fn have(reader: &mut Reader<'_>) -> Value {
    json!({
        "answer": reader.flag(),
        "banks": reader.list(bank),
        "authors": reader.list(author),
    })
}

fn bank(reader: &mut Reader<'_>) -> Value {
    json!({
        "bank": reader.u16(),
        "certificates": reader.list(|reader| json!({ "number": reader.u16(), "tag": tag(reader) })),
        "bulletin": reader.option(|reader| {
            json!({ "certificate": reader.u16(), "epoch": reader.u32(), "tag": tag(reader) })
        }),
    })
}

fn author(reader: &mut Reader<'_>) -> Value {
    json!({
        "short": reader.hex::<8>(),
        "grants": reader.list(|reader| json!({ "serial": reader.u16(), "tag": tag(reader) })),
        "checkpoint": reader.option(|reader| {
            json!({ "certificate": reader.u16(), "number": reader.u32(), "tag": tag(reader) })
        }),
        "freeze": reader.option(tag),
        "proven": reader.flag(),
        "runs": reader.list(run),
    })
}

fn run(reader: &mut Reader<'_>) -> Value {
    json!({
        "class": reader.u8(),
        "base": reader.u32(),
        "bitmap": reader.hex::<8>(),
        "tags": reader.list(tag),
    })
}
