"""Statements on tables, through whole requests on the sample schema."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.supabase.errors import ApiError, PgError
from simulator.supabase.server import FakeSupabase
from tests.simulator.supabase.project import answer, ask, closing, header, project, sample_directory

REPRESENT = "return=representation"
MERGE = "resolution=merge-duplicates,return=representation"


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeSupabase]:
    with closing(project(sample_directory(tmp_path))) as fake:
        for number, name, tag in ((1, "one", "red"), (2, "two", None), (3, "three", "blue")):
            ask(fake, "POST", "items", {"id": number, "name": name, "tag": tag, "data": {"n": number}})
        yield fake


def ids(fake: FakeSupabase, query: str) -> list[int]:
    response = ask(fake, "GET", f"items?select=id&{query}")
    assert response.status == 200, response.body
    return [row["id"] for row in answer(response)]


def refusal(
    fake: FakeSupabase, method: str, target: str, body: Any = None, **headers: str
) -> tuple[int, str, str]:
    response = ask(fake, method, target, body, **headers)
    error = answer(response)
    return response.status, error["code"], error["message"]


def test_defaults_types_and_booleans(fake: FakeSupabase) -> None:
    """A row comes back with its defaults, true as true and jsonb as JSON."""
    row = answer(ask(fake, "GET", "items?id=eq.1"))[0]
    assert row == {
        "id": 1, "name": "one", "tag": "red", "small": 3, "ratio": None, "active": True, "data": {"n": 1},
        "made_at": "2026-01-01T00:00:00+00:00", "code": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("id=gt.1&order=id", [2, 3]),
        ("id=neq.2&order=id.desc", [3, 1]),
        ("name=in.(one,three)&order=id", [1, 3]),
        ("id=in.()", []),
        ("tag=is.null", [2]),
        ("tag=not.is.null&order=id", [1, 3]),
        ("tag=eq.red", [1]),
        ("tag=neq.red", [3]),
        ("tag=isdistinct.red&order=id", [2, 3]),
        ("name=like.t*&order=id", [2, 3]),
        ("name=like.T*", []),
        ("name=ilike.T*&order=id", [2, 3]),
        ("name=like._wo", [2]),
        ("name=match.^t.*e$", [3]),
        ("name=like(any).{o*,*wo}&order=id", [1, 2]),
        ("active=is.true&order=id", [1, 2, 3]),
        ("active=eq.false", []),
        ("data->>n=eq.2", [2]),
        ("data->n=gt.2", [3]),
        ('data=cs.{"n":1}', [1]),
        ('data=eq.{"n": 3}', [3]),
        ("or=(id.eq.1,and(id.gt.2,tag.eq.blue))&order=id", [1, 3]),
        ("not.or=(id.eq.1,id.eq.2)", [3]),
        ("order=tag,id", [3, 1, 2]),
        ("order=tag.desc,id", [2, 1, 3]),
        ("order=tag.nullsfirst,id", [2, 3, 1]),
        ("order=id&limit=1&offset=1", [2]),
        ("order=data->n.desc", [3, 2, 1]),
        ("made_at=gte.2026-01-01T00:00:00Z&order=id", [1, 2, 3]),
    ],
)
def test_filters_and_order_find_what_postgresql_finds(
    fake: FakeSupabase, query: str, expected: list[int]
) -> None:
    """NULL is neither equal nor unequal, LIKE minds the case, NULL sorts as the largest value."""
    assert ids(fake, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select=id,label:name", {"id": 1, "label": "one"}),
        ("select=id::text", {"id": "1"}),
        ("select=n:data->n,t:data->>n", {"n": 1, "t": "1"}),
        ("select=data->missing->>deep", {"deep": None}),
        ("select=", {}),
    ],
)
def test_select_shapes_the_row(fake: FakeSupabase, query: str, expected: dict[str, Any]) -> None:
    """Aliases, casts and JSON paths."""
    assert answer(ask(fake, "GET", f"items?id=eq.1&{query}")) == [expected]


@pytest.mark.parametrize(
    ("target", "status", "code", "message"),
    [
        ("items?id=eq.abc", 400, "22P02", 'invalid input syntax for type bigint: "abc"'),
        ("items?id=eq.null", 400, "22P02", 'invalid input syntax for type bigint: "null"'),
        ("items?nope=eq.1", 400, "42703", "column items.nope does not exist"),
        ("items?select=nope", 400, "42703", "column items.nope does not exist"),
        ("items?order=nope", 400, "42703", "column items.nope does not exist"),
        ("items?id=like.1*", 404, "42883", "operator does not exist: bigint ~~ unknown"),
        ("items?name=is.true", 400, "42804", "argument of IS TRUE must be type boolean, not type text"),
        ("items?name->>a=eq.1", 404, "42883", "operator does not exist: text ->> unknown"),
        ("items?select=id::money", 400, "42704", 'type "money" does not exist'),
        ("items?limit=-1", 416, "PGRST103", "Requested range not satisfiable"),
        ("item?id=eq.1", 404, "PGRST205", "Could not find the table 'public.item' in the schema cache"),
        (
            "items?select=*,pairs(*)",
            400,
            "PGRST200",
            "Could not find a relationship between 'items' and 'pairs' in the schema cache",
        ),
    ],
)
def test_wrong_reads_are_refused(
    fake: FakeSupabase, target: str, status: int, code: str, message: str
) -> None:
    """Errors of a select carry PostgreSQL's or PostgREST's code and words."""
    assert refusal(fake, "GET", target) == (status, code, message)


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({"id": 1}, 409, "23505", 'duplicate key value violates unique constraint "items_pkey"'),
        (
            {"id": 9, "name": "one", "tag": "red"},
            409,
            "23505",
            'duplicate key value violates unique constraint "items_name_tag_key"',
        ),
        (
            {"id": None},
            400,
            "23502",
            'null value in column "id" of relation "items" violates not-null constraint',
        ),
        (
            {"id": 9, "name": "far too long a name"},
            400,
            "23514",
            'new row for relation "items" violates check constraint "items_name_check"',
        ),
        (
            {"id": 9, "tag": "green"},
            400,
            "23514",
            'new row for relation "items" violates check constraint "items_tag_known"',
        ),
        (
            {"id": 9, "data": [1]},
            400,
            "23514",
            'new row for relation "items" violates check constraint "items_data_check"',
        ),
        (
            {"id": 9, "nope": 1},
            400,
            "PGRST204",
            "Could not find the 'nope' column of 'items' in the schema cache",
        ),
        ({"id": "x"}, 400, "22P02", 'invalid input syntax for type bigint: "x"'),
        ({"id": 9, "small": 70000}, 400, "22003", 'value "70000" is out of range for type smallint'),
        ({"id": 9, "name": "a\x00"}, 400, "22P05", "unsupported Unicode escape sequence"),
        ([{"id": 8}, {"id": 9, "name": "x"}], 400, "PGRST102", "All object keys must match"),
    ],
)
def test_wrong_rows_are_refused(fake: FakeSupabase, body: Any, status: int, code: str, message: str) -> None:
    """Constraints and types of the schema file are enforced, and nothing of the request stays."""
    assert refusal(fake, "POST", "items", body) == (status, code, message)
    assert len(fake.rows("items")) == 3


def test_details_name_the_key(fake: FakeSupabase) -> None:
    """The details of a conflict are PostgreSQL's."""
    assert answer(ask(fake, "POST", "items", {"id": 1}))["details"] == "Key (id)=(1) already exists."


