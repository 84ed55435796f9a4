"""Calls of SQL functions: arguments checked like PostgREST's, then a stand-in in Python.

SQLite runs no PL/pgSQL, so a function that the schema declares is answered by the stand-in of the same name from
`functions.py`. What surrounds the body is done here as PostgreSQL does it: unknown or missing parameters are
PGRST202, arguments are cast to the declared types (so one U+0000 anywhere in a jsonb argument fails the whole call),
EXECUTE is asked for, and so are the privileges on the tables which the body will touch: the functions run with
their caller's rights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from simulator.supabase import errors, pgtypes
from simulator.supabase.engine import Engine, Role
from simulator.supabase.functions import FUNCTIONS, FunctionError, StandIn
from simulator.supabase.schema import Function

# The first statement of each function's body that writes or locks: a read-only database refuses it in these words.
FIRST_WRITE: Mapping[str, str] = {"byte_bot_take_epoch": "INSERT", "byte_bot_save": "SELECT FOR SHARE"}

# (table, privileges) that a call needs, given its arguments.
Needs = Iterator[tuple[str, tuple[str, ...]]]


def call(
    engine: Engine,
    role: Role,
    name: str,
    arguments: Mapping[str, Any],
    now_iso: str,
    bodies: Mapping[str, StandIn] = FUNCTIONS,
) -> Any:
    """Call a function, whose body is looked up in `bodies`, and return its result as JSON; raises ApiError or PgError."""
    declared = engine.schema.functions.get(name)
    known = {function.name: tuple(one.name for one in function.parameters) for function in _visible(engine)}
    if declared is None or name not in known or name not in bodies or not _accepts(declared, arguments):
        raise errors.no_function(name, arguments, known)
    if not engine.schema.grants.allows("function", name, role, "execute"):
        raise errors.permission_denied("function", name)
    values = {
        one.name: _argument(one.type, arguments[one.name])
        for one in declared.parameters
        if one.name in arguments
    }
    engine.require_write(role, FIRST_WRITE.get(name, "UPDATE"))
    for table, privileges in NEEDS[name](values) if name in NEEDS else ():
        engine.require(role, table, *privileges)
    try:
        with engine.transaction():
            return bodies[name](engine.connection, values, now_iso)
    except FunctionError as error:
        raise errors.PgError(error.sqlstate, error.message) from error


def _visible(engine: Engine) -> list[Function]:
    hidden = engine.restrictions.missing_functions
    return [function for function in engine.schema.functions.values() if function.name not in hidden]


def _accepts(function: Function, arguments: Mapping[str, Any]) -> bool:
    names = [one.name for one in function.parameters]
    required = [one.name for one in function.parameters if not one.optional]
    return all(name in names for name in arguments) and all(name in arguments for name in required)


def _argument(kind: pgtypes.PgType, value: Any) -> Any:
    """The argument as the function's body sees it, cast to the declared type; raises PgError."""
    if kind is pgtypes.JSONB:
        # The order in which jsonb has the keys shows in what is stored, and is given to them there.
        pgtypes.refuse_nul(value)
        return value
    return pgtypes.to_json(kind, pgtypes.from_json(kind, value))


def _needs_of_take_epoch(_arguments: Mapping[str, Any]) -> Needs:
    yield "bot_writer", ("select", "insert", "update")


def _needs_of_save(arguments: Mapping[str, Any]) -> Needs:
    # FOR SHARE asks for update too.
    yield "bot_writer", ("select", "update")
    rows = arguments.get("p_rows") or ()
    for table in ("channel_state", "component_state"):
        if any(isinstance(row, Mapping) and row.get("table") == table for row in rows):
            yield table, ("select", "insert", "update")
    for name, table, privileges in (
        ("p_patches", "channels_config", ("select", "insert", "update")),
        ("p_history", "channel_history", ("insert",)),
        ("p_events", "bot_events", ("insert",)),
    ):
        if arguments.get(name):
            yield table, privileges


NEEDS: Mapping[str, Callable[[Mapping[str, Any]], Needs]] = {
    "byte_bot_take_epoch": _needs_of_take_epoch,
    "byte_bot_save": _needs_of_save,
}
