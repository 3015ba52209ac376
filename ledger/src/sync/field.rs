//! Arithmetic modulo the largest prime below 2⁴⁰: what symbols are summed in. A prime, so that every
//! sum but zero has an inverse; of 40 bits, so that a sum travels in five bytes.

/// The prime.
pub(super) const P: u64 = (1 << 40) - 87;

/// `a + b`, both below [`P`].
pub(super) fn add(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= P { sum - P } else { sum }
}

/// `a − b`, both below [`P`].
pub(super) fn sub(a: u64, b: u64) -> u64 {
    if a >= b { a - b } else { a + P - b }
}

/// `a · b`, both below [`P`].
pub(super) fn mul(a: u64, b: u64) -> u64 {
    // 2⁴⁰ ≡ 87: the high half folds into the low one.
    let product = u128::from(a) * u128::from(b);
    let (high, low) = ((product >> 40) as u64, product as u64 & ((1 << 40) - 1));
    (high * 87 + low) % P
}

/// The inverse of `a`, which is not zero (Fermat: aᴾ⁻²).
pub(super) fn inverse(a: u64) -> u64 {
    let (mut base, mut exponent, mut result) = (a, P - 2, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul(result, base);
        }
        base = mul(base, base);
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_wide_arithmetic_and_inverts() {
        let values = [1, 2, 86, 87, 88, 1 << 20, (1 << 39) + 12_345, P - 2, P - 1];
        for a in values {
            assert_eq!(mul(a, inverse(a)), 1);
            for b in values {
                assert_eq!(u128::from(mul(a, b)), u128::from(a) * u128::from(b) % u128::from(P));
                assert_eq!(sub(add(a, b), b), a);
                assert_eq!(add(sub(a, b), b), a);
            }
        }
    }

    #[test]
    fn the_modulus_is_prime() {
        assert!((2..(1u64 << 20) + 1).all(|factor| !P.is_multiple_of(factor)));
    }
}
