"""The database as a human sees it: looking at rows, and putting rows there before anything happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.account import Account
from simulator.conversation import StoryError
from simulator.supabase.server import FakeSupabase


class TableEditor:
    """Looks into the fake Supabase past all faults.

    Args:
        supabase: the database.
        channels: Twitch ids by login.
        account: learns which counters were there before anything was said.
    """

    def __init__(self, supabase: FakeSupabase, channels: Mapping[str, str], account: Account) -> None:
        self._supabase = supabase
        self._channels = channels
        self._account = account

    def stored(self, table: str, channel_id: str, key: str = "") -> Any:
        """The ``data`` of a stored row, None if there is no such row."""
        row = self._supabase.view(table).get(
            (channel_id, key) if table == "component_state" else (channel_id,)
        )
        return None if row is None else row["data"]

    def counter(self, channel: str, name: str) -> int:
        """A counter's value in the database."""
        data = self.stored("component_state", self._channels[channel], "counters") or {}
        return int(data.get("values", {}).get(name, 0))

    def store_counters(self, channel: str, **counters: int) -> None:
        """Have the database hold these counters already, as an earlier process would have left them."""
        self._supabase.human_insert(
            "component_state",
            {
                "channel_id": self._channels[channel],
                "key": "counters",
                "version": 1,
                "data": {"values": dict(counters)},
                "tombstones": {},
            },
        )
        for name, value in counters.items():
            self._account.open_with(channel, name, value)

    def config(self, login: str) -> dict[str, Any]:
        """A channel's row of ``channels_config``; raises :class:`StoryError` if there is none."""
        row = self._supabase.view("channels_config").get((login,))
        if row is None:
            raise StoryError(f"channels_config has no row for {login!r}")
        return dict(row)
