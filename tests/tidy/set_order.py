"""The house rule that nothing takes its order from a set: hashes of strings differ from process to process.

How it works. An expression is a set if it is written as one (a display, ``set(...)``, an operator or a method that makes one, the keys
of two dicts subtracted) or is a name that is bound to sets and to nothing else where it is looked up: in the function, in one around it,
in the module; a parameter by its annotation; an attribute of ``self`` by what its class binds to it. *Takers* are what turns it into an
order: loops, comprehensions, stars, calls such as ``zip`` and ``next``, unpacking, and words for people. Not those whose result is the
same for every order: ``len``, another set, ``sorted``. But ``sorted``, ``min`` and ``max`` with a ``key`` keep or choose among those that
are equal under it, in the order in which they come.

Left out, since a tree does not show types: a set that comes from a call, a subscript, or another object's attribute.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tests.tidy.source import Finding, Function, Module

SET_TYPES: Final = frozenset({"set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet"})
SET_OPERATORS: Final = (ast.BitOr, ast.BitAnd, ast.BitXor, ast.Sub)
#: Nothing but a set has them.
SET_METHODS: Final = frozenset({"union", "intersection", "difference", "symmetric_difference"})
#: Views of a dict: ordered, but what an operator makes of them is a set.
VIEWS: Final = frozenset({"keys", "items"})
#: Calls that take an order from what they are given.
ORDERED: Final = frozenset(
    {
        "list", "tuple", "dict", "join", "enumerate", "iter", "zip", "map", "filter", "extend", "deque", "fromkeys", "extendleft",
        "chain", "from_iterable", "islice", "cycle", "product", "permutations", "combinations", "accumulate", "starmap", "groupby",
        "takewhile", "dropwhile", "pairwise", "zip_longest", "reduce", "Counter", "OrderedDict", "str", "repr", "print", "sum",
    }
)  # fmt: skip
#: Calls that do not care for an order, unless they are given a key.
UNORDERED: Final = frozenset({"sorted", "min", "max", "any", "all", "len", "set", "frozenset"})
_KEYED: Final = frozenset({"sorted", "min", "max", "nsmallest", "nlargest"})
#: What they give is as unordered as what they are given, and no more.
_PASSING: Final = frozenset({"list", "tuple", "iter", "chain", "filter", "map"})


def set_order(module: Module) -> Iterator[Finding]:
    """Whatever takes its order from a set."""
    harmless = _harmless(module)
    for where, sets, node in _placed(module.tree, "", _bound(module.tree)):
        for value in _taken(node):
            if id(node) not in harmless and is_set(value, sets):
                words = f"the order of {ast.unparse(value)} in {where or 'the module'} is not fixed: sort it, or keep a dict"
                yield module.finding(value, where, words)


def forgets_order(call: ast.Call) -> bool:
    """True if the call's result is the same in whatever order its arguments come."""
    keyed = _called(call) in _KEYED and any(keyword.arg == "key" for keyword in call.keywords)
    return _called(call) in UNORDERED and not keyed


def is_set(value: ast.expr, sets: frozenset[str] = frozenset()) -> bool:
    """True if the expression is surely a set, `sets` being the names that are."""
    match value:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Name() | ast.Attribute():
            return ast.unparse(value) in sets
        case ast.BinOp(left=left, op=op, right=right):
            sides = (left, right)
            return isinstance(op, SET_OPERATORS) and any(
                is_set(side, sets) or _is_view(side) for side in sides
            )
        case ast.BoolOp(values=parts):
            return any(is_set(part, sets) for part in parts)
        case ast.IfExp(body=one, orelse=other):
            return is_set(one, sets) or is_set(other, sets)
        case ast.NamedExpr(value=inner):
            return is_set(inner, sets)
        case ast.Subscript(value=inner):
            return _is_pair_of_sets(inner)
        case ast.Call(func=ast.Attribute(value=owner, attr=method)):
            return method in SET_METHODS or (method == "copy" and is_set(owner, sets))
        case ast.Call(func=ast.Name(id=name)):
            return name in {"set", "frozenset"}
    return False


def _is_pair_of_sets(value: ast.expr) -> bool:
    match value:
        case ast.Await(value=ast.Call(func=func)):
            return ast.unparse(func) == "asyncio.wait"
    return False


