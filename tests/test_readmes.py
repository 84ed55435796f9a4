"""The three READMEs, held against the code: what they list is complete, what they show runs, what they link to exists.

A page that names every setting, command, fault, route and message is only worth something while it is right. These tests fail
when one is added, renamed or given another default without a word in the page that documents it.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Ge, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from typer.main import get_command

from byte_bot import check_database
from byte_bot.chat.message import Role
from byte_bot.check_cloud import NAME as CLOUD
from byte_bot.check_token import APPLICATION
from byte_bot.check_token import NAME as TOKEN
from byte_bot.cli import build_cli as build_bot_cli
from byte_bot.components import api, builtin
from byte_bot.components.api import Command, Component
from byte_bot.components.router import Router
from byte_bot.errors import ExitCode
from byte_bot.persistence import supabase_store
from byte_bot.settings import Settings
from simulator.cli import build_cli
from simulator.control import ROUTES
from simulator.faults import KINDS, Fault
from simulator.invariants.standard import night_invariants
from simulator.loop import run
from simulator.replay import record_night
from simulator.scenario_file import CROWDS, ScenarioFileError, parse_night
from simulator.scenarios import SCENARIOS
from simulator.seed_file import read_seed_file
from simulator.twitch.verbs import VERBS
from simulator.world import simulate
from tests.byte_bot.components.harness import chat_with

ROOT = Path(__file__).parents[1]
ROOT_README, BOT_README, SIMULATOR_README = READMES = (
    ROOT / "README.md",
    ROOT / "byte_bot" / "README.md",
    ROOT / "simulator" / "README.md",
)
ROOT_LINES_MAX = 150

_FENCE = re.compile(
    r"^(?:<!-- tested: (?P<name>\w+) -->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<words>.+)$", re.MULTILINE)


def text_of(readme: Path) -> str:
    """A README's whole text."""
    return readme.read_text(encoding="utf-8")


def rows_of(readme: Path, heading: str = "") -> list[list[str]]:
    """The cells of every table row of a README, or of its section ``## heading``."""
    text = text_of(readme)
    if heading:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = text.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def row_about(readme: Path, heading: str, name: str) -> list[str]:
    """The one table row of a section whose first cell is ``name`` as code."""
    found = [row for row in rows_of(readme, heading) if row[0] == f"`{name}`"]
    assert len(found) == 1, f"{heading}: {len(found)} table rows about {name}"
    return found[0]


def blocks_of(readme: Path) -> list[tuple[str, str]]:
    """The Python blocks of a README: name of the comment in front ("" without one), and code."""
    return [(match["name"] or "", match["code"]) for match in _FENCE.finditer(text_of(readme))]


def block(readme: Path, name: str) -> str:
    """The Python block with that name."""
    return dict(blocks_of(readme))[name]


