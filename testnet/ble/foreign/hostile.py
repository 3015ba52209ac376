"""A central that means harm, in what docs/ble.md says a peripheral stands. Each attack says what it saw,
and fails if the payee did what it must not; that an honest payment still goes through is looked at
by whoever runs it."""

import asyncio
import dataclasses
import random
import secrets

from central import CHANNEL, GATT, Lost, fresh_keys, now_ms
from link import Link
from payer import exchange, say
from wire import IK, WINDOW, Ack, Fragment, Hint

# Ten seconds are what a stranger has; whoever waits for the end gives an emulated machine more.
ENDED_S = 60
CONNECTIONS = 100
ATTEMPTS = 2
RESET = Fragment(reset=True).write()


@dataclasses.dataclass
class Target:
    """The payee that is attacked, and from where."""

    central: object
    payee: object
    network: bytes
    offer: bytes
    # A payee of one payment takes its session off the air when its payer has said goodbye.
    goodbye: bool = True

    async def connect(self, bearer=GATT):
        for _ in range(ATTEMPTS):
            try:
                address = await self.central.find(self.payee.hint.session, ENDED_S)
                return await self.central.connect(address, bearer, self.payee.hint.psm)
            except Lost as lost:
                last = lost
        raise last

    def link(self, bearer, **changed):
        """An honest link, but for what is changed: its hint or its network."""
        parts = {"network": self.network, "hint": self.payee.hint, **changed}
        bytes_max = bearer.bytes_max
        return Link(fresh_keys(), parts["network"], parts["hint"], bytes_max, now_ms(), first=self.offer)


class TheyDidNot(AssertionError):
    """The payee did not do what it must."""


async def ended(bearer, step=None, every_s=0.2):
    """Does a step again and again until the payee has ended the connection; how long that took."""
    began = now_ms()
    while not bearer.gone:
        if now_ms() > began + ENDED_S * 1_000:
            await bearer.close()
            raise TheyDidNot(f"not ended after {ENDED_S} s")
        if step:
            await step()
        await bearer.wait(every_s)
    return round(now_ms() - began)


def said_nothing(bearer, tag=None):
    """What came was acknowledgements and resets, and nothing that carries data."""
    values = bearer.take()
    for value in values:
        if tag is not None and value[:2] != tag:
            continue
        if Fragment.read(value[2:]).data is not None:
            raise TheyDidNot(f"an answer: {value.hex()}")
    return len(values)


async def garbage(target):
    """Random values, then random units."""
    random_bytes = random.Random(5)
    figures = {}
    for kind in (GATT, CHANNEL):
        bearer = await target.connect(kind)

        async def step():
            if kind == GATT:
                await bearer.send(random_bytes.randbytes(random_bytes.randint(1, bearer.bytes_max)))
            else:
                bearer.channel.write(random_bytes.randbytes(random_bytes.randint(1, 600)))

        figures[f"{kind}_ended_ms"] = await ended(bearer, step, every_s=0.05)
        figures[f"{kind}_values_back"] = said_nothing(bearer)
        await bearer.close()
    return figures


async def slow(target):
    """An honest first message, a byte per fragment, so slowly that it never ends."""
    offers = target.payee.count("offer")
    bearer = await target.connect()
    link = target.link(bearer)
    stream = bytes(link.sender.waiting)
    pieces = iter([stream[:3], *(stream[at : at + 1] for at in range(3, len(stream)))])
    numbers = iter(range(4_096))

    async def step():
        number = next(numbers)
        await bearer.send(Fragment(number, number == 0, next(pieces)).write())

    ms = await ended(bearer, step, every_s=0.4)
    if target.payee.count("offer") != offers:
        raise TheyDidNot("half an offer was taken for one")
    return {"ended_ms": ms, "fragments": bearer.values_sent, "values_back": said_nothing(bearer, link.tag)}


async def endless(target):
    """A frame that is too long; fragments that never begin; beginnings without end."""
    figures = {}
    bearer = await target.connect()
    tag = secrets.token_bytes(2)
    hello = bytes([IK]) + tag
    numbers = iter(range(100_000))

    async def long_frame():
        number = next(numbers)
        head = hello + b"\xff\xff" if number == 0 else b""
        piece = head + bytes(bearer.bytes_max - 2 - len(head))
        await bearer.send(Fragment(number % 4_096, number == 0, piece).write())

    figures["long_frame_ended_ms"] = await ended(bearer, long_frame, every_s=0.02)
    figures["long_frame_values"] = bearer.values_sent
    resets = [value for value in bearer.take() if value == tag + RESET]
    figures["long_frame_resets"] = len(resets)

    bearer = await target.connect()

    async def never_begins():
        for number in range(1, WINDOW):
            await bearer.send(Fragment(number, False, bytes(bearer.bytes_max - 2)).write())

    figures["never_begins_ended_ms"] = await ended(bearer, never_begins)
    figures["never_begins_values"] = bearer.values_sent
    said_nothing(bearer)

    bearer = await target.connect()

    async def begins_anew():
        again = bytes([IK]) + secrets.token_bytes(2)
        await bearer.send(Fragment(0, True, again + bytes([96, 0])).write())

    figures["begins_anew_ended_ms"] = await ended(bearer, begins_anew)
    figures["begins_anew_values"] = bearer.values_sent
    said_nothing(bearer)
    return figures


