"""A Supabase project's schema, read from its own SQL files.

Each file is split into statements by sqlglot's PostgreSQL tokenizer (dollar-quoted bodies are one token), and
each statement is taken by its first words:

* ``create table``, ``alter table ... add column``, ``create unique index``: tables, types, defaults, checks, keys;
* ``insert``: seeds, run after the tables exist, and before or after a trigger as in the file;
* ``create function``: name, parameters and result of functions in ``public`` (bodies are never run: `rpc.py`);
* ``create trigger``: which tables count human edits;
* ``grant``, ``revoke``, ``enable row level security``: who may do what, in the order of the files;
* comments, plain indexes, extensions, schemas, ``do`` blocks, notifications: no effect here.

Anything else is refused with the file's name and the statement: a fake that skips in silence would answer
wrongly.

Left out: foreign keys, generated and identity columns, domains, enums, views, policies (a role under row
level security sees nothing), trigger and function bodies, default privileges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import sqlglot
from sqlglot import Token, TokenType, exp

from simulator.supabase import pgtypes
from simulator.supabase.grants import Grants
from simulator.supabase.pgtypes import PgType

DIALECT = "postgres"

# Statements without an effect on what the API answers.
IGNORED = (
    "comment on", "create index", "create extension", "create schema", "do", "notify", "select", "set", "begin",
    "commit", "drop trigger", "drop policy", "drop function", "drop index", "alter function", "alter default",
)  # fmt: skip


class SchemaError(Exception):
    """A schema file says something that the fake cannot honour; the message names file, statement and reason."""


@dataclass(frozen=True)
class Column:
    """One column; ``default`` is an SQL expression of SQLite, or None."""

    name: str
    type: PgType
    not_null: bool = False
    default: str | None = None


@dataclass
class Table:
    """One table, with the names that PostgreSQL gives its constraints."""

    name: str
    columns: dict[str, Column] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    uniques: dict[str, tuple[str, ...]] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    row_security: bool = False
    counts_edits: bool = False

    def ddl(self) -> str:
        """The CREATE TABLE statement for SQLite."""
        parts = []
        for column in self.columns.values():
            default = f" DEFAULT ({column.default})" if column.default is not None else ""
            parts.append(
                f'"{column.name}" {column.type.sqlite}{" NOT NULL" if column.not_null else ""}{default}'
            )
        if self.primary_key:
            parts.append(f'CONSTRAINT "{self.name}_pkey" PRIMARY KEY ({quoted(self.primary_key)})')
        parts += [f'CONSTRAINT "{name}" UNIQUE ({quoted(columns)})' for name, columns in self.uniques.items()]
        parts += [f'CONSTRAINT "{name}" CHECK ({expression})' for name, expression in self.checks.items()]
        return f'CREATE TABLE "{self.name}" ({", ".join(parts)})'

    def copy(self) -> Table:
        """A table of its own with the same contents."""
        columns, uniques, checks = dict(self.columns), dict(self.uniques), dict(self.checks)
        return replace(self, columns=columns, uniques=uniques, checks=checks)

    def keys(self) -> dict[str, tuple[str, ...]]:
        """Every unique constraint by name, the primary key first."""
        keys = {f"{self.name}_pkey": self.primary_key} if self.primary_key else {}
        return keys | self.uniques


@dataclass(frozen=True)
class Parameter:
    """One parameter of a function."""

    name: str
    type: PgType
    optional: bool = False


@dataclass(frozen=True)
class Function:
    """A function of the schema ``public``, as PostgREST's schema cache sees it."""

    name: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Seed:
    """Rows that the schema itself inserts; ``counted``: a trigger counted them as a human's."""

    table: str
    sql: str
    counted: bool


@dataclass
class Schema:
    """Everything the files say that matters to the API."""

    tables: dict[str, Table] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    grants: Grants = field(default_factory=Grants)
    seeds: list[Seed] = field(default_factory=list)

    def copy(self) -> Schema:
        """A schema of its own with the same contents: what a project changes in it touches no other."""
        tables = {name: table.copy() for name, table in self.tables.items()}
        return Schema(tables, dict(self.functions), self.grants.copy(), list(self.seeds))


def read_schema(directory: Path) -> Schema:
    """Read every ``*.sql`` of the directory in the order of their names; raises SchemaError."""
    files = sorted(directory.glob("*.sql"))
    if not files:
        raise SchemaError(f"no *.sql file in {directory}")
    return _schema_of(tuple((path.name, path.read_text(encoding="utf-8")) for path in files)).copy()


# The parser takes longer (about 55 ms for the bot's files) than the whole life of a small world, and thousands of
# worlds read the same files.  Keyed by the texts, so a changed file is read anew; callers get copies.
@lru_cache(maxsize=8)
def _schema_of(scripts: tuple[tuple[str, str], ...]) -> Schema:
    schema = Schema()
    for name, sql in scripts:
        add_script(schema, sql, name)
    return schema


