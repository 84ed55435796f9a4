"""The simulator's stand-ins against the SQL functions: the same stories, the same answers, the same rows.

Answers are compared word for word, and after each step every row of every table (``pair.py`` says what happens in a story).
More of them: ``STAND_IN_STORIES=2000 make test ARGS=tests/byte_bot/persistence/schema/test_schema_stand_ins.py``. A story that
fails names its seed and the step.
"""

from __future__ import annotations

import os

import pytest

from tests.byte_bot.persistence.schema.database import Database
from tests.byte_bot.persistence.schema.pair import Pair, Story

STORIES = int(os.environ.get("STAND_IN_STORIES", "100"))
STEPS = 20
BATCH = 10


def tell(database: Database, seed: int) -> Story:
    """Plays one story on both, comparing after every step."""
    pair = Pair(database)
    story = Story(pair, seed)
    for number in range(STEPS):
        real, fake = story.step()
        assert fake == real, f"story {seed}, step {number}: answers differ"
        real_rows, fake_rows = pair.rows()
        assert fake_rows == real_rows, f"story {seed}, step {number}: rows differ"
    return story


@pytest.mark.parametrize("first", range(0, STORIES, BATCH))
def test_stand_ins_do_what_the_functions_do(database: Database, first: int) -> None:
    """Whatever is edited, taken, saved and sent again, both give the same answers and hold the same rows."""
    for seed in range(first, min(first + BATCH, STORIES)):
        tell(database, seed)


def test_stories_reach_every_answer(database: Database) -> None:
    """The stories are worth their time: a few of them see every status, reason and kind of error."""
    seen: set[str] = set()
    for seed in range(1_000_000, 1_000_030):
        seen |= tell(database, seed).seen
    assert seen >= {
        "ok", "fenced", "unknown_epoch", "22023", "edited", "stale", "invalid 22003", "invalid 22007", "invalid 22023",
        "invalid 22P02", "invalid 23514", "invalid 42703", "invalid 42P01", "edit 23514",
    }  # fmt: skip
