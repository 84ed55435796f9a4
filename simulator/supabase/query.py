"""PostgREST's request language: the query string as values. Pure: no tables, no SQL.

How it works. A small scanner walks over one parameter at a time, after the grammar of PostgREST's
``ApiRequest/QueryParams.hs`` (2026-08), whose error messages name the parameter's text and the column:

* ``select=a,alias:b,c::text,d->x->>y``: `SelectItem`;
* ``column=eq.1``, ``column=not.in.(1,"a,b")``, ``and=(a.gt.1,or(b.is.null,not.c.eq.2))``: `Filter`, `Logic`;
* ``order=a.desc.nullslast,b``: `OrderTerm`; ``limit``, ``offset``; ``columns="b","a"``; ``on_conflict=a,b``.

Left out: embedded resources and their parameters (recognised, so that the engine can refuse them as PostgREST
does where there is no foreign key), aggregates, full-text search, ranges. `Query` values never touch a table:
whether a column exists is the engine's question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import parse_qsl

from simulator.supabase import errors
from simulator.supabase.scanner import FIELD_EXPECTED, NAME, Field, Scanner

Operator = Literal[
    "eq",
    "neq",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "is",
    "isdistinct",
    "like",
    "ilike",
    "match",
    "imatch",
    "cs",
    "cd",
]

# Longest first: "gte" must not be read as "gt".
_COMPARISONS = (
    "isdistinct",
    "imatch",
    "ilike",
    "match",
    "like",
    "neq",
    "gte",
    "lte",
    "eq",
    "gt",
    "lt",
    "cs",
    "cd",
)
# A bot asks the same few questions for hours; of those that differ (batches of channels) the latest.
_QUERIES_KEPT = 256
_QUANTIFIABLE = ("eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch")
# Known to PostgREST, not to this fake.
_NOT_MODELLED = ("fts", "plfts", "phfts", "wfts", "ov", "sl", "sr", "nxr", "nxl", "adj")
_LOOKS_LIKE_A_FILTER = re.compile(
    rf"(not\.)?({'|'.join((*_COMPARISONS, *_NOT_MODELLED, 'in', 'is'))})(\([a-z]+\))?\."
)
_IS_VALUES = ("not_null", "null", "true", "false", "unknown")
_OPERATOR_EXPECTED = 'expecting "not" or operator (eq, gt, ...)'


@dataclass(frozen=True)
class SelectItem:
    """One item of ``select``; ``field.column`` of ``*`` means every column."""

    field: Field
    alias: str = ""
    cast: str = ""
    embedded: bool = False

    @property
    def name(self) -> str:
        """The key under which the item appears in the answer."""
        if self.alias or not self.field.path:
            return self.alias or self.field.column
        keys = [step for step in self.field.path if isinstance(step, str)]
        return keys[-1] if keys else self.field.column


@dataclass(frozen=True)
class Filter:
    """One condition; ``values`` holds one operand, or a list's for ``in`` and quantified operators."""

    field: Field
    operator: Operator
    values: tuple[str, ...]
    negated: bool = False
    quantifier: Literal["", "any", "all"] = ""


@dataclass(frozen=True)
class Logic:
    """Conditions joined by ``and`` or ``or``."""

    operator: Literal["and", "or"]
    conditions: tuple[Filter | Logic, ...]
    negated: bool = False


@dataclass(frozen=True)
class OrderTerm:
    """One term of ``order``; ``nulls_first`` None means PostgreSQL's default (last ascending, first descending)."""

    field: Field
    descending: bool = False
    nulls_first: bool | None = None


@dataclass(frozen=True)
class Query:
    """A whole query string."""

    select: tuple[SelectItem, ...] = (SelectItem(Field("*")),)
    conditions: tuple[Filter | Logic, ...] = ()
    order: tuple[OrderTerm, ...] = ()
    limit: int | None = None
    offset: int = 0
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    arguments: tuple[tuple[str, str], ...] = ()  # of a function called with GET


