//! Bluetooth Low Energy, everything of it that is pure: bytes in, bytes out, time and entropy are
//! arguments. `docs/ble.md` has the profile to the byte.
//!
//! From below: a [`fragment`] is one write or notification; a [`pipe`] makes a reliable stream of
//! fragments that are lost, doubled and out of order; a [`link`] begins with a [`hello`], runs the
//! secure channel over it and ends with a reason. Beside it: what is advertised
//! ([`advertisement`], [`info`]) and shown in a payment request ([`hint`]), whom to connect to
//! ([`contacts`]) and when to listen ([`scan`]). [`radio`] puts it together: a state machine under
//! which any system's Bluetooth API can be put. Nothing here opens an adapter.

pub mod advertisement;
pub mod contacts;
mod entropy;
pub mod fragment;
pub mod hello;
pub mod hint;
pub mod info;
pub mod limits;
pub mod link;
pub mod pipe;
pub mod radio;
mod receiver;
#[cfg(test)]
mod rig;
pub mod scan;
mod sender;

/// Reads arbitrary bytes as everything that comes off the air or out of a QR code: an
/// advertisement, INFO, a hint, and values of a connection, cut by their first bytes, at both ends
/// of links. Pure; the entry point for fuzzing. Gives how many links came up, which must be none.
pub fn read_arbitrary(input: &[u8]) -> usize {
    advertisement::decode(input);
    let _ = info::decode(input);
    if let Ok(text) = core::str::from_utf8(input)
        && let Ok(session) = hint::decode(text)
    {
        assert_eq!(session.encode(), text, "a session has one text");
    }
    if let Ok(fragment) = fragment::decode(input) {
        assert_eq!(fragment.encode(), input, "a fragment has one spelling");
    }
    let setting = link::Setting { network: b"fuzz", greeting: [1; 4], entropy: [2; 32] };
    let key = crate::channel::LinkKey::from_bytes([3; 32]);
    let session = hint::Session { uuid: [4; 16], key: key.public(), psm: None };
    let callee = link::Callee::Payee { session, first: vec![5; 300] };
    let known = link::Link::initiate(0, &setting, callee);
    let stranger = link::Link::initiate(0, &setting, link::Callee::Stranger);
    let responder = link::Link::respond(0, &setting, Some((session, key)));
    [known, stranger, responder].into_iter().map(|link| feed(link, input)).sum()
}

/// Gives a link values of the lengths that the input itself states; says how often it came up.
fn feed(mut link: link::Link, mut input: &[u8]) -> usize {
    let mut ups = 0;
    let mut now_ms = 0;
    while let [length, wait, rest @ ..] = input {
        let (value, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        input = rest;
        now_ms += u64::from(*wait) * 8;
        link.receive(now_ms, value);
        link.on_time(now_ms);
        while link.transmit(now_ms, 182).is_some() {}
        while let Some(event) = link.next_event(now_ms) {
            ups += usize::from(matches!(event, link::Event::Up { .. }));
        }
    }
    ups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_off_the_air_brings_a_link_up(
            values in proptest::collection::vec(
                (0_u8..=255, proptest::collection::vec(any::<u8>(), 0..120)), 0..12),
            tagged in any::<bool>(),
        ) {
            let mut input = Vec::new();
            for (wait, value) in values {
                let mut value = value;
                if tagged && value.len() > 4 {
                    // Data, of a plausible number; the first says that it is.
                    value[0] %= 4;
                    value[1] = if value[0] == 0 { 0x90 } else { 0x10 };
                }
                input.extend_from_slice(&[u8::try_from(value.len()).unwrap(), wait]);
                input.extend(value);
            }
            prop_assert_eq!(super::read_arbitrary(&input), 0);
        }
    }
}
