"""The named nights: what ``byte-sim list`` lists and ``byte-sim run`` simulates, a file each.

Each is a scenario file (:mod:`simulator.scenario_file`) in this folder, called by its name without ``.toml``, and together with a
seed it is a run. Whatever the name, the same must hold: every invariant of :mod:`simulator.invariants`, and the bot recovers in time
after the heal, with any seed, in any order, on either transport; so none of the files says seed, order or transport.

A file is read when its night is asked for, and not before: the command line would start later otherwise.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from simulator.scenario import Scenario
from simulator.scenario_file import parse_night

_SUFFIX = ".toml"


@dataclass(frozen=True)
class Library(Mapping[str, Scenario]):
    """The scenarios of a package's folder, by name, in the order of the alphabet."""

    package: str

    def __getitem__(self, name: str) -> Scenario:
        """Read one; raises KeyError if there is none of this name."""
        if name not in tuple(self):
            raise KeyError(name)
        file = importlib.resources.files(self.package) / f"{name}{_SUFFIX}"
        return parse_night(file.read_text(encoding="utf-8"), file.name).scenario

    def __iter__(self) -> Iterator[str]:
        """The names."""
        files = sorted(file.name for file in importlib.resources.files(self.package).iterdir())
        return (name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX))

    def __len__(self) -> int:
        """How many there are."""
        return sum(1 for _ in self)


SCENARIOS: Mapping[str, Scenario] = Library(__name__)
