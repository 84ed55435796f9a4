"""Filters as SQL; what they find is tested in test_engine.py."""

from __future__ import annotations

import pytest

from simulator.supabase import conditions
from simulator.supabase.errors import ApiError, PgError
from simulator.supabase.query import parse_query
from simulator.supabase.schema import Schema, Table, add_script
from tests.simulator.supabase.project import SAMPLE_SQL


@pytest.fixture(scope="module")
def items() -> Table:
    schema = Schema()
    add_script(schema, SAMPLE_SQL, "sample.sql")
    return schema.tables["items"]


def test_operands_become_values_of_the_columns_type(items: Table) -> None:
    """Never text in the statement: only parameters."""
    sql = conditions.where(items, parse_query("id=in.(1,2)&active=eq.true&name=eq.x'y").conditions)
    assert sql.text == '("items"."id" IN (?, ?)) AND ("items"."active" = ?) AND ("items"."name" = ?)'
    assert sql.parameters == (1, 2, 1, "x'y")


def test_no_condition_matches_everything(items: Table) -> None:
    """An empty WHERE is a true one."""
    assert conditions.where(items, ()).text == "1"


def test_nulls_are_placed_as_postgresql_places_them(items: Table) -> None:
    """Last ascending, first descending, unless the request says otherwise."""
    sql = conditions.order_by(items, parse_query("order=tag,name.desc,small.nullsfirst").order)
    assert sql.text == (
        ' ORDER BY "items"."tag" ASC NULLS LAST, "items"."name" DESC NULLS FIRST, "items"."small" ASC NULLS FIRST'
    )
    assert conditions.order_by(items, ()).text == ""


@pytest.mark.parametrize(
    "query", ["ratio=eq.x", "code=eq.x", "made_at=gt.soon", "data=eq.{", "small=in.(1,x)"]
)
def test_bad_operands_are_postgresqls_error(items: Table, query: str) -> None:
    """22P02, or 22007 for times."""
    with pytest.raises(PgError) as caught:
        conditions.where(items, parse_query(query).conditions)
    assert caught.value.sqlstate in ("22P02", "22007")


def test_containment_of_other_types_is_not_modelled(items: Table) -> None:
    """Arrays and ranges do not exist here."""
    with pytest.raises(ApiError, match="not implemented"):
        conditions.where(items, parse_query("name=cs.{a}").conditions)


def test_empty_quantified_lists(items: Table) -> None:
    """any of nothing is false, all of nothing is true."""
    assert conditions.where(items, parse_query("id=eq(any).{}").conditions).text == "(0)"
    assert conditions.where(items, parse_query("id=eq(all).{}").conditions).text == "(1)"
