"""Privileges of the API's roles, from GRANT and REVOKE statements in the order in which they were given.

Left out: privileges on schemas, sequences and columns (read and without effect), grant options, role
membership.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# What the roles of the API may be granted on a table; "all" stands for these.
TABLE_PRIVILEGES = ("select", "insert", "update", "delete", "truncate", "references", "trigger")

# Privileges by object, then role; the innermost dictionary is an ordered set.
Held = dict[str, dict[str, dict[str, None]]]


@dataclass
class Grants:
    """Who may do what: privileges by object and role; the role ``public`` stands for everybody."""

    tables: Held = field(default_factory=dict)
    functions: Held = field(default_factory=dict)

    def copy(self) -> Grants:
        """Grants of their own with the same contents."""
        return Grants(_copied(self.tables), _copied(self.functions))

    def allows(self, kind: str, name: str, role: str, privilege: str) -> bool:
        """Whether the role, or everybody, holds the privilege on the table or function."""
        held = (self.tables if kind == "table" else self.functions).get(name, {})
        return any(privilege in held.get(who, {}) for who in (role, "public"))

    def change(self, words: str, tables: Sequence[str], functions: Sequence[str]) -> bool:
        """Carry out a statement given in lower case with single spaces; False if it cannot be understood."""
        match = re.match(
            r"(grant|revoke) (.*?) on (.*) (?:to|from) (.*?)(?: with grant option| cascade)?$", words
        )
        if match is None:
            return False
        verb, privileges, objects, roles = match.groups()
        privileges = privileges.removesuffix(" privileges")
        for held, names in self._objects(objects, tables, functions):
            if held is self.tables and not set(names) <= set(tables):
                return False
            every = TABLE_PRIVILEGES if held is self.tables else ("execute",)
            wanted = every if privileges == "all" else _split(privileges)
            for name in names:
                for role in _split(roles):
                    holding = held.setdefault(name, {}).setdefault(role, {})
                    for privilege in wanted:
                        if verb == "grant":
                            holding[privilege] = None
                        else:
                            holding.pop(privilege, None)
        return True

    def _objects(
        self, words: str, tables: Sequence[str], functions: Sequence[str]
    ) -> Iterator[tuple[Held, Sequence[str]]]:
        if words.startswith(("schema ", "sequence ", "all sequences ")):
            return
        if match := re.match(r"all (tables|functions|routines) in schema (\w+)$", words):
            if match[2] == "public":
                yield (self.tables, tables) if match[1] == "tables" else (self.functions, functions)
        elif words.startswith(("function ", "routine ")):
            bare = re.sub(r"\([^)]*\)", "", words.partition(" ")[2])
            yield self.functions, [name for name in _names(bare) if name in functions]
        else:
            yield self.tables, list(_names(words.removeprefix("table ")))


def _copied(held: Held) -> Held:
    return {name: {role: dict(one) for role, one in roles.items()} for name, roles in held.items()}


def _split(words: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in words.split(","))


def _names(words: str) -> Iterator[str]:
    for part in words.split(","):
        schema, _, name = part.replace(" ", "").rpartition(".")
        if schema in ("", "public"):
            yield name