def test_a_failing_row_takes_the_whole_insert_back(fake: FakeSupabase) -> None:
    """One request is one transaction."""
    assert ask(fake, "POST", "items", [{"id": 8}, {"id": 1}]).status == 409
    assert [row["id"] for row in fake.rows("items")] == [1, 2, 3]


def test_insert_answers_with_the_rows_or_nothing(fake: FakeSupabase) -> None:
    """201; the body follows the preference."""
    response = ask(fake, "POST", "items?select=id,name", [{"id": 7}, {"id": 8}], prefer=REPRESENT)
    assert (response.status, answer(response)) == (
        201,
        [{"id": 7, "name": "nameless"}, {"id": 8, "name": "nameless"}],
    )
    response = ask(fake, "POST", "items", {"id": 9}, prefer="return=minimal")
    assert (response.status, response.body) == (201, b"")
    assert header(response, "content-range") == "*/*"


def test_columns_make_missing_keys_null_unless_defaults_are_asked_for(fake: FakeSupabase) -> None:
    """What the facts measured: with columns= a missing key becomes NULL (23502)."""
    body = [{"id": 7, "name": "x"}, {"id": 8}]
    assert refusal(fake, "POST", 'items?columns="id","name"', body)[1] == "23502"
    response = ask(fake, "POST", 'items?columns="id","name"', body, prefer=f"missing=default,{REPRESENT}")
    assert [row["name"] for row in answer(response)] == ["x", "nameless"]