def executed(code: str) -> dict[str, Any]:
    """The names that a block defines; postponed annotations are not forced on it, as on no user's file."""
    module = types.ModuleType("example")
    exec(compile(code, "example", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def anchors_of(readme: Path) -> set[str]:
    """The anchors of a README's headings, as GitHub makes them."""
    words = (match["words"].lower() for match in _HEADING.finditer(text_of(readme)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in words}


# ── all three ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_root_page_is_short() -> None:
    """Whoever comes first reads 150 lines at most."""
    assert len(text_of(ROOT_README).splitlines()) <= ROOT_LINES_MAX


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_relative_link_leads_somewhere(readme: Path) -> None:
    """Files exist, and so do the headings that are linked to."""
    for match in _LINK.finditer(text_of(readme)):
        target, _, anchor = match["target"].partition("#")
        if target.startswith("http"):
            continue
        page = (readme.parent / target).resolve() if target else readme
        assert page.exists(), match["target"]
        if anchor:
            assert anchor in anchors_of(page), match["target"]


@pytest.mark.parametrize(
    ("readme", "code"),
    [
        pytest.param(readme, code, id=f"{readme.parent.name}-{number}")
        for readme in (BOT_README, SIMULATOR_README)
        for number, (name, code) in enumerate(blocks_of(readme))
        if not name.startswith("plugin_")  # whole test files for pytest: test_byte_sim_pytest.py runs them
    ],
)
def test_every_python_block_runs(readme: Path, code: str, tmp_path: Path) -> None:
    """Each block is complete in itself; the tests in it pass."""
    names = executed(code)
    for name, value in names.items():
        if name.startswith("test_"):
            value(**{"tmp_path": tmp_path} if "tmp_path" in inspect.signature(value).parameters else {})


# ── the bot ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def default_in_words(field: FieldInfo) -> str:
    """How the table shows a setting's default."""
    if field.is_required():
        return "required"
    default = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default in ("", ()):
        return "empty"
    return f"`{default:g}`" if isinstance(default, float) else f"`{str(default).lower()}`"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_stands_in_the_table_with_its_default(name: str) -> None:
    """One row for each variable: its default, and its range if it has one."""
    field = Settings.model_fields[name]
    row = row_about(BOT_README, "Settings", name.upper())
    assert row[1] == default_in_words(field)
    least = [mark.ge for mark in field.metadata if isinstance(mark, Ge)]
    most = [mark.le for mark in field.metadata if isinstance(mark, Le)]
    if least and most:
        assert row[2].endswith(f"{least[0]} to {most[0]}")


def test_no_setting_is_invented() -> None:
    """Whatever the table calls a variable is one."""
    variables = [
        row[0].strip("`")
        for row in rows_of(BOT_README, "Settings")
        if re.fullmatch(r"`[A-Z]+(_[A-Z0-9]+)+`", row[0])
    ]
    assert sorted(variables) == sorted(name.upper() for name in Settings.model_fields if "_" in name)


class Collector:
    """Takes components as the bot does."""

    def __init__(self) -> None:
        self.router = Router()

    async def add_component(self, component: Component) -> None:
        """Register it."""
        self.router.add(component)


def built_in_commands() -> tuple[Command, ...]:
    """The commands of the built-in components."""
    collector = Collector()
    run(builtin.setup(collector))
    return collector.router.commands


@pytest.mark.parametrize("command", built_in_commands(), ids=lambda command: command.name)
def test_every_built_in_command_is_documented(command: Command) -> None:
    """Its name and aliases, and that it is for moderators if it is."""
    found = [row for row in rows_of(BOT_README, "Commands") if re.match(rf"`!{command.name}[ `]", row[0])]
    assert len(found) == 1
    assert re.findall(r"`!(\w+)`", found[0][1]) == list(command.aliases)
    assert ("moderators" in found[0][2]) == (command.role == Role.MODERATOR)


def test_the_deaths_example_is_the_one_of_the_api() -> None:
    """The page, the front page and the module's docstring show the same two classes."""
    docstring = inspect.getdoc(api) or ""
    example = inspect.cleandoc(docstring.partition("::\n")[2].partition("``COMPONENTS")[0])
    front = text_of(ROOT_README)
    shown = [blocks_of(ROOT_README)[0][1], block(BOT_README, "deaths"), example]
    assert "class DeathCounter(Component)" in front
    first, second, third = (
        [ast.dump(node) for node in ast.parse(code).body if isinstance(node, ast.ClassDef)] for code in shown
    )
    assert len(first) == 2
    assert first == second == third


def test_the_deaths_example_counts() -> None:
    """What a reader copies works in chat."""
    names = executed(block(BOT_README, "deaths"))

    async def story() -> None:
        async with chat_with(names["DeathCounter"]()) as chat:
            assert await chat.mod("!death lava") == "Deaths: 1"
            assert chat.state(names["Deaths"]).last == "lava"

    run(story())


#: What a file has to say before `log_calls` looks into it.
LOGS = re.compile(r"\b_?log\s*\.\s*(?:warning|error|exception)\b")


def log_calls() -> Iterator[tuple[str, str]]:
    """Where the bot logs a warning or worse: file, and the event (up to the first placeholder)."""
    for path in sorted((ROOT / "byte_bot").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        # A tree is dear, every worker needs this before its first test, and most files log nothing.
        for node in ast.walk(ast.parse(text)) if LOGS.search(text) else ():
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name(id="_log" | "log"), attr="warning" | "error" | "exception"
                    ),
                    args=[ast.Constant(value=str(event)), *_],
                ):
                    yield path.name, event.partition("%")[0].strip(" #")


@pytest.mark.parametrize(("file", "event"), sorted(set(log_calls())))
def test_every_warning_is_explained(file: str, event: str) -> None:
    """Whoever meets a warning or an error in the log finds it in the troubleshooting tables."""
    documented = [row[0] for row in rows_of(BOT_README, "Troubleshooting, by message")]
    assert any(re.search(rf"`{re.escape(event)}\b", cell) for cell in documented), f"{file} logs {event!r}"


@pytest.mark.parametrize("code", [*supabase_store._PAUSING_CODES, *map(str, supabase_store._PAUSING_STATUS)])
def test_every_reason_to_pause_is_explained(code: str) -> None:
    """Each code after which saving pauses has a row that says what to do."""
    assert any(f"`{code}`" in row[0] for row in rows_of(BOT_README, "Troubleshooting, by message"))


@pytest.mark.parametrize(
    "name",
    ["settings", "journal", APPLICATION, TOKEN, "twitch login", CLOUD, "database", *check_database._NAMES],
)
def test_every_line_of_the_check_is_explained(name: str) -> None:
    """Each finding of ``byte-bot check`` has a row."""
    assert any(f"`{name}`" in row[0] for row in rows_of(BOT_README, "Troubleshooting, by message"))


def test_every_exit_code_is_explained() -> None:
    """The table of exit codes is complete."""
    assert [row[0] for row in rows_of(BOT_README, "Exit codes") if row[0].isdecimal()] == [
        str(int(code)) for code in ExitCode
    ]


def test_every_journal_command_and_option_is_explained() -> None:
    """Each command of `byte-bot journal` has a row that says whether the bot may run; options stand in the section."""
    program: Any = get_command(build_bot_cli())
    section = (
        text_of(BOT_README).partition("### Looking into the journal")[2].partition("### Dead letters")[0]
    )
    for name, command in program.commands["journal"].commands.items():
        assert f"| `byte-bot journal {name}" in section
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert f"`{parameter.opts[0]}" in section, f"{name} {parameter.opts[0]}"


# ── the simulator ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_is_documented(kind: str) -> None:
    """One row for each kind, with every field of its own, and the class's name follows from the kind's."""
    common = {field.name for field in dataclasses.fields(Fault)}
    fields = [field.name for field in dataclasses.fields(KINDS[kind]) if field.name not in common]
    assert [
        name
        for name in re.findall(r"`(\w+)`", row_about(SIMULATOR_README, "Faults", kind)[1])
        if name in fields
    ] == fields
    assert KINDS[kind].__name__.lower() == kind.replace("_", "")


@pytest.mark.parametrize("route", ROUTES)
def test_every_control_route_is_documented(route: str) -> None:
    """Each route has a paragraph that begins with it, and a command to try."""
    method, _, path = route.partition(" ")
    paragraph = text_of(SIMULATOR_README).partition(f"**`{route}`**")[2].partition("**`")[0]
    assert re.search(rf"curl -s .*\$C{path}", paragraph)
    assert (f"-X {method}" in paragraph) == (method != "GET")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_the_control_address_is_listed(verb: str) -> None:
    """In the table of what `POST /events` takes."""
    rows = rows_of(SIMULATOR_README, "Serve: the fakes on real ports")
    assert any(f"`{verb}`" in row[0] for row in rows)


def test_the_seed_file_that_is_shown_is_one(tmp_path: Path) -> None:
    """Whoever copies it starts the fakes with it."""
    file = tmp_path / "seed.toml"
    file.write_text(text_of(SIMULATOR_README).partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    seed = read_seed_file(file)
    assert [channel.login for channel in seed.snapshot.channels] == ["padaria"]


@pytest.mark.parametrize(
    "name",
    ["TWURPLE_MOCK_API_PORT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "BYTE_SIM_JSON"],
)
def test_every_variable_that_libraries_read_is_named(name: str) -> None:
    """Beside Byte Bot's settings and the values of the line."""
    rows = rows_of(SIMULATOR_README, "Exec: your bot on the fakes")
    assert any(f"`{name}`" in cell for row in rows for cell in row)


def test_the_scenario_file_that_is_shown_is_one() -> None:
    """Whoever copies it has a night with something of everything, in which every promise is kept."""
    text = (
        text_of(SIMULATOR_README)
        .partition("### Scenario files")[2]
        .partition("```toml\n")[2]
        .partition("```")[0]
    )
    night = parse_night(text, "bakery.toml")
    report = simulate(night.scenario, night.seed, transport=night.transport, ready_order=night.ready_order)
    assert report.ok, report.to_text()
    assert {type(crowd) for crowd in night.scenario.crowds} == set(CROWDS.values())
    with pytest.raises(ScenarioFileError) as refused:
        parse_night(text.replace('kind = "raid"', 'kind = "raids"'), "bakery.toml")
    assert f"byte-sim: {refused.value}\n" in text_of(SIMULATOR_README)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_listed(name: str) -> None:
    """One row for each night that can be simulated."""
    assert row_about(SIMULATOR_README, "Named scenarios", name)


def options() -> Iterator[tuple[str, str]]:
    """Every option of ``byte-sim``: command and option."""
    program: Any = get_command(build_cli(SCENARIOS, record_night))
    for name, command in program.commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                yield name, parameter.opts[0]


@pytest.mark.parametrize(("command", "option"), list(options()))
def test_every_option_is_documented(command: str, option: str) -> None:
    """Each option of each command stands in the section of that command."""
    heading = {
        "demo": "The demo",
        "serve": "Serve: the fakes on real ports",
        "exec": "Exec: your bot on the fakes",
        "bench": "Measure your own bot",
        "run": "Named scenarios",
        "list": "Named scenarios",
        "replay": "Determinism",
        "twin": "Twins",
        "search": "Search",
        "shrink": "Shrinking",
    }[command]
    assert any(re.search(rf"`{option}[ `]", row[0]) for row in rows_of(SIMULATOR_README, heading))


@pytest.mark.parametrize("name", [invariant.name for invariant in night_invariants()])
def test_every_invariant_is_explained(name: str) -> None:
    """One row for each."""
    assert row_about(SIMULATOR_README, "Invariants", name)


def test_the_story_is_a_whole_test_file() -> None:
    """The first example of a story holds a test that passes by itself."""
    names = executed(block(SIMULATOR_README, "story"))
    story: Callable[[], None] = names["test_an_outage_is_not_felt_in_chat"]
    story()
