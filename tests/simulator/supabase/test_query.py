"""PostgREST's request language. Cases without another source come from PostgREST's QueryParams.hs doctests and specs."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgrest.utils import sanitize_param

from simulator.supabase.errors import ApiError, PgError
from simulator.supabase.query import Filter, Logic, OrderTerm, SelectItem, parse_query
from simulator.supabase.scanner import Field


def only_filter(name: str, value: str) -> Filter | Logic:
    (condition,) = parse_query(urlencode([(name, value)])).conditions
    return condition


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("*", [SelectItem(Field("*"))]),
        ("a, b", [SelectItem(Field("a")), SelectItem(Field("b"))]),
        ("alias:name", [SelectItem(Field("name"), "alias")]),
        ("name::text", [SelectItem(Field("name"), "", "text")]),
        ("alias:name->a->>b::text", [SelectItem(Field("name", ("a", "b"), True), "alias", "text")]),
        ("data->0->-1", [SelectItem(Field("data", (0, -1)))]),
        ('"a,b":"c d"', [SelectItem(Field("c d"), "a,b")]),
        ("with-dash", [SelectItem(Field("with-dash"))]),
        (
            "id,client!inner(*,nested(*))",
            [SelectItem(Field("id")), SelectItem(Field("client"), embedded=True)],
        ),
        ("", []),
    ],
)
def test_select_lists(text: str, items: list[SelectItem]) -> None:
    """Columns, aliases, casts, JSON paths, quoted names; embedded resources are recognised."""
    assert list(parse_query("select=" + quote(text)).select) == items


def test_the_name_of_a_json_path_is_its_last_key() -> None:
    """PostgREST calls data->a->>b "b" in the answer, and data->0 "data"."""
    assert parse_query("select=data-%3Ea-%3E%3Eb").select[0].name == "b"
    assert parse_query("select=data-%3E0").select[0].name == "data"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("eq.1", Filter(Field("c"), "eq", ("1",))),
        ("eq.", Filter(Field("c"), "eq", ("",))),
        ("eq.a.b,c)", Filter(Field("c"), "eq", ("a.b,c)",))),
        ("not.gte.5", Filter(Field("c"), "gte", ("5",), negated=True)),
        ("in.(1,2)", Filter(Field("c"), "in", ("1", "2"))),
        ('in.("a,b",c,"q\\"q")', Filter(Field("c"), "in", ("a,b", "c", 'q"q'))),
        ("in.()", Filter(Field("c"), "in", ())),
        ("is.NULL", Filter(Field("c"), "is", ("null",))),
        ("is.not_null", Filter(Field("c"), "is", ("not_null",))),
        ("isdistinct.x", Filter(Field("c"), "isdistinct", ("x",))),
        ("like(any).{a*,b*}", Filter(Field("c"), "like", ("a*", "b*"), quantifier="any")),
        ('eq(all).{1,"2"}', Filter(Field("c"), "eq", ("1", "2"), quantifier="all")),
        ("cs.{}", Filter(Field("c"), "cs", ("{}",))),
    ],
)
def test_filters(value: str, expected: Filter) -> None:
    """An operator, perhaps negated or quantified, and its operand."""
    assert only_filter("c", value) == expected


def test_filters_on_json_paths_and_quoted_columns() -> None:
    """The column of a filter may be a path, or quoted because of its characters."""
    assert only_filter("data->a->>b", "eq.1") == Filter(Field("data", ("a", "b"), True), "eq", ("1",))
    assert only_filter('"odd:name"', "eq.1") == Filter(Field("odd:name"), "eq", ("1",))


def test_logic_trees_nest() -> None:
    """and, or and not, with values that may be quoted."""
    assert only_filter("or", '(a.eq.1,not.and(b.is.null,c.in.(1,2)),d.not.eq."x,)")') == Logic(
        "or",
        (
            Filter(Field("a"), "eq", ("1",)),
            Logic("and", (Filter(Field("b"), "is", ("null",)), Filter(Field("c"), "in", ("1", "2"))), True),
            Filter(Field("d"), "eq", ("x,)",), negated=True),
        ),
    )
    assert only_filter("not.or", "(a.eq.1)") == Logic("or", (Filter(Field("a"), "eq", ("1",)),), True)


def test_order_limit_offset() -> None:
    """Directions and the place of nulls; what is not a number is ignored, as PostgREST does."""
    query = parse_query("order=a.desc.nullslast,b,c.asc,d.nullsfirst&limit=5&offset=10")
    assert query.order == (
        OrderTerm(Field("a"), True, False),
        OrderTerm(Field("b")),
        OrderTerm(Field("c")),
        OrderTerm(Field("d"), False, True),
    )
    assert (query.limit, query.offset) == (5, 10)
    assert parse_query("limit=many").limit is None


def test_columns_and_on_conflict_may_be_quoted() -> None:
    """supabase-py sends columns in quotes and in any order."""
    query = parse_query(urlencode({"columns": '"b","a"', "on_conflict": "id,key"}))
    assert (query.columns, query.on_conflict) == (("b", "a"), ("id", "key"))


@pytest.mark.parametrize(
    ("query", "message", "details"),
    [
        (
            "id=noop.0",
            '"failed to parse filter (noop.0)" (line 1, column 1)',
            'unexpected "n" expecting "not" or operator (eq, gt, ...)',
        ),
        (
            "id=0",
            '"failed to parse filter (0)" (line 1, column 1)',
            'unexpected "0" expecting "not" or operator (eq, gt, ...)',
        ),
        (
            "columns=",
            '"failed to parse columns parameter ()" (line 1, column 1)',
            "unexpected end of input expecting field name (* or [a..z0..9_$])",
        ),
    ],
)
def test_what_cannot_be_parsed_is_refused_in_postgrests_words(query: str, message: str, details: str) -> None:
    """PGRST100 names the parameter and the column."""
    with pytest.raises(ApiError) as caught:
        parse_query(query)
    assert caught.value.status == 400
    assert caught.value.body == {"code": "PGRST100", "message": message, "details": details, "hint": None}


@pytest.mark.parametrize(
    "query",
    ["or=()", "or=(a.eq.1", "and=(a)", "order=a.sideways", "order=a.asc.nullslasttt", "select=a,,b", "id=is.5",
     "id=in.1", "select=a[", "data-%3E=eq.1", "id%20x]=eq.1", "or=(a.eq.1)x", "select=a::"],
)  # fmt: skip
def test_malformed_parameters_are_refused(query: str) -> None:
    """Nothing malformed is guessed at."""
    with pytest.raises(ApiError) as caught:
        parse_query(query)
    assert caught.value.body["code"] == "PGRST100"


@pytest.mark.parametrize(
    "query",
    ["c=fts.word", "c=plfts(english).a", "c=ov.{1}", "films.name=eq.1", "films.limit=3", "select=a.sum()"],
)
def test_what_is_not_modelled_is_said_loudly(query: str) -> None:
    """An operator PostgREST knows and the fake does not is never answered wrongly."""
    with pytest.raises(ApiError) as caught:
        parse_query(query)
    assert caught.value.body["code"] == "PGRST127"


def test_a_malformed_array_is_postgresqls_error() -> None:
    """The operand of a quantified operator is an array literal."""
    with pytest.raises(PgError, match="22P02"):
        parse_query("c=eq(any).1")


def test_arguments_of_a_function_called_with_get() -> None:
    """On rpc a parameter that is no filter is an argument."""
    query = parse_query("p_name=some.thing&p_n=5&limit=1", is_function=True)
    assert query.arguments == (("p_name", "some.thing"), ("p_n", "5"))


@given(st.lists(st.text(min_size=1).filter(lambda text: text != ""), min_size=1, max_size=5))
def test_a_list_written_by_supabase_py_is_read_back(values: list[str]) -> None:
    """Whatever the values contain, in_() of the stock client and this parser agree."""
    text = f"in.({','.join(sanitize_param(value) for value in values)})"
    condition = only_filter("c", text)
    assert isinstance(condition, Filter)
    assert list(condition.values) == values


@given(st.text(max_size=40))
def test_no_text_makes_the_parser_fail_in_another_way(text: str) -> None:
    """Any query string is parsed or refused with an error of the API."""
    for name in ("select", "order", "or", "c", "columns", "on_conflict"):
        try:
            parse_query(urlencode({name: text}))
        except (ApiError, PgError):
            pass
