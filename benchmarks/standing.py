"""Where every promise and target stands: one table, made of what the benchmarks wrote. Pure.

How it works. Each benchmark writes its result as JSON; here it becomes a `Standing` a line: what was promised, what was
measured, and kept, broken or not measured. Judging is the benchmarks' own business (`chat_latency.findings`,
`throughput.verdicts`, the targets in the file of `scale`); P2, which is judged for each condition of a load, is one line a load,
with the names of those that break it and the figures of the first. With fewer rounds than P2 asks for (`--quick`), it says how many conditions kept it and is not judged. Promises that no benchmark can measure stand below,
with what shows them instead.

Left out: every figure behind a line; the benchmarks have printed those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from benchmarks import journal, save_sql, sim_speed
from benchmarks.chat_latency import RSS_GROWTH_MAX_MB, findings, rounds_of
from benchmarks.chat_plan import ROUNDS_MIN
from benchmarks.throughput import Row as ThroughputRow
from benchmarks.throughput import verdicts
from simulator.bench.report import Finding
from simulator.bench.results import Row

MARKS: Mapping[bool | None, str] = {True: "✓", False: "✗", None: "?"}
NOT_MEASURED = "not measured"
#: The promises that hold or do not, whatever the machine: `make test` shows them.
SHOWN_BY_TESTS: Mapping[str, str] = {
    "P1: non-interference": "`byte-sim twin`: 300 pairs of runs in `make test`",
    "P4: newest wins": "an invariant in every simulated night; the SQL on a real PostgreSQL",
    "P6: recovers": "an invariant in every simulated night",
    "P7: replayable": "50 runs of one seed in each of two orders of ready tasks are one trace, in several processes",
}


class Standing(msgspec.Struct, frozen=True):
    """How one promise stands: kept (True), broken (False), not measured (None)."""

    promise: str
    measured: str
    ok: bool | None


def table(results: Mapping[str, Any]) -> list[str]:
    """The lines of the table; `results` has what each benchmark wrote under its name, None if it wrote nothing."""
    standings = [
        *_latency(results.get("chat_latency")),
        *_throughput(results.get("throughput")),
        *_scale(results.get("scale")),
        *_journal(results.get("journal")),
        *_saves(results.get("save_sql")),
        *_simulator(results.get("sim_speed")),
    ]
    width = max(len(name) for name in (*(one.promise for one in standings), *SHOWN_BY_TESTS))
    lines = [f"  {'promise or target':<{width}}  measured", f"  {'─' * width}  {'─' * 40}"]
    lines += [f"{MARKS[one.ok]} {one.promise:<{width}}  {one.measured}" for one in standings]
    lines += ["", "  shown by the tests, not measured here"]
    return lines + [f"· {promise:<{width}}  {shown_by}" for promise, shown_by in SHOWN_BY_TESTS.items()]


def _latency(written: Any) -> Iterator[Standing]:
    rows = msgspec.convert(written or [], list[Row])
    found = findings(rows)
    yield from _flat(found, rows)
    yield from _counted(found, "P3", "P3: nothing lost or stale")
    yield from _counted(found, "requests", "requests per 1,000 messages")
    yield from _counted(found, "P5", f"P5: memory in a 60 s hang: at most {RSS_GROWTH_MAX_MB:g} MB")


def _flat(found: Sequence[Finding], rows: Sequence[Row]) -> Iterator[Standing]:
    loads = dict.fromkeys(finding.under for finding in found if finding.promise == "P2")
    if not loads:
        yield Standing("P2: flat latency", NOT_MEASURED, None)
    for under in loads:
        title = under.partition(": ")[0]
        rounds = rounds_of(under, rows)
        group = [finding for finding in found if finding.under == under]
        broken = [finding for finding in group if finding.ok is False]
        unknown = [finding for finding in group if finding.ok is None]
        enough = rounds >= ROUNDS_MIN
        few = "" if enough else f" ({rounds} round{'s' * (rounds != 1)} of {ROUNDS_MIN}: not judged)"
        words = f"{len(group) - len(broken) - len(unknown)} of {len(group)} conditions kept{few}"
        if broken:
            names = [finding.words.partition(":")[0] for finding in broken]
            words += f"; broken: {', '.join(names)} ({broken[0].words.partition(': ')[2]})"
        ok = None if unknown or not enough else True
        yield Standing(title, words, False if broken and enough else ok)


def _counted(found: Sequence[Finding], promise: str, name: str) -> Iterator[Standing]:
    group = [finding for finding in found if finding.promise == promise]
    if not group:
        yield Standing(name, NOT_MEASURED, None)
    for finding in group:
        measured = finding.words.removeprefix(f"{promise}: ").removeprefix(f"{promise}, ")
        yield Standing(
            name, measured if finding.ok is not None else f"{measured}: {NOT_MEASURED}", finding.ok
        )


def _throughput(written: Any) -> Iterator[Standing]:
    rows = msgspec.convert(written["rows"], list[ThroughputRow]) if written else []
    found = verdicts(rows)
    if not found:
        yield Standing("throughput", NOT_MEASURED, None)
    for ok, words in found:
        name, _, measured = words.partition(": ")
        rate = next((row.rate for row in rows if row.strategy == name), None)
        yield Standing(f"throughput, {name}", f"{measured}{f' ({rate:,.0f}/s)' if rate else ''}", ok)


def _scale(written: Any) -> Iterator[Standing]:
    targets = written["targets"] if written else []
    if not targets:
        yield Standing("scale", NOT_MEASURED, None)
    for target in targets:
        value = target["value"]
        measured = NOT_MEASURED if value is None else f"{_rounded(value)} {target['unit']}"
        yield Standing(target["name"], f"{measured} (at most {target['bound']:,g})", target["met"])


def _journal(written: Any) -> Iterator[Standing]:
    name = f"journal: {journal.REPLAY_OPERATIONS:,} operations replayed"
    if written is None:
        yield Standing(name, NOT_MEASURED, None)
        return
    result = msgspec.convert(written, journal.Result)
    if result.replay_s is None or result.replay_mb is None:
        yield Standing(name, NOT_MEASURED, None)
        return
    limits = f"at most {journal.REPLAY_S_MAX:g} s and {journal.REPLAY_MB_MAX:g} MB"
    yield Standing(
        name, f"{result.replay_s:.2f} s, {result.replay_mb:.0f} MB ({limits})", journal.verdict(result) == 0
    )


def _saves(written: Any) -> Iterator[Standing]:
    results = msgspec.convert(written or [], list[save_sql.Result])
    name = f"saves: {max(save_sql.SIZES)} rows in at most {save_sql.LIMIT_MS:g} ms"
    largest = save_sql.judged(results)
    if not largest:
        yield Standing(name, NOT_MEASURED, None)
        return
    ok = {0: True, 1: False}.get(save_sql.verdict(results))
    words = ", ".join(f"{one.case} {one.save_ms:.2f} ms" for one in largest)
    yield Standing(name, words if ok is not None else f"{words}: {NOT_MEASURED} (the machine was busy)", ok)


def _simulator(written: Any) -> Iterator[Standing]:
    found = {one.name: one for one in msgspec.convert(written or [], list[sim_speed.Speed])}
    for name, (target, unit) in sim_speed.TARGETS.items():
        title, one = f"simulator, {name}: at least {sim_speed.shown(target)} {unit}", found.get(name)
        if one is None:
            yield Standing(title, NOT_MEASURED, None)
            continue
        words = f"{sim_speed.shown(one.value)}, {sim_speed.shown(one.on_cpu)} by the CPU's clock"
        yield Standing(
            title,
            words if one.met is not None else f"{words}: {NOT_MEASURED} (the machine was busy)",
            one.met,
        )


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
