//! Messages of a session by themselves: some that are taken, most of them at a bound, and some that
//! are none.

use serde_json::{Value, json};

/// A range of depth 0 that lists that many elements.
fn listed(count: usize) -> String {
    // Author tags ascend as little-endian integers.
    let element = |at: usize| format!("{:02x}0000000001000000", at + 1);
    let elements: String = (0..count).map(element).collect();
    format!("0b00{count:02x}{elements}")
}

/// What a side holds of bank 1, that many certificates.
fn certificates(count: usize) -> String {
    let row = |number: usize| format!("{number:02x}00aaaaaaaa");
    let rows: String = (1..=count).map(row).collect();
    format!("0c0001000100{count:02x}00{rows}00")
}

/// Symbols of the whole core from `start` on.
fn symbols(start: u16, count: usize) -> String {
    let [low, high] = start.to_le_bytes();
    format!("0600{low:02x}{high:02x}{}", "00".repeat(12 * count))
}

/// A request for more with a sketch of zeros and that many own places.
fn more(bytes: usize, own: usize) -> String {
    format!("07001900{}{}", "00".repeat(bytes), "beef".repeat(own))
}

/// Spaces are for whoever reads this file.
fn rows(rows: &[(&str, String)]) -> Value {
    let row =
        |(name, bytes): &(&str, String)| json!({ "name": name, "bytes": bytes.replace(' ', "") });
    rows.iter().map(row).collect()
}

/// Messages that decode. All but the openings are too early for a session that waits for one.
pub(crate) fn taken() -> Value {
    // Three runs of set bits, the highest one among them.
    let run = "07000000 08 8100000000000080 aaaaaaaa bbbbbbbb cccccccc";
    let records = "aaaa 2c01 0105 0100 70110100 bbbb cccc";
    rows(&[
        ("open more: a flag that is not known", format!("0280{}", "00".repeat(8))),
        ("have: no vector", "0300".into()),
        ("have: a range of one position", format!("0340{}", "ff".repeat(8))),
        ("have: of the range with the highest bits 101", "0303a0".into()),
        ("have: nothing is held", "03 00 0100000000 00".into()),
        ("have: known, and nothing held", "03 00 0100000000 01 0000 0000 00".into()),
        ("have: everything", format!("03 00 0100000000 7f {records} {run} {run}")),
        ("turn: busy", "0401".into()),
        ("symbols: up to the last", symbols(1022, 2)),
        ("symbols: the greatest", format!("06ff0000{}", "a8ffffffffa8ffffffffffff")),
        ("more: with a sketch, and no own authors", more(448, 0)),
        ("more: with a sketch, and as many own authors as may be named", more(448, 4)),
        ("cache: no tags", "080000".into()),
        ("wants: none", "0a".into()),
        ("wants: everything", "0a 0300 ff 0105 01ff 08 0000000000000080".into()),
        ("ranges: none", "0b".into()),
        ("ranges: as many elements as a listed range may have", listed(64)),
        ("ranges: children", format!("0b 0410 ff {}", "00".repeat(128))),
        ("banks: as many certificates as a bank may have", certificates(16)),
        ("head ask: no tags", "0d".into()),
        ("scope: everything", "0e00".into()),
        ("scope: the upper half", "0e0180".into()),
    ])
}

