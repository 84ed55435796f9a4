"""What viewers were told about the stream, its notes, quotes and commands, kept without the bot's code.

Followed are ``!game``, ``!vibe``, ``!style`` and ``!scene KIND`` with a value, ``!note add|del|clear``,
``!quote add|del`` and ``!cmd add|edit|del``, answered in English or Portuguese. What was said is a list of wishes in
the order of chat, each *open*, *confirmed* or *refused* by the bot's reply to that very message. What must be stored is
worked out from the whole list when somebody asks, so an answer may come at any time:

* A confirmed change was made, a refused one was not. An open one (its reply was dropped at Twitch's limits, or the bot
  died before it left) may have been made or not, so whatever it would touch has more than one possible outcome.
* A value (a game, a command's text) is the last confirmed one, or that of an open wish after it. What was never
  confirmed is not judged: nobody knows what was there before. "No game is set" and "There is no command !hug" confirm that it is taken
  away, also if the process did not know of it then, since the database that has it was out of reach: whoever is told that there is
  none must find none.
* Notes and quotes are counted by their text, from a least to a greatest number. Deletions name a number: it is
  believed to mean one entry only where nothing about the entries before it is open; else each may be the one. ``!note clear`` takes
  all that were heard of before, whatever number the bot tells.

Where Twitch may deliver a message after one that was said later (:attr:`StateAccount.overtaking`), the order of chat is not that in which
the bot heard it. It answers a channel in the order in which it heard it: so a wish stands behind those of its channel that were confirmed
before it, and an open one may have been heard last.

Left out: prefixes other than ``!``, aliases, what was there before the first word was said, and what a human changes
in the same field.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from simulator.twitch.events import SentMessage

_SETTING = re.compile(r"!(?P<subject>game|vibe|style)\s+(?P<text>.+)", re.IGNORECASE | re.DOTALL)
_SCENE = re.compile(r"!(?P<subject>scene)\s+(?P<name>\S+)\s+(?P<text>.+)", re.IGNORECASE | re.DOTALL)
_ENTRY = re.compile(
    r"!(?P<subject>note|quote)\s+(?P<action>add|del)\s+(?P<text>.+)", re.IGNORECASE | re.DOTALL
)
_CLEAR = re.compile(r"!(?P<subject>note)\s+(?P<action>clear)\b.*", re.IGNORECASE | re.DOTALL)
_COMMAND = re.compile(
    r"!(?P<subject>cmd)\s+(?P<action>add|edit|del)\s+(?P<name>\S+)(?:\s+(?P<text>.+))?",
    re.IGNORECASE | re.DOTALL,
)
_WISHES = (_SETTING, _SCENE, _ENTRY, _CLEAR, _COMMAND)
#: What takes a value away.
_CLEARING = ("-", "clear")

# By subject and action: which reply says that it was done. Whatever else is replied says that it was not.
_CONFIRMATIONS: Mapping[tuple[str, str], re.Pattern[str]] = {
    ("game", "set"): re.compile(r"(Game|Jogo): "),
    ("vibe", "set"): re.compile(r"(Vibe|Clima): "),
    ("style", "set"): re.compile(r"(Style|Estilo): "),
    ("scene", "set"): re.compile(r"(On screen|Na tela): "),
    ("note", "add"): re.compile(r".*\b(kept|guardada)\."),
    ("note", "del"): re.compile(r".*\b(gone|apagada)\."),
    ("note", "clear"): re.compile(r".*\b(gone|apagadas) \("),
    ("quote", "add"): re.compile(r".*\b(kept|guardada)\."),
    ("quote", "del"): re.compile(r".*\b(gone|apagada)\."),
    ("cmd", "add"): re.compile(r".* (is ready|está pronto)\."),
    ("cmd", "edit"): re.compile(r".* (is changed|foi alterado)\."),
    ("cmd", "del"): re.compile(r".* (is gone|foi apagado)\."),
}
# The same of those who take away what the bot does not know of.
_NONE_THERE = re.compile(
    r"No \w+ is set\.|Nenhum \w+ definido\.|There is no command .* own\.|Este canal não tem um comando "
)
_ADDRESS = re.compile(r"@\S+\s+")
_NUMBER = re.compile(r"\d+")

#: Channel, subject (``game``, ``vibe``, ``style``, ``scene``, ``cmd``) and name (kind of scene, command).
ValueKey = tuple[str, str, str]
#: Channel, subject (``note``, ``quote``) and text.
EntryKey = tuple[str, str, str]


class Outcome(enum.Enum):
    """What became of a wish, as far as chat says."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