def test_a_merging_upsert_answers_200_only_when_nothing_was_inserted(fake: FakeSupabase) -> None:
    """201 as soon as one row is new; the answer lists both."""
    response = ask(fake, "POST", "items", [{"id": 1, "name": "uno"}], prefer=MERGE)
    assert (response.status, [row["name"] for row in answer(response)]) == (200, ["uno"])
    response = ask(fake, "POST", "items", [{"id": 1, "name": "uno"}, {"id": 9, "name": "nine"}], prefer=MERGE)
    assert (response.status, [row["id"] for row in answer(response)]) == (201, [1, 9])
    assert fake.rows("items")[0]["tag"] == "red"


def test_a_key_twice_in_one_upsert_is_an_error(fake: FakeSupabase) -> None:
    """PostgreSQL refuses what SQLite would accept in silence."""
    status, code, message = refusal(fake, "POST", "items", [{"id": 9}, {"id": 9}], prefer=MERGE)
    assert (status, code) == (500, "21000")
    assert message == "ON CONFLICT DO UPDATE command cannot affect row a second time"


def test_an_upsert_checks_the_proposed_row_even_when_it_only_updates(fake: FakeSupabase) -> None:
    """NOT NULL is looked at before the conflict."""
    assert refusal(fake, "POST", "items", [{"id": 1, "name": None}], prefer=MERGE)[1] == "23502"


def test_a_duplicate_that_is_ignored_is_checked_all_the_same(fake: FakeSupabase) -> None:
    """ON CONFLICT DO NOTHING, too, looks at NOT NULL and CHECK before it finds the row that is there."""
    ignore = "resolution=ignore-duplicates"
    assert refusal(fake, "POST", "items", [{"id": 1, "name": None}], prefer=ignore)[1] == "23502"


def test_ignoring_duplicates_leaves_the_stored_row(fake: FakeSupabase) -> None:
    """Only the new rows are written and answered."""
    body = [{"id": 1, "name": "uno"}, {"id": 9, "name": "nine"}]
    response = ask(fake, "POST", "items", body, prefer=f"resolution=ignore-duplicates,{REPRESENT}")
    assert (response.status, [row["id"] for row in answer(response)]) == (201, [9])
    assert fake.rows("items")[0]["name"] == "one"


def test_on_conflict_needs_a_unique_constraint(fake: FakeSupabase) -> None:
    """Columns with a constraint are a target, in any order; others are 42P10."""
    body = [{"id": 1, "name": "one", "tag": "red", "small": 9}]
    assert ask(fake, "POST", "items?on_conflict=tag,name", body, prefer=MERGE).status == 200
    assert refusal(fake, "POST", "items?on_conflict=small", body, prefer=MERGE)[:2] == (400, "42P10")


