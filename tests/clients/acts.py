"""The acts of the table: what is done to every client, and what each must have done when it is over.

An act is played by one *seat* (a client, its driver, the stage) and returns what went wrong, or "". Where Twitch itself does something
(a RECONNECT, a close, a redelivery) the fault is set once for all, by ``begin``, before the seats play; ``finish`` ends it.
Everything is judged from what the driver says its library told it and from what the service says happened; nothing from inside a client.

Waits have a long limit for what must come, and a short one where the client is known not to deliver, which would only cost time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from tests.clients.child import Child, Line
from tests.clients.roster import Client, Kind
from tests.clients.stage import MODERATOR, POLL_S, Stage

#: Between two messages of one account in a channel: Twitch refuses a second one within a second.
BREATH_S: Final = 1.3
#: How long the old connection lives after RECONNECT or session_reconnect.
GRACE_S: Final = 3.0
#: Twitch takes so many messages of an account in 30 s; said at once, so many more are over it.
MESSAGES_MAX: Final = 20
MESSAGES_OVER: Final = 4
#: One character more than Twitch takes. Only the whole of it ends so.
LONG_END: Final = "abcEND"
LONG_TEXT: Final = "abcd " * 99 + LONG_END
#: How long after a message its copy is waited for.
COPIES_S: Final = 1.5
ALL: Final[tuple[Kind, ...]] = ("irc", "eventsub")


@dataclass(frozen=True)
class Patience:
    """How long is waited for what should come, in seconds."""

    start_s: float = 40.0  # a library loads, logs in and is ready, on a machine that is busy
    act_s: float = 15.0  # what a client does at once
    return_s: float = (
        35.0  # after Twitch ended the connection: the slowest that is known to come back takes about 20
    )
    known_s: float = 4.0  # what a client is known not to do


class Seat:
    """One client at play: its driver, the stage, and the numbers of its orders."""

    def __init__(self, client: Client, driver: Child, stage: Stage, patience: Patience) -> None:
        self.client = client
        self.driver = driver
        self.stage = stage
        self.patience = patience
        self._numbers = count(1)
        self.last_heard = ("", "")  # channel and id of a message that the client received, for replies
        self.home, self.away = client.channels

    def wait_s(self, act: str) -> float:
        """How long to wait for the good end of an act that a client may be known to get wrong."""
        return self.patience.known_s if act in self.client.own else self.patience.act_s

    def wait_for_return_s(self, act: str) -> float:
        """The same where it has to come back, or where the service is out of order meanwhile."""
        return self.patience.known_s if act in self.client.own else self.patience.return_s

    async def order(self, do: str, channel: str, text: str, **more: str) -> int:
        """Tell the driver to say something, and return the order's number."""
        number = next(self._numbers)
        await self.driver.tell({"do": do, "n": number, "channel": channel, "text": text, **more})
        return number

    async def refusal(
        self, number: int, channel: str, words: tuple[str, ...], within_s: float, after: int
    ) -> str:
        """What the library told about a refused message with one of these words in it; "" if it told nothing of the kind."""

        def fits(line: Line) -> bool:
            return _about(line, number, channel) and _has(line["reason"], words)

        line = await self.driver.until(fits, within_s, after=after)
        return "" if line is None else str(line["reason"])

    async def fate(
        self, number: int, channel: str, text: str, words: tuple[str, ...], within_s: float, after: int
    ) -> str:
        """Wait until a message arrived, or the library told that it was refused, with one of these words; what went wrong, or ""."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + within_s
        while True:
            if await self.stage.said(channel, self.client.login, text, 0.0) is not None:
                return ""
            refused = [line for line in self.driver.lines[after:] if _about(line, number, channel)]
            if any(_has(line["reason"], words) for line in refused):
                return ""
            for line in refused:
                if "n" in line:
                    return f"a message was lost: {line['reason']}"
            if loop.time() > deadline_s or self.driver.ended:
                return f"a message was lost without a word ({words[0]})"
            await asyncio.sleep(POLL_S)

    async def hears(self, channel: str, text: str, within_s: float) -> str:
        """Let somebody say this, and wait for the client to receive it as it was said; what went wrong, or ""."""
        message_id = await self.stage.say(channel, "viewer_ana", text)
        line = await self.driver.until(
            lambda one: one["saw"] == "message" and one["id"] == message_id, within_s
        )
        if line is None:
            return f"did not receive a message in {channel}{self.last_words()}"
        got = (line["channel"], line["login"], line["text"])
        if got != (channel, "viewer_ana", text):
            return f"received {got} instead of {(channel, 'viewer_ana', text)}"
        self.last_heard = (channel, message_id)
        return ""

    async def speaks(self, channel: str, text: str, within_s: float) -> str:
        """Let the client say this, and look whether it is in the transcript; what went wrong, or ""."""
        after = len(self.driver.lines)
        number = await self.order("say", channel, text)
        if await self.stage.said(channel, self.client.login, text, within_s) is not None:
            return ""
        refused = await self.refusal(number, channel, ("",), 0.0, after)
        return f"its message did not arrive in {channel}" + (f": {refused}" if refused else self.last_words())

    def last_words(self) -> str:
        """What its driver told last about an error or an end, to put behind a sentence."""
        errors = [line.get("reason", "") for line in self.driver.lines if line["saw"] in ("error", "closed")]
        if self.driver.ended:
            errors.extend(list(self.driver.other)[-1:])
            return f"; its driver ended: {errors[-1] if errors else 'without a word'}"
        return f"; it said last: {errors[-1]}" if errors else ""


def _about(line: Line, number: int, channel: str) -> bool:
    """Whether a line says that this order was refused: by its number, or (a NOTICE has none) by its channel."""
    return line["saw"] == "refused" and (line["n"] == number if "n" in line else line["channel"] == channel)


def _has(reason: object, words: tuple[str, ...]) -> bool:
    return any(word.lower() in str(reason).lower() for word in words)


# -- what every bot does


async def connects(seat: Seat) -> str:
    """Log in with the library's own handshake until it says that it is ready."""
    if await seat.driver.until(lambda line: line["saw"] == "ready", seat.patience.start_s) is None:
        return f"never became ready{seat.last_words()}"
    if seat.client.kind == "irc" and not await seat.stage.connections(seat.client.login):
        return "says it is ready, and is not logged in"
    return ""