@lru_cache(maxsize=_QUERIES_KEPT)
def parse_query(query_string: str, *, is_function: bool = False) -> Query:
    """Parse the query string of a request; raises ApiError PGRST100 with PostgREST's words.

    With ``is_function`` a parameter which is no filter is an argument of the function (GET on rpc).
    """
    pairs = parse_qsl(query_string, keep_blank_values=True)
    single = dict(reversed(pairs))  # of a repeated parameter the first counts
    conditions: list[Filter | Logic] = []
    arguments: list[tuple[str, str]] = []
    order: list[OrderTerm] = []
    for name, value in pairs:
        last = name.rsplit(".", 1)[-1]
        if name in ("select", "columns", "on_conflict", "apikey"):
            continue
        if last in ("limit", "offset", "order", "and", "or") and name not in ("not.and", "not.or", last):
            raise errors.not_modelled(f"parameters of embedded resources ({name})")
        if last in ("and", "or"):
            conditions.append(_logic_parameter(name, value))
        elif name == "order":
            order += _order(value)
        elif last not in ("limit", "offset"):
            if is_function and not _LOOKS_LIKE_A_FILTER.match(value):
                arguments.append((name, value))
            else:
                conditions.append(_filter_parameter(name, value))
    return Query(
        select=_select(single["select"]) if "select" in single else Query.select,
        conditions=tuple(conditions),
        order=tuple(order),
        limit=_number(single.get("limit")),
        offset=_number(single.get("offset")) or 0,
        columns=_names("columns parameter", single["columns"]) if "columns" in single else None,
        on_conflict=_names("on_conflict parameter", single["on_conflict"])
        if "on_conflict" in single
        else None,
        arguments=tuple(arguments),
    )


# --- parameters
# -------------------------------------------------------------------------------------------------


def _select(text: str) -> tuple[SelectItem, ...]:
    scanner = Scanner("select parameter", text)
    items: list[SelectItem] = []
    if not text:
        return ()
    while True:
        scanner.spaces()
        items.append(_select_item(scanner))
        scanner.spaces()
        if scanner.ended:
            return tuple(items)
        if not scanner.take(","):
            raise scanner.error(
                'expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input'
            )


def _select_item(scanner: Scanner) -> SelectItem:
    if scanner.take("*"):
        return SelectItem(Field("*"))
    if scanner.take("..."):
        return _embedded(scanner, scanner.name(), "")
    field = scanner.field()
    alias = ""
    if scanner.peek() == ":" and scanner.peek(2) != "::":
        scanner.take(":")
        alias, field = field.column, scanner.field()
    if scanner.peek() in ("(", "!") and scanner.peek():
        return _embedded(scanner, field.column, alias)
    cast = ""
    if scanner.take("::"):
        cast = scanner.match(NAME) or ""
        if not cast:
            raise scanner.error("expecting letter or digit")
    if scanner.peek() == ".":
        raise errors.not_modelled("aggregate functions")
    return SelectItem(field, alias, cast.strip())


def _embedded(scanner: Scanner, name: str, alias: str) -> SelectItem:
    # What is inside the parentheses does not matter: without a foreign key PostgREST refuses the relation
    # itself.
    depth = 0
    while not scanner.ended:
        depth += (scanner.peek() == "(") - (scanner.peek() == ")")
        scanner.at += 1
        if depth == 0 and scanner.text[scanner.at - 1] == ")":
            return SelectItem(Field(name), alias, embedded=True)
    raise scanner.error('expecting ")"')


def _order(text: str) -> Iterator[OrderTerm]:
    scanner = Scanner("order", text)
    while True:
        scanner.spaces()
        field = scanner.field()
        descending, nulls_first = False, None
        if scanner.take(".desc"):
            descending = True
        else:
            scanner.take(".asc")
        if scanner.take(".nullsfirst"):
            nulls_first = True
        elif scanner.take(".nullslast"):
            nulls_first = False
        yield OrderTerm(field, descending, nulls_first)
        scanner.spaces()
        if scanner.ended:
            return
        if scanner.peek() == "(":
            raise errors.not_modelled("order by an embedded resource")
        if not scanner.take(","):
            if scanner.peek() == "." and nulls_first is None:
                scanner.at += 1
                raise scanner.error('expecting "asc", "desc", "nullsfirst" or "nullslast"')
            raise scanner.error('expecting "," or end of input')


def _names(what: str, text: str) -> tuple[str, ...]:
    scanner = Scanner(what, text)
    names = [scanner.name()]
    scanner.spaces()
    while scanner.take(","):
        scanner.spaces()
        names.append(scanner.name())
        scanner.spaces()
    if not scanner.ended:
        raise scanner.error('expecting "," or end of input')
    return tuple(dict.fromkeys(names))


def _number(text: str | None) -> int | None:
    # PostgREST ignores what is not a number.
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]+", text) else None


def _filter_parameter(name: str, value: str) -> Filter:
    path = Scanner("tree path", name)
    field = path.field()
    if path.peek() == ".":
        raise errors.not_modelled(f"filters on embedded resources ({name})")
    if not path.ended:
        raise path.error('expecting "." or end of input')
    scanner = Scanner("filter", value)
    found = _operation(scanner, field, in_tree=False)
    if not scanner.ended:
        raise scanner.error("expecting end of input")
    return found


