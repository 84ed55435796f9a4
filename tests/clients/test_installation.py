"""Whether the real clients are there is told by what was pinned when they were installed, not by a folder that happens to exist."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.clients.__main__ import main
from tests.clients.installation import PACKAGES, RUNTIMES, installed, missing, pins
from tests.clients.roster import CLIENTS, Runtime


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_is_installed_is_what_is_pinned(runtime: Runtime, tmp_path: Path) -> None:
    """A folder without the file was interrupted; one with other pins is from another day."""
    note = tmp_path / runtime / "installed"
    note.parent.mkdir()
    assert not installed(runtime, tmp_path)
    note.write_text(pins(runtime), encoding="utf-8")
    assert installed(runtime, tmp_path)
    note.write_text(pins(runtime) + "one more\n", encoding="utf-8")
    assert not installed(runtime, tmp_path)


def test_what_is_missing_is_said_with_the_command_that_installs_it(tmp_path: Path) -> None:
    """The reason for which a test is skipped."""
    assert "make clients" in asyncio.run(missing("python", tmp_path))


def test_every_version_of_the_roster_is_pinned() -> None:
    """The table shows what is installed."""
    texts = {
        "node": (PACKAGES / "package.json").read_text(encoding="utf-8"),
        "python": (PACKAGES / "python.txt").read_text(encoding="utf-8"),
        "twitchio2": (PACKAGES / "twitchio2.txt").read_text(encoding="utf-8"),
    }
    for client in CLIENTS:
        assert client.version in texts[client.runtime], f"{client.name} {client.version}"


def test_without_node_that_is_said_in_a_line_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """How `make test` begins on a machine that has none: the reason, what becomes of its clients, and exit code 0."""
    monkeypatch.setenv("PATH", "")
    assert main(["--install", "--only", "tmijs,dank"]) == 0
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "Without node: Node is not installed (the JavaScript clients need 18 or newer); its clients are skipped"
    ]
    assert told.out == ""
