"""The house rules that one Python file can break by itself, as functions from a `Module` to its findings.

Each rule reports every place, allowed or not; `allowed.py` holds the exceptions with their reasons, so that an exception
which is no longer needed is noticed too.

Left out, because a syntax tree does not show it: that a supervisor logs and counts, that every await has a deadline, that a
queue has a bound.  Reviews look at those.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator

from tests.tidy.source import PACKAGES, Finding, Function, Module

Rule = Callable[[Module], Iterator[Finding]]

LINES_MAX = 450

# Whole modules whose every name reads a clock or the machine's randomness, less the names that do not.
BANNED_MODULES = {"time": {"struct_time"}, "secrets": set(), "random": {"Random"}}
BANNED_NAMES = {
    "datetime.datetime.now": "byte_bot.clock",
    "datetime.datetime.utcnow": "byte_bot.clock",
    "datetime.datetime.today": "byte_bot.clock",
    "datetime.date.today": "byte_bot.clock",
    "uuid.uuid1": "an id derived from the message, or drawn from the injected random.Random",
    "uuid.uuid4": "an id derived from the message, or drawn from the injected random.Random",
    "os.urandom": "the injected random.Random",
    "os.getrandom": "the injected random.Random",
    "os.times": "byte_bot.clock",
    "asyncio.get_event_loop": "asyncio.get_running_loop",
}
# Modules which do not exist on Windows, and the calls that raise there.
UNIX_MODULES = frozenset({"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"})
UNIX_CALLS = frozenset({"add_signal_handler", "remove_signal_handler", "fork", "geteuid", "getuid", "killpg"})

MUTABLE_CALLS = frozenset(
    {
        "list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict", "WeakSet",
        "WeakKeyDictionary", "WeakValueDictionary", "count", "cycle",
    }
)  # fmt: skip
READ_ONLY_TYPES = frozenset(
    {"Mapping", "Sequence", "Collection", "AbstractSet", "Set", "Iterable", "MappingProxyType", "TypeAlias"}
)
# Callables whose results are constants, types, or declarations: building one at import time shares no state.
CONSTANT_CALLS = frozenset(
    {
        "frozenset", "tuple", "int", "float", "str", "bytes", "range", "len", "min", "max", "sum", "sorted", "chr", "ord",
        "object", "round", "abs", "compile", "MappingProxyType", "TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "namedtuple", "Enum",
        "Decoder", "Encoder", "Path", "files", "joinpath", "timedelta", "datetime", "timezone", "getLogger", "get_logger",
        "ContextVar", "Typer", "Option", "Argument", "partial", "attrgetter", "itemgetter", "methodcaller", "fromkeys",
        "TypeAdapter", "SettingsConfigDict", "version", "dedent", "encode", "decode", "format", "join", "split", "strip",
        "maketrans", "lower", "upper", "replace", "cast", "Struct", "defstruct", "union", "keys", "values", "items", "Text",
        "Style", "Theme",
    }
)  # fmt: skip
TASK_GROUP = re.compile(r"(^|_)(tg|tasks?|groups?|taskgroup)$")


def late_project_import(module: Module) -> Iterator[Finding]:
    """A module of ours imported inside a function: a cycle in hiding."""
    for entry in module.imports:
        if entry.function and entry.target.partition(".")[0] in PACKAGES:
            yield module.finding(
                entry.line, entry.function, f"imports {entry.target} inside {entry.function}()"
            )


def clock_or_randomness(module: Module) -> Iterator[Finding]:
    """A clock or a source of randomness that nobody injected (even unasked: `default=time.time` counts)."""
    for where, node in module.placed:
        if not isinstance(node, ast.Attribute | ast.Name) or not isinstance(node.ctx, ast.Load):
            continue
        dotted = module.dotted(node)
        first, _, rest = dotted.partition(".")
        if rest and first in BANNED_MODULES and rest.partition(".")[0] not in BANNED_MODULES[first]:
            yield module.finding(
                node, dotted, f"{dotted} in {where or 'the module'}: injected clocks and RNGs only"
            )
        elif dotted in BANNED_NAMES:
            yield module.finding(
                node, dotted, f"{dotted} in {where or 'the module'}: use {BANNED_NAMES[dotted]}"
            )
    for node in module.nodes:
        if (
            isinstance(node, ast.Call)
            and module.dotted(node.func) == "random.Random"
            and _takes_no_seed(node)
        ):
            yield module.finding(
                node, "random.Random()", "random.Random() without a seed takes one from the machine"
            )


def _takes_no_seed(call: ast.Call) -> bool:
    return not call.args or (isinstance(call.args[0], ast.Constant) and call.args[0].value is None)


def unix_only(module: Module) -> Iterator[Finding]:
    """A module or call that Windows does not have."""
    for entry in module.imports:
        if entry.target.partition(".")[0] in UNIX_MODULES:
            yield module.finding(entry.line, entry.target, f"imports {entry.target}, which Windows lacks")
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr in UNIX_CALLS:
            yield module.finding(node, node.attr, f"calls {node.attr}, which fails on Windows")


def global_statement(module: Module) -> Iterator[Finding]:
    """A `global` statement."""
    for where, node in module.placed:
        if isinstance(node, ast.Global):
            yield module.finding(node, where, f"global {', '.join(node.names)} in {where}()")


def mutable_global(module: Module) -> Iterator[Finding]:
    """A list, dict or set bound at module level, unless its annotation (Mapping, Sequence, ...) makes it read-only."""
    for node in _module_level(module):
        names, value, annotation = _assignment(node)
        if value is None or not names or all(name.startswith("__") for name in names):
            continue
        if annotation is not None and READ_ONLY_TYPES.intersection(
            re.findall(r"\w+", ast.unparse(annotation))
        ):
            continue
        display = isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
        if display or (isinstance(value, ast.Call) and _last_name(value.func) in MUTABLE_CALLS):
            hint = "a tuple, a frozenset, or the annotation Mapping[...] makes it a constant"
            yield module.finding(node, names[0], f"mutable global {names[0]}: {hint}")


def import_side_effect(module: Module, *, immutable: Collection[str] = ()) -> Iterator[Finding]:
    """An object built, or a function called, while the module is imported; `immutable` classes make constants."""
    for node in _module_level(module):
        names, value, _ = _assignment(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = ast.unparse(node.value.func)
            yield module.finding(node, call, f"{call}() is called at import")
        elif isinstance(value, ast.Call):
            call = ast.unparse(value.func)
            if _last_name(value.func) not in {*CONSTANT_CALLS, *MUTABLE_CALLS, *immutable}:
                yield module.finding(node, names[0], f"{call}() makes an instance at import")


def immutable_classes(module: Module) -> Iterator[str]:
    """Names of the file's classes whose instances hold nothing that can change: frozen, or without attributes."""
    for node in module.nodes:
        if isinstance(node, ast.ClassDef):
            options = [*node.keywords]
            for decorator in node.decorator_list:
                options += decorator.keywords if isinstance(decorator, ast.Call) else []
            frozen = any(option.arg == "frozen" and ast.unparse(option.value) == "True" for option in options)
            bases = {_last_name(base) for base in node.bases}
            fields = any(isinstance(part, ast.AnnAssign | ast.Assign) for part in node.body)
            writes = any(
                isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store) for part in ast.walk(node)
            )
            if frozen or "NamedTuple" in bases or not (bases or fields or writes):
                yield node.name


