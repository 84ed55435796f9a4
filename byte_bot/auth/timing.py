"""When the token's keeper does what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Seconds that the end of the bot waits for a refresh under way: fits between its other stages (7 s) and the 8 s of all.
FINISH_S: Final = 0.8


@dataclass(frozen=True)
class KeeperTiming:
    """When the keeper does what; all in seconds."""

    #: Documented: at the start, "and on an hourly basis thereafter".
    validate_every_s: float = 3_600.0
    #: Chosen: room for an outage of the authorization server; a quarter of the lifetime if that is less.
    refresh_before_s: float = 900.0
    #: Chosen: a token that is refused within this time of its refresh is validated instead of refreshed again.
    trust_s: float = 600.0
    #: Chosen: after a login the bot is back within a breath; one `stat` costs microseconds.
    look_s: float = 2.0
    #: Chosen: often enough to be found in a log, seldom enough not to fill it.
    remind_s: float = 3_600.0
    #: Chosen: a start waits this long for Twitch's word on a token that looks valid; well under what a login may take.
    start_s: float = 3.0
    #: Upper bound of a pause between tries to reach the authorization server.
    backoff_max_s: float = 60.0
