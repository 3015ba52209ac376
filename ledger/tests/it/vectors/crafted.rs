//! Signatures and keys on which verifiers are known to disagree, made with nothing but curve
//! arithmetic, and what ZIP 215 says about each.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use hundi_ledger::id::{Hash, PublicKey, SealingKey, Signature};
use hundi_ledger::sign::SecretKey;
use sha2::{Digest, Sha512};

/// One crafted signature.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) key: PublicKey,
    pub(crate) message: Hash,
    pub(crate) signature: Signature,
    /// What ZIP 215 says.
    pub(crate) valid: bool,
}

fn scalar(parts: &[&[u8]]) -> Scalar {
    let mut hasher = Sha512::new();
    parts.iter().for_each(|part| hasher.update(part));
    Scalar::from_bytes_mod_order_wide(&hasher.finalize().into())
}

/// The secret scalar of a seed, by RFC 8032.
fn secret_scalar(seed: &[u8; 32]) -> Scalar {
    let hash: [u8; 64] = Sha512::digest(seed).into();
    let mut low: [u8; 32] = hash[..32].try_into().unwrap();
    low[0] &= 248;
    low[31] = low[31] & 127 | 64;
    Scalar::from_bytes_mod_order(low)
}

fn join(r: &[u8; 32], s: &Scalar) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(r);
    bytes[32..].copy_from_slice(s.as_bytes());
    Signature(bytes)
}

/// The signature with this `R` as spelled, s = r + H(R, A, M) a.
fn with_r(spelled: [u8; 32], r: Scalar, key: &PublicKey, a: Scalar, message: &Hash) -> Signature {
    let k = scalar(&[&spelled, &key.0, &message.0]);
    join(&spelled, &(r + k * a))
}

/// Encodings that decompress although the field element or the sign is not canonical.
pub(crate) fn non_canonical_points() -> Vec<[u8; 32]> {
    let mut found = Vec::new();
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (low, high);
            found.push(bytes);
        }
    }
    let mut minus_zero_at_one = [0; 32];
    (minus_zero_at_one[0], minus_zero_at_one[31]) = (1, 0x80);
    let mut minus_zero_at_minus_one = [0xff; 32];
    (minus_zero_at_minus_one[0], minus_zero_at_minus_one[31]) = (0xec, 0xff);
    found.extend([minus_zero_at_one, minus_zero_at_minus_one]);
    found.retain(|bytes| CompressedEdwardsY(*bytes).decompress().is_some());
    found
}

