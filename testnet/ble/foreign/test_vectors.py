"""Without a radio: the vectors of docs/ble.md, then what no vector holds: air that loses, doubles and
reorders. Run from anywhere: `python3 -m unittest discover -s testnet/ble/foreign`."""

import base64
import json
import os
import pathlib
import random
import unittest

import wire
from link import Link
from payer import read_link
from stream import Receiver, Sender
from wire import Hint, Refused

HERE = pathlib.Path(__file__).resolve()
VECTORS = pathlib.Path(os.environ.get("HUNDI_VECTORS") or HERE.parents[3] / "docs/vectors")


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


BLE = vectors("ble")


def unhex(text):
    return bytes.fromhex(text or "")


class Bytes(unittest.TestCase):
    def test_uuids(self):
        for name in ("service", "write", "notify", "info"):
            self.assertEqual(getattr(wire, name.upper()), unhex(BLE["uuids"][name]))

    def test_advertisements(self):
        for vector in BLE["advertisements"]:
            session = vector.get("session")
            found = wire.services_of(unhex(vector["bytes"]))
            self.assertEqual(unhex(session) in found, session is not None, vector["name"])
        for vector in BLE["sightings"]:
            found = wire.services_of(unhex(vector["bytes"]))
            self.assertEqual([uuid.hex() for uuid in found], vector["services"], vector["name"])

    def test_infos(self):
        for vector in BLE["infos"]:
            told = (vector["psm"] or 0, vector["unit_bytes_max"])
            self.assertEqual(wire.read_info(unhex(vector["bytes"])), told)
        for vector in BLE["refused_infos"]:
            with self.assertRaises(Refused, msg=vector["name"]):
                wire.read_info(unhex(vector["bytes"]))

    def test_hints(self):
        for vector in BLE["hints"]:
            hint = Hint(unhex(vector["session"]), unhex(vector["key"]), vector["psm"] or 0)
            self.assertEqual(Hint.read(vector["text"]), hint)
            self.assertEqual(hint.write(), vector["text"])
        for vector in BLE["refused_hints"]:
            with self.assertRaises(Refused, msg=vector["name"]):
                Hint.read(vector["text"])

    def test_requests(self):
        payments = vectors("payments")
        for vector in payments["requests"]:
            fields = vector["fields"]
            told = (unhex(fields["network"]), fields["hints"])
            for uri in (vector["uri"], vector["uri"].lower(), f" {vector['uri']}\n"):
                self.assertEqual(wire.read_request(uri), told, vector["name"])

    def test_refused_requests(self):
        for vector in vectors("payments")["refused_requests"]:
            with self.assertRaises(Refused, msg=vector):
                wire.read_request(vector["uri"])

    def test_a_request_says_network_and_hint(self):
        vector = vectors("payments")["requests"][1]
        hint = BLE["hints"][1]["text"]
        hints = ["/ip4/192.168.1.7/tcp/4001", "ble:damaged", hint]
        request = unhex(vector["bytes"])
        self.assertTrue(request.endswith(b"\0\0"))  # no hints
        request = request[:-2] + len(hints).to_bytes(2, "little")
        request += b"".join(bytes([len(text)]) + text.encode() for text in hints)
        content = request + wire.derive_key("hundi v1 payment request", request)[:4]
        uri = "HUNDI:" + base64.b32encode(content).decode().rstrip("=")
        self.assertEqual(read_link(uri, None), (b"d7bc7662db4d747d", Hint.read(hint)))
        with self.assertRaises(Refused):
            read_link(vector["uri"], None)
        with self.assertRaises(Refused):
            read_link(hint, None)

    def test_fragments(self):
        for vector in BLE["fragments"]:
            data, ack = vector["data"], vector["ack"]
            fragment = wire.Fragment(
                number=data["number"] if data else 0,
                first=bool(data and data["first"]),
                data=unhex(data["bytes"]) if data else None,
                ack=ack and wire.Ack(ack["next"], ack["room"], ack["beyond"]),
                reset=vector["reset"],
            )
            self.assertEqual(wire.Fragment.read(unhex(vector["bytes"])), fragment, vector["name"])
            self.assertEqual(fragment.write().hex(), vector["bytes"], vector["name"])
        for vector in BLE["refused_fragments"]:
            with self.assertRaises(Refused, msg=vector["name"]):
                wire.Fragment.read(unhex(vector["bytes"]))

    def test_prologues(self):
        for vector in BLE["hellos"]:
            parts = [unhex(vector[name]) for name in ("bytes", "network", "session")]
            self.assertEqual(wire.prologue(*parts).hex(), vector["prologue"])


def central_of(exchange):
    """The central of an exchange, with what its message 1 or its record carries."""
    entropy = unhex(exchange["central"]["entropy"])
    static, handshake, tag = (
        wire.derive_key(f"hundi 2026 ble link {what} v1", entropy)
        for what in ("static", "ephemeral", "tag")
    )
    ephemeral = wire.derive_key("hundi 2026 link ephemeral v1", handshake)
    private = wire_private(exchange["session"]["secret"])
    hint = Hint(unhex(exchange["session"]["uuid"]), private, 0)
    firsts = [unhex(event["first"]) for event in exchange["events"] if "first" in event]
    arguments = ((static, ephemeral, tag[:2]), unhex(exchange["network"]), hint, exchange["bytes_max"], 0)
    if firsts:
        return Link(*arguments, pattern=wire.IK, first=firsts[0]), None
    said = next(e["message"] for e in exchange["events"] if e["at"] == "peripheral" and "message" in e)
    greeting = unhex(exchange["central"]["greeting"])
    return Link(*arguments, pattern=wire.XX, greeting=greeting), unhex(said)


