"""After the drain: what is in the database = what is in RAM = what viewers were told.

* Every row of the database that the bot holds in RAM has the value that components see in RAM at that moment, not the
  value that the bot believes it saved; and nothing in RAM waits. A row that a human has edited since may differ: the bot
  learns of an edit of state when it saves the row next, or loads it. Fields of the stored row that RAM does not know
  belong to a newer program, and are passed over; a field that is not stored has its default, and a part of an entry that is not stored (a
  command whose author a human did not enter) is empty. Of a process that was superseded and
  does not know it yet, since it has had nothing to save, RAM is not judged.
* What viewers were told: the world keeps its own account (:mod:`simulator.account`) of each change that the bot
  *confirmed* in chat. At the end each counter in the database must have the value that the confirmed changes make, and
  games, moods, styles, scenes, notes, quotes and commands must be there as they were confirmed, or gone. So a confirmed
  change that was lost shows, and so does one that was applied twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from byte_bot.persistence.operations import RowKey
from byte_bot.persistence.row import Row

if TYPE_CHECKING:
    from byte_bot.app import Application
    from simulator.world import World

#: Where the values of the StreamContext are stored, by the command that sets them.
STREAM_FIELDS: Mapping[str, str] = {"game": "current_game", "vibe": "vibe", "style": "style_profile"}


class Agreement:
    """See the module's docstring."""

    name = "agreement"
    restless = False

    def started(self, world: World) -> None:
        """Nothing: it judges the end."""

    def sampled(self, world: World) -> None:
        """Nothing."""

    def converged(self, world: World) -> None:
        """Compare database, RAM and what was confirmed."""
        self._compare_ram(world)
        self._compare_counters(world)
        self._compare_values(world)
        self._compare_entries(world)

    def _compare_ram(self, world: World) -> None:
        app = world.app
        if app is None or is_superseded(world, app):
            return
        for key in list(app.layer.known_keys()):
            row = app.layer.row(key)
            if row.pending:
                world.violated(self.name, f"{'/'.join(key)} still waits with {len(row.pending)} operations")
            if key.table == "channels_config" or row.unreadable:
                continue  # what a human wrote there is theirs, also if it cannot be read
            stored = stored_row(world, key)
            if stored is not None and stored["edit_no"] != (row.base.edit_no or 0):
                continue  # edited by a human, who alone moves the number
            data = stored["data"] if stored is not None else None
            known = believed(row)
            spec = app.manager.find_spec(key)
            if known is not None and _differs(data, known, spec.defaults if spec else {}):
                world.violated(
                    self.name, f"{'/'.join(key)}: database {json.dumps(data)}, RAM {json.dumps(known)}"
                )

    def _compare_counters(self, world: World) -> None:
        for channel, counter in world.account.counters:
            possible = world.account.range_of(channel, counter)
            stored = world.counter(channel, counter)
            if possible is not None and not possible[0] <= stored <= possible[1]:
                world.violated(
                    self.name,
                    f"counter {counter!r} in #{channel}: viewers were told changes that make {possible[0]} to "
                    f"{possible[1]}, the database has {stored}",
                )

    def _compare_values(self, world: World) -> None:
        for (channel, subject, name), possible in world.account.state.values().items():
            stored = _stored_value(world, channel, subject, name)
            if stored not in possible:
                told = " or ".join(repr(text) for text in sorted(possible))
                world.violated(
                    self.name,
                    f"{f'{subject} {name}'.strip()} in #{channel}: viewers were told {told}, the database has "
                    f"{stored!r}",
                )

    def _compare_entries(self, world: World) -> None:
        for (channel, subject, text), (low, high) in world.account.state.entries().items():
            stored = _stored_texts(world, channel, subject).count(text)
            if not low <= stored <= high:
                world.violated(
                    self.name,
                    f"{subject} {text!r} in #{channel}: viewers were told of {low} to {high}, the database has "
                    f"{stored}",
                )


def is_superseded(world: World, app: Application) -> bool:
    """True if a process of another machine has taken a later epoch: this one learns of it when it saves next, and ends then."""
    return any(
        writer["epoch"] > app.layer.epoch and not app.layer.claimant.took(writer["holder"])
        for writer in world.supabase.view("bot_writer").values()
    )


def stored_row(world: World, key: RowKey) -> Mapping[str, Any] | None:
    """A row of state as it stands in the database; None if there is none."""
    named = (key.channel_id, key.key) if key.table == "component_state" else (key.channel_id,)
    return world.supabase.view(key.table).get(named)


def believed(row: Row) -> dict[str, Any] | None:
    """What RAM holds: what components see; of a row that none has asked for, what would be shown to them."""
    shown = row.shown()
    if shown is None and row.base.data is not None:
        return msgspec.json.decode(row.base.data, type=dict)
    return shown


def _differs(data: Mapping[str, Any] | None, known: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    stored = {**defaults, **(data or {})}
    return not all(_agree(stored.get(name), value) for name, value in known.items())


def _agree(stored: object, known: object) -> bool:
    """Whether a field is the same in both; of an entry that a human has made not every part need be stored."""
    if not (isinstance(stored, Mapping) and isinstance(known, Mapping)) or stored == known:
        return stored == known
    return stored.keys() == known.keys() and all(_same_entry(stored[name], known[name]) for name in known)


def _same_entry(stored: object, known: object) -> bool:
    if not (isinstance(stored, Mapping) and isinstance(known, Mapping)):
        return stored == known
    return stored.keys() <= known.keys() and all(
        stored[name] == value if name in stored else not value for name, value in known.items()
    )


def _stored_value(world: World, channel: str, subject: str, name: str) -> str:
    """What the database has of a value, "" if nothing."""
    channel_id = world.channels[channel]
    if subject == "cmd":
        commands = (world.stored("component_state", channel_id, "custom_commands") or {}).get("commands", {})
        return str(commands.get(name, {}).get("text", ""))
    stream = world.stored("channel_state", channel_id) or {}
    if subject == "scene":
        return str(stream.get("observability", {}).get(name, ""))
    return str(stream.get(STREAM_FIELDS[subject], ""))


def _stored_texts(world: World, channel: str, subject: str) -> list[str]:
    """The texts of the notes or quotes in the database."""
    channel_id = world.channels[channel]
    if subject == "note":
        entries = (world.stored("channel_state", channel_id) or {}).get("notes", {})
    else:
        entries = (world.stored("component_state", channel_id, "quotes") or {}).get("quotes", {})
    return [str(entry["text"]) for entry in entries.values()]
