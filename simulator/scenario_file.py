"""A night as a file: TOML that says everything of a scenario, checked when it is read, and written from one.

    summary = "a raid while the database hangs"
    duration_s = 60
    channels = ["lobby"]

    [[crowds]]
    kind = "raid"
    channel = "lobby"
    at_s = 20
    viewers = 300

    [[faults]]
    kind = "hang"
    start_s = 15
    duration_s = 30

How it works. The keys are the fields of :class:`~simulator.scenario.Scenario`, of its crowds (:mod:`simulator.audience`), of its
faults (:mod:`simulator.faults`, as at the control address) and of its disk's latency, so a new field needs no word here. Besides,
a file may say ``seed``, ``ready_order`` and ``transport``: then it is, together with a commit, one run. Every mistake is told at
once, with its line; what only the parts know (a rate below zero) they say themselves, and the line is that of the field they name.

:func:`night_toml` writes what differs from the defaults, and reads it back before it gives it away. Whole numbers stay whole in
both directions: ``5`` and ``5.0`` are one time and two traces, since the trace holds what was planned.

Left out: scripts other than those of :mod:`simulator.scripts`; null, which TOML does not have, in the values of a human's edit;
files that include others.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

from simulator import toml_values as read
from simulator.audience import ROLES, Chatter, CommandStorm, Crowd, Raid, Spoken, Utterance
from simulator.errors import SimulatorError
from simulator.faults import KINDS, Fault, FaultError, fault_from_json
from simulator.loop import ReadyOrder
from simulator.scenario import DEFAULT_CHANNELS, DiskLatency, Scenario
from simulator.scenario_settings import REFUSED, setting_names, wrong_values
from simulator.scripts import SCRIPTS
from simulator.spelling import unknown
from simulator.toml_text import Place, broken_line, nearest_line, toml_key, toml_lines, toml_value
from simulator.world_twitch import Transport

CROWDS: Final[Mapping[str, type[Crowd]]] = {
    "chatter": Chatter, "raid": Raid, "command_storm": CommandStorm, "spoken": Spoken,
}  # fmt: skip


class ScenarioFileError(SimulatorError):
    """A file that is no night, or a night that no file can say; the message has a line for each mistake."""


@dataclass(frozen=True)
class NightFile:
    """What a file says; together with a commit it decides every event."""

    scenario: Scenario
    seed: int = 1
    ready_order: ReadyOrder = "fifo"
    transport: Transport = "irc"


def names_a_file(name: str) -> bool:
    """True if this is the path of a scenario file, and not the name of a scenario."""
    return name.endswith(".toml") or "/" in name or "\\" in name


def read_night(path: Path) -> NightFile:
    """Read a scenario file; raises :class:`ScenarioFileError` with file and line of each mistake."""
    content = b""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except OSError as error:
        raise ScenarioFileError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ScenarioFileError(f"{path}, line {line}: it is not UTF-8") from None
    return parse_night(text, str(path))


def parse_night(text: str, name: str) -> NightFile:
    """The night that a text says; ``name`` is the file's, for messages, and without its end the scenario's unless it says one."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioFileError(f"{name}, line {broken_line(text, error)}: no TOML: {error}") from None
    except RecursionError:
        raise ScenarioFileError(f"{name}: no scenario is nested that deeply") from None
    return _Reading(name, toml_lines(text)).night(table)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


#: How a field is read that has no rule of its own, by its annotation.
_BY_TYPE: Final[Mapping[str, read.Reader]] = {
    "bool": read.flag,
    "float": read.number,
    "int": read.whole_number,
    "str": read.text,
    "Role": read.choice(*ROLES),
    "tuple[Role, ...]": read.each(read.choice(*ROLES)),
    "tuple[str, ...]": read.each(read.text),
}
_CROWD_RULES: Final[Mapping[str, read.Reader]] = {"channel": read.login, "lines": read.each(read.table)}
_UTTERANCE_RULES: Final[Mapping[str, read.Reader]] = {"channel": read.login, "login": read.login}
_NIGHT_RULES: Final[Mapping[str, read.Reader]] = {
    "channels": read.some_logins,
    "crowds": read.tables,
    "disk": read.choice("kept", "lost"),
    "disk_latency": read.table,
    "duration_s": read.above_zero,
    "faults": read.tables,
    "fixed": read.logins,
    "latency_ms": read.finite,
    "listed": read.logins,
    "script": read.choice(*SCRIPTS),
    "settings": read.table,
}
#: What a file says beside its scenario.
_BESIDE: Final[Mapping[str, read.Reader]] = {
    "seed": read.whole_number,
    "ready_order": read.choice("fifo", "random"),
    "transport": read.choice("irc", "eventsub"),
}


def _readers(kind: type, rules: Mapping[str, read.Reader]) -> dict[str, read.Reader]:
    """How each field of a dataclass is read."""
    return {
        item.name: rules[item.name] if item.name in rules else _BY_TYPE[str(item.type)]
        for item in dataclasses.fields(kind)
    }


