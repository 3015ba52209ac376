//! Symbols as `docs/protocol.md` has them: enough to add a subject of a chosen tag to what a peer
//! says, so that the other side decodes a tag that no hash would have drawn.

/// The prime of the sums.
const P: u64 = (1 << 40) - 87;
/// Bytes of one symbol.
const SYMBOL_BYTES: usize = 12;
/// The tag of symbols.
pub(crate) const TAG_SYMBOLS: u8 = 6;

/// Author tags whose first, second or third draw is the highest (u = 2³², a step of one) or the
/// lowest (u = 1, the longest step). A mutation meets one once in 2³² tries.
pub(crate) const EXTREME_TAGS: [u64; 12] = [
    976_943_391_137,
    700_170_713_478,
    676_262_282_568,
    111_291_550_817,
    968_011_540_741,
    201_226_524_475,
    240_342_079_581,
    960_573_612_186,
    439_773_887_280,
    506_385_355_918,
    7_252_138_633,
    299_936_293_192,
];

fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The draw number k = 1, 2, … of an author tag, between 1 and 2³².
fn draw(tag: u64, k: u64) -> u64 {
    (mix(tag.wrapping_add(k.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 32) + 1
}

/// The symbols below `end` that an author tag maps to.
fn places(tag: u64, end: u64) -> Vec<u64> {
    let (mut places, mut n) = (Vec::new(), 0u64);
    for k in 1.. {
        if n >= end {
            break;
        }
        places.push(n);
        let root = (u128::from(draw(tag, k)) << 32).isqrt();
        let w = (1u128 << 48) / root - (1 << 16);
        let step = ((2 * u128::from(n) + 3) * w).div_ceil(1 << 17).max(1);
        n = n.saturating_add(u64::try_from(step).unwrap_or(u64::MAX));
    }
    places
}

/// Adds a subject to the symbols of a message, whatever they stand for. What is not a message of
/// symbols stays as it is.
pub(crate) fn add_subject(message: &mut [u8], tag: u64, state: u32) {
    let [TAG_SYMBOLS, bits, ..] = *message else { return };
    let prefix = if bits == 0xff { 0 } else { usize::from(bits.div_ceil(8)) };
    let Some((head, symbols)) = message.split_at_mut_checked(4 + prefix) else { return };
    let start = u64::from(u16::from_le_bytes([head[2 + prefix], head[3 + prefix]]));
    let (symbols, _) = symbols.as_chunks_mut::<SYMBOL_BYTES>();
    let tag = (tag % (P - 1)).max(1);
    let check = (mix(tag) as u16 | 1).wrapping_mul(state as u16);
    for place in places(tag, start + symbols.len() as u64) {
        let Some(symbol) = place.checked_sub(start).and_then(|at| symbols.get_mut(at as usize))
        else {
            continue;
        };
        add(&mut symbol[..5], u64::from(state));
        add(&mut symbol[5..10], product(tag, state));
        let sum = u16::from_le_bytes([symbol[10], symbol[11]]).wrapping_add(check);
        symbol[10..].copy_from_slice(&sum.to_le_bytes());
    }
}

fn product(tag: u64, state: u32) -> u64 {
    (u128::from(tag) * u128::from(state) % u128::from(P)) as u64
}

/// Adds modulo P to a number of five bytes.
fn add(bytes: &mut [u8], more: u64) {
    let mut wide = [0; 8];
    wide[..5].copy_from_slice(bytes);
    let sum = (u64::from_le_bytes(wide) + more) % P;
    bytes.copy_from_slice(&sum.to_le_bytes()[..5]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_are_extreme() {
        for tag in EXTREME_TAGS {
            let extreme = (1..=3).any(|k| matches!(draw(tag, k), 1 | 0x1_0000_0000));
            assert!(extreme, "{tag}");
            assert_eq!((tag % (P - 1)).max(1), tag);
        }
        assert_eq!(draw(EXTREME_TAGS[0], 1), 1 << 32);
        assert_eq!(places(EXTREME_TAGS[0], 2), [0, 1]);
    }

    #[test]
    fn a_subject_goes_into_its_symbols() {
        let mut message = [&[TAG_SYMBOLS, 0, 0, 0][..], &[0; 2 * SYMBOL_BYTES]].concat();
        add_subject(&mut message, EXTREME_TAGS[0], 3);
        let symbol = [&[3, 0, 0, 0, 0][..], &(product(EXTREME_TAGS[0], 3).to_le_bytes()[..5])];
        assert_eq!(message[4..14], symbol.concat());
        assert_eq!(message[4..16], message[16..28]);
        let mut other = [7, 0, 0, 0];
        add_subject(&mut other, 1, 1);
        assert_eq!(other, [7, 0, 0, 0]);
    }
}
