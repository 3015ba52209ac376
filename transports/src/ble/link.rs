//! One link over one Bluetooth connection: hello, handshake, sealed messages, an end with a reason.
//!
//! Pure: fragments in, fragments out, time and entropy are arguments. The central always begins.
//! Between strangers it is Noise XX under keys made for this link; towards a payee whose one-time
//! key is known it is Noise IK, and the payment rides in the first message. Whom to connect to and
//! what the radio does are left to [`crate::ble::radio`].

use std::collections::VecDeque;

use crate::ble::fragment::{self, Fragment};
use crate::ble::hello::{Hello, Pattern};
use crate::ble::hint::Session;
use crate::ble::limits::{
    CLOSING_MS, KEEP_ALIVE_MS, OPENING_FRAME_BYTES_MAX, OPENING_MS, SILENCE_MS,
};
use crate::ble::pipe::Pipe;
use crate::channel::{Channel, Handshake};
use crate::frame::{self, Decoder};
use crate::limits::{
    FRAME_BYTES_MAX, FRAME_PREFIX_BYTES, MESSAGE_BYTES_MAX, SEAL_BYTES, SIGNAL_BYTES_MAX,
};
use crate::link::{CloseReason, HandshakeHash, SendError, check_message};
use crate::signal::{self, Farewell, Signal};

mod opening;

use opening::Responder;

/// Bytes of what each end of a link between strangers says of itself in the handshake, sealed: the
/// id under which it advertises.
pub const GREETING_BYTES: usize = 4;

/// What a link reports, in order: at most one `Up`, then messages, once `Down`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The link is usable from here on.
    Up {
        /// The value that both ends share and nobody else can predict.
        handshake_hash: HandshakeHash,
        /// The id under which the other end says it advertises; between strangers only.
        greeting: Option<[u8; GREETING_BYTES]>,
    },
    /// A message that this link alone could bring.
    Message(Vec<u8>),
    /// The message that came with the handshake. It is sealed to this end, but anybody may have
    /// recorded and repeated it: it may only lead to what is harmless twice.
    Replayable(Vec<u8>),
    /// The link is gone.
    Down(CloseReason),
}

/// Whom a central connects to.
#[derive(Clone, Debug)]
pub enum Callee {
    /// Anybody: Noise XX.
    Stranger,
    /// The payee whose request was scanned: Noise IK.
    Payee {
        /// The session that its request names.
        session: Session,
        /// The first message, which rides with the handshake if it is not too long for that.
        first: Vec<u8>,
    },
}

/// What a link is told when it is made.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// What separates networks: both ends must have the same. At most 255 bytes are used.
    pub network: &'a [u8],
    /// The id under which this end advertises.
    pub greeting: [u8; GREETING_BYTES],
    /// Fresh and secret: keys and the link's tag come from it.
    pub entropy: [u8; 32],
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    stage: Stage,
    initiator: bool,
    greeting: [u8; GREETING_BYTES],
    hello: Option<Hello>,
    pipe: Pipe,
    decoder: Decoder,
    events: VecDeque<Event>,
    began_ms: u64,
    heard_ms: u64,
    said_ms: u64,
    /// Until then new data waits for more, so that it leaves in one flight.
    hold_until: Option<u64>,
    /// Whether the other end has shown that it takes part now, and is no replay.
    confirmed: bool,
    /// A first message that was too long for the handshake.
    deferred: Option<Vec<u8>>,
    ending: Option<Ending>,
    reset_due: bool,
}

#[derive(Debug)]
enum Stage {
    /// The other end has not said how it begins.
    Hello(Box<Responder>),
    Handshake(Box<Handshake>),
    Open(Box<Channel>),
    Over,
}

/// An end that is not there yet: messages before it are still to be taken or to be sent.
#[derive(Clone, Copy, Debug)]
struct Ending {
    reason: CloseReason,
    at_ms: u64,
}

impl Link {
    fn new(now_ms: u64, initiator: bool, greeting: [u8; GREETING_BYTES]) -> Self {
        Link {
            stage: Stage::Over,
            initiator,
            greeting,
            hello: None,
            pipe: Pipe::default(),
            decoder: Decoder::new(OPENING_FRAME_BYTES_MAX),
            events: VecDeque::new(),
            began_ms: now_ms,
            heard_ms: now_ms,
            said_ms: now_ms,
            hold_until: None,
            confirmed: false,
            deferred: None,
            ending: None,
            reset_due: false,
        }
    }