/// Messages that do not decode.
pub(crate) fn refused() -> Value {
    let vector = |rest: &str| format!("03 00 0100000000 {rest}");
    rows(&[
        ("no bytes", String::new()),
        ("tag 0", "00".into()),
        ("tag 16 is none of a session", "10".into()),
        ("open: a byte short", format!("01{}", "00".repeat(7))),
        ("open: a byte more", format!("01{}", "00".repeat(9))),
        ("open more: without flags", format!("02{}", "00".repeat(8))),
        ("have: a range of 65 bits", format!("0341{}", "00".repeat(9))),
        ("have: a range with a bit beyond its bits", "030120".into()),
        ("have: a range cut short", "0309ff".into()),
        ("have: an author tag cut short", "030001000000".into()),
        ("have: a flag without that of being known", vector("02")),
        ("have: a flag that is not known", vector("81 aaaa 0000 00")),
        ("have: serials with an empty byte at the end", vector("01 aaaa 0100 020100")),
        ("have: serials of nine bytes", vector("01 aaaa 0100 09 010101010101010101")),
        ("have: a checkpoint cut short", vector("05 aaaa 0000 00 010070110100bb")),
        ("have: a run of nothing", vector("21 aaaa 0000 00 00000000 00")),
        (
            "have: a run that does not start at its base",
            vector("21 aaaa 0000 00 00000000 0102 aaaaaaaa"),
        ),
        (
            "have: a run with an empty byte at the end",
            vector("21 aaaa 0000 00 00000000 020100 aaaaaaaa"),
        ),
        ("have: a run with a tag too few", vector("21 aaaa 0000 00 00000000 0105 aaaaaaaa")),
        (
            "have: a run with a tag too many",
            vector("21 aaaa 0000 00 00000000 0103 aaaaaaaa bbbbbbbb"),
        ),
        ("have: author tag 0", "03 00 0000000000 00".into()),
        ("have: an author tag that is the modulus", "03 00 a9ffffffff 00".into()),
        ("have: serials without the highest", vector("01 aaaa 0100 0102")),
        ("have: a highest serial of none", vector("01 aaaa 0100 00")),
        ("have: a run beyond the last number", vector("21 aaaa 0000 00 ffffffff 0103 aaaaaaaa")),
        ("ranges: children of a range of 61 bits", {
            format!("0b 3d {} ff {}", "00".repeat(8), "00".repeat(128))
        }),
        ("turn: end 3", "0403".into()),
        ("turn: more with a value", "0400000000000000".into()),
        ("turn: finished with four bytes", "040200000000".into()),
        ("symbols: none", symbols(0, 0)),
        ("symbols: beyond the last", symbols(1023, 2)),
        ("symbols: cut short", "0600000000".into()),
        ("symbols: states that are the modulus", format!("06000000{}", "a9ffffffff00000000000000")),
        (
            "symbols: products that are the modulus",
            format!("06000000{}", "0000000000a9ffffffff0000"),
        ),
        (
            "symbols: of a range of 254 bits",
            format!("06fe{}0000{}", "00".repeat(8), "00".repeat(12)),
        ),
        (
            "symbols: of a range with a bit beyond its bits",
            format!("0603b00000{}", "00".repeat(12)),
        ),
        ("more: a sketch cut short", more(447, 0)),
        ("more: half a place", format!("{}be", more(448, 1))),
        ("more: more own authors than may be named", more(448, 5)),
        ("cache: fewer tags than counted", "080200aaaaaaaaaaaaaaaa".into()),
        ("cache: a byte after the tags", "08000000".into()),
        ("cache ask: fewer tags than counted", "090100aaaaaaaa".into()),
        ("wants: nothing", "0a000000".into()),
        ("wants: no serials", "0a00001000".into()),
        ("wants: entries with an empty byte at the end", "0a000020020100".into()),
        ("wants: entries of nine bytes", "0a00002009010101010101010101".into()),
        ("wants: cut short", "0a0000".into()),
        ("ranges: more elements than a listed range may have", listed(65)),
        ("ranges: neither children nor elements", "0b00fe".into()),
        ("ranges: a child too few", format!("0b00ff{}", "00".repeat(120))),
        (
            "ranges: two elements with one tag",
            "0b 00 02 0100000000 01000000 0100000000 01000000".into(),
        ),
        (
            "ranges: elements that descend",
            "0b 00 02 0200000000 01000000 0100000000 01000000".into(),
        ),
        ("banks: answer 2", "0c020000".into()),
        ("banks: more certificates than a bank may have", certificates(17)),
        ("banks: an option that is neither", "0c 00 0100 0100 0000 02".into()),
        ("head ask: half a tag", "0daaaaaa".into()),
        ("scope: a byte more", "0e0000".into()),
        ("scope: a bit beyond its bits", "0e0140".into()),
        ("equal: a byte short", "0f00".into()),
        ("equal: four bytes", "0f00000000".into()),
    ])
}
