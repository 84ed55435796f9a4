"""The house rules, applied to the whole tree.

Each test is one rule; `allowed.py` holds the exceptions with their reasons, and an exception that nothing needs any more
fails as well.  test_rules.py shows for each rule that it catches what it should.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

import pytest

from tests.tidy import allowed, project, replayable, rules, set_order
from tests.tidy.source import PLUGIN, ROOT, SOURCES, Finding, Module, modules, texts

_T = TypeVar("_T")


@pytest.fixture(scope="module")
def sources() -> list[Module]:
    """Every module of the two packages, and the pytest plugin."""
    return modules(*SOURCES)


@pytest.fixture(scope="module")
def tests() -> list[Module]:
    """Every module below tests/."""
    return modules("tests")


@pytest.fixture(scope="module")
def files() -> list[tuple[str, str]]:
    """Every text file of the tree."""
    return list(texts())


def test_imports_point_one_way(sources: list[Module]) -> None:
    """byte_bot never imports the simulator, which imports byte_bot only where it puts the bot on the fakes."""
    verdict(each(project.import_direction, sources), allowed.IMPORT_DIRECTION)


def test_the_plugin_brings_nothing_along(sources: list[Module]) -> None:
    """What every pytest run imports imports nothing of ours by itself: only tests and fixtures of its own do, when they run."""
    plugin = next(module for module in sources if module.path == PLUGIN)
    verdict(project.brought_along(plugin), {})


@pytest.mark.parametrize("path", allowed.PURE)
def test_pure_modules_import_nothing_impure(path: str, sources: list[Module]) -> None:
    """A module that is a function of its arguments exists and reaches no loop, clock, socket or machine through imports."""
    module = next((module for module in sources if module.path == path), None)
    assert module is not None, f"{path} is listed as pure and does not exist"
    verdict(project.impure_import(module, sources), {})


def test_no_project_import_hides_in_a_function(sources: list[Module]) -> None:
    """Modules of ours are imported at the top, so that a cycle shows itself at once."""
    verdict(each(rules.late_project_import, sources), allowed.LATE_PROJECT_IMPORT)


def test_nobody_reads_a_clock_or_the_machines_randomness(sources: list[Module]) -> None:
    """Time comes from the loop or the injected clock, randomness from an injected random.Random."""
    verdict(each(rules.clock_or_randomness, sources), allowed.CLOCK_OR_RANDOMNESS)


def test_nothing_stops_windows_users(sources: list[Module]) -> None:
    """What Windows lacks is used only where there is a fallback."""
    verdict(each(rules.unix_only, sources), allowed.UNIX_ONLY)


def test_no_global_statement(sources: list[Module]) -> None:
    """No function rebinds a name of its module."""
    verdict(each(rules.global_statement, sources), {})


def test_no_mutable_global(sources: list[Module]) -> None:
    """What stands at module level cannot be changed by anybody."""
    verdict(each(rules.mutable_global, sources), allowed.MUTABLE_GLOBAL)


def test_importing_does_nothing(sources: list[Module]) -> None:
    """An import defines things; it builds no instance and calls nothing."""
    immutable = set(each(rules.immutable_classes, sources))
    found = (
        finding for module in sources for finding in rules.import_side_effect(module, immutable=immutable)
    )
    verdict(found, allowed.IMPORT_SIDE_EFFECT)


def test_only_supervisors_catch_everything(sources: list[Module]) -> None:
    """A handler for every exception stands at a supervisor that logs and counts, and nowhere else."""
    verdict(each(rules.broad_except, sources), allowed.BROAD_EXCEPT)


def test_somebody_holds_every_task(sources: list[Module], tests: list[Module]) -> None:
    """A task belongs to a TaskGroup or its handle is kept."""
    verdict(each(rules.dropped_task, [*sources, *tests]), allowed.DROPPED_TASK)


def test_nothing_takes_its_order_from_a_set(sources: list[Module]) -> None:
    """No loop, join or pair follows the hashes of a set, made on the spot or behind a name, as `asyncio.wait` gives two."""
    verdict(each(set_order.set_order, sources), {})


def test_nobody_starts_a_thread(sources: list[Module]) -> None:
    """The bot and the fakes are one thread; who has to know of others is named."""
    verdict(each(replayable.thread, sources), allowed.THREAD)


def test_nothing_depends_on_addresses_or_hashes(sources: list[Module]) -> None:
    """id() and hash() are keys at most, and nothing takes its order from them."""
    verdict(each(replayable.address_or_hash, sources), allowed.ADDRESS_OR_HASH)


def test_sqlite_is_asked_for_neither_time_nor_chance(sources: list[Module]) -> None:
    """Its own clock and random numbers are no world's: what a statement needs of them is an argument."""
    verdict(each(replayable.machine_sql, sources), allowed.MACHINE_SQL)


