"""``byte-bot journal``: each command on a real file, its exit codes, and that it says what to do."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from byte_bot.errors import ExitCode
from byte_bot.persistence import journal_lock
from byte_bot.persistence.journal_file import SqliteJournal
from byte_bot.persistence.journal_image import DeadLettered, Handled, JournalImage, Rebased
from byte_bot.persistence.journal_lock import Holder
from byte_bot.persistence.journal_opening import connect
from byte_bot.persistence.operations import Base, RowKey
from tests.byte_bot.persistence.journal_files import SAMPLE_UNIX_S, damage, sample, set_format, write
from tests.byte_bot.persistence.nesting import BOTTOMLESS
from tests.data.journals.make_format_1 import CONTEXT, DEATHS

# The command line imports the composition root.
pytest.importorskip("byte_bot.app", exc_type=ImportError)

from byte_bot.cli import build_cli

TOKEN = "abcdefghijklmnopqrstuvwxyz0123"
CONTEXT_NAME, DEATHS_NAME = "channel_state/1", "component_state/1/deaths"
BOT = Holder(2, "elsewhere", "my_bot", "2026-01-02T00:00:00Z")


class LaterClock:
    """Two minutes after the last change in the sample."""

    def unix(self) -> float:
        """Unix seconds."""
        return SAMPLE_UNIX_S + 120


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A copy of the sample where the settings below lead to."""
    return sample(tmp_path)


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Calls ``byte-bot journal`` in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: str, env: dict[str, str] | None = None, answer: str = "") -> tuple[int, str, str]:
        found = {"JOURNAL_PATH": f"{tmp_path}{os.sep}", "TWITCH_LOGIN": "my_bot"} if env is None else env
        cli = build_cli(clock=LaterClock())
        result = CliRunner().invoke(cli, ["journal", *arguments], env=found, input=answer)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return call


JournalCall = Callable[..., tuple[int, str, str]]


def image(path: Path) -> JournalImage:
    """What the bot would read at its next start."""
    bot = SqliteJournal(connect(path))
    read = bot.read()
    bot.close()
    return read


def test_status_says_where_how_much_and_who(journal: JournalCall, path: Path) -> None:
    """Beside a running bot, and without one."""
    code, out, err = journal("status")
    assert (code, err) == (0, "")
    assert "in use        no" in out
    assert "waiting       2 rows with 3 changes, the oldest 2 min old" in out
    lock = journal_lock.acquire(path, BOT)
    assert "in use        by process 2 on elsewhere (bot my_bot, since" in journal("status")[1]
    code, out, _ = journal("status", "--json")
    found = json.loads(out)
    assert (found["path"], found["bot"], found["held_by"]["pid"]) == (str(path), "my_bot", 2)
    assert (found["rows_pending"], found["dead_letters"], found["handled_max"]) == (2, 1, 10_000)
    assert found["file_bytes"] == path.stat().st_size
    lock.release()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for administrators only")
def test_a_link_is_followed(journal: JournalCall, path: Path, tmp_path: Path) -> None:
    """What is shown is the file that it leads to, with its log and its lock, as the bot uses it."""
    link = tmp_path / "link"
    link.symlink_to(path)
    lock = journal_lock.acquire(path, BOT)
    bot = SqliteJournal(connect(path))
    bot.apply([Handled("in-the-wal")], bot.commits + 1)
    for arguments in ({"env": {}}, {"env": {"JOURNAL_PATH": str(link), "TWITCH_LOGIN": "my_bot"}}):
        file = () if arguments["env"] else ("--file", str(link))
        found = json.loads(journal("status", "--json", *file, **arguments)[1])
        assert (found["path"], found["held_by"]["pid"], found["handled"]) == (str(path), 2, 3)
        assert found["wal_bytes"] > 0
    bot.close()
    lock.release()


