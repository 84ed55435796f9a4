"""The demo's verdict: what viewers were told, compared with what the database holds, and how fast they were told.

It reads the bot's replies as a viewer does. "deaths: 12" in reply to "!count deaths +1" confirms a change; so does "Note 3
is kept." in reply to "!note add ...". Then it looks for what was confirmed in the rows of the database, without the bot's
code: a counter as a number under its name, a note, quote, game or command as a text (or key) somewhere in the channel's
rows. The database was empty at the start, so a counter must hold exactly as many +1 as were confirmed.

A later game replaces an earlier one: only the last must be found, the others count as stored with it.

Broken promises are sentences. So is what was not measured: a demo without an answer before the outage or during it, or
without a confirmed change, proves nothing, however little went wrong. `ok` means that there is neither.

Latencies are those of the record, less the judge's own stalls; how much that was, and the percentiles without it, stand
beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator.demo_record import PHASES, Exchange, Phase, visible
from simulator.report import percentile

# How much slower the 99th percentile may be while the database is down, ms: the noise of one machine, not a second of waiting.
P99_SLACK_MS = 10.0
# Less than this was not subtracted: the difference of two readings of the clock.
SUBTRACTED_MIN_MS = 0.001
# With fewer than 100 answers the nearest-rank p99 is the slowest of them: one hiccup of the machine. So a single slow answer
# is shown and not judged; a bot that waits for its database has dozens.
SLOW_ANSWERS_MIN = 2

_COUNT = re.compile(r"!count (?P<name>\S+) \+1")
_TOLD = re.compile(r"(?P<name>\S+): (?P<value>-?\d+)")


@dataclass(frozen=True)
class Kind:
    """A kind of change by text: how it is asked for, which words of the answer confirm it, and whether a later one
    replaces it."""

    name: str
    wish: re.Pattern[str]
    confirmation: re.Pattern[str]
    replaceable: bool = False


# The confirmations are loose on purpose: other words of politeness must not make a confirmed change look unconfirmed.
KINDS: tuple[Kind, ...] = (
    Kind("note", re.compile(r"!note add (?P<text>.+)"), re.compile(r"\bkept\b")),
    Kind("quote", re.compile(r"!quote add (?P<text>.+)"), re.compile(r"\bkept\b")),
    Kind("command", re.compile(r"!cmd add (?P<text>\S+) .+"), re.compile(r"\bready\b")),
    Kind("game", re.compile(r"!game (?P<text>.+)"), re.compile(r"^Game: "), replaceable=True),
)
COUNTER_KIND = "counter"


@dataclass(frozen=True)
class Counter:
    """One counter: the last value that a viewer was told, the changes confirmed and asked for, and what is stored."""

    channel: str
    name: str
    told: int
    confirmed: int
    asked: int
    stored: int

    @property
    def lost(self) -> int:
        """How much of what was confirmed the database does not hold."""
        return max(0, max(self.told, self.confirmed) - self.stored)

    @property
    def doubled(self) -> int:
        """How much more the database holds than was ever asked for."""
        return max(0, self.stored - self.asked)

    @property
    def found(self) -> int:
        """How many of the confirmed changes the stored number accounts for."""
        return max(0, min(self.confirmed, self.stored))


@dataclass(frozen=True)
class Wish:
    """A change by text that was confirmed: what must be found in the rows of the channel."""

    channel: str
    text: str
    kind: Kind


@dataclass(frozen=True)
class Verdict:
    """What came out; percentiles are None for a phase without answers.

    `stored` counts confirmed changes found in the rows. `subtracted_ms` of the judge's own stalls were taken from the
    latencies of `subtracted_replies` replies; `raw_p99_ms` is what they were before.
    """

    confirmed: int
    stored: int
    lost: int
    doubled: int
    unanswered: int
    drained: bool
    p50_ms: Mapping[Phase, float | None]
    p99_ms: Mapping[Phase, float | None]
    raw_p99_ms: Mapping[Phase, float | None]
    subtracted_ms: float
    subtracted_replies: int
    answers: Mapping[Phase, int]
    confirmed_by_kind: Mapping[str, int]
    broken: tuple[str, ...]
    not_measured: tuple[str, ...]
    counters: tuple[Counter, ...] = ()
    missing: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if everything was measured and no promise was broken."""
        return not self.broken and not self.not_measured

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain data; milliseconds with three digits."""
        return {
            "ok": self.ok,
            "confirmed": self.confirmed,
            "stored": self.stored,
            "lost": self.lost,
            "doubled": self.doubled,
            "unanswered": self.unanswered,
            "drained": self.drained,
            "p50_ms": _rounded(self.p50_ms),
            "p99_ms": _rounded(self.p99_ms),
            "raw_p99_ms": _rounded(self.raw_p99_ms),
            "subtracted_ms": round(self.subtracted_ms, 3),
            "subtracted_replies": self.subtracted_replies,
            "answers": dict(self.answers),
            "confirmed_by_kind": dict(self.confirmed_by_kind),
            "broken": list(self.broken),
            "not_measured": list(self.not_measured),
            "missing": list(self.missing),
            "counters": [
                {"channel": one.channel, "name": one.name, "told": one.told, "stored": one.stored}
                for one in self.counters
            ],
            **self.extra,
        }


def judge(
    exchanges: Sequence[Exchange],
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    drained: bool,
    exit_code: int | None = 0,
    extra: Mapping[str, Any] | None = None,
) -> Verdict:
    """Compare what was said with what is stored.

    `rows` has, for each channel's login, the `data` of its rows in the database; `drained` says whether the bot reported
    that nothing waits any more, `exit_code` how it ended when it was asked to (None: unknown); `extra` becomes further keys
    of the JSON.
    """
    counters = tuple(_counters(exchanges, rows))
    wishes = list(_wishes(exchanges))
    found = _found(wishes, rows)
    missing = tuple(_missing(wishes, found))
    by_kind = {COUNTER_KIND: sum(one.confirmed for one in counters)}
    for kind in KINDS:
        by_kind[kind.name] = sum(wish.kind is kind for wish in wishes)
    confirmed = sum(by_kind.values())
    lost = sum(one.lost for one in counters) + len(missing)
    doubled = sum(one.doubled for one in counters)
    judged = [exchange for exchange in exchanges if exchange.phase in PHASES]
    unanswered = sum(exchange.replied_s is None for exchange in judged)
    timed = {
        phase: [one for one in judged if one.phase == phase and one.replied_s is not None] for phase in PHASES
    }
    latencies = {phase: [one.latency_ms or 0.0 for one in said] for phase, said in timed.items()}
    answers = {phase: len(said) for phase, said in timed.items()}
    p99_ms = _percentiles(latencies, 99)
    subtracted = [one.subtracted_ms for one in judged if one.subtracted_ms >= SUBTRACTED_MIN_MS]
    return Verdict(
        confirmed=confirmed,
        stored=sum(one.found for one in counters) + _stored_texts(wishes, found),
        lost=lost,
        doubled=doubled,
        unanswered=unanswered,
        drained=drained,
        p50_ms=_percentiles(latencies, 50),
        p99_ms=p99_ms,
        raw_p99_ms=_percentiles(
            {phase: [one.raw_ms or 0.0 for one in said] for phase, said in timed.items()}, 99
        ),
        subtracted_ms=sum(subtracted),
        subtracted_replies=len(subtracted),
        answers=answers,
        confirmed_by_kind=by_kind,
        broken=(
            *_broken(lost, doubled, unanswered, drained),
            *_slower(p99_ms, latencies["during"]),
            *((f"the bot ended with exit code {exit_code} instead of 0",) if exit_code else ()),
        ),
        not_measured=tuple(_not_measured(answers, confirmed)),
        counters=counters,
        missing=missing,
        extra={**(extra or {}), "bot_exit_code": exit_code},
    )


def _broken(lost: int, doubled: int, unanswered: int, drained: bool) -> Iterator[str]:
    if lost:
        yield f"{lost} changes that viewers were told of are not in the database"
    if doubled:
        yield f"{doubled} changes are in the database more than once"
    if unanswered:
        yield f"{unanswered} commands were never answered"
    if not drained:
        yield "the bot did not save everything in time after the database was back"


def _slower(p99_ms: Mapping[Phase, float | None], during_ms: Sequence[float]) -> Iterator[str]:
    before, during = p99_ms["before"], p99_ms["during"]
    if before is None or during is None or during <= before + P99_SLACK_MS:
        return
    if sum(latency > before + P99_SLACK_MS for latency in during_ms) >= SLOW_ANSWERS_MIN:
        yield (
            f"without the database p99 was {during:.1f} ms, more than {P99_SLACK_MS:g} ms above "
            f"the {before:.1f} ms before"
        )


def _not_measured(answers: Mapping[Phase, int], confirmed: int) -> Iterator[str]:
    if not answers["before"]:
        yield "no command was answered before the database went down"
    if not answers["during"]:
        yield "no command was answered while the database was down"
    if not confirmed:
        yield "no change was confirmed to a viewer"


def _percentiles(values: Mapping[Phase, Sequence[float]], percent: float) -> dict[Phase, float | None]:
    return {phase: percentile(found, percent) if found else None for phase, found in values.items()}


def _counters(
    exchanges: Iterable[Exchange], rows: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[Counter]:
    asked: dict[tuple[str, str], list[Exchange]] = {}
    for exchange in exchanges:
        if match := _COUNT.fullmatch(exchange.text):
            asked.setdefault((exchange.channel, match["name"].lower()), []).append(exchange)
    for (channel, name), wishes in asked.items():
        told = [value for wish in wishes if (value := _value_told(wish, name)) is not None]
        yield Counter(
            channel=channel,
            name=name,
            told=max(told, default=0),  # +1 only: the highest value is the last
            confirmed=len(told),
            asked=len(wishes),
            stored=_stored_number(rows.get(channel, ()), name),
        )


def _value_told(exchange: Exchange, name: str) -> int | None:
    match = _TOLD.fullmatch(visible(exchange.reply))
    return int(match["value"]) if match and match["name"].lower() == name else None


def _wishes(exchanges: Iterable[Exchange]) -> Iterator[Wish]:
    for exchange in exchanges:
        for kind in KINDS:
            match = kind.wish.fullmatch(exchange.text)
            if match and kind.confirmation.search(visible(exchange.reply)):
                yield Wish(exchange.channel, match["text"].strip(), kind)


def _found(wishes: Sequence[Wish], rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[bool]:
    """For each wish, whether its text is in the rows of its channel."""
    texts = {
        channel: frozenset(text for data in held for text in _texts(data)) for channel, held in rows.items()
    }
    return [wish.text in texts.get(wish.channel, ()) for wish in wishes]


def _last(wishes: Sequence[Wish]) -> dict[tuple[str, str], int]:
    """The index of the last wish of each kind in each channel."""
    return {(wish.channel, wish.kind.name): index for index, wish in enumerate(wishes)}


def _missing(wishes: Sequence[Wish], found: Sequence[bool]) -> Iterator[str]:
    last = _last(wishes)
    for index, wish in enumerate(wishes):
        replaced = wish.kind.replaceable and last[wish.channel, wish.kind.name] != index
        if not found[index] and not replaced:
            yield f"{wish.channel}: {wish.text}"


def _stored_texts(wishes: Sequence[Wish], found: Sequence[bool]) -> int:
    """How many wishes are in the rows, themselves or, where a later one replaces them, by the last of their kind."""
    last = _last(wishes)
    return sum(
        found[last[wish.channel, wish.kind.name]] if wish.kind.replaceable else found[index]
        for index, wish in enumerate(wishes)
    )


def _stored_number(rows: Iterable[Mapping[str, Any]], name: str) -> int:
    """The number under a key of this name, 0 if there is none."""
    for data in rows:
        for key, value in _entries(data):
            if key == name and isinstance(value, int) and not isinstance(value, bool):
                return value
    return 0


def _entries(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key), inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)


def _texts(value: object) -> Iterator[str]:
    """Every text in a JSON value: keys of objects, and strings wherever they stand."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _rounded(values: Mapping[Phase, float | None]) -> dict[str, float | None]:
    return {phase: None if value is None else round(value, 3) for phase, value in values.items()}
