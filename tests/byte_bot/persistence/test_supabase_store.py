"""The store on the official client: what it asks, what it reads, and which of our errors each failure becomes.

Two peers: the fake Supabase with the bot's own schema and its faults, and ``httpx.MockTransport`` for answers that no
Supabase gives on purpose (the error table is in ``test_supabase_store_errors.py``).
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from byte_bot.errors import DatabaseError, DatabasePaused, DatabaseUnavailable, RequestRefused
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.store import Refusal, SaveAnswer, SaveRequest
from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Drip,
    Fault,
    Hang,
    Html520,
    HtmlOk,
    Latency,
    MissingFunction,
    MissingGrant,
    ReadOnly,
    Refused,
    Reset,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.loop import current_loop, in_virtual_time
from tests.byte_bot.persistence.supabase import nothing, project, state_row, store_on


def loaded(data: dict[str, Any], *, epoch: int = 1, revision: int = 1, edit_no: int = 0) -> Base:
    """A base as the store reads it."""
    return Base(json.dumps(data, separators=(",", ":")).encode(), {}, 1, epoch, revision, edit_no)


# --- what it asks and reads -----------------------------------------------------------------------------------------


@in_virtual_time()
async def test_epochs_rise_above_everything_seen() -> None:
    """Each take is higher than the last and than what the journal remembers of a database since restored."""
    async with project() as fake, store_on(fake) as store:
        assert await store.take_epoch("first", 0) == 1
        assert await store.take_epoch("second", 0) == 2
        assert await store.take_epoch("third", 40) == 41
        assert fake.rows("bot_writer")[0]["holder"] == "third"


@in_virtual_time()
async def test_a_save_is_one_request_with_everything() -> None:
    """Rows, a patch, history and events arrive by one call and are read back as they were sent."""
    async with project() as fake, store_on(fake) as store:
        epoch = await store.take_epoch("test", 0)
        fake.human_insert("channels_config", {"login": "lobby"})
        at = "2026-01-01T00:00:00+00:00"
        request = SaveRequest(
            epoch,
            [state_row("1001", data={"vibe": "calm"}), state_row("1001", "deaths", data={"total": 3})],
            [{"login": "lobby", "columns": {"paused": True}, "revision": 1, "edit_no": 1}],
            [{"id": "h1", "channel_id": "1001", "at": at, "author": "ana", "text": "olá 👋", "reply": None}],
            [{"id": "e1", "at": at, "kind": "start", "data": {}}],
        )
        assert await store.save(request) == SaveAnswer("ok", epoch, [])
        assert fake.requests_by_path["rpc/byte_bot_save"] == 1
        assert await store.load_states(["1001"]) == {
            RowKey("channel_state", "1001"): loaded({"vibe": "calm"}),
            RowKey("component_state", "1001", "deaths"): loaded({"total": 3}),
        }
        assert [row["paused"] for row in fake.rows("channels_config") if row["login"] == "lobby"] == [True]
        assert fake.rows("channel_history")[0]["text"] == "olá 👋"
        assert [row["id"] for row in fake.rows("bot_events")] == ["e1"]


@in_virtual_time()
async def test_a_superseded_save_says_by_whom() -> None:
    """The answer carries the database's epoch; nothing was written."""
    async with project() as fake, store_on(fake) as store:
        await store.take_epoch("old", 0)
        await store.take_epoch("new", 0)
        assert await store.save(nothing(1)) == SaveAnswer("fenced", 2, [])
        assert await store.save(nothing(3)) == SaveAnswer("unknown_epoch", 2, [])


