"""The house rules that need more than one file: who imports whom, tests for every source, dead code, and plain texts.

Left out: a name that is referred to anywhere counts as used everywhere, so that dead code which shares its name with living
code is not noticed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterable, Iterator

from tests.tidy.source import PACKAGES, Finding, Function, Module

IMPURE = frozenset(
    {
        "asyncio",
        "time",
        "random",
        "os",
        "socket",
        "ssl",
        "select",
        "selectors",
        "signal",
        "subprocess",
        "threading",
    }
)
# Bases which lend a class no methods that somebody else calls by name.
NEUTRAL_BASES = frozenset(
    {"object", "Protocol", "Generic", "Struct", "NamedTuple", "ABC", "Enum", "IntEnum", "StrEnum", "IntFlag", "Exception"}
)  # fmt: skip
# Decorators which only change how a function is called: it still needs a caller.  Any other decorator registers it.
PLAIN_DECORATORS = frozenset(
    {
        "property", "cached_property", "staticmethod", "classmethod", "abstractmethod", "contextmanager",
        "asynccontextmanager", "dataclass", "final", "runtime_checkable", "lru_cache", "cache", "setter", "total_ordering",
        "unique", "wraps", "dataclass_transform",
    }
)  # fmt: skip

# A name, or several joined by dots or a colon.
IDENTIFIERS = re.compile(r"[A-Za-z_]\w*([.:][A-Za-z_]\w*)*")

# Built from parts, so that the rules do not find themselves.
MACHINE_PATH = re.compile(r"(?<![\w./}>-])/(?:" + "work|tmp|root" + r")/\w")
REGISTRY_HOSTS = re.compile(
    r"\b(?:"
    + "|".join(
        (r"pypi\.o" + "rg", "pythonhosted" + r"\.org", r"npmjs\.(?:o" + "rg|com)", r"deb\.deb" + "ian")
    )
    + ")"
)
BARE_INSTALL = re.compile(
    r"\b(?:install|add|run|uvx)\s+(?:-\S+\s+)*[\"'`]?byte-" + r"bot(?![-\w])(?=[\[\s\"'`=<>~!]|$)"
)


def import_direction(module: Module) -> Iterator[Finding]:
    """byte_bot knows nothing of the simulator, and neither knows of the tests; simulator -> byte_bot needs an allowance."""
    forbidden = {
        "byte_bot": ("simulator", "byte_sim_pytest", "tests", "benchmarks"),
        "simulator": ("byte_bot", "byte_sim_pytest", "tests", "benchmarks"),
        "byte_sim_pytest": ("byte_bot", "tests", "benchmarks"),
    }
    for entry in module.imports:
        target = entry.target.partition(".")[0]
        if target in forbidden.get(module.package, ()):
            yield module.finding(entry.line, target, f"{module.package} imports {entry.target}")


def brought_along(plugin: Module) -> Iterator[Finding]:
    """A module of ours that is imported as soon as the plugin is."""
    for entry in plugin.imports:
        if entry.target.partition(".")[0] in PACKAGES and not (entry.function or entry.typing_only):
            yield plugin.finding(entry.line, entry.target, f"imports {entry.target} when it is loaded")


def impure_import(module: Module, every: Iterable[Module]) -> Iterator[Finding]:
    """A pure module that imports the outside world at run time, itself or through another module of ours."""
    by_name = {other.name: other for other in every}
    by_name[module.name] = module
    seen = {module.name}
    pending: list[tuple[Module, tuple[str, ...]]] = [(module, ())]
    while pending:
        current, chain = pending.pop(0)
        for entry in current.imports:
            if entry.typing_only:
                continue
            if entry.target.partition(".")[0] in IMPURE:
                path = " -> ".join([*chain, current.name, entry.target])
                line = entry.line if current is module else 1
                yield module.finding(line, entry.target, f"a pure module imports {path}")
            for name in (entry.target, entry.target.rpartition(".")[0]):
                if name in by_name and name not in seen:
                    seen.add(name)
                    pending.append((by_name[name], (*chain, current.name)))


def untested(sources: Iterable[Module], test_paths: Collection[str]) -> Iterator[Finding]:
    """A source file a/b/c.py that has neither tests/a/b/test_c.py nor tests/a/b/test_c_<aspect>.py.

    Exempt: files which only declare (fields, errors, protocols).  A package's __init__ is tested by test_<package>.py beside
    its folder's tests or by any test in that folder.
    """
    for module in sources:
        folder, slash, file = module.path.rpartition("/")
        stem = file.removesuffix(".py")
        wanted = rf"tests/{re.escape(folder)}{slash}test_{re.escape(stem)}(_\w+)?\.py"
        if stem == "__init__":
            above, _, package = folder.rpartition("/")
            wanted = rf"tests/({re.escape(folder)}/test_\w+|{re.escape(above)}/test_{re.escape(package)})\.py"
        if _does_something(module) and not any(re.fullmatch(wanted, path) for path in test_paths):
            yield module.finding(1, "", f"no tests/{folder}{slash}test_{stem.strip('_')}.py")


def unreferenced(
    sources: Iterable[Module], readers: Iterable[Module], *, public: Collection[str] = ()
) -> Iterator[Finding]:
    """A function, method or class whose name nothing in `readers` mentions.

    Exempt: dunder methods, registered ones (any decorator that is not a plain one), methods of classes whose base is
    foreign (asyncio and httpx call those), names that a package's __init__ exports, and `public`.
    """
    sources = list(sources)
    used = set(public)
    for module in readers:
        used |= _mentions(module)
    own = {node.name for module in sources for node in module.nodes if isinstance(node, ast.ClassDef)}
    for module in sources:
        for name, node in _definitions(module.tree, own, foreign=False):
            bare = name.rpartition(".")[2]
            if bare not in used and not (bare.startswith("__") and bare.endswith("__")):
                yield module.finding(node, name, f"nothing refers to {name}")


def machine_path(path: str, text: str) -> Iterator[Finding]:
    """A path of the machine on which somebody worked."""
    yield from _matches(path, text, MACHINE_PATH, "a path of one machine")


def registry_host(path: str, text: str) -> Iterator[Finding]:
    """The address of a package index: which one to ask is the reader's own setting."""
    yield from _matches(path, text, REGISTRY_HOSTS, "the address of a package index")


