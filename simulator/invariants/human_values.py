"""P4: what a human entered in the table editor is there at the end, in the database and in the bot's RAM.

`human_edits` sees to it that no save writes over an edit that its sender has not seen. This one asks what became of the edit once the bot
had seen it: a bot that takes the new number and keeps the old values writes over it all the same, and then database and RAM agree.

How it works. Of every row that a human changes it compares what the row was with what it is, and remembers each value below the
mappings of :data:`MAPPINGS` that is new: it is the human's, until a human changes it again, takes it away, or deletes the row. At the end it
must stand in the database; and in RAM, if the bot knows of the row's last edit: of one it learns when it saves the row next, or loads it.

Left out: keys that anybody in the channel's chat has named, at whatever time (the last word on them may be chat's); mappings whose entries
chat calls by a number (notes, quotes) and single values (a game), of which it has the last word more often than not; in RAM
a row that the bot cannot read as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from byte_bot.persistence.operations import RowKey
from simulator.invariants.agreement import believed, is_superseded, stored_row
from simulator.supabase.engine import Row
from simulator.twitch.events import SentMessage

if TYPE_CHECKING:
    from simulator.world import World

#: By table and key of a row, the field that maps names to values: names that people type when they mean one.
MAPPINGS: Final[Mapping[tuple[str, str], str]] = {
    ("channel_state", ""): "observability",
    ("component_state", "counters"): "values",
    ("component_state", "custom_commands"): "commands",
}
#: As names are told apart in chat: letters and digits, - and _.
_WORD: Final = re.compile(r"[\w-]+")

#: The names on the way to a value, the first one that of the entry.
Path = tuple[str, ...]


class HumanValues:
    """See the module's docstring."""

    name = "human_values"
    restless = False

    def __init__(self) -> None:
        self._entered: dict[tuple[RowKey, Path], Any] = {}
        #: By channel every word that was said in it.
        self._said: dict[str, dict[str, None]] = {}
        self._bot_login = ""

    def started(self, world: World) -> None:
        """Look at every edit, and listen to chat."""
        self._bot_login = world.bot_login
        world.supabase.observe_edits(self._look)
        world.twitch.on_message(self._listen)

    def sampled(self, world: World) -> None:
        """Nothing: every edit was seen."""

    def converged(self, world: World) -> None:
        """Everything that humans have entered must be there."""
        logins = {channel_id: login for login, channel_id in world.channels.items()}
        for (key, path), value in self._entered.items():
            if path[0].casefold() in self._said.get(logins.get(key.channel_id, ""), ()):
                continue
            row = stored_row(world, key)
            places = {"the database": None if row is None else row["data"], **_in_ram(world, key, row)}
            for place, data in places.items():
                found = _values(data, key)
                if path not in found or found[path] != value:
                    words = json.dumps(found[path]) if path in found else "nothing"
                    told = f"{'/'.join(key)}: a human entered {json.dumps(value)} as {'.'.join(path)}"
                    world.violated(self.name, f"{told}, {place} has {words}")

    def _listen(self, message: SentMessage) -> None:
        if message.login != self._bot_login:
            words = _WORD.findall(message.text.casefold())
            self._said.setdefault(message.channel, {}).update(dict.fromkeys(words))

    def _look(self, table: str, before: Row | None, after: Row | None) -> None:
        row = after or before
        if row is None or "channel_id" not in row:
            return
        key = RowKey(table, row["channel_id"], row.get("key", ""))
        if after is None:
            self._entered = {place: value for place, value in self._entered.items() if place[0] != key}
            return
        was, now = {} if before is None else _values(before.get("data"), key), _values(after.get("data"), key)
        for path in was:
            if path not in now:
                self._entered.pop((key, path), None)
        for path, value in now.items():
            if path not in was or was[path] != value:
                self._entered[key, path] = value


def _in_ram(
    world: World, key: RowKey, stored: Mapping[str, Any] | None
) -> dict[str, Mapping[str, Any] | None]:
    """What the bot has of the row, under the words for it; nothing if that cannot be judged, or need not be there yet."""
    app = world.app
    if app is None or stored is None or is_superseded(world, app) or key not in app.layer.known_keys():
        return {}
    row = app.layer.row(key)
    if stored["edit_no"] != (row.base.edit_no or 0):
        return {}  # not seen yet, or not readable
    return {"RAM": believed(row)}


def _values(data: object, key: RowKey) -> dict[Path, Any]:
    """The values of the entries of a row's mapping, by their paths; none of a row that has no such mapping."""
    field = MAPPINGS.get((key.table, key.key))
    if field is None or not isinstance(data, Mapping):
        return {}
    return dict(_leaves(data.get(field), ()))


def _leaves(value: object, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*path, str(name)))
    elif path:
        yield path, value