@in_virtual_time()
async def test_an_edited_row_comes_back_as_it_stands() -> None:
    """A human's edit is refused with the stored row, ready to be rebased on; so is a patch of the configuration."""
    async with project() as fake, store_on(fake) as store:
        epoch = await store.take_epoch("test", 0)
        await store.save(SaveRequest(epoch, [state_row("1001", data={"vibe": "calm"})], [], [], []))
        fake.human_update("channel_state", {"channel_id": "1001"}, {"data": {"vibe": "wild"}})
        fake.human_insert("channels_config", {"login": "lobby", "paused": True})
        late = SaveRequest(
            epoch,
            [state_row("1001", data={"vibe": "mild"}, revision=2, edit_no=0)],
            [{"login": "lobby", "columns": {"paused": False}, "revision": 1, "edit_no": None}],
            [],
            [],
        )
        refused = {refusal.key: refusal for refusal in (await store.save(late)).refused}
        row = refused[RowKey("channel_state", "1001")]
        assert row == Refusal(row.key, "edited", "", "", loaded({"vibe": "wild"}, edit_no=1))
        config = refused[RowKey("channels_config", "lobby")]
        assert config.reason == "edited"
        assert json.loads(config.stored.data or b"")["paused"] is True
        assert config.stored.edit_no == 1


@in_virtual_time()
async def test_a_row_the_database_cannot_store_is_refused_alone() -> None:
    """The bad row comes back with SQLSTATE and words and no stored row; its neighbour is saved."""
    async with project() as fake, store_on(fake) as store:
        epoch = await store.take_epoch("test", 0)
        bad = state_row("1001", data={"vibe": "nul \x00"})
        answer = await store.save(SaveRequest(epoch, [bad, state_row("1002", data={})], [], [], []))
        (refusal,) = answer.refused
        assert (refusal.key, refusal.reason, refusal.sqlstate) == (
            RowKey("channel_state", "1001"),
            "invalid",
            "22P05",
        )
        assert refusal.message
        assert refusal.stored == ABSENT
        assert [row["channel_id"] for row in fake.rows("channel_state")] == ["1002"]


@in_virtual_time()
async def test_channels_are_listed_without_the_sentinel() -> None:
    """Each row becomes a base of what humans set; bookkeeping columns and nulls are left out."""
    async with project() as fake, store_on(fake) as store:
        fake.human_insert("channels_config", {"login": "lobby", "channel_id": "1001", "prefix": "?"})
        fake.human_insert("channels_config", {"login": "arcade", "enabled": False})
        bases = await store.list_channels()
        assert list(bases) == ["arcade", "lobby"]
        assert json.loads(bases["lobby"].data or b"") == {
            "channel_id": "1001",
            "enabled": True,
            "paused": False,
            "language": "en",
            "prefix": "?",
        }
        assert "channel_id" not in json.loads(bases["arcade"].data or b"")
        assert (bases["lobby"].epoch, bases["lobby"].edit_no) == (0, 1)


@in_virtual_time()
async def test_a_table_with_only_the_sentinel_is_an_empty_list() -> None:
    """That is an answer: the schema is there and nobody has configured a channel yet."""
    async with project() as fake, store_on(fake) as store:
        assert await store.list_channels() == {}


@in_virtual_time()
async def test_a_list_without_the_sentinel_is_no_list() -> None:
    """``200 []`` is what a key that sees nothing gets: a human must act, nobody is parted."""
    async with project() as fake, store_on(fake) as store:
        fake.human_insert("channels_config", {"login": "lobby"})
        fake.human_delete("channels_config", {"login": ".sentinel"})
        with pytest.raises(DatabasePaused, match="1 rows and without its sentinel") as caught:
            await store.list_channels()
        assert caught.value.code == "no sentinel"
        assert "secret key" in caught.value.advice


@pytest.mark.parametrize("rows_max", [1, 2, 3, 1000])
def test_lists_are_read_to_the_end_however_few_rows_come_at_a_time(rows_max: int) -> None:
    """A project's "Max rows" may be smaller than ours: no channel and no row is missing for it."""

    @in_virtual_time()
    async def story() -> None:
        async with project(rows_max=rows_max) as fake, store_on(fake) as store:
            epoch = await store.take_epoch("test", 0)
            logins = [f"channel_{number}" for number in range(7)]
            for login in logins:
                fake.human_insert("channels_config", {"login": login})
            rows = [
                state_row(str(channel), key, data={"n": 1}) for channel in range(3) for key in ("", "a", "b")
            ]
            await store.save(SaveRequest(epoch, rows, [], [], []))
            assert list(await store.list_channels()) == logins
            found = await store.load_states(["0", "1", "2", "9"])
            assert sorted(found) == sorted(
                RowKey(row["table"], row["channel_id"], row["key"]) for row in rows
            )

    story()