@dataclass
class Wish:
    """A change that somebody asked for; ``text`` is "" where something is taken away."""

    channel: str
    subject: str
    action: str
    name: str
    text: str
    outcome: Outcome = Outcome.OPEN
    #: The number that the wish names, then the one that the reply named.
    number: int | None = None


class Range(NamedTuple):
    """How often something must be stored, and may be at most."""

    low: int
    high: int


@dataclass
class _Entry:
    """A note or a quote that is there for sure, or may be."""

    text: str
    number: int | None
    sure: bool


@dataclass
class StateAccount:
    """See the module's docstring."""

    wishes: list[Wish] = field(default_factory=list)
    #: True where a message may reach the bot after one that was said later.
    overtaking: bool = False
    _unanswered: dict[str, Wish] = field(default_factory=dict)
    _answered: dict[str, Wish] = field(default_factory=dict)

    @property
    def confirmed(self) -> int:
        """How many changes were confirmed."""
        return sum(wish.outcome is Outcome.CONFIRMED for wish in self.wishes)

    def said(self, message: SentMessage) -> None:
        """A viewer said something: remember it if it wishes a change."""
        wish = _wish_of(message)
        if wish is not None:
            self.wishes.append(wish)
            self._unanswered[message.id] = wish

    def replied(self, message: SentMessage) -> None:
        """The bot said something: settle the wish that it answers, if it does."""
        wish = self._unanswered.pop(message.reply_to, None)
        if wish is None:
            return
        words = _ADDRESS.sub("", message.text, count=1) if message.text.startswith("@") else message.text
        wish.outcome = Outcome.CONFIRMED if _confirms(wish, words) else Outcome.REFUSED
        self._answered[message.reply_to] = wish
        if self.overtaking and wish.outcome is Outcome.CONFIRMED:
            self._place(wish)
        told = _NUMBER.search(words)
        if told and wish.subject in ("note", "quote"):
            wish.number = int(told.group())

    def _place(self, wish: Wish) -> None:
        """Put what was just confirmed behind what was heard before it, though it was said later."""
        place = next(at for at, one in enumerate(self.wishes) if one is wish)
        for at in range(len(self.wishes) - 1, place, -1):
            other = self.wishes[at]
            if other.channel == wish.channel and other.outcome is Outcome.CONFIRMED:
                self.wishes.insert(at, self.wishes.pop(place))
                return

    def take_back(self, message_id: str) -> None:
        """What this message wished may have been made or not, whatever was said."""
        wish = self._answered.pop(message_id, None)
        if wish is not None and wish.outcome is Outcome.CONFIRMED:
            wish.outcome = Outcome.OPEN

    def wished_in(self) -> dict[str, str]:
        """The channel of every message that wished something and was not taken back."""
        return {message_id: wish.channel for message_id, wish in (self._unanswered | self._answered).items()}

    def may_be_made_twice(self, message_id: str) -> None:
        """What this message wished may have been made once more right after it, whatever was said."""
        wish = self._answered.get(message_id) or self._unanswered.get(message_id)
        self.take_back(message_id)
        if wish is not None and wish.outcome is not Outcome.REFUSED:
            place = next(at for at, one in enumerate(self.wishes) if one is wish)
            self.wishes.insert(place + 1, replace(wish, outcome=Outcome.OPEN))

    def values(self) -> dict[ValueKey, frozenset[str]]:
        """What each value that was ever confirmed may be now; "" stands for none."""
        possible: dict[ValueKey, frozenset[str]] = {}
        for wish in self._settling("game", "vibe", "style", "scene", "cmd"):
            key = (wish.channel, wish.subject, wish.name)
            if wish.outcome is Outcome.CONFIRMED:
                possible[key] = frozenset({wish.text})
            elif key in possible:
                possible[key] |= {wish.text}
        return possible

    def entries(self) -> dict[EntryKey, Range]:
        """How many notes and quotes of each text that was ever confirmed there may be now."""
        found: dict[EntryKey, Range] = {}
        kept: dict[tuple[str, str], list[_Entry]] = {}
        for subject in ("note", "quote"):
            wishes = list(self._settling(subject))
            for channel in dict.fromkeys(wish.channel for wish in wishes):
                own = [wish for wish in wishes if wish.channel == channel]
                kept[channel, subject] = (
                    _notes(own, overtaking=self.overtaking) if subject == "note" else _quotes(own)
                )
            for wish in wishes:
                if wish.action == "add" and wish.outcome is Outcome.CONFIRMED:
                    same = [one for one in kept[wish.channel, subject] if one.text == wish.text]
                    found[wish.channel, subject, wish.text] = Range(sum(one.sure for one in same), len(same))
        return found

    def _settling(self, *subjects: str) -> Iterator[Wish]:
        chosen = [
            wish for wish in self.wishes if wish.subject in subjects and wish.outcome is not Outcome.REFUSED
        ]
        yield from chosen
        if self.overtaking:
            # Once more at the end, where it may have been heard; but a note or quote is there once, wherever it stands.
            yield from (
                wish
                for wish in chosen
                if wish.outcome is Outcome.OPEN
                and not (wish.action == "add" and wish.subject in ("note", "quote"))
            )


