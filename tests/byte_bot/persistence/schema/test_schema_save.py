"""byte_bot_save on a real PostgreSQL, branch by branch."""

from __future__ import annotations

import random
import string

import psycopg
import pytest

from tests.byte_bot.persistence.schema.database import Database, Row, component, event, line, patch, state

# The last one's key does not fit in an index page, not even compressed.
UNWRITABLE: list[tuple[Row, str]] = [
    (state("1", table="bot_writer"), "42P01"),
    (state("1", table=None), "42P01"),
    ({**state(), "channel_id": None}, "22023"),
    (state(""), "23514"),
    (component("1", ""), "23514"),
    (state("1", data=[]), "22023"),
    (state("1", data="{}"), "22023"),
    (state("1", tombstones=None), "22023"),
    (state("1", version=1.5), "22P02"),
    (state("1", version=2**31), "22003"),
    ({**state("1"), "revision": "1"}, "22023"),
    (state("1", revision=2**63), "22003"),
    (state("".join(random.Random(1).choices(string.printable, k=20_000))), "54000"),
]


def only(answer: Row) -> Row:
    """The only refusal of an answer that saved nothing."""
    assert (answer["status"], answer["saved"]) == ("ok", 0)
    (refusal,) = answer["refused"]
    assert isinstance(refusal, dict)
    return refusal


@pytest.fixture
def epoch(database: Database) -> int:
    """An epoch of the test's own."""
    return database.take_epoch()


def test_saves_rows_of_both_tables(database: Database, epoch: int) -> None:
    """New rows are inserted as they were sent, with the epoch, edit_no 0 and the time."""
    rows = [component("1", "deaths", data={"total": 2}), state("1", version=3, tombstones={"a": [1, 2]})]
    assert database.save(epoch, rows=rows) == {"status": "ok", "epoch": epoch, "saved": 2, "refused": []}
    columns = "version, data, tombstones, epoch, revision, edit_no, updated_at <= now() as timed"
    stamp = {"epoch": epoch, "revision": 1, "edit_no": 0, "timed": True}
    assert database.one(f"select channel_id, {columns} from channel_state") == {
        "channel_id": "1", "version": 3, "data": {}, "tombstones": {"a": [1, 2]}, **stamp,
    }  # fmt: skip
    assert database.one(f"select channel_id, key, {columns} from component_state") == {
        "channel_id": "1", "key": "deaths", "version": 1, "data": {"total": 2}, "tombstones": {}, **stamp,
    }  # fmt: skip


def test_empty_save_is_ok(database: Database, epoch: int) -> None:
    """Nothing to save, said with empty lists, with null or not at all, is saved."""
    answer = {"status": "ok", "epoch": epoch, "saved": 0, "refused": []}
    assert database.save(epoch) == answer
    sql = "select byte_bot_save(%s, null, null, null, null) as nulls, byte_bot_save(%s) as defaults"
    assert database.one(sql, epoch, epoch) == {"nulls": answer, "defaults": answer}


def test_five_hundred_rows_in_one_save(database: Database, epoch: int) -> None:
    """A full flush is saved in one call, and its update too."""
    rows = [component(str(number % 50), f"k{number}", data={"n": number}) for number in range(500)]
    assert database.save(epoch, rows=rows)["saved"] == 500
    again = [{**row, "revision": 2, "edit_no": 0, "data": {}} for row in reversed(rows)]
    assert database.save(epoch, rows=again)["saved"] == 500
    assert (
        database.one("select count(*) from component_state where revision = 2 and data = '{}'")["count"]
        == 500
    )


def test_newer_revision_replaces_the_row(database: Database, epoch: int) -> None:
    """A later change of the same process is stored."""
    database.save(epoch, rows=[state(data={"n": 1})])
    assert database.save(epoch, rows=[state(revision=2, edit_no=0, data={"n": 2}, version=2)])["saved"] == 1
    assert database.one("select data, version, revision from channel_state") == {
        "data": {"n": 2}, "version": 2, "revision": 2,
    }  # fmt: skip


def test_retry_of_the_same_revision_is_accepted(database: Database, epoch: int) -> None:
    """A save whose answer was lost is sent again and saved again."""
    database.save(epoch, rows=[state()])
    for _ in range(2):
        assert database.save(epoch, rows=[state(revision=2, edit_no=0, data={"n": 2})])["saved"] == 1