def test_update_changes_what_matches(fake: FakeSupabase) -> None:
    """204 without a representation; with it the rows as they are now, though they no longer match the filter."""
    response = ask(fake, "PATCH", "items?small=eq.3", {"small": 4}, prefer=f"{REPRESENT},count=exact")
    assert (response.status, header(response, "content-range")) == (200, "0-2/3")
    assert [row["small"] for row in answer(response)] == [4, 4, 4]
    response = ask(fake, "PATCH", "items?id=eq.99", {"small": 5})
    assert (response.status, response.body, header(response, "content-range")) == (204, b"", "*/*")


def test_a_refused_update_leaves_every_row(fake: FakeSupabase) -> None:
    """One row that breaks a check takes all back."""
    assert refusal(fake, "PATCH", "items?id=gt.0", {"small": 100})[1] == "23514"
    assert refusal(fake, "PATCH", "items?id=gt.1", {"id": 7})[1] == "23505"
    assert [row["id"] for row in fake.rows("items")] == [1, 2, 3]


def test_delete_removes_what_matches(fake: FakeSupabase) -> None:
    """A DELETE may carry a body, which nobody reads."""
    response = ask(fake, "DELETE", "items?id=in.(1,2)", {}, prefer=REPRESENT)
    assert (response.status, [row["id"] for row in answer(response)]) == (200, [1, 2])
    assert ask(fake, "DELETE", "items?id=eq.3", {}).status == 204
    assert fake.rows("items") == []


@pytest.mark.parametrize(("method", "command"), [("PATCH", "UPDATE"), ("DELETE", "DELETE")])
def test_writing_everything_by_accident_is_refused(fake: FakeSupabase, method: str, command: str) -> None:
    """Supabase loads pg-safeupdate for the API."""
    assert refusal(fake, method, "items", {"small": 1}) == (
        400,
        "21000",
        f"{command} requires a WHERE clause",
    )


def test_max_affected_takes_the_statement_back(fake: FakeSupabase) -> None:
    """With handling=strict only; without, the preference has no effect."""
    strict = "handling=strict,max-affected=1"
    assert refusal(fake, "DELETE", "items?id=gt.0", prefer=strict)[:2] == (400, "PGRST124")
    assert len(fake.rows("items")) == 3
    assert ask(fake, "DELETE", "items?id=gt.1", prefer="max-affected=1").status == 204


def test_a_single_object_needs_exactly_one_row(fake: FakeSupabase) -> None:
    """PGRST116, and a write that touched another number is taken back."""
    single = "application/vnd.pgrst.object+json"
    assert answer(ask(fake, "GET", "items?id=eq.1&select=id", accept=single)) == {"id": 1}
    response = ask(fake, "GET", "items?id=gt.1", accept=single)
    assert (response.status, answer(response)["details"]) == (406, "The result contains 2 rows")
    assert refusal(fake, "PATCH", "items?id=gt.1", {"small": 7}, accept=single)[1] == "PGRST116"
    assert {row["small"] for row in fake.rows("items")} == {3}


def test_grants_are_needed_by_privilege(fake: FakeSupabase) -> None:
    """Without a grant every role gets 42501: 403 with a key, 401 for anon."""
    fake.revoke("items", "service_role", "insert")
    assert refusal(fake, "POST", "items", {"id": 9}) == (403, "42501", "permission denied for table items")
    assert ask(fake, "GET", "items").status == 200
    response = ask(fake, "GET", "items", key=fake.publishable_key)
    assert (response.status, answer(response)["code"]) == (401, "42501")
    assert header(response, "www-authenticate") == "Bearer"


def test_row_security_without_a_policy_shows_anon_nothing(fake: FakeSupabase) -> None:
    """The trap of a wrong key: with a grant and RLS a read is 200 and empty, and a write is refused."""
    fake.grant("items", "anon")
    response = ask(fake, "GET", "items", key=fake.publishable_key)
    assert (response.status, answer(response)) == (200, [])
    response = ask(fake, "POST", "items", {"id": 9}, key=fake.publishable_key)
    assert answer(response)["message"] == 'new row violates row-level security policy for table "items"'
    assert ask(fake, "DELETE", "items?id=gt.0", key=fake.publishable_key).status == 204
    assert len(fake.rows("items")) == 3


