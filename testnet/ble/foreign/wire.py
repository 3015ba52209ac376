"""Bytes of docs/ble.md, and of a payment request as far as a payer's radio needs it. Nothing here
does anything: it only reads and writes."""

import base64
import binascii
import dataclasses
import re
import struct

import blake3

SERVICE = bytes.fromhex("8f1d51a05c3a4b7e9d6268756e646900")
WRITE = SERVICE[:-1] + b"\x01"
NOTIFY = SERVICE[:-1] + b"\x02"
INFO = SERVICE[:-1] + b"\x03"

NUMBERS = 4_096
WINDOW = 32

DATA, ACKNOWLEDGEMENT, RESET, FIRST = 1, 2, 4, 8


class Refused(ValueError):
    """Bytes that are not what they should be."""


def derive_key(context, content):
    return blake3.blake3(content, derive_key_context=context).digest()


# The payment request: protocol.md, "Payment requests".


@dataclasses.dataclass(frozen=True)
class Hint:
    """Where a payee waits, and the key that it will prove."""

    session: bytes
    key: bytes
    psm: int  # 0: none

    @staticmethod
    def read(text):
        match = re.fullmatch("ble:([A-Za-z0-9_-]{67})", text)
        if not match:
            raise Refused("not a Bluetooth hint")
        encoded = match[1]
        content = base64.urlsafe_b64decode(encoded + "=")
        if base64.urlsafe_b64encode(content).decode().rstrip("=") != encoded:
            raise Refused("bits behind the last byte of the hint")
        return Hint(content[:16], content[16:48], int.from_bytes(content[48:], "little"))

    def write(self):
        content = self.session + self.key + self.psm.to_bytes(2, "little")
        return "ble:" + base64.urlsafe_b64encode(content).decode().rstrip("=")


class Reader:
    """Takes a value after the other from bytes."""

    def __init__(self, content):
        self.rest = content

    def take(self, length):
        if len(self.rest) < length:
            raise Refused("bytes end early")
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def number(self, length):
        return int.from_bytes(self.take(length), "little")

    def text(self, longest):
        length = self.number(1)
        if length > longest:
            raise Refused("a text is too long")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as error:
            raise Refused("text that is not UTF-8") from error


def read_request(uri):
    """The network id of a payment request, and its hints."""
    scheme, _, encoded = uri.strip().upper().partition(":")
    try:
        content = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
    except binascii.Error as error:
        raise Refused(f"the payment request is damaged: {error}") from error
    if scheme != "HUNDI" or base64.b32encode(content).decode().rstrip("=") != encoded:
        raise Refused("not a payment request")
    request, check = content[:-4], content[-4:]
    if derive_key("hundi v1 payment request", request)[:4] != check:
        raise Refused("the payment request is damaged")
    reader = Reader(request)
    if reader.number(1) != 1:
        raise Refused("a payment request of another version")
    network = reader.take(32)
    reader.take(34 + 32 + 8 + 3)  # payee, payee_sealing, request, currency
    option = reader.number(1)
    if option > 1:
        raise Refused("an option that is neither there nor not")
    reader.take(6 * option)  # amount
    reader.take(4)  # expires
    reader.text(255)  # memo
    count = reader.number(2)
    if count > 4:
        raise Refused("too many hints")
    hints = [reader.text(128) for _ in range(count)]
    if reader.rest:
        raise Refused("bytes behind the payment request")
    return network, hints


def bluetooth_hint(hints):
    """The first hint that is one of Bluetooth; others belong to others, damaged ones do not count."""
    for text in hints:
        try:
            return Hint.read(text)
        except Refused:
            pass
    raise Refused("the payment request does not say where the payee is on Bluetooth")


# On the air.


def services_of(advertisement):
    """The 128-bit service UUIDs that an advertisement lists, as they are written in the document."""
    found = []
    while len(advertisement) > 1 and 0 < advertisement[0] < len(advertisement):
        length, kind = advertisement[0], advertisement[1]
        if kind in (6, 7):
            content = advertisement[2 : length + 1]
            found += [content[at : at + 16][::-1] for at in range(0, len(content) - 15, 16)]
        advertisement = advertisement[length + 1 :]
    return found


def read_info(value):
    """PSM of the peripheral's channel (0: none) and bytes of its longest unit."""
    if len(value) < 15 or value[0] != 1:
        raise Refused("INFO is too short or of another version")
    return struct.unpack_from("<HH", value, 1)


# Fragments.


@dataclasses.dataclass(frozen=True)
class Ack:
    next: int
    room: int
    beyond: int = 0  # bit i: number next + 1 + i has arrived

    def write(self):
        bitmap = self.beyond.to_bytes(4, "little").rstrip(b"\0")
        head = self.next | len(bitmap) << 12
        return struct.pack("<HB", head, self.room) + bitmap


@dataclasses.dataclass(frozen=True)
class Fragment:
    number: int = 0
    first: bool = False
    data: bytes | None = None
    ack: Ack | None = None
    reset: bool = False

    def write(self):
        flags = DATA * (self.data is not None) | ACKNOWLEDGEMENT * (self.ack is not None)
        flags |= RESET * self.reset | FIRST * self.first
        acknowledgement = self.ack.write() if self.ack else b""
        return struct.pack("<H", self.number | flags << 12) + acknowledgement + (self.data or b"")

    @staticmethod
    def read(content):
        reader = Reader(content)
        head = reader.number(2)
        number, flags = head % NUMBERS, head >> 12
        if flags == RESET and number == 0 and not reader.rest:
            return Fragment(reset=True)
        if flags & RESET or not flags & (DATA | ACKNOWLEDGEMENT):
            raise Refused("a fragment that says nothing, or a reset that says more")
        if not flags & DATA and (number or flags & FIRST):
            raise Refused("a number without data")
        if flags & FIRST and number:
            raise Refused("first, but not number 0")
        ack = read_ack(reader) if flags & ACKNOWLEDGEMENT else None
        if bool(reader.rest) != bool(flags & DATA):
            raise Refused("data without bytes, or bytes behind an acknowledgement")
        return Fragment(number, bool(flags & FIRST), reader.rest or None, ack)


def read_ack(reader):
    head = reader.number(2)
    length, room = head >> 12, reader.number(1)
    bitmap = reader.take(length) if length <= 4 else b"\0"
    if room > WINDOW or bitmap.endswith(b"\0"):
        raise Refused("an acknowledgement with too much room, or a wrong bitmap")
    return Ack(head % NUMBERS, room, int.from_bytes(bitmap, "little"))


# The link's beginning.

XX, IK = 0x10, 0x11


def prologue(hello, network, session):
    """What both ends of a handshake mix in; the session belongs to IK alone."""
    return (
        b"hundi ble link v1"
        + hello
        + bytes([len(network)])
        + network
        + (session if hello[0] == IK else b"")
    )
