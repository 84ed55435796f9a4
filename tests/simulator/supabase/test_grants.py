"""GRANT and REVOKE."""

from __future__ import annotations

import pytest

from simulator.supabase.grants import TABLE_PRIVILEGES, Grants

TABLES, FUNCTIONS = ("t", "u"), ("f",)


def after(*statements: str) -> Grants:
    grants = Grants()
    for words in statements:
        assert grants.change(words, TABLES, FUNCTIONS)
    return grants


def test_nobody_may_do_anything_with_a_new_table() -> None:
    """Supabase no longer grants on new tables by itself."""
    assert not after().allows("table", "t", "service_role", "select")


@pytest.mark.parametrize(
    "words",
    [
        "grant select , insert on public . t to service_role",
        "grant select , insert on table t , u to service_role , anon",
        "grant all privileges on table t to service_role with grant option",
        "grant all on all tables in schema public to service_role",
        "grant select , insert on t to public",
    ],
)
def test_ways_to_grant(words: str) -> None:
    """By name, by list, by schema, and to everybody."""
    grants = after(words)
    assert grants.allows("table", "t", "service_role", "insert")


def test_all_means_every_privilege_and_revoking_takes_it_back() -> None:
    """In the order of the statements."""
    grants = after("grant all on t to anon", "revoke all on table t from public , anon cascade")
    assert not any(grants.allows("table", "t", "anon", privilege) for privilege in TABLE_PRIVILEGES)


def test_functions_are_named_with_their_parameters() -> None:
    """The signature does not matter here."""
    grants = after("grant execute on function public . f ( bigint , jsonb ) to service_role")
    assert grants.allows("function", "f", "service_role", "execute")
    assert not grants.allows("function", "f", "anon", "execute")
    grants = after("grant execute on all functions in schema public to anon")
    assert grants.allows("function", "f", "anon", "execute")


def test_other_schemas_and_objects_have_no_effect() -> None:
    """They are not exposed by the API."""
    assert (
        after(
            "grant usage on schema public to anon",
            "revoke all on all functions in schema private from public",
            "grant execute on function private . f ( ) to anon",
            "grant usage on all sequences in schema public to anon",
        )
        == Grants()
    )


def test_what_cannot_be_understood_is_said() -> None:
    """An unknown table, or another grammar."""
    assert not Grants().change("grant select on nowhere to anon", TABLES, FUNCTIONS)
    assert not Grants().change("grant something", TABLES, FUNCTIONS)