class _Reading:
    """One text being read: collects every mistake with its line."""

    def __init__(self, name: str, lines: Mapping[Place, int]) -> None:
        self._name = name
        self._lines = lines
        self._mistakes: list[tuple[int, str]] = []

    def night(self, table: Mapping[str, Any]) -> NightFile:
        for place in _dates(table, ()):
            self._wrong(
                place, "a date or a time stands here, for which nothing has a use: write a text in quotes"
            )
        self._raise()
        values = self._fields(table, (), {**_readers(Scenario, _NIGHT_RULES), **_BESIDE}, "")
        channels = values.get("channels", DEFAULT_CHANNELS)
        crowds = [
            self._crowd(item, ("crowds", number)) for number, item in enumerate(values.pop("crowds", ()))
        ]
        if "channels" in values or "channels" not in table:
            self._check_channels(crowds, channels)
        faults = [
            self._fault(item, ("faults", number)) for number, item in enumerate(values.pop("faults", ()))
        ]
        if "script" not in table and ("duration_s" in values or "duration_s" not in table):
            self._check_begins(faults, values.get("duration_s", Scenario.duration_s))
        settings = self._settings(values.pop("settings", {}))
        if "disk_latency" in values:
            values["disk_latency"] = self._built(
                DiskLatency, values["disk_latency"], ("disk_latency",), {}, "disk_latency: "
            )
        if "script" in values:
            values["script"] = SCRIPTS[values["script"]]
        self._raise()
        beside = {name: values.pop(name) for name in _BESIDE if name in values}
        said = {"name": PurePath(self._name).stem, "summary": "", **values}
        scenario = Scenario(
            **said,
            crowds=tuple(filter(None, crowds)),
            faults=tuple(filter(None, faults)),
            settings=settings,
        )
        return NightFile(scenario, **beside)

    def _wrong(self, place: Place, words: str) -> None:
        line = nearest_line(self._lines, place)
        self._mistakes.append((line, f"{self._name}, line {line}: {words}"))

    def _raise(self) -> None:
        """Raise what was found wrong so far, in the order of the lines."""
        told = sorted(self._mistakes, key=lambda mistake: mistake[0])
        if told:
            raise ScenarioFileError("\n".join(words for _, words in told))

    def _fields(
        self, table: Mapping[str, Any], place: Place, readers: Mapping[str, read.Reader], about: str
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in table.items():
            if name not in readers:
                self._wrong((*place, name), about + unknown("key", name, readers))
                continue
            try:
                found[name] = readers[name](value)
            except read.WrongValue as wrong:
                self._wrong((*place, name, *wrong.parts), f"{about}{name} {wrong}")
        return found

    def _built(
        self,
        kind: type[Any],
        table: Mapping[str, Any],
        place: Place,
        rules: Mapping[str, read.Reader],
        about: str,
    ) -> Any:
        """An object of a dataclass from a table, or None after a mistake."""
        before = len(self._mistakes)
        values = self._fields(table, place, _readers(kind, rules), about)
        for item in dataclasses.fields(kind):
            required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
            if required and item.name not in table:
                self._wrong(place, f"{about}{item.name} is missing")
        if kind is Spoken and "lines" in values:
            values["lines"] = tuple(
                self._built(Utterance, line, (*place, "lines", number), _UTTERANCE_RULES, about)
                for number, line in enumerate(values["lines"])
            )
        if len(self._mistakes) > before:
            return None
        try:
            return kind(**values)
        except ValueError as error:
            self._wrong(_blamed(table, place, str(error)), str(error))
            return None

    def _crowd(self, table: Mapping[str, Any], place: Place) -> Crowd | None:
        kind = table.get("kind")
        if not isinstance(kind, str) or kind not in CROWDS:
            self._wrong((*place, "kind"), unknown("kind of crowd", kind, CROWDS))
            return None
        said = {name: value for name, value in table.items() if name != "kind"}
        crowd: Crowd | None = self._built(CROWDS[kind], said, place, _CROWD_RULES, f"{kind}: ")
        return crowd

    def _check_channels(self, crowds: Iterable[Crowd | None], channels: tuple[str, ...]) -> None:
        for number, crowd in enumerate(crowds):
            parts: dict[Place, str] = {}
            if isinstance(crowd, Spoken):
                parts = {("lines", at, "channel"): line.channel for at, line in enumerate(crowd.lines)}
            elif crowd is not None:
                parts = {("channel",): crowd.channel}
            for part, channel in parts.items():
                if channel not in channels:
                    self._wrong(("crowds", number, *part), unknown("channel", channel, channels))

    def _fault(self, table: Mapping[str, Any], place: Place) -> Fault | None:
        if not isinstance(table.get("inner", {}), dict):
            self._wrong((*place, "inner"), 'inner must be a table such as { kind = "hang" }')
            return None
        try:
            return fault_from_json(table)
        except FaultError as error:
            self._wrong(_blamed(table, place, str(error)), str(error))
            return None

    def _check_begins(self, faults: Iterable[Fault | None], duration_s: float) -> None:
        """Refuse faults that begin with the heal or after it, which is at this second unless a script takes longer."""
        for number, fault in enumerate(faults):
            if fault is not None and fault.start_s >= duration_s:
                self._wrong(
                    ("faults", number, "start_s"),
                    f"{fault.kind}: start_s is {fault.start_s:g}, and at duration_s ({duration_s:g}) everything is healed, so it would "
                    "never strike: begin it earlier, or make duration_s longer",
                )

    def _settings(self, table: Mapping[str, Any]) -> dict[str, Any]:
        allowed = setting_names()
        found: dict[str, Any] = {}
        for name, value in table.items():
            if name in REFUSED:
                self._wrong(("settings", name), f"settings: {name} is not for a file: {REFUSED[name]}")
            elif name not in allowed:
                self._wrong(("settings", name), f"settings: {unknown('setting', name, allowed)}")
            else:
                found[name] = tuple(value) if isinstance(value, list) else value
        for name, words in wrong_values(found):
            self._wrong(("settings", name), f"settings: {words}")
        return found


def _dates(value: object, place: Place) -> Iterator[Place]:
    """Where dates and times stand."""
    if isinstance(value, datetime.date | datetime.time):
        yield place
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _dates(item, (*place, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _dates(item, (*place, number))


def _blamed(table: Mapping[str, Any], place: Place, words: str) -> Place:
    """The place of what a part's own words complain about: a line of a dialogue, a field; else the whole table."""
    inner, kind = table.get("inner"), str(table.get("kind"))
    if isinstance(inner, Mapping) and kind in KINDS and not words.startswith(f"{kind}: "):
        return _blamed(inner, (*place, "inner"), words)
    line = re.search(r"\bline (\d+)", words)
    if line and isinstance(table.get("lines"), list):
        return (*place, "lines", int(line[1]) - 1)
    # What is allowed, and what was given, may hold names of fields too. The last one named is what "must be" something.
    complaint = re.split(r";|, got ", words)[0]
    named = [name for name in table if repr(name) in complaint] or [
        found[0] for found in re.finditer(r"\w+", complaint) if found[0] in table
    ]
    return (*place, named[-1]) if named else place


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def night_toml(night: NightFile) -> str:
    """The text of a file from which :func:`read_night` makes an equal night; only what differs from the defaults.

    Raises:
        ScenarioFileError: no file can say it (a script of a test, a null, a setting that is no file's business).
    """
    scenario = night.scenario
    cannot = f"the night {scenario.name!r} cannot be written as a file"
    if scenario.script is not None and scenario.script not in SCRIPTS.values():
        raise ScenarioFileError(f"{cannot}: its script is none of {', '.join(SCRIPTS)}")
    try:
        text = "\n".join(_written(night))
    except ValueError as error:
        raise ScenarioFileError(f"{cannot}: {error}") from None
    if parse_night(text, scenario.name) != night:
        raise ScenarioFileError(f"{cannot}: what was read back differs (a list where a tuple belongs, say)")
    return text


def _written(night: NightFile) -> Iterator[str]:
    scenario = night.scenario
    parts = ("crowds", "faults", "settings", "disk_latency", "script", "scenario")
    for name, value in (*_said(scenario), *_said(night)):
        if name not in parts:
            yield f"{name} = {toml_value(value)}"
    for name, script in SCRIPTS.items():
        if script is scenario.script:
            yield f"script = {toml_value(name)}"
    if scenario.disk_latency is not None:
        yield from (
            "",
            "[disk_latency]",
            *(f"{name} = {toml_value(item)}" for name, item in _said(scenario.disk_latency)),
        )
    if scenario.settings:
        yield from ("", "[settings]")
        yield from (f"{toml_key(name)} = {toml_value(item)}" for name, item in scenario.settings.items())
    kinds = {kind: name for name, kind in CROWDS.items()}
    for crowd in scenario.crowds:
        yield from ("", "[[crowds]]", f"kind = {toml_value(kinds[type(crowd)])}")
        for name, value in _said(crowd):
            yield from _lines(value) if name == "lines" else (f"{name} = {toml_value(value)}",)
    for fault in scenario.faults:
        yield from ("", "[[faults]]")
        yield from (f"{name} = {toml_value(value)}" for name, value in _fault_table(fault).items())
    yield ""


def _lines(lines: Iterable[Utterance]) -> Iterator[str]:
    yield "lines = ["
    for line in lines:
        yield f"    {toml_value(dict(_said(line)))},"
    yield "]"


def _fault_table(fault: Fault) -> dict[str, Any]:
    said = ((name, _fault_table(item) if isinstance(item, Fault) else item) for name, item in _said(fault))
    return {"kind": fault.kind, **dict(said)}


def _said(part: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a dataclass that differ from their defaults, also where 1 stands for 1.0."""
    for item in dataclasses.fields(part):
        value = getattr(part, item.name)
        default = item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default
        if value != default or type(value) is not type(default):
            yield item.name, value
