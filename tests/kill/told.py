"""What viewers were told, and whether the database holds it: the judge of the kill tests. Pure.

The bot handles the messages of a channel in order, and each is done or not done. A message with a reply was done, and the reply
names the outcome; one without (it was on its way when the process was killed) may have been done or not. So the judge keeps, for
each place, every state that is possible, and walks through what was said:

* a message with a reply leaves only those states which give exactly this reply. Where none does, the reply is false: it is
  reported, and the judge goes on from what was told or what is right;
* a message without a reply adds the states in which it was done to those in which it was not.

What the database holds in the end must be among the possible states. Whatever a viewer asked for after the restart has narrowed
them down to one: what was in doubt is settled by the first look, and must not change any more.

A `tally`, note or quote below the least possible state has *lost* that many changes, above the greatest that many were *doubled*;
any other place that is wrong counts once, as lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from simulator.demo_record import visible
from tests.kill.changes import Change, Place, State

#: Possible states of one place; more than a burst of messages without replies can make.
STATES_MAX = 10_000
COUNTED = ("tally", "note", "quote")


@dataclass
class Exchange:
    """A message and the reply to it, "" while there is none."""

    change: Change
    reply: str = ""
    answered_twice: bool = False


class Book:
    """Every message in the order it was said, and the replies that Twitch received."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._by_id: dict[str, Exchange] = {}
        self._open: dict[str, Exchange] = {}

    def said(self, message_id: str, change: Change) -> Exchange:
        """Note a message."""
        exchange = Exchange(change)
        self.exchanges.append(exchange)
        self._by_id[message_id] = self._open[message_id] = exchange
        return exchange

    def heard(self, reply_to: str, text: str) -> None:
        """Note a reply."""
        exchange = self._by_id.get(reply_to)
        if exchange is None:
            return
        exchange.answered_twice = bool(exchange.reply)
        exchange.reply = exchange.reply or visible(text)
        self._open.pop(reply_to, None)

    @property
    def outstanding(self) -> int:
        """Messages which may still be answered."""
        return len(self._open)

    def give_up(self) -> None:
        """The process is dead: what it has not answered it never will."""
        self._open.clear()

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place that was spoken of, in order."""
        return tuple(sorted({exchange.change.place for exchange in self.exchanges}))


@dataclass
class Verdict:
    """How many changes were confirmed, how many of them are found, lost, doubled; `broken` says what is wrong."""

    said: int = 0
    confirmed: int = 0
    lost: int = 0
    doubled: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def found(self) -> int:
        """Confirmed changes that the database accounts for."""
        return max(0, self.confirmed - self.lost)


def judge(exchanges: Sequence[Exchange], stored: Mapping[Place, State]) -> Verdict:
    """Compare what was said and answered with what is stored, from a database that was empty."""
    verdict = Verdict()
    possible: dict[Place, dict[State, None]] = {}
    for exchange in exchanges:
        change = exchange.change
        verdict.said += change.changes
        verdict.confirmed += change.changes and bool(exchange.reply)
        if exchange.answered_twice:
            verdict.doubled += 1
            verdict.broken.append(f"{_where(change.place)}: {change.text!r} was answered twice")
        before = possible.get(change.place, {None: None})
        possible[change.place] = _after(exchange, before, verdict)
    for place in sorted({*possible, *stored}):
        _compare(place, possible.get(place, {None: None}), stored.get(place), "is stored", verdict)
    return verdict


def _after(exchange: Exchange, before: Mapping[State, None], verdict: Verdict) -> dict[State, None]:
    change, reply = exchange.change, exchange.reply
    outcomes = [change.carried_out(state) for state in before]
    if not reply:
        after = {**before, **dict.fromkeys(state for state, _ in outcomes)}
        assert len(after) <= STATES_MAX, f"{change.place}: too many messages without a reply to follow"
        return after
    fitting = {state: None for state, words in outcomes if words.fullmatch(reply)}
    if fitting:
        return fitting
    told = _told(change, reply)
    expected = dict.fromkeys(state for state, _ in outcomes)
    _compare(change.place, expected, told, f"was told to {change.text!r} ({reply!r})", verdict)
    # Both are possible from here on: what was not known for a moment may be back, and counts once, not twice.
    return {**expected, told: None}


def _told(change: Change, reply: str) -> State:
    """What a false reply says of the place; None if it names no state."""
    if change.place.kind in ("tally", "counter", "game", "vibe"):
        name, colon, value = reply.partition(": ")
        if colon and name.lower() == (change.place.name or change.place.kind):
            return int(value) if change.place.kind in ("tally", "counter") else value
    return None


def _compare(place: Place, possible: Mapping[State, None], actual: State, how: str, verdict: Verdict) -> None:
    if actual in possible:
        return
    if place.kind in COUNTED:
        number = actual if isinstance(actual, int) else 0
        numbers = [state if isinstance(state, int) else 0 for state in possible]
        verdict.lost += max(0, min(numbers) - number)
        verdict.doubled += max(0, number - max(numbers))
    else:
        verdict.lost += 1
    verdict.broken.append(f"{_where(place)}: {actual!r} {how}, and {_words(possible)} is right")


def _where(place: Place) -> str:
    return f"#{place.channel} {place.kind} {place.name}".rstrip()


def _words(possible: Iterable[State]) -> str:
    shown = sorted(possible, key=repr)
    words = " or ".join(repr(state) for state in shown[:5])
    return f"{words} or {len(shown) - 5} more" if len(shown) > 5 else words
