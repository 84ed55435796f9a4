"""The line codec, against other people's lines and another people's tokeniser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import irctokens
import parser_tests.data
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from byte_bot.chat.errors import IrcLineError
from byte_bot.chat.irc.line import (
    LINE_BYTES_MAX,
    IrcLine,
    decode,
    format_action,
    format_line,
    format_privmsg,
    format_tags,
    parse,
    parse_action,
    parse_tags,
)

WIRE_LINES = (
    (Path(__file__).parents[3] / "data" / "twitch-wire-lines.txt").read_text(encoding="utf-8").split("\n")
)[:97]

# The two lines of the file that consist of tags and a source only: there is nothing to obey.
WITHOUT_COMMAND = ("@key=value :tmi.twitch.tv", "@key=value :tmi.twitch.tv ")

SPLITS: list[dict[str, Any]] = parser_tests.data.msg_split["tests"]
JOINS: list[dict[str, Any]] = parser_tests.data.msg_join["tests"]


def by_irctokens(text: str) -> IrcLine:
    """What irctokens makes of a line, as ours; it upper-cases commands and keeps a tag without a name."""
    line = irctokens.tokenise(text)
    tags = {key: value for key, value in (line.tags or {}).items() if key}
    return IrcLine(line.command, tuple(line.params), line.source or "", tags)


def upper(line: IrcLine) -> IrcLine:
    """The line with its command in capitals."""
    return IrcLine(line.command.upper(), line.params, line.source, line.tags)


@pytest.mark.parametrize("text", [line for line in WIRE_LINES if line not in WITHOUT_COMMAND])
def test_a_line_from_twitch_reads_as_irctokens_reads_it(text: str) -> None:
    """Every captured or odd line of the file gives the same parts as an independent tokeniser."""
    assert upper(parse(text)) == by_irctokens(text)


@pytest.mark.parametrize("text", [line for line in WIRE_LINES if line not in WITHOUT_COMMAND])
def test_a_line_from_twitch_survives_a_round_trip(text: str) -> None:
    """What is written after reading is read as the same line."""
    assert parse(format_line(parse(text))) == parse(text)


@pytest.mark.parametrize("text", WITHOUT_COMMAND)
def test_a_line_without_a_command_is_refused(text: str) -> None:
    """A line that says nothing is an error of that line, for both parsers."""
    with pytest.raises(IrcLineError, match="without a command"):
        parse(text)
    with pytest.raises(ValueError, match="command-less"):
        irctokens.tokenise(text)


@pytest.mark.parametrize("case", SPLITS, ids=[case["input"] for case in SPLITS])
def test_splitting_as_the_community_agreed(case: dict[str, Any]) -> None:
    """irc-parser-tests, msg-split: given lines have given parts."""
    atoms = case["atoms"]
    assert parse(case["input"]) == IrcLine(
        atoms["verb"], tuple(atoms.get("params", ())), atoms.get("source") or "", atoms.get("tags") or {}
    )


@pytest.mark.parametrize("case", JOINS, ids=[case["desc"] for case in JOINS])
def test_joining_as_the_community_agreed(case: dict[str, Any]) -> None:
    """irc-parser-tests, msg-join: given parts make one of the given lines."""
    atoms = case["atoms"]
    line = IrcLine(
        atoms["verb"], tuple(atoms.get("params", ())), atoms.get("source") or "", atoms.get("tags") or {}
    )
    # We write an empty tag with its "=", because a Twitch client fails without it; IRCv3 calls both forms
    # equal.
    allowed = [match.replace("@asd ", "@asd= ") for match in case["matches"]]
    assert format_line(line) in allowed


TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=30)
WORD = TEXT.map(lambda text: text.replace(" ", "").lstrip(":@")).filter(bool)
TAG_KEY = st.text("abc-/+.0", min_size=1, max_size=8)
TAG_VALUE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
LINES = st.builds(
    lambda command, middle, last, source, tags: IrcLine(command, (*middle, *last), source, tags),
    WORD,
    st.lists(WORD, max_size=4),
    st.lists(TEXT, max_size=1),
    st.just("") | WORD,
    st.dictionaries(TAG_KEY, TAG_VALUE, max_size=4),
)


@given(LINES)
def test_parse_undoes_format(line: IrcLine) -> None:
    """Any line that can be written is read back as itself, as text and as bytes."""
    text = format_line(line)
    assert parse(text) == line
    assert decode(text.encode() + b"\r\n") == line


@given(LINES)
def test_irctokens_reads_what_we_write(line: IrcLine) -> None:
    """The other tokeniser agrees about our own lines."""
    assert by_irctokens(format_line(line)) == upper(line)


@given(
    st.lists(
        st.sampled_from(
            [
                "@",
                ":",
                " ",
                "  ",
                "=",
                ";",
                "\\",
                "\\s",
                "\\:",
                "a",
                "B",
                "PRIVMSG",
                "#chan",
                "!",
                "é",
                "\t",
                " :",
            ]
        ),
        max_size=16,
    ).map("".join)
)
@example("@a=b\\\\nc;d=\\ :src CMD a :b  :c")
def test_whatever_both_can_read_they_read_alike(text: str) -> None:
    """Differential: for any soup of IRC's special characters."""
    try:
        theirs = by_irctokens(text)
    except (ValueError, IndexError):
        return  # irctokens also fails on two spaces before a source, which RFC 1459 allows
    assert upper(parse(text)) == theirs


