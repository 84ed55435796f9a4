"""What people see of a demo: the introduction, the live screen, progress lines without a terminal, and the verdict.

Everything is drawn from two values, a `Picture` of the moment and a `Verdict`, by functions that change nothing; the demo
decides when to draw. The screen adapts to the terminal: the chats get the height that is left over.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from simulator.demo_record import PHASES, ChatLine, Phase
from simulator.demo_verdict import Verdict
from simulator.report import percentile

BARS = "▁▂▃▄▅▆▇█"
TREND_FULL_MS = 20.0  # the highest bar of the latency's trend, or the largest value if that is more
NOW_S = 5.0  # what "now" means for latencies
# As shipped the bot gives a request up after 5 s: in a shorter outage than this it would hardly notice that one fails.
LONG_OUTAGE_S = 15.0
HEADER_ROWS = 6
FIGURES_ROWS = 8
CHAT_COLOURS = (
    "cyan",
    "magenta",
    "yellow",
    "blue",
    "bright_cyan",
    "bright_magenta",
    "bright_yellow",
    "bright_blue",
)


@dataclass(frozen=True)
class Plan:
    """When what happens, in seconds from the start of the audience."""

    seconds: float = 45.0

    @property
    def break_s(self) -> float:
        """The database goes down: at 10 s of 45."""
        return self.seconds * 2 / 9

    @property
    def heal_s(self) -> float:
        """It comes back: at 30 s of 45."""
        return self.seconds * 6 / 9

    @property
    def pace(self) -> Pace | None:
        """How the bot is set in an outage that is too short for it as shipped; None if it is long enough."""
        outage_s = self.heal_s - self.break_s
        if outage_s >= LONG_OUTAGE_S:
            return None
        return Pace(round(min(1.0, outage_s / 3), 2), round(min(0.5, outage_s / 6), 2))


@dataclass(frozen=True)
class Pace:
    """After how long the bot gives a request to the database up, and how often it saves; in seconds."""

    database_timeout_s: float
    flush_interval_s: float


@dataclass(frozen=True)
class BotStatus:
    """The bot's own words about itself, from its log."""

    circuit: str = "-"
    rows_waiting: int = 0
    oldest_unsaved_s: float = 0.0
    saves_failed: int = 0


@dataclass(frozen=True)
class Picture:
    """One moment of the demo. Latencies in ms, oldest first; `trend` has the slowest of each of the last seconds."""

    plan: Plan
    elapsed_s: float
    down: bool
    stage: str
    chats: Mapping[str, Sequence[ChatLine]]
    recent_ms: Sequence[float]
    trend_ms: Sequence[float]
    phase_ms: Mapping[Phase, Sequence[float]]
    status: BotStatus
    changes_waiting: int
    unanswered: int
    has_keys: bool = False


def introduction(plan: Plan, channels: Sequence[str], has_keys: bool) -> str:
    """What is going to happen, before it does."""
    lines = [
        f"Byte Bot's demo: {plan.seconds:g} seconds in real time. A fake Twitch and a fake Supabase",
        "run in this process, `byte-bot run` as it is shipped in another. People chat and",
        f"give commands in {', '.join('#' + channel for channel in channels)}.",
        "",
        f"  {plan_words(0)}     everything works; the latency of the replies is measured",
        f"  {plan_words(plan.break_s)}     the database hangs: takes connections, never answers",
        f"  {plan_words(plan.heal_s)}     the database is back",
        f"  {plan_words(plan.seconds)}     the verdict: was anybody answered later, anything lost?",
        "",
    ]
    if pace := plan.pace:
        lines += [
            "The outage is short, so the bot is set to notice it: it gives a request to the",
            f"database up after {pace.database_timeout_s:g} s and saves every {pace.flush_interval_s:g} s.",
            "A demo of 45 s runs it with its defaults.",
            "",
        ]
    if has_keys:
        lines.append("Keys: b breaks the database now, h heals it, q ends it and shows the verdict.")
    else:
        lines.append("Ctrl-C ends it (in a terminal the keys b, h and q break, heal and quit).")
    return "\n".join(lines)


def plan_words(at_s: float) -> str:
    """A moment of the plan, as people read it."""
    return f"at {at_s:2.0f} s"


# --- the live screen --------------------------------------------------------------------------------------------


