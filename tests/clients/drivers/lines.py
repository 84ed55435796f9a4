"""What the Python drivers share: the scene they are told, the lines they print, the commands they obey.

A driver is a small bot on one library, started by the harness with the variable ``SCENE`` (JSON: addresses, account, channels). It
prints one JSON line for each thing it experienced through that library (``{"saw": "message", ...}``) and obeys one JSON line
after another on standard input (``{"do": "say", "n": 3, ...}``); the end of the input ends it. It judges nothing.

Runs in an environment that holds the library and not this project.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys


def scene():
    """What the harness says: ``client_id``, ``client_secret``, ``login``, ``user_id``, ``token``, ``refresh_token``, ``scopes``,
    ``irc`` (``host``, ``port``), ``irc_ws``, ``eventsub``, ``helix``, ``oauth`` (URLs), ``tls`` and ``channels`` (each with ``login``
    and ``id``)."""
    return json.loads(os.environ["SCENE"])


def saw(kind, **fields):
    """Print one thing that the library told."""
    sys.stdout.write(json.dumps({"saw": kind, **fields}) + "\n")
    sys.stdout.flush()


def words_of(error):
    """An exception in one line; its cause too, because some libraries put what Twitch said only there."""
    parts = [f"{type(error).__name__}: {error}"]
    if error.__cause__ is not None:
        parts.append(words_of(error.__cause__))
    return " <- ".join(parts)


async def obey(say, reply):
    """Carry out commands until the input ends: ``say(channel, text)`` and ``reply(channel, message_id, text)`` are the library's.

    What they return is a reason for which the message was not sent, if the library returns one ("" or None: sent). What they
    raise was told to the bot: both are printed as ``refused``.
    """
    loop = asyncio.get_running_loop()
    under_way = set()

    async def carry_out(order):
        number = order["n"]
        try:
            if order["do"] == "reply":
                reason = await reply(order["channel"], order["to"], order["text"])
            else:
                reason = await say(order["channel"], order["text"])
        except Exception as error:
            saw("refused", n=number, channel=order["channel"], reason=words_of(error))
        else:
            if reason:
                saw("refused", n=number, channel=order["channel"], reason=reason)
            else:
                saw("sent", n=number)

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        # Not one after the other: a library that waits for its own rate limiter must not hold up the next command.
        task = asyncio.create_task(carry_out(json.loads(line)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
