"""The real clients: what each is, how its driver is started, and what it is known to get wrong by itself.

An :class:`Own` fault names an act and a *sign*: words that must occur in what went wrong. So a client that fails in another way than
the known one (because the fake broke, say) still counts as failed, and one that suddenly gets it right is reported. Reasons are
facts read in the library's source or seen in its runs; the versions are those that ``packages/`` pins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["irc", "eventsub"]
#: Where its library lives; "none" needs no library.
Runtime = Literal["twitchio2", "python", "node", "none"]


@dataclass(frozen=True)
class Own:
    """What a client gets wrong by itself in one act."""

    sign: str
    reason: str


@dataclass(frozen=True)
class Client:
    """One library in one role. ``login`` is its account's, ``program`` a file in ``drivers/``."""

    login: str
    name: str
    version: str
    kind: Kind
    runtime: Runtime
    program: str
    own: Mapping[str, Own] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    tls: bool = True  # False: what points it at the fake knows http:// only

    @property
    def channels(self) -> tuple[str, str]:
        """Its two channels, which nobody else of the table plays in."""
        return f"{self.login}_a", f"{self.login}_b"


TWICE: Final = Own("came 2 times", "hands a message on as often as it comes; the bot must remember ids")

#: Read in twitchio/websocket.py, _keep_alive: `data.split` on every frame that is not CLOSED.
TWITCHIO_TWO_CLOSE: Final = Own(
    "did not come back",
    "takes a close frame's code for text (int has no split): its reading task dies, nothing reconnects",
)
#: Read in twitchAPI/chat/__init__.py, __task_receive: `while not closed`, and a branch for CLOSED only.
TWITCHAPI_CHAT_CLOSE: Final = Own(
    "did not come back",
    "knows aiohttp's CLOSED and not CLOSE or CLOSING: the task that reads ends with the old connection",
)
#: Read in twitchio/eventsub/websockets.py, _listen: after 4003 close() and return.
TWITCHIO_THREE_4003: Final = Own(
    "did not come back", "closes for good after 4003, without an event or an error"
)
#: Seen in its runs: it waits for the bucket to fill and then reads the answer of the refused request.
TWITCHAPI_429: Final = Own(
    "KeyError", "waits until the bucket is full again, then reads the refusal as if it were the answer"
)
#: Seen in their runs, and read in twitchAPI/chat/__init__.py, send_message, and in dank's client: no look at the length.
CUT: Final = Own(
    "the end of a long message was lost",
    "sends a text of any length in one piece, and Twitch's chat cuts it at 500 characters",
)
#: Seen in its runs: Helix's 422 has no "data", which is what it reads.
TWITCHAPI_422: Final = Own(
    "KeyError", "reads the refusal of a text that is too long as if it were the answer"
)
#: Read in twitchio/abcs.py, RateLimitBucket, and in twitchAPI/chat/__init__.py, _get_message_bucket: a bucket for each channel.
BY_CHANNEL: Final = Own(
    "messages were lost",
    "counts 20 messages in 30 s for each channel, and Twitch counts them for the account: what is over is dropped without an answer",
)
#: Read in tmi.js/lib/client.js, _sendMessage.
UNCOUNTED: Final = Own(
    "messages were lost",
    "does not count what it sends: over 20 messages in 30 s Twitch drops them without an answer",
)

CLIENTS: Final = (
    Client(
        "twitchio_two",
        "twitchio",
        "2.10.0",
        "irc",
        "twitchio2",
        "twitchio2.py",
        {"once": TWICE, "returns": TWITCHIO_TWO_CLOSE, "too many": BY_CHANNEL},
    ),
    Client(
        "twitchapi_chat",
        "twitchAPI Chat",
        "4.5.0",
        "irc",
        "python",
        "twitchapi_chat.py",
        {
            "once": TWICE,
            "reconnects": TWITCHAPI_CHAT_CLOSE,
            "returns": TWITCHAPI_CHAT_CLOSE,
            "too long": CUT,
            "too many": BY_CHANNEL,
        },
    ),
    Client("tmijs", "tmi.js", "1.8.5", "irc", "node", "tmijs.js", {"once": TWICE, "too many": UNCOUNTED}),
    Client("twurple_chat", "@twurple/chat", "8.1.4", "irc", "node", "twurple_chat.js", {"once": TWICE}),
    Client("dank", "dank-twitch-irc", "7.2.0", "irc", "node", "dank.js", {"once": TWICE, "too long": CUT}),
    Client(
        "twitchio_three",
        "twitchio",
        "3.3.2",
        "eventsub",
        "python",
        "twitchio3.py",
        {"once": TWICE, "4003": TWITCHIO_THREE_4003},
    ),
    Client(
        "twitchio_auto",
        "twitchio AutoBot",
        "3.3.2",
        "eventsub",
        "python",
        "twitchio3.py",
        {"once": TWICE},
        {"OVER_CONDUIT": "1"},
    ),
    Client(
        "twitchapi_event",
        "twitchAPI EventSub",
        "4.5.0",
        "eventsub",
        "python",
        "twitchapi_eventsub.py",
        {"once": TWICE, "429": TWITCHAPI_429, "too long": TWITCHAPI_422},
    ),
    Client(
        "twurple_event",
        "@twurple/eventsub-ws",
        "8.1.4",
        "eventsub",
        "node",
        "twurple_eventsub.js",
        tls=False,
    ),
)