def test_retry_of_an_insert_is_accepted(database: Database, epoch: int) -> None:
    """An insert whose answer was lost still believes that there is no row, and is right."""
    for revision in (1, 1, 2):
        assert database.save(epoch, rows=[component(revision=revision)], patches=[patch()])["saved"] == 2
    assert database.one("select revision from component_state")["revision"] == 2


def test_older_revision_is_stale(database: Database, epoch: int) -> None:
    """A delayed save does not go back behind a newer one, and is told what stands there."""
    database.save(epoch, rows=[state(revision=5, data={"n": 5})])
    refusal = only(database.save(epoch, rows=[state(revision=4, edit_no=0, data={"n": 4})]))
    assert (refusal["reason"], refusal["sqlstate"], refusal["row"]["data"]) == ("stale", None, {"n": 5})
    assert database.one("select revision from channel_state")["revision"] == 5


def test_revision_counts_anew_in_a_higher_epoch(database: Database, epoch: int) -> None:
    """The successor's first revision is newer than the predecessor's last."""
    database.save(epoch, rows=[state(revision=500)])
    later = database.take_epoch()
    assert database.save(later, rows=[state(revision=1, edit_no=0)])["saved"] == 1


def test_row_of_a_higher_epoch_is_stale(database: Database, epoch: int) -> None:
    """A row with a stamp of a later process than the writer's table knows (a restored backup) is kept."""
    later = database.take_epoch()
    database.save(later, rows=[state(revision=1)])
    database.edit("update bot_writer set epoch = %s", epoch)
    assert only(database.save(epoch, rows=[state(revision=9, edit_no=0)]))["reason"] == "stale"


def test_row_edited_by_a_human_is_refused_and_returned(database: Database, epoch: int) -> None:
    """The human's edit stays, and the answer holds the row as it stands; the next base is accepted."""
    database.save(epoch, rows=[component("1", "counters", data={"deaths": 1})])
    database.edit("""update component_state set data = '{"deaths": 10}'""")
    refusal = only(database.save(epoch, rows=[component(revision=2, edit_no=0, data={"deaths": 2})]))
    stored = refusal.pop("row")
    assert refusal == {
        "table": "component_state", "channel_id": "1", "key": "counters", "reason": "edited",
        "sqlstate": None, "message": None,
    }  # fmt: skip
    assert stored.pop("updated_at").endswith("+00:00")
    assert stored == {
        "channel_id": "1", "key": "counters", "version": 1, "data": {"deaths": 10}, "tombstones": {},
        "epoch": epoch, "revision": 1, "edit_no": 1,
    }  # fmt: skip
    assert database.save(epoch, rows=[component(revision=3, edit_no=1, data={"deaths": 11})])["saved"] == 1


def test_row_entered_by_a_human_is_refused(database: Database, epoch: int) -> None:
    """The sender believes that there is no row; a human has entered one meanwhile."""
    database.edit("""insert into channel_state (channel_id, data) values ('1', '{"game": "go"}')""")
    refusal = only(database.save(epoch, rows=[state()]))
    assert (refusal["reason"], refusal["row"]["data"]) == ("edited", {"game": "go"})


def test_row_deleted_by_a_human_is_not_brought_back(database: Database, epoch: int) -> None:
    """The sender knew a row that a human has deleted: refused, with no row."""
    database.save(epoch, rows=[state()], patches=[patch()])
    database.edit("delete from channel_state")
    database.edit("delete from channels_config")
    answer = database.save(epoch, rows=[state(revision=2, edit_no=0)], patches=[patch(revision=2, edit_no=0)])
    assert [(item["reason"], item["row"]) for item in answer["refused"]] == [("edited", None)] * 2
    assert database.all("select * from channel_state") == []


def test_row_of_a_predecessor_is_refused_without_its_base(database: Database, epoch: int) -> None:
    """A process that has not loaded a row cannot overwrite what its predecessor wrote."""
    database.save(epoch, rows=[state(revision=500, data={"n": 500})])
    later = database.take_epoch()
    refusal = only(database.save(later, rows=[state(revision=1)]))
    assert (refusal["reason"], refusal["row"]["data"]) == ("edited", {"n": 500})


