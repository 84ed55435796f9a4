"""The file in which the bot's token lives between runs: for its owner's eyes only, never half written, one writer at a time.

How it works. The file is a small JSON object. It is replaced as a whole (a new file beside it, synced, renamed over it), so that
whoever reads it finds the old pair of tokens or the new one. A rotated refresh token is worth the same as a password and cannot be
had again: hence the sync, and hence the modes. A file that others may read is refused, with the command that corrects it; so is
one that holds something else, which is never overwritten either.

*One at a time.* Trading a refresh token and writing down the new one is one step (:meth:`TokenFile.exclusive`): two bots that share the
file (a rolling deploy) would otherwise trade the same one, and for a public client the second trade ends the pair. The lock is the
operating system's, on ``NAME.lock`` beside the file, and held for the length of one request; ``byte-bot login`` takes it too.

Who only wants to know whether the file has changed asks :meth:`TokenFile.stamp`. Reading and writing run on a thread of the loop's
pool: a disk that takes its time must not hold up chat.

Left out: encryption (whoever may read the file may read the key beside it), modes on Windows, where the user's own folder protects it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from byte_bot.auth.errors import TokenFileBusy, TokenFileRefused
from byte_bot.auth.user_token import NEVER, UserToken
from byte_bot.persistence.journal_lock import try_lock
from byte_bot.user_folder import expanded, user_data_folder

FORMAT: Final = 1
_KIND: Final = "byte-bot token"
_SUFFIX: Final = ".token.json"
_MODE: Final = 0o600
_OTHERS: Final = 0o077  # group and everybody else, all rights
_BYTES_MAX: Final = 65_536  # a token's file has some 500
#: Seconds that a lock may be held by others: chosen above the deadline of one request to Twitch and a slow disk.
LOCK_S: Final = 15.0
_LOCK_TRY_S: Final = 0.1

Stamp = tuple[int, ...]


class TokenStore(Protocol):
    """Where a token is kept; :class:`TokenFile` is the real one."""

    @property
    def place(self) -> str:
        """How a message names it."""
        ...

    def stamp(self) -> Stamp | None:
        """Something that changes whenever the stored token may have; None if there is none."""
        ...

    async def load(self) -> UserToken | None:
        """The token; None if there is none.

        Raises:
            TokenFileRefused: what is there must not be used.
        """
        ...

    async def save(self, token: UserToken) -> None:
        """Keep ``token`` instead of what is there; it is durable when this returns.

        Raises:
            TokenFileRefused: it cannot be kept.
        """
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Keep other processes from changing it inside the block.

        Raises:
            TokenFileBusy: another process does so.
            TokenFileRefused: that cannot be had here.
        """
        ...


class _Document(msgspec.Struct):
    """The file's contents; times in Unix seconds, ``expires_at`` null if never."""

    kind: str
    format: int
    login: str
    user_id: str
    client_id: str
    access_token: str
    refresh_token: str
    scopes: tuple[str, ...]
    obtained_at: float
    expires_at: float | None


def token_path(setting: str, login: str, environment: Mapping[str, str]) -> Path:
    """Where the token of the bot ``login`` lies.

    Args:
        setting: ``TWITCH_TOKEN_FILE``: a file, or a folder in which each bot gets a file of its own; empty: the folder in which
            the system keeps its users' data.
        login: the bot's.
        environment: the process's, for that folder.
    """
    if not setting:
        return user_data_folder(environment) / f"{login}{_SUFFIX}"
    path = expanded(setting, "TWITCH_TOKEN_FILE")
    return path / f"{login}{_SUFFIX}" if os.path.isdir(path) or setting.endswith(("/", os.sep)) else path