def add_script(schema: Schema, sql: str, source: str) -> None:
    """Add the statements of one script to the schema; ``source`` names it in errors."""
    for statement in _statements(sql):
        try:
            _add(schema, statement)
        except (SchemaError, sqlglot.errors.SqlglotError) as error:
            raise SchemaError(f"{source}: {statement.source[:200]!r}: {error}") from error


def quoted(names: tuple[str, ...]) -> str:
    """Column names as a list for SQLite."""
    return ", ".join(f'"{name}"' for name in names)


# --- statements
# -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Statement:
    source: str
    tokens: tuple[Token, ...]

    @property
    def words(self) -> str:
        """The statement in lower case with single spaces and no comments: enough for what is read by pattern."""
        return " ".join(token.text for token in self.tokens).lower()


def _statements(sql: str) -> Iterator[_Statement]:
    pending: list[Token] = []
    for token in sqlglot.tokenize(sql, read=DIALECT):
        if token.token_type is not TokenType.SEMICOLON:
            pending.append(token)
            continue
        if pending:
            yield _Statement(sql[pending[0].start : pending[-1].end + 1], tuple(pending))
        pending = []
    if pending:
        yield _Statement(sql[pending[0].start : pending[-1].end + 1], tuple(pending))


def _add(schema: Schema, statement: _Statement) -> None:
    words = re.sub(r"^create or replace ", "create ", statement.words)
    if words.startswith("create table"):
        _add_table(schema, statement)
    elif words.startswith("alter table"):
        _alter_table(schema, statement, words)
    elif words.startswith("create unique index"):
        _add_unique_index(schema, words)
    elif words.startswith("insert into"):
        _add_seed(schema, statement)
    elif words.startswith("create function"):
        _add_function(schema, statement)
    elif words.startswith("create trigger"):
        _add_trigger(schema, words)
    elif words.startswith(("grant ", "revoke ")):
        if not schema.grants.change(words, tuple(schema.tables), tuple(schema.functions)):
            raise SchemaError("this GRANT or REVOKE cannot be read, or names a table that is not there")
    elif not words.startswith(IGNORED):
        raise SchemaError("the simulator does not know this kind of statement")


def _table_name(expression: exp.Expr) -> str:
    name = expression.find(exp.Table)
    if name is None:
        raise SchemaError("no table is named")
    return name.name


# --- tables
# -----------------------------------------------------------------------------------------------------


def _add_table(schema: Schema, statement: _Statement) -> None:
    created = sqlglot.parse_one(statement.source, read=DIALECT)
    if not isinstance(created, exp.Create) or not isinstance(created.this, exp.Schema):
        raise SchemaError("only CREATE TABLE name (columns) is modelled")
    name = _table_name(created.this)
    if name in schema.tables:
        if created.args.get("exists"):
            return
        raise SchemaError(f"table {name} is there already")
    table = Table(name)
    for part in created.this.expressions:
        if isinstance(part, exp.ColumnDef):
            _add_column(table, part)
        elif isinstance(part, exp.Constraint):
            for inner in part.expressions:
                _add_constraint(table, inner, part.name)
        else:
            _add_constraint(table, part, "")
    for key in table.primary_key:
        column = table.columns[key]
        table.columns[key] = Column(key, column.type, True, column.default)
    schema.tables[name] = table


def _add_column(table: Table, definition: exp.Expr) -> None:
    name = definition.name
    kind = definition.args.get("kind")
    if not isinstance(kind, exp.DataType):
        raise SchemaError(f"column {name} has no type")
    not_null, default = False, None
    for constraint in definition.args.get("constraints") or ():
        rule = constraint.args["kind"]
        if isinstance(rule, exp.NotNullColumnConstraint):
            not_null = not rule.args.get("allow_null")
        elif isinstance(rule, exp.DefaultColumnConstraint):
            default = _sqlite(rule.this)
        elif isinstance(rule, exp.PrimaryKeyColumnConstraint):
            table.primary_key = (name,)
        elif isinstance(rule, exp.UniqueColumnConstraint):
            table.uniques[constraint.name or f"{table.name}_{name}_key"] = (name,)
        elif isinstance(rule, exp.CheckColumnConstraint):
            _add_check(table, rule.this, constraint.name, name)
        else:
            raise SchemaError(f"column {name}: {rule.sql(DIALECT)!r} is not modelled")
    table.columns[name] = Column(name, _type(kind, name), not_null, default)


def _type(kind: exp.Expr, column: str) -> PgType:
    name = re.sub(r"\(.*", "", kind.sql(DIALECT)).strip().lower()
    found = pgtypes.BY_NAME.get(name)
    if found is None:
        raise SchemaError(
            f"column {column}: type {name} is not modelled; known: {', '.join(pgtypes.BY_NAME)}"
        )
    return found


def _add_constraint(table: Table, rule: exp.Expr, name: str) -> None:
    if isinstance(rule, exp.PrimaryKey):
        table.primary_key = tuple(item.name for item in rule.expressions)
    elif isinstance(rule, exp.UniqueColumnConstraint):
        columns = tuple(item.name for item in rule.this.expressions)
        table.uniques[name or f"{table.name}_{'_'.join(columns)}_key"] = columns
    elif isinstance(rule, exp.CheckColumnConstraint):
        columns = tuple(dict.fromkeys(item.name for item in rule.this.find_all(exp.Column)))
        _add_check(table, rule.this, name, columns[0] if len(columns) == 1 else "")
    else:
        raise SchemaError(f"table {table.name}: {rule.sql(DIALECT)!r} is not modelled")


