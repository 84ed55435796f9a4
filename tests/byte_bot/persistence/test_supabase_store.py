"""The store on Supabase: what comes back, and what each fault of the fake, in PostgREST's own words, is taken for."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable

import httpx
import pytest

from byte_bot.errors import DatabasePaused, DatabaseUnavailable
from byte_bot.persistence.operations import ABSENT, Base, RowKey
from byte_bot.persistence.store import SaveAnswer
from byte_bot.persistence.supabase_store import SENTINEL_LOGIN
from simulator.faults import (
    CommitThenDrop,
    CutBody,
    Drip,
    Fault,
    Hang,
    Html520,
    HtmlOk,
    MissingFunction,
    MissingGrant,
    ReadOnly,
    Refused,
    Reset,
    Status503,
    TooManyRequests,
    Unauthorized,
)
from simulator.loop import in_virtual_time, run
from simulator.supabase.server import FakeSupabase
from tests.byte_bot.persistence.store_calls import (
    CALLS,
    outcome,
    save_request,
    state_row,
    store_and_fake,
)

# ── what works ───────────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time()
async def test_rows_come_back_as_they_were_saved() -> None:
    """A save and a load are a round trip, with stamps, tombstones and the count of human edits."""
    async with store_and_fake() as (store, fake):
        epoch = await store.take_epoch("test", 4)
        assert epoch == 5
        component = state_row(table="component_state", key="deaths", data={"total": 1}, revision=7)
        component["tombstones"] = {"names": {"a": [1, 2, 3]}}
        answer = await store.save(save_request(state_row(), component, epoch=epoch))
        assert answer == SaveAnswer("ok", 5, [])
        fake.human_update("channel_state", {"channel_id": "1"}, {"data": {"vibe": "wild"}})
        assert await store.load_states(["1", "2"]) == {
            RowKey("channel_state", "1"): Base(b'{"vibe":"wild"}', {}, 1, 5, 1, 1),
            RowKey("component_state", "1", "deaths"): Base(
                b'{"total":1}', {"names": {"a": [1, 2, 3]}}, 1, 5, 7, 0
            ),
        }


@in_virtual_time()
async def test_a_patch_changes_single_columns_of_the_configuration() -> None:
    """Configuration comes back without bookkeeping, without the sentinel, and without columns that are null."""
    async with store_and_fake() as (store, fake):
        epoch = await store.take_epoch("test", 0)
        edit_no = fake.human_insert("channels_config", {"login": "anna", "prefix": "?"})["edit_no"]
        patch = {"login": "anna", "columns": {"paused": True}, "revision": 3, "edit_no": edit_no}
        assert (await store.save(save_request(epoch=epoch, patches=[patch]))).refused == []
        (base,) = (await store.list_channels()).values()
        assert json.loads(base.data or b"") == {
            "enabled": True,
            "paused": True,
            "prefix": "?",
        }
        assert (base.stamp, base.edit_no) == ((1, 3), edit_no)


@in_virtual_time()
async def test_refusals_bring_the_row_as_it_stands() -> None:
    """Edited, deleted, stale and invalid rows are named, with what is stored or the server's words."""
    async with store_and_fake() as (store, fake):
        epoch = await store.take_epoch("test", 0)
        for channel_id in "123":
            await store.save(save_request(state_row(channel_id, revision=5), epoch=epoch))
        fake.human_update("channel_state", {"channel_id": "1"}, {"data": {}})
        fake.human_delete("channel_state", {"channel_id": "2"})
        answer = await store.save(
            save_request(
                state_row("1", edit_no=0, revision=6),
                state_row("2", edit_no=0, revision=6),
                state_row("3", edit_no=0, revision=4),
                state_row("4", version="one"),
                epoch=epoch,
            )
        )
        refused = {refusal.key.channel_id: refusal for refusal in answer.refused}
        assert {channel_id: refusal.reason for channel_id, refusal in refused.items()} == {
            "1": "edited",
            "2": "edited",
            "3": "stale",
            "4": "invalid",
        }
        assert refused["1"].stored == Base(b"{}", {}, 1, 1, 5, 1)
        assert refused["2"].stored == ABSENT
        assert refused["3"].stored.revision == 5
        assert refused["4"].sqlstate == "22023"
        assert "version" in refused["4"].message


@in_virtual_time()
async def test_a_superseded_epoch_and_an_unknown_one_are_told_apart() -> None:
    """A higher epoch in the database fences, a lower one is a restored backup; nothing is written."""
    async with store_and_fake() as (store, fake):
        assert await store.take_epoch("one", 0) == 1
        assert await store.take_epoch("two", 0) == 2
        assert await store.save(save_request(state_row(), epoch=1)) == SaveAnswer("fenced", 2, [], "two")
        assert await store.save(save_request(state_row(), epoch=9)) == SaveAnswer("unknown_epoch", 2, [])
        assert fake.rows("channel_state") == []


