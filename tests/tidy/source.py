"""The project's own files, read for the house rules: texts, syntax trees, and names resolved through imports.

A `Module` is one Python file; a `Finding` is one place that breaks a rule.  Rules look at text and trees only: nothing of
the project is imported, so that a file which cannot even be imported is still judged.

Left out: names bound by assignment (`now = time.time`) are not followed, because the assignment itself is a finding.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("byte_bot", "simulator")
# The one module beside them: pytest imports it in every run, whoever's, where a folder called simulator/ may be anybody's. So it has
# a name of its own, at the top, and brings nothing of ours along.
PLUGIN = "byte_sim_pytest.py"
SOURCES = (*PACKAGES, PLUGIN)

# Folders which tools write and git does not keep.
NOT_OURS = frozenset(
    {
        ".git",
        ".venv",
        ".peers",
        "build",
        "dist",
        "__pycache__",
        ".hypothesis",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
    }
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, order=True)
class Finding:
    """One place that breaks a rule; `subject` is what an allowance names (a function, a module, a call)."""

    path: str
    line: int
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Import:
    """One imported name: `target` is the dotted module (or module.name), `local` the name it is bound to."""

    target: str
    local: str
    line: int
    typing_only: bool
    function: str


class Module:
    """One Python source file, by its path from the root (with forward slashes) and its text."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.tree = ast.parse(text, filename=path)

    @property
    def name(self) -> str:
        """The dotted name under which the file is imported."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        """The first part of the dotted name."""
        return self.name.partition(".")[0]

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every import of the file, relative ones made absolute, wherever it stands."""
        return tuple(self._imports(self.tree, typing_only=False, function=""))

    @cached_property
    def bindings(self) -> dict[str, str]:
        """What each imported local name stands for, as a dotted name."""
        return {entry.local: entry.target for entry in self.imports}

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree, as `ast.walk` finds them: walked once, for some twenty rules."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def placed(self) -> tuple[tuple[str, ast.AST], ...]:
        """Every node of the tree with the function or class around it (`functions_of`), found once as well."""
        return tuple(functions_of(self.tree))

    def dotted(self, node: ast.AST) -> str:
        """The full dotted name of a name or attribute that starts at an import, else ''."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.bindings:
            return ""
        return ".".join([self.bindings[node.id], *reversed(parts)])

    def finding(self, node: ast.AST | int, subject: str, message: str) -> Finding:
        """A finding at a node (or a line) of this file."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return Finding(self.path, line, subject, message)

    def _imports(self, node: ast.AST, *, typing_only: bool, function: str) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    # `import a.b` binds a; `import a.b as c` binds c to a.b.  Both import a.b.
                    local = alias.asname or alias.name.partition(".")[0]
                    if alias.asname is None and "." in alias.name:
                        yield Import(alias.name, f"({alias.name})", child.lineno, typing_only, function)
                        yield Import(local, local, child.lineno, typing_only, function)
                    else:
                        yield Import(alias.name, local, child.lineno, typing_only, function)
            elif isinstance(child, ast.ImportFrom):
                base = self._absolute(child)
                for alias in child.names:
                    yield Import(
                        f"{base}.{alias.name}",
                        alias.asname or alias.name,
                        child.lineno,
                        typing_only,
                        function,
                    )
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for part in child.body:
                    yield from self._imports(ast.Module([part], []), typing_only=True, function=function)
                for part in child.orelse:
                    yield from self._imports(
                        ast.Module([part], []), typing_only=typing_only, function=function
                    )
            else:
                inner = child.name if isinstance(child, Function) else function
                yield from self._imports(child, typing_only=typing_only, function=inner)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        parts = self.name.split(".")
        if not self.path.endswith("__init__.py"):
            parts = parts[:-1]
        parts = parts[: len(parts) - (node.level - 1)]
        return ".".join([*parts, node.module] if node.module else parts)


def functions_of(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every node of the tree with the qualified name of the function or class around it ('' at module level)."""
    for child in ast.iter_child_nodes(tree):
        yield prefix, child
        if isinstance(child, Function | ast.ClassDef):
            yield from functions_of(child, f"{prefix}.{child.name}" if prefix else child.name)
        else:
            yield from functions_of(child, prefix)


def modules(*folders: str, root: Path = ROOT) -> list[Module]:
    """All Python files below the folders, in order of their paths; a file by its own name is one too."""
    paths = [
        path
        for folder in folders
        for path in ([root / folder] if folder.endswith(".py") else sorted((root / folder).rglob("*.py")))
    ]
    return [
        Module(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for path in paths
        if not NOT_OURS.intersection(path.relative_to(root).parts)
    ]


def texts(root: Path = ROOT) -> Iterable[tuple[str, str]]:
    """(path, text) of every text file of the tree, in order of their paths."""
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if (
            path.is_symlink()
            or not path.is_file()
            or NOT_OURS.intersection(inside.parts)
            or path.name == ".env"
        ):
            continue
        try:
            yield inside.as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
