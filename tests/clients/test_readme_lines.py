"""The lines with which README points a client here are the ones that its driver runs with: what is shown has been tried."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DRIVERS = Path(__file__).parent / "drivers"
README = ROOT / "simulator" / "README.md"
# What stands in a driver where the README has an address.
ADDRESSES = {"http://127.0.0.1:8080": "WEB", "ws://127.0.0.1:8080/irc": "SCENE['irc_ws']"}


def shown(client: str) -> ast.Module:
    """The block of README about a client, with a driver's names for the addresses."""
    found = re.search(
        rf"^\*\*{re.escape(client)}\*\*.*?^```text\n(?P<code>.*?)^```$",
        README.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None, f"README shows no lines for {client}"
    code = found["code"]
    for address, name in ADDRESSES.items():
        code = code.replace(f'"{address}"', name)
    return ast.parse(code)


def functions(tree: ast.Module) -> dict[str, str]:
    """The bodies of a module's functions and methods, by name, without docstrings."""
    return {
        node.name: "\n".join(ast.unparse(part) for part in node.body if not isinstance(part, ast.Expr))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_twitchio_2_is_pointed_here_as_its_driver_does_it() -> None:
    """The session's method is the same to the letter, and so are the module attribute and where the session goes."""
    driver = ast.parse((DRIVERS / "twitchio2.py").read_text(encoding="utf-8"))
    lines = shown("twitchio 2.10")
    assert functions(lines)["_request"] == functions(driver)["_request"]
    (attribute,) = [node for node in lines.body if isinstance(node, ast.Assign)]
    (entering,) = [node for node in lines.body if isinstance(node, ast.AsyncWith)]
    main = functions(driver)["main"]
    assert ast.unparse(attribute) in main
    assert ast.unparse(entering.items[0]) in main
    assert ast.unparse(entering.body[0]) in main
    assert ast.unparse(entering.body[1]).removeprefix("await ") in main