def test_the_service_role_cannot_move_the_count_of_edits(fake: FakeSupabase) -> None:
    """The trigger keeps edit_no for the bot and the bot's stamp for a human."""
    ask(fake, "PATCH", "counted?login=eq..sentinel", {"edit_no": 9, "epoch": 5, "revision": 6})
    assert [fake.rows("counted")[0][name] for name in ("edit_no", "epoch", "revision")] == [0, 5, 6]
    fake.human_update("counted", {"login": ".sentinel"}, {"paused": True, "epoch": 1})
    row = fake.rows("counted")[0]
    assert (row["paused"], row["edit_no"], row["epoch"], row["revision"]) == (True, 1, 5, 6)


@pytest.mark.parametrize(("entered", "stored"), [(2**53, (2**53, 9)), (2**53 + 1, (0, 0))])
def test_an_impossible_epoch_is_not_entered(
    fake: FakeSupabase, entered: int, stored: tuple[int, int]
) -> None:
    """The trigger lets an imported row keep its stamp, but not one under which no bot could ever save it."""
    row = fake.human_insert("counted", {"login": "x", "epoch": entered, "revision": 9})
    assert (row["epoch"], row["revision"]) == stored


def test_two_fakes_with_one_seed_make_the_same_ids(tmp_path: Path) -> None:
    """gen_random_uuid() is drawn from the world's seed."""
    directory = tmp_path / "uuid"
    directory.mkdir()
    (directory / "1.sql").write_text("create table t (id uuid primary key default gen_random_uuid(), n int);")
    made = []
    for _ in range(2):
        with closing(project(directory, seed=7)) as one:
            made.append(one.human_insert("t", {"n": 1})["id"])
    assert made[0] == made[1]


def test_random_statements_agree_with_a_plain_model(tmp_path: Path) -> None:
    """Five hundred random writes on a table with a composed key leave what a dictionary would hold."""
    rng = random.Random(3)
    model: dict[tuple[str, str], int | None] = {}
    with closing(project(sample_directory(tmp_path))) as fake:
        for _ in range(500):
            a, b, n = rng.choice("xyz"), rng.choice("pq"), rng.choice([None, 1, 2])
            verb = rng.choice(["upsert", "patch", "delete"])
            if verb == "upsert":
                response = ask(fake, "POST", "pairs", [{"a": a, "b": b, "n": n}], prefer=MERGE)
                assert response.status == (200 if (a, b) in model else 201)
                model[a, b] = n
            elif verb == "patch":
                ask(fake, "PATCH", f"pairs?a=eq.{a}&n=is.null", {"n": n})
                model = {key: n if key[0] == a and value is None else value for key, value in model.items()}
            else:
                ask(fake, "DELETE", f"pairs?a=eq.{a}&b=eq.{b}")
                model.pop((a, b), None)
            stored = {(row["a"], row["b"]): row["n"] for row in fake.rows("pairs")}
            assert stored == model


def test_a_human_meets_the_constraints_too(fake: FakeSupabase) -> None:
    """Human verbs raise the database's errors instead of answering with them."""
    with pytest.raises(PgError, match="23514"):
        fake.human_insert("counted", {"login": "Upper"})
    with pytest.raises(ApiError, match="nowhere"):
        fake.human_delete("nowhere", {"a": 1})


def test_rows_follow_every_change_and_belong_to_who_asks(fake: FakeSupabase) -> None:
    """What is remembered between two looks must never be older than the table, nor be changed by a reader."""
    engine = fake.engine
    before = engine.rows("items")
    before[0].clear()
    assert engine.rows("items")[0]
    count = len(before)

    def delete_and_look() -> None:
        with engine.transaction():
            engine.connection.execute('DELETE FROM "items"')
            assert engine.rows("items") == []
            raise RuntimeError

    with pytest.raises(RuntimeError):
        delete_and_look()
    assert len(engine.rows("items")) == count
    engine.connection.execute('DELETE FROM "items"')
    assert engine.rows("items") == []
