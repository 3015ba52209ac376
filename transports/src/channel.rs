//! The secure channel: Noise over any link that carries frames, as a pure state machine.
//!
//! Suite `25519_ChaChaPoly_BLAKE2s`. Strangers use XX; an initiator that knows the responder's key
//! (from a QR code) uses IK, and its first message already carries a payload. Entropy is an
//! argument, so a run can be repeated to the byte. Framing, retransmission and who may talk to
//! whom are left to others. Each record is opened in the order in which it was sealed: the link
//! below delivers in order or is closed.

use core::fmt;

use snow::params::{DHChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limits::{
    CHANNEL_MESSAGES_MAX, HANDSHAKE_BYTES_MAX, HANDSHAKE_PAYLOAD_BYTES_MAX, REKEY_MESSAGES,
    SEAL_BYTES, SIGNAL_BYTES_MAX,
};
use crate::link::HandshakeHash;

mod resolver;

use resolver::Resolver;

/// The most that a handshake message of XX or IK adds to its payload, in bytes: an ephemeral key,
/// a sealed static key, a tag.
const HANDSHAKE_OVERHEAD_BYTES: usize = 96;

/// The key pair that authenticates one end of a link. It signs and seals nothing else.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct LinkKey {
    private: [u8; 32],
    #[zeroize(skip)]
    public: [u8; 32],
}

impl LinkKey {
    /// The key pair of these 32 secret bytes; any value is a valid X25519 private key.
    pub fn from_bytes(private: [u8; 32]) -> Self {
        let mut public = [0; 32];
        if let Some(mut dh) = DefaultResolver.resolve_dh(&DHChoice::Curve25519) {
            dh.set(&private);
            public.copy_from_slice(dh.pubkey());
        }
        LinkKey { private, public }
    }

    /// The public half, which the other end of a link sees or knows beforehand.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LinkKey(secret)")
    }
}

/// How an end takes part in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Begin with a stranger: XX, three messages.
    InitiateStranger,
    /// Answer a stranger: XX.
    RespondStranger,
    /// Begin with the holder of a known key: IK, two messages, the first one carries a payload
    /// that only that key opens.
    InitiateKnown {
        /// The responder's public key.
        responder: [u8; 32],
    },
    /// Answer somebody who knows this end's key: IK.
    RespondKnown,
}

/// Why a handshake failed. Drop it and close the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The other end's message does not fit: forged, damaged, for another key, prologue or pattern.
    #[error("the handshake message does not fit")]
    Refused,
    /// It is the other end's turn. A defect of the caller.
    #[error("not this end's turn")]
    OutOfTurn,
    /// The payload is longer than a handshake message carries. A defect of the caller.
    #[error("handshake payload of {bytes} bytes; at most {HANDSHAKE_PAYLOAD_BYTES_MAX} fit")]
    PayloadTooLong {
        /// The payload's length.
        bytes: usize,
    },
}

/// Why a message was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// Longer than a link carries. A defect of the caller.
    #[error("message of {bytes} bytes; at most {SIGNAL_BYTES_MAX} are sealed")]
    TooLong {
        /// The message's length.
        bytes: usize,
    },
    /// This direction has carried as many messages as its keys may: make a new link.
    #[error("the channel's keys are used up")]
    Exhausted,
}

/// Why a record did not open. Nothing after it opens either: close the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Forged, damaged, repeated, out of order or of another link.
    #[error("the record does not open")]
    Refused,
    /// This direction has carried as many messages as its keys may: make a new link.
    #[error("the channel's keys are used up")]
    Exhausted,
}

/// A handshake under way. Ends take turns, the initiator first; when [`Handshake::is_finished`],
/// turn it into a [`Channel`].
#[derive(Debug)]
pub struct Handshake {
    state: snow::HandshakeState,
    failed: bool,
}

