"""A central's link: docs/ble.md, "A link". Hello and handshake, then sealed records, over one pair of
streams. It gets values and the time, and says which values to send; it knows no radio."""

import dataclasses
import struct

from cryptography.exceptions import InvalidTag
from noise.connection import Keypair, NoiseConnection
from noise.exceptions import NoiseInvalidMessage

from stream import Receiver, Sender
from wire import IK, Fragment, Refused, prologue

KEEP_ALIVE_AFTER_MS = 5_000
SILENCE_MS = 15_000
UNCONFIRMED_MS = 10_000
HOLD_BACK_MS = 100
CLOSE_MS = 1_000
FIRST_BYTES_MAX = 4_000
UNAUTHENTICATED_FRAME_MAX, FRAME_MAX = 4_096, 64_529

MESSAGE, KEEP_ALIVE, GOODBYE = b"\x00", b"\x01", b"\x02\x00"

CLOSED_BY_OTHER = "closed by the other end"


class Link:
    """The central's end. `pattern` is IK, or XX towards a stranger; `first` is what message 1 of IK
    carries, `greeting` what message 3 of XX carries."""

    def __init__(self, keys, network, hint, bytes_max, now, *, pattern=IK, first=b"", greeting=b""):
        static, ephemeral, self.tag = keys
        self.bytes_max = bytes_max
        self.sender, self.receiver = Sender(), Receiver()
        self.began = self.heard_at = self.sent_at = now
        self.hash = None  # of the handshake, once it is through
        self.messages, self.over, self.out = [], None, []
        self.goodbye_by = self.held_until = None
        self.pattern, self.greeting = pattern, greeting
        name = b"IK" if pattern == IK else b"XX"
        self.noise = NoiseConnection.from_name(b"Noise_%s_25519_ChaChaPoly_BLAKE2s" % name)
        self.noise.set_as_initiator()
        hello = bytes([pattern]) + self.tag
        self.noise.set_prologue(prologue(hello, network, hint.session))
        self.noise.set_keypair_from_private_bytes(Keypair.STATIC, static)
        if ephemeral:  # of a vector; else the handshake makes its own
            self.noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
        if pattern == IK:
            self.noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, hint.key)
        self.noise.start_handshake()
        early = first if len(first) <= FIRST_BYTES_MAX else b""
        # A longer first message goes as a record, behind the keep-alive that confirms the link.
        self.late = first[len(early) :]
        self.sender.waiting += hello
        self.frame(self.noise.write_message(early if pattern == IK else b""))

    def frame(self, body):
        self.sender.waiting += struct.pack("<H", len(body)) + body

    # What the owner asks for.

    def send(self, message):
        """A message for the layer above the link."""
        self.record(MESSAGE + message)

    def close(self, now):
        """Goodbye behind what is queued. The link is over when all of it is acknowledged."""
        self.record(GOODBYE)
        self.goodbye_by = now + CLOSE_MS

    def record(self, signal):
        self.held_until = None
        self.frame(self.noise.encrypt(signal))

    # What the radio brings.

    def receive(self, value, now):
        """A notification, or a fragment from the channel."""
        if self.over:
            return
        if value[:2] != self.tag:
            return  # for another central
        try:
            fragment = Fragment.read(value[2:])
            if fragment.reset:
                self.over = "cut: the other end has given the link up"
                return
            self.heard_at = now
            if fragment.ack:
                self.sender.heard(fragment.ack, now)
            if fragment.data is not None:
                self.receiver.take(fragment, now)
            self.read_frames(now)
        except (Refused, InvalidTag, NoiseInvalidMessage) as error:
            self.out = [Fragment(reset=True).write()]
            self.over = f"misbehaved: {error or type(error).__name__}"

    def read_frames(self, now):
        arrived = self.receiver.arrived
        while len(arrived) >= 2 and not self.over:
            length = int.from_bytes(arrived[:2], "little")
            if length > (FRAME_MAX if self.hash else UNAUTHENTICATED_FRAME_MAX):
                raise Refused(f"a frame of {length} bytes")
            if len(arrived) < 2 + length:
                return
            body = bytes(arrived[2 : 2 + length])
            del arrived[: 2 + length]
            if self.hash is None:
                self.handshake(body, now)
            else:
                self.signal(self.noise.decrypt(body))

    def handshake(self, body, now):
        said = bytes(self.noise.read_message(body))
        if self.pattern == IK:
            if said:
                raise Refused("message 2 of IK carries something")
        else:
            self.met = said
            self.frame(self.noise.write_message(self.greeting))
            self.held_until = now + HOLD_BACK_MS  # for a record that leaves with it
        self.hash = self.noise.get_handshake_hash()
        if self.pattern == IK:
            self.record(KEEP_ALIVE)
            if self.late:
                self.send(self.late)

    def signal(self, signal):
        kind, content = signal[:1], signal[1:]
        if kind == MESSAGE and content:
            self.messages.append(bytes(content))
        elif kind == GOODBYE[:1] and content in (b"\x00", b"\x01"):
            self.over = CLOSED_BY_OTHER
        elif bytes(signal) != KEEP_ALIVE:
            raise Refused("a signal that does not exist")

    # Time.

    def poll(self, now):
        """The values that are to be sent now, in order."""
        if not self.over:
            self.look_at_the_clock(now)
        out, self.out = self.out, []
        if self.over == CLOSED_BY_OTHER and self.receiver.owed_at is not None:
            out.append(Fragment(ack=self.receiver.ack()).write())
            self.receiver.acknowledged()
        if self.over:
            return out
        while fragment := self.next_fragment(now):
            out.append(fragment)
        return out

    def look_at_the_clock(self, now):
        if now >= self.heard_at + SILENCE_MS:
            self.over = "silent"
        elif self.hash is None and now >= self.began + UNCONFIRMED_MS:
            self.over = "silent: no handshake"
        elif self.goodbye_by is not None and (now >= self.goodbye_by or self.is_acknowledged()):
            self.over = "closed"
        elif self.hash and now >= self.sent_at + KEEP_ALIVE_AFTER_MS and self.is_acknowledged():
            self.record(KEEP_ALIVE)
        self.sender.times_out(now)

    def is_acknowledged(self):
        return not self.sender.waiting and not self.sender.under_way

    def next_fragment(self, now):
        if self.held_until is not None and now < self.held_until:
            return None
        owed_at = self.receiver.owed_at
        ack = None if owed_at is None else self.receiver.ack()
        beside = 2 + (len(ack.write()) if ack else 0)
        fragment = self.sender.take(self.bytes_max - beside, now)
        if fragment is None and (ack is None or now < owed_at):
            return None
        if fragment is None:
            fragment = Fragment(ack=ack)
        elif ack and beside + len(fragment.data) <= self.bytes_max:
            fragment = dataclasses.replace(fragment, ack=ack)
        if fragment.ack:
            self.receiver.acknowledged()
        self.sent_at = now
        return fragment.write()

    def deadline(self):
        """When `poll` is worth calling again."""
        if self.over:
            return None
        times = [self.heard_at + SILENCE_MS, self.sent_at + KEEP_ALIVE_AFTER_MS]
        if self.hash is None:
            times.append(self.began + UNCONFIRMED_MS)
        times += [self.receiver.owed_at, self.sender.deadline(), self.goodbye_by, self.held_until]
        return min(time for time in times if time is not None)