@given(st.binary(max_size=200))
def test_any_bytes_give_a_line_or_a_line_error(raw: bytes) -> None:
    """Nothing a server sends raises anything else."""
    try:
        decode(raw)
    except IrcLineError:
        pass


@given(TAG_VALUE)
def test_tag_values_survive_their_escapes(value: str) -> None:
    """Semicolons, spaces, backslashes and line endings come back; none of them is on the wire."""
    written = format_tags({"key": value})
    assert not set(written) & set("; \r\n")
    assert parse_tags(written) == {"key": value}


def test_the_limit_of_a_line() -> None:
    """A line over the limit is refused, one at the limit is read."""
    longest = b"PING :" + b"x" * (LINE_BYTES_MAX - 6)
    assert len(decode(longest).params[0]) == LINE_BYTES_MAX - 6
    with pytest.raises(IrcLineError, match="over the limit"):
        decode(longest + b"x")


def test_wrong_utf8_costs_a_character_not_the_line() -> None:
    """One byte that is not UTF-8 becomes a replacement character."""
    assert decode(b":a PRIVMSG #c :caf\xe9 ol\xc3\xa1").params == ("#c", "caf\ufffd olá")


@pytest.mark.parametrize(
    "line",
    [
        IrcLine("PRIVMSG", ("#c", "hi\r\nQUIT")),
        IrcLine("PRIVMSG", ("#c", "hi\nQUIT")),
        IrcLine("PRIVMSG", ("#c", "nul\0")),
        IrcLine("PRIVMSG", ("#c x", "two words in the middle")),
        IrcLine("PRIVMSG", (":c", "a colon in the middle")),
        IrcLine("PRIVMSG", ("", "nothing in the middle")),
        IrcLine("", ("no command",)),
        IrcLine(":x", ()),
        IrcLine("@x", ()),
        IrcLine("JOIN\r\nQUIT", ()),
        IrcLine("PING", (), "two words"),
        IrcLine("PING", (), "a\nb"),
        IrcLine("PING", (), "", {"a b": "c"}),
        IrcLine("PING", (), "", {"a=b": "c"}),
        IrcLine("PING", (), "", {"": "c"}),
        IrcLine("PING", (), "", {"a": "nul\0"}),
        IrcLine("PING", (), "", {"a\r\nQUIT": ""}),
    ],
)
def test_what_would_not_be_one_line_is_not_written(line: IrcLine) -> None:
    """No part of a line can smuggle in a second command."""
    with pytest.raises(IrcLineError):
        format_line(line)


def test_a_token_is_never_shown() -> None:
    """Neither the repr of a PASS line nor the error about one contains the token."""
    line = IrcLine("PASS", ("oauth:s3cret\r\n",))
    assert "s3cret" not in repr(line)
    with pytest.raises(IrcLineError) as caught:
        format_line(line)
    assert "s3cret" not in str(caught.value)
    assert "#chan" in repr(IrcLine("JOIN", ("#chan",)))


def test_actions() -> None:
    """/me is CTCP ACTION on the wire; its end may have been cut off."""
    assert parse_action(format_action("dances")) == ("dances", True)
    assert parse_action("\x01ACTION dances") == ("dances", True)
    assert parse_action("ACTION dances") == ("ACTION dances", False)


def test_the_nick_of_a_source() -> None:
    """A user's login stands before the exclamation mark; a server has only its name."""
    assert parse(":ronni!ronni@ronni.tmi.twitch.tv JOIN #c").nick == "ronni"
    assert parse(":tmi.twitch.tv RECONNECT").nick == "tmi.twitch.tv"


@given(
    st.from_regex(r"[a-z0-9_]{1,25}", fullmatch=True),
    st.text(st.characters(exclude_characters="\r\n\0")),
    st.one_of(st.just(""), st.uuids().map(str), st.text(st.characters(exclude_characters="\r\n\0"))),
)
@example("ana", ":)", "id with; blanks\\")
def test_a_privmsg_is_written_as_any_other_line(channel: str, text: str, reply_to: str) -> None:
    """The short way writes what the general one writes, odd ids included."""
    tags = {"reply-parent-msg-id": reply_to} if reply_to else {}
    assert format_privmsg(channel, text, reply_to) == format_line(
        IrcLine("PRIVMSG", ("#" + channel, text), tags=tags)
    )