@in_virtual_time()
async def test_pages_are_read_to_the_end_whatever_the_server_returns_at_a_time() -> None:
    """A project whose "Max rows" is lower than what is asked for hides nothing."""
    async with store_and_fake(rows_max=7) as (store, fake):
        for number in range(40):
            fake.human_insert("channels_config", {"login": f"channel{number:02}"})
            for key in ("a", "b"):
                fake.human_insert("component_state", {"channel_id": f"{number}", "key": key, "version": 1})
        assert len(await store.list_channels()) == 40
        found = await store.load_states([f"{number}" for number in range(40)])
        assert len(found) == 80
        assert set(found) == {
            RowKey("component_state", f"{number}", key) for number in range(40) for key in ("a", "b")
        }


@in_virtual_time()
async def test_a_list_without_the_sentinel_row_is_no_list() -> None:
    """A key that row level security shows nothing is answered ``200 []``: that is a pause with advice, not an empty list."""
    async with store_and_fake() as (store, fake):
        assert SENTINEL_LOGIN not in await store.list_channels()
        fake.human_delete("channels_config", {"login": SENTINEL_LOGIN})
        fake.human_insert("channels_config", {"login": "anna"})
        with pytest.raises(DatabasePaused, match="secret key") as caught:
            await store.list_channels()
        assert caught.value.code == "no sentinel"


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "fault",
    [
        Refused(), Hang(), Reset(), Status503(), Html520(), TooManyRequests(7.0), HtmlOk(), CutBody(), CommitThenDrop(),
        Drip(bytes_per_s=0.1),
    ],
    ids=lambda fault: fault.kind,
)  # fmt: skip
def test_what_time_may_heal_is_unavailable(name: str, fault: Fault) -> None:
    """No connection, no answer in time, half an answer, a page of HTML, 429 and 5xx: try again later."""
    error = outcome(CALLS[name], fault)
    assert isinstance(error, DatabaseUnavailable), error
    assert error.surely_not_executed == isinstance(fault, Refused)
    assert error.retry_after_s == (7.0 if isinstance(fault, TooManyRequests) else None)


def test_the_outer_deadline_ends_what_drips() -> None:
    """A body that trickles outlives every timeout per read, and not the deadline round the call."""

    async def story() -> float:
        async with store_and_fake(Drip(bytes_per_s=2)) as (store, _):
            with pytest.raises(DatabaseUnavailable, match="no answer within 5 s"):
                await store.list_channels()
            return asyncio.get_running_loop().time()

    assert run(story()) == 5.0


@pytest.mark.parametrize(
    ("name", "prepare", "code", "advice"),
    [
        ("save", lambda fake: fake.drop_function("byte_bot_save"), "PGRST202", "byte-bot migrate --print"),
        (
            "take_epoch",
            lambda fake: fake.drop_function("byte_bot_take_epoch"),
            "PGRST202",
            "byte-bot migrate --print",
        ),
        (
            "load_states",
            lambda fake: fake.drop_table("channel_state"),
            "PGRST205",
            "byte-bot migrate --print",
        ),
        ("list_channels", lambda fake: fake.revoke("channels_config"), "42501", "secret key"),
        ("save", lambda fake: setattr(fake, "read_only", True), "25006", "read-only"),
    ],
)
def test_what_only_a_human_can_heal_is_a_pause_with_advice(
    name: str, prepare: Callable[[FakeSupabase], object], code: str, advice: str
) -> None:
    """Missing schema, missing grant, read-only: the error carries the server's code and what to do."""
    error = outcome(CALLS[name], prepare=prepare)
    assert isinstance(error, DatabasePaused), error
    assert error.code == code
    assert advice in error.advice


@pytest.mark.parametrize("name", CALLS)
def test_a_refused_key_is_a_pause(name: str) -> None:
    """401 from the gateway: the key is wrong, for every call alike."""
    error = outcome(CALLS[name], Unauthorized())
    assert isinstance(error, DatabasePaused)
    assert "SUPABASE_KEY" in error.advice


def test_the_faults_of_the_board_are_pauses_too() -> None:
    """The same conditions set by hand during a run."""
    for name, fault in {
        "load_states": MissingGrant(table="component_state"),
        "save": ReadOnly(),
        "take_epoch": MissingFunction(name="byte_bot_take_epoch"),
    }.items():
        assert isinstance(outcome(CALLS[name], fault), DatabasePaused)


@in_virtual_time()
async def test_an_answer_is_freed_without_the_garbage_collector() -> None:
    """httpx's answer and its stream hold each other; one alive during a collection would stay, body and all, for ever."""
    async with store_and_fake() as (store, fake):
        fake.human_insert("channels_config", {"login": "anna"})
        gc.collect()
        gc.disable()
        try:
            await store.load_states(["1"])
            await store.list_channels()
            left = [one for one in gc.get_objects() if isinstance(one, httpx.Response)]
        finally:
            gc.enable()
        assert left == []