async def joins(seat: Seat) -> str:
    """Join two channels (or subscribe to two), as the library itself reports it."""
    for channel in seat.client.channels:

        def mine(line: Line, channel: str = channel) -> bool:
            return line["saw"] == "joined" and line["channel"] == channel

        if await seat.driver.until(mine, seat.patience.act_s) is None:
            return f"never joined {channel}{seat.last_words()}"
    return ""


async def receives(seat: Seat) -> str:
    """Receive what is said in both channels: channel, author, text (not only ASCII) and id are right."""
    for channel in seat.client.channels:
        if wrong := await seat.hears(channel, f"olá 🎲 :) = ; \\ said in {channel}", seat.patience.act_s):
            return wrong
    return ""


async def sends(seat: Seat) -> str:
    """Send to both channels."""
    for channel in seat.client.channels:
        if wrong := await seat.speaks(channel, f"é um prazer 🎲 {channel}", seat.patience.act_s):
            return wrong
    return ""


async def replies(seat: Seat) -> str:
    """Answer a message so that Twitch shows it as a reply."""
    channel, message_id = seat.last_heard
    if not message_id:
        return "has received nothing that it could reply to"
    await asyncio.sleep(BREATH_S)
    await seat.order("reply", channel, "this is a reply", to=message_id)
    found = await seat.stage.said(channel, seat.client.login, "this is a reply", seat.patience.act_s)
    if found is None:
        return f"its reply did not arrive{seat.last_words()}"
    return "" if found["reply_to"] == message_id else "its reply came as an ordinary message"


# -- limits, hit and reported


async def too_fast(seat: Seat) -> str:
    """Two messages at once in one channel: the library holds the second back, or tells that Twitch refused it."""
    await asyncio.sleep(BREATH_S)
    after = len(seat.driver.lines)
    texts = ("first of two", "second of two")
    numbers = [await seat.order("say", seat.home, text) for text in texts]
    words = ("msg_ratelimit", "too quickly", "rate")
    for number, text in zip(numbers, texts, strict=True):
        if wrong := await seat.fate(number, seat.home, text, words, seat.wait_s("too fast"), after):
            return wrong
    return ""


async def duplicate(seat: Seat) -> str:
    """The same text twice within 30 s: the library tells that Twitch refused the second."""
    await asyncio.sleep(BREATH_S)
    if wrong := await seat.speaks(seat.home, "the same again", seat.patience.act_s):
        return wrong
    await asyncio.sleep(BREATH_S)
    after = len(seat.driver.lines)
    number = await seat.order("say", seat.home, "the same again")
    words = ("msg_duplicate", "identical")
    if await seat.refusal(number, seat.home, words, seat.wait_s("duplicate"), after):
        return ""
    return "a message was lost without a word (msg_duplicate)"