@pytest.mark.parametrize(("item", "sqlstate"), UNWRITABLE)
def test_bad_row_is_refused_alone(database: Database, epoch: int, item: Row, sqlstate: str) -> None:
    """A row's own fault refuses that row, with the server's code and words; its neighbours are saved."""
    answer = database.save(epoch, rows=[state("0"), item, component("2")], history=[line()])
    assert answer["saved"] == 2
    (refusal,) = answer["refused"]
    assert (refusal["reason"], refusal["sqlstate"], refusal["row"]) == ("invalid", sqlstate, None)
    assert refusal["message"]
    assert refusal["table"] == (item["table"] or "")
    assert refusal["channel_id"] == (item["channel_id"] or "")
    assert database.one("select count(*) from channel_history")["count"] == 1


def test_element_that_is_no_object_is_refused_alone(database: Database, epoch: int) -> None:
    """A number or a list among the items is refused as what it is: an item without a name."""
    answer = database.save(epoch, rows=[5, [], None, state()], patches=["x"], history=[1], events=[True])
    assert answer["saved"] == 1
    assert [(item["table"], item["reason"]) for item in answer["refused"]] == [
        ("", "invalid"), ("", "invalid"), ("", "invalid"), ("channels_config", "invalid"),
        ("channel_history", "invalid"), ("bot_events", "invalid"),
    ]  # fmt: skip


def test_nul_fails_the_request_before_the_function(database: Database, epoch: int) -> None:
    """U+0000 fails the whole request with 22P05, which is why the bot cleans its text and splits such a request."""
    with pytest.raises(psycopg.errors.UntranslatableCharacter):
        database.save(epoch, rows=[state("1"), state("2", data={"text": "\x00"})])
    assert database.all("select * from channel_state") == []


def test_json_arguments_would_not_isolate_nul_either(database: Database) -> None:
    """PostgREST takes a call's body apart with json_to_record, which refuses U+0000 whatever the types are."""
    body = '{"p_rows": [{"text": "\\u0000"}]}'
    with pytest.raises(psycopg.errors.UntranslatableCharacter):
        database.one("select p_rows::text from json_to_record(%s::json) as body(p_rows json)", body)


def test_lists_must_be_lists(database: Database, epoch: int) -> None:
    """An object in the place of a list is the caller's mistake and fails the request."""
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        database.save(epoch, rows={})


def test_epoch_must_be_given(database: Database) -> None:
    """Without an epoch nothing can be fenced: the request fails."""
    with pytest.raises(psycopg.errors.NullValueNotAllowed):
        database.one("select byte_bot_save(null)")


def test_lower_epoch_is_fenced(database: Database, epoch: int) -> None:
    """A superseded process writes nothing and learns the higher epoch, and who holds it."""
    later = database.take_epoch()
    lists: Row = {"rows": [state()], "patches": [patch()], "history": [line()], "events": [event()]}
    assert database.save(epoch, **lists) == {"status": "fenced", "epoch": later, "holder": "test"}
    for table in ("channel_state", "channels_config", "channel_history", "bot_events"):
        assert database.all(f"select * from {table}") == []


def test_unknown_epoch_is_told_apart(database: Database, epoch: int) -> None:
    """A process with a higher epoch than the database's (a restored backup) writes nothing until it takes one."""
    assert database.save(epoch + 5, rows=[state()]) == {"status": "unknown_epoch", "epoch": epoch}
    assert database.take_epoch(seen=epoch + 5) == epoch + 6


def test_patch_changes_only_its_columns(database: Database, epoch: int) -> None:
    """What a patch does not name stays as the human set it."""
    database.edit("insert into channels_config (login, language, prefix) values ('alice', 'pt-br', '?')")
    edit_no = database.one("select edit_no from channels_config")["edit_no"]
    answer = database.save(epoch, patches=[patch(edit_no=edit_no, paused=True, channel_id="42", revision=7)])
    assert answer["saved"] == 1
    row = database.one("select * from channels_config")
    row.pop("updated_at")
    assert row == {
        "login": "alice", "channel_id": "42", "enabled": True, "paused": True, "language": "pt-br", "prefix": "?",
        "epoch": epoch, "revision": 7, "edit_no": edit_no,
    }  # fmt: skip
    database.save(epoch, patches=[patch(edit_no=edit_no, paused=False, channel_id=None, revision=8)])
    assert database.one("select paused, channel_id from channels_config") == {
        "paused": False,
        "channel_id": None,
    }


