"""Changes that moderators ask for in chat, and what each does to the one thing it is about. Pure.

A `Place` is one thing a viewer can ask for: a counter of a channel, its game, a note. Its state is a number, a text, or None
(not there). A `Change` is a chat message about one place: `carried_out` says, for a state before, the state after and the words
with which the bot confirms it. So the judge (`told.py`) can follow what may have happened, without the bot's code.

Kinds of places:

* `tally`: a counter to which only 1 is ever added, so that every lost or doubled change shows in its value;
* `counter`: a counter with everything (`+n`, `-n`, `=n`, `del`);
* `game`, `vibe`: a text, the newest wins;
* `note`, `quote`: how often a text, which is asked for once, is among the channel's notes or quotes;
* `command`: the text of a custom command (`add`, `edit`, `del`).

A `Script` draws changes without an end. It stays below the caps of a channel, where the bot would say something else.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = int | str | None
Kind: TypeAlias = Literal["tally", "counter", "game", "vibe", "note", "quote", "command"]

#: Of each channel; the bot allows 50 notes and 200 of the others (DESIGN section 3, ContextManager).
NOTES_MAX = 40
QUOTES_MAX = 150
COMMANDS_MAX = 150

TALLIES = ("deaths", "wins", "retries")
COUNTERS = ("score", "lives")
#: How often each kind is asked for, out of their sum.
WEIGHTS: dict[Kind, int] = {
    "tally": 50,
    "counter": 20,
    "game": 6,
    "vibe": 4,
    "note": 6,
    "quote": 4,
    "command": 10,
}


@dataclass(frozen=True, order=True)
class Place:
    """One thing in one channel; `name` is the counter's or command's, the text of a note or quote, else empty."""

    channel: str
    kind: Kind
    name: str = ""


@dataclass(frozen=True)
class Change:
    """One message about a place; `action` is what is done (`look` changes nothing), `argument` with what."""

    place: Place
    action: str
    argument: str = ""

    @property
    def changes(self) -> bool:
        """Whether it asks for a change at all."""
        return self.action != "look"

    @property
    def text(self) -> str:
        """The chat message."""
        name, action, argument = self.place.name, self.action, self.argument
        match self.place.kind:
            case "tally" | "counter":
                change = "" if action == "look" else "del" if action == "del" else f"{action}{argument}"
                return f"!count {name} {change}".rstrip()
            case "game" | "vibe" as kind:
                return f"!{kind} {argument}".rstrip()
            case "note" | "quote" as kind:
                return f"!{kind} add {name}"
            case "command":
                return f"!cmd {action} {name} {argument}".rstrip()

    def carried_out(self, before: State) -> tuple[State, re.Pattern[str]]:
        """The state after it, and what the bot then says."""
        after, words = self._carried_out(before)
        return after, re.compile(words)

    def _carried_out(self, before: State) -> tuple[State, str]:
        place, action, argument = self.place, self.action, self.argument
        name = re.escape(place.name)
        match place.kind:
            case "tally" | "counter":
                unknown = f"There is no counter called {name}\\."
                if action == "look":
                    return before, unknown if before is None else f"{name}: {before}"
                if action == "del":
                    gone = f"The counter {name} is gone \\(it was at {before}\\)\\."
                    return None, unknown if before is None else gone
                amount = int(argument)
                number = before if isinstance(before, int) else 0
                after = amount if action == "=" else number + amount if action == "+" else number - amount
                return after, f"{name}: {after}"
            case "game" | "vibe" as kind:
                title = kind.capitalize()
                now = before if action == "look" else argument
                return now, f"No {kind} is set\\." if now is None else f"{title}: {re.escape(str(now))}"
            case "note" | "quote" as kind:
                count = before if isinstance(before, int) else 0
                return count + 1, f"{kind.capitalize()} \\d+ is kept\\."
            case "command":
                return self._command(before, name)

    def _command(self, before: State, name: str) -> tuple[State, str]:
        there = before is not None
        if self.action == "add":
            if there:
                return before, f"The command !{name} exists already: .*"
            return self.argument, f"The command !{name} is ready\\."
        if not there:
            return before, f"There is no command !{name} of this channel's own\\."
        if self.action == "edit":
            return self.argument, f"The command !{name} is changed\\."
        return None, f"The command !{name} is gone\\."


def look_at(place: Place) -> Change | None:
    """The question for a place's state, None where the bot's answer would not name it."""
    return Change(place, "look") if place.kind in ("tally", "counter", "game", "vibe") else None


class Script:
    """Changes drawn from `rng`, for these channels; no text is ever drawn twice."""

    def __init__(self, channels: tuple[str, ...], rng: random.Random) -> None:
        self._channels = channels
        self._rng = rng
        self._number = 0
        self._made: Counter[tuple[str, Kind]] = Counter()
        self._commands: dict[str, list[str]] = {channel: [] for channel in channels}

    def next(self) -> Change:
        """The next change."""
        rng = self._rng
        self._number += 1
        channel = rng.choice(self._channels)
        kind: Kind = rng.choices(tuple(WEIGHTS), tuple(WEIGHTS.values()))[0]
        self._made[channel, kind] += 1
        made = self._made[channel, kind]
        match kind:
            case "counter":
                return self._counter(channel)
            case "game" | "vibe":
                return Change(Place(channel, kind), "set", f"{kind} number {self._number}")
            case "note" if made <= NOTES_MAX:
                return Change(Place(channel, kind, f"note number {self._number}"), "add")
            case "quote" if made <= QUOTES_MAX:
                return Change(Place(channel, kind, f"quote number {self._number}"), "add")
            case "command" if made <= COMMANDS_MAX:
                return self._command(channel)
        return Change(Place(channel, "tally", rng.choice(TALLIES)), "+", "1")

    def _counter(self, channel: str) -> Change:
        rng = self._rng
        place = Place(channel, "counter", rng.choice(COUNTERS))
        action = rng.choice("++-=d")
        return Change(place, "del") if action == "d" else Change(place, action, str(rng.randint(1, 9)))

    def _command(self, channel: str) -> Change:
        rng, known = self._rng, self._commands[channel]
        action = rng.choice(("add", "edit", "del")) if known else "add"
        if action == "add":
            known.append(f"hello_{self._number}")
            return Change(Place(channel, "command", known[-1]), "add", f"text number {self._number}")
        place = Place(channel, "command", rng.choice(known))
        return Change(place, action, f"text number {self._number}" if action == "edit" else "")