def bare_install(path: str, text: str) -> Iterator[Finding]:
    """An install command that would fetch somebody else's project: ours ends in -twitch."""
    yield from _matches(path, text, BARE_INSTALL, "installs somebody else's project")


TextRule = Callable[[str, str], Iterator[Finding]]


def _matches(path: str, text: str, pattern: re.Pattern[str], what: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), 1):
        if match := pattern.search(line):
            yield Finding(path, number, match.group(), f"{what}: {line.strip()[:100]}")


def _mentions(module: Module) -> set[str]:
    """Every name that the file reads: as a name, as an attribute, or as a string that is one; recursion aside."""
    found: set[str] = set()
    for where, node in module.placed:
        inside = where.rpartition(".")[2]
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id != inside:
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and (node.attr != inside or not _is_self(node.value)):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # getattr, annotations in quotes, "module:name", and what a package exports.
            named = IDENTIFIERS.fullmatch(node.value) and not _is_export_list(module, node)
            found.update(re.findall(r"\w+", node.value) if named else ())
    return found


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _is_export_list(module: Module, node: ast.Constant) -> bool:
    """Whether the string stands in the __all__ of a plain module, which proves nothing; that of a package does."""
    if module.path.endswith("__init__.py"):
        return False
    for statement in module.tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            return statement.lineno <= node.lineno <= (statement.end_lineno or 0)
    return False


def _does_something(module: Module) -> bool:
    """Whether any function of the file has a body besides a docstring, an ellipsis or pass."""
    bodies = (node.body for node in module.nodes if isinstance(node, Function))
    statements = (part for body in bodies for part in body)
    return any(
        not (
            isinstance(part, ast.Pass)
            or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        )
        for part in statements
    )


def _is_foreign(base: ast.expr, own: Collection[str]) -> bool:
    """Whether a base class is neither ours nor one of those that call nothing."""
    root, *parts = ast.unparse(base).partition("[")[0].split(".")
    if not parts:
        return root not in own and root not in NEUTRAL_BASES
    return root not in {"typing", "abc", "enum", "msgspec"} and parts[-1] not in own


def _definitions(
    tree: ast.AST, own: Collection[str], *, foreign: bool, prefix: str = ""
) -> Iterator[tuple[str, ast.AST]]:
    """Module-level functions, classes and methods that need a reader."""
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.If | ast.Try):
            yield from _definitions(node, own, foreign=foreign, prefix=prefix)
        if not isinstance(node, Function | ast.ClassDef):
            continue
        name = f"{prefix}{node.name}"
        decorators = {_decorator(entry) for entry in node.decorator_list}
        if decorators <= PLAIN_DECORATORS and not foreign:
            yield name, node
        if isinstance(node, ast.ClassDef):
            lent = any(_is_foreign(base, own) for base in node.bases)
            yield from _definitions(node, own, foreign=lent, prefix=f"{name}.")


def _decorator(node: ast.expr) -> str:
    target = node.func if isinstance(node, ast.Call) else node
    return target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)


def variables_of(text: str) -> Iterator[str]:
    """The variables that an environment file sets or, behind one #, shows how to set."""
    for line in text.splitlines():
        if match := re.match(r"#?([A-Z][A-Z0-9_]*)=", line):
            yield match[1]


def fields_of(module: Module, name: str) -> set[str]:
    """The annotated fields of a class."""
    bodies = [node.body for node in module.tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    return {
        part.target.id
        for body in bodies
        for part in body
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    }
