"""PostgREST's filters and order as SQL for SQLite, with PostgreSQL's types.

An operand is text on the wire; here it becomes a value of its column's type or PostgreSQL's error (22P02), so
that ``id=eq.abc`` fails as it does in production instead of finding nothing. NULL follows SQL's three-valued
logic, which the two databases share. Texts compare by their code points (the collation "C"); see the fidelity
table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from simulator.supabase import errors, pgtypes
from simulator.supabase.pgtypes import PgType, Stored
from simulator.supabase.query import Filter, Logic, OrderTerm
from simulator.supabase.scanner import Field
from simulator.supabase.schema import Table

_SIGNS: Mapping[str, str] = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
# Pattern operators: function, whether case is ignored, PostgreSQL's sign for messages.
_PATTERNS: Mapping[str, tuple[str, int, str]] = {
    "like": ("pg_like", 0, "~~"),
    "ilike": ("pg_like", 1, "~~*"),
    "match": ("pg_match", 0, "~"),
    "imatch": ("pg_match", 1, "~*"),
}


@dataclass(frozen=True)
class Sql:
    """A piece of SQL with its parameters."""

    text: str
    parameters: tuple[Stored, ...] = ()


def where(table: Table, conditions: Iterable[Filter | Logic]) -> Sql:
    """The WHERE clause (without the word) of conditions which all must hold; raises PgError."""
    return _join("AND", [_condition(table, one) for one in conditions])


def order_by(table: Table, terms: Iterable[OrderTerm]) -> Sql:
    """The ORDER BY clause with its words, or nothing; raises PgError."""
    parts: list[str] = []
    parameters: list[Stored] = []
    for term in terms:
        expression, _ = _field(table, term.field)
        # PostgreSQL sorts NULL as the largest value, SQLite as the smallest: always say which.
        nulls_first = term.descending if term.nulls_first is None else term.nulls_first
        direction = "DESC" if term.descending else "ASC"
        parts.append(f"{expression.text} {direction} NULLS {'FIRST' if nulls_first else 'LAST'}")
        parameters += expression.parameters
    return Sql(f" ORDER BY {', '.join(parts)}", tuple(parameters)) if parts else Sql("")


def _join(word: str, parts: list[Sql]) -> Sql:
    if not parts:
        return Sql("1")
    text = f" {word} ".join(f"({part.text})" for part in parts)
    return Sql(text, tuple(value for part in parts for value in part.parameters))


def _condition(table: Table, condition: Filter | Logic) -> Sql:
    if isinstance(condition, Logic):
        inner = _join(condition.operator.upper(), [_condition(table, one) for one in condition.conditions])
    else:
        inner = _filter(table, condition)
    return Sql(f"NOT ({inner.text})", inner.parameters) if condition.negated else inner


def _field(table: Table, field: Field) -> tuple[Sql, PgType]:
    column = table.columns.get(field.column)
    if column is None:
        raise errors.undefined_column(table.name, field.column)
    name = f'"{table.name}"."{column.name}"'
    if not field.path:
        # Whoever wrote the document may have ordered its keys otherwise: compare documents, not texts.
        return Sql(f"pg_jsonb({name})" if column.type is pgtypes.JSONB else name), column.type
    if column.type is not pgtypes.JSONB:
        raise errors.no_operator(column.type.name, "->>" if field.as_text else "->")
    function, kind = ("pg_json_text", pgtypes.TEXT) if field.as_text else ("pg_json", pgtypes.JSONB)
    return Sql(f"{function}({name}, ?)", (json.dumps(field.path),)), kind


def _filter(table: Table, condition: Filter) -> Sql:
    left, kind = _field(table, condition.field)
    if condition.operator == "is":
        return _is(left, kind, condition.values[0])
    if condition.operator == "in":
        values = tuple(pgtypes.from_text(kind, value) for value in condition.values)
        if not values:
            return Sql("0")
        return Sql(f"{left.text} IN ({', '.join('?' for _ in values)})", (*left.parameters, *values))
    parts = [_compare(left, kind, condition.operator, value) for value in condition.values]
    if not condition.quantifier:
        return parts[0]
    if not parts:
        return Sql("0" if condition.quantifier == "any" else "1")
    return _join("OR" if condition.quantifier == "any" else "AND", parts)


def _compare(left: Sql, kind: PgType, operator: str, value: str) -> Sql:
    if operator in _PATTERNS:
        function, ignore_case, sign = _PATTERNS[operator]
        if kind is not pgtypes.TEXT:
            raise errors.no_operator(kind.name, sign)
        # In a URL "*" stands for "%", which would have to be escaped.
        pattern = value.replace("*", "%") if function == "pg_like" else value
        return Sql(f"{function}({left.text}, ?, {ignore_case})", (*left.parameters, pattern))
    if operator in ("cs", "cd"):
        if kind is not pgtypes.JSONB:
            raise errors.not_modelled(f"the operator {operator} on {kind.name}")
        document = pgtypes.from_text(kind, value)
        if operator == "cs":
            return Sql(f"pg_contains({left.text}, ?)", (*left.parameters, document))
        return Sql(f"pg_contains(?, {left.text})", (document, *left.parameters))
    operand = pgtypes.from_text(kind, value)
    sign = "IS NOT" if operator == "isdistinct" else _SIGNS[operator]
    return Sql(f"{left.text} {sign} ?", (*left.parameters, operand))


def _is(left: Sql, kind: PgType, value: str) -> Sql:
    if value in ("null", "not_null"):
        return Sql(f"{left.text} IS {'NOT ' if value == 'not_null' else ''}NULL", left.parameters)
    if kind is not pgtypes.BOOLEAN:
        message = f"argument of IS {value.upper()} must be type boolean, not type {kind.name}"
        raise errors.PgError("42804", message)
    if value == "unknown":
        return Sql(f"{left.text} IS NULL", left.parameters)
    return Sql(f"{left.text} IS {1 if value == 'true' else 0}", left.parameters)
