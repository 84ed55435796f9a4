"""What the house rules let pass, each with its reason.

An allowance is (path, subject): the path of a file, or of a folder when it ends in a slash; the subject is what the rule
names (a function, a module, a call), "" for any.  An allowance that no longer lets anything pass fails the test too.
"""

from __future__ import annotations

from collections.abc import Mapping

Allowances = Mapping[tuple[str, str], str]

# Modules that are functions of their arguments: no loop, no clock, no machine.  Each must exist.
PURE = (
    "byte_bot/chat/irc/line.py",
    "byte_bot/chat/irc/session.py",
    "byte_bot/chat/message.py",
    "byte_bot/persistence/backoff.py",
    "byte_bot/persistence/breaker.py",
    "byte_bot/persistence/ledger.py",
    "byte_bot/persistence/operations.py",
    "simulator/supabase/query.py",
    "simulator/twitch/limits.py",
    "simulator/twitch/line.py",
)

IMPORT_DIRECTION: Allowances = {
    ("simulator/world.py", "byte_bot"): "the composition root of simulation: the real bot on the fakes",
    ("simulator/cli.py", "byte_bot"): "starts worlds, and the shipped bot beside the fakes",
    ("simulator/invariants/", "byte_bot"): "compare what the bot holds with what the fakes saw",
    ("simulator/scenarios/", "byte_bot"): "name the bot's settings in their stories",
}

LATE_PROJECT_IMPORT: Allowances = {}

CLOCK_OR_RANDOMNESS: Allowances = {
    ("byte_bot/clock.py", ""): "the one place that reads the machine's clock, behind a protocol",
}

UNIX_ONLY: Allowances = {}

MUTABLE_GLOBAL: Allowances = {}

IMPORT_SIDE_EFFECT: Allowances = {}

BROAD_EXCEPT: Allowances = {
    ("byte_bot/chat/outbox.py", "Outbox._work"): "supervisor: a bug costs one message, logged and counted",
}

DROPPED_TASK: Allowances = {}

PATCHED_CODE: Allowances = {}

UNTESTED: Allowances = {
    ("simulator/scenarios/", ""): "the stories in tests/scenarios/ run every one of them",
}

UNREFERENCED: Allowances = {}

# Names whose caller is outside: an entry point in pyproject.toml, a hook that a library or an extension calls.
PUBLIC: Mapping[str, str] = {
    "main": "entry point of byte-bot and byte-sim",
    "setup": "what an extension module defines for the bot to call",
}