impl Handshake {
    /// Begins a handshake. `prologue` is what both ends must already agree on (network, version):
    /// if it differs, the handshake fails. `entropy` must be fresh and secret: it becomes the
    /// ephemeral key.
    ///
    /// # Errors
    /// [`HandshakeError::Refused`] if the suite cannot be built, which only a damaged build does.
    pub fn new(
        role: Role,
        key: &LinkKey,
        prologue: &[u8],
        entropy: [u8; 32],
    ) -> Result<Self, HandshakeError> {
        let name = match role {
            Role::InitiateStranger | Role::RespondStranger => "Noise_XX_25519_ChaChaPoly_BLAKE2s",
            Role::InitiateKnown { .. } | Role::RespondKnown => "Noise_IK_25519_ChaChaPoly_BLAKE2s",
        };
        let parameters: NoiseParams = name.parse().map_err(refused)?;
        let resolver = Resolver::new(entropy);
        let builder = snow::Builder::with_resolver(parameters, Box::new(resolver))
            .local_private_key(&key.private)
            .map_err(refused)?
            .prologue(prologue)
            .map_err(refused)?;
        let state = match role {
            Role::InitiateStranger => builder.build_initiator(),
            Role::InitiateKnown { responder } => {
                builder.remote_public_key(&responder).map_err(refused)?.build_initiator()
            }
            Role::RespondStranger | Role::RespondKnown => builder.build_responder(),
        };
        Ok(Handshake { state: state.map_err(refused)?, failed: false })
    }

    /// Whether this end writes next. `false` when finished.
    pub fn is_my_turn(&self) -> bool {
        !self.failed && !self.is_finished() && self.state.is_my_turn()
    }

    /// Whether all messages were exchanged.
    pub fn is_finished(&self) -> bool {
        !self.failed && self.state.is_handshake_finished()
    }

    /// The next message to the other end, with a payload of at most
    /// [`HANDSHAKE_PAYLOAD_BYTES_MAX`] bytes.
    ///
    /// How far the payload is protected depends on the message: XX's first is in the clear, IK's
    /// first is sealed to the responder but can be replayed by anyone; from the second on it is
    /// sealed to this handshake.
    ///
    /// # Errors
    /// `OutOfTurn` and `PayloadTooLong`; after `Refused` the handshake is dead.
    pub fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        if !self.is_my_turn() {
            return Err(HandshakeError::OutOfTurn);
        }
        if payload.len() > HANDSHAKE_PAYLOAD_BYTES_MAX {
            return Err(HandshakeError::PayloadTooLong { bytes: payload.len() });
        }
        let mut message = vec![0; payload.len() + HANDSHAKE_OVERHEAD_BYTES];
        match self.state.write_message(payload, &mut message) {
            Ok(length) => {
                message.truncate(length);
                Ok(message)
            }
            Err(error) => {
                self.failed = true;
                Err(refused(error))
            }
        }
    }

    /// Takes the other end's next message and gives its payload.
    ///
    /// # Errors
    /// `OutOfTurn`; after `Refused` the handshake is dead.
    pub fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        if self.failed || self.is_finished() || self.state.is_my_turn() {
            return Err(HandshakeError::OutOfTurn);
        }
        if message.len() > HANDSHAKE_BYTES_MAX {
            self.failed = true;
            return Err(HandshakeError::Refused);
        }
        let mut payload = vec![0; message.len()];
        match self.state.read_message(message, &mut payload) {
            Ok(length) => {
                payload.truncate(length);
                Ok(payload)
            }
            Err(error) => {
                self.failed = true;
                Err(refused(error))
            }
        }
    }

    /// The other end's public link key, once it is known: from the start for an IK initiator,
    /// after the message that carries it for everybody else.
    pub fn remote_key(&self) -> Option<[u8; 32]> {
        self.state.get_remote_static()?.try_into().ok()
    }

    /// The channel that the finished handshake opened.
    ///
    /// # Errors
    /// `OutOfTurn` while messages are missing, `Refused` after a failure.
    pub fn finish(self) -> Result<Channel, HandshakeError> {
        if self.failed {
            return Err(HandshakeError::Refused);
        }
        if !self.is_finished() {
            return Err(HandshakeError::OutOfTurn);
        }
        let remote_key = self.remote_key().ok_or(HandshakeError::Refused)?;
        let hash = self.state.get_handshake_hash();
        let handshake_hash = HandshakeHash(hash.try_into().map_err(|_| HandshakeError::Refused)?);
        let initiator = self.state.is_initiator();
        let transport = self.state.into_transport_mode().map_err(refused)?;
        Ok(Channel { transport, handshake_hash, remote_key, initiator, failed: false })
    }
}

