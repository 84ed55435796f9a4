"""The house rules that keep a run replayable: what makes two runs of one seed differ stands in its one place.

Clocks and randomness are `rules.clock_or_randomness`, sets made on the spot `rules.set_order`; here are threads, addresses and hashes,
sets behind a name, the file system's order, and the collector.

Left out, since a tree does not show types: a set that comes from elsewhere (an attribute, a parameter, a call's result).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tidy.source import Finding, Function, Module

THREAD_MODULES = frozenset({"threading", "_thread", "multiprocessing"})
THREAD_CALLS = frozenset({"run_in_executor", "to_thread", "ThreadPoolExecutor", "ProcessPoolExecutor"})
LISTINGS = frozenset({"listdir", "scandir", "iterdir", "glob", "iglob", "rglob", "walk"})
# What takes an order from what it is given.
ORDERED = frozenset(
    [
        "list",
        "tuple",
        "join",
        "enumerate",
        "iter",
        "next",
        "zip",
        "map",
        "filter",
        "extend",
        "deque",
        "fromkeys",
        "extendleft",
    ]
)
# What does not care for an order.
UNORDERED = frozenset({"sorted", "any", "all", "len", "set", "frozenset"})
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})


def thread(module: Module) -> Iterator[Finding]:
    """A thread, a pool, or a job for one: its steps come when the machine likes."""
    for entry in module.imports:
        if entry.target.partition(".")[0] in THREAD_MODULES and not entry.typing_only:
            yield module.finding(entry.line, entry.target, f"imports {entry.target}")
    for where, node in module.placed:
        if isinstance(node, ast.Call) and _called(node) in THREAD_CALLS:
            yield module.finding(node, where, f"{_called(node)}() in {where or 'the module'}")


def address_or_hash(module: Module) -> Iterator[Finding]:
    """`id()`, `hash()`, or all tasks (a set, ordered by both): addresses and hashes differ from run to run."""
    for where, node in module.placed:
        if not isinstance(node, ast.Call):
            continue
        bare = isinstance(node.func, ast.Name) and node.func.id in {"id", "hash"}
        if bare or module.dotted(node.func) == "asyncio.all_tasks":
            call = ast.unparse(node.func)
            yield module.finding(node, where, f"{call}() in {where or 'the module'}: differs from run to run")


def file_order(module: Module) -> Iterator[Finding]:
    """A folder's contents in the order of the file system: sort them."""
    in_order = {
        id(argument)
        for node in module.nodes
        if isinstance(node, ast.Call) and _called(node) in UNORDERED
        for outer in node.args
        for argument in ast.walk(outer)
    }
    for where, node in module.placed:
        if isinstance(node, ast.Call) and _called(node) in LISTINGS and id(node) not in in_order:
            if _called(node) == "walk" and module.dotted(node.func) != "os.walk":
                continue
            yield module.finding(node, where, f"{ast.unparse(node.func)}() in {where}: sort what it gives")


def named_set_order(module: Module) -> Iterator[Finding]:
    """A loop over a local name that is bound to a set (asyncio.wait gives two), in the function or at module level."""
    at_module = _sets_bound(module.tree.body)
    members = {
        id(part) for node in module.nodes if isinstance(node, ast.Set) for part in node.elts
    }  # {*a, *b} is a set again
    members |= {
        id(argument)
        for node in module.nodes
        if isinstance(node, ast.Call) and _called(node) in UNORDERED
        for argument in node.args
        if isinstance(argument, ast.GeneratorExp)
    }
    for where, node in module.placed:
        if not isinstance(node, Function):
            continue
        sets = at_module | _sets_bound(node.body)
        for part in ast.walk(node):
            for value in _iterated(part):
                if id(part) not in members and isinstance(value, ast.Name) and value.id in sets:
                    place = f"{where}.{node.name}" if where else node.name
                    yield module.finding(
                        value, place, f"{place}() iterates the set {value.id}: sort it, or keep a dict"
                    )


def collector(module: Module) -> Iterator[Finding]:
    """The garbage collector, or the seed of string hashes: one place decides about each."""
    for entry in module.imports:
        if entry.target.partition(".")[0] == "gc":
            yield module.finding(entry.line, "gc", "imports gc")
    for where, node in module.placed:
        if isinstance(node, ast.Constant) and node.value == "PYTHONHASHSEED":
            yield module.finding(node, where, f"PYTHONHASHSEED in {where or 'the module'}")


def _sets_bound(body: list[ast.stmt]) -> set[str]:
    """The names that are bound to sets and to nothing else, in these statements and the blocks within them."""
    sets: set[str] = set()
    others: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign):
                value: ast.expr | None = node.value
                targets = [part for target in node.targets for part in getattr(target, "elts", [target])]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name):
                names, value = [node.target.id], node.value
            else:
                continue
            (sets if value is not None and _is_set(value) else others).update(names)
    return sets - others


def _is_set(value: ast.expr) -> bool:
    if isinstance(value, ast.Await):
        return isinstance(value.value, ast.Call) and ast.unparse(value.value.func) == "asyncio.wait"
    if isinstance(value, ast.Set | ast.SetComp):
        return True
    if isinstance(value, ast.BinOp):
        return _is_set(value.left) or _is_set(value.right)
    if not isinstance(value, ast.Call):
        return False
    if isinstance(value.func, ast.Attribute):
        return value.func.attr in SET_METHODS and _is_set(value.func.value)
    return isinstance(value.func, ast.Name) and value.func.id in {"set", "frozenset"}


def _iterated(node: ast.AST) -> list[ast.expr]:
    """What this node takes an order from."""
    if isinstance(node, ast.For | ast.AsyncFor):
        return [node.iter]
    if isinstance(node, ast.ListComp | ast.DictComp | ast.GeneratorExp):
        return [generator.iter for generator in node.generators]
    if isinstance(node, ast.Starred):
        return [node.value]
    if not isinstance(node, ast.Call):
        return []
    if _called(node) in ORDERED or (_called(node) in {"min", "max"} and node.keywords):
        return node.args  # with a key, the first of several that are equal under it
    if _called(node) == "pop" and isinstance(node.func, ast.Attribute) and not node.args:
        return [node.func.value]
    return []


def _called(node: ast.Call) -> str:
    func = node.func
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
