"""Which channels the bot is in: the list at boot, its fallback, and reconciliation ever after.

Theory of operation
-------------------
At boot the database has ``boot_timeout_s`` (3 s) to name the channels. If it cannot, the last known list (journal) and
``TWITCH_CHANNEL_LOGINS`` are joined instead, and the log says which. From then on the list is read every
``refresh_s`` (60 s), at once after the epoch was taken, and as soon as the database is back. Each list that counts is
*reconciled*:

* enabled channels that are not joined are joined;
* channels that are in the list and disabled, or have disappeared from it, are parted, except those of
  ``TWITCH_CHANNEL_LOGINS``: they are never parted;
* an empty list never parts anybody: it is more likely a wiped table than a wish;
* each row becomes the base of the channel's configuration in RAM: a human's pause counts from here on.

A list counts only with the schema's sentinel row in it; the store sees to that. A failed read changes nothing: a
channel paused in the database is neither forgotten nor overwritten by defaults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec
import structlog

from byte_bot.errors import DatabaseError
from byte_bot.persistence.journal import KnownChannel, KnownChannels
from byte_bot.persistence.layer import PersistenceLayer
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.row import CONFIG_TABLE
from byte_bot.persistence.store import DatabaseStore

#: Seconds the database has at boot before the bot goes on without it (DESIGN section 3).
BOOT_TIMEOUT_S = 3.0
#: Seconds between two tries while the list cannot be read; the link's breaker spaces the requests themselves.
RETRY_S = 1.0

_log = structlog.get_logger(__name__)


class Roster(Protocol):
    """Whoever joins and parts channels: the transport."""

    def join(self, channels: Iterable[str]) -> None:
        """Join these logins; those already joined are passed over."""
        ...

    def part(self, channels: Iterable[str]) -> None:
        """Part these logins."""
        ...


class _Columns(msgspec.Struct):
    """What the directory itself reads of a configuration row."""

    channel_id: str = ""
    enabled: bool = True


def _forget(login: str, channel_id: str) -> None:
    """The default of ``learn``."""


class ChannelDirectory:
    """See the module's docstring.

    Args:
        layer: rows and the way to the database.
        store: the database, None without Supabase settings.
        roster: joins and parts.
        fixed_logins: ``TWITCH_CHANNEL_LOGINS``, joined in any case.
        preload: called with logins and ids of channels about to be joined, as far as the ids are known.
        learn: called with login and id of a listed channel whose row does not have the id yet.
        boot_timeout_s, refresh_s: seconds.
    """

    def __init__(
        self,
        layer: PersistenceLayer,
        store: DatabaseStore | None,
        roster: Roster,
        *,
        fixed_logins: Iterable[str],
        preload: Callable[[Mapping[str, str]], None],
        learn: Callable[[str, str], None] = _forget,
        boot_timeout_s: float = BOOT_TIMEOUT_S,
        refresh_s: float = 60.0,
    ) -> None:
        self._layer = layer
        self._store = store
        self._roster = roster
        self._fixed = tuple(dict.fromkeys(fixed_logins))
        self._preload = preload
        self._learn = learn
        self._boot_timeout_s = boot_timeout_s
        self._refresh_s = refresh_s
        self._again = asyncio.Event()
        #: Logins the bot wants to be in, with Twitch's id where it is known.
        self.wanted: dict[str, str] = {}
        #: True once a list of the database has been reconciled.
        self.reconciled = False
        layer.on_epoch = self._again.set

    async def boot(self, known: Iterable[KnownChannel]) -> None:
        """Decide on the first channels and join them; ``known`` is the journal's last list."""
        self._ids = {channel.login: channel.channel_id for channel in known}
        try:
            async with asyncio.timeout(self._boot_timeout_s):
                await self._layer.ensure_epoch()
                await self._refresh()
            if not self.reconciled:
                self._fall_back("the list was read under an epoch that was given up meanwhile")
        except (DatabaseError, TimeoutError) as error:
            self._fall_back(str(error) or f"no answer within {self._boot_timeout_s:g} s")

    async def run(self) -> None:
        """Keep the list up to date until cancelled."""
        failed = False
        while True:
            # A list that could not be read is asked for again at once: the link lets the try through when it may succeed.
            wait_s = self._refresh_s if self.reconciled and not failed else RETRY_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._again.wait()
            except TimeoutError:
                pass
            if self._store is None:
                continue
            try:
                await self._layer.ensure_epoch()
                await self._refresh()
                failed = False
            except DatabaseError as error:
                failed = True
                _log.debug("channel_list_failed", why=str(error))

    def name_channel(self, login: str, channel_id: str) -> None:
        """Twitch told the id of a channel on JOIN: remember it, and preload."""
        if login in self.wanted and self.wanted[login] != channel_id:
            self.wanted[login] = channel_id
            self._remember()
        self._preload({login: channel_id})
        self._learn(login, channel_id)

    def _fall_back(self, why: str) -> None:
        self.wanted = {**self._ids, **{login: self._ids.get(login, "") for login in self._fixed}}
        _log.warning(
            "channels_without_database",
            why=why,
            channels=list(self.wanted),
            from_last_known=[login for login in self._ids if login not in self._fixed],
            from_settings=list(self._fixed),
        )
        self._join(self.wanted)

    async def _refresh(self) -> None:
        assert self._store is not None
        self._again.clear()
        serial, epoch = self._layer.next_serial(), self._layer.epoch
        bases = await self._layer.link.call(self._store.list_channels)
        if epoch != self._layer.epoch:
            self._again.set()
            return
        self._reconcile(bases)
        for login, base in bases.items():
            self._layer.deliver(RowKey(CONFIG_TABLE, login), base, serial)
        for login in self.wanted:
            if login not in bases:
                self._layer.deliver(RowKey(CONFIG_TABLE, login), ABSENT, serial)
        for login, channel_id in self.wanted.items():
            if channel_id and login in bases and _columns(bases[login]).channel_id != channel_id:
                self._learn(login, channel_id)

    def _reconcile(self, bases: dict[str, Base]) -> None:
        listed = {login: _columns(base) for login, base in bases.items()}
        wanted = {login: row.channel_id for login, row in listed.items() if row.enabled}
        for login in self._fixed:
            wanted.setdefault(login, listed[login].channel_id if login in listed else "")
        for login, channel_id in self.wanted.items():
            if not listed and login not in wanted:
                wanted[login] = channel_id  # an empty list parts nobody
            if login in wanted and channel_id:
                wanted[login] = channel_id  # Twitch named it, or an earlier list
        joined = [login for login in wanted if login not in self.wanted]
        parted = [login for login in self.wanted if login not in wanted]
        changed = wanted != self.wanted or not self.reconciled
        self.wanted = wanted
        if changed:
            _log.info("channels_reconciled", channels=len(wanted), joined=joined, parted=parted)
            self._remember()
        self.reconciled = True
        self._roster.part(parted)
        self._join({login: wanted[login] for login in joined})

    def _join(self, channels: dict[str, str]) -> None:
        self._preload({login: channel_id for login, channel_id in channels.items() if channel_id})
        self._roster.join(channels)

    def _remember(self) -> None:
        channels = [KnownChannel(login, channel_id) for login, channel_id in self.wanted.items()]
        self._layer.journal.append([KnownChannels(channels)])


def _columns(base: Base) -> _Columns:
    try:
        return msgspec.json.decode(base.data or b"{}", type=_Columns)
    except msgspec.ValidationError:
        return _Columns()
