"""The fake Supabase's own process; that it serves is tested where it is started (test_stage.py)."""

from __future__ import annotations

import pytest

from simulator.bench.supabase_server import main


def test_it_takes_three_arguments() -> None:
    """Folder, seed and wall time; anything else is a mistake of the program that starts it."""
    with pytest.raises(ValueError, match="unpack"):
        main(["folder"])