def screen(picture: Picture) -> RenderableType:
    """The whole terminal."""
    layout = Layout()
    layout.split_column(
        Layout(_header(picture), size=HEADER_ROWS),
        Layout(name="chats", minimum_size=4),
        Layout(name="figures", size=FIGURES_ROWS),
    )
    layout["chats"].split_row(
        *(Layout(_Chat(channel, lines, picture.down)) for channel, lines in picture.chats.items())
    )
    layout["figures"].split_row(
        Layout(_latency(picture), ratio=3),
        Layout(_database(picture), ratio=2),
        Layout(_bot(picture), ratio=2),
    )
    return layout


def _header(picture: Picture) -> RenderableType:
    plan = picture.plan
    line = Text.assemble(
        ("The real bot on fakes. ", "dim"),
        (f"{plan.break_s:.0f} s", "bold"),
        " database hangs · ",
        (f"{plan.heal_s:.0f} s", "bold"),
        " it is back · ",
        (f"{plan.seconds:.0f} s", "bold"),
        " verdict",
    )
    keys = Text("Ctrl-C ends the demo", style="dim")
    if picture.has_keys:
        keys = Text.assemble(
            (" b ", "reverse"), " break   ", (" h ", "reverse"), " heal   ", (" q ", "reverse"), " quit"
        )
    now = Text.assemble(
        (f"{min(picture.elapsed_s, plan.seconds):4.0f} s  ", "bold"), (picture.stage, _tone(picture))
    )
    return Panel(
        Group(line, _Timeline(picture), now, keys), title="Byte Bot demo", border_style=_tone(picture)
    )


def _tone(picture: Picture) -> str:
    return "red" if picture.down else "green"


class _Timeline:
    """The plan as a bar: what has passed is bright, the outage red."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        plan, width = self._picture.plan, options.max_width
        bar = Text()
        for cell in range(width):
            at_s = (cell + 0.5) / width * plan.seconds
            colour = "red" if plan.break_s <= at_s < plan.heal_s else "green"
            passed = at_s <= self._picture.elapsed_s
            bar.append("━" if passed else "─", style=f"bold {colour}" if passed else f"dim {colour}")
        yield bar


class _Chat:
    """One channel's chat: as many of its newest lines as fit."""

    def __init__(self, channel: str, lines: Sequence[ChatLine], down: bool) -> None:
        self._channel = channel
        self._lines = lines
        self._down = down

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        height = options.height or 12
        newest = list(self._lines)[-max(1, height - 2) :]
        yield Panel(
            Group(*(_chat_line(line) for line in newest)),
            title=f"#{self._channel}",
            border_style="dim red" if self._down else "dim",
            height=height,
            padding=(0, 1),
        )


def _chat_line(line: ChatLine) -> Text:
    if line.from_bot:
        latency = "" if line.latency_ms is None else f" {line.latency_ms:.1f} ms"
        parts = Text.assemble(("↳ ", "bold green"), (line.text, "bold"), (latency, "dim green"))
    else:
        colour = CHAT_COLOURS[sum(line.login.encode()) % len(CHAT_COLOURS)]
        parts = Text.assemble((line.login, colour), ": ", line.text)
    parts.no_wrap, parts.overflow = True, "ellipsis"
    return parts


def _latency(picture: Picture) -> RenderableType:
    # Narrow enough for a terminal of 80 columns.
    table = Table(box=None, expand=True, padding=(0, 1), pad_edge=False)
    for name in ("", "n", "p50 ms", "p99 ms"):
        table.add_column(name, justify="left" if not name else "right", header_style="dim")
    for phase in PHASES:
        found = picture.phase_ms.get(phase, ())
        table.add_row(
            _phase_words(phase),
            str(len(found)),
            _number(_percentile(found, 50)),
            _number(_percentile(found, 99)),
        )
    now = Text.assemble(
        ("now ", "bold"),
        (_ms(statistics.median(picture.recent_ms) if picture.recent_ms else None), "bold"),
        ", slowest ",
        _ms(max(picture.recent_ms, default=None)),
    )
    return Panel(Group(now, _Trend(picture.trend_ms), table), title="reply latency")


class _Trend:
    """The slowest reply of each of the last seconds as bars, as many as fit."""

    def __init__(self, values_ms: Sequence[float]) -> None:
        self._values_ms = values_ms

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text(trend(self._values_ms[-options.max_width :]), style="green")


def _database(picture: Picture) -> RenderableType:
    state = Text("● hangs", style="bold red") if picture.down else Text("● answers", style="bold green")
    lines = [
        state,
        Text(),
        Text.assemble("told to viewers,"),
        Text.assemble("not yet saved: ", (str(picture.changes_waiting), "bold")),
    ]
    return Panel(Group(*lines), title="database", border_style=_tone(picture))