def _logic_parameter(name: str, value: str) -> Logic:
    scanner = Scanner("logic tree", value)
    operator: Literal["and", "or"] = "and" if name.endswith("and") else "or"
    logic = _logic_body(scanner, operator, name.startswith("not."))
    if not scanner.ended:
        raise scanner.error("expecting end of input")
    return logic


def _logic_body(scanner: Scanner, operator: Literal["and", "or"], negated: bool) -> Logic:
    scanner.spaces()
    if not scanner.take("("):
        raise scanner.error('expecting "("')
    conditions: list[Filter | Logic] = []
    while True:
        scanner.spaces()
        conditions.append(_logic_member(scanner))
        scanner.spaces()
        if scanner.take(")"):
            scanner.spaces()
            return Logic(operator, tuple(conditions), negated)
        if not scanner.take(","):
            raise scanner.error('expecting "," or ")"')


def _logic_member(scanner: Scanner) -> Filter | Logic:
    start = scanner.at
    negated = scanner.take("not.")
    for operator in ("and", "or"):
        if scanner.text.startswith(f"{operator}(", scanner.at):
            scanner.take(operator)
            return _logic_body(scanner, "and" if operator == "and" else "or", negated)
    scanner.at = start
    if scanner.peek() in ("", ")"):
        raise scanner.error(f"{FIELD_EXPECTED}, negation operator (not) or logic operator (and, or)")
    field = scanner.field()
    if not scanner.take("."):
        raise scanner.error("expecting delimiter (.)")
    return _operation(scanner, field, in_tree=True)


def _operation(scanner: Scanner, field: Field, *, in_tree: bool) -> Filter:
    negated = scanner.take("not.")
    start = scanner.at
    if scanner.take("in."):
        return Filter(field, "in", _list(scanner), negated)
    if scanner.take("is."):
        rest = scanner.text[scanner.at :].lower()
        for value in _IS_VALUES:
            if rest.startswith(value):
                scanner.at += len(value)
                return Filter(field, "is", (value,), negated)
        raise scanner.error("expecting isVal: (null, not_null, true, false, unknown)")
    for name in _NOT_MODELLED:
        if re.match(rf"{name}(\([^)]*\))?\.", scanner.text[start:]):
            raise errors.not_modelled(f"the operator {name}")
    for operator in _COMPARISONS:
        if not scanner.take(operator):
            continue
        quantifier: Literal["", "any", "all"] = ""
        if operator in _QUANTIFIABLE:
            quantifier = "any" if scanner.take("(any)") else "all" if scanner.take("(all)") else ""
        if scanner.take("."):
            value = _operand(scanner, in_tree)
            values = _array(value) if quantifier else (value,)
            return Filter(field, operator, values, negated, quantifier)  # type: ignore[arg-type]  # from _COMPARISONS
        scanner.at = start
    raise scanner.error(_OPERATOR_EXPECTED, start)


def _operand(scanner: Scanner, in_tree: bool) -> str:
    if not in_tree:
        value = scanner.text[scanner.at :]
        scanner.at = len(scanner.text)
        return value
    if scanner.peek() == "{":
        end = scanner.text.find("}", scanner.at)
        if end > 0:
            value = scanner.text[scanner.at : end + 1]
            scanner.at = end + 1
            return value
    return scanner.list_element()


def _list(scanner: Scanner) -> tuple[str, ...]:
    scanner.spaces()
    if not scanner.take("("):
        raise scanner.error('expecting "("')
    values = [scanner.list_element()]
    while scanner.take(","):
        values.append(scanner.list_element())
    if not scanner.take(")"):
        raise scanner.error('expecting "," or ")"')
    scanner.spaces()
    # "in.()" is how a client writes the empty list.
    return () if values == [""] else tuple(values)


def _array(text: str) -> tuple[str, ...]:
    """The elements of a PostgreSQL array literal of one dimension."""
    scanner = Scanner("filter", text)
    if not scanner.take("{") or not text.endswith("}"):
        raise errors.PgError(
            "22P02",
            f'malformed array literal: "{text}"',
            'Array value must start with "{" or dimension information.',
        )
    if scanner.take("}"):
        return ()
    values = []
    while not scanner.ended:
        start = scanner.at
        value = scanner.quoted()
        if value is None:
            while scanner.peek() not in (",", "}", ""):
                scanner.at += 1
            value = text[start : scanner.at].strip()
        values.append(value)
        scanner.at += 1  # the comma or the closing brace
    return tuple(values)