/// An open secure channel: seals this end's messages, opens the other end's.
#[derive(Debug)]
pub struct Channel {
    transport: snow::TransportState,
    handshake_hash: HandshakeHash,
    remote_key: [u8; 32],
    initiator: bool,
    failed: bool,
}

impl Channel {
    /// The value that binds everything said here to this channel.
    pub fn handshake_hash(&self) -> HandshakeHash {
        self.handshake_hash
    }

    /// The other end's public link key, which the handshake proved.
    pub fn remote_key(&self) -> [u8; 32] {
        self.remote_key
    }

    /// Whether this end began.
    pub fn initiator(&self) -> bool {
        self.initiator
    }

    /// Seals one message of at most [`SIGNAL_BYTES_MAX`] bytes; the record is [`SEAL_BYTES`]
    /// longer. Every [`REKEY_MESSAGES`] messages the direction's key is replaced.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&mut self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        if message.len() > SIGNAL_BYTES_MAX {
            return Err(SealError::TooLong { bytes: message.len() });
        }
        if self.transport.sending_nonce() >= CHANNEL_MESSAGES_MAX {
            return Err(SealError::Exhausted);
        }
        let mut record = vec![0; message.len() + SEAL_BYTES];
        let length =
            self.transport.write_message(message, &mut record).map_err(|_| SealError::Exhausted)?;
        record.truncate(length);
        if self.transport.sending_nonce().is_multiple_of(REKEY_MESSAGES) {
            self.transport.rekey_outgoing();
        }
        Ok(record)
    }

    /// Opens the next record.
    ///
    /// # Errors
    /// [`OpenError`]; after `Refused` the channel opens nothing any more.
    pub fn open(&mut self, record: &[u8]) -> Result<Vec<u8>, OpenError> {
        if self.failed {
            return Err(OpenError::Refused);
        }
        if self.transport.receiving_nonce() >= CHANNEL_MESSAGES_MAX {
            return Err(OpenError::Exhausted);
        }
        let length =
            record.len().checked_sub(SEAL_BYTES).filter(|length| *length <= SIGNAL_BYTES_MAX);
        let opened = length.and_then(|length| {
            let mut message = vec![0; length];
            let opened = self.transport.read_message(record, &mut message);
            opened.ok().filter(|opened| *opened == length).map(|_| message)
        });
        let Some(message) = opened else {
            self.failed = true;
            return Err(OpenError::Refused);
        };
        if self.transport.receiving_nonce().is_multiple_of(REKEY_MESSAGES) {
            self.transport.rekey_incoming();
        }
        Ok(message)
    }
}

/// Reads arbitrary bytes as the first message of both patterns, as the second of XX and as a
/// sealed record. Pure; the entry point for fuzzing. Nothing may be accepted but XX's first
/// message, which is any point in the clear; the return value counts what was accepted.
pub fn read_arbitrary(input: &[u8]) -> usize {
    let key = LinkKey::from_bytes([1; 32]);
    let mut accepted = 0;
    for role in [Role::RespondStranger, Role::RespondKnown] {
        if let Ok(mut handshake) = Handshake::new(role, &key, b"fuzz", [2; 32]) {
            accepted += usize::from(handshake.read(input).is_ok());
        }
    }
    let initiator = Handshake::new(Role::InitiateStranger, &key, b"fuzz", [3; 32]);
    if let Ok(mut handshake) = initiator
        && handshake.write(b"").is_ok()
    {
        accepted += usize::from(handshake.read(input).is_ok());
    }
    if let Some((mut channel, _)) = fixed_pair() {
        accepted += usize::from(channel.open(input).is_ok());
    }
    accepted
}

/// Two ends of a channel whose keys are fixed, for [`read_arbitrary`] alone.
fn fixed_pair() -> Option<(Channel, Channel)> {
    let key = LinkKey::from_bytes([4; 32]);
    let known = Role::InitiateKnown { responder: key.public() };
    let mut one = Handshake::new(known, &key, b"fuzz", [5; 32]).ok()?;
    let mut two = Handshake::new(Role::RespondKnown, &key, b"fuzz", [6; 32]).ok()?;
    two.read(&one.write(b"").ok()?).ok()?;
    one.read(&two.write(b"").ok()?).ok()?;
    Some((one.finish().ok()?, two.finish().ok()?))
}

