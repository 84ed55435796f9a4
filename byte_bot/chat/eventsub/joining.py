"""Getting into channels and out of them: ids, sessions and subscriptions, in the roster's order.

How it works. One loop (:meth:`Joining.run`) asks the :class:`~byte_bot.chat.eventsub.roster.Roster` what is due and starts it,
each in a task of its own: asking for ids (one request at a time, up to 100 logins), opening a session, subscribing to a channel
(a few at once). Whatever ends, and whatever changes the roster from outside, wakes the loop.

In which channels the bot is moderator is asked at the start and every ten minutes, if the token may: Twitch does not tell it
over EventSub. Who follows is told to moderators only, so a channel without that subscription is asked for it again at the same
times, once the bot is known to be one there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from byte_bot.chat.errors import HelixError, HelixRefused
from byte_bot.chat.eventsub.helix import Helix
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.roster import Ask, Roster
from byte_bot.chat.eventsub.sessions import Sessions
from byte_bot.chat.eventsub.translation import CHAT_MESSAGE, FOLLOW

log = logging.getLogger(__name__)

MODERATED_SCOPE: Final = "user:read:moderated_channels"
FOLLOWERS_SCOPE: Final = "moderator:read:followers"


class Wanted(NamedTuple):
    """One subscription of a channel; an ``optional`` one may be refused without costing the channel."""

    kind: str
    version: str
    optional: bool = False


_CHAT: Final = (
    Wanted(CHAT_MESSAGE, "1"),  # first: a channel that cannot be read is known by this one
    Wanted("channel.chat.notification", "1"),
    Wanted("channel.chat.clear", "1"),
    Wanted("channel.chat.clear_user_messages", "1"),
    Wanted("channel.chat.message_delete", "1"),
)
_FOLLOWS: Final = Wanted(FOLLOW, "2", optional=True)


def plan_for(scopes: tuple[str, ...]) -> tuple[Wanted, ...]:
    """The subscriptions of each channel that a token with these scopes can have."""
    return (*_CHAT, _FOLLOWS) if FOLLOWERS_SCOPE in scopes else _CHAT


class Joining:
    """See the module's docstring.

    Args:
        helix: where ids and subscriptions come from.
        roster: the channels.
        sessions: what subscriptions hang on.
        tasks: owns everything that waits.
        user_id: the bot's.
        plan: the subscriptions of a channel.
        limits: deadlines and bounds.
        tell: called when the roster may have events.
    """

    def __init__(
        self,
        helix: Helix,
        roster: Roster,
        sessions: Sessions,
        tasks: asyncio.TaskGroup,
        *,
        user_id: str,
        plan: tuple[Wanted, ...],
        limits: EventSubLimits,
        tell: Callable[[], None],
    ) -> None:
        self._helix = helix
        self._roster = roster
        self._sessions = sessions
        self._tasks = tasks
        self._user_id = user_id
        self._plan = plan
        self._limits = limits
        self._tell = tell
        self._wake = asyncio.Event()
        self._asking = 0
        self._resolving = False
        #: False while there is no token with which anything could be asked.
        self.allowed = True
        #: Channels of which the bot may not see who follows.
        self._without_follows: dict[str, None] = {}

    def wake(self) -> None:
        """Something has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Start what is due, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            deadlines = self._start_due(loop.time()) if self.allowed else []
            self._tell()
            try:
                async with asyncio.timeout_at(min(deadlines, default=None)):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _start_due(self, now: float) -> list[float]:
        """Start everything that may be done now; the loop times at which there will be more."""
        roster, sessions = self._roster, self._sessions
        if not self._resolving and (logins := roster.take_unknown(now)):
            self._resolving = True
            self._tasks.create_task(self._resolve(logins), name="resolve")
        while self._asking < self._limits.asks_max and (ask := roster.take_ask(now)) is not None:
            self._asking += 1
            self._tasks.create_task(self._subscribe(ask), name=f"subscribe-{ask.login}")
        retry_at_s = roster.next_deadline()
        deadlines = [] if retry_at_s is None else [retry_at_s]
        if roster.wants_session and not sessions.opening:
            if now >= sessions.open_at_s:
                sessions.open_soon()
            else:
                deadlines.append(sessions.open_at_s)
        return deadlines

    async def _resolve(self, logins: list[str]) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._roster.on_ids(logins, await self._helix.user_ids(logins), loop.time())
        except HelixError as error:
            self._roster.on_no_ids(logins, str(error), loop.time())
        finally:
            self._resolving = False
            self._wake.set()

    async def _subscribe(self, ask: Ask) -> None:
        loop = asyncio.get_running_loop()
        roster, made, optional = self._roster, list[str](), list[str]()
        useless: list[str] | None = None
        try:
            for wanted in self._plan:
                session_id = self._sessions.session_id(ask.session)
                if session_id is None or not roster.is_current(ask):
                    # Parted, or the session was lost; or it is just now between two sockets.
                    roster.on_unanswered(ask, "the EventSub session is being moved", loop.time())
                    break
                if subscription_id := await self._make(wanted, ask, session_id):
                    (optional if wanted.optional else made).append(subscription_id)
            else:
                useless = roster.on_made(ask, made, loop.time())
                for subscription_id in optional:
                    useless += self._add_follows(ask, subscription_id)
        except HelixRefused as error:
            words = f"Twitch says {error.words!r}"
            if error.status == 400:
                # About the session rather than the channel: Twitch may have closed it a moment ago.
                roster.on_unanswered(ask, words, loop.time())
            else:
                roster.on_refused(ask, words, loop.time())
        except HelixError as error:
            roster.on_unanswered(ask, str(error), loop.time())
        finally:
            self._asking -= 1
            self._wake.set()
        if self._sessions.session_id(ask.session) is not None:
            await self._delete(made + optional if useless is None else useless)

    async def _make(self, wanted: Wanted, ask: Ask, session_id: str) -> str:
        """One subscription; its id, or "" if it is there already, or may be missing."""
        who = "moderator_user_id" if wanted.kind == FOLLOW else "user_id"
        condition = {"broadcaster_user_id": ask.channel_id, who: self._user_id}
        try:
            return await self._helix.subscribe(wanted.kind, wanted.version, condition, session_id)
        except HelixRefused as error:
            if error.status == 409:
                return ""
            if wanted.optional:
                self._without_follows[ask.login] = None
                return ""
            raise

    def _add_follows(self, ask: Ask, subscription_id: str) -> list[str]:
        """Count the follows of a channel in; those to be deleted, since they are of no use."""
        if self._roster.on_extra(ask, subscription_id):
            return []
        if self._roster.ask_of(ask.login) == ask:  # revoked before it was known
            self._without_follows[ask.login] = None
        return [subscription_id]

    def delete_soon(self, subscription_ids: list[str]) -> None:
        """Delete subscriptions of which nobody wants to hear any more."""
        if subscription_ids:
            self._tasks.create_task(self._delete(subscription_ids), name="delete")

    async def _delete(self, subscription_ids: list[str]) -> None:
        for subscription_id in subscription_ids:
            try:
                await self._helix.unsubscribe(subscription_id)
            except HelixError as error:
                # It costs room until the session ends; its events are passed over.
                log.warning("an EventSub subscription could not be deleted, since %s", str(error))

    async def read_moderated(self) -> None:
        """Learn in which channels the bot is moderator, if Helix says so."""
        try:
            self._roster.on_moderated(await self._helix.moderated(self._user_id) | {self._user_id})
        except HelixError as error:
            log.warning("Helix does not tell where the bot is moderator, since %s", str(error))

    def follows_revoked(self, subscription_id: str) -> None:
        """The bot is no moderator any more of the channel to which this subscription belonged."""
        login = self._roster.forget_subscription(subscription_id)
        if login:
            self._without_follows[login] = None

    async def keep_current(self, *, may_read: bool) -> None:
        """Look again and again where the bot is moderator, and who follows there, until cancelled."""
        while True:
            await asyncio.sleep(self._limits.moderated_refresh_s)
            if may_read:
                await self.read_moderated()
                self._tell()
            await self._follow_again()

    async def _follow_again(self) -> None:
        for login in [one for one in self._without_follows if self._roster.is_privileged(one)]:
            ask = self._roster.ask_of(login)
            session_id = self._sessions.session_id(ask.session) if ask is not None else None
            if ask is None or session_id is None:
                continue
            self._without_follows.pop(login, None)
            try:
                subscription_id = await self._make(_FOLLOWS, ask, session_id)
            except HelixError as error:
                self._without_follows[login] = None
                log.warning("no follows of #%s, since %s", login, str(error))
                continue
            if subscription_id:
                await self._delete(self._add_follows(ask, subscription_id))
