//! How a link comes up: hello and handshake, and what rides in them.

use crate::ble::hello::{HELLO_BYTES, Hello, Pattern};
use crate::ble::hint::Session;
use crate::ble::limits::{ANSWER_WAIT_MS, FIRST_PAYLOAD_BYTES_MAX, OPENING_FRAME_BYTES_MAX};
use crate::ble::link::{Callee, Event, GREETING_BYTES, Link, Setting, Stage};
use crate::channel::{Handshake, LinkKey, Role};
use crate::frame;
use crate::link::CloseReason;
use crate::signal::{self, Signal};

/// What a responder needs until it knows which handshake it is in.
#[derive(Debug)]
pub(super) struct Responder {
    network: Vec<u8>,
    entropy: [u8; 32],
    session: Option<(Session, LinkKey)>,
    begun: Vec<u8>,
}

impl Link {
    /// The central's end.
    pub fn initiate(now_ms: u64, setting: &Setting<'_>, callee: Callee) -> Self {
        let (pattern, key) = match &callee {
            Callee::Stranger => (Pattern::Stranger, None),
            Callee::Payee { session, .. } => (Pattern::Payee, Some(session)),
        };
        let hello = Hello { pattern, tag: tag(&setting.entropy) };
        let role = match key {
            None => Role::InitiateStranger,
            Some(session) => Role::InitiateKnown { responder: session.key },
        };
        let uuid = key.map(|session| session.uuid);
        let mut link = Link::new(now_ms, true, setting.greeting);
        link.hello = Some(hello);
        link.pipe.queue(&hello.encode());
        let (first, deferred) = match callee {
            Callee::Payee { first, .. } if first.len() > FIRST_PAYLOAD_BYTES_MAX => {
                (Vec::new(), Some(first))
            }
            Callee::Payee { first, .. } => (first, None),
            Callee::Stranger => (Vec::new(), None),
        };
        link.deferred = deferred;
        let prologue = hello.prologue(setting.network, uuid.as_ref());
        let handshake = handshake(role, None, &prologue, &setting.entropy);
        link.stage = match handshake {
            Some(handshake) => Stage::Handshake(handshake),
            None => Stage::Over,
        };
        link.write_handshake(now_ms, &first);
        link
    }

    /// The peripheral's end, which answers strangers, and payers if a session is open.
    pub fn respond(
        now_ms: u64,
        setting: &Setting<'_>,
        session: Option<(Session, LinkKey)>,
    ) -> Self {
        let mut link = Link::new(now_ms, false, setting.greeting);
        let (network, entropy) = (setting.network.to_vec(), setting.entropy);
        let responder = Responder { network, entropy, session, begun: Vec::new() };
        link.stage = Stage::Hello(Box::new(responder));
        link
    }

    pub(super) fn take_hello(&mut self, input: &mut &[u8]) {
        let Stage::Hello(responder) = &mut self.stage else {
            return;
        };
        let missing = HELLO_BYTES - responder.begun.len();
        let (taken, rest) = input.split_at(input.len().min(missing));
        responder.begun.extend_from_slice(taken);
        *input = rest;
        if responder.begun.len() < HELLO_BYTES {
            return;
        }
        let hello = Hello::decode(&responder.begun);
        let session = responder.session.take();
        let begun = hello.and_then(|hello| {
            let (role, uuid, key) = match (hello.pattern, session) {
                (Pattern::Stranger, _) => (Role::RespondStranger, None, None),
                (Pattern::Payee, Some((session, key))) => {
                    (Role::RespondKnown, Some(session.uuid), Some(key))
                }
                (Pattern::Payee, None) => return None,
            };
            let prologue = hello.prologue(&responder.network, uuid.as_ref());
            Some((hello, handshake(role, key, &prologue, &responder.entropy)?))
        });
        match begun {
            Some((hello, handshake)) => {
                self.hello = Some(hello);
                self.stage = Stage::Handshake(handshake);
            }
            None => self.fail(CloseReason::Misbehaved),
        }
    }

