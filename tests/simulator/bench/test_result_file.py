"""A result that could not be written is refused before it is measured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simulator.bench.result_file import UnwritableFile, check_writable


def test_a_file_that_can_be_made_or_replaced_is_fine(tmp_path: Path) -> None:
    """Nothing is made by asking, and no file needs no folder."""
    there = tmp_path / "there.json"
    there.write_text("")
    check_writable(None, there, tmp_path / "new.json", Path("new.json"))
    assert list(tmp_path.iterdir()) == [there]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """Also behind files that are fine."""
    with pytest.raises(UnwritableFile, match=r"there is no folder '.*nowhere' to write 'a.json' to"):
        check_writable(None, tmp_path / "fine.json", tmp_path / "nowhere" / "a.json")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """It would be found out when the figures are written."""
    with pytest.raises(UnwritableFile, match="is a folder: name a file in it"):
        check_writable(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """As far as the system tells."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UnwritableFile, match="may not be written"):
            check_writable(tmp_path / "a.json")
    finally:
        tmp_path.chmod(0o700)
