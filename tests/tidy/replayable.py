"""The house rules that keep a run replayable: what makes two runs of one seed differ stands in its one place.

Clocks and randomness are `rules.clock_or_randomness`, sets `set_order.set_order`; here are threads, addresses and hashes, what SQLite reads
of the machine, the file system's order, and the collector.

Left out: SQL that is put together at run time from words that are harmless each.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.tidy.set_order import forgets_order
from tests.tidy.source import Finding, Function, Module

THREAD_MODULES = frozenset({"threading", "_thread", "multiprocessing"})
THREAD_CALLS = frozenset({"run_in_executor", "to_thread", "ThreadPoolExecutor", "ProcessPoolExecutor"})
LISTINGS = frozenset({"listdir", "scandir", "iterdir", "glob", "iglob", "rglob", "walk"})
# SQLite's own clock and chance: a time function without an argument, or with 'now'; and what draws.
SQL_OF_THE_MACHINE = re.compile(
    r"(?<![\w.])(?:random|datetime|date|time|julianday|unixepoch)\(\s*\)|(?<![\w.])randomblob\(|'now'"
    r"|(?<![\w.])strftime\(\s*'[^']*'\s*\)|\bcurrent_(?:timestamp|date|time)\b",
    re.IGNORECASE,
)


def thread(module: Module) -> Iterator[Finding]:
    """A thread, a pool, or a job for one: its steps come when the machine likes."""
    for entry in module.imports:
        if entry.target.partition(".")[0] in THREAD_MODULES and not entry.typing_only:
            yield module.finding(entry.line, entry.target, f"imports {entry.target}")
    for where, node in module.placed:
        if isinstance(node, ast.Call) and _called(node) in THREAD_CALLS:
            yield module.finding(node, where, f"{_called(node)}() in {where or 'the module'}")


def address_or_hash(module: Module) -> Iterator[Finding]:
    """`id` or `hash`, called or passed on, or all tasks (a set, ordered by both): they differ from run to run."""
    own = _own_names(module, {"id", "hash"})
    for where, node in module.placed:
        bare = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in {"id", "hash"}
        called = isinstance(node, ast.Call) and module.dotted(node.func) == "asyncio.all_tasks"
        if (bare and id(node) not in own) or called:
            words = ast.unparse(node.func if isinstance(node, ast.Call) else node)
            yield module.finding(node, where, f"{words} in {where or 'the module'}: differs from run to run")


def _own_names(module: Module, names: set[str]) -> set[int]:
    """The uses of these names where a function has a variable or parameter of that name: no builtin is meant."""
    found: set[int] = set()
    for function in module.nodes:
        if not isinstance(function, Function | ast.Lambda):
            continue
        parts = list(ast.walk(function))
        bound = {part.arg for part in parts if isinstance(part, ast.arg)}
        bound |= {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        found |= {id(part) for part in parts if isinstance(part, ast.Name) and part.id in names & bound}
    return found


def machine_sql(module: Module) -> Iterator[Finding]:
    """SQL that asks SQLite for the time or for chance: neither the guards in a world nor its seed reach it."""
    prose = {
        id(node.value)
        for node in module.nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for where, node in module.placed:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            for found in SQL_OF_THE_MACHINE.finditer(node.value):
                words = (
                    f"SQL with {found[0]} in {where or 'the module'}: pass the world's time or a drawn number"
                )
                yield module.finding(node, where, words)


def file_order(module: Module) -> Iterator[Finding]:
    """A folder's contents in the order of the file system: sort them."""
    in_order = {
        id(argument)
        for node in module.nodes
        if isinstance(node, ast.Call) and forgets_order(node)
        for outer in node.args
        for argument in ast.walk(outer)
    }
    for where, node in module.placed:
        if isinstance(node, ast.Call) and _called(node) in LISTINGS and id(node) not in in_order:
            if _called(node) == "walk" and module.dotted(node.func) != "os.walk":
                continue
            yield module.finding(node, where, f"{ast.unparse(node.func)}() in {where}: sort what it gives")


def collector(module: Module) -> Iterator[Finding]:
    """The garbage collector, or the seed of string hashes: one place decides about each."""
    for entry in module.imports:
        if entry.target.partition(".")[0] == "gc":
            yield module.finding(entry.line, "gc", "imports gc")
    for where, node in module.placed:
        if isinstance(node, ast.Constant) and node.value == "PYTHONHASHSEED":
            yield module.finding(node, where, f"PYTHONHASHSEED in {where or 'the module'}")


def _called(node: ast.Call) -> str:
    func = node.func
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
