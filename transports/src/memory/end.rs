//! One end of a memory link: segments in order, frames, handshake, channel.
//!
//! It is told what its radio heard and says what follows; timing and luck are the network's.

use std::collections::BTreeMap;

use crate::channel::{Channel, Handshake};
use crate::frame::Decoder;
use crate::limits::FRAME_BYTES_MAX;
use crate::link::HandshakeHash;
use crate::memory::NodeId;
use crate::signal::{self, Signal};

/// One end of one link.
#[derive(Debug)]
pub(super) struct End {
    pub(super) node: NodeId,
    stage: Stage,
    decoder: Decoder,
    /// Segments sent so far.
    sent: u64,
    /// The number of the segment that comes next, and those that came too early. Bounded by the
    /// sender's window.
    expected: u64,
    early: BTreeMap<u64, Vec<u8>>,
    /// What was sent to this end and not taken by its node yet.
    pub(super) unread: Unread,
    /// Bytes that still reach this end before the link is cut.
    pub(super) cut_after: Option<usize>,
}

#[derive(Debug)]
enum Stage {
    Opening(Box<Handshake>),
    Open(Box<Channel>),
    Ended,
}

/// Messages and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unread {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Unread {
    pub(super) fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes;
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What follows from what an end heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// The next handshake message is to be sent.
    Answer(Vec<u8>),
    /// The handshake is through, perhaps with a last message to be sent.
    Up { answer: Option<Vec<u8>>, handshake_hash: HandshakeHash },
    /// The other end said something.
    Signal(Signal),
    /// The other end broke the protocol.
    Broken,
}

impl End {
    pub(super) fn new(node: NodeId, handshake: Handshake) -> Self {
        End {
            node,
            stage: Stage::Opening(Box::new(handshake)),
            decoder: Decoder::new(FRAME_BYTES_MAX),
            sent: 0,
            expected: 0,
            early: BTreeMap::new(),
            unread: Unread::default(),
            cut_after: None,
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    /// Ends this end; says whether it was up.
    pub(super) fn finish(&mut self) -> bool {
        let was_up = matches!(self.stage, Stage::Open(_));
        self.stage = Stage::Ended;
        self.early.clear();
        was_up
    }

    /// The number of the next segment that this end sends.
    pub(super) fn next_number(&mut self) -> u64 {
        self.sent += 1;
        self.sent - 1
    }

    /// Seals a signal, if the channel is open.
    pub(super) fn seal(&mut self, signal: &[u8]) -> Option<Vec<u8>> {
        match &mut self.stage {
            Stage::Open(channel) => channel.seal(signal).ok(),
            Stage::Opening(_) | Stage::Ended => None,
        }
    }

    /// Takes a segment as it comes and gives back those whose turn it is.
    pub(super) fn in_order(&mut self, number: u64, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        if self.is_ended() {
            return Vec::new();
        }
        self.early.insert(number, bytes);
        let mut ready = Vec::new();
        while let Some(bytes) = self.early.remove(&self.expected) {
            self.expected += 1;
            ready.push(bytes);
        }
        ready
    }

    /// Takes bytes of the stream from the front of `input` until something follows.
    pub(super) fn hear(&mut self, input: &mut &[u8]) -> Option<Heard> {
        if self.is_ended() {
            return None;
        }
        match self.decoder.next(input) {
            Ok(frame) => frame.map(|frame| self.on_frame(&frame)),
            Err(_) => Some(Heard::Broken),
        }
    }

    fn on_frame(&mut self, frame: &[u8]) -> Heard {
        match &mut self.stage {
            Stage::Opening(handshake) => {
                if handshake.read(frame).is_err() {
                    return Heard::Broken;
                }
                let answer = if handshake.is_my_turn() { handshake.write(b"").ok() } else { None };
                if !handshake.is_finished() {
                    return answer.map_or(Heard::Broken, Heard::Answer);
                }
                let Stage::Opening(handshake) = core::mem::replace(&mut self.stage, Stage::Ended)
                else {
                    return Heard::Broken;
                };
                let Ok(channel) = handshake.finish() else {
                    return Heard::Broken;
                };
                let handshake_hash = channel.handshake_hash();
                self.stage = Stage::Open(Box::new(channel));
                Heard::Up { answer, handshake_hash }
            }
            Stage::Open(channel) => {
                let opened = channel.open(frame).ok();
                let signal = opened.and_then(|record| signal::decode(&record).ok());
                signal.map_or(Heard::Broken, Heard::Signal)
            }
            Stage::Ended => Heard::Broken,
        }
    }
}
