"""Which channels the bot is in: the list at boot, its fallback, and reconciliation ever after.

Theory of operation
-------------------
At boot the database has ``boot_timeout_s`` (3 s, 2 s if the journal has a list) to name the channels. If it cannot,
the last known list (journal) and ``TWITCH_CHANNEL_LOGINS`` are joined instead, configured as they last were: a channel that was told
to be left in silence is, in its language and under its prefix. The log says which they are. From then on the
list is read every ``refresh_s`` (60 s), at once after the epoch was taken, and as soon as the database is back. Each
list that counts is *reconciled*:

* enabled channels that are not joined are joined;
* channels that are in the list and disabled, or have disappeared from it, are parted, except those of
  ``TWITCH_CHANNEL_LOGINS``: they are never parted;
* an empty list never parts anybody, over a restart either: it is more likely a wiped table than a wish;
* each row becomes the base of the channel's configuration in RAM: a human's pause counts from here on. A channel that is about to be
  joined gets its own before its JOIN, 100 at a time: its first message may come before the last row of a long list has its turn;
* what was changed in a row that a human has deleted, of a channel that nobody wants any more, is given up: saved, it would make
  the row anew, and the bot would be back in the channel. So the bot makes a row for a channel of ``TWITCH_CHANNEL_LOGINS`` only; for
  any other, a change of a row that was found missing waits for the next list that says more than an empty one.

A list counts only with the schema's sentinel row in it; the store sees to that. A failed read changes nothing: a
channel paused in the database is neither forgotten nor overwritten by defaults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol

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
#: The same if the journal has a list: then more is to be gained by answering. A viewer waits 3 s at most for a restart.
KNOWN_TIMEOUT_S = 2.0
#: Seconds between two tries while the list cannot be read; the link's breaker spaces the requests themselves.
RETRY_S = 1.0
#: Channels of a list that are worked on before the loop has its turn; chosen: about 2 ms.
CHANNELS_AT_ONCE = 100
#: Seconds in which ids that Twitch names are gathered before the list is journaled, all of it, once.
REMEMBER_S = 1.0
#: Logins in a line of the log; of more only the number is said.
LOGINS_SHOWN_MAX = 100

_log = structlog.get_logger(__name__)


class Roster(Protocol):
    """Whoever joins and parts channels: the transport."""

    def join(self, channels: Iterable[str]) -> None:
        """Join these logins; those already joined are passed over."""
        ...

    def part(self, channels: Iterable[str]) -> None:
        """Part these logins."""
        ...


class _List(NamedTuple):
    """A list of the database: its rows, the layer's counter when it was asked for, and the epoch."""

    bases: dict[str, Base]
    serial: int
    epoch: int


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
        self._remembering: asyncio.TimerHandle | None = None
        #: Ids that Twitch named while a list was being reconciled.
        self._named: dict[str, str] = {}
        #: Logins the bot wants to be in, with Twitch's id where it is known.
        self.wanted: dict[str, str] = {}
        #: True once a list of the database has been reconciled.
        self.reconciled = False
        layer.on_epoch = self._again.set
        layer.may_list = frozenset(self._fixed).__contains__

    async def boot(self, known: Iterable[KnownChannel]) -> None:
        """Decide on the first channels and join them; ``known`` is the journal's last list."""
        self._ids = {channel.login: channel.channel_id for channel in known}
        timeout_s = min(self._boot_timeout_s, KNOWN_TIMEOUT_S) if self._ids else self._boot_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._layer.ensure_epoch()
                listed = await self._read()
        except (DatabaseError, TimeoutError) as error:
            await self._fall_back(str(error) or f"no answer within {timeout_s:g} s")
            return
        # Outside the deadline: it is the database's, and joining 100,000 channels takes its time.
        if listed is not None:
            if not listed.bases and self._ids:
                # As while the bot runs: it stays where it was before it was started anew.
                await self._fall_back("the database lists no channel at all")
            await self._apply(listed)
        if not self.reconciled:
            await self._fall_back("the list was read under an epoch that was given up meanwhile")

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
                listed = await self._read()
                if listed is not None:
                    await self._apply(listed)
                failed = False
            except DatabaseError as error:
                failed = True
                _log.debug("channel_list_failed", why=str(error))

    def name_channel(self, login: str, channel_id: str) -> None:
        """Twitch told the id of a channel on JOIN: remember it, and preload."""
        if login in self.wanted and self.wanted[login] != channel_id:
            self.wanted[login] = self._named[login] = channel_id
            if self._remembering is None:
                # Not for each of 100,000 JOINs: what a crash loses of it Twitch says again.
                loop = asyncio.get_running_loop()
                self._remembering = loop.call_later(REMEMBER_S, self._remember)
        self._preload({login: channel_id})
        self._learn(login, channel_id)

    async def _fall_back(self, why: str) -> None:
        self.wanted = {**self._ids, **{login: self._ids.get(login, "") for login in self._fixed}}
        _log.warning(
            "channels_without_database",
            why=why,
            channels=shown(self.wanted),
            from_last_known=shown([login for login in self._ids if login not in self._fixed]),
            from_settings=shown(self._fixed),
        )
        await self._join(self.wanted, self._layer.snapshot.restore_config)

    async def _read(self) -> _List | None:
        """Ask for the list; None if the epoch under which it was read was given up meanwhile."""
        assert self._store is not None
        self._again.clear()
        serial, epoch = self._layer.next_serial(), self._layer.epoch
        bases = await self._layer.link.call(self._store.list_channels, "list")
        if epoch != self._layer.epoch:
            self._again.set()
            return None
        return _List(bases, serial, epoch)

    async def _apply(self, listed: _List) -> None:
        """Reconcile, and take the rows over; the loop has its turn every :data:`CHANNELS_AT_ONCE` channels.

        Rows that are new go no faster than the journal's disk takes them.
        """
        bases, serial, epoch = listed
        joined = await self._reconcile(bases)
        absent: list[str] = []
        for number, login in enumerate(list(self.wanted), start=1):
            if login not in bases:
                absent.append(login)
            await _pause(number)
        orphans: list[RowKey] = []
        # An empty list parts nobody, and says as little about rows that wait.
        for number, key in enumerate(self._layer.ledger.keys_waiting if bases else (), start=1):
            login = key.channel_id
            if key.table == CONFIG_TABLE and login not in bases and login not in self.wanted:
                orphans.append(key)
            await _pause(number)
        for key in orphans:
            self._layer.when_idle(key.channel_id, partial(self._give_up, key, serial, epoch))
        await self._join(joined, partial(self._configure, listed))
        for number, login in enumerate((*bases, *absent), start=1):
            if epoch != self._layer.epoch:
                self._again.set()  # the rest was read under an epoch that was given up meanwhile
                return
            self._configure(listed, login)
            await _pause(number)
            if number % CHANNELS_AT_ONCE == 0:
                await self._layer.journal.room()
        bases.clear()  # empty it is, but as large as before until the next list is asked for

    def _configure(self, listed: _List, login: str) -> None:
        """Take the login's row over; one whose epoch was given up meanwhile is shown until the next list, and not saved over."""
        # Taken out one by one: to free 100,000 rows at the end would hold the loop.
        base = listed.bases.pop(login, None)
        if listed.epoch != self._layer.epoch:
            self._again.set()
            if base is not None:
                self._layer.snapshot.show_config(login, base)
            return
        self._layer.deliver(RowKey(CONFIG_TABLE, login), base or ABSENT, listed.serial)
        channel_id = self.wanted.get(login)
        if channel_id and base is not None and _columns(base).channel_id != channel_id:
            self._learn(login, channel_id)

    def _give_up(self, key: RowKey, serial: int, epoch: int) -> None:
        """Drop what waits to be changed in a row that is gone; see the module's docstring."""
        row = self._layer.row(key)
        if not row.dirty or epoch != self._layer.epoch:
            return
        self._layer.telemetry.count("patches_given_up")
        _log.warning(
            "patch_given_up",
            channel=key.channel_id,
            columns=sorted({operation.field for operation in row.pending}),
            what_it_means="its row of channels_config was deleted, and the bot is not in the channel any more",
        )
        row.pending = []
        row.forget_base()  # so that the row's absence is news, to the journal too
        self._layer.deliver(key, ABSENT, serial, authoritative=True)

    async def _reconcile(self, bases: Mapping[str, Base]) -> Mapping[str, str]:
        """Decide who is wanted and part the others; the logins to be joined, with their ids."""
        before, self._named = self.wanted, {}
        wanted: dict[str, str] = {}
        joined: list[str] = []
        for number, (login, base) in enumerate(bases.items(), start=1):
            row = _columns(base)
            if row.enabled:
                wanted[login] = row.channel_id
                if login not in before:
                    joined.append(login)
            await _pause(number)
        for login in self._fixed:
            if login not in wanted:
                wanted[login] = _columns(bases[login]).channel_id if login in bases else ""
                if login not in before:
                    joined.append(login)
        parted: list[str] = []
        renamed = False
        for number, login in enumerate(list(before), start=1):
            channel_id = before[login]
            if not bases:
                wanted.setdefault(login, channel_id)  # an empty list parts nobody
            if login not in wanted:
                parted.append(login)
            elif channel_id:
                wanted[login] = channel_id  # Twitch named it, or an earlier list
            else:
                renamed = renamed or wanted[login] != ""
            await _pause(number)
        wanted.update({login: name for login, name in self._named.items() if login in wanted})
        if joined or parted or renamed or not self.reconciled:
            # Else the strings stay which everything else shares already.
            self.wanted = wanted
            _log.info("channels_reconciled", channels=len(wanted), joined=shown(joined), parted=shown(parted))
            self._remember()
        self.reconciled = True
        self._roster.part(parted)
        return {login: wanted[login] for login in joined}

    async def _join(self, channels: Mapping[str, str], configure: Callable[[str], None]) -> None:
        """Join the logins, each :data:`CHANNELS_AT_ONCE` of them as soon as they are configured, and no faster than the journal's disk."""
        logins = list(channels)
        for first in range(0, len(logins), CHANNELS_AT_ONCE):
            if first:
                await asyncio.sleep(0)
            some = logins[first : first + CHANNELS_AT_ONCE]
            for number, login in enumerate(some, start=1):
                configure(login)
                # Twice in a batch: one that is looked up in the journal takes up to 0.2 ms.
                await _pause(2 * number)
            await self._layer.journal.room()
            self._preload({login: channels[login] for login in some if channels[login]})
            self._roster.join(some)

    def _remember(self) -> None:
        if self._remembering is not None:
            self._remembering.cancel()
            self._remembering = None
        channels = [KnownChannel(login, channel_id) for login, channel_id in self.wanted.items()]
        self._layer.journal.append([KnownChannels(channels)])


async def _pause(number: int) -> None:
    if number % CHANNELS_AT_ONCE == 0:
        await asyncio.sleep(0)


def shown(logins: Collection[str]) -> list[str]:
    """The logins for a line of the log: a line with 100,000 of them takes the loop's time, and nobody's who reads it."""
    if len(logins) <= LOGINS_SHOWN_MAX:
        return list(logins)
    return [*islice(logins, LOGINS_SHOWN_MAX), f"… and {len(logins) - LOGINS_SHOWN_MAX} more"]


def _columns(base: Base) -> _Columns:
    try:
        return msgspec.json.decode(base.data or b"{}", type=_Columns)
    except msgspec.ValidationError:
        return _Columns()
