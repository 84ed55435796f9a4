"""Each house rule catches what it should and lets through what it should: planted violations in made-up files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.tidy import project, replayable, rules, set_order
from tests.tidy.source import Finding, Module

# rule -> (texts that break it, texts that do not)
CASES: tuple[tuple[Callable[[Module], Iterator[Finding]], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        rules.late_project_import,
        (
            "def f():\n    import byte_bot.app\n",
            "def f():\n    from byte_bot import app\n",
            "class A:\n    async def f(self):\n        from . import app\n",
        ),
        ("import byte_bot.app\n", "def f():\n    import supabase\n"),
    ),
    (
        rules.clock_or_randomness,
        (
            "import time\ntime.time()\n",
            "import time as t\nt.monotonic()\n",
            "from time import perf_counter\ndef f(now=perf_counter): ...\n",
            "import time\ntime.sleep(1)\n",
            "from datetime import datetime\ndatetime.now()\n",
            "import datetime\ndatetime.datetime.utcnow()\n",
            "import random\nrandom.choice([1])\n",
            "import random\nrandom.Random()\n",
            "import random\nrandom.Random(None)\n",
            "import os\nos.times()\n",
            "import uuid\nuuid.uuid4()\n",
            "from secrets import token_hex\ntoken_hex()\n",
            "import os\nos.urandom(8)\n",
        ),
        (
            "import random\ndef f(rng: random.Random): return rng.choice([1])\n",
            "import random\nrandom.Random(7)\n",
            "import asyncio\nasync def f(): await asyncio.sleep(1)\n",
            "from datetime import datetime, UTC\ndatetime.fromtimestamp(0, UTC)\n",
            "def f(self): return self.time.time()\n",
        ),
    ),
    (
        rules.unix_only,
        ("import fcntl\n", "def f(loop): loop.add_signal_handler(2, print)\n", "import os\nos.fork()\n"),
        ("import signal\nsignal.signal(2, print)\n",),
    ),
    (
        rules.global_statement,
        ("x = 1\ndef f():\n    global x\n    x = 2\n",),
        ("def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n",),
    ),
    (
        rules.mutable_global,
        (
            "cache = {}\n",
            "SEEN: set[str] = set()\n",
            "from collections import defaultdict\nrows = defaultdict(list)\n",
            "try:\n    names = [1]\nexcept ImportError:\n    names = []\n",
        ),
        (
            "from collections.abc import Mapping\nTEXTS: Mapping[str, str] = {'a': 'b'}\n",
            "NAMES = ('a', 'b')\n",
            "__all__ = ['a']\n",
            "def f():\n    cache = {}\n",
            "class A:\n    __slots__ = []\n",
        ),
    ),
    (
        rules.import_side_effect,
        (
            "client = Client()\n",
            "print('hello')\n",
            "if True:\n    configure()\n",
            "from structlog import configure\nconfigure()\n",
        ),
        (
            "import re\nLINE = re.compile('a')\n",
            "log = structlog.get_logger()\n",
            "if __name__ == '__main__':\n    main()\n",
            "def f():\n    client = Client()\n",
        ),
    ),
    (
        rules.broad_except,
        (
            "def f():\n    try: g()\n    except: pass\n",
            "def f():\n    try: g()\n    except Exception as error: log(error)\n",
            "def f():\n    try: g()\n    except (ValueError, BaseException): return\n",
            "import contextlib\ndef f():\n    with contextlib.suppress(Exception): g()\n",
        ),
        (
            "def f():\n    try: g()\n    except BaseException:\n        undo()\n        raise\n",
            "def f():\n    try: g()\n    except ValueError: pass\n",
            "import contextlib\ndef f():\n    with contextlib.suppress(KeyError): g()\n",
        ),
    ),
    (
        rules.dropped_task,
        (
            "import asyncio\nasync def f(): asyncio.create_task(g())\n",
            "import asyncio\nasync def f(): asyncio.ensure_future(g())\n",
            "async def f(self): self.loop.create_task(g())\n",
            "import asyncio\nasync def f(): _ = asyncio.create_task(g())\n",
            "import asyncio\ndef f(loop): loop.call_later(1, lambda: asyncio.create_task(g()))\n",
        ),
        (
            "import asyncio\nasync def f():\n    async with asyncio.TaskGroup() as pumps: pumps.create_task(g())\n",
            "async def f(self): self._tasks.create_task(g())\n",
            "import asyncio\nasync def f(self): self._pump = asyncio.create_task(g())\n",
        ),
    ),
    (
        set_order.set_order,
        (
            "def f(rows):\n    for row in set(rows): print(row)\n",
            "def f(rows): return [row for row in {r.key for r in rows}]\n",
            "def f(rows): return ', '.join(set(rows))\n",
            "x = list({1, 2})\n",
            "def f(a, b):\n    for k in set(a) - set(b): print(k)\n",
            "def f(a, b):\n    for k in a.keys() - b: print(k)\n",
            "def f(a, b):\n    for k in a.items() ^ b.items(): print(k)\n",
            "def f(a, b): return [*set(a).union(b)]\n",
            "def f(a, b): return [*a.intersection(b)]\n",
            "def f(a, x): return dict(zip(set(a), x))\n",
            "def f(a, b): return next(iter(set(a) & b))\n",
            "def f(a):\n    first, *others = set(a)\n    return first\n",
            "def f(a): yield from frozenset(a)\n",
            "def f(a): return f'there are {set(a)}'\n",
            "def f(a): return sorted(set(a), key=len)\n",
            "def f(a): return sorted((x for x in set(a)), key=len)\n",
            "def f(a, b):\n    for k in (set(a) or set(b)): print(k)\n",
            "import asyncio\nasync def f(a): return [d.result() for d in (await asyncio.wait(a))[0]]\n",
        ),
        (
            "def f(rows):\n    for row in sorted(set(rows)): print(row)\n",
            "def f(rows): return 1 in set(rows)\n",
            "def f(a, b): return len(a.keys() - b), sorted(set(a).union(b)), a.keys() <= b.keys()\n",
            "def f(a):\n    for k in a.keys(): print(k)\n",
            "def f(a, b): return {k: b[k] for k in a if k in a.keys() - b}\n",
            "def f(a, b): return sorted(map(str, set(a))), any(x for x in set(b)), max(len(x) for x in set(a))\n",
            "def f(a): return {str(x) for x in set(a)}, {*set(a), 1}\n",
            "def f(a, b): return max(set(a)), sorted(a - b, key=len)\n",
        ),
    ),
    (
        set_order.set_order,
        (
            "def f(rows):\n    seen = set(rows)\n    for row in seen: print(row)\n",
            "def f(a, b):\n    left: set[str] = set(a) - b\n    return ', '.join(left)\n",
            "NAMES = frozenset({'a', 'b'})\ndef f(): return [*NAMES]\n",
            "NAMES = frozenset({'a', 'b'})\nclass A:\n    def f(self): return [*NAMES]\n",
            "def f(rows):\n    seen = {row.key for row in rows}\n    return next(iter(seen))\n",
            "import asyncio\nasync def f(a):\n    done, left = await asyncio.wait(a)\n    return [d.result() for d in done]\n",
            "def f(rows):\n    seen = set(rows)\n    return ', '.join(str(row) for row in seen)\n",
            "def f(rows):\n    seen = set(rows)\n    return dict.fromkeys(seen)\n",
            "def f(rows):\n    seen = set(rows)\n    return max(seen, key=len)\n",
            "def f(rows):\n    seen = set(rows)\n    return sorted(seen, key=len)\n",
            "def f(rows):\n    seen = set(rows)\n    return seen.pop()\n",
            "def f(rows, more):\n    seen = set(rows)\n    return [row for row in seen - more]\n",
            "def f(rows):\n    seen = set(rows)\n    def g(): return [*seen]\n    return g\n",
            "def f(seen: set[str]): return list(seen)\n",
            "def f(seen: 'frozenset[str] | None'): return list(seen or ())\n",
            "class A:\n    def __init__(self): self._seen: set[str] = set()\n    def f(self): return [*self._seen]\n",
            "class A:\n    def __init__(self): self._seen = set()\n    def f(self): return list(self._seen)\n",
            "class A:\n    names: frozenset[str]\n    def f(self): return list(self.names)\n",
        ),
        (
            "def f(rows):\n    seen = set(rows)\n    return [row for row in sorted(seen) if row in seen]\n",
            "NAMES = frozenset({'a'})\ndef f(x): return x in {*NAMES, 'b'}\n",
            "NAMES = frozenset({'a'})\ndef f(NAMES): return [*NAMES]\n",
            "import asyncio\nasync def f(a):\n    done, _ = await asyncio.wait(a)\n    return not done\n",
            "def f(rows):\n    rows = set(rows)\n    rows = sorted(rows)\n    for row in rows: print(row)\n",
            "def f(rows):\n    seen = set(rows)\n    return any(row for row in seen), sorted(str(row) for row in seen)\n",
            "def f(rows):\n    seen = set(rows)\n    return max(seen)\n",
            "def f(rows: list[str]): return [*rows]\n",
            "class A:\n    def __init__(self): self._seen = {}\n    def f(self): return [*self._seen]\n",
            "class A:\n    def __init__(self): self._seen = set()\n    def f(self): return sorted(self._seen), 1 in self._seen\n",
        ),
    ),
    (
        replayable.thread,
        (
            "import threading\n",
            "from multiprocessing import Process\n",
            "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor()\n",
            "import asyncio\nasync def f(): await asyncio.to_thread(g)\n",
            "async def f(loop): await loop.run_in_executor(None, g)\n",
        ),
        (
            "import concurrent.futures\ndef f(): return concurrent.futures.Future()\n",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import threading\n",
        ),
    ),
    (
        replayable.address_or_hash,
        (
            "def f(x): return id(x)\n",
            "def f(x): return sorted(x, key=lambda y: hash(y))\n",
            "import asyncio\ndef f(): return list(asyncio.all_tasks())\n",
            "def f(x): return sorted(x, key=id)\n",
            "def f(x): return dict(zip(map(hash, x), x))\n",
            "def f(x, key=hash): return key(x)\n",
        ),
        (
            "def f(x): return x.id()\n",
            "class A:\n    def __hash__(self): return 1\n",
            "class A:\n    id: str\n    def f(self): return self.id\n",
            "def f(id): return [id]\n",
            "def f(rows):\n    for id in rows: print(id)\n",
        ),
    ),
    (
        replayable.file_order,
        (
            "import os\ndef f(): return os.listdir('.')\n",
            "def f(path):\n    for file in path.glob('*.sql'): print(file)\n",
            "import os\ndef f(): return [g for g in os.walk('.')]\n",
            "def f(path): return list(path.iterdir())\n",
            "def f(path): return sorted(path.iterdir(), key=len)\n",
        ),
        (
            "def f(path): return sorted(path.iterdir())\n",
            "def f(path): return sorted(file.name for file in path.rglob('*'))\n",
            "import ast\ndef f(tree): return ast.walk(tree)\n",
        ),
    ),
    (
        replayable.machine_sql,
        (
            "def f(c): c.execute(\"select random(), datetime('now')\")\n",
            "def f(c): c.execute('select random()')\n",
            "def f(c, t): c.execute(f'delete from {t} where at < DATETIME()')\n",
            "SQL = \"insert into log values (strftime('%s'))\"\n",
            "SQL = \"update log set at = unixepoch('now', '-1 day')\"\n",
            "SQL = 'create table a (at text default CURRENT_TIMESTAMP, id blob default (randomblob(16)))'\n",
        ),
        (
            "def f(c, now): c.execute('select datetime(?)', (now,))\n",
            "def f(rng):\n    \"\"\"Draws as random() does.\"\"\"\n    return rng.random()\n",
            "ADVICE = 'use loop.time() or ctx.random'\n",
            "SQL = \"select strftime('%s', at) from log\"\n",
        ),
    ),
    (
        replayable.collector,
        ("import gc\n", "from gc import collect\n", "import os\nX = os.environ['PYTHONHASHSEED']\n"),
        ("import weakref\n",),
    ),
    (rules.too_long, ("x = 1\n" * (rules.LINES_MAX + 1),), ("x = 1\n" * rules.LINES_MAX,)),
    (rules.module_docstring, ("x = 1\n",), ('"""What it is."""\nx = 1\n', "")),
    (
        rules.test_docstring,
        ("def test_a(): pass\n", "class TestA:\n    async def test_b(self): pass\n"),
        ('def test_a():\n    """A sentence."""\n', "def helper(): pass\n", "def f():\n    def test_x(): pass\n"),
    ),
    (
        rules.patched_code,
        (
            "from unittest.mock import patch\n",
            "from unittest import mock\ndef f():\n    with mock.patch('a.b'): pass\n",
            "def test_a(monkeypatch): monkeypatch.setattr('a.b', 1)\n",
        ),
        ("def test_a(monkeypatch): monkeypatch.setenv('A', 'b')\n",),
    ),
    (
        project.import_direction,
        ("import simulator.loop\n", "from simulator import loop\n", "def f():\n    import tests.world\n"),
        ("import byte_bot.errors\n", "from . import errors\n", "import simulators\n"),
    ),
)  # fmt: skip

BREAKS = [(rule, text) for rule, bad, _ in CASES for text in bad]
KEEPS = [(rule, text) for rule, _, good in CASES for text in good]


@pytest.mark.parametrize(("rule", "text"), BREAKS, ids=[rule.__name__ for rule, _ in BREAKS])
def test_rule_catches_a_planted_violation(rule: Callable[[Module], Iterator[Finding]], text: str) -> None:
    """A file written to break a rule is found by it."""
    assert list(rule(module(text)))


@pytest.mark.parametrize(("rule", "text"), KEEPS, ids=[rule.__name__ for rule, _ in KEEPS])
def test_rule_lets_good_code_pass(rule: Callable[[Module], Iterator[Finding]], text: str) -> None:
    """A file that does the same thing the way the house wants it is not found."""
    assert [str(finding) for finding in rule(module(text))] == []


def test_simulator_imports_of_the_bot_are_found() -> None:
    """An import of byte_bot by the simulator is a finding, which only an allowance lets pass."""
    fake = module("from byte_bot.chat.irc.line import parse\n", "simulator/twitch/irc.py")
    assert [finding.subject for finding in project.import_direction(fake)] == ["byte_bot"]


def test_what_the_plugin_brings_along_is_found() -> None:
    """An import of ours at the top of the plugin; in a function, or for the type checker only, it may stand."""
    text = "import simulator.loop\nfrom byte_bot import app\n"
    top = module(text, "byte_sim_pytest.py")
    assert [finding.subject for finding in project.brought_along(top)] == [
        "simulator.loop",
        "simulator",
        "byte_bot.app",
    ]
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import simulator.loop\ndef f():\n    import simulator\n"
    assert not list(project.brought_along(module(late, "byte_sim_pytest.py")))


def test_impurity_is_found_through_other_modules() -> None:
    """A pure module may not reach asyncio by importing a module of ours that does."""
    shell = module("import asyncio\n", "byte_bot/shell.py")
    pure = module("from byte_bot import shell\n", "byte_bot/pure.py")
    messages = [finding.message for finding in project.impure_import(pure, [pure, shell])]
    assert messages == ["a pure module imports byte_bot.pure -> byte_bot.shell -> asyncio"]


def test_pure_modules_may_name_types_of_the_outside() -> None:
    """An import that only the type checker sees does not make a module impure."""
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import random\n"
    assert list(project.impure_import(module(typed), [])) == []
    assert list(project.impure_import(module("import random\n"), []))


def test_instances_of_immutable_classes_are_constants() -> None:
    """A frozen instance at module level shares no state; one whose attributes change does."""
    classes = module(
        "class Stamp(Struct, frozen=True):\n    n: int\n\n"
        "@dataclass(frozen=True)\nclass Point:\n    x: int\n\n"
        "class Mark:\n    def __repr__(self): return 'Mark'\n\n"
        "class Client:\n    def __init__(self): self.open = True\n\n"
        "class Row(Struct):\n    n: int\n"
    )
    immutable = set(rules.immutable_classes(classes))
    assert immutable == {"Stamp", "Point", "Mark"}
    assert not list(rules.import_side_effect(module("ZERO = Stamp(0)\n"), immutable=immutable))


def test_untested_source_is_found() -> None:
    """A source with code and without a test file of its name is a finding; one that only declares is not."""
    source = module("def f(): return 1\n", "byte_bot/chat/line.py")
    empty = module("class Closed(Error):\n    def f(self) -> int: ...\n", "byte_bot/chat/__init__.py")
    assert list(project.untested([source], {"tests/byte_bot/test_line.py"}))
    assert not list(project.untested([source, empty], {"tests/byte_bot/chat/test_line.py"}))
    assert not list(project.untested([source, empty], {"tests/byte_bot/chat/test_line_escapes.py"}))
    top = module("def f(): return 1\n", "plugin.py")
    assert list(project.untested([top], {"tests/byte_bot/test_plugin.py"}))
    assert not list(project.untested([top], {"tests/test_plugin.py"}))


def test_dead_code_is_found() -> None:
    """A function, class or method that nobody mentions is a finding."""
    source = module(
        "def used(): ...\ndef dead(): return dead()\n"
        "class Used:\n    def called(self): ...\n    def idle(self): ...\n    def __len__(self): ...\n"
        "@app.command()\ndef registered(): ...\n"
        "class Pipe(asyncio.Protocol):\n    def data_received(self, data): ...\n"
    )
    reader = module("used(); Used().called(); Pipe()\n", "byte_bot/reader.py")
    names = [finding.subject for finding in project.unreferenced([source], [source, reader])]
    assert names == ["dead", "Used.idle"]


def test_export_list_of_a_plain_module_keeps_nothing_alive() -> None:
    """Only a package's export list makes a name public: that is what users import."""
    plain = module("__all__ = ['f']\ndef f(): ...\n")
    package = module("__all__ = ['f']\ndef f(): ...\n", "byte_bot/__init__.py")
    assert list(project.unreferenced([plain], [plain]))
    assert not list(project.unreferenced([package], [package]))


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (
            project.machine_path,
            "see /" + "work/main/x",
            "https://example.com/" + "work/x or the folder work/x",
        ),
        (project.machine_path, 'open("/' + 'tmp/x")', "tmp_path / 'x'"),
        (project.registry_host, "--index-url https://pypi." + "org/simple", "from PyPI"),
        (project.bare_install, "pip install byte-" + "bot", "pip install byte-bot-twitch"),
        (project.bare_install, "pip install -U 'byte-" + "bot[sim]'", "pip install 'byte-bot-twitch[sim]'"),
        (project.bare_install, "uvx byte-" + "bot", "byte-bot run"),
    ],
)
def test_text_rule_catches_a_planted_violation(rule: project.TextRule, bad: str, good: str) -> None:
    """A line that no file may hold is found, and its harmless neighbour is not."""
    assert list(rule("README.md", bad))
    assert not list(rule("README.md", good))


def test_relative_imports_are_resolved() -> None:
    """A relative import counts as the absolute one it stands for."""
    inner = module("from ..errors import A\nfrom . import line\n", "byte_bot/chat/irc/session.py")
    package = module("from .api import B\n", "byte_bot/components/__init__.py")
    assert [entry.target for entry in inner.imports] == ["byte_bot.chat.errors.A", "byte_bot.chat.irc.line"]
    assert [entry.target for entry in package.imports] == ["byte_bot.components.api.B"]


def test_environment_variables_and_fields_are_read() -> None:
    """Set and shown variables count, prose does not; a class's annotated fields count, its constants do not."""
    assert list(project.variables_of("# Copy to .env\nA_B=\n#C_D=1\n# E_F=2\n")) == ["A_B", "C_D"]
    assert project.fields_of(module("class S(B):\n    model = 1\n    a_b: int = 2\n"), "S") == {"a_b"}


def module(text: str, path: str = "byte_bot/made_up.py") -> Module:
    """A made-up file."""
    return Module(path, text)
