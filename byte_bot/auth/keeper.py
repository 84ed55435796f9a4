"""The keeper of the bot's token: there is a valid one whenever a transport asks, for as long as a human's consent lasts.

How it works. Transports only ask (:meth:`TokenKeeper.token`), complain (:meth:`TokenKeeper.rejected`) and listen
(:meth:`TokenKeeper.on_change`); none of these speaks to Twitch. One task, :meth:`TokenKeeper.run`, does, and wakes them when something
has changed: so however many complain at once, one refresh is made, and a transport that is cancelled never cuts one in two.

Each round of that task, every few seconds or when somebody asks or complains:

1. *The file.* Has it changed (`byte-bot login`, another process that refreshed)? Then its token is taken up.
2. *Refresh*, if Twitch refused the token, or it ends soon; under the file's lock, where the file is looked at first: what another
   process has got meanwhile is as good. The new pair is **written down before anybody gets it**: a refresh token of a public
   client works once, and one that is only in memory is gone with the process. If it cannot be written the bot goes on with it, says
   so, and tries to write it again.
3. *Validate*, at the start and every hour (dev.twitch.tv/docs/authentication/validate-tokens demands it): whose token it is, its
   scopes, its end; and whether the account has withdrawn its consent.

*Failures.* Twitch cannot be asked: full-jitter backoff, and the token that is there goes on while it is valid. Twitch refuses to
refresh: nothing but a human helps, so the log says what to do (``token_unusable``), once and then every hour, with one more try; the
old token goes on while it is valid, then :meth:`TokenKeeper.token` waits. The bot does not end: a new token in the file is found.
If the account withdrew its consent before the token's end, listeners get None: Twitch wants all sessions ended that use it.

*A token that is refused soon after it was refreshed*, or that lacks scopes, is validated instead: were the fault elsewhere (a server
in trouble), refreshing again and again would only wear tokens out.

*Clocks.* When a token ends is wall time in the file only; in the process it is the loop's, from what Twitch said last, so a wall clock
that jumps ends no token. If by the wall clock one seems to have ended (the machine slept, and the loop's clock with it), Twitch is asked.

The end of the bot waits :data:`FINISH_S` for a round under way.
"""

from __future__ import annotations

import asyncio

import structlog
from msgspec.structs import replace

from byte_bot.auth.complaint import Complaints, until
from byte_bot.auth.errors import AuthError, ClientRefused, OAuthUnavailable, TokenFileRefused, TokenRefused
from byte_bot.auth.oauth import TwitchOAuth, Validation
from byte_bot.auth.scopes import in_words, missing_scopes
from byte_bot.auth.timing import FINISH_S, KeeperTiming
from byte_bot.auth.token_file import Stamp, TokenStore
from byte_bot.auth.token_source import Listener
from byte_bot.auth.user_token import NEVER, UserToken
from byte_bot.clock import Clock
from byte_bot.logs import redact_also
from byte_bot.persistence.backoff import Backoff, Uniform

_log = structlog.get_logger(__name__)