def test_list_shows_what_waits_and_what_was_refused(journal: JournalCall, path: Path) -> None:
    """Filters, and JSON."""
    code, out, _ = journal("list")
    assert code == 0
    assert out.splitlines() == [
        "row                       changes  oldest",
        "channel_state/1                 1   2 min",
        "    refused: 23514 violates check constraint",
        "component_state/1/deaths        2   2 min",
    ]
    assert DEATHS_NAME not in journal("list", "--dead")[1]
    assert "1 more: --limit" in journal("list", "--limit", "1")[1]
    assert journal("list", "--channel", "bert")[1] == "Nothing waits, and nothing was refused.\n"
    found = json.loads(journal("list", "--json", "--channel", "anna")[1])
    assert [row["row"] for row in found["rows"]] == [CONTEXT_NAME, DEATHS_NAME]
    assert found["rows"][0]["dead_letter"]["sqlstate"] == "23514"
    assert (found["rows"][1]["changes"], found["left_out"]) == (2, 0)


def test_show_tells_everything_about_a_row(journal: JournalCall, path: Path) -> None:
    """And a row that is not there is an error with the way out."""
    code, out, _ = journal("show", CONTEXT_NAME)
    assert code == 0
    for words in ('"vibe": "calm"', "drop notes[boss]", "SQLSTATE     23514", "violates check constraint"):
        assert words in out
    assert json.loads(journal("show", CONTEXT_NAME, "--json")[1])["dead_letter"]["payload"] == {
        "vibe": "calm"
    }
    code, out, err = journal("show", "component_state/1/death")
    assert (code, out) == (ExitCode.FAILED, "")
    assert "byte-bot journal list" in err


def test_export_writes_json_lines(journal: JournalCall, path: Path, tmp_path: Path) -> None:
    """Everything, or the dead letters; to a file that only its owner can read, or to standard output."""
    code, out, _ = journal("export", "-")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [line["kind"] for line in lines] == ["journal", "channels", "handled", "row", "row", "row"]
    assert lines[1]["channels"] == [{"login": "anna", "channel_id": "1"}, {"login": "bert", "channel_id": ""}]
    assert lines[2]["message_ids"] == ["message-1", "message-2"]
    assert [line["row"] for line in lines[3:]] == [DEATHS_NAME, "component_state/1/quotes", CONTEXT_NAME]
    target = tmp_path / "out.jsonl"
    code, out, _ = journal("export", "--dead", str(target))
    assert (code, out) == (0, f"4 lines written to {target}\n")
    assert [json.loads(line)["kind"] for line in target.read_text("utf-8").splitlines()][3:] == ["row"]
    if os.name == "posix":
        assert target.stat().st_mode & 0o077 == 0
    code, _, err = journal("export", str(tmp_path / "no" / "where"))
    assert code == ExitCode.FAILED
    assert "cannot be written" in err


def test_requeue_has_a_refused_row_sent_again(journal: JournalCall, path: Path) -> None:
    """By name, or all of them; what is no dead letter is said to be none."""
    code, _, err = journal("requeue", DEATHS_NAME)
    assert code == ExitCode.FAILED
    assert "is no dead letter" in err
    code, out, _ = journal("requeue", CONTEXT_NAME)
    assert (code, out) == (
        0,
        f"requeued: 1 change of {CONTEXT_NAME}\nThey are sent at the bot's next start.\n",
    )
    assert image(path).dead_letters == {}
    assert image(path).rows[CONTEXT].pending
    assert journal("requeue", "--all")[:2] == (0, "There are no dead letters.\n")
    write(path, [DeadLettered(key, 9, "22P02", "no", b"{}", 0.0) for key in (CONTEXT, DEATHS)])
    assert journal("requeue", "--all")[0] == 0
    assert image(path).dead_letters == {}
    for arguments in ((), (CONTEXT_NAME, "--all")):
        code, _, err = journal("requeue", *arguments)
        assert code == ExitCode.SETTINGS
        assert "name a row, or say --all" in err


