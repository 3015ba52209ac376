//! The hint in a payment request that says where its payee is on the air.
//!
//! `ble:` and the base64url of session UUID, one-time link key and, if there is one, the number of
//! its L2CAP channel. So a payer that has scanned the QR code knows what to look for, whom it talks
//! to, and can do without discovering services. No record changes for it.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;

const SCHEME: &str = "ble:";

/// A payee's session as its payer knows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The service UUID that the payee advertises, random for this request.
    pub uuid: [u8; 16],
    /// The public half of a link key that was made for this request alone.
    pub key: [u8; 32],
    /// The number (PSM) of the payee's L2CAP channel, if it has one.
    pub psm: Option<u16>,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.uuid;
        write!(formatter, "Session({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// Why a text is no hint of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It is a hint of another kind: leave it to others.
    #[error("not a Bluetooth hint")]
    Scheme,
    /// Not what anybody would write: ignore it.
    #[error("a damaged Bluetooth hint")]
    Damaged,
}

impl Session {
    /// The text of the hint, 71 bytes.
    pub fn encode(&self) -> String {
        let mut bytes = self.uuid.to_vec();
        bytes.extend_from_slice(&self.key);
        bytes.extend_from_slice(&self.psm.unwrap_or(0).to_le_bytes());
        format!("{SCHEME}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

/// The session that a hint names. Pure; also an entry point for fuzzing.
///
/// # Errors
/// [`DecodeError`]: each session has one text.
pub fn decode(text: &str) -> Result<Session, DecodeError> {
    let encoded = text.strip_prefix(SCHEME).ok_or(DecodeError::Scheme)?;
    let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| DecodeError::Damaged)?;
    let (uuid, rest) = bytes.split_first_chunk::<16>().ok_or(DecodeError::Damaged)?;
    let (key, rest) = rest.split_first_chunk::<32>().ok_or(DecodeError::Damaged)?;
    let psm = u16::from_le_bytes(rest.try_into().map_err(|_| DecodeError::Damaged)?);
    Ok(Session { uuid: *uuid, key: *key, psm: (psm != 0).then_some(psm) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_session_comes_back(
            uuid in any::<[u8; 16]>(),
            key in any::<[u8; 32]>(),
            psm in proptest::option::of(1_u16..),
        ) {
            let session = Session { uuid, key, psm };
            let text = session.encode();
            prop_assert_eq!(text.len(), 71);
            prop_assert_eq!(decode(&text), Ok(session));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_text(text in "ble:[A-Za-z0-9_-]{64,68}") {
            if let Ok(session) = decode(&text) {
                prop_assert_eq!(session.encode(), text);
            }
        }
    }

    #[test]
    fn other_texts_are_no_hints() {
        let text = Session { uuid: [1; 16], key: [2; 32], psm: None }.encode();
        assert_eq!(decode("/ip4/192.168.1.7/tcp/4001"), Err(DecodeError::Scheme));
        assert_eq!(decode(&text.to_uppercase()), Err(DecodeError::Scheme));
        assert_eq!(decode(&text[..70]), Err(DecodeError::Damaged));
        assert_eq!(decode(&format!("{text}A")), Err(DecodeError::Damaged));
        assert_eq!(decode(&format!("{text}=")), Err(DecodeError::Damaged));
        assert_eq!(decode("ble:"), Err(DecodeError::Damaged));
    }
}
