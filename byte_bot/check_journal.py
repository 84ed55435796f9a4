"""The journal's part of ``byte-bot check``: where it lies, whether that outlives the machine, who holds it.

Nothing is locked, made or changed: format and damage are read from the file's header, so the bot may be running beside. What a
start would do with the file is what is said of it; damage behind the header shows at a start only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from byte_bot.errors import JournalRefused
from byte_bot.finding import Finding, Status
from byte_bot.persistence.journal_lock import holder_of, is_locked
from byte_bot.persistence.journal_opening import journal_path
from byte_bot.persistence.journal_origin import (
    COMPANIONS,
    followed,
    is_ours,
    logins_at,
    read_header,
    refuse_irregular,
)
from byte_bot.setting_values import LOGIN_PATTERN
from byte_bot.settings import Settings

NAME: Final = "journal"
#: File systems that end with the machine or the container, and what they are.
_FLEETING: Final[Mapping[str, str]] = {
    "tmpfs": "memory: a restart of the machine empties it",
    "ramfs": "memory: a restart of the machine empties it",
    "overlay": "a container's own layer: it goes with the container",
    "aufs": "a container's own layer: it goes with the container",
}
_MOUNTS: Final = Path("/proc/self/mountinfo")


def check_journal(settings: Settings, environment: Mapping[str, str], mounts: Path = _MOUNTS) -> Finding:
    """What is known about the journal of these settings' bot.

    Args:
        settings: name the bot and perhaps the path.
        environment: the process's, for the default path.
        mounts: the kernel's list of mounts; systems other than Linux have none.

    Raises:
        SettingsError: no path can be made of the settings.
    """
    if settings.durability == "off":
        return Finding(
            NAME,
            Status.WARNING,
            "DURABILITY=off: what the database does not have yet is lost with the process",
            "leave DURABILITY out to keep it on disk",
        )
    path = followed(journal_path(settings.journal_path, settings.twitch_login, environment))
    folder = next((parent for parent in path.parents if os.path.exists(parent)), path.parent)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            NAME,
            Status.FAILED,
            f"{path}: nothing can be written in {folder}",
            "give JOURNAL_PATH a file in a folder that the bot may write to",
        )
    try:
        refuse_irregular(path)
    except JournalRefused as error:
        return Finding(NAME, Status.FAILED, str(error), "choose another JOURNAL_PATH")
    try:
        status, words, advice = _describe(path, settings.twitch_login)
    except OSError as error:
        return Finding(NAME, Status.FAILED, f"{path}: {error.strerror or error}", "correct JOURNAL_PATH")
    if status is not Status.OK:
        return Finding(NAME, status, f"{path}: {words}", advice)
    try:
        kind = file_system_of(folder, mounts.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        kind = ""
    if kind in _FLEETING:
        return Finding(
            NAME,
            Status.WARNING,
            f"{path}: {words}; it lies on {kind}, {_FLEETING[kind]}",
            "put it on a disk or a volume that stays: JOURNAL_PATH",
        )
    return Finding(NAME, Status.OK, f"{path}: {words}")


def _describe(path: Path, login: str) -> tuple[Status, str, str]:
    """What there is at ``path``, what a start would make of it, and what to do if that is not what anybody wants."""
    if not path.exists():
        return Status.OK, "will be made at the first start", ""
    header = read_header(path)
    size = sum(other.stat().st_size for end in COMPANIONS if (other := Path(f"{path}{end}")).exists())
    locked = is_locked(path)
    if locked is None:
        held = "whether it is in use this account cannot tell"
    else:
        held = f"held by {holder_of(path) or 'another process'}" if locked else "not in use"
    if not header.data:
        return Status.OK, f"empty, {held}", ""
    if not (
        header.is_marked or login in logins_at(path) or (not header.is_database and is_ours(path, login))
    ):
        return Status.FAILED, "not a journal of byte-bot", "choose another JOURNAL_PATH"
    fault = header.fault if header.is_marked else "its mark is gone"
    if fault:
        return (
            Status.WARNING,
            f"damaged ({fault}), {held}; the bot sets it aside at its next start and begins a new one",
            "keep what is set aside: it may hold changes that the database does not have",
        )
    if header.is_newer:
        return (
            Status.FAILED,
            f"format {header.format}, of a newer byte-bot",
            "start that release, or choose another JOURNAL_PATH",
        )
    for owner in logins_at(path):
        if owner != login and LOGIN_PATTERN.fullmatch(f"{owner}"):
            return (
                Status.FAILED,
                f"the journal of the bot {owner!r}, not of {login!r}",
                "correct TWITCH_LOGIN or JOURNAL_PATH: each bot needs a journal of its own",
            )
    return Status.OK, f"format {header.format}, {size / 1e6:.1f} MB, {held}", ""


def file_system_of(path: Path, mountinfo: str) -> str:
    """The type of the file system that ``path`` lies on, from the text of ``/proc/self/mountinfo`` (proc(5)); '' if unknown."""
    resolved = path.resolve()
    found, depth = "", -1
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not source:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4]))
        # Of several mounts on one point the last one covers the others.
        if resolved.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = source.split(" ")[0], len(point.parts)
    return found