def test_drop_asks_and_gives_up(journal: JournalCall, path: Path) -> None:
    """It shows what would be lost; without a yes nothing changes."""
    code, out, _ = journal("drop", CONTEXT_NAME, answer="n\n")
    assert code == ExitCode.FAILED
    assert "drop notes[boss]" in out
    assert journal("drop", CONTEXT_NAME)[0] == ExitCode.FAILED, "nobody there to answer"
    assert image(path).dead_letters
    assert journal("drop", CONTEXT_NAME, answer="y\n")[0] == 0
    assert image(path).dead_letters == {}
    assert not image(path).rows[CONTEXT].pending
    code, out, _ = journal("drop", DEATHS_NAME, "--yes")
    assert (code, out) == (0, f"given up: 2 changes of {DEATHS_NAME}. The row is as the database has it.\n")
    code, _, err = journal("drop", DEATHS_NAME, "--yes")
    assert code == ExitCode.FAILED
    assert "nothing to give up" in err


@pytest.mark.parametrize("arguments", [("requeue", "--all"), ("drop", CONTEXT_NAME, "--yes")])
def test_while_the_bot_runs_nothing_is_repaired(
    journal: JournalCall, path: Path, arguments: tuple[str, ...]
) -> None:
    """Who runs, and what to do."""
    lock = journal_lock.acquire(path, BOT)
    code, out, err = journal(*arguments)
    lock.release()
    assert (code, out) == (ExitCode.JOURNAL_LOCKED, "")
    assert "process 2 on elsewhere" in err
    assert "needs the bot stopped" in err
    assert image(path).dead_letters


def test_a_journal_that_cannot_be_used_has_an_exit_code_of_its_own(journal: JournalCall, path: Path) -> None:
    """Another bot's, a newer one, a damaged one, none."""

    def refused(**env: str) -> str:
        place = {"JOURNAL_PATH": str(path), "TWITCH_LOGIN": "my_bot", **env}
        code, out, err = journal("status", env=place)
        assert (code, out) == (ExitCode.JOURNAL_REFUSED, "")
        assert "Traceback" not in err
        return err

    assert "belongs to the bot 'my_bot', not to 'other'" in refused(TWITCH_LOGIN="other")
    set_format(path, 99)
    assert "a newer byte-bot wrote" in refused()
    set_format(path, 1)
    damage(path)
    assert "is damaged" in refused()
    path.unlink()
    assert "there is no journal at" in refused()


def test_a_named_file_needs_no_setting(journal: JournalCall, path: Path) -> None:
    """A copy on another machine; without --file the login must be known, and must be one."""
    code, out, _ = journal("status", "--file", str(path), env={})
    assert code == 0
    assert "my_bot" in out
    code, _, err = journal("status", env={})
    assert code == ExitCode.SETTINGS
    assert "TWITCH_LOGIN is missing" in err and "--file" in err
    code, _, err = journal("status", env={"TWITCH_LOGIN": "no login"})
    assert code == ExitCode.SETTINGS
    assert "is not a Twitch login" in err


def test_the_settings_file_of_the_bot_is_enough(journal: JournalCall, path: Path, tmp_path: Path) -> None:
    """As for `run`."""
    (tmp_path / ".env").write_text(f"TWITCH_LOGIN=my_bot\nJOURNAL_PATH={path}\n", encoding="utf-8")
    assert journal("status", env={})[0] == 0


def test_no_token_is_ever_printed(journal: JournalCall, path: Path) -> None:
    """Not even one that somebody typed into chat."""
    write(path, [DeadLettered(CONTEXT, 9, "22P02", f"bad {TOKEN}", b'{"a":"sb_secret_abcdefgh"}', 0.0)])
    env = {"JOURNAL_PATH": str(path), "TWITCH_LOGIN": "my_bot", "TWITCH_TOKEN": TOKEN}
    for arguments in (("list",), ("show", CONTEXT_NAME), ("show", CONTEXT_NAME, "--json"), ("export", "-")):
        out = journal(*arguments, env=env)[1]
        assert "bad [redacted]" in out
        assert TOKEN not in out and "sb_secret_abcdefgh" not in out