def broad_except(module: Module) -> Iterator[Finding]:
    """A handler for everything that does not end by raising again (`except:`, Exception, suppress(Exception))."""
    broad = {"Exception", "BaseException"}
    for where, node in module.placed:
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield module.finding(node, where, f"bare except in {where}()")
                continue
            last = node.body[-1]
            again = isinstance(last, ast.Raise) and last.exc is None
            if not again and broad.intersection(_names(node.type)):
                yield module.finding(
                    node, where, f"except {ast.unparse(node.type)} in {where}(): only a supervisor may"
                )
        elif isinstance(node, ast.Call) and module.dotted(node.func) == "contextlib.suppress":
            names = ", ".join(ast.unparse(argument) for argument in node.args)
            for _ in filter(broad.intersection, map(_names, node.args)):
                yield module.finding(node, where, f"suppress({names}) in {where}(): only a supervisor may")


def dropped_task(module: Module) -> Iterator[Finding]:
    """A task started outside a TaskGroup whose handle is thrown away: it may be collected, its error is never seen."""
    groups = {
        _last_name(item.optional_vars)
        for node in module.nodes
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if item.optional_vars is not None and _last_name(item.context_expr) == "TaskGroup"
    }
    for where, node in module.placed:
        value: ast.AST | None = None
        if isinstance(node, ast.Expr):
            value = node.value
        elif isinstance(node, ast.Lambda):
            value = node.body
        elif isinstance(node, ast.Assign) and all(
            isinstance(target, ast.Name) and target.id == "_" for target in node.targets
        ):
            value = node.value
        if not isinstance(value, ast.Call) or _last_name(value.func) not in {"create_task", "ensure_future"}:
            continue
        owner = _last_name(value.func.value) if isinstance(value.func, ast.Attribute) else ""
        if owner not in groups and not TASK_GROUP.search(owner.lower()):
            yield module.finding(
                node, where, f"{ast.unparse(value.func)}() in {where}(): nobody holds the task"
            )