@in_virtual_time()
async def test_a_channel_without_rows_is_absent() -> None:
    """Nothing stored is nothing found, in two requests, one a table."""
    async with project() as fake, store_on(fake) as store:
        assert await store.load_states(["1001", "1002"]) == {}
        assert fake.requests_total == 2


@in_virtual_time()
async def test_tombstones_of_a_humans_making_are_left_out() -> None:
    """A typo in the column costs the deletions, not the row."""
    async with project() as fake, store_on(fake) as store:
        for channel_id, tombstones in {
            "1": {"words": {"hi": [1, 2, 3]}},
            "2": {"words": {"hi": [1]}},
            "3": {"words": 7},
        }.items():
            fake.human_insert(
                "channel_state",
                {"channel_id": channel_id, "version": 1, "data": {}, "tombstones": tombstones},
            )
        found = await store.load_states(["1", "2", "3"])
        assert [found[RowKey("channel_state", str(number))].tombstones for number in (1, 2, 3)] == [
            {"words": {"hi": [1, 2, 3]}},
            {},
            {},
        ]


# --- failures of the fake -------------------------------------------------------------------------------------------

#: A fault, the error of a save under it, and whether the database executed the save.
FAULTS = [
    (Refused(), DatabaseUnavailable, False),
    (Hang(), DatabaseUnavailable, False),
    (Reset(), DatabaseUnavailable, False),
    (Status503(), DatabaseUnavailable, False),
    (Html520(), DatabaseUnavailable, False),
    (TooManyRequests(retry_after_s=7), DatabaseUnavailable, False),
    (HtmlOk(), DatabaseUnavailable, False),
    (CutBody(), DatabaseUnavailable, True),
    (Drip(bytes_per_s=5), DatabaseUnavailable, True),
    (CommitThenDrop(), DatabaseUnavailable, True),
    (Unauthorized(), DatabasePaused, False),
    (ReadOnly(), DatabasePaused, False),
    (MissingFunction(name="byte_bot_save"), DatabasePaused, False),
]


