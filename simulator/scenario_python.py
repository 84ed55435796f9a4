"""A night as a Python script that runs: the scenario as code, one call, the report, an exit code.

How it works. A scenario is a value made of frozen dataclasses, so it is written as the expression that builds it: what differs from the
defaults, fields by name but for the first ones of a line of chat, broken into lines as a formatter would. Names are imported from where users
find them. The script is what somebody puts into a test of their own after a search has found a night.

What it leaves out: scripts (``Scenario.script``) that are no function of a module: lambdas and inner functions have no name to import.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from simulator import faults
from simulator.audience import Utterance
from simulator.errors import SimulatorError
from simulator.scenario import Scenario
from simulator.scenario_file import NightFile

#: Columns of a line of code.
COLUMNS: Final = 100
_INDENT: Final = "    "
#: Fields that are written without their names, of classes whose fields everybody knows by their order.
_PLAIN_FIELDS: Final[Mapping[type, int]] = {Utterance: 4, Scenario: 2}
_REFERENCE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
# What would end a docstring, or cannot stand in a source file.
_AWKWARD: Final = re.compile(r'["\\\x00-\x08\x0b-\x1f\x7f]')


class ScenarioPythonError(SimulatorError):
    """A night cannot be written as Python; the message says what of it."""


def night_python(night: NightFile, *, comment: str = "", application: str = "") -> str:
    """The script of a night.

    Args:
        comment: what the script says about it, at its top.
        application: ``module:function`` of the factory that builds the bot, for a bot that is not the shipped one.

    Raises:
        ScenarioPythonError: something in the scenario has no name that could be imported, or ``application`` is none.
    """
    names = _Names()
    scenario = names.expression(night.scenario, "NIGHT = ", 0)
    options = [f"seed={night.seed}"]
    if night.transport != "irc":
        options.append(f'transport="{night.transport}"')
    if night.ready_order != "fifo":
        options.append(f'ready_order="{night.ready_order}"')
    if application:
        if not _REFERENCE.fullmatch(application):
            raise ScenarioPythonError(f"application must be module:function, got {application!r}")
        module, _, function = application.partition(":")
        names.need(module, function)
        options.append(f"application={function}")
    names.need("simulator.world", "simulate")
    words = _AWKWARD.sub("'", comment.strip()) or f"The night {night.scenario.name!r}"
    end = "It prints the report, and ends with exit code 1 while a promise is broken."
    return "\n".join(
        [
            f'"""{words}\n\n{end}\n"""',
            "",
            "from __future__ import annotations",
            "",
            *names.imports(),
            "",
            scenario,
            "",
            'if __name__ == "__main__":',
            f"    report = simulate(NIGHT, {', '.join(options)})",
            '    print(report.to_text(shlex.join(["python", *sys.argv])))',
            "    sys.exit(0 if report.ok else 1)",
            "",
        ]
    )


class _Names:
    """Writes values as expressions, and remembers what they need imported."""

    def __init__(self) -> None:
        self._needed: dict[str, dict[str, None]] = {}
        self._math = False

    def need(self, module: str, name: str) -> None:
        """A name that the script uses."""
        self._needed.setdefault(module, {})[name] = None

    def imports(self) -> list[str]:
        """The import statements, sorted as a formatter sorts them."""
        lines = ["import math"] * self._math + ["import shlex", "import sys", ""]
        for module in sorted(self._needed):
            found = sorted(self._needed[module])
            line = f"from {module} import {', '.join(found)}"
            if len(line) > COLUMNS:
                line = f"from {module} import (\n" + "".join(f"{_INDENT}{name},\n" for name in found) + ")"
            lines.append(line)
        return lines

    def expression(self, value: object, before: str, depth: int, after: str = "") -> str:
        """A value as code, behind ``before`` and at this depth; over several lines if it does not fit into one."""
        line = f"{_INDENT * depth}{self._in_one_line(before, value)}{after}"
        start, parts, end = self._parts(value)
        if not parts or len(line) <= COLUMNS:
            return line
        inner = [self.expression(item, name, depth + 1, ",") for name, item in parts]
        return "\n".join([f"{_INDENT * depth}{before}{start}", *inner, f"{_INDENT * depth}{end}{after}"])

    def _parts(self, value: object) -> tuple[str, list[tuple[str, Any]], str]:
        """A value as its opening, its parts with what stands in front of each, and its closing."""
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return f"{self._class(type(value))}(", _fields(value), ")"
        if isinstance(value, tuple):
            return "(", [("", item) for item in value], ")"
        if isinstance(value, Mapping):
            return "{", [(f"{self._atom(key)}: ", item) for key, item in value.items()], "}"
        if isinstance(value, list):
            return "[", [("", item) for item in value], "]"
        return self._atom(value), [], ""

    def _in_one_line(self, before: str, value: object) -> str:
        start, parts, end = self._parts(value)
        comma = "," if isinstance(value, tuple) and len(parts) == 1 else ""
        return (
            f"{before}{start}{', '.join(self._in_one_line(name, item) for name, item in parts)}{comma}{end}"
        )

    def _class(self, kind: type) -> str:
        # Every kind of fault can be had from one place.
        module = "simulator.faults" if getattr(faults, kind.__name__, None) is kind else kind.__module__
        self.need(module, kind.__name__)
        return kind.__name__

    def _atom(self, value: object) -> str:
        if isinstance(value, float) and not math.isfinite(value):
            self._math = True
            return "math.inf" if value > 0 else "-math.inf"
        if isinstance(value, str):
            text = repr(value)
            # The quotes that a formatter would choose.
            return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in value else text
        if value is None or isinstance(value, bool | int | float):
            return repr(value)
        module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
        if callable(value) and module and name.isidentifier():
            self.need(module, name)
            return name
        raise ScenarioPythonError(f"{value!r} cannot be written as Python: it has no name to import")


def _fields(value: Any) -> list[tuple[str, Any]]:
    """The fields that are not as by default, each with what stands in front of it."""
    plain = _PLAIN_FIELDS.get(type(value), 0)
    found = []
    for number, item in enumerate(dataclasses.fields(value)):
        given = getattr(value, item.name)
        if number < plain:
            found.append(("", given))
        elif _differs(given, _default(item)):
            found.append((f"{item.name}=", given))
    return found


def _default(item: dataclasses.Field[Any]) -> object:
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return item.default


def _differs(given: object, default: object) -> bool:
    """Whether a value must be written; 5 and 5.0 are one time and two traces, since the trace holds what was planned."""
    if (
        isinstance(given, int | float)
        and isinstance(default, int | float)
        and type(given) is not type(default)
    ):
        return True
    return given != default