class TokenKeeper:
    """See the module's docstring.

    Args:
        login: whose token it must be.
        chat_mode: ``irc`` or ``eventsub``: which scopes matter.
        oauth: asks Twitch; with the application's id, it can refresh.
        store: the file; None if the token is not kept.
        given: ``TWITCH_TOKEN``, used while the file has none; may be empty.
        clock: wall time.
        rng: draws the pauses.
        timing: see there.
    """

    renewable = True

    def __init__(
        self,
        *,
        login: str,
        chat_mode: str,
        oauth: TwitchOAuth,
        store: TokenStore | None,
        given: str,
        clock: Clock,
        rng: Uniform,
        timing: KeeperTiming | None = None,
    ) -> None:
        self._login = login
        self._chat_mode = chat_mode
        self._oauth = oauth
        self._store = store
        self._clock = clock
        self._timing = timing if timing is not None else KeeperTiming()
        self._backoff = Backoff(rng, base_s=1.0, cap_s=self._timing.backoff_max_s)
        self._complaints = Complaints(self._timing.remind_s)
        self._listeners: list[Listener] = []
        self._token = UserToken(access=given, login=login) if given else None
        #: When it ends, on the loop's clock.
        self._ends_at = float("inf")
        self._stamp: Stamp | None = None
        #: The access token that Twitch does not take any more; empty if there is none.
        self._refused = ""
        self._validated_at: float | None = None
        self._refreshed_at: float | None = None
        #: Twitch is not asked before: it could not be reached, or it has said its last word about this token.
        self._retry_at = 0.0
        self._away = False
        #: Whether the file lacks this token, and when to try again.
        self._unsaved = False
        self._save_at = 0.0
        #: Whether listeners know that the account has withdrawn its consent.
        self._told_end = False
        self._wake = asyncio.Event()
        #: Set, and replaced, after each round.
        self._turn = asyncio.Event()
        self._rounds = 0

    @property
    def waiting(self) -> bool:
        """True while there is no token to use, and only a human can change that."""
        return bool(self._complaints) and self._usable() is None

    async def token(self) -> UserToken:
        """A token that is valid now, as far as is known; waits until there is one. :meth:`run` must be running."""
        self._wake.set()
        if not self._rounds:
            await self._first_round()
        while (token := self._usable()) is None:
            await self._turn.wait()
        return token

    async def _first_round(self) -> None:
        try:
            async with asyncio.timeout(self._timing.start_s):
                await self._turn.wait()
        except TimeoutError:
            pass  # the file says that it is valid; Twitch will be heard later

    async def rejected(self, access: str) -> None:
        """Twitch refused this access token: it is not given out again before that is cleared up.

        Args:
            access: the token that was used; if it is not today's, nothing happens.
        """
        if self._token is not None and access == self._token.access:
            self._refused = access
            self._wake.set()

    def on_change(self, callback: Listener) -> None:
        """Call ``callback`` with each new token, and with None when the account has withdrawn its consent."""
        self._listeners.append(callback)

    async def run(self) -> None:
        """Keep the token valid until cancelled; a round under way is then given :data:`FINISH_S` seconds."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                step = tasks.create_task(self._round(loop.time()), name="token")
                try:
                    await asyncio.shield(step)
                except asyncio.CancelledError:
                    # What Twitch has given must reach the file: the old refresh token may be worthless already.
                    await asyncio.wait((step,), timeout=FINISH_S)
                    raise
                self._rounds += 1
                self._turn.set()
                self._turn = asyncio.Event()
                try:
                    async with asyncio.timeout(self._timing.look_s):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    # -- one round ---------------------------------------------------------------------------------------------------------

    async def _round(self, now: float) -> None:
        await self._look_at_file()
        if self._token is None:
            self._complaints.make("token", "there is no token yet", self._log_in_anew())
        else:
            try:
                if self._unsaved and now >= self._save_at:
                    await self._save_again(self._token, now)
                if now >= self._retry_at:
                    await self._ask_twitch(self._token, now)
            except OAuthUnavailable as error:
                self._retry_at = now + self._backoff.next_delay_s(error.retry_after_s)
                self._say_away(str(error))
            except AuthError as error:  # the file's lock
                self._retry_at = now + self._backoff.next_delay_s()
                self._complaints.make("lock", str(error), "see `why`")
        self._complaints.say(now, self._usable())
        self._tell_if_withdrawn()

    async def _ask_twitch(self, token: UserToken, now: float) -> None:
        """Refresh or validate, whichever is due."""
        refused = token.access == self._refused
        # Scopes that were never granted do not come by refreshing either.
        useless = self._is_fresh(now) or bool(missing_scopes(token.scopes, self._chat_mode))
        if refused and (useless or not token.refresh) and await self._is_good_after_all(token, now):
            return
        if refused or now >= self._ends_at - self._margin_s(token):
            await self._renew(token, now)
        elif (
            self._validated_at is None
            or now >= self._validated_at + self._timing.validate_every_s
            or self._seems_to_end(token)
        ):
            try:
                self._learn(token, await self._oauth.validate(token.access), now)
            except TokenRefused:
                self._refused = token.access
                await self._renew(token, now)

    def _is_fresh(self, now: float) -> bool:
        return self._refreshed_at is not None and now < self._refreshed_at + self._timing.trust_s

    def _margin_s(self, token: UserToken) -> float:
        """How long before its end a token is refreshed."""
        # Of a life that a jumping clock has made negative nothing is known.
        return max(0.0, min(self._timing.refresh_before_s, token.lifetime_s / 4)) if token.refresh else 0.0

    def _seems_to_end(self, token: UserToken) -> bool:
        """By the wall clock; it may be wrong, or the loop's may have stood still while the machine slept."""
        return self._clock.unix() >= token.expires_at - self._margin_s(token)

    async def _renew(self, token: UserToken, now: float) -> None:
        """Refresh; if that cannot be, nothing but a human brings a new token."""
        if not token.refresh:
            self._give_up(
                now,
                "token",
                "the token is not valid any more, and it cannot be refreshed",
                self._log_in_anew(),
            )
            return
        try:
            await self._refresh(token, now)
        except TokenRefused as error:
            self._give_up(now, "token", f"the token cannot be refreshed: {error}", self._log_in_anew())
        except ClientRefused as error:
            what_to_do = "correct TWITCH_CLIENT_ID and TWITCH_CLIENT_SECRET, and start the bot again"
            self._give_up(now, "application", f"Twitch refuses the application: {error}", what_to_do)

    async def _is_good_after_all(self, token: UserToken, now: float) -> bool:
        """Ask Twitch about a token that one of its servers refused; False if it must be renewed."""
        try:
            validation = await self._oauth.validate(token.access)
        except TokenRefused:
            return False
        self._refused = ""
        self._learn(token, validation, now)
        lacking = missing_scopes(validation.scopes or (), self._chat_mode)
        if lacking:
            self._refused = token.access  # refreshing brings no scopes
            self._give_up(now, "token", f"the token lacks {in_words(lacking)}", self._log_in_anew())
        elif not self._refused:
            _log.warning(
                "token_refused_though_valid", what_it_means="Twitch calls it valid: it is used again"
            )
        return True

    def _learn(self, token: UserToken, validation: Validation, now: float) -> None:
        """Twitch knows the token: what it says of it counts."""
        self._reached()
        self._validated_at = now
        self._token = replace(
            token,
            login=validation.login,
            user_id=validation.user_id,
            scopes=tuple(validation.scopes or ()),
            client_id=validation.client_id,
            expires_at=self._end_of(validation.expires_in),
        )
        self._note_end(self._token)
        if validation.login != self._login:
            self._refused = token.access
            whose = f"the token belongs to {validation.login or 'an application'}, not to {self._login}"
            self._give_up(now, "token", whose, f"{self._log_in_anew()}, or correct TWITCH_LOGIN")
            return
        self._complaints.settle("token", "application")
        lacking = missing_scopes(self._token.scopes, self._chat_mode)
        if lacking:
            _log.warning("token_lacks_scopes", missing=in_words(lacking), what_to_do=self._log_in_anew())

    async def _refresh(self, token: UserToken, now: float) -> None:
        """Trade the refresh token; the new pair is written down before it is used."""
        saved = True
        if self._store is None:
            fresh = await self._traded(token)
        else:
            async with self._store.exclusive():
                self._complaints.settle("lock")
                stored = await self._stored()
                if stored is not None and stored.obtained_at > token.obtained_at:
                    self._adopt(stored)
                    return
                try:
                    fresh = await self._traded(token)
                except TokenRefused:
                    if stored is None or stored.access == token.access:
                        raise
                    # Another process has traded ours, and the dates mislead: a clock was set back in between.
                    self._adopt(stored)
                    return
                saved = await self._save(fresh, now)
        self._adopt(fresh)
        self._unsaved = not saved
        self._validated_at = self._refreshed_at = now
        _log.info("token_refreshed", valid_until=until(fresh))

    async def _traded(self, token: UserToken) -> UserToken:
        grant = await self._oauth.refresh(token.refresh)
        self._reached()
        redact_also((grant.access_token, grant.refresh_token))
        return replace(
            token,
            access=grant.access_token,
            refresh=grant.refresh_token,
            scopes=token.scopes if grant.scope is None else grant.scope,
            obtained_at=self._clock.unix(),
            expires_at=self._end_of(grant.expires_in),
        )

    def _end_of(self, expires_in_s: float) -> float:
        return self._clock.unix() + expires_in_s if expires_in_s else NEVER

    def _note_end(self, token: UserToken) -> None:
        """``token`` was dated by the wall clock as it is now, or by that of the process which wrote the file."""
        self._ends_at = asyncio.get_running_loop().time() + token.expires_at - self._clock.unix()

    # -- the file ----------------------------------------------------------------------------------------------------------

    async def _look_at_file(self) -> None:
        if self._store is None:
            return
        stamp = self._store.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if stamp is None:
            self._complaints.settle("file")  # what was wrong with it is gone with it
            return
        stored = await self._stored()
        if stored is None:
            return
        ours = self._token
        # An older one (somebody put a copy back) only if ours is of no use any more.
        if ours is None or stored.obtained_at > ours.obtained_at or self._usable() is None:
            self._adopt(stored)

    async def _stored(self) -> UserToken | None:
        """The file's token, if it is one for this bot; otherwise there is a complaint."""
        assert self._store is not None
        try:
            stored = await self._store.load()
        except TokenFileRefused as error:
            self._complaints.make("file", str(error), "see `why`")
            return None
        if stored is None:
            return None
        redact_also((stored.access, stored.refresh))
        for ours, theirs, name in (
            (self._login, stored.login, "TWITCH_LOGIN"),
            (self._oauth.client_id, stored.client_id, "TWITCH_CLIENT_ID"),
        ):
            if ours != theirs:
                why = f"the token in {self._store.place} was made with {name}={theirs}, and now it is {ours}"
                self._complaints.make("file", why, f"{self._log_in_anew()}, or correct {name}")
                return None
        self._complaints.settle("file")
        return stored

    async def _save(self, token: UserToken, now: float) -> bool:
        assert self._store is not None
        try:
            await self._store.save(token)
        except TokenFileRefused as error:
            self._save_at = now + self._timing.trust_s
            _log.error(
                "token_not_saved",
                why=str(error),
                what_it_means="the bot goes on with it, but after a restart it may have to be logged in anew",
            )
            return False
        self._stamp = self._store.stamp()
        return True

    async def _save_again(self, token: UserToken, now: float) -> None:
        assert self._store is not None
        async with self._store.exclusive():
            self._unsaved = not await self._save(token, now)

    # -- what is known -----------------------------------------------------------------------------------------------------

    def _usable(self) -> UserToken | None:
        token = self._token
        if token is None or token.access == self._refused:
            return None
        return None if asyncio.get_running_loop().time() >= self._ends_at else token

    def _adopt(self, token: UserToken) -> None:
        """This is the token from now on; what Twitch says of it is not known yet."""
        changed = self._token is None or self._token.access != token.access
        self._token = token
        self._note_end(token)
        self._refused = ""
        self._unsaved = False
        self._retry_at = 0.0
        self._validated_at = None
        self._told_end = False
        self._complaints.settle("token", "application")
        if changed:
            self._tell(token)

    def _tell(self, token: UserToken | None) -> None:
        for listener in tuple(self._listeners):
            listener(token)

    def _tell_if_withdrawn(self) -> None:
        """Not if it has only run out: then sessions may live on."""
        token = self._token
        if token is None or self._told_end or not self.waiting or token.access != self._refused:
            return
        self._told_end = True
        if asyncio.get_running_loop().time() < self._ends_at:
            self._tell(None)

    def _give_up(self, now: float, subject: str, why: str, what_to_do: str) -> None:
        """Twitch has said its last word about this token; it is asked again in an hour."""
        self._retry_at = now + self._timing.remind_s
        self._complaints.make(subject, why, what_to_do)

    def _log_in_anew(self) -> str:
        return f"start `byte-bot login` as {self._login}: the running bot takes the new token up by itself"

    def _reached(self) -> None:
        self._backoff.reset()
        if self._away:
            self._away = False
            _log.info("token_server_reached")

    def _say_away(self, why: str) -> None:
        if self._away:
            return
        self._away = True
        usable = self._usable()
        meaning = f"the bot goes on with its token until {until(usable)}" if usable else "the bot waits"
        _log.warning("token_server_away", why=why, what_it_means=meaning)
