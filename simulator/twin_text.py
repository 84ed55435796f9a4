"""How a difference between twin worlds is shown: the two transcripts side by side, and what every fault did meanwhile.

How it works. A terminal of at least `WIDE` characters gets two columns, the world with faults on the left. A row is a place in
the order of what the bot said, its number in front: the last lines that both said alike, then, marked, the first that
differ, then what each world said next, so that a line which only moved is seen at its other place. A cell has the
virtual time to the microsecond, the channel and the text; one that is too long goes on below, nothing is cut off. Widths are
those of the terminal's cells: chat has emoji and scripts whose characters take two. In a narrower terminal the two stand above
one another, a line each.

What it leaves out: where the difference comes from (the events around it: the faulty night's trace).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.cells import cell_len, chop_cells

from simulator.faults import Fault
from simulator.night_draws import described
from simulator.report import Line

#: Characters that two columns need: a time, a channel and a few words each.
WIDE: Final = 100
US_PER_S: Final = 1_000_000
FAULTY, PERFECT = "with faults", "perfect"
NOTHING, BAR, MARK = "(said nothing more)", "│", "►"
_NUMBER_WIDTH: Final = 6
_INDENT: Final = "    "

#: A place in the order of lines and what each world said there, the one with faults first.
Place = tuple[int, Line | None, Line | None]


def what_differs(faulty: Line | None, perfect: Line | None, after: Sequence[Place]) -> str:
    """In which respect two lines differ, in words: one is missing, or time, channel, text, and whether it only moved."""
    if faulty is None or perfect is None:
        return f"only the world {PERFECT if faulty is None else FAULTY} says more"
    respects = [
        name
        for name, one, other in (
            ("virtual microsecond", faulty.at_us, perfect.at_us),
            ("channel", faulty.channel, perfect.channel),
            ("text", faulty.text, perfect.text),
            ("message it answers", faulty.reply_to, perfect.reply_to),
        )
        if one != other
    ]
    moved = (faulty.channel, faulty.text) != (perfect.channel, perfect.text) and any(
        line is not None and (line.channel, line.text) == (sought.channel, sought.text)
        for sought, column in ((perfect, 1), (faulty, 2))
        for line in (place[column] for place in after)
        if isinstance(line, Line)
    )
    return ", ".join([*respects, *(["order"] if moved else [])])


def side_by_side(
    before: Iterable[Place],
    here: Place,
    after: Iterable[Place],
    faults: Iterable[tuple[Fault, str]],
    width: int,
) -> list[str]:
    """The lines that show a difference in a terminal of `width` characters; `faults` with what each did, as in `faults_then`."""
    after = tuple(after)
    shown = [f"  line {here[0]} of what the bot said differs: {what_differs(here[1], here[2], after)}"]
    rows = [(" ", place) for place in before] + [(MARK, here)] + [(" ", place) for place in after]
    shown += _columns(rows, width) if width >= WIDE else _stacked(rows)
    shown.append("  faults then:")
    names = len(FAULTY)
    shown += [f"{_INDENT}{state:<{names}}  {described(fault)}" for fault, state in faults]
    return shown


def _columns(rows: Iterable[tuple[str, Place]], width: int) -> Iterator[str]:
    # The indent, the mark, the number, and the bar with a blank on either side.
    column = (width - len(_INDENT) - 2 - _NUMBER_WIDTH - 3) // 2
    margin = " " * (len(_INDENT) + 2 + _NUMBER_WIDTH)
    yield f"{margin}{_padded(FAULTY, column)} {BAR} {PERFECT}"
    for mark, (number, faulty, perfect) in rows:
        left, right = (chop_cells(_readable(line), column) for line in (faulty, perfect))
        start = f"{_INDENT}{mark} {number:>{_NUMBER_WIDTH - 1}} "
        for at in range(max(len(left), len(right))):
            one = left[at] if at < len(left) else ""
            other = right[at] if at < len(right) else ""
            yield f"{margin if at else start}{_padded(one, column)} {BAR} {other}".rstrip()


def _stacked(rows: Iterable[tuple[str, Place]]) -> Iterator[str]:
    names = len(FAULTY)
    for mark, (number, faulty, perfect) in rows:
        start = f"  {mark} {number:>{_NUMBER_WIDTH - 1}} "
        if faulty == perfect:
            yield f"{start}{'both':<{names}}  {_readable(faulty)}"
            continue
        for name, line in ((FAULTY, faulty), (PERFECT, perfect)):
            yield f"{start}{name:<{names}}  {_readable(line)}"


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _readable(line: Line | None) -> str:
    return NOTHING if line is None else f"{line.at_us / US_PER_S:.6f} s  #{line.channel}  {line.text}"