async def wrong_key(target):
    """Links to another key, another session and another network than the payee's."""
    hint = target.payee.hint
    stranger = Hint(hint.session, secrets.token_bytes(32), hint.psm)
    elsewhere = Hint(secrets.token_bytes(16), hint.key, hint.psm)
    offers = target.payee.count("offer")
    figures = {}
    changes = {"key": {"hint": stranger}, "session": {"hint": elsewhere}, "network": {"network": b"other"}}
    for name, changed in changes.items():
        bearer = await target.connect()
        link = target.link(bearer, **changed)
        for value in link.poll(now_ms()):
            await bearer.send(value)
        figures[f"{name}_ended_ms"] = await ended(bearer)
        figures[f"{name}_values_back"] = said_nothing(bearer, link.tag)
    if target.payee.count("offer") != offers:
        raise TheyDidNot("an offer was taken for another session")
    return figures


async def replay(target):
    """The values of a payment that was made, once more: its first message, then the whole of it."""
    bearer = await target.connect()
    recorded = []
    send = bearer.put

    async def record(value):
        recorded.append(value)
        await send(value)

    bearer.put = record
    target_of = (target.network, target.payee.hint, target.offer)
    answer, _ = await exchange(bearer, *target_of, goodbye=target.goodbye)
    await bearer.close()
    pieces = [Fragment.read(value).data for value in recorded]
    tag = recorded[0][3:5]
    figures = {"recorded_values": len(recorded), "answer_hex": answer.hex()}
    # Hello, the length of a frame, what IK adds, and the offer.
    first_bytes = 3 + 2 + 96 + len(target.offer)
    firsts, taken = 0, 0
    while taken < first_bytes:
        taken += len(pieces[firsts] or b"")
        firsts += 1
    for name, values in {"first_message": recorded[:firsts], "all": recorded}.items():
        downs = len(target.payee.ends())
        offers = target.payee.count("offer")
        bearer = await target.connect()
        for value in values:
            await bearer.send(value)
        figures[f"{name}_ended_ms"] = await ended(bearer, acknowledger(bearer, tag))
        if not await target.payee.until(lambda: len(target.payee.ends()) > downs):
            raise TheyDidNot("the payee has not said how the replayed link ended")
        figures[f"{name}_end"] = target.payee.ends()[-1]
        figures[f"{name}_offers"] = target.payee.count("offer") - offers
        if figures[f"{name}_end"].startswith("closed by"):
            raise TheyDidNot("a replayed goodbye was taken for a real one")
    return figures


def acknowledger(bearer, tag):
    """Keeps a link alive as long as acknowledgements do, which need no key."""
    seen = set()

    async def step():
        for value in bearer.take():
            fragment = Fragment.read(value[2:])
            if value[:2] == tag and fragment.data is not None:
                seen.add(fragment.number)
        following = next(number for number in range(4_096) if number not in seen)
        await bearer.send(Fragment(ack=Ack(following, WINDOW)).write())

    return step


async def hundred_connections(target):
    """One after the other, each ended as soon as it has said a hello. One that does not come about
    is tried again: controllers lose some by themselves."""
    took, lost = [], 0
    while len(took) < CONNECTIONS:
        began = now_ms()
        try:
            bearer = await target.connect()
        except Lost as error:
            lost += 1
            say(f"a connection was lost: {error}")
            if lost > CONNECTIONS // 10:
                raise
            continue
        await bearer.send(Fragment(0, True, bytes([IK]) + secrets.token_bytes(2)).write())
        await bearer.close()
        took.append(round(now_ms() - began))
        say(f"connection {len(took)} took {took[-1]} ms")
    took.sort()
    return {
        "connections": len(took),
        "lost": lost,
        "median_ms": took[len(took) // 2],
        "slowest_ms": took[-1],
    }


ATTACKS = {
    attack.__name__: attack
    for attack in (garbage, slow, endless, wrong_key, replay, hundred_connections)
}
