"""Where the system keeps what a user's programs remember: the journal and the token lie there unless settings say otherwise."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def user_data_folder(environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The folder of this program in the user's data directory; it need not be there.

    Args:
        environment: the process's.
        platform: as :data:`sys.platform` says it.
    """
    if platform == "win32":
        folder = Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        # The XDG base directory specification; a relative path in the variable is to be ignored.
        data_home = Path(environment.get("XDG_DATA_HOME", ""))
        folder = data_home if data_home.is_absolute() else Path.home() / ".local" / "share"
    return folder / "byte-bot"
