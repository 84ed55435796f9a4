"""Safeguard: the border. Text that no database can hold is cleaned where it comes in, and spoils no save."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from byte_bot.bot import Bot
from byte_bot.chat.message import ChatMessage
from byte_bot.errors import StateError
from byte_bot.persistence.row import Row
from byte_bot.persistence.shadow import Shadow
from simulator.loop import in_virtual_time
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, World, play
from tests.byte_bot.persistence.rig import fake_supabase, process, settled
from tests.safeguards.altered import altered
from tests.safeguards.row_variants import layer_of
from tests.safeguards.variants import application_with, become, begun

STORY = Scenario("odd_text", "a line with a NUL in it, as JSON can carry it", fixed=("lobby",))

Trusting = altered(Bot, {"storable_struct": lambda event: event}, on_event=None)


class _Never(Exception):
    """Nobody raises it."""


Untouched = altered(Shadow, {"_UnstorableText": _Never}, changes=None)
RowOfTexts = altered(Row, {"Shadow": Untouched}, _show=None)


async def odd_text(world: World) -> tuple[list[str], int]:
    """A line with a NUL between two others: what of them the database has, and how often a save had to be cut in two."""
    await begun(world)
    assert world.app is not None
    for number, text in enumerate(("before", "nul \x00 and on", "after")):
        # Past the transport: IRC cannot carry a NUL, EventSub's JSON can.
        author = ("7", "viewer", "Viewer")
        world.app.bot.on_event(
            ChatMessage(f"odd-{number}", world.channels["lobby"], "lobby", *author, "viewer", text)
        )
    await world.until(lambda: world.app is not None and world.app.layer.ledger.appends_waiting == 0)
    texts = [str(row["text"]) for row in world.supabase.rows("channel_history")]
    return texts, world.app.telemetry.counters["saves_bisected"]


def told(application: ApplicationFactory | None = None) -> tuple[list[str], int]:
    """The story, with the bot as shipped or another one."""
    if application is None:
        return play(odd_text, STORY)
    return play(odd_text, STORY, application=application)


def test_a_text_is_stored_without_what_no_database_holds() -> None:
    """With the cleaning all is saved, in one request."""
    assert told() == (["before", "nul  and on", "after"], 0)


def test_without_it_one_line_spoils_the_save_of_all() -> None:
    """Without it the whole request is refused and halved down to that line, which is lost."""
    texts, bisected = told(application_with(lambda application: application.bot, Trusting))
    assert texts == ["before", "after"]
    assert bisected > 0


@pytest.mark.parametrize("cleaned", [True, False], ids=["with it", "without it"])
@in_virtual_time()
async def test_what_a_component_got_from_elsewhere_is_remembered(cleaned: bool) -> None:
    """Without the cleaning of values a handler that meets such a text fails, and what it counted is undone."""
    fake = fake_supabase()
    async with process(fake) as rig:
        if not cleaned:
            become(rig.layer, layer_of(RowOfTexts))
        await settled(rig)
        with contextlib.nullcontext() if cleaned else pytest.raises(StateError, match="NUL"):
            rig.add(last="nul \x00 and on")
        rig.context().rollback()
        await asyncio.sleep(5)
        expected = {"total": 1, "last": "nul  and on"} if cleaned else None
        assert rig.stored().get("data") == expected
    fake.close()
