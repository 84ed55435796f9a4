"""The log: structlog, as lines for people or as one JSON object a line, with every secret taken out.

How it works. Our own events and those of libraries (``logging``) pass the same processors and are written to one stream,
standard error by default, so that standard output stays free for what a command prints. Redaction is the last step
before writing and looks at the finished line, tracebacks included: whatever way a secret took into an event, its text is
found there (:data:`~byte_bot.setting_values.SECRET_PATTERN` allows no character that a renderer would escape). Known
secrets are replaced literally, and things that look like one (``oauth:…``, ``sb_secret_…``, a JWT, ``refresh_token=…``) even if
nobody named them. A token that is refreshed while the bot runs is made known with :func:`redact_also`. Tracebacks show no local
variables.

Chat is untrusted: control characters inside a value are written as escapes, so a viewer can neither colour nor clear
the terminal of whoever reads the log.

Left out: files and rotation, which systemd, Docker and the shell do better.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from byte_bot.clock import Clock, SystemClock, iso_utc

REDACTED: Final = "[redacted]"

# What a secret looks like when it is not one of ours: an IRC password, HTTP headers, Supabase's keys, a JWT, and what OAuth calls
# its secrets in forms, query strings and JSON (whose quotes a renderer may have escaped).
_LOOKS_SECRET: Final = re.compile(
    r"(?<=oauth:)[A-Za-z0-9]{8,}|(?<=Bearer )[A-Za-z0-9._~+/=-]{8,}|(?<=OAuth )[A-Za-z0-9._~+/=-]{20,}|sb_secret_[\w-]+"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+"
    r"|(?P<name>(?:access_token|refresh_token|client_secret|device_code)[\"'\\]*\s*[=:]\s*[\"'\\]*)[A-Za-z0-9._~+/%=-]{8,}"
)

#: Secrets that one process can learn while it runs: a pair of tokens every few hours, and the old ones soon mean nothing.
_LEARNED_MAX: Final = 32

_LITERAL_CHARS_MIN: Final = 8

# C0 and C1 controls and the bidirectional overrides; a line feed in an event is a control too.
_CONTROLS: Final[Mapping[int, str]] = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}

# Libraries that log every request, with headers (that is: keys) at DEBUG.
_CHATTY: Final = ("httpx", "httpcore", "hpack", "h2", "asyncio", "postgrest", "supabase")


class Redactor:
    """Takes secrets, and what looks like one, out of a text; use :func:`redactor`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._given = tuple(filter(None, secrets))
        self._learned: tuple[str, ...] = ()
        self._known = _pattern(self._given)

    def learn(self, secrets: Iterable[str]) -> None:
        """Take these out too from now on; of those learned before, the oldest are forgotten at :data:`_LEARNED_MAX`."""
        known = {*self._given, *self._learned}
        new = [secret for secret in dict.fromkeys(secrets) if secret and secret not in known]
        self._learned = (*self._learned, *new)[-_LEARNED_MAX:]
        self._known = _pattern((*self._given, *self._learned))

    def __call__(self, text: str) -> str:
        """``text`` without secrets."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        return _LOOKS_SECRET.sub(lambda found: (found["name"] or "") + REDACTED, text)


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    # Longest first: one secret may be the beginning of another. A short one (no real one is) is only looked for as a
    # whole word: taking the token "b" out of every word would leave nothing to read.
    literals = [
        re.escape(secret) if len(secret) >= _LITERAL_CHARS_MIN else rf"(?<!\w){re.escape(secret)}(?!\w)"
        for secret in sorted(secrets, key=len, reverse=True)
    ]
    return re.compile("|".join(literals)) if literals else None


def redactor(secrets: Iterable[str]) -> Redactor:
    """A function that takes ``secrets``, and what looks like one, out of a text."""
    return Redactor(secrets)


def redact_also(secrets: Iterable[str]) -> None:
    """Take these out of the process's log too from now on: a token that was got or refreshed after the log was set up."""
    for processor in structlog.get_config()["processors"]:
        if isinstance(processor, _Redaction):
            processor.redact.learn(secrets)


def configure_logging(
    level: str = "info",
    log_format: Literal["console", "json"] = "console",
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    clock: Clock | None = None,
    colors: bool | None = None,
) -> None:
    """Set structlog and ``logging`` up, for the whole process; may be called again.

    Args:
        level: the least important level that is written: debug, info, warning, error, critical.
        log_format: ``console`` for people, ``json`` for machines.
        secrets: texts that must never be written.
        stream: where to; None is standard error.
        clock: the wall clock of the time stamps; None is the machine's.
        colors: None colours a terminal only.
    """
    stream = stream or sys.stderr
    patient = PatientStream(stream)
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _stamp(clock or SystemClock()),
    ]
    final: list[Processor] = [
        *_renderers(log_format, stream.isatty() if colors is None else colors),
        _Redaction(redactor(secrets)),
    ]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", patient)),
        # A module's logger may be used before this call (a test, a library), and must follow it all the same.
        cache_logger_on_first_use=False,
    )
    # StreamHandler: a library's malformed log call is reported on standard error instead of raised.
    handler = logging.StreamHandler(patient)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def _renderers(log_format: str, colors: bool) -> list[Processor]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    # plain_traceback: structlog's default prints local variables, among them tokens.
    renderer = structlog.dev.ConsoleRenderer(
        colors=colors,
        exception_formatter=structlog.dev.plain_traceback,
        sort_keys=False,
        pad_event_to=0,
        repr_native_str=True,
    )
    return [_escape_controls, renderer]


def _stamp(clock: Clock) -> Processor:
    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["timestamp"] = iso_utc(clock.unix())
        return event

    return stamp


def _escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # The renderer writes the event as it is; of the fields it writes repr(), which escapes them.
    event["event"] = str(event.get("event", "")).translate(_CONTROLS)
    return event


class _Redaction:
    """The last processor: gets the finished line, passes it on without secrets."""

    def __init__(self, redact: Redactor) -> None:
        self.redact = redact

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> str:
        # Typed as a dict by structlog's protocol; what a renderer returns is text.
        return self.redact(str(line))


class PatientStream:
    """A text stream whose writing never raises: a log that cannot be written must not stop the chat."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text``; what the stream's encoding lacks is written as escapes."""
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            # A Windows console with a legacy code page, and an emoji in chat.
            encoding = self._stream.encoding or "ascii"
            return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError):
            # A closed pipe, a full disk, a closed stream (ValueError). There is no place left to complain to.
            return 0

    def flush(self) -> None:
        """Write out what is buffered, if that is possible."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            pass