    /// Whether this end began.
    pub fn initiator(&self) -> bool {
        self.initiator
    }

    /// Whether it is one of a session: with the payee of a request, or with its payer.
    pub fn is_of_session(&self) -> bool {
        self.hello.is_some_and(|hello| hello.pattern == Pattern::Payee)
    }

    /// The name by which this link's central knows its fragments, once it has said it.
    pub fn tag(&self) -> Option<[u8; 2]> {
        self.hello.map(|hello| hello.tag)
    }

    /// Since when the other end has had its time to show that it takes part; none once it has.
    pub fn unconfirmed_since_ms(&self) -> Option<u64> {
        (!self.confirmed).then_some(self.began_ms)
    }

    /// Ends the link without a word, not even a reset.
    pub fn forget(&mut self) {
        self.fail_quietly(CloseReason::Misbehaved);
        self.hello = None;
    }

    /// Whether the handshake is through and nobody has ended the link.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_)) && self.ending.is_none()
    }

    /// Whether the link has nothing more to do, once what [`Link::transmit`] still had is handed
    /// over: its connection may go. A reset that cannot leave holds nothing up.
    pub fn is_over(&self, now_ms: u64) -> bool {
        let lingers = self.ending.is_some_and(|ending| now_ms < ending.at_ms);
        matches!(self.stage, Stage::Over) && !lingers
    }

    /// Takes what one write, notification or unit of the connection brought. True if it begins
    /// another link: its central began anew, and this link has ended.
    pub fn receive(&mut self, now_ms: u64, bytes: &[u8]) -> bool {
        let Some(bytes) = self.addressed(bytes) else {
            return false;
        };
        let Ok(fragment) = fragment::decode(bytes) else {
            self.fail(CloseReason::Misbehaved);
            return false;
        };
        self.heard_ms = self.heard_ms.max(now_ms);
        let over = matches!(self.stage, Stage::Over) && self.ending.is_none();
        match fragment {
            Fragment::Reset => self.fail_quietly(CloseReason::Cut),
            Fragment::Parts { data: Some(data), .. }
                if data.first && self.is_another(data.bytes) =>
            {
                self.fail_quietly(CloseReason::Cut);
                return true;
            }
            // The other end has not heard that this one is gone: a reset may be lost, too.
            Fragment::Parts { data, .. } if over => {
                self.reset_due |= data.is_some() && self.hello.is_some();
            }
            Fragment::Parts { .. } => self.pipe.receive(now_ms, &fragment),
        }
        if !matches!(self.stage, Stage::Open(_)) {
            self.advance(now_ms);
        }
        false
    }

    /// What of a received value is a fragment of this link. A peripheral may not be able to notify
    /// one central alone, so its fragments carry the link's tag.
    fn addressed<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if !self.initiator {
            return Some(bytes);
        }
        let (tag, fragment) = bytes.split_first_chunk::<2>()?;
        let own = self.hello?.tag;
        (own == *tag).then_some(fragment)
    }

    /// Whether the first fragment of a stream is not the one this link began with.
    fn is_another(&self, first: &[u8]) -> bool {
        let known = self.hello.filter(|_| !self.initiator);
        known.is_some_and(|hello| !first.starts_with(&hello.encode()))
    }

    /// The next fragment to send, of at most `bytes_max` bytes; call again until there is none.
    pub fn transmit(&mut self, now_ms: u64, bytes_max: usize) -> Option<Vec<u8>> {
        let tag = match (self.initiator, self.hello) {
            (true, _) => &[][..],
            (false, Some(hello)) => &hello.tag.clone(),
            (false, None) => return None,
        };
        if core::mem::take(&mut self.reset_due) {
            return Some([tag, &Fragment::Reset.encode()].concat());
        }
        // After a goodbye there is nothing to say any more, only to acknowledge.
        let over = matches!(self.stage, Stage::Over);
        if over && self.ending.is_none() {
            return None;
        }
        let hold = over || self.hold_until.is_some_and(|until| now_ms < until);
        let fragment = self.pipe.transmit(now_ms, bytes_max.saturating_sub(tag.len()), hold)?;
        self.said_ms = now_ms;
        Some([tag, &fragment].concat())
    }

    /// The next event. Not calling this is how back-pressure begins.
    pub fn next_event(&mut self, now_ms: u64) -> Option<Event> {
        if self.events.is_empty() {
            self.advance(now_ms);
        }
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let ending = self.ending?;
        let drained = self.pipe.is_drained();
        if matches!(self.stage, Stage::Over) || (now_ms < ending.at_ms && !drained) {
            return None;
        }
        (self.stage, self.ending) = (Stage::Over, None);
        Some(Event::Down(ending.reason))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// Every [`SendError`].
    pub fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        check_message(message, MESSAGE_BYTES_MAX)?;
        if !self.is_open() {
            return Err(SendError::NoLink);
        }
        let bytes = FRAME_PREFIX_BYTES + 1 + message.len() + SEAL_BYTES;
        if bytes > self.pipe.room() {
            return Err(SendError::Full);
        }
        self.hold_until = None;
        if self.say(&signal::encode_message(message)) { Ok(()) } else { Err(SendError::NoLink) }
    }

    /// Closes the link: what was accepted for sending goes first.
    pub fn close(&mut self, now_ms: u64) {
        if self.ending.is_some() || matches!(self.stage, Stage::Over) {
            return;
        }
        self.hold_until = None;
        if !self.say(&Signal::Goodbye(Farewell::Closed).encode()) {
            self.fail(CloseReason::ClosedHere);
            return;
        }
        let at_ms = now_ms + CLOSING_MS;
        self.ending = Some(Ending { reason: CloseReason::ClosedHere, at_ms });
    }

    /// The connection is gone. What arrived whole before can still be taken.
    pub fn disconnected(&mut self, now_ms: u64) {
        self.reset_due = false;
        match &mut self.ending {
            Some(ending) => ending.at_ms = ending.at_ms.min(now_ms),
            None if matches!(self.stage, Stage::Over) => {}
            None => {
                self.advance(now_ms);
                self.ending.get_or_insert(Ending { reason: CloseReason::Cut, at_ms: now_ms });
            }
        }
    }

    /// Lets happen what is due; then call [`Link::transmit`] and [`Link::next_event`].
    pub fn on_time(&mut self, now_ms: u64) {
        self.pipe.on_time(now_ms);
        self.hold_until = self.hold_until.filter(|until| now_ms < *until);
        if matches!(self.stage, Stage::Over) {
            self.ending = self.ending.filter(|ending| now_ms < ending.at_ms);
            return;
        }
        if self.ending.is_some() {
            return;
        }
        let opening_over = !self.confirmed && now_ms >= self.began_ms + OPENING_MS;
        if opening_over || now_ms >= self.heard_ms + SILENCE_MS {
            self.fail(CloseReason::Silent);
        } else if now_ms >= self.said_ms + KEEP_ALIVE_MS {
            self.said_ms = now_ms;
            // What is under way already asks for an answer.
            if matches!(self.stage, Stage::Open(_)) && self.pipe.is_drained() {
                self.say(&Signal::KeepAlive.encode());
            }
        }
    }

    /// When something happens by itself.
    pub fn deadline(&self) -> Option<u64> {
        let ending = self.ending.map(|ending| ending.at_ms);
        if matches!(self.stage, Stage::Over) {
            return ending;
        }
        // A peripheral says nothing before it knows whom to address.
        let pipe = self.hello.and_then(|_| self.pipe.deadline());
        if ending.is_some() {
            return pipe.into_iter().chain(ending).min();
        }
        let open = matches!(self.stage, Stage::Open(_));
        let keep_alive = open.then_some(self.said_ms + KEEP_ALIVE_MS);
        let times = [pipe, self.hold_until, keep_alive, self.end_deadline()];
        times.into_iter().flatten().min()
    }

    /// When the link ends by itself if nothing is heard: what is due even while nothing can be
    /// sent.
    pub fn end_deadline(&self) -> Option<u64> {
        if self.ending.is_some() || matches!(self.stage, Stage::Over) {
            return self.ending.map(|ending| ending.at_ms);
        }
        let opening = (!self.confirmed).then_some(self.began_ms + OPENING_MS);
        opening.into_iter().chain([self.heard_ms + SILENCE_MS]).min()
    }

    /// Takes what has arrived in order as far as it makes whole frames.
    fn advance(&mut self, now_ms: u64) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        let arrived = self.pipe.take(now_ms);
        let mut input = arrived.as_slice();
        if matches!(self.stage, Stage::Hello(_)) {
            self.take_hello(&mut input);
        }
        while !input.is_empty() && !matches!(self.stage, Stage::Hello(_) | Stage::Over) {
            match self.decoder.next(&mut input) {
                Ok(Some(frame)) => self.on_frame(now_ms, &frame),
                Ok(None) => {}
                Err(_) => self.fail(CloseReason::Misbehaved),
            }
        }
    }

    fn on_frame(&mut self, now_ms: u64, frame: &[u8]) {
        match &mut self.stage {
            Stage::Handshake(handshake) => match handshake.read(frame) {
                Ok(payload) => self.on_handshake(now_ms, payload),
                Err(_) => self.fail(CloseReason::Misbehaved),
            },
            Stage::Open(channel) => {
                let opened = channel.open(frame).ok();
                let Some(signal) = opened.and_then(|record| signal::decode(&record).ok()) else {
                    self.fail(CloseReason::Misbehaved);
                    return;
                };
                self.confirm();
                self.on_signal(now_ms, signal);
            }
            Stage::Hello(_) | Stage::Over => {}
        }
    }

    fn on_signal(&mut self, now_ms: u64, signal: Signal) {
        match signal {
            // Who has said goodbye hears nothing any more.
            Signal::Message(_) if self.ending.is_some() => {}
            Signal::Message(bytes) => self.events.push_back(Event::Message(bytes)),
            Signal::KeepAlive => {}
            Signal::Goodbye(farewell) => {
                self.events.push_back(Event::Down(farewell.reason()));
                self.stage = Stage::Over;
                self.pipe.acknowledge(now_ms);
                // The end that closes also ends the connection, once it has this acknowledgement.
                let at_ms = now_ms + CLOSING_MS;
                self.ending = Some(Ending { reason: farewell.reason(), at_ms });
            }
        }
    }

    /// The other end holds its key now: it may fill a window, and send the longest messages.
    fn confirm(&mut self) {
        if !self.confirmed {
            self.confirmed = true;
            self.pipe.trust();
            self.decoder = Decoder::new(FRAME_BYTES_MAX);
        }
    }

    /// Seals a signal and queues it.
    fn say(&mut self, signal: &[u8]) -> bool {
        debug_assert!(signal.len() <= SIGNAL_BYTES_MAX);
        let Stage::Open(channel) = &mut self.stage else {
            return false;
        };
        let record = channel.seal(signal).ok();
        let frame = record.and_then(|record| frame::encode(&record, FRAME_BYTES_MAX).ok());
        let Some(frame) = frame else {
            self.fail(CloseReason::Exhausted);
            return false;
        };
        self.pipe.queue(&frame);
        true
    }

    /// Ends the link and lets the other end know that it has.
    fn fail(&mut self, reason: CloseReason) {
        self.fail_quietly(reason);
        // Before the hello there is nobody to address.
        self.reset_due = self.hello.is_some();
    }

    fn fail_quietly(&mut self, reason: CloseReason) {
        if self.ending.is_none() && !matches!(self.stage, Stage::Over) {
            self.events.push_back(Event::Down(reason));
        } else if let (Some(ending), false) = (self.ending, matches!(self.stage, Stage::Over)) {
            self.events.push_back(Event::Down(ending.reason));
        }
        self.ending = None;
        self.stage = Stage::Over;
    }

    /// Bytes held of both directions, for tests of the bounds.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let taken = self.events.iter().map(|event| match event {
            Event::Message(bytes) | Event::Replayable(bytes) => bytes.len(),
            Event::Up { .. } | Event::Down(_) => 0,
        });
        self.pipe.held_bytes() + taken.sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