fn refused(_: snow::Error) -> HandshakeError {
    HandshakeError::Refused
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stranger_pair(entropy: u8) -> (Channel, Channel) {
        let (alice, bob) = (LinkKey::from_bytes([10; 32]), LinkKey::from_bytes([20; 32]));
        let mut one =
            Handshake::new(Role::InitiateStranger, &alice, b"net", [entropy; 32]).unwrap();
        let mut two =
            Handshake::new(Role::RespondStranger, &bob, b"net", [entropy + 1; 32]).unwrap();
        two.read(&one.write(b"").unwrap()).unwrap();
        one.read(&two.write(b"").unwrap()).unwrap();
        two.read(&one.write(b"").unwrap()).unwrap();
        (one.finish().unwrap(), two.finish().unwrap())
    }

    #[test]
    fn strangers_agree_on_a_hash_and_on_each_other() {
        let (mut one, mut two) = stranger_pair(1);
        assert_eq!(one.handshake_hash(), two.handshake_hash());
        assert_eq!(one.remote_key(), LinkKey::from_bytes([20; 32]).public());
        assert_eq!(two.remote_key(), LinkKey::from_bytes([10; 32]).public());
        assert!(one.initiator() && !two.initiator());
        assert_ne!(one.handshake_hash(), stranger_pair(3).0.handshake_hash());
        for message in [&b"a"[..], b"", &[9; SIGNAL_BYTES_MAX]] {
            assert_eq!(two.open(&one.seal(message).unwrap()).unwrap(), message);
            assert_eq!(one.open(&two.seal(message).unwrap()).unwrap(), message);
        }
        let too_long = one.seal(&vec![0; SIGNAL_BYTES_MAX + 1]);
        assert_eq!(too_long, Err(SealError::TooLong { bytes: SIGNAL_BYTES_MAX + 1 }));
    }

    #[test]
    fn the_same_entropy_gives_the_same_bytes() {
        let (mut one, _) = stranger_pair(1);
        let (mut again, _) = stranger_pair(1);
        assert_eq!(one.handshake_hash(), again.handshake_hash());
        assert_eq!(one.seal(b"x").unwrap(), again.seal(b"x").unwrap());
    }

    #[test]
    fn a_payment_rides_in_the_first_message_and_its_receipt_in_the_answer() {
        let (payer, payee) = (LinkKey::from_bytes([1; 32]), LinkKey::from_bytes([2; 32]));
        let role = Role::InitiateKnown { responder: payee.public() };
        let mut one = Handshake::new(role, &payer, b"net", [3; 32]).unwrap();
        let mut two = Handshake::new(Role::RespondKnown, &payee, b"net", [4; 32]).unwrap();
        let first = one.write(b"payment").unwrap();
        assert_eq!(first.len(), 96 + b"payment".len());
        assert_eq!(two.read(&first).unwrap(), b"payment");
        assert_eq!(two.remote_key(), Some(payer.public()));
        let second = two.write(b"receipt").unwrap();
        assert_eq!(second.len(), 48 + b"receipt".len());
        assert_eq!(one.read(&second).unwrap(), b"receipt");
        let (one, two) = (one.finish().unwrap(), two.finish().unwrap());
        assert_eq!(one.handshake_hash(), two.handshake_hash());
    }

    #[test]
    fn the_longest_payload_fits_every_message() {
        let payload = vec![5; HANDSHAKE_PAYLOAD_BYTES_MAX];
        let key = LinkKey::from_bytes([1; 32]);
        let mut one = Handshake::new(Role::InitiateStranger, &key, b"", [3; 32]).unwrap();
        let mut two = Handshake::new(Role::RespondStranger, &key, b"", [4; 32]).unwrap();
        assert_eq!(two.read(&one.write(&payload).unwrap()).unwrap(), payload);
        assert_eq!(one.read(&two.write(&payload).unwrap()).unwrap(), payload);
        assert_eq!(two.read(&one.write(&payload).unwrap()).unwrap(), payload);
        let mut again = Handshake::new(Role::InitiateStranger, &key, b"", [3; 32]).unwrap();
        assert!(matches!(
            again.write(&vec![5; HANDSHAKE_PAYLOAD_BYTES_MAX + 1]),
            Err(HandshakeError::PayloadTooLong { .. })
        ));
    }

    #[test]
    fn another_network_or_another_key_is_refused() {
        let (payer, payee) = (LinkKey::from_bytes([1; 32]), LinkKey::from_bytes([2; 32]));
        let role = Role::InitiateKnown { responder: payee.public() };
        let first = Handshake::new(role, &payer, b"net", [3; 32]).unwrap().write(b"hello").unwrap();
        let mut elsewhere = Handshake::new(Role::RespondKnown, &payee, b"other", [4; 32]).unwrap();
        assert_eq!(elsewhere.read(&first), Err(HandshakeError::Refused));
        assert_eq!(elsewhere.write(b""), Err(HandshakeError::OutOfTurn));
        assert!(matches!(elsewhere.finish(), Err(HandshakeError::Refused)));
        let mut stranger = Handshake::new(Role::RespondKnown, &payer, b"net", [4; 32]).unwrap();
        assert_eq!(stranger.read(&first), Err(HandshakeError::Refused));
    }

    #[test]
    fn turns_are_kept() {
        let key = LinkKey::from_bytes([1; 32]);
        let mut one = Handshake::new(Role::InitiateStranger, &key, b"", [3; 32]).unwrap();
        assert_eq!(one.read(&[0; 64]), Err(HandshakeError::OutOfTurn));
        let mut two = Handshake::new(Role::RespondStranger, &key, b"", [4; 32]).unwrap();
        assert_eq!(two.write(b""), Err(HandshakeError::OutOfTurn));
        assert!(one.is_my_turn() && !two.is_my_turn());
        assert!(matches!(two.finish(), Err(HandshakeError::OutOfTurn)));
    }

    #[test]
    fn repeated_reordered_and_altered_records_are_refused() {
        let (mut one, mut two) = stranger_pair(1);
        let (first, second) = (one.seal(b"1").unwrap(), one.seal(b"2").unwrap());
        assert_eq!(two.open(&second), Err(OpenError::Refused));
        assert_eq!(two.open(&first), Err(OpenError::Refused), "nothing opens after a failure");
        let (mut one, mut two) = stranger_pair(1);
        let first = one.seal(b"1").unwrap();
        assert_eq!(two.open(&first).unwrap(), b"1");
        assert_eq!(two.open(&first), Err(OpenError::Refused));
        let (mut one, mut two) = stranger_pair(1);
        let first = one.seal(b"1").unwrap();
        assert_eq!(one.open(&first), Err(OpenError::Refused), "one's own record comes back");
        let mut altered = first;
        altered[0] ^= 1;
        assert_eq!(two.open(&altered), Err(OpenError::Refused));
    }

    #[test]
    fn keys_are_replaced_on_both_sides_at_the_same_message() {
        let (mut one, mut two) = stranger_pair(1);
        let mut spy = stranger_pair(1).1;
        for number in 0..REKEY_MESSAGES + 2 {
            let record = one.seal(&number.to_le_bytes()).unwrap();
            assert_eq!(two.open(&record).unwrap(), number.to_le_bytes());
            if number == REKEY_MESSAGES {
                // The same channel without its rekey must fail here, or there was none.
                spy.transport.set_receiving_nonce(REKEY_MESSAGES);
                assert_eq!(spy.open(&record), Err(OpenError::Refused));
            }
        }
    }

    #[test]
    fn a_used_up_channel_says_so() {
        let (mut one, mut two) = stranger_pair(1);
        two.transport.set_receiving_nonce(CHANNEL_MESSAGES_MAX);
        let record = one.seal(b"x").unwrap();
        assert_eq!(two.open(&record), Err(OpenError::Exhausted));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_open_nothing(input in proptest::collection::vec(any::<u8>(), 0..300)) {
            let clear = usize::from(input.len() >= 32);
            prop_assert!(read_arbitrary(&input) <= clear);
        }
    }
}
