"""The fake server's own parser and formatter, against recorded lines and an independent tokeniser."""

from __future__ import annotations

from typing import Any

import irctokens
import parser_tests.data
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.twitch.line import BadLine, LineSplitter, escape, format_line, parse, raw_line, unescape
from tests.simulator.twitch.rig import recorded_lines

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_characters=":;=@ "), min_size=1)
TEXTS = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)))


@pytest.mark.parametrize("text", [line for line in recorded_lines() if line])
def test_every_recorded_line_reads_as_an_independent_tokeniser_reads_it(text: str) -> None:
    """Tags, source, command and parameters agree with irctokens for every line of the real server."""
    try:
        line = parse(text)
    except BadLine:
        with pytest.raises((ValueError, IndexError)):
            irctokens.tokenise(text)
        return
    oracle = irctokens.tokenise(text)
    # irctokens keeps a tag without a name ("@ :source"), which means nothing.
    assert dict(line.tags) == {key: value for key, value in (oracle.tags or {}).items() if key}
    assert line.prefix == (oracle.source or "")
    assert (line.command, list(line.params)) == (oracle.command, oracle.params)


@pytest.mark.parametrize("case", parser_tests.data.msg_split["tests"], ids=lambda case: case["input"])
def test_the_ircdocs_parser_tests_pass(case: dict[str, Any]) -> None:
    """Every line of irc-parser-tests' msg-split splits into its atoms."""
    atoms, line = case["atoms"], parse(case["input"])
    assert dict(line.tags) == atoms.get("tags", {})
    assert (line.prefix, line.command) == (atoms.get("source", ""), atoms["verb"].upper())
    assert list(line.params) == atoms.get("params", [])


@given(st.dictionaries(WORDS, TEXTS, max_size=5), WORDS, st.lists(WORDS, max_size=3), st.none() | TEXTS)
def test_what_is_written_is_read_back(
    tags: dict[str, str], prefix: str, middle: list[str], trailing: str | None
) -> None:
    """Formatting and parsing undo each other for every tag value and text."""
    data = format_line("PRIVMSG", *middle, trailing=trailing, prefix=prefix, tags=tags)
    line = parse(data.decode().removesuffix("\r\n"))
    assert dict(line.tags) == tags
    assert line.prefix == prefix
    assert line.params == (*middle, *(() if trailing is None else (trailing,)))


@given(st.text())
def test_tag_values_survive_escaping(value: str) -> None:
    """Any value comes back, and escaped it holds nothing that would end the tag or the line."""
    assert unescape(escape(value)) == value
    assert not any(char in escape(value) for char in "; \r\n")


@pytest.mark.parametrize("value", ["a;b=c", "a b", "a\\b", "a\rb", "a\nb"])
def test_each_character_that_must_be_escaped_is_escaped_in_a_line(value: str) -> None:
    """Also where it is the only one of its line, and no tag's value or number changes by it."""
    tags = {"first": "1", "body": value, "last": ""}
    assert parse(format_line("PING", tags=tags).decode().rstrip("\r\n")).tags == tags


def test_a_lone_backslash_vanishes_and_an_unknown_escape_gives_its_character() -> None:
    """The two corner cases of IRCv3's escaping rules."""
    assert unescape("a\\") == "a"
    assert unescape("\\b\\:") == "b;"


@pytest.mark.parametrize("part", ["a b", "", ":x"])
def test_a_middle_parameter_that_would_read_as_another_is_refused(part: str) -> None:
    """Spaces, nothing, and a leading colon cannot stand in the middle."""
    with pytest.raises(BadLine):
        format_line("JOIN", part)


@pytest.mark.parametrize("char", ["\r", "\n", "\0"])
def test_a_text_that_would_end_the_line_is_refused(char: str) -> None:
    """CR, LF and NUL cannot be written outside a tag value."""
    with pytest.raises(BadLine):
        format_line("PRIVMSG", "#a", trailing=f"one{char}two")


@given(st.lists(TEXTS.filter(bool), max_size=6), st.data())
def test_lines_are_the_same_however_the_bytes_are_cut(lines: list[str], data: st.DataObject) -> None:
    """Any chunking of the stream gives the same lines."""
    stream = "".join(line + "\r\n" for line in lines).encode()
    splitter, got, rest = LineSplitter(), [], stream
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        got += splitter.feed(rest[:size])
        rest = rest[size:]
    assert got == LineSplitter().feed(stream)


def test_a_line_over_the_limit_is_dropped_whole_and_the_next_one_is_read() -> None:
    """An endless line costs no memory and one count, whether it comes at once or in pieces."""
    splitter = LineSplitter(line_bytes_max=10)
    assert splitter.feed(b"x" * 8) == []
    assert splitter.feed(b"x" * 8) == []
    assert splitter.feed(b"x" * 8 + b"\nPING\r\n" + b"y" * 11 + b"\n\nPONG\n") == ["PING", "PONG"]
    assert splitter.oversized == 2


def test_bytes_that_are_not_utf8_do_not_end_the_connection() -> None:
    """Invalid bytes are replaced."""
    assert LineSplitter().feed(b"PRIVMSG #a :\xff\r\n") == ["PRIVMSG #a :�"]


def test_a_raw_line_is_written_as_it_stands() -> None:
    """Whatever it says; but it is one line, and not empty."""
    assert raw_line("@a=b :x Y z :é") == "@a=b :x Y z :é\r\n".encode()
    for wrong in ("", "  ", "a\nb", "a\rb", "a\0b"):
        with pytest.raises(BadLine):
            raw_line(wrong)