    /// The other end's handshake message was good; what it carried is looked at.
    pub(super) fn on_handshake(&mut self, now_ms: u64, payload: Vec<u8>) {
        let pattern = self.hello.map(|hello| hello.pattern);
        let Stage::Handshake(handshake) = &self.stage else {
            return;
        };
        let answers = handshake.is_my_turn();
        let (greeting, first) = match (pattern, self.initiator) {
            // XX: message 1 carries nothing, 2 and 3 the ids.
            (Some(Pattern::Stranger), initiator) if initiator || !answers => {
                match payload.try_into() {
                    Ok(greeting) => (Some(greeting), Vec::new()),
                    Err(_) => return self.fail(CloseReason::Misbehaved),
                }
            }
            // IK: message 1 carries the payment.
            (Some(Pattern::Payee), false) => (None, payload),
            _ if payload.is_empty() => (None, payload),
            _ => return self.fail(CloseReason::Misbehaved),
        };
        if answers {
            let greeting = self.greeting;
            let said: &[u8] = if pattern == Some(Pattern::Stranger) { &greeting } else { &[] };
            self.write_handshake(now_ms, said);
        }
        self.open_if_finished(now_ms, greeting, first);
    }

    fn write_handshake(&mut self, now_ms: u64, payload: &[u8]) {
        let Stage::Handshake(handshake) = &mut self.stage else {
            return;
        };
        let message = handshake.write(payload).ok();
        let frame = message.and_then(|body| frame::encode(&body, OPENING_FRAME_BYTES_MAX).ok());
        match frame {
            Some(frame) => {
                self.pipe.queue(&frame);
                self.said_ms = now_ms;
            }
            None => self.fail(CloseReason::Misbehaved),
        }
    }

    fn open_if_finished(
        &mut self,
        now_ms: u64,
        greeting: Option<[u8; GREETING_BYTES]>,
        first: Vec<u8>,
    ) {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Handshake(handshake) if handshake.is_finished() => match handshake.finish() {
                Ok(channel) => {
                    let handshake_hash = channel.handshake_hash();
                    self.stage = Stage::Open(Box::new(channel));
                    self.events.push_back(Event::Up { handshake_hash, greeting });
                }
                Err(_) => return self.fail(CloseReason::Misbehaved),
            },
            stage => {
                self.stage = stage;
                return;
            }
        }
        if !first.is_empty() {
            self.events.push_back(Event::Replayable(first));
        }
        let payee = self.hello.is_some_and(|hello| hello.pattern == Pattern::Payee);
        if payee && self.initiator {
            // Shows the payee that this is no replay; rides with the receipt's acknowledgement.
            self.say(&Signal::KeepAlive.encode());
            if let Some(message) = self.deferred.take() {
                self.say(&signal::encode_message(&message));
            }
        } else {
            self.hold_until = Some(now_ms + ANSWER_WAIT_MS);
        }
        if !payee || self.initiator {
            self.confirm();
        }
    }
}

/// A handshake with keys of this link alone, unless the end has a key of its own to show.
fn handshake(
    role: Role,
    key: Option<LinkKey>,
    prologue: &[u8],
    entropy: &[u8; 32],
) -> Option<Box<Handshake>> {
    let fresh =
        || LinkKey::from_bytes(blake3::derive_key("hundi 2026 ble link static v1", entropy));
    let key = key.unwrap_or_else(fresh);
    let ephemeral = blake3::derive_key("hundi 2026 ble link ephemeral v1", entropy);
    Handshake::new(role, &key, prologue, ephemeral).ok().map(Box::new)
}

/// The name of a link on its connection, which nobody can foresee.
fn tag(entropy: &[u8; 32]) -> [u8; 2] {
    let [one, two, ..] = blake3::derive_key("hundi 2026 ble link tag v1", entropy);
    [one, two]
}
