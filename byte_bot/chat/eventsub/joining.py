"""Getting into channels and out of them: ids, sessions and subscriptions, in the roster's order.

How it works. One loop (:meth:`Joining.run`) asks the :class:`~byte_bot.chat.eventsub.roster.Roster` what is due and starts it,
each in a task of its own: asking for ids (one request at a time, up to 100 logins), opening a session, subscribing to a channel
(a few at once). Whatever ends, and whatever changes the roster from outside, wakes the loop.

In which channels the bot is moderator is asked at the start and every ten minutes, if the token may: Twitch does not tell it
over EventSub. The channels do not wait for that: until Helix has answered the bot speaks as anybody does. Who follows is told to
moderators only, so a channel without that subscription is asked for it again at the same times, once the bot is known to be one there. The
first of these that Helix does not answer ends the round, since each of the others would wait as long; the next is a minute later.

The token's scopes say which subscriptions a channel has, and what may be asked. After a new login with others the channels stay: they
get what they lack, or lose what is not allowed any more. Chat itself is left to Twitch, which ends what its account does not allow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from byte_bot.chat.errors import HelixError, HelixRefused, HelixUnavailable
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
        scopes: what the token allows.
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
        scopes: tuple[str, ...],
        limits: EventSubLimits,
        tell: Callable[[], None],
    ) -> None:
        self._helix = helix
        self._roster = roster
        self._sessions = sessions
        self._tasks = tasks
        self._user_id = user_id
        #: The subscriptions of each channel.
        self._plan = plan_for(scopes)
        self._may_read = MODERATED_SCOPE in scopes
        self._limits = limits
        self._tell = tell
        self._wake = asyncio.Event()
        self._asking = 0
        self._resolving = False
        #: False while there is no token with which anything could be asked.
        self.allowed = True
        #: Channels without the subscription to who follows, and whether Twitch has refused it.
        self._without_follows: dict[str, bool] = {}
        #: Subscriptions that are being deleted, or wait for it.
        self._leaving: set[str] = set()
        #: Set when it is time to look where the bot is moderator.
        self._look = asyncio.Event()

    def wake(self) -> None:
        """Something has changed."""
        self._wake.set()

    def on_scopes(self, scopes: tuple[str, ...]) -> None:
        """There is a token with other scopes."""
        before, self._plan = self._plan, plan_for(scopes)
        self._may_read = MODERATED_SCOPE in scopes
        if not self._may_read:
            self._roster.on_moderated(None)
        if self._plan != before:
            self._roster.resize(len(self._plan))
            if _FOLLOWS in self._plan:
                self._without_follows = dict.fromkeys(self._roster.joined, False)
            else:
                self._without_follows = {}
                self.delete_soon(self._roster.take_extras())
        self._look.set()

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
        plan = self._plan
        try:
            for wanted in plan:
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
                if _FOLLOWS in self._plan and _FOLLOWS not in plan:  # the scope came in the meantime
                    self._without_follows[ask.login] = False
                    self._look.set()
        except HelixRefused as error:
            words = f"Twitch says {error.words!r}"
            if error.status == 400:
                # About the session rather than the channel: Twitch may have closed it a moment ago.
                roster.on_unanswered(ask, words, loop.time())
            else:
                roster.on_refused(ask, words + self._perhaps_too_many(ask, error), loop.time())
        except HelixError as error:
            roster.on_unanswered(ask, str(error), loop.time())
        finally:
            self._asking -= 1
            self._wake.set()
        if self._sessions.session_id(ask.session) is not None:
            await self._delete(made + optional if useless is None else useless)

    def _perhaps_too_many(self, ask: Ask, error: HelixRefused) -> str:
        """What may be behind a 403, which Twitch says in the same words to a missing scope, a ban and one chat too many."""
        others, most = self._roster.unmoderated_besides(ask.login), self._limits.unmoderated_chats_max
        if error.status != 403 or others < most:
            return ""
        return (
            f"; the bot is not known to be moderator of {others} other channels, and Twitch allows {most} where it is neither that nor "
            "was granted channel:bot: let the broadcaster type /mod with its name"
        )

    async def _make(self, wanted: Wanted, ask: Ask, session_id: str) -> str:
        """One subscription; its id, or "" if it may be missing, and is."""
        who = "moderator_user_id" if wanted.kind == FOLLOW else "user_id"
        condition = {"broadcaster_user_id": ask.channel_id, who: self._user_id}
        try:
            return await self._helix.subscribe(wanted.kind, wanted.version, condition, session_id)
        except HelixRefused as error:
            if error.status == 409:
                return await self._made_before(wanted, condition, session_id)
            if wanted.optional:
                self._without_follows[ask.login] = True
                return ""
            raise

    async def _made_before(self, wanted: Wanted, condition: Mapping[str, str], session_id: str) -> str:
        """The id of a subscription that is there already: the answer that had it was lost. Without it nobody would notice its end.

        One that is about to go, since its channel was parted a moment ago, is none: the channel would be deaf.
        """
        # As of before the answer, which one that goes meanwhile may still be in.
        leaving = frozenset(self._leaving)
        found = await self._helix.subscription_id(wanted.kind, wanted.version, condition, session_id)
        if not found or found in leaving:
            raise HelixUnavailable(f"{wanted.kind} exists, and is not there", undelivered=True)
        return found

    def _add_follows(self, ask: Ask, subscription_id: str) -> list[str]:
        """Count the follows of a channel in; those to be deleted, since they are of no use."""
        if _FOLLOWS not in self._plan:  # the scope went in the meantime
            return [subscription_id]
        if self._roster.on_extra(ask, subscription_id):
            self._without_follows.pop(ask.login, None)  # from before it was parted, or its session lost
            return []
        if self._roster.ask_of(ask.login) == ask:  # revoked before it was known
            self._without_follows[ask.login] = True
        return [subscription_id]

    def delete_soon(self, subscription_ids: list[str]) -> None:
        """Delete subscriptions of which nobody wants to hear any more."""
        if subscription_ids:
            self._tasks.create_task(self._delete(subscription_ids), name="delete")

    async def _delete(self, subscription_ids: list[str]) -> None:
        self._leaving.update(subscription_ids)
        for subscription_id in subscription_ids:
            try:
                await self._helix.unsubscribe(subscription_id)
            except HelixError as error:
                # It costs room until the session ends; its events are passed over.
                log.warning("an EventSub subscription could not be deleted, since %s", str(error))
            finally:
                self._leaving.discard(subscription_id)

    async def _read_moderated(self) -> None:
        """Learn in which channels the bot is moderator, if Helix says so."""
        try:
            moderated = await self._helix.moderated(self._user_id)
        except HelixError as error:
            log.warning("Helix does not tell where the bot is moderator, since %s", str(error))
            return
        if self._may_read:  # the scope may have gone in the meantime
            self._roster.on_moderated(moderated | {self._user_id})
            self._tell()

    def follows_revoked(self, subscription_id: str) -> None:
        """The bot is no moderator any more of the channel to which this subscription belonged."""
        login = self._roster.forget_subscription(subscription_id)
        if login:
            self._without_follows[login] = True

    async def keep_current(self) -> None:
        """Look now, and again and again, where the bot is moderator, and who follows there, until cancelled."""
        while True:
            self._look.clear()
            if self._may_read:
                await self._read_moderated()
            answered = await self._follow_again()
            try:
                async with asyncio.timeout(
                    self._limits.moderated_refresh_s if answered else self._limits.join_retry_s
                ):
                    await self._look.wait()
            except TimeoutError:
                pass

    async def _follow_again(self) -> bool:
        """Ask for the follows that are missing and may be had; False if Helix did not answer, and the rest was left."""
        for login, refused in list(self._without_follows.items()):
            ask = self._roster.ask_of(login)
            if ask is None:  # whoever joins it again asks for its follows too
                self._without_follows.pop(login, None)
                continue
            session_id = self._sessions.session_id(ask.session)
            if session_id is None or (refused and not self._roster.is_privileged(login)):
                continue
            if _FOLLOWS not in self._plan:  # the scope went in the meantime
                return True
            self._without_follows.pop(login, None)
            try:
                subscription_id = await self._make(_FOLLOWS, ask, session_id)
            except HelixError as error:
                self._without_follows[login] = refused  # now the last: the others have their turn before it
                log.warning("no follows of #%s, since %s", login, str(error))
                if isinstance(error, HelixRefused):
                    continue
                return False
            if subscription_id:
                await self._delete(self._add_follows(ask, subscription_id))
        return True
