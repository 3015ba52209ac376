//! Author tags, states, symbols and sketches a second time, from what `docs/protocol.md` says and
//! without the code that sessions use; and the file of `docs/vectors` that shows them.

use super::json::hex;
use serde_json::{Value, json};

/// The modulus of symbols.
pub(crate) const P: u64 = 1_099_511_627_689;
/// Levels and cells of a sketch.
const LEVELS: usize = 14;
const CELLS: usize = 32;

/// An author tag and a state.
pub(crate) type Element = (u64, u32);

/// The tag of a subject by its bytes, under K_short.
pub(crate) fn author_tag(short: &[u8; 32], subject: &[u8]) -> u64 {
    1 + wide(short, subject) % (P - 1)
}

/// The state of an element, under K_tag.
pub(crate) fn state(tag: &[u8; 32], element: &[u8; 32]) -> u32 {
    u32::try_from(wide(tag, element) >> 32).unwrap().max(1)
}

/// The first 8 bytes of a keyed hash.
pub(crate) fn wide(key: &[u8; 32], bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*blake3::keyed_hash(key, bytes).as_bytes().first_chunk().unwrap())
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// The symbols below `end` that a tag maps to.
pub(crate) fn places(author: u64, end: u64) -> Vec<u64> {
    let draw = |k: u64| mix(author.wrapping_add(k.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let near = |n: &u64| (draw(n / 4 + 1) >> (16 * (n % 4)) & 0xffff) * (n + 2) < 1 << 17;
    let mut places: Vec<u64> = (0..32).filter(near).collect();
    let mut place = 31;
    for k in 9u64.. {
        let u = (draw(k) >> 32) + 1;
        let root = (u128::from(u) << 32).isqrt();
        let w = (1u128 << 48) / root - (1 << 16);
        let distance = (u128::from(2 * place + 3) * w).div_ceil(1 << 17).max(1);
        place += u64::try_from(distance).unwrap();
        if place >= end {
            break;
        }
        places.push(place);
    }
    places.retain(|place| *place < end);
    places
}

fn check(author: u64) -> u16 {
    u16::try_from(mix(author) & 0xffff).unwrap() | 1
}

/// Symbols 0 to `count` of a set.
pub(crate) fn symbols(of: &[Element], count: usize) -> Vec<[u8; 12]> {
    let mut sums = vec![(0u64, 0u64, 0u16); count];
    for (author, state) in of {
        let product = u64::try_from(u128::from(*author) * u128::from(*state) % u128::from(P));
        for place in places(*author, count as u64) {
            let (states, products, checks) = &mut sums[usize::try_from(place).unwrap()];
            *states = (*states + u64::from(*state)) % P;
            *products = (*products + product.unwrap()) % P;
            *checks = checks.wrapping_add(check(*author).wrapping_mul((state & 0xffff) as u16));
        }
    }
    let bytes = |(states, products, checks): &(u64, u64, u16)| {
        let parts = [&states.to_le_bytes()[..5], &products.to_le_bytes()[..5]];
        [parts.concat(), checks.to_le_bytes().to_vec()].concat().try_into().unwrap()
    };
    sums.iter().map(bytes).collect()
}

/// The sketch of a set.
pub(crate) fn sketch(of: &[Element]) -> Vec<u8> {
    let mut cells = vec![0u8; LEVELS * CELLS];
    for (author, state) in of {
        let place = mix(author ^ 0x6b65_7463_6873);
        let level = (0..LEVELS - 1).find(|level| place >> level & 1 == 1).unwrap_or(LEVELS - 1);
        let cell = &mut cells[level * CELLS + usize::try_from(place >> 59).unwrap()];
        *cell = cell.wrapping_add(state.to_le_bytes()[0]);
    }
    cells
}

/// What a level with 8, 9, … 32 equal cells counts, in sixteenths.
const COUNTS: [u64; 25] = [
    710, 649, 596, 547, 502, 461, 423, 388, 355, 324, 295, 267, 241, 216, 192, 169, 147, 126, 106,
    87, 68, 50, 33, 16, 0,
];

/// About how many differ, from two sketches.
pub(crate) fn estimate(a: &[u8], b: &[u8]) -> u64 {
    let mut sixteenths = 0;
    for level in (0..LEVELS).rev() {
        let cells = level * CELLS..(level + 1) * CELLS;
        let equal = cells.filter(|at| a[*at] == b[*at]).count();
        if equal < 8 {
            return (sixteenths * (2 << level) / 16).max(32 << level);
        }
        sixteenths += COUNTS[equal - 8];
    }
    sixteenths / 16
}

/// Made up sets: `count` elements, other ones for every `salt`.
fn made_up(salt: u64, count: u64) -> Vec<Element> {
    let element = |at: u64| {
        let value = mix(salt << 32 | at);
        (1 + mix(value) % (P - 1), ((value & 0xffff_ffff) as u32).max(1))
    };
    (0..count).map(element).collect()
}

fn tag(author: u64) -> String {
    hex(&author.to_le_bytes()[..5])
}

fn elements(of: &[Element]) -> Value {
    of.iter().map(|(author, state)| json!({ "author": tag(*author), "state": state })).collect()
}

/// Two sets with the symbols of both, and what they differ in: theirs less ours.
fn row(name: &str, ours: &[Element], theirs: &[Element], count: usize) -> Value {
    let all: std::collections::BTreeMap<u64, i64> =
        ours.iter().chain(theirs).map(|(author, _)| (*author, 0)).collect();
    let state = |of: &[Element], author: u64| {
        of.iter().find(|(known, _)| *known == author).map_or(0, |(_, state)| i64::from(*state))
    };
    let differences = all
        .keys()
        .map(|author| (*author, state(theirs, *author) - state(ours, *author)))
        .filter(|(_, delta)| *delta != 0)
        .map(|(author, delta)| json!({ "author": tag(author), "delta": delta }));
    let shown = |of: &[Element]| symbols(of, count).iter().map(hex).collect::<Vec<_>>();
    json!({
        "name": name,
        "ours": elements(ours),
        "theirs": elements(theirs),
        "our_symbols": shown(ours),
        "their_symbols": shown(theirs),
        "differences": differences.collect::<Vec<_>>(),
        "our_sketch": hex(sketch(ours)),
        "their_sketch": hex(sketch(theirs)),
        "estimate": estimate(&sketch(ours), &sketch(theirs)),
    })
}

/// The file `symbols.json`.
pub(crate) fn build() -> Value {
    // The last has the largest u, 2^32, at its first step.
    let authors = [1, 2, 86, 0x12_3456_789a, P - 1, 710_337_961_327];
    let places = authors.map(|author| {
        json!({ "author": tag(author), "check": check(author), "places": places(author, 1024) })
    });
    let common = made_up(1, 12);
    let mut changed = common.clone();
    changed[3].1 ^= 0x55;
    changed[7].1 = 1;
    changed.truncate(11);
    let fewer = common[2..].to_vec();
    let extremes = [(1, 1), (P - 1, u32::MAX)];
    let rows = [
        row("nothing", &[], &[], 2),
        row("one against none", &[], &[(5, 7)], 4),
        row("the least and the greatest against none", &extremes, &[], 8),
        row("changed here, there, and held by one side only", &fewer, &changed, 24),
        row("equal", &common, &common, 8),
        row("24 against 24 others", &made_up(2, 24), &made_up(3, 24), 120),
        row("2 against 400 others", &made_up(4, 2), &made_up(5, 400), 4),
    ];
    json!({ "places": places, "sets": rows })
}
