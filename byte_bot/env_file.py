"""What the environment and a ``.env`` file say, by name in lower case, before anything is checked.

The environment wins; an empty variable counts as absent; upper or lower case of names does not matter. The file is read as
python-dotenv reads it (comments, ``export``, quotes), through pydantic-settings.

Left out: which names are settings and what their values may be, which is :mod:`byte_bot.settings`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic_settings import BaseSettings, DotEnvSettingsSource

from byte_bot.errors import SettingsError
from byte_bot.user_folder import expanded

DEFAULT_ENV_FILE: Final = Path(".env")


def named_values(env: Mapping[str, str] | None, env_file: Path | str | None) -> dict[str, str]:
    """What environment and file say, by name in lower case, unchecked; arguments as of :func:`~byte_bot.settings.load_settings`."""
    given = os.environ if env is None else env
    from_env = {name.lower(): value for name, value in given.items() if value.strip()}
    return {**read_env_file(env_file), **from_env}


def read_env_file(env_file: Path | str | None) -> dict[str, str]:
    """The variables of a file that are not empty, by name in lower case; none without a file.

    Args:
        env_file: the default may be absent, a file named by the caller may not; None reads no file.

    Raises:
        SettingsError: it is not there, or cannot be read.
    """
    if env_file is None:
        return {}
    path = expanded(env_file, "--env-file")
    # Not Path's own: of a name that is too long, or a folder that may not be looked into, those raise.
    if not os.path.exists(path):
        if path == DEFAULT_ENV_FILE:
            return {}
        raise SettingsError(f"there is no file {os.fspath(env_file)!r}: check the path given as --env-file")
    if path.is_dir():
        # What Docker makes of a bind mount whose source is not there.
        raise SettingsError(f"{os.fspath(path)!r} is a directory: it should be a file with lines NAME=value")
    try:
        # utf-8-sig: Windows' editors put a byte order mark in front, which would become part of the first name.
        source = DotEnvSettingsSource(BaseSettings, env_file=path, env_file_encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{os.fspath(path)!r} is not UTF-8: save it again with that encoding") from None
    except OSError as error:
        raise SettingsError(f"{os.fspath(path)!r} cannot be read: {error.strerror or error}") from None
    return {name.lower(): value for name, value in source.env_vars.items() if value and value.strip()}
