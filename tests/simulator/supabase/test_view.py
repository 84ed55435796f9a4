"""Views of tables: what they show, what stays of them between two looks, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from simulator.supabase.server import FakeSupabase
from tests.simulator.supabase.project import project


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeSupabase]:
    """Three tables: a key of one column, one of two, and none."""
    (tmp_path / "1.sql").write_text(
        "create table one (login text primary key, n int, data jsonb not null default '{}');"
        "create table two (a text, b text, n int, primary key (a, b));"
        "create table three (n int);"
    )
    with closing(project(tmp_path)) as one:
        yield one


def test_rows_are_found_by_their_keys_in_the_order_of_the_keys(fake: FakeSupabase) -> None:
    """As JSON values, in the form of `rows`; without a primary key by their numbers."""
    for login in ("b", "a"):
        fake.human_insert("one", {"login": login, "n": 1, "data": {"x": [1, None]}})
        fake.human_insert("two", {"a": login, "b": "z", "n": 2})
        fake.human_insert("three", {"n": 3})
    assert list(fake.view("one")) == [("a",), ("b",)]
    assert fake.view("one")["a",] == {"login": "a", "n": 1, "data": {"x": [1, None]}}
    assert list(fake.view("two")) == [("a", "z"), ("b", "z")]
    assert list(fake.view("three")) == [(0,), (1,)]
    for table in ("one", "two", "three"):
        assert list(fake.view(table).values()) == fake.rows(table)


def test_only_what_has_changed_is_another_object(fake: FakeSupabase) -> None:
    """And what was kept of the row as it was before stays so."""
    for login in "abc":
        fake.human_insert("one", {"login": login, "n": 1})
    before = fake.view("one")
    assert fake.view("one") is before, "nothing has happened"
    fake.human_update("one", {"login": "b"}, {"n": 2})
    fake.human_delete("one", {"login": "c"})
    after = fake.view("one")
    assert after["a",] is before["a",]
    assert after["b",] is not before["b",]
    assert (before["b",]["n"], after["b",]["n"]) == (1, 2)
    assert ("c",) in before
    assert ("c",) not in after


def test_a_row_that_is_entered_anew_is_shown_as_it_is_now(fake: FakeSupabase) -> None:
    """Deleted and entered between two looks, with the same key."""
    fake.human_insert("one", {"login": "a", "n": 1})
    assert fake.view("one")["a",]["n"] == 1
    fake.human_delete("one", {"login": "a"})
    fake.human_insert("one", {"login": "a", "n": 2})
    assert fake.view("one")["a",]["n"] == 2


def test_a_table_that_is_made_anew_has_a_view_of_its_own(fake: FakeSupabase, tmp_path: Path) -> None:
    """Nothing is remembered of the one of that name before it."""
    fake.human_insert("one", {"login": "a", "n": 1})
    assert len(fake.view("one")) == 1
    fake.drop_table("one")
    fake.apply_schema(tmp_path)
    assert fake.view("one") == {}


def test_what_is_rolled_back_is_not_remembered(fake: FakeSupabase) -> None:
    """A look in the midst of a transaction says nothing about what comes after it."""
    fake.human_insert("one", {"login": "a", "n": 1})
    engine = fake.engine

    def change_and_look() -> None:
        with engine.transaction():
            engine.connection.execute("UPDATE one SET n = 2")
            assert engine.view("one")["a",]["n"] == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_look()
    assert engine.view("one")["a",]["n"] == 1
