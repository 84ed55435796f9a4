"""The benchmark of the journal: small, on real files, and its verdict can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.journal import (
    DURABILITIES,
    REPLAY_MB_MAX,
    REPLAY_S_MAX,
    Chat,
    Result,
    main,
    measure,
    measure_replay,
    shown,
    verdict,
)
from byte_bot.persistence.journal import JournalImage


async def test_every_durability_is_measured() -> None:
    """Each message has its wait, at each rate."""
    result = await measure((50.0,), 0.3)
    assert [(one.durability, one.messages) for one in result.waits] == [(name, 15) for name in DURABILITIES]
    assert all(0 <= one.p50_ms <= one.p99_ms <= one.max_ms for one in result.waits)
    assert all(result.most[name] > 0 for name in DURABILITIES)
    assert verdict(result) == 2


def test_a_replay_is_read_in_a_process_of_its_own() -> None:
    """What was written is there."""
    took_s, grown_mb = measure_replay(operations=2_000, rows=50)
    assert took_s > 0 and grown_mb < 100


def test_saves_trim_what_commands_did() -> None:
    """The load is one that a journal can follow: nothing is left behind a save."""
    chat, image = Chat(), JournalImage()
    for _ in range(50):
        image.apply(chat.message())
    image.apply(chat.save())
    assert [row for row in image.rows.values() if row.pending] == []


@pytest.mark.parametrize(
    ("took_s", "grown_mb", "code"),
    [
        (REPLAY_S_MAX, REPLAY_MB_MAX, 0),
        (REPLAY_S_MAX + 1, 1.0, 1),
        (1.0, REPLAY_MB_MAX + 1, 1),
        (None, None, 2),
    ],
)
def test_the_replay_is_judged(took_s: float | None, grown_mb: float | None, code: int) -> None:
    """By time and memory."""
    result = Result(0.1, [], dict.fromkeys(DURABILITIES, 1.0), took_s, grown_mb)
    assert verdict(result) == code
    assert ("✓" in shown(result)) == (code == 0)


def test_a_file_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    """Before anything is measured."""
    with pytest.raises(SystemExit):
        main(["--json", str(tmp_path / "no folder" / "x.json")])
