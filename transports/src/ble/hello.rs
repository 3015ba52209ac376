//! The three bytes with which a central begins its stream: version, pattern, tag.

/// Bytes of a hello.
pub const HELLO_BYTES: usize = 3;

/// The version, in the upper half of the first byte.
const VERSION: u8 = 1;

/// Which handshake follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Noise XX.
    Stranger,
    /// Noise IK, with the session's key.
    Payee,
}

/// How a central begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Which handshake follows.
    pub pattern: Pattern,
    /// The link's name in every fragment that the peripheral sends.
    pub tag: [u8; 2],
}

impl Hello {
    /// The bytes of a hello.
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let pattern = match self.pattern {
            Pattern::Stranger => 0,
            Pattern::Payee => 1,
        };
        [(VERSION << 4) | pattern, self.tag[0], self.tag[1]]
    }

    /// A hello, or nothing if the bytes are none of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let [kind, one, two] = bytes else {
            return None;
        };
        let pattern = match (kind >> 4, kind & 0x0f) {
            (VERSION, 0) => Pattern::Stranger,
            (VERSION, 1) => Pattern::Payee,
            _ => return None,
        };
        Some(Hello { pattern, tag: [*one, *two] })
    }

    /// What both ends must agree on before they agree on anything else: the prologue of the
    /// handshake. It holds the hello as sent, so nobody changes it unnoticed.
    pub fn prologue(&self, network: &[u8], session: Option<&[u8; 16]>) -> Vec<u8> {
        let network = &network[..network.len().min(255)];
        let mut prologue = b"hundi ble link v1".to_vec();
        prologue.extend_from_slice(&self.encode());
        // At most 255.
        prologue.push(network.len() as u8);
        prologue.extend_from_slice(network);
        prologue.extend_from_slice(session.map_or(&[][..], |uuid| &uuid[..]));
        prologue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_has_one_spelling() {
        for kind in 0..=255_u8 {
            let bytes = [kind, 7, 8];
            match Hello::decode(&bytes) {
                Some(hello) => assert_eq!(hello.encode(), bytes),
                None => assert!(kind != 0x10 && kind != 0x11, "{kind:#x}"),
            }
        }
        assert_eq!(Hello::decode(&[0x10, 7]), None);
        assert_eq!(Hello::decode(&[0x10, 7, 8, 9]), None);
    }

    #[test]
    fn prologues_of_other_networks_patterns_tags_and_sessions_differ() {
        let hello = Hello { pattern: Pattern::Payee, tag: [1, 2] };
        let other = Hello { pattern: Pattern::Stranger, tag: [1, 2] };
        let tagged = Hello { pattern: Pattern::Payee, tag: [1, 3] };
        let all = [
            hello.prologue(b"net", None),
            hello.prologue(b"ne", None),
            hello.prologue(b"net", Some(&[0; 16])),
            hello.prologue(b"net", Some(&[1; 16])),
            other.prologue(b"net", None),
            tagged.prologue(b"net", None),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|two| one != two));
        }
    }
}