/// A signature of `message` by the key of `seed`, the torsion point of that number added to its R.
#[allow(dead_code)] // The example builds files only.
pub(crate) fn with_torsion(seed: &[u8; 32], message: &Hash, torsion: usize) -> Signature {
    let (key, a) = (SecretKey::from_seed(seed).public(), secret_scalar(seed));
    let r = scalar(&[b"nonce", &message.0]);
    let spelled = (EdwardsPoint::mul_base(&r) + EIGHT_TORSION[torsion]).compress().0;
    with_r(spelled, r, &key, a, message)
}

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let seed = [0x51; 32];
    let honest = SecretKey::from_seed(&seed);
    let (key, a) = (honest.public(), secret_scalar(&seed));
    assert_eq!(EdwardsPoint::mul_base(&a).compress().0, key.0);
    let message = Hash([0x3c; 32]);
    let mut rows = Vec::new();
    let mut push = |name: String, key: PublicKey, signature: Signature, valid: bool| {
        rows.push(Row { name, key, message, signature, valid });
    };

    let good = honest.sign(&message);
    push("honest".into(), key, good, true);
    let r = scalar(&[b"nonce of the vectors"]);
    let big_r = EdwardsPoint::mul_base(&r);
    for (at, torsion) in EIGHT_TORSION.iter().enumerate().skip(1) {
        let spelled = (big_r + torsion).compress().0;
        let signature = with_r(spelled, r, &key, a, &message);
        push(format!("torsion point {at} added to R"), key, signature, true);
    }
    for (at, torsion) in EIGHT_TORSION.iter().enumerate() {
        let signature = with_r(torsion.compress().0, Scalar::ZERO, &key, a, &message);
        push(format!("R is torsion point {at}"), key, signature, true);
    }
    for spelled in non_canonical_points() {
        // All of these are of small order, or have no known discrete logarithm.
        let point = CompressedEdwardsY(spelled).decompress().unwrap();
        let small = point.is_small_order();
        let signature = with_r(spelled, Scalar::ZERO, &key, a, &message);
        let name = format!("R not canonical, {:02x}..{:02x}", spelled[0], spelled[31]);
        push(name, key, signature, small);
    }
    for (at, torsion) in EIGHT_TORSION.iter().enumerate().skip(1) {
        let mixed = PublicKey((EdwardsPoint::mul_base(&a) + torsion).compress().0);
        let signature = with_r(big_r.compress().0, r, &mixed, a, &message);
        push(format!("torsion point {at} added to the key"), mixed, signature, true);
    }
    for (at, torsion) in EIGHT_TORSION.iter().enumerate() {
        let small = PublicKey(torsion.compress().0);
        push(format!("key is torsion point {at}"), small, join(&big_r.compress().0, &r), true);
    }

    let mut above = [0u8; 32];
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0u16;
    for (at, sum) in above.iter_mut().enumerate() {
        let total = u16::from(good.0[32 + at]) + u16::from(order[at]) + carry;
        *sum = total.to_le_bytes()[0];
        carry = total >> 8;
    }
    let mut not_reduced = good;
    not_reduced.0[32..].copy_from_slice(&above);
    push("s not reduced".into(), key, not_reduced, false);
    let mut flipped = good;
    flipped.0[40] ^= 1;
    push("s changed".into(), key, flipped, false);
    let mut flipped = good;
    flipped.0[3] ^= 1;
    push("R changed".into(), key, flipped, false);
    push("of another message".into(), key, honest.sign(&Hash([0x3d; 32])), false);
    push("of another key".into(), SecretKey::from_seed(&[0x52; 32]).public(), good, false);
    push("all zero".into(), key, Signature([0; 64]), false);
    let no_point = no_point();
    push("key is no point".into(), PublicKey(no_point), good, false);
    push("R is no point".into(), key, join(&no_point, &r), false);
    rows
}

/// The lowest y that is on no point of the curve.
pub(crate) fn no_point() -> [u8; 32] {
    let mut bytes = [0; 32];
    (2..=255u8)
        .map(|y| {
            bytes[0] = y;
            bytes
        })
        .find(|bytes| CompressedEdwardsY(*bytes).decompress().is_none())
        .unwrap()
}

/// Keys with what enrolment says of them.
pub(crate) fn keys() -> Vec<(String, PublicKey, &'static str)> {
    let mut keys = vec![("honest".to_owned(), SecretKey::from_seed(&[0x51; 32]).public(), "ok")];
    let a = secret_scalar(&[0x51; 32]);
    for (at, torsion) in EIGHT_TORSION.iter().enumerate() {
        let small = PublicKey(torsion.compress().0);
        keys.push((format!("torsion point {at}"), small, "small order"));
        if at > 0 {
            let mixed = PublicKey((EdwardsPoint::mul_base(&a) + torsion).compress().0);
            keys.push((format!("with torsion point {at} added"), mixed, "torsion"));
        }
    }
    for bytes in non_canonical_points() {
        let name = format!("not canonical, {:02x}..{:02x}", bytes[0], bytes[31]);
        keys.push((name, PublicKey(bytes), "not canonical"));
    }
    keys.push(("no point".into(), PublicKey(no_point()), "not canonical"));
    keys
}

/// X25519 public keys with which every agreement is zero.
pub(crate) fn small_order_sealing_keys() -> Vec<(&'static str, SealingKey)> {
    let one = |byte: u8| {
        let mut key = [0; 32];
        key[0] = byte;
        SealingKey(key)
    };
    let p_plus = |byte: u8| {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (byte, 0x7f);
        SealingKey(key)
    };
    let hex = |text: &str| text.parse::<SealingKey>().unwrap();
    vec![
        ("0", one(0)),
        ("1", one(1)),
        ("p - 1", p_plus(0xec)),
        ("p, a second spelling of 0", p_plus(0xed)),
        ("p + 1, a second spelling of 1", p_plus(0xee)),
        ("of order 8", hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")),
        (
            "of order 8, the other",
            hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        ),
    ]
}