def too_long(module: Module) -> Iterator[Finding]:
    """A file that outgrew one subject."""
    lines = module.text.count("\n")
    if lines > LINES_MAX:
        yield module.finding(lines, "", f"{lines} lines; a file holds at most {LINES_MAX}")


def module_docstring(module: Module) -> Iterator[Finding]:
    """A file with code but without a docstring that says what it is."""
    if module.tree.body and not ast.get_docstring(module.tree):
        yield module.finding(1, "", "no module docstring")


def test_docstring(module: Module) -> Iterator[Finding]:
    """A test without a docstring: the sentence is its specification."""
    for where, node in module.placed:
        if isinstance(node, Function) and node.name.startswith("test") and "." not in where:
            outside = not where or where.startswith("Test")
            if outside and not ast.get_docstring(node):
                yield module.finding(node, node.name, f"{node.name}() has no docstring")


def patched_code(module: Module) -> Iterator[Finding]:
    """A test that swaps parts of a module by name (`mock.patch`, `monkeypatch.setattr`) and not through a constructor."""
    for entry in module.imports:
        if entry.target.startswith(("unittest.mock", "mock")) and "patch" in entry.target.split("."):
            yield module.finding(entry.line, entry.target, f"imports {entry.target}: inject a fake instead")
    for where, node in module.placed:
        if isinstance(node, ast.Attribute):
            owner = _last_name(node.value)
            if (owner, node.attr) == ("monkeypatch", "setattr") or (owner, node.attr) == ("mock", "patch"):
                yield module.finding(node, where, f"{owner}.{node.attr} in {where}(): inject a fake instead")


def _module_level(module: Module) -> Iterator[ast.stmt]:
    """Statements that run at import, less the main guard and what only the type checker reads."""
    pending = list(module.tree.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.If):
            test = ast.unparse(node.test)
            if "__name__" not in test and "TYPE_CHECKING" not in test:
                pending[:0] = [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            pending[:0] = [*node.body, *node.orelse, *node.finalbody]
        else:
            yield node


def _assignment(node: ast.stmt) -> tuple[list[str], ast.expr | None, ast.expr | None]:
    """(names, value, annotation) of an assignment; ([], None, None) of anything else."""
    if isinstance(node, ast.Assign):
        return [ast.unparse(target) for target in node.targets], node.value, None
    if isinstance(node, ast.AnnAssign):
        return [ast.unparse(node.target)], node.value, node.annotation
    return [], None, None


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript | ast.Call):
        return _last_name(node.value if isinstance(node, ast.Subscript) else node.func)
    return node.id if isinstance(node, ast.Name) else ""


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