def _wish_of(message: SentMessage) -> Wish | None:
    for pattern in _WISHES:
        match = pattern.fullmatch(message.text)
        if match:
            break
    else:
        return None
    parts = {name: words or "" for name, words in match.groupdict().items()}
    subject, action = parts["subject"].lower(), parts.get("action", "set").lower()
    text, name, number = parts.get("text", "").strip(), parts.get("name", ""), None
    if action == "set" and text.lower() in _CLEARING:
        text = ""
    if subject == "cmd":
        name = name.removeprefix("!")
    if action == "del":
        named = _NUMBER.search(text)
        text, number = "", int(named.group()) if named else None
    name = unicodedata.normalize("NFC", name.lower())
    return Wish(message.channel, subject, action, name, text, number=number)


def _confirms(wish: Wish, words: str) -> bool:
    if not wish.text and _NONE_THERE.match(words):
        return True
    return _CONFIRMATIONS[wish.subject, wish.action].match(words) is not None


def _notes(wishes: Iterable[Wish], *, overtaking: bool) -> list[_Entry]:
    """The notes of one channel: a note's number is its place, and ``clear`` takes all.

    Where messages overtake each other an open one that was said before it may have been heard after it.
    """
    kept: list[_Entry] = []
    complete = True  # as long as the numbers that the bot tells are the places here
    for wish in wishes:
        certain = wish.outcome is Outcome.CONFIRMED
        if wish.action == "add":
            kept.append(_Entry(wish.text, wish.number, certain))
            complete = complete and (not certain or wish.number == len(kept))
            continue
        exact = certain and complete and all(entry.sure for entry in kept)
        if certain and wish.action == "clear":
            kept = [entry for entry in kept if overtaking and not entry.sure]
            complete = True
        elif exact and wish.action == "del" and wish.number is not None and 1 <= wish.number <= len(kept):
            del kept[wish.number - 1]
        else:
            _doubt(kept)
    return kept


def _quotes(wishes: Iterable[Wish]) -> list[_Entry]:
    """The quotes of one channel: each keeps its number for life; after a late load two may share one."""
    kept: list[_Entry] = []
    for wish in wishes:
        certain = wish.outcome is Outcome.CONFIRMED
        if wish.action == "add":
            kept.append(_Entry(wish.text, wish.number if certain else None, certain))
            continue
        meant = [entry for entry in kept if wish.number is None or entry.number in (wish.number, None)]
        if certain and len(meant) == 1 and meant[0].sure:
            kept.remove(meant[0])
        else:
            _doubt(meant)
    return kept


def _doubt(entries: Iterable[_Entry]) -> None:
    """One of these may be gone."""
    for entry in entries:
        entry.sure = False
