"""Attacks a payee that runs already, in one way; somebody else looks whether an honest payment still
goes through. Prints one JSON object; exit status 0 if the payee did nothing that it must not.

    attacker.py --link HUNDI:... --offer FILE --log FILE ATTACK"""

import argparse
import asyncio
import json
import pathlib
import re
import sys
import time

import hostile
from payer import read_link
from scenarios import open_central

WITHIN_S = 60


class Logged:
    """A payee, known by what its driver logs."""

    TOLD = {"offer": "owner: an offer ", "down": "owner: a link is over "}

    def __init__(self, hint, log):
        self.hint, self.log = hint, log

    def lines(self, event):
        return [line for line in self.log.read_text().splitlines() if self.TOLD[event] in line]

    def count(self, event):
        return len(self.lines(event))

    def ends(self):
        return [re.search(r"reason=(.*)$", line).group(1) for line in self.lines("down")]

    async def until(self, holds):
        for _ in range(WITHIN_S * 10):
            if holds():
                return True
            await asyncio.sleep(0.1)
        return False


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--link", required=True, help="HUNDI:...")
    parser.add_argument("--offer", required=True, type=pathlib.Path)
    parser.add_argument("--log", required=True, type=pathlib.Path, help="the payee's")
    parser.add_argument("attack", choices=hostile.ATTACKS)
    return parser.parse_args()


async def main():
    asked = arguments()
    network, hint = read_link(asked.link, None)
    began = time.monotonic()
    central = await open_central()
    try:
        payee = Logged(hint, asked.log)
        target = hostile.Target(central, payee, network, asked.offer.read_bytes(), goodbye=False)
        said = {"held": True, "figures": await hostile.ATTACKS[asked.attack](target)}
    except Exception as error:  # whatever it is, it is said
        said = {"held": False, "why": f"{type(error).__name__}: {error}"}
    finally:
        await central.close()
    ms = round((time.monotonic() - began) * 1_000)
    print(json.dumps({"scenario": asked.attack, "ms": ms, **said}))
    return 0 if said["held"] else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
