"""The token's file: modes, replacement as a whole, the lock, and what is refused with which way out."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from byte_bot.auth.errors import TokenFileBusy, TokenFileRefused
from byte_bot.auth.token_file import LOCK_S, TokenFile, token_path
from byte_bot.auth.user_token import NEVER, UserToken
from simulator.loop import current_loop, in_virtual_time

TOKEN = UserToken(
    access="accessaccessaccessaccessaccess",
    login="my_bot",
    user_id="1234",
    scopes=("chat:edit", "chat:read"),
    expires_at=1_767_268_800.5,
    client_id="client",
    refresh="refreshrefreshrefresh",
    obtained_at=1_767_254_400.5,
)
posix_only = pytest.mark.skipif(os.name != "posix", reason="modes mean something on POSIX systems only")


@pytest.mark.parametrize("expires_at", [TOKEN.expires_at, NEVER])
def test_what_is_written_is_read(tmp_path: Path, expires_at: float) -> None:
    """Every field, and the end that never comes."""
    token = UserToken(**{**{n: getattr(TOKEN, n) for n in TOKEN.__struct_fields__}, "expires_at": expires_at})
    file = TokenFile(tmp_path / "deep" / "my_bot.token.json")
    assert file.read() is None
    file.write(token)
    assert file.read() == token


@posix_only
def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """From the first byte on and whatever the umask: the file, the folder that was made for it, and the lock."""
    before = os.umask(0)
    try:
        file = TokenFile(tmp_path / "new" / "my_bot.token.json")
        file.write(TOKEN)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.path.parent.iterdir()] == ["my_bot.token.json"]


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610])
def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that corrects it; a new token corrects it too."""
    file = TokenFile(tmp_path / "my_bot.token.json")
    file.write(TOKEN)
    file.path.chmod(mode)
    with pytest.raises(TokenFileRefused, match=rf"open to others \(mode {mode:o}\): chmod 600 {file.path}"):
        file.read()
    assert TokenFile(file.path, guarded=False).read() == TOKEN
    file.write(TOKEN)
    assert file.read() == TOKEN


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged, or no token's file"),
        (b'{"kind": "byte-bot token", "format": 1, "login": "my_b', "damaged, or no token's file"),
        (b"TWITCH_TOKEN=oauth:abc\n", "damaged, or no token's file"),
        (b"\xff\xfe\x00", "damaged, or no token's file"),
        (b"[]", "damaged, or no token's file"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    """With what to do; what is written there is not quoted."""
    file = TokenFile(tmp_path / "my_bot.token.json")
    file.path.write_bytes(content)
    file.path.chmod(0o600)
    with pytest.raises(TokenFileRefused, match=words) as caught:
        file.read()
    assert str(file.path) in str(caught.value)
    assert "byte-bot login" in str(caught.value)
    assert "abc" not in str(caught.value)


def test_a_newer_release_s_file_and_another_program_s_are_told_apart(tmp_path: Path) -> None:
    """Neither is read, and neither is overwritten."""
    file = TokenFile(tmp_path / "my_bot.token.json")
    file.write(TOKEN)
    document = json.loads(file.path.read_text(encoding="utf-8"))
    for change, words in (({"format": 2}, "of a newer byte-bot"), ({"kind": "other"}, "is no token's file")):
        file.path.write_text(json.dumps({**document, **change}), encoding="utf-8")
        for use in (file.read, lambda: file.write(TOKEN), file.check_writable):
            with pytest.raises(TokenFileRefused, match=words):
                use()


def test_another_file_is_never_overwritten(tmp_path: Path) -> None:
    """A wrong TWITCH_TOKEN_FILE must not cost anybody's data; an empty file may be filled."""
    file = TokenFile(tmp_path / ".env")
    file.path.write_text("SUPABASE_KEY=precious\n", encoding="utf-8")
    for use in (lambda: file.write(TOKEN), file.check_writable):
        with pytest.raises(TokenFileRefused, match="move it away"):
            use()
    assert file.path.read_text(encoding="utf-8") == "SUPABASE_KEY=precious\n"
    file.path.write_text("\n", encoding="utf-8")
    file.check_writable()
    file.write(TOKEN)
    assert file.read() == TOKEN


def test_a_write_that_was_cut_short_leaves_the_old_token(tmp_path: Path) -> None:
    """Half of a new file lies beside it, never in its place; the next write takes that away."""
    file = TokenFile(tmp_path / "my_bot.token.json")
    file.write(TOKEN)
    beside = tmp_path / "my_bot.token.json.new"
    beside.write_text('{"kind": "byte-bot to', encoding="utf-8")
    assert file.read() == TOKEN
    file.write(TOKEN)
    assert not beside.exists()


def test_a_reader_sees_the_old_token_or_the_new_one(tmp_path: Path) -> None:
    """Somebody who opened the file before goes on reading the old one: it is replaced, not rewritten."""
    file = TokenFile(tmp_path / "my_bot.token.json")
    file.write(TOKEN)
    with file.path.open(encoding="utf-8") as reader:
        file.write(UserToken(access="new", login="my_bot"))
        assert json.loads(reader.read())["access_token"] == TOKEN.access
    assert file.read() == UserToken(access="new", login="my_bot")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder should be; a folder where the file should be."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "folder.json").mkdir()
    for path in (tmp_path / "file" / "my_bot.token.json", tmp_path / "folder.json"):
        file = TokenFile(path)
        for use in (lambda file=file: file.write(TOKEN), file.check_writable):
            with pytest.raises(TokenFileRefused, match="TWITCH_TOKEN_FILE"):
                use()
    with pytest.raises(TokenFileRefused, match="is no file"):
        TokenFile(tmp_path / "folder.json").read()


@posix_only
def test_a_link_is_followed(tmp_path: Path) -> None:
    """The file that it leads to is replaced, and not the link."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real" / "token.json")
    TokenFile(link).write(TOKEN)
    assert link.is_symlink()
    assert TokenFile(tmp_path / "real" / "token.json").read() == TOKEN


def test_the_stamp_tells_states_apart(tmp_path: Path) -> None:
    """No file, a file, another one of the same size, other modes."""
    file = TokenFile(tmp_path / "my_bot.token.json")
    stamps = [file.stamp()]
    for change in (lambda: file.write(TOKEN), lambda: file.write(TOKEN), lambda: file.path.chmod(0o400)):
        change()
        stamps.append(file.stamp())
        assert file.stamp() == stamps[-1]
    assert stamps[0] is None
    assert len(set(stamps)) == 4


@in_virtual_time()
async def test_one_at_a_time(tmp_path: Path) -> None:
    """Who comes second waits until the first is done, also in another process: the lock is the system's."""
    first, second = TokenFile(tmp_path / "a.json"), TokenFile(tmp_path / "a.json")
    order: list[str] = []

    async def hold(file: TokenFile, name: str) -> None:
        async with file.exclusive():
            order.append(f"{name} in")
            await asyncio.sleep(1)
            order.append(f"{name} out")

    await asyncio.gather(hold(first, "first"), hold(second, "second"))
    assert order == ["first in", "first out", "second in", "second out"]


@in_virtual_time()
async def test_a_lock_that_is_never_given_up_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """The message names it."""
    file = TokenFile(tmp_path / "a.json", lock=lambda descriptor: False)
    with pytest.raises(TokenFileBusy, match=r"a\.json\.lock for 15 s"):
        async with file.exclusive():
            raise AssertionError("nobody gets in")
    assert current_loop().time() == pytest.approx(LOCK_S, abs=0.2)


def without_locks(descriptor: int) -> bool:
    """What some network file systems answer."""
    raise OSError(37, "No locks available")


@in_virtual_time()
async def test_a_file_system_without_locks_is_refused(tmp_path: Path) -> None:
    """With the way out; so is a folder in which nothing can be made."""
    (tmp_path / "file").write_text("x", encoding="utf-8")
    refused: list[tuple[Path, Callable[[int], bool]]] = [
        (tmp_path / "a.json", without_locks),
        (tmp_path / "file" / "a.json", lambda descriptor: True),
    ]
    for path, lock in refused:
        with pytest.raises(TokenFileRefused, match="a file on a local disk"):
            async with TokenFile(path, lock=lock).exclusive():
                raise AssertionError("nobody gets in")


@in_virtual_time()
async def test_the_loop_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    """Loading and saving are jobs of the loop's pool."""
    file = TokenFile(tmp_path / "a.json")
    await file.save(TOKEN)
    assert await file.load() == TOKEN
    assert file.place == str(tmp_path / "a.json")


def test_where_the_file_lies(tmp_path: Path) -> None:
    """A file, a folder, or the user's data directory; each bot has one of its own."""
    assert token_path(str(tmp_path / "a.json"), "my_bot", {}) == tmp_path / "a.json"
    assert token_path(str(tmp_path), "my_bot", {}) == tmp_path / "my_bot.token.json"
    assert token_path(f"{tmp_path}/new/", "my_bot", {}) == tmp_path / "new" / "my_bot.token.json"
    if os.name == "posix":
        folder = token_path("", "my_bot", {"XDG_DATA_HOME": str(tmp_path)}).parent
        assert folder.name == "byte-bot"