@pytest.mark.skipif(os.name != "posix", reason="Windows makes links for administrators only")
def test_export_never_writes_over_a_journal(journal: JournalCall, path: Path, tmp_path: Path) -> None:
    """Not over the file, nor what lies beside it, there or not, under whatever name; nor over another bot's."""
    (tmp_path / "other").mkdir()
    other = sample(tmp_path / "other")
    names = [
        path.name,
        *(f"{path.name}{end}" for end in ("-wal", "-shm", ".lock")),
        f"./other/../{path.name}",
    ]
    (tmp_path / "hard.link").hardlink_to(path)
    (tmp_path / "soft.link").symlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path)
    lock = journal_lock.acquire(path, BOT)
    bot = SqliteJournal(connect(path))  # beside it are a WAL, its index, and the lock
    bot.apply([], bot.commits + 1)
    before = image(path)
    for target in (*names, "hard.link", "soft.link", f"folder/{path.name}-wal", str(other)):
        code, out, err = journal("export", target)
        assert (code, out) == (ExitCode.FAILED, ""), target
        assert "belongs to one: the export would destroy it" in err
    bot.close()
    lock.release()
    for end in ("-wal", "-shm"):
        assert journal("export", f"{path}{end}")[0] == ExitCode.FAILED
    after = image(path)
    assert (after.rows.keys(), list(after.handled)) == (before.rows.keys(), list(before.handled))
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.skipif(os.name != "posix", reason="Windows makes links for administrators only")
def test_export_replaces_a_file_once_it_is_whole(journal: JournalCall, path: Path, tmp_path: Path) -> None:
    """With a mode of its own, through a link too; one that cannot be finished leaves the old one and nothing beside it."""
    target, link = tmp_path / "out.jsonl", tmp_path / "link.jsonl"
    target.write_text("yesterday's")
    target.chmod(0o644)
    link.symlink_to(target)
    damage(path)
    assert journal("export", str(link))[0] == ExitCode.JOURNAL_REFUSED
    assert target.read_text() == "yesterday's"
    sample(tmp_path)
    assert journal("export", str(link))[0] == 0
    assert json.loads(target.read_text("utf-8").splitlines()[0])["kind"] == "journal"
    assert link.is_symlink()
    assert target.stat().st_mode & 0o077 == 0
    assert sorted(other.name for other in tmp_path.glob("*.part")) == []
    code, _, err = journal("export", str(tmp_path))
    assert code == ExitCode.FAILED
    assert "is no file" in err


def test_repairs_tell_programs_what_they_did(journal: JournalCall, path: Path) -> None:
    """Names and numbers; a program is not asked whether it is sure."""
    code, out, _ = journal("requeue", "--all", "--json")
    assert (code, json.loads(out)) == (0, {"requeued": [{"row": CONTEXT_NAME, "changes": 1}]})
    assert json.loads(journal("requeue", "--all", "--json")[1]) == {"requeued": []}
    code, out, err = journal("drop", DEATHS_NAME, "--json")
    assert (code, out) == (ExitCode.SETTINGS, "")
    assert "--json needs --yes" in err
    code, out, _ = journal("drop", DEATHS_NAME, "--json", "--yes")
    assert (code, json.loads(out)) == (0, {"given_up": [{"row": DEATHS_NAME, "changes": 2}]})
    assert not image(path).rows[DEATHS].pending


@pytest.mark.skipif(os.name != "posix", reason="Windows makes links for administrators only")
def test_status_does_not_guess_whether_the_bot_runs(journal: JournalCall, path: Path) -> None:
    """An account that may not look at the lock; here a link to itself keeps everybody out."""
    lock = journal_lock.lock_path(path)
    lock.symlink_to(lock)
    assert "in use        this account cannot tell" in journal("status")[1]
    found = json.loads(journal("status", "--json")[1])
    assert (found["in_use"], found["held_by"]) == (None, None)


def test_a_row_that_no_name_can_be_is_not_there(journal: JournalCall, path: Path) -> None:
    """A shell's byte that is no UTF-8: the journal is healthy, and nobody is told otherwise."""
    for command in (("show",), ("requeue",), ("drop", "--yes")):
        code, out, err = journal(*command, "channel_state/\udcff")
        assert (code, out) == (ExitCode.FAILED, "")
        assert "the journal has no row" in err
        assert "damaged" not in err


