"""Pays: takes a payment request and an offer, finds the payee, and comes back with its answer.

A foreign central, written from docs/ble.md alone and on a Bluetooth stack of its own. What an offer
and an answer mean is no business of its: both are bytes. It prints one JSON object; exit status 0
with an answer, 1 without."""

import argparse
import asyncio
import json
import pathlib
import sys

from central import CHANNEL, CHANNEL_OF_INFO, GATT, Central, Lost, fresh_keys, now_ms
from link import Link
from wire import Hint, Refused, bluetooth_hint, read_request

ANSWER_MS = 10_000
AGAIN_S = 0.5


def say(text):
    print(text, file=sys.stderr, flush=True)


async def run(bearer, link, until):
    """Moves values between a bearer and its link until something is so, or the link is over."""
    while True:
        for value in bearer.take():
            link.receive(value, now_ms())
        if until():
            return  # what the link has to say leaves with what its owner says next
        for value in link.poll(now_ms()):
            await bearer.send(value)
        if bearer.gone and not bearer.values:
            link.over = link.over or "cut: the connection was lost"
        if link.over:
            return
        await bearer.wait((link.deadline() - now_ms()) / 1_000)


async def exchange(bearer, network, hint, offer, goodbye=True):
    """One link: the answer to the offer, and when it came. It ends properly, or is just left."""
    began = now_ms()
    link = Link(fresh_keys(), network, hint, bearer.bytes_max, began, first=offer)
    answered = lambda: link.messages or now_ms() >= began + ANSWER_MS
    await run(bearer, link, answered)
    at = now_ms()
    if not link.over and goodbye:
        link.close(at)
        await run(bearer, link, lambda: False)
    if not link.messages:
        raise Lost(f"no answer: the link is over ({link.over})")
    return link.messages[0], at


async def pay(central, network, hint, offer, kind, within_s):
    """Looks for the payee until it has answered; the same offer each time."""
    began = now_ms()
    while True:
        left_s = within_s - (now_ms() - began) / 1_000
        try:
            address = await central.find(hint.session, left_s)
            found = now_ms()
            say(f"found {address}")
            bearer = await central.connect(address, kind, hint.psm)
            connected = now_ms()
            say(f"connected, {bearer.bytes_max} bytes in a value")
            try:
                answer, answered = await exchange(bearer, network, hint, offer)
            finally:
                await bearer.close()
        except Lost as lost:
            say(str(lost))
            if now_ms() - began >= within_s * 1_000:
                raise
            await asyncio.sleep(AGAIN_S)
            continue
        return {
            "found_ms": round(found - began),
            "connected_ms": round(connected - began),
            "answered_ms": round(answered - began),
            "writes": bearer.values_sent,
            "notifications": bearer.values_received,
            "bytes_sent": bearer.bytes_sent,
            "bytes_received": bearer.bytes_received,
            "receipt_hex": answer.hex(),
        }


def read_link(text, network):
    """The network tag and the Bluetooth hint of a payment request, or of a hint alone."""
    if text.startswith("ble:"):
        if not network:
            raise Refused("a hint alone does not say the network: --network")
        return network.encode(), Hint.read(text)
    network_id, hints = read_request(text)
    # A link's network tag: the first 16 hexadecimal digits of the network id.
    return (network or network_id.hex()[:16]).encode(), bluetooth_hint(hints)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--link", required=True, help="HUNDI:... or ble:...")
    parser.add_argument("--offer", required=True, type=pathlib.Path)
    parser.add_argument("--network", help="the network tag, where the link does not say it")
    kinds = (GATT, CHANNEL, CHANNEL_OF_INFO)
    parser.add_argument("--bearer", choices=kinds, help="else the channel if the hint names one")
    parser.add_argument("--controller", default="hci-socket:1", help="Bumble's name of it")
    parser.add_argument("--within", type=float, default=60, help="seconds")
    return parser.parse_args()


async def main():
    asked = arguments()
    network, hint = read_link(asked.link, asked.network)
    kind = asked.bearer or (CHANNEL if hint.psm else GATT)
    central = await Central.open(asked.controller)
    try:
        paid = await pay(central, network, hint, asked.offer.read_bytes(), kind, asked.within)
    finally:
        await central.close()
    print(json.dumps(paid))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (Lost, Refused, OSError) as error:
        sys.exit(f"not paid: {error}")