def test_patch_inserts_a_missing_channel_with_defaults(database: Database, epoch: int) -> None:
    """A channel known from the settings alone gets a row with the table's defaults."""
    assert database.save(epoch, patches=[patch("bob", paused=True)])["saved"] == 1
    row = database.one("select * from channels_config")
    row.pop("updated_at")
    assert row == {
        "login": "bob", "channel_id": None, "enabled": True, "paused": True, "language": None, "prefix": None,
        "epoch": epoch, "revision": 1, "edit_no": 0,
    }  # fmt: skip


def test_patch_after_a_humans_edit_is_refused(database: Database, epoch: int) -> None:
    """The human's change of any column is seen by the bot before it changes another."""
    database.save(epoch, patches=[patch("alice", paused=False)])
    database.edit("update channels_config set paused = true")
    refusal = only(database.save(epoch, patches=[patch("alice", revision=2, edit_no=0, language="pt-br")]))
    assert (refusal["table"], refusal["channel_id"], refusal["key"]) == ("channels_config", "alice", "")
    assert (refusal["reason"], refusal["row"]["paused"], refusal["row"]["edit_no"]) == ("edited", True, 1)


@pytest.mark.parametrize(
    ("columns", "sqlstate"),
    [
        ({"colour": "red"}, "42703"),
        ({"paused": True, "edit_no": 0}, "42703"),
        ({"login": "mallory"}, "42703"),
        ({"paused": "true"}, "22023"),
        ({"paused": None}, "22023"),
        ({"prefix": 1}, "22023"),
        ({"language": "fr"}, "23514"),
        ({"prefix": ""}, "23514"),
    ],
)
def test_bad_patch_is_refused_alone(database: Database, epoch: int, columns: Row, sqlstate: str) -> None:
    """A patch of an unknown column, or with a wrong value, changes nothing, and inserts nothing."""
    answer = database.save(epoch, patches=[patch("alice"), {**patch("bob"), "columns": columns}])
    assert answer["saved"] == 1
    assert [(item["channel_id"], item["reason"], item["sqlstate"]) for item in answer["refused"]] == [
        ("bob", "invalid", sqlstate)
    ]
    assert [row["login"] for row in database.all("select login from channels_config")] == ["alice"]


def test_history_and_events_are_appended_once(database: Database, epoch: int) -> None:
    """Sent again, a line or an event is the same one; the first stays."""
    for text in ("first", "again"):
        answer = database.save(
            epoch, history=[line(text=text, reply="yes")], events=[event(data={"t": text})]
        )
        assert answer == {"status": "ok", "epoch": epoch, "saved": 0, "refused": []}
    assert database.one("select text, reply, at::text from channel_history") == {
        "text": "first", "reply": "yes", "at": "2026-11-23 12:00:00.5+00",
    }  # fmt: skip
    assert database.one("select data from bot_events")["data"] == {"t": "first"}


@pytest.mark.parametrize(
    ("item", "sqlstate"),
    [
        (line("bad", at="yesterday-ish"), "22007"),
        (line("bad", at=12), "22023"),
        (line("bad", text=None), "22023"),
        (line("bad", author=None), "22023"),
        (line(""), "23514"),
    ],
)
def test_bad_line_is_refused_alone(database: Database, epoch: int, item: Row, sqlstate: str) -> None:
    """A line that cannot be stored is named by its id; the others are stored."""
    answer = database.save(
        epoch, history=[line("a"), item, line("z")], events=[event("e", kind=None), event("f")]
    )
    assert [(refused["table"], refused["channel_id"], refused["sqlstate"]) for refused in answer["refused"]] == [
        ("channel_history", item["id"], sqlstate), ("bot_events", "e", "22023"),
    ]  # fmt: skip
    assert database.one("select count(*) from channel_history")["count"] == 2
    assert database.one("select count(*) from bot_events")["count"] == 1


def test_owners_trigger_can_refuse_a_row(database: Database, epoch: int) -> None:
    """An exception raised by a trigger of the project's owner refuses that row alone, in its words."""
    database.edit("""
        create function public.veto() returns trigger language plpgsql as $$
        begin
          if new.channel_id = '2' then raise exception 'not this one'; end if;
          return new;
        end $$;
        create trigger owners_veto before insert on channel_state for each row execute function public.veto()
    """)
    try:
        answer = database.save(epoch, rows=[state("1"), state("2"), state("3")])
    finally:
        database.edit("drop function public.veto cascade")
    assert answer["saved"] == 2
    assert [(item["sqlstate"], item["message"]) for item in answer["refused"]] == [("P0001", "not this one")]