@pytest.mark.skipif(
    os.name != "posix", reason="Windows makes a home folder of any name, and has words of its own"
)
def test_paths_that_cannot_be_are_told_in_words(journal: JournalCall, tmp_path: Path) -> None:
    """In the setting and in the option: a home that nobody has is a wrong setting, a name that is too long no journal."""
    long = str(tmp_path / ("x" * 300))
    for words, code, file in (
        ("begins with ~nouser", ExitCode.SETTINGS, "~nouser/x"),
        ("File name too long", ExitCode.JOURNAL_REFUSED, long),
    ):
        for env, option in (({"JOURNAL_PATH": file, "TWITCH_LOGIN": "my_bot"}, ()), ({}, ("--file", file))):
            for command in (("status",), ("export", "-"), ("drop", "a/b", "--yes")):
                found, out, err = journal(*command, *option, env=env)
                assert (found, out) == (code, "")
                assert words in err


def test_a_row_that_is_nested_too_deeply_to_be_shown_hides_nothing(journal: JournalCall, path: Path) -> None:
    """The journal is whole; the row is shown, and exported, with its JSON as text."""
    data = b'{"tree":' + b"[" * BOTTOMLESS + b"]" * BOTTOMLESS + b"}"
    write(path, [Rebased(RowKey("component_state", "7", "deep"), Base(data, {}, 1, 1, 1, 0), [])])
    name = "component_state/7/deep"
    code, out, _ = journal("show", name)
    assert code == 0 and data.decode() in out
    assert json.loads(journal("show", name, "--json")[1])["base"]["data"] == data.decode()
    code, out, err = journal("export", "-")
    assert (code, err) == (0, "")
    rows = [line for line in map(json.loads, out.splitlines()) if line["kind"] == "row"]
    assert len(rows) == 4
    assert {line["row"]: line["base"] for line in rows if line["base"]}[name]["data"] == data.decode()


def test_what_was_set_aside_can_be_looked_into(journal: JournalCall, path: Path, tmp_path: Path) -> None:
    """Each command tells what can be read, and what cannot; an export that is not complete is one with exit code 1."""
    write(path, [])
    aside = path.rename(tmp_path / "my_bot.journal.damaged-20260101T000000Z")
    file = ("--file", str(aside))
    assert "cannot be read" not in journal("status", *file)[1]
    with contextlib.closing(sqlite3.connect(aside, isolation_level=None)) as connection:
        connection.execute("UPDATE log SET writes = x'7b' WHERE number = 11")
    for command in (("status",), ("list",), ("show", DEATHS_NAME)):
        code, out, err = journal(*command, *file)
        assert (code, err) == (0, "")
        assert "The file is damaged: 1 place in it cannot be read.\n    commit 11: " in out
    for command in (("status",), ("list",), ("show", DEATHS_NAME)):
        assert [*json.loads(journal(*command, "--json", *file)[1])["unreadable"]] == ["commit 11"]
    target = tmp_path / "out.jsonl"
    code, out, err = journal("export", str(target), *file)
    assert code == ExitCode.FAILED
    assert out == f"7 lines written to {target}\n"
    assert "cannot be read in full, so the export is not complete." in err
    lines = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    assert [line["kind"] for line in lines] == [
        "journal",
        "channels",
        "handled",
        "row",
        "row",
        "row",
        "unreadable",
    ]
    assert lines[-1]["place"] == "commit 11"
    assert sorted(other.name for other in tmp_path.iterdir()) == [aside.name, "out.jsonl"]


def test_an_export_of_a_damaged_journal_has_what_can_be_read(journal: JournalCall, path: Path) -> None:
    """Also before a start sets it aside, which the other commands then say."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("UPDATE rows SET pending = x'7b'")
    code, _, err = journal("status")
    assert code == ExitCode.JOURNAL_REFUSED
    assert "sets it aside at its next start" in err and "`byte-bot journal export` writes" in err
    code, out, err = journal("export", "-")
    assert code == ExitCode.FAILED
    assert "row" in {json.loads(line)["kind"] for line in out.splitlines()}
    assert "the export is not complete" in err
    path.write_bytes(path.read_bytes()[:50])
    code, out, err = journal("export", "-")
    assert (code, out) == (ExitCode.JOURNAL_REFUSED, "")
    assert "nothing can be read in it" in err and "`byte-bot journal export`" not in err
