"""How one request fares under the active faults: decided once, in the same way for every face. Pure.

Delays add up. Of the faults that keep a request from being executed the first on the board wins, connection
before canned answer; of those that spoil the answer of an executed request likewise. What a face then does
with a `Conduct` differs only in its means: exceptions on an httpx transport, closed sockets behind uvicorn.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Drip,
    Fault,
    Hang,
    Html520,
    HtmlOk,
    Latency,
    OverQuota,
    ProjectPaused,
    Refused,
    Reset,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.supabase import errors
from simulator.supabase.wire import Response, encode

# What the faces carry out themselves; the rest (read-only, missing grants) acts inside the database.
FACE_FAULTS: tuple[type[Fault], ...] = (
    Latency, Refused, Hang, Reset, Status503, Html520, TooManyRequests, HtmlOk, Unauthorized, OverQuota,
    ProjectPaused, CutBody, Drip, CommitThenDrop,
)  # fmt: skip

# Cloudflare's page in front of a Supabase project whose origin is broken, shortened.
_HTML_520 = b"""<!DOCTYPE html>
<html lang="en-US"><head><title>project.supabase.test | 520: Web server is returning an unknown
error</title></head> <body><h1>Web server is returning an unknown error <span>Error code
520</span></h1></body></html>
"""
_HTML_OK = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please sign in to the network.</body></html>\n"
_HTML = ("content-type", "text/html; charset=UTF-8")


@dataclass(frozen=True)
class Conduct:
    """One request's fate. ``late``: executed all the same when its client has given up before the execution."""

    before_s: float = 0.0
    after_s: float = 0.0
    late: bool = False
    connection: Refused | Hang | Reset | None = None
    canned: Response | None = None
    ending: CutBody | Drip | CommitThenDrop | None = None

    @property
    def delay_s(self) -> float:
        """The whole delay, in seconds."""
        return self.before_s + self.after_s


PLAIN = Conduct()


def decide(faults: Sequence[Fault], rng: random.Random) -> Conduct:
    """The fate of one request under these faults (already drawn by their probability)."""
    if not faults:
        return PLAIN
    before_s = after_s = 0.0
    late = False
    connection: Refused | Hang | Reset | None = None
    canned: Response | None = None
    ending: CutBody | Drip | CommitThenDrop | None = None
    for fault in faults:
        if isinstance(fault, Latency):
            delay_s, share = fault.draw_s(rng), fault.draw_share_before(rng)
            before_s += delay_s * share
            after_s += delay_s * (1 - share)
            late = late or rng.random() < fault.late_probability
        elif isinstance(fault, Refused | Hang | Reset):
            connection = connection or fault
        elif isinstance(fault, CutBody | Drip | CommitThenDrop):
            ending = ending or fault
        else:
            canned = canned or _canned(fault)
    return Conduct(before_s, after_s, late, connection, canned, ending)


def _canned(fault: Fault) -> Response | None:
    if isinstance(fault, Status503):
        message = "Could not query the database for the schema cache. Retrying."
        return _json(
            503, errors.error_body("PGRST002", message), ("proxy-status", "PostgREST; error=PGRST002")
        )
    if isinstance(fault, TooManyRequests):
        retry_after = ("retry-after", str(max(0, round(fault.retry_after_s))))
        return _json(429, {"message": "API rate limit exceeded"}, retry_after)
    if isinstance(fault, Unauthorized):
        return _json(401, errors.invalid_api_key().body)
    if isinstance(fault, OverQuota):
        return _json(402, errors.over_quota().body)
    if isinstance(fault, ProjectPaused):
        return _json(540, errors.project_paused().body)
    if isinstance(fault, Html520):
        return Response(520, (_HTML, ("server", "cloudflare")), _HTML_520)
    if isinstance(fault, HtmlOk):
        return Response(200, (_HTML,), _HTML_OK)
    return None


def _json(status: int, body: dict[str, object], *headers: tuple[str, str]) -> Response:
    return Response(status, (("content-type", errors.JSON_TYPE), *headers), encode(body))


# A body drips in portions ten times a second, or a byte at a time when that is slower.
DRIP_INTERVAL_S = 0.1


def drip(body: bytes, bytes_per_s: float) -> tuple[float, list[bytes]]:
    """Cut a body into portions for a rate: the seconds before each portion, and the portions."""
    size = max(1, round(bytes_per_s * DRIP_INTERVAL_S))
    return size / bytes_per_s, [body[start : start + size] for start in range(0, len(body), size)]