def test_folders_are_read_in_order(sources: list[Module]) -> None:
    """What a folder lists is sorted at once: the file system promises no order."""
    verdict(each(replayable.file_order, sources), allowed.FILE_ORDER)


def test_one_place_decides_about_garbage(sources: list[Module]) -> None:
    """Finalisers run when the collector does: a world's loop decides when, and nobody else."""
    verdict(each(replayable.collector, sources), allowed.COLLECTOR)


def test_files_stay_readable(sources: list[Module], tests: list[Module]) -> None:
    """No file of code is longer than 450 lines."""
    verdict(each(rules.too_long, [*sources, *tests]), {})


def test_every_module_says_what_it_is(sources: list[Module], tests: list[Module]) -> None:
    """Every module with code has a docstring."""
    verdict(each(rules.module_docstring, [*sources, *tests]), {})


def test_every_test_is_a_sentence(tests: list[Module]) -> None:
    """Every test has a docstring that specifies it."""
    verdict(each(rules.test_docstring, tests), {})


def test_tests_inject_and_do_not_patch(tests: list[Module]) -> None:
    """Tests hand fakes to constructors and swap nothing inside a module."""
    verdict(each(rules.patched_code, tests), allowed.PATCHED_CODE)


def test_every_source_has_its_tests(sources: list[Module], tests: list[Module]) -> None:
    """tests/ mirrors the source: a/b/c.py is tested by tests/a/b/test_c.py."""
    verdict(project.untested(sources, {module.path for module in tests}), allowed.UNTESTED)


def test_nothing_is_dead(sources: list[Module], tests: list[Module]) -> None:
    """The bot's functions have a caller in the programs; the simulator's verbs have one there or in a test."""
    bot = [module for module in sources if module.package == "byte_bot"]
    simulator = [module for module in sources if module.package != "byte_bot"]
    other = modules("benchmarks")
    found = chain(
        project.unreferenced(bot, [*sources, *other], public=allowed.PUBLIC),
        project.unreferenced(simulator, [*sources, *tests, *other], public=allowed.PUBLIC),
    )
    verdict(found, allowed.UNREFERENCED)


def test_no_file_names_a_machines_folder(files: list[tuple[str, str]]) -> None:
    """No path of the machine on which somebody worked stands in any file."""
    verdict(each_text(project.machine_path, files), {})


def test_no_file_names_a_package_index(files: list[tuple[str, str]]) -> None:
    """Which package index to ask is the reader's own setting: no file holds an address."""
    verdict(each_text(project.registry_host, files), {})


def test_nobody_is_told_to_install_somebody_elses_project(files: list[tuple[str, str]]) -> None:
    """Install commands name byte-bot-twitch: the shorter name on the package index is another project."""
    verdict(each_text(project.bare_install, files), {})


def test_every_version_is_pinned_once() -> None:
    """constraints.txt holds sorted name==version lines and comments, and nothing else."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    names = [pin.partition("==")[0].lower() for pin in pins]
    assert all(pin.count("==") == 1 and " " not in pin for pin in pins)
    assert names == sorted(set(names))


def test_the_example_environment_names_real_settings(sources: list[Module]) -> None:
    """Every variable in .env.example is a field of Settings, and every field is shown there."""
    settings = next(module for module in sources if module.path == "byte_bot/settings.py")
    shown = list(project.variables_of((ROOT / ".env.example").read_text(encoding="utf-8")))
    assert sorted(shown) == sorted(field.upper() for field in project.fields_of(settings, "Settings"))


def each(rule: Callable[[Module], Iterator[_T]], chosen: Iterable[Module]) -> Iterator[_T]:
    """What a rule yields over modules."""
    return chain.from_iterable(map(rule, chosen))


def each_text(rule: project.TextRule, chosen: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """A rule's findings over texts."""
    return chain.from_iterable(rule(path, text) for path, text in chosen)


def verdict(found: Iterable[Finding], allowances: allowed.Allowances) -> None:
    """Fails with every finding that no allowance covers, and with every allowance that covers nothing."""
    needed = set()
    broken = []
    for finding in sorted(found):
        reach = [key for key in allowances if covers(key, finding)]
        needed.update(reach)
        if not reach:
            broken.append(str(finding))
    broken += [f"{key}: the allowance is not needed any more" for key in allowances if key not in needed]
    assert not broken, "\n" + "\n".join(broken)


def covers(key: tuple[str, str], finding: Finding) -> bool:
    """Whether the allowance `key` reaches a finding."""
    path, subject = key
    here = finding.path.startswith(path) if path.endswith("/") else finding.path == path
    return here and subject in {"", finding.subject}