async def too_long(seat: Seat) -> str:
    """501 characters: the library sends them in pieces, or tells that they are too many; Twitch's chat cuts them without a word."""
    await asyncio.sleep(BREATH_S)
    before, after = await seat.stage.last(), len(seat.driver.lines)
    number = await seat.order("say", seat.home, LONG_TEXT)
    words = ("500", "422", "length", "too l", "too quickly", "msg_ratelimit")
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + seat.wait_s("too long")
    while not seat.driver.ended and loop.time() < deadline_s:
        if any(text.endswith(LONG_END) for text in await seat.stage.texts(seat.client.login, before)):
            return ""
        refused = [line for line in seat.driver.lines[after:] if _about(line, number, seat.home)]
        if any(_has(line["reason"], words) for line in refused):
            return ""
        if refused:
            return f"a long message was refused with words that do not tell why: {refused[-1]['reason']}"
        await asyncio.sleep(POLL_S)
    return "the end of a long message was lost without a word"


async def too_many(seat: Seat) -> str:
    """More messages at once than Twitch takes in 30 s: the library holds back what is over, or tells which were refused.

    Over the limit chat answers nothing, so only a library that counts for itself gets this right there. Twitch then ignores the account
    for half an hour.
    """
    await asyncio.sleep(BREATH_S)
    before, after = await seat.stage.last(), len(seat.driver.lines)
    texts = [f"one of many, number {number}" for number in range(MESSAGES_MAX + MESSAGES_OVER)]
    numbers = [
        await seat.order("say", seat.client.channels[turn % 2], text) for turn, text in enumerate(texts)
    ]
    loop = asyncio.get_running_loop()
    # Those that it holds back are no loss: what it says that it has sent must be there, or be refused.
    sent = refused = arrived = 0
    least_s = loop.time() + COPIES_S
    deadline_s = least_s + seat.wait_s("too many")
    while loop.time() < deadline_s and not seat.driver.ended:
        await asyncio.sleep(POLL_S)
        arrived = len(set(texts).intersection(await seat.stage.texts(seat.client.login, before)))
        told = seat.driver.lines[after:]
        sent = sum(line["saw"] == "sent" and line["n"] in numbers for line in told)
        refused = sum(line["saw"] == "refused" and "n" not in line for line in told)
        if loop.time() >= least_s and sent <= arrived + refused:
            return "" if sent + refused + arrived else "none of its messages left"
    return f"{sent - arrived - refused} of {sent} messages were lost without a word"


async def banned(seat: Seat) -> str:
    """A moderator bans the account: the library tells that Twitch refused the next message, and goes on in the other channel."""
    await asyncio.sleep(BREATH_S)
    await seat.stage.event(verb="ban", channel=seat.home, login=seat.client.login, moderator=MODERATOR)
    after = len(seat.driver.lines)
    number = await seat.order("say", seat.home, "said while banned")
    words = ("msg_banned", "banned")
    told = await seat.refusal(number, seat.home, words, seat.wait_s("banned"), after)
    await seat.stage.event(verb="unban", channel=seat.home, login=seat.client.login, moderator=MODERATOR)
    if await seat.stage.said(seat.home, seat.client.login, "said while banned", 0.0) is not None:
        return "a banned account's message went through"
    if not told:
        return "a message was lost without a word (msg_banned)"
    # On EventSub the ban ends a subscription, and a client has to take that in without losing the others.
    return await seat.hears(seat.away, "said elsewhere after a ban", seat.patience.act_s)


# -- what Twitch does to connections and requests


async def begin_twice(stage: Stage) -> None:
    """From now on Twitch delivers everything twice, as it may."""
    await stage.fault("twice", {"kind": "twitch_duplicates"})


async def finish_twice(stage: Stage) -> None:
    """And no longer."""
    await stage.fault("twice", None)


async def once(seat: Seat) -> str:
    """A message that Twitch delivers twice, with one id, reaches the bot once."""
    message_id = await seat.stage.say(seat.home, "viewer_ana", "delivered twice")

    def it(line: Line) -> bool:
        return line["saw"] == "message" and line["id"] == message_id

    if await seat.driver.until(it, seat.patience.act_s) is not None:
        await asyncio.sleep(COPIES_S)
    copies = sum(map(it, seat.driver.lines))
    return "" if copies == 1 else f"came {copies} times"


