"""A class of the bot with a few words of one of its methods changed: for mistakes that no subclass could make without copying.

How it works. :func:`altered` takes the text of a method, changes in it what is named, compiles it in a copy of its module's
names, and makes a subclass with that method alone. Nothing in any module changes. What is to be changed must stand in the
method exactly once, so a mutant whose place has moved fails loudly instead of becoming no mutant.

Left out: methods that call ``super()`` without arguments.
"""

from __future__ import annotations
import __future__

import inspect
import sys
from collections.abc import Mapping
from typing import Any


class Unalterable(Exception):
    """The method does not have what was to be changed in it; the message has both."""


def altered(
    cls: type, names: Mapping[str, object] | None = None, **changes: tuple[str, str] | None
) -> type[Any]:
    """A subclass of ``cls`` with changed methods.

    Args:
        names: what names of the module mean in these methods instead.
        changes: by the method's name what stands there and what shall stand instead; None: only ``names`` differ.

    Raises:
        Unalterable: that does not stand there exactly once.
    """
    body: dict[str, Any] = {"__doc__": f"{cls.__name__} with a mistake in it.", "__module__": cls.__module__}
    if "__slots__" in vars(cls):
        body["__slots__"] = ()
    for method, change in changes.items():
        body[method] = _altered_method(cls, method, change, names or {})
    return type(f"Altered{cls.__name__}", (cls,), body)


def _altered_method(
    cls: type, method: str, change: tuple[str, str] | None, names: Mapping[str, object]
) -> object:
    found = inspect.getattr_static(cls, method)
    function = found.fget if isinstance(found, property) else found
    source = inspect.getsource(function)
    if change is not None:
        old, new = change
        if source.count(old) != 1:
            raise Unalterable(
                f"{cls.__qualname__}.{method} has {source.count(old)} times what a mutant changes once: {old!r}"
            )
        source = source.replace(old, new)
    if "super()" in source:
        raise Unalterable(
            f"{cls.__qualname__}.{method} calls super(), which needs the class that it stood in"
        )
    # In the place where it stood, so that a traceback points there, and indented as it was.
    padding = "\n" * (inspect.getsourcelines(function)[1] - 2) + "if True:\n"
    code = compile(
        padding + source,
        inspect.getsourcefile(function) or "altered",
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    scope = {**vars(sys.modules[cls.__module__]), **names}
    exec(code, scope)
    return scope[method]
