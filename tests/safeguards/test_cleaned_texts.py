"""Safeguard: the border. Text that no database can hold is cleaned where it comes in, and spoils no save."""

from __future__ import annotations

from byte_bot.bot import Bot
from byte_bot.chat.message import ChatMessage
from simulator.scenario import Scenario
from simulator.world import ApplicationFactory, World, play
from tests.safeguards.altered import altered
from tests.safeguards.variants import application_with, begun

STORY = Scenario("odd_text", "a line with a NUL in it, as JSON can carry it", fixed=("lobby",))

Trusting = altered(Bot, {"storable_struct": lambda event: event}, on_event=None)


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