def wire_private(secret):
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(unhex(secret)).public_key().public_bytes_raw()


class Exchanges(unittest.TestCase):
    """The central's side of whole links: every byte, and when it leaves."""

    def test_exchanges(self):
        for exchange in BLE["exchanges"]:
            with self.subTest(exchange["name"]):
                self.replay(exchange)

    def replay(self, exchange):
        link, message = central_of(exchange)
        values = exchange["values"]
        coming = [(v["ms"] + 30, unhex(v["bytes"])) for v in values if v["from"] == "peripheral"]
        sent = []
        now, end = 0, max(v["ms"] for v in values) + 60
        while now <= end:
            for at, value in coming:
                if at == now:
                    link.receive(value, now)
            if link.hash and message:
                link.send(message)
                message = None
            sent += [{"bytes": v.hex(), "from": "central", "ms": now} for v in link.poll(now)]
            now += 1
        self.assertEqual(sent, [v for v in values if v["from"] == "central"])
        self.assertIsNone(link.over)
        ours = [event for event in exchange["events"] if event["at"] == "central"]
        ups = [event for event in ours if "up" in event]
        self.assertEqual([link.hash.hex()], [event["up"] for event in ups])
        if ups[0]["greeting"] is not None:
            self.assertEqual(link.met.hex(), ups[0]["greeting"])
        messages = [event["message"] for event in ours if "message" in event]
        self.assertEqual([message.hex() for message in link.messages], messages)

    def test_what_does_not_fit_ends_the_link_with_a_reset(self):
        exchange = BLE["exchanges"][1]
        answer = next(unhex(v["bytes"]) for v in exchange["values"] if v["from"] == "peripheral")
        for at in (2, 8, 40):
            link, _ = central_of(exchange)
            link.poll(0)
            wrong = bytearray(answer)
            wrong[at] ^= 0xFF
            link.receive(bytes(wrong), 30)
            self.assertIn("misbehaved", link.over, at)
            self.assertEqual(link.poll(30), [unhex("0040")])

    def test_values_for_others_are_passed_over(self):
        link, _ = central_of(BLE["exchanges"][1])
        link.poll(0)
        link.receive(bytes([link.tag[0] ^ 1, link.tag[1]]) + unhex("0040"), 30)
        link.receive(b"", 30)
        self.assertIsNone(link.over)
        link.receive(link.tag + unhex("0040"), 30)
        self.assertIn("cut", link.over)


class Air(unittest.TestCase):
    """Two streams and air of a seed's choice between them."""

    def carry(self, seed, length, lose):
        air = random.Random(seed)
        content = air.randbytes(length)
        sender, receiver = Sender(), Receiver()
        sender.waiting += content
        flying = []
        sendings = 0
        for now in range(600_000):
            sender.times_out(now)
            while fragment := sender.take(180, now):
                sendings += 1
                for _ in range(air.choice((1, 1, 1, 2))):
                    flying.append((now + air.randint(10, 90), "there", fragment))
            if receiver.owed_at is not None and receiver.owed_at <= now:
                flying.append((now + air.randint(10, 90), "back", receiver.ack()))
                receiver.acknowledged()
            for item in [item for item in flying if item[0] <= now]:
                flying.remove(item)
                if air.random() < lose:
                    continue
                if item[1] == "there":
                    receiver.take(item[2], now)
                else:
                    sender.heard(item[2], now)
            if not sender.waiting and not sender.under_way:
                break
        self.assertEqual(bytes(receiver.arrived), content, f"seed {seed}")
        self.assertFalse(sender.under_way, f"seed {seed}")
        return sendings

    def test_all_arrives_in_order_whatever_the_air_does(self):
        for seed in range(8):
            self.carry(seed, 60_000, lose=0.2)

    def test_quiet_air_needs_nothing_twice(self):
        self.assertEqual(self.carry(1, 1_800, lose=0), 10)

    def test_numbers_wrap(self):
        self.carry(3, 180 * 5_000, lose=0.02)

    def test_a_full_receiver_is_asked_again(self):
        sender = Sender()
        sender.waiting += bytes(1_000)
        sender.limit = 0
        self.assertIsNone(sender.take(100, 0))
        self.assertEqual(sender.deadline(), 1_000)
        self.assertIsNone(sender.take(100, 999))
        self.assertEqual(sender.take(100, 1_000).number, 0)
        self.assertIsNone(sender.take(100, 1_001))
        sender.heard(wire.Ack(1, 2), 1_050)
        self.assertEqual(len([1 for _ in range(9) if sender.take(100, 1_050)]), 2)


if __name__ == "__main__":
    unittest.main()