def _add_check(table: Table, condition: exp.Expr, name: str, column: str) -> None:
    # PostgreSQL names a check after its column when it has exactly one, and numbers those of the same name.
    base = name or (f"{table.name}_{column}_check" if column else f"{table.name}_check")
    number, unique = 0, base
    while unique in table.checks:
        number += 1
        unique = f"{base}{number}"
    table.checks[unique] = _sqlite(condition)


def _sqlite(expression: exp.Expr) -> str:
    """The expression in SQLite's words; functions which SQLite lacks are supplied by `sqlite_functions.py`."""

    def plain(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Cast | exp.Ordered):
            # A cast would go by SQLite's types; sqlglot orders conflict targets, which SQLite refuses.
            return plain(node.this)
        if isinstance(node, exp.CurrentTimestamp):
            return exp.Anonymous(this="pg_now")
        if isinstance(node, exp.Uuid):
            return exp.Anonymous(this="pg_uuid")
        if isinstance(node, exp.Table):
            node.set("db", None)
        return node

    return expression.copy().transform(plain).sql(dialect="sqlite")


def _alter_table(schema: Schema, statement: _Statement, words: str) -> None:
    match = re.match(r"alter table (?:if exists )?(?:only )?(?:public \. )?(\w+) (.*)$", words)
    if match is None or match[1] not in schema.tables:
        raise SchemaError("ALTER TABLE of a table that is not there")
    table, action = schema.tables[match[1]], match[2]
    if action in ("enable row level security", "force row level security"):
        table.row_security = True
        return
    if action == "disable row level security":
        table.row_security = False
        return
    altered = sqlglot.parse_one(statement.source, read=DIALECT)
    actions = altered.args.get("actions") or ()
    if not actions or not all(isinstance(part, exp.ColumnDef) for part in actions):
        raise SchemaError("only ADD COLUMN and ROW LEVEL SECURITY are modelled")
    for part in actions:
        if part.name not in table.columns:
            _add_column(table, part)


def _add_unique_index(schema: Schema, words: str) -> None:
    match = re.match(
        r"create unique index (?:if not exists )?(\w+) on (?:public \. )?(\w+) \( ([\w ,]+) \)$", words
    )
    if match is None or match[2] not in schema.tables:
        raise SchemaError("only a plain unique index on columns is modelled")
    columns = tuple(column.strip() for column in match[3].split(","))
    schema.tables[match[2]].uniques[match[1]] = columns


def _add_seed(schema: Schema, statement: _Statement) -> None:
    inserted = sqlglot.parse_one(statement.source, read=DIALECT)
    name = _table_name(inserted)
    if name not in schema.tables:
        raise SchemaError(f"table {name} is not there")
    schema.seeds.append(Seed(name, _sqlite(inserted), schema.tables[name].counts_edits))


# --- functions, triggers, privileges
# ----------------------------------------------------------------------------


def _add_function(schema: Schema, statement: _Statement) -> None:
    words = statement.words
    match = re.match(r"create (?:or replace )?function (?:(\w+) \. )?(\w+) \( ", words)
    if match is None:
        raise SchemaError("the function's name and parameters cannot be read")
    if (match[1] or "public") != "public":
        return  # other schemas are not exposed by the API
    parameters = tuple(_parameter(part) for part in _split_parameters(words[match.end() :]))
    schema.functions[match[2]] = Function(match[2], parameters)
    # PostgreSQL lets everybody execute a new function until that is revoked; replacing keeps what was
    # granted.
    schema.grants.functions.setdefault(match[2], {"public": {"execute": None}})


def _split_parameters(words: str) -> Iterator[str]:
    depth, part = 0, ""
    for character in words:
        if character == ")" and depth == 0:
            break
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            yield part
            part = ""
        else:
            part += character
    if part.strip():
        yield part


def _parameter(words: str) -> Parameter:
    declaration, optional = words.strip(), False
    match = re.match(r"(.*?) (?:default|=) ", declaration)
    if match is not None:
        declaration, optional = match[1], True
    name, _, kind = declaration.removeprefix("in ").partition(" ")
    if kind.strip() not in pgtypes.BY_NAME:
        raise SchemaError(f"parameter {name}: type {kind.strip()!r} is not modelled")
    return Parameter(name, pgtypes.BY_NAME[kind.strip()], optional)


def _add_trigger(schema: Schema, words: str) -> None:
    match = re.match(
        r"create trigger \w+ before insert or update on (?:public \. )?(\w+) for each row", words
    )
    if match is None or match[1] not in schema.tables or "edit_no" not in schema.tables[match[1]].columns:
        raise SchemaError(
            "only a BEFORE INSERT OR UPDATE row trigger that counts edits in edit_no is modelled"
        )
    schema.tables[match[1]].counts_edits = True
