"""What the transport asks of Helix, with Helix's failures sorted by what can be done about them.

How it works. The requests are TwitchIO's (:mod:`byte_bot.chat.eventsub.twitchio_parts`); here a 429 is waited for until the
``Ratelimit-Reset`` of its answer, a few times, and every other failure becomes a :class:`~byte_bot.chat.errors.HelixError`.
A message is the exception: it waits for nothing, since whoever sends it decides whether it is still worth saying.

Not every 429 is a matter of patience: EventSub's limits (sockets, subscriptions, cost) answer with it too. They leave points in
the bucket, which ``Ratelimit-Remaining`` shows.

Sources: dev.twitch.tv/docs/api/guide ("Twitch rate limits"), …/reference (Get Users, Get Authorization By User, Get Moderated Channels,
Create, Get and Delete EventSub Subscription, Send Chat Message).

Left out: proxies, and a request that outlives a change of the token's account.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from byte_bot.chat.errors import HelixRefused, HelixThrottled, HelixUnavailable
from byte_bot.chat.eventsub.limits import EventSubLimits
from byte_bot.chat.eventsub.twitchio_parts import Tokens, make_helix_http, make_http_session
from byte_bot.clock import Clock

_T = TypeVar("_T")

USER: Final = "user"
APP: Final = "app"
_SEND_PATH: Final = "/chat/messages"
# GET /moderation/channels: the largest page.
_PAGE_MAX: Final = 100
# GET /authorization/users: accounts in one request.
_CONSENTS_MAX: Final = 10


class Verdict(msgspec.Struct, frozen=True):
    """What Twitch did with a message: posted it under an id, or dropped it, with a code and words for why."""

    message_id: str
    drop_code: str = ""
    drop_words: str = ""


class _Bucket(msgspec.Struct):
    """What the last answer of an endpoint said of its bucket."""

    limit: int | None = None
    remaining: int | None = None
    reset_unix_s: int | None = None


class Helix:
    """See the module's docstring; an asynchronous context manager that owns the connections.

    Args:
        url: ``https://api.twitch.tv/helix`` in production.
        client_id: of the application to which the tokens belong.
        tokens: whose token a request carries.
        send_as: ``user``, or ``app`` for a bot in the cloud.
        clock: wall time, in which Twitch tells when a bucket is full.
        limits: deadlines and bounds.
        on_send_held: called with the loop time until which the bucket of Send Chat Message is empty.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        tokens: Tokens,
        *,
        send_as: str,
        clock: Clock,
        limits: EventSubLimits,
        on_send_held: Callable[[float], None],
    ) -> None:
        self._send_as = send_as
        self._clock = clock
        self._limits = limits
        self._on_send_held = on_send_held
        self._buckets: dict[str, _Bucket] = {}
        self._session = make_http_session(limits, self._note)
        self._http = make_helix_http(self._session, client_id, url, tokens)
        #: Requests that had to wait for their bucket.
        self.throttled = 0

    async def __aenter__(self) -> Helix:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def user_ids(self, logins: Iterable[str]) -> dict[str, str]:
        """Login -> id of those accounts (at most 100) that exist."""

        async def ask() -> dict[str, str]:
            answer = await self._http.get_users(logins=list(logins), token_for=USER)
            return {one["login"]: one["id"] for one in answer["data"]}

        return await self._patiently(ask)

    async def moderated(self, user_id: str) -> frozenset[str]:
        """Ids of the channels where the account is moderator; needs user:read:moderated_channels."""

        async def ask() -> frozenset[str]:
            pages = self._http.get_moderated_channels(user_id, USER, first=_PAGE_MAX)
            return frozenset([channel.id async for channel in pages])

        return await self._patiently(ask)

    async def consents(self, user_ids: Iterable[str]) -> dict[str, frozenset[str]]:
        """Id -> the scopes that the account has granted the application, which asks with its own token."""
        wanted = list(user_ids)
        found: dict[str, frozenset[str]] = {}
        for start in range(0, len(wanted), _CONSENTS_MAX):
            found |= await self._consents_of(wanted[start : start + _CONSENTS_MAX])
        return found

    async def _consents_of(self, user_ids: list[str]) -> dict[str, frozenset[str]]:
        async def ask() -> dict[str, frozenset[str]]:
            answer = await self._http.get_auth_by_user(user_ids)
            return {one["user_id"]: frozenset(one["scopes"]) for one in answer["data"]}

        return await self._patiently(ask)

    async def subscribe(self, kind: str, version: str, condition: Mapping[str, str], session_id: str) -> str:
        """Subscribe on a session; the subscription's id."""
        from twitchio.eventsub.enums import SubscriptionType  # lazy: an extra

        async def ask() -> str:
            answer = await self._http.create_eventsub_subscription(
                type=SubscriptionType(kind),
                version=version,
                condition=dict(condition),  # type: ignore[arg-type]  # TwitchIO lists every type's conditions
                transport={"method": "websocket", "session_id": session_id},
                token_for=USER,
            )
            return str(answer["data"][0]["id"])

        return await self._patiently(ask)

    async def subscription_id(
        self, kind: str, version: str, condition: Mapping[str, str], session_id: str
    ) -> str:
        """The id of a subscription in force of a session, which an answer 409 does not tell; "" if there is none."""
        from twitchio.http import Route  # lazy: an extra

        async def ask() -> str:
            # Twitch takes one filter; of a type an account has as many as it hears channels, which is a page or two.
            route = Route("GET", "eventsub/subscriptions", params={"type": kind}, token_for=USER)
            pages: AsyncIterable[Any] = self._http.request_paginated(route)
            async for one in pages:
                is_it = (
                    one["status"] == "enabled"
                    and one["version"] == version
                    and one["transport"].get("session_id") == session_id
                    and condition.items() <= one["condition"].items()
                )
                if is_it:
                    return str(one["id"])
            return ""

        return await self._patiently(ask)

    async def unsubscribe(self, subscription_id: str) -> None:
        """Delete a subscription; one that is gone already counts as deleted."""
        try:
            await self._patiently(
                lambda: self._http.delete_eventsub_subscription(subscription_id, token_for=USER)
            )
        except HelixRefused as error:
            if error.status != 404:
                raise

    async def say(self, channel_id: str, sender_id: str, text: str, reply_to: str = "") -> Verdict:
        """Send Chat Message, which waits for no bucket.

        Raises:
            HelixThrottled: nothing was said.
            HelixUnavailable: ``undelivered`` says whether it may have been.
            HelixRefused: nothing was said.
        """

        async def ask() -> Verdict:
            answer = await self._http.post_chat_message(
                channel_id, sender_id, text, token_for=self._send_as, reply_to_message_id=reply_to or None
            )
            data = answer["data"][0]
            if data["is_sent"]:
                return Verdict(data["message_id"])
            reason = data.get("drop_reason") or {}
            return Verdict("", reason.get("code") or "dropped", reason.get("message") or "")

        return await self._once(ask)

    # ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _patiently(self, request: Callable[[], Awaitable[_T]]) -> _T:
        for _ in range(self._limits.throttles_max):
            try:
                return await self._once(request)
            except HelixThrottled as error:
                self.throttled += 1
                await asyncio.sleep(max(0.0, error.retry_at_s - asyncio.get_running_loop().time()))
        return await self._once(request)

    async def _once(self, request: Callable[[], Awaitable[_T]]) -> _T:
        """One request; TwitchIO's and aiohttp's exceptions end here."""
        import aiohttp  # lazy: comes with TwitchIO
        from twitchio.exceptions import HTTPException  # lazy: an extra

        try:
            return await request()
        except HTTPException as error:
            # Not str(error), which shows the whole answer.
            words = str(error.extra.get("message") or error.extra.get("error") or "no reason given")[:200]
            path = error.route.path if error.route is not None else ""
            bucket = self._bucket(path)
            if error.status == 429 and not bucket.remaining:
                raise HelixThrottled(words, self._full_at_s(bucket)) from None
            if error.status >= 500:
                raise HelixUnavailable(f"Helix answers {error.status}", undelivered=False) from None
            raise HelixRefused(error.status, words) from None
        except aiohttp.ClientConnectorError as error:
            raise HelixUnavailable(
                f"Helix cannot be reached: {error.strerror or error}", undelivered=True
            ) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            words = str(error) or type(error).__name__
            raise HelixUnavailable(f"Helix does not answer: {words}", undelivered=False) from None
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise HelixUnavailable(f"Helix's answer cannot be read: {error!r}", undelivered=False) from None

    def _bucket(self, path: str) -> _Bucket:
        """By the end of its path: where Helix lives is a setting."""
        for known, bucket in self._buckets.items():
            if known.endswith("/" + path):
                return bucket
        return _Bucket()

    def _full_at_s(self, bucket: _Bucket) -> float:
        """The loop time at which a bucket that refused is worth another try."""
        reset = bucket.reset_unix_s
        wait_s = self._limits.throttle_default_s if reset is None else reset - self._clock.unix()
        # A reset in the past, or a year ahead: Twitch's clock and ours need not agree.
        wait_s = min(max(wait_s, self._limits.throttle_default_s), self._limits.throttle_max_s)
        return asyncio.get_running_loop().time() + wait_s

    def _note(self, path: str, status: int, headers: Mapping[str, str]) -> None:
        """Keep what an answer says of its bucket: an endpoint may have one of its own, so by path."""
        bucket = self._buckets.setdefault(path, _Bucket())
        bucket.limit = _number(headers.get("Ratelimit-Limit"))
        bucket.remaining = _number(headers.get("Ratelimit-Remaining"))
        bucket.reset_unix_s = _number(headers.get("Ratelimit-Reset"))
        if not path.endswith(_SEND_PATH):
            return
        if status == 429:
            self._on_send_held(self._full_at_s(bucket))
        elif bucket.remaining == 0 and bucket.limit and bucket.reset_unix_s is not None:
            # The last place is taken. It fills up steadily, and full again it is at the reset: until then a place comes free
            # every so often, and asking for one sooner would be refused.
            # Within `throttle_max_s`, whatever our clock says: a day behind Twitch's, the next place would be minutes away.
            full_in_s = min(max(0.0, bucket.reset_unix_s - self._clock.unix()), self._limits.throttle_max_s)
            per_place_s = full_in_s / bucket.limit
            self._on_send_held(asyncio.get_running_loop().time() + per_place_s)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
