"""A stream of bytes in each direction over fragments that may be lost, doubled or overtaken:
docs/ble.md, "Fragments". Time is an argument, in milliseconds; nothing is awaited here."""

import dataclasses

from wire import NUMBERS, WINDOW, Ack, Fragment

ACKNOWLEDGE_MS = 60
ACKNOWLEDGE_AT = 8
EARLY_BYTES_MAX = 4_096
RETRANSMIT_FIRST_MS, RETRANSMIT_MIN_MS, RETRANSMIT_MAX_MS = 1_000, 250, 2_000


class Receiver:
    """Puts the other end's fragments in order, and owes acknowledgements for them."""

    def __init__(self):
        self.next = 0  # counted on, not modulo
        self.early = {}
        self.arrived = bytearray()
        self.owed = 0
        self.owed_at = None

    def take(self, fragment, now):
        ahead = (fragment.number - self.next) % NUMBERS
        number = self.next + ahead
        early_bytes = sum(map(len, self.early.values()))
        fits = ahead == 0 or early_bytes + len(fragment.data) <= EARLY_BYTES_MAX
        belongs = ahead < WINDOW and fragment.first == (number == 0)
        if belongs and number not in self.early and not fits:
            return  # as if the air had lost it
        if not belongs or number in self.early:
            self.owed_at = now
            return
        self.early[number] = fragment.data
        while self.next in self.early:
            self.arrived += self.early.pop(self.next)
            self.next += 1
        self.owed += 1
        if self.owed_at is None:
            self.owed_at = now + ACKNOWLEDGE_MS
        if self.owed >= ACKNOWLEDGE_AT:
            self.owed_at = now

    def ack(self):
        beyond = sum(1 << (number - self.next - 1) for number in self.early)
        return Ack(self.next % NUMBERS, WINDOW, beyond)

    def acknowledged(self):
        self.owed, self.owed_at = 0, None


@dataclasses.dataclass
class UnderWay:
    data: bytes
    sent_at: float
    turn: int  # counts every sending
    sendings: int = 1


class Sender:
    """Cuts the stream into fragments and sends them until each is acknowledged."""

    def __init__(self):
        self.waiting = bytearray()
        self.under_way = {}
        self.oldest = self.following = self.turns = 0
        self.limit = WINDOW  # the largest next + room that was heard
        self.congestion = WINDOW
        self.halved_at = 0  # a loss halves once per flight: not again before this number
        self.smoothed = self.variation = None
        self.time_outs = 0
        self.again = []
        self.full_since = None  # nothing is under way, and the receiver has no room

    def retransmit_ms(self):
        base = RETRANSMIT_FIRST_MS
        if self.smoothed is not None:
            base = max(RETRANSMIT_MIN_MS, self.smoothed + 4 * self.variation)
        return min(RETRANSMIT_MAX_MS, base * 2**self.time_outs)

    def heard(self, ack, now):
        count = (ack.next - self.oldest) % NUMBERS
        if count > self.following - self.oldest:
            return  # an old one
        reached = self.oldest + count
        beyond = [reached + 1 + bit for bit in range(32) if ack.beyond >> bit & 1]
        arrived = [number for number in [*range(self.oldest, reached), *beyond] if number in self.under_way]
        self.oldest = reached
        if reached + ack.room > self.limit:
            self.limit, self.full_since = reached + ack.room, None
        newest_turn = -1
        for number in arrived:
            fragment = self.under_way.pop(number)
            newest_turn = max(newest_turn, fragment.turn)
            if fragment.sendings == 1:
                self.sample(now - fragment.sent_at)
        if arrived:
            self.time_outs = 0
            self.congestion = min(WINDOW, self.congestion + len(arrived) / self.congestion)
        self.again = [number for number in self.again if number in self.under_way]
        lost = [number for number, fragment in self.under_way.items() if newest_turn - fragment.turn >= 8]
        self.lose(lost)

    def sample(self, ms):
        if self.smoothed is None:
            self.smoothed, self.variation = ms, ms / 2
        else:
            self.variation += (abs(self.smoothed - ms) - self.variation) / 4
            self.smoothed += (ms - self.smoothed) / 8

    def lose(self, numbers):
        self.again = sorted({*self.again, *numbers})
        if numbers and max(numbers) >= self.halved_at:
            self.congestion = max(4, self.congestion / 2)
            self.halved_at = self.following

    def deadline(self):
        times = [f.sent_at for n, f in self.under_way.items() if n not in self.again]
        if self.full_since is not None:
            times.append(self.full_since)
        return min(times) + self.retransmit_ms() if times else None

    def times_out(self, now):
        if (deadline := self.deadline()) is None or deadline > now:
            return
        wait = self.retransmit_ms()
        late = [n for n, f in self.under_way.items() if n not in self.again and f.sent_at + wait <= now]
        self.time_outs += 1
        self.lose(late)

    def may_ask(self, now):
        """Whether a fragment beyond what the receiver takes may ask if it still does not."""
        if self.under_way:
            return False
        if self.full_since is None:
            self.full_since = now
        if self.full_since + self.retransmit_ms() > now:
            return False
        self.full_since = None
        return True

    def take(self, bytes_max, now):
        """The next fragment to send, or None; bytes_max is what its piece may have."""
        if self.again:
            number = self.again.pop(0)
            fragment = self.under_way[number]
            fragment.sendings += 1
            fragment.sent_at, fragment.turn = now, self.turns
        else:
            number = self.following
            if not self.waiting or number >= self.oldest + int(self.congestion):
                return None
            if number >= self.limit and not self.may_ask(now):
                return None
            piece = bytes(self.waiting[:bytes_max])
            del self.waiting[:bytes_max]
            self.under_way[number] = fragment = UnderWay(piece, now, self.turns)
            self.following += 1
        self.turns += 1
        return Fragment(number % NUMBERS, number == 0, fragment.data)
