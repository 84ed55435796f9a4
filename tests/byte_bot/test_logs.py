"""The log's two formats, its levels, and that no secret and no control character gets out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from byte_bot.logs import PatientStream, configure_logging, redact_also, redactor

SECRET = "abcdefghijklmnopqrstuvwxyz0123"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl"


class FixedClock:
    """Noon on the first of January 2026."""

    def unix(self) -> float:
        """Always the same."""
        return 1_767_268_800.0


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Puts the process-wide set-up back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def configured(log_format: str = "console", level: str = "info") -> io.StringIO:
    """Set the log up to write into a text that is returned."""
    stream = io.StringIO()
    configure_logging(
        level,
        "json" if log_format == "json" else "console",
        secrets=(SECRET,),
        stream=stream,
        clock=FixedClock(),
    )
    return stream


def test_json_is_one_object_a_line() -> None:
    """Time, level, event and the fields, with the time from the injected clock."""
    stream = configured("json")
    structlog.get_logger().info("joined", channel="my_channel", emoji="é🙂")
    assert json.loads(stream.getvalue()) == {
        "event": "joined",
        "level": "info",
        "timestamp": "2026-01-01T12:00:00.000000+00:00",
        "channel": "my_channel",
        "emoji": "é🙂",
    }
    assert stream.getvalue().count("\n") == 1


def test_console_is_a_plain_line_off_a_terminal() -> None:
    """No colours in a file or a pipe."""
    stream = configured()
    structlog.get_logger().warning("joined", channel="my_channel")
    assert stream.getvalue() == "2026-01-01T12:00:00.000000+00:00 [warning  ] joined channel='my_channel'\n"


def test_lines_below_the_level_are_dropped() -> None:
    """For our own logger and for libraries alike."""
    stream = configured(level="warning")
    structlog.get_logger().info("no")
    logging.getLogger("library").info("no")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_libraries_write_through_the_same_log(log_format: str) -> None:
    """Their lines get the same form; httpx's line for each request stays out, even at debug."""
    stream = configured(log_format, level="debug")
    logging.getLogger("library").warning("%d things", 3)
    logging.getLogger("httpx").info("HTTP Request: GET")
    logging.getLogger("httpcore.http11").debug("headers with keys")
    assert "3 things" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_known_secret_never_gets_out(log_format: str) -> None:
    """Whether it comes as event, value, nested, key, in an exception, its traceback, or from a library."""
    stream = configured(log_format)
    log = structlog.get_logger()
    event = f"token {SECRET}"
    log.info(event, a=SECRET, b=[{"c": SECRET}], **{SECRET: 1})
    try:
        raise ValueError(f"refused {SECRET}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("library").exception("failed with %s", SECRET)
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") >= 7
    assert "Traceback" in stream.getvalue()


def test_tracebacks_show_no_local_variables() -> None:
    """Whatever a frame holds stays there."""
    stream = configured()

    def fail(hidden: str) -> None:
        raise ValueError(len(hidden))

    try:
        fail("a local value")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: 13" in stream.getvalue()
    assert "a local value'" not in stream.getvalue()
    assert "hidden =" not in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("PASS oauth:abcdefgh12", "PASS oauth:[redacted]"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer [redacted]"),
        ("key sb_secret_a-B_9 used", "key [redacted] used"),
        (f"key {JWT}", "key [redacted]"),
        ("oauth: is a word, Bearer too", "oauth: is a word, Bearer too"),
        (f"Authorization: OAuth {SECRET}", "Authorization: OAuth [redacted]"),
        ("OAuth is a word too", "OAuth is a word too"),
        (
            f"POST grant_type=refresh_token&refresh_token={SECRET}&x=1",
            "POST grant_type=refresh_token&refresh_token=[redacted]&x=1",
        ),
        (f"refresh_token=eyJfMzUtNDU0%25{SECRET}=&x", "refresh_token=[redacted]&x"),
        (
            f'{{"access_token": "{SECRET}", "expires_in": 1}}',
            '{"access_token": "[redacted]", "expires_in": 1}',
        ),
        (f"{{'client_secret': '{SECRET}'}}", "{'client_secret': '[redacted]'}"),
        (rf"{{\"device_code\":\"{SECRET}\"}}", r"{\"device_code\":\"[redacted]\"}"),
        ("refresh_token: too old, client_secret: wrong", "refresh_token: too old, client_secret: wrong"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_too(text: str, clean: str) -> None:
    """A token of somebody else's, for instance one that is about to be refused."""
    assert redactor(())(text) == clean


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_secret_learned_later_never_gets_out_either(log_format: str) -> None:
    """A token that was refreshed while the bot runs, in our own lines and in those of libraries."""
    stream = configured(log_format)
    later = "later0secret0of0the0same0process"
    redact_also((later, ""))
    structlog.get_logger().info("got", token=later, old=SECRET)
    logging.getLogger("library").warning("got %s", later)
    assert later not in stream.getvalue()
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") == 3


def test_of_secrets_learned_later_the_newest_are_known() -> None:
    """A bot that runs for months does not remember every token it had; those of the settings stay."""
    redact = redactor((SECRET,))
    for number in range(100):
        redact.learn((f"token-number-{number}", f"token-number-{number}"))
    assert redact("token-number-99 token-number-69") == "[redacted] [redacted]"
    assert redact("token-number-0") == "token-number-0"
    assert redact(SECRET) == "[redacted]"


def test_secrets_that_contain_each_other_are_taken_out_whole() -> None:
    """The longer one first, or its tail would stay."""
    assert redactor(("abcdefgh", "abcdefghijkl"))("abcdefghijkl abcdefgh") == "[redacted] [redacted]"


def test_a_short_secret_does_not_eat_the_words_around_it() -> None:
    """Only fakes have such; they are taken out where they stand alone."""
    assert redactor(("b", ""))("database b=b") == "database [redacted]=[redacted]"


def test_chat_cannot_draw_on_the_terminal() -> None:
    """Escape sequences, line feeds and direction marks of a viewer are shown as text."""
    stream = configured()
    evil = "\x1b[2Jhello\r\n2026 [error] fake\u202e\x9b1m"
    structlog.get_logger().info(evil, text=evil, short="\x1b[2J")
    logging.getLogger("library").info(evil)
    assert stream.getvalue().count("\n") == 2
    assert stream.getvalue().count("\\x1b[2J") == 4
    assert all(character.isprintable() for character in stream.getvalue().replace("\n", ""))


class BrokenStream(io.StringIO):
    """A pipe whose reader went away."""

    def write(self, text: str) -> int:
        """Always fails."""
        raise BrokenPipeError

    def flush(self) -> None:
        """Fails too."""
        raise BrokenPipeError


def test_a_log_that_cannot_be_written_does_not_stop_the_bot() -> None:
    """Broken pipe, full disk, closed stream: the caller goes on."""
    closed = io.StringIO()
    closed.close()
    for stream in (BrokenStream(), closed):
        patient = PatientStream(stream)
        assert patient.write("x") == 0
        patient.flush()


def test_a_console_without_unicode_gets_escapes() -> None:
    """An emoji in chat on a legacy code page."""
    raw = io.BytesIO()
    stream = PatientStream(io.TextIOWrapper(raw, encoding="cp1252", newline=""))
    stream.write("é🙂\n")
    stream.flush()
    assert raw.getvalue() == b"\xe9\\U0001f642\n"