async def begin_reconnect(stage: Stage) -> None:
    """RECONNECT on IRC, session_reconnect on EventSub; the old connections end after the grace."""
    await stage.fault("reconnect", {"kind": "twitch_reconnect", "grace_s": GRACE_S})


async def reconnects(seat: Seat) -> str:
    """After Twitch's request to reconnect and the end of the old connection the bot hears and speaks again, in both channels."""
    await asyncio.sleep(GRACE_S + COPIES_S)  # until then the old connection would still serve
    return await comes_back(seat, "reconnects")


async def begin_close(stage: Stage) -> None:
    """Twitch closes every connection, without a word on IRC, with 4000 on EventSub."""
    await stage.fault("close_irc", {"kind": "twitch_disconnect", "face": "irc"})
    await stage.fault("close_eventsub", {"kind": "eventsub_close", "code": 4000})


async def returns(seat: Seat) -> str:
    """After Twitch closed the connection the bot hears and speaks again, in both channels."""
    await asyncio.sleep(COPIES_S)
    return await comes_back(seat, "returns")


async def begin_unused(stage: Stage) -> None:
    """Twitch closes every EventSub connection with 4003, as it does with those that nobody subscribed on."""
    await stage.fault("unused", {"kind": "eventsub_close", "code": 4003})


async def survives_4003(seat: Seat) -> str:
    """After a close with 4003 the bot hears again."""
    await asyncio.sleep(COPIES_S)
    return await comes_back(seat, "4003")


async def comes_back(seat: Seat, act: str) -> str:
    """Say something new again and again until it arrives, in both channels, within the limit; then let the client speak."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + seat.wait_for_return_s(act)
    for channel in seat.client.channels:
        attempts = count(1)
        while wrong := await seat.hears(channel, f"{act}: are you there? {next(attempts)}", 1.0):
            if loop.time() > deadline_s or seat.driver.ended:
                return f"did not come back: {wrong}"
    await asyncio.sleep(BREATH_S)
    return await seat.speaks(seat.home, f"{act}: here I am", seat.patience.act_s)


async def begin_429(stage: Stage) -> None:
    """Helix refuses every request with 429 for two seconds."""
    await stage.fault("429", {"kind": "helix_429", "duration_s": 2.0})


async def survives_429(seat: Seat) -> str:
    """A message sent while Helix answers 429 arrives later, or the library tells that it did not."""
    after = len(seat.driver.lines)
    number = await seat.order("say", seat.home, "said during 429")
    words = ("429", "too many", "rate")
    return await seat.fate(number, seat.home, "said during 429", words, seat.wait_for_return_s("429"), after)


async def survives_401(seat: Seat) -> str:
    """The access token runs out: the library refreshes it and sends the message."""
    await asyncio.sleep(BREATH_S)
    await seat.stage.expire_token(seat.client.login)
    return await seat.speaks(seat.away, "said with a new token", seat.wait_s("401"))


Play = Callable[[Seat], Awaitable[str]]
Change = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Act:
    """One column of the table.

    ``slow``: left out of ``make test``. ``loses``: a client that fails in it may be gone for good, and starts anew for the next.
    """

    name: str
    play: Play
    kinds: tuple[Kind, ...] = ALL
    slow: bool = False
    loses: bool = False
    begin: Change | None = None
    finish: Change | None = None

    @property
    def about(self) -> str:
        """What is asked of the client, in a sentence."""
        return (self.play.__doc__ or "").strip()


ACTS: Final = (
    Act("connects", connects),
    Act("joins", joins),
    Act("receives", receives),
    Act("sends", sends),
    Act("replies", replies),
    Act("too fast", too_fast),
    Act("duplicate", duplicate),
    Act("too long", too_long),
    Act("once", once, begin=begin_twice, finish=finish_twice),
    Act("reconnects", reconnects, loses=True, begin=begin_reconnect),
    Act("returns", returns, begin=begin_close, slow=True, loses=True),
    Act("429", survives_429, kinds=("eventsub",), begin=begin_429, slow=True),
    Act("4003", survives_4003, kinds=("eventsub",), begin=begin_unused, slow=True, loses=True),
    # After every act in which a client may start anew: the letters that it is started with are used up here.
    Act("401", survives_401, kinds=("eventsub",), slow=True),
    # Late: a ban ends the account's EventSub subscriptions there (status chat_user_banned), and an unban does not bring them back.
    Act("banned", banned),
    # Last: whoever is over the limit is ignored from then on.
    Act("too many", too_many),
)