def _bot(picture: Picture) -> RenderableType:
    status = picture.status
    circuit = "green" if status.circuit == "closed" else "red"
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("circuit", Text(status.circuit, style=f"bold {circuit}"))
    table.add_row("rows waiting", Text(str(status.rows_waiting), style="bold"))
    table.add_row("unsaved for", Text(f"{status.oldest_unsaved_s:.1f} s", style="bold"))
    table.add_row("unanswered", Text(str(picture.unanswered), style="bold"))
    return Panel(table, title="bot")


def trend(values_ms: Sequence[float]) -> str:
    """Bars for latencies, 0 for a second without an answer (a blank)."""
    full_ms = max(TREND_FULL_MS, max(values_ms, default=0.0))
    steps = len(BARS) - 1
    return "".join(BARS[round(value / full_ms * steps)] if value else " " for value in values_ms)


def _phase_words(phase: Phase) -> str:
    return {"before": "before", "during": "while down", "after": "after"}.get(phase, phase)


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return percentile(values, percent) if values else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


# --- without a terminal, and at the end -------------------------------------------------------------------------


def progress_line(picture: Picture) -> str:
    """The moment in one line, for logs."""
    status = picture.status
    slowest = max(picture.recent_ms, default=None)
    middle = statistics.median(picture.recent_ms) if picture.recent_ms else None
    return (
        f"{picture.elapsed_s:5.1f} s  {picture.stage:<24}  "
        f"reply {_ms(middle)}, slowest {_ms(slowest)};  "
        f"circuit {status.circuit}, rows waiting {status.rows_waiting}, oldest unsaved {status.oldest_unsaved_s:.1f} s, "
        f"changes not yet saved {picture.changes_waiting}"
    )


def verdict_panel(verdict: Verdict) -> RenderableType:
    """The verdict, for a terminal or a log."""
    table = Table(box=None, padding=(0, 2))
    for name in ("reply latency", "answers", "p50", "p99"):
        table.add_column(name, justify="left" if name == "reply latency" else "right", header_style="dim")
    for phase in PHASES:
        table.add_row(
            _phase_words(phase),
            str(verdict.answers[phase]),
            _ms(verdict.p50_ms[phase]),
            _ms(verdict.p99_ms[phase]),
        )
    changes = Text.assemble(
        "changes confirmed to viewers ",
        (str(verdict.confirmed), "bold"),
        ", found in the database ",
        (str(verdict.stored), "bold"),
        ", lost ",
        (str(verdict.lost), "bold red" if verdict.lost else "bold green"),
    )
    caught_up, failed = verdict.extra.get("recovered_after_s"), verdict.extra.get("saves_failed")
    subtracted = (
        f"{verdict.subtracted_ms:.1f} ms of the judge's own delay subtracted from "
        f"{verdict.subtracted_replies} of {sum(verdict.answers.values())} replies"
    )
    lines: list[RenderableType] = [table, Text(subtracted, style="dim"), Text(), changes]
    if failed is not None:
        lines.append(Text(f"saves that failed, as the bot counts them: {failed}"))
    if caught_up is not None:
        lines.append(Text(f"caught up {caught_up:.1f} s after the database was back"))
    lines.append(Text())
    if verdict.ok:
        lines.append(Text("Every promise was kept.", style="bold green"))
    lines += [Text(f"BROKEN: {words}", style="bold red") for words in verdict.broken]
    lines += [Text(f"not measured: {words}", style="bold yellow") for words in verdict.not_measured]
    lines += [Text(f"  missing in the database: {words}", style="red") for words in verdict.missing[:10]]
    colour = "green" if verdict.ok else "red" if verdict.broken else "yellow"
    return Panel(Group(*lines), title="verdict", border_style=colour, expand=False)


class LiveView:
    """The live screen; use it as a context. It is drawn when it is told to, never by a thread of its own."""

    interval_s = 0.1

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, picture: Picture) -> None:
        """Draw the moment."""
        self._live.update(screen(picture), refresh=True)


class LogView:
    """A line every `every_s` seconds of the plan, and at once when something changes."""

    interval_s = 0.1

    def __init__(self, write: Callable[[str], None], every_s: float) -> None:
        self._write = write
        self._every_s = every_s
        self._last: Picture | None = None

    def show(self, picture: Picture) -> None:
        """Write the moment, if it is time."""
        last = self._last
        if last is None or last.stage != picture.stage or picture.elapsed_s - last.elapsed_s >= self._every_s:
            self._last = picture
            self._write(progress_line(picture))
