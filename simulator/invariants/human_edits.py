"""P4: what a human did in the table editor is never overwritten by a bot that has not seen it.

Only humans move a row's ``edit_no``; a save names, for each row, the number that its sender knew (none: it knew no row).
Just before a save is carried out the rows that it names are looked at, with all that humans have done to them so far, and
once more just after. A row that the save has changed must have had the very number that the save named, and must have it
still; a row that a human has deleted may come back only from a sender who knew of none. Nothing of this is taken from the
save's answer.

Left out: whether a sender who had seen an edit merged it well: `human_values` asks that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from simulator.invariants.newest_wins import GUARDED
from simulator.supabase.server import RequestRecord

if TYPE_CHECKING:
    from simulator.world import World

Key = tuple[str, str, str]
Rows = dict[Key, dict[str, Any]]


class HumanEdits:
    """See the module's docstring."""

    name = "human_edits"
    restless = False

    def __init__(self) -> None:
        self._known: dict[Key, int | None] = {}
        self._before: Rows = {}

    def started(self, world: World) -> None:
        """Look at the rows around every save."""

        def remember(arguments: Mapping[str, Any]) -> None:
            self._known = dict(_numbers_named(arguments))
            self._before = _rows(world, self._known)

        def compare(_record: RequestRecord) -> None:
            # Also called for requests that are no saves, or that a fault kept from the database: nothing was remembered.
            known, self._known = self._known, {}
            after = _rows(world, known)
            for key, edit_no in known.items():
                words = _fault_in(self._before.get(key), after.get(key), edit_no)
                if words:
                    world.violated(self.name, f"{'/'.join(key)} {words}")

        world.supabase.observe_saves(remember)
        world.supabase.observe(compare)

    def sampled(self, world: World) -> None:
        """Nothing: every save was seen."""

    def converged(self, world: World) -> None:
        """Nothing: every save was seen."""


def _fault_in(before: dict[str, Any] | None, after: dict[str, Any] | None, known: int | None) -> str:
    """What a save has done wrong to a row of which its sender knew the edit number ``known``; empty if nothing."""
    if after is None or after == before:
        return ""
    if before is None:
        return (
            "" if known is None else "was deleted by a human, and a save that did not know it brought it back"
        )
    if after["edit_no"] != before["edit_no"]:
        return f"had the edit number {before['edit_no']}, and a save made it {after['edit_no']}"
    # A sender that knew no row may find its own insert, whose answer was lost: no human has touched that one.
    if (known or 0) != before["edit_no"]:
        return f"had the edit number {before['edit_no']}, and a save that knew {known} wrote over it"
    return ""


def _numbers_named(arguments: Mapping[str, Any]) -> Iterator[tuple[Key, int | None]]:
    for row in arguments.get("p_rows") or ():
        yield (row["table"], row["channel_id"], row.get("key", "")), row["edit_no"]
    for patch in arguments.get("p_patches") or ():
        yield ("channels_config", patch["login"], ""), patch["edit_no"]


def _rows(world: World, wanted: Mapping[Key, object]) -> Rows:
    found: Rows = {}
    for table, owner, name in wanted:
        if table in GUARDED:
            row = world.supabase.view(table).get((owner, name) if table == "component_state" else (owner,))
            if row is not None:
                found[table, owner, name] = row
    return found