@pytest.mark.parametrize(("fault", "error", "executed"), FAULTS, ids=lambda value: getattr(value, "kind", ""))
def test_a_fault_of_the_database_becomes_one_of_our_errors(
    fault: Fault, error: type[DatabaseError], executed: bool
) -> None:
    """Every fault of the fake, under a save: the class of the error, and that "surely not executed" never lies."""

    @in_virtual_time()
    async def story() -> None:
        async with project() as fake, store_on(fake) as store:
            epoch = await store.take_epoch("test", 0)
            fake.faults.set("x", fault)
            with pytest.raises(DatabaseError) as caught:
                await store.save(SaveRequest(epoch, [state_row("1001", data={})], [], [], []))
            assert type(caught.value) is error
            assert len(fake.rows("channel_state")) == executed
            sure = getattr(caught.value, "surely_not_executed", False)
            assert sure is isinstance(fault, Refused)
            assert getattr(caught.value, "retry_after_s", None) == (
                7 if isinstance(fault, TooManyRequests) else None
            )
            assert current_loop().time() <= 5.0
            fake.faults.clear_all()
            assert (await store.save(nothing(epoch))).status == "ok"

    story()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Unauthorized(), "401"),
        (ReadOnly(), "25006"),
        (MissingFunction(name="byte_bot_take_epoch"), "PGRST202"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
def test_an_epoch_that_cannot_be_taken_pauses_with_advice(fault: Fault, code: str) -> None:
    """The code is the server's and the advice says what to do about it."""

    @in_virtual_time()
    async def story() -> None:
        async with project() as fake, store_on(fake) as store:
            fake.faults.set("x", fault)
            with pytest.raises(DatabasePaused) as caught:
                await store.take_epoch("test", 0)
            assert caught.value.code == code
            assert caught.value.advice

    story()


@in_virtual_time()
async def test_a_missing_grant_names_the_remedy() -> None:
    """New tables of a Supabase project have no grants: the schema's own statements are what helps."""
    async with project() as fake, store_on(fake) as store:
        fake.faults.set("x", MissingGrant(table="channel_state"))
        with pytest.raises(DatabasePaused, match="byte-bot schema") as caught:
            await store.load_states(["1001"])
        assert caught.value.code == "42501"


@in_virtual_time()
async def test_a_project_without_the_schema_pauses() -> None:
    """Nothing was pasted yet: every kind of call says so."""
    async with project(schema=False) as fake, store_on(fake) as store:
        calls = (store.list_channels, lambda: store.load_states(["1"]), lambda: store.take_epoch("test", 0))
        for call in calls:
            with pytest.raises(DatabasePaused, match="byte-bot schema"):
                await call()


@pytest.mark.parametrize(("key", "code"), [("sb_secret_of_another_project", "401"), ("publishable", "42501")])
def test_a_wrong_key_pauses(key: str, code: str) -> None:
    """Another project's key is refused by the gateway, the publishable one by the database."""

    @in_virtual_time()
    async def story() -> None:
        async with project() as fake:
            chosen = fake.publishable_key if key == "publishable" else key
            async with store_on(fake, key=chosen) as store:
                with pytest.raises(DatabasePaused, match="secret key") as caught:
                    await store.list_channels()
                assert caught.value.code == code

    story()


# --- deadlines ------------------------------------------------------------------------------------------------------


@in_virtual_time()
async def test_a_slow_answer_within_the_deadline_counts() -> None:
    """4.9 s is slow, not lost."""
    async with project() as fake, store_on(fake, timeout_s=5.0) as store:
        fake.faults.set("x", Latency(ms=4900))
        assert await store.take_epoch("test", 0) == 1
        assert current_loop().time() == pytest.approx(4.9)


@in_virtual_time()
async def test_an_answer_after_the_deadline_is_given_up() -> None:
    """The call ends at the deadline, though httpx itself would wait longer; the words name it."""
    async with project() as fake, store_on(fake, timeout_s=5.0, http_timeout_s=60.0) as store:
        fake.faults.set("x", Latency(ms=5100))
        with pytest.raises(DatabaseUnavailable, match="no answer within 5 s"):
            await store.take_epoch("test", 0)
        assert current_loop().time() == pytest.approx(5.0)


@in_virtual_time()
async def test_a_dripping_body_does_not_outlive_the_deadline() -> None:
    """Each portion arrives in time for httpx, the whole never would: the outer deadline ends it."""
    async with project() as fake, store_on(fake, timeout_s=5.0, http_timeout_s=5.0) as store:
        fake.faults.set("x", Drip(bytes_per_s=5))
        with pytest.raises(DatabaseUnavailable, match="no answer within 5 s"):
            await store.list_channels()
        assert current_loop().time() == pytest.approx(5.0)


@in_virtual_time()
async def test_the_client_does_not_retry_on_its_own() -> None:
    """Retries belong to the breaker; the library's own would triple the load on a database that is down."""
    async with project() as fake, store_on(fake) as store:
        fake.faults.set("x", Status503())
        with pytest.raises(DatabaseUnavailable):
            await store.list_channels()
        assert fake.requests_total == 1
        assert current_loop().time() == 0.0


@in_virtual_time()
async def test_a_cancelled_call_stays_cancelled() -> None:
    """A shutdown in the middle of a save is not a failure of the database."""
    async with project() as fake, store_on(fake) as store:
        fake.faults.set("x", Hang())
        save = asyncio.create_task(store.save(nothing(1)))
        await asyncio.sleep(1)
        save.cancel()
        with pytest.raises(asyncio.CancelledError):
            await save


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800"], ids=["nan", "object", "surrogate"])
def test_what_cannot_be_encoded_is_refused_and_never_sent(value: object) -> None:
    """The request's data is at fault, so that the writer looks for the row; the database saw nothing."""

    @in_virtual_time()
    async def story() -> None:
        async with project() as fake, store_on(fake) as store:
            with pytest.raises(RequestRefused) as caught:
                await store.save(SaveRequest(1, [state_row("1001", data={"x": value})], [], [], []))
            assert caught.value.code == "unencodable"
            assert fake.attempts_total == 0

    story()