def _is_view(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and _called(value) in VIEWS and not value.args


def _taken(node: ast.AST) -> list[ast.expr]:
    """What this node takes an order from."""
    match node:
        case ast.For(iter=value) | ast.AsyncFor(iter=value):
            return [value]
        case ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
            return [generator.iter for generator in node.generators]
        case ast.Starred(value=value) | ast.YieldFrom(value=value) | ast.FormattedValue(value=value):
            return [value]
        case ast.Assign(value=value, targets=targets):
            return [value] if any(isinstance(target, ast.Tuple | ast.List) for target in targets) else []
        case ast.Call(func=ast.Attribute(value=owner, attr="pop"), args=[]):
            return [owner]
        case ast.Call(args=args):
            keyed = _called(node) in _KEYED and not forgets_order(node)
            return args if keyed or _called(node) in ORDERED else []
    return []


def _harmless(module: Module) -> set[int]:
    """The nodes whose order is forgotten at once: within such a call's arguments, and members of another set."""
    found: set[int] = set()
    for node in module.nodes:
        if isinstance(node, ast.Set):
            found.update(map(id, node.elts))
        elif isinstance(node, ast.Call) and forgets_order(node):
            for argument in node.args:
                found.update(map(id, _passing(argument)))
    return found


def _passing(value: ast.expr) -> Iterator[ast.expr]:
    """The expression, if it passes on whatever it is given one by one, and those within it that do."""
    match value:
        case ast.GeneratorExp() | ast.ListComp():
            yield value
        case ast.Starred(value=inner):
            yield value
            yield from _passing(inner)
        case ast.Call(args=args) if _called(value) in _PASSING and (
            _called(value) != "map" or len(args) == 2
        ):
            yield value
            for argument in args:
                yield from _passing(argument)


# --- names
# -----------------------------------------------------------------------------------------------------------


def _placed(
    scope: ast.AST, where: str, sets: frozenset[str]
) -> Iterator[tuple[str, frozenset[str], ast.AST]]:
    """Every node with the function or class around it and the names that are sets there."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, Function | ast.ClassDef | ast.Lambda):
            inner = _seen_within(child, sets)
            name = getattr(child, "name", "")
            yield from _placed(child, f"{where}.{name}".strip("."), inner)
        else:
            yield where, sets, child
            yield from _placed(child, where, sets)


def _seen_within(scope: ast.AST, outer: frozenset[str]) -> frozenset[str]:
    """The names that are sets in a function or class: its own, and those of around it that it does not bind anew."""
    if isinstance(scope, ast.ClassDef):
        return outer | _attributes(scope)
    assert isinstance(scope, Function | ast.Lambda)
    arguments = scope.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    annotated = {one.arg for one in parameters if one.annotation is not None and _is_set_type(one.annotation)}
    if isinstance(scope, ast.Lambda):
        return outer - {one.arg for one in parameters}
    own, others = _assigned(scope)
    named = {one.arg for one in parameters}
    return (outer - named - own - others) | ((own | annotated) - others - (named - annotated))


def _bound(scope: ast.AST) -> frozenset[str]:
    sets, others = _assigned(scope)
    return frozenset(sets - others)


def _attributes(scope: ast.ClassDef) -> frozenset[str]:
    """The attributes of ``self`` that the class declares as sets, or binds to sets and to nothing else, as they are written."""
    declared: set[str] = set()
    sets: set[str] = set()
    others: set[str] = set()
    for node in scope.body:
        for target, value, annotation in _bindings(node):
            if isinstance(target, ast.Name) and _binds_set(value, annotation):
                declared.add(f"self.{target.id}")
    for node in ast.walk(scope):
        for target, value, annotation in _bindings(node):
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                kind = declared if annotation is not None else sets
                (kind if _binds_set(value, annotation) else others).add(ast.unparse(target))
    return frozenset(declared | (sets - others))


def _assigned(scope: ast.AST) -> tuple[set[str], set[str]]:
    """The names that a scope itself binds to sets, and to something else."""
    sets: set[str] = set()
    others: set[str] = set()
    for node in _own(scope):
        for target, value, annotation in _bindings(node):
            if isinstance(target, ast.Name):
                (sets if _binds_set(value, annotation) else others).add(target.id)
    return sets, others


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those of the scopes in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, Function | ast.ClassDef | ast.Lambda):
            yield child
            yield from _own(child)


def _bindings(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None, ast.expr | None]]:
    """What a node binds: (target, value, annotation); an unknown value is None."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Tuple | ast.List):
                    each = ast.Subscript(value, ast.Constant(0), ast.Load())
                    yield from ((part, each, None) for part in target.elts)
                else:
                    yield target, value, None
        case ast.AnnAssign(target=target, value=value, annotation=annotation):
            yield target, value, annotation
        case ast.NamedExpr(target=target, value=value):
            yield target, value, None
        case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target):
            yield from ((part, None, None) for part in ast.walk(target) if isinstance(part, ast.Name))
        case ast.withitem(optional_vars=ast.expr() as target):
            yield target, None, None


def _binds_set(value: ast.expr | None, annotation: ast.expr | None) -> bool:
    if annotation is not None:
        return _is_set_type(annotation) or (value is not None and is_set(value))
    return value is not None and is_set(value)


def _is_set_type(annotation: ast.expr) -> bool:
    """``set[str]``, ``AbstractSet[str] | None``, and the same as a string."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.BinOp):
        return _is_set_type(annotation.left) or _is_set_type(annotation.right)
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    name = outer.attr if isinstance(outer, ast.Attribute) else outer.id if isinstance(outer, ast.Name) else ""
    return name in SET_TYPES


def _called(node: ast.Call) -> str:
    func = node.func
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
