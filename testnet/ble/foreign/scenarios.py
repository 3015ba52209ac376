"""Inside the guest: a payee through BlueZ on hci0, and this central on hci1, which is its own. Prints a
JSON line per scenario, as the driver's own scenarios do; exit status 0 if all held.

    scenarios.py [SCENARIO]...

A payment is honest if the answer is the one to its offer; after every attack one must be."""

import asyncio
import json
import pathlib
import subprocess
import sys
import time

import hostile
from central import CHANNEL, CHANNEL_OF_INFO, GATT, Central
from payer import pay
from wire import Hint

PAYLOAD = pathlib.Path("/payload")
OFFER_FILE = pathlib.Path("/tmp/offer")
NETWORK = "foreign"
PAYEE, OURS = "hci0", "hci1"
ANSWER_BYTES_MAX = 300
WITHIN_S = 60
DAEMON_LOG = pathlib.Path("/tmp/bluetoothd.log")


class Payee:
    """The example of that name, and what it has told so far."""

    @staticmethod
    async def start():
        payee = Payee()
        payee.process = await asyncio.create_subprocess_exec(
            PAYLOAD / "payee", NETWORK, PAYEE, stdout=subprocess.PIPE
        )
        payee.told = []
        payee.hint = Hint.read(json.loads(await payee.process.stdout.readline())["hint"])
        payee.listening = asyncio.create_task(payee.listen())
        return payee

    async def listen(self):
        async for line in self.process.stdout:
            self.told.append(json.loads(line))

    def stop(self):
        self.listening.cancel()
        self.process.kill()

    def count(self, event):
        return sum(told["event"] == event for told in self.told)

    def ends(self):
        return [told["why"] for told in self.told if told["event"] == "down"]

    async def until(self, holds):
        """Waits until something holds of what it told; whether it did."""
        for _ in range(WITHIN_S * 10):
            if holds():
                return True
            await asyncio.sleep(0.1)
        return False


def falls():
    """How often bluetoothd has fallen over so far; the guest starts it again, and says so."""
    return DAEMON_LOG.read_text().count("bluetoothd fell over")


async def open_central(adapter=OURS):
    """The daemon takes every adapter that comes back, so it may have to be asked twice."""
    for _ in range(20):
        subprocess.run(["hciconfig", adapter, "down"], check=True)
        try:
            return await Central.open(f"hci-socket:{adapter[3:]}")
        except OSError:
            await asyncio.sleep(0.5)
    raise OSError(f"{adapter} is always taken")


def answer_to(offer):
    return offer[::-1][:ANSWER_BYTES_MAX]


def check(holds, text):
    if not holds:
        raise AssertionError(text)


async def program_pays(payee, offer, bearer):
    """The program itself, as anybody would run it."""
    subprocess.run(["hciconfig", OURS, "down"], check=True)
    asked = ["--link", payee.hint.write(), "--network", NETWORK, "--offer", OFFER_FILE, "--bearer", bearer]
    program = pathlib.Path(__file__).with_name("payer.py")
    process = await asyncio.create_subprocess_exec(sys.executable, program, *asked, stdout=subprocess.PIPE)
    printed, _ = await process.communicate()
    check(process.returncode == 0, f"exit status {process.returncode}")
    return paid_for(json.loads(printed), offer)


async def honest_payment(central, payee, offer, bearer=GATT):
    paid = await pay(central, NETWORK.encode(), payee.hint, offer, bearer, WITHIN_S)
    return paid_for(paid, offer)


def paid_for(paid, offer):
    answer = bytes.fromhex(paid.pop("receipt_hex"))
    check(answer == answer_to(offer), "the answer is to another offer")
    return {**paid, "answer_bytes": len(answer)}


async def attack(which, payee, offer):
    central = await open_central()
    try:
        target = hostile.Target(central, payee, NETWORK.encode(), offer)
        figures = await which(target)
        honest = await honest_payment(central, payee, offer)
    finally:
        await central.close()
    return {**figures, "honest_payment_ms": honest["answered_ms"]}


def other_adapters():
    """All but the payee's, in order."""
    names = (path.name for path in pathlib.Path("/sys/class/bluetooth").iterdir())
    return sorted(name for name in names if name != PAYEE and ":" not in name)


async def crowd(payee, offer):
    """All the other adapters pay at once, each something else, over one bearer after the other."""
    adapters = other_adapters()
    check(len(adapters) > 1, f"no crowd: only {', '.join(adapters)}")
    centrals = [await open_central(adapter) for adapter in adapters]
    offers = [offer[:-1] + bytes([number]) for number in range(len(centrals))]
    figures = {}
    try:
        for bearer in (GATT, CHANNEL):
            payments = (
                honest_payment(central, payee, offer, bearer)
                for central, offer in zip(centrals, offers)
            )
            figures[bearer] = await asyncio.gather(*payments)
        figures["together"] = await together(payee, centrals)
    finally:
        for central in centrals:
            await central.close()
    return figures


async def together(payee, centrals):
    """How many hold a connection at the same time."""
    bearers = []
    for central in centrals:
        address = await central.find(payee.hint.session, WITHIN_S)
        bearers.append(await central.connect(address, GATT))
    held = sum(not bearer.gone for bearer in bearers)
    for bearer in bearers:
        await bearer.close()
    check(held == len(centrals), f"{held} of {len(centrals)} are connected at the same time")
    return held


PAYMENTS = {"gatt": GATT, "l2cap_hint": CHANNEL, "l2cap_info": CHANNEL_OF_INFO}
NAMES = [*(f"payment_{name}" for name in PAYMENTS), "crowd", *hostile.ATTACKS]


async def run(name, payee, offer):
    if name in hostile.ATTACKS:
        return await attack(hostile.ATTACKS[name], payee, offer)
    if name == "crowd":
        return await crowd(payee, offer)
    return await program_pays(payee, offer, PAYMENTS[name.removeprefix("payment_")])


async def main(wanted):
    if unknown := set(wanted) - set(NAMES):
        sys.exit(f"no scenario {', '.join(unknown)}; there are {', '.join(NAMES)}")
    offers = json.loads((PAYLOAD / "payments.json").read_text())["offers"]
    offer = bytes.fromhex(offers[0]["message"])
    OFFER_FILE.write_bytes(offer)
    payee = await Payee.start()
    failed = 0
    # btvirt has no crowd: its controllers hold one connection each.
    possible = [name for name in NAMES if name != "crowd" or len(other_adapters()) > 1]
    for name in wanted or possible:
        began = time.monotonic()
        fallen = falls()
        try:
            line = {"held": True, "figures": await run(name, payee, offer)}
        except Exception as error:  # whatever it is, the next scenario runs
            failed += 1
            line = {"held": False, "why": f"{type(error).__name__}: {error}", "payee": payee.told[-20:]}
        ms = round((time.monotonic() - began) * 1_000)
        line = {"scenario": name, "ms": ms, "daemon_falls": falls() - fallen, **line}
        print(json.dumps(line), flush=True)
    payee.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