class TokenFile:
    """See the module's docstring.

    Args:
        path: the file; its folder is made when the first token is written.
        guarded: whether modes are looked at; by default where they mean something.
        lock: the system's call: locks an open file, False if another process has locked it.
    """

    def __init__(
        self, path: Path, *, guarded: bool = os.name == "posix", lock: Callable[[int], bool] = try_lock
    ) -> None:
        # Through links: a rename would replace the link, and leave the file that it leads to as it was.
        self.path = Path(os.path.realpath(path))
        self._guarded = guarded
        self._lock = lock

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    def stamp(self) -> Stamp | None:
        """What tells one state of the file from another, its modes included; None if it is not there."""
        try:
            info = self.path.stat()
        except OSError:
            return None
        return (info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size, info.st_mode)

    async def load(self) -> UserToken | None:
        """The token; None without a file.

        Raises:
            TokenFileRefused: others may read it, or it is no file of this program.
        """
        return await asyncio.to_thread(self.read)

    async def save(self, token: UserToken) -> None:
        """Replace the file, mode 600; on the disk when this returns.

        Raises:
            TokenFileRefused: it cannot be written, or there is something else.
        """
        await asyncio.to_thread(self.write, token)

    def read(self) -> UserToken | None:
        """:meth:`load`, at once."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TokenFileRefused(
                f"the token's file {self.path} cannot be read: {error.strerror}. Give it to the account that the bot "
                "runs as, or set TWITCH_TOKEN_FILE"
            ) from None
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise TokenFileRefused(f"{self.path} is no file: correct TWITCH_TOKEN_FILE")
            if self._guarded and mode & _OTHERS:
                raise TokenFileRefused(
                    f"the token's file {self.path} is open to others (mode {stat.S_IMODE(mode):o}): "
                    f"chmod 600 {self.path}"
                )
            data = os.read(descriptor, _BYTES_MAX)
        finally:
            os.close(descriptor)
        return _token(self._document(data))

    def _document(self, data: bytes) -> _Document:
        try:
            document = msgspec.json.decode(data, type=_Document)
        except msgspec.DecodeError:
            # Its words are left out: they may quote what is written there.
            raise TokenFileRefused(
                f"{self.path} is damaged, or no token's file: move it away and start `byte-bot login`, or correct "
                "TWITCH_TOKEN_FILE"
            ) from None
        if document.kind != _KIND:
            raise TokenFileRefused(f"{self.path} is no token's file: correct TWITCH_TOKEN_FILE")
        if document.format > FORMAT:
            raise TokenFileRefused(
                f"the token's file {self.path} has format {document.format}, of a newer byte-bot: start that release, or "
                "move the file away and start `byte-bot login`"
            )
        return document

    def write(self, token: UserToken) -> None:
        """:meth:`save`, at once."""
        document = _Document(
            kind=_KIND,
            format=FORMAT,
            login=token.login,
            user_id=token.user_id,
            client_id=token.client_id,
            access_token=token.access,
            refresh_token=token.refresh,
            scopes=token.scopes,
            obtained_at=token.obtained_at,
            expires_at=None if token.expires_at == NEVER else token.expires_at,
        )
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_to_overwrite()
            self._replace(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
        except OSError as error:
            raise self._not_writable(error) from None

    def check_writable(self) -> None:
        """Raise what :meth:`write` would, as far as that can be known without writing; the folder is made.

        Raises:
            TokenFileRefused: it cannot be written, or there is something else.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(self.path.parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._refuse_to_overwrite()
        except OSError as error:
            raise self._not_writable(error) from None

    def _not_writable(self, error: OSError) -> TokenFileRefused:
        return TokenFileRefused(
            f"the token's file {self.path} cannot be written: {error.strerror or error}. Make room, or give "
            "TWITCH_TOKEN_FILE a file in a folder that the bot may write to (of a container: mount the folder, not "
            "the file)"
        )

    def _refuse_to_overwrite(self) -> None:
        """Whatever its modes: what is there must be an earlier token, or nothing at all."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        if data.strip():
            self._document(data)

    def _replace(self, data: bytes) -> None:
        beside = self.path.with_name(f"{self.path.name}.new")
        beside.unlink(missing_ok=True)  # of a process that was killed in between
        # O_EXCL: not through a link that somebody put there. The modes from the first byte on.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.replace(beside, self.path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        self._sync_folder()

    def _sync_folder(self) -> None:
        """Make the new name durable, where a folder can be synced."""
        if os.name != "posix":
            return
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Hold the lock beside the file inside the block.

        Raises:
            TokenFileBusy: another process held it for :data:`LOCK_S` seconds.
            TokenFileRefused: it cannot be made, or the file system has no locks.
        """
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
        except OSError as error:
            raise self._no_lock(path, error) from None
        try:
            await self._wait_for_lock(descriptor, path)
            yield
        finally:
            os.close(descriptor)

    async def _wait_for_lock(self, descriptor: int, path: Path) -> None:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + LOCK_S
        while True:
            try:
                if self._lock(descriptor):
                    return
            except OSError as error:  # ENOLCK, ENOTSUP: as some network file systems answer
                raise self._no_lock(path, error) from None
            if loop.time() >= give_up_at:
                raise TokenFileBusy(
                    f"another process has held the token's lock {path} for {LOCK_S:g} s: is a `byte-bot` hanging?"
                )
            await asyncio.sleep(_LOCK_TRY_S)

    def _no_lock(self, path: Path, error: OSError) -> TokenFileRefused:
        return TokenFileRefused(
            f"the token's lock {path} cannot be taken: {error.strerror or error}. Give TWITCH_TOKEN_FILE a file on a "
            "local disk, in a folder that the bot may write to"
        )


def _token(document: _Document) -> UserToken:
    return UserToken(
        access=document.access_token,
        login=document.login,
        user_id=document.user_id,
        scopes=document.scopes,
        expires_at=NEVER if document.expires_at is None else document.expires_at,
        client_id=document.client_id,
        refresh=document.refresh_token,
        obtained_at=document.obtained_at,
    )
