"""Where the system keeps what a user's programs remember: the journal and the token lie there unless settings say otherwise."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from byte_bot.errors import SettingsError


def user_data_folder(environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The folder of this program in the user's data directory; it need not be there.

    Args:
        environment: the process's.
        platform: as :data:`sys.platform` says it.

    Raises:
        SettingsError: this account has no home folder, as a container's may have none.
    """
    if platform == "win32":
        folder = Path(environment.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    elif platform == "darwin":
        folder = _home() / "Library" / "Application Support"
    else:
        # The XDG base directory specification; a relative path in the variable is to be ignored.
        data_home = Path(environment.get("XDG_DATA_HOME", ""))
        folder = data_home if data_home.is_absolute() else _home() / ".local" / "share"
    return folder / "byte-bot"


def _home() -> Path:
    return expanded("~", "the place where a user's programs keep their data")


def expanded(path: str | Path, name: str) -> Path:
    """``path`` with the home folder that a ``~`` at its beginning means.

    Args:
        path: as people write it.
        name: what it is, for the message: a setting, an option.

    Raises:
        SettingsError: nobody has such a home folder here.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        who = Path(path).parts[0]
        raise SettingsError(
            f"{name} begins with {who}, and this machine knows no such home folder: write the whole path (JOURNAL_PATH, "
            "TWITCH_TOKEN_FILE and the options take one), or set HOME"
        ) from None
