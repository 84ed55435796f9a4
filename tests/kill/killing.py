"""One kill from its plan to its verdict: load, fault, SIGKILL, restart, heal, drain, stop, judge.

Promise P3: what a viewer saw confirmed is never lost, and is in the database once it is back, exactly once in effect. See `plan.py` for what
varies and `told.py` for how it is judged. A kill passes if nothing is lost or doubled, no reply was false, the journal was never
degraded, everything was saved within P6's bound, and the last process stopped in order.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import asdict, dataclass, field
from typing import Any

from simulator.bench.load import OpenLoop
from simulator.bench.plan import Load
from tests.kill.changes import Script
from tests.kill.folding_bot import Folding, command
from tests.kill.plan import Plan
from tests.kill.theatre import NotSeen, RunningBot, Theatre

#: Commands that the new process gets after the looks.
AFTERWARDS = 20


@dataclass
class Outcome:
    """What came out of one kill; `recovery_s` None: it did not drain. `kills` counts every SIGKILL.

    `folds` is how often a journal folded what chat did, `in_folds` how many of the kills came in the midst of that.
    """

    seed: int
    condition: str
    kills: int = 0
    folds: int = 0
    in_folds: int = 0
    said: int = 0
    confirmed: int = 0
    found: int = 0
    lost: int = 0
    doubled: int = 0
    recovery_s: float | None = None
    seconds: float = 0.0
    degraded: bool = False
    broken: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return not self.broken

    @property
    def replay(self) -> str:
        """The command that tells this story again."""
        return f'make kill KILLS=1 ARGS="--seed {self.seed}"'

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "passed": self.passed, "replay": self.replay}


class Killing:
    """One kill; make it in the running loop and await `run` once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._outcome = Outcome(plan.seed, plan.condition)

    async def run(self) -> Outcome:
        """Play it; the bot's processes have ended when this returns or raises."""
        plan, outcome = self._plan, self._outcome
        started_s = self._loop.time()
        variables = {"DURABILITY": plan.durability, "FLUSH_INTERVAL_S": str(plan.flush_interval_s)}
        async with Theatre(plan.channels, plan.seed, **variables) as theatre:
            self._theatre = theatre
            self._script = Script(theatre.stage.channels, random.Random(f"script {plan.seed}"))
            try:
                await self._play()
            except NotSeen as error:
                outcome.broken.append(str(error))
            verdict = theatre.verdict()
            if theatre.degraded():
                outcome.degraded = True
                outcome.broken.append("the journal was degraded")
            outcome.said, outcome.confirmed, outcome.found = verdict.said, verdict.confirmed, verdict.found
            outcome.lost, outcome.doubled = verdict.lost, verdict.doubled
            outcome.broken += verdict.broken
            outcome.folds = sum(bot.count("fold_began") for bot in theatre.bots)
            outcome.in_folds = outcome.folds - sum(bot.count("fold_ended") for bot in theatre.bots)
        outcome.seconds = self._loop.time() - started_s
        return outcome

    async def _play(self) -> None:
        plan, theatre, outcome = self._plan, self._theatre, self._outcome
        if plan.breaks_at_s is None:
            theatre.break_database(plan.fault)
        if plan.false_start_s is not None:
            bot = await self._start(plan.folding_afterwards)
            await asyncio.sleep(plan.false_start_s)
            await self._kill(bot)
        bot = await self._start(plan.folding)
        await self._load_until_killed(bot)
        await asyncio.sleep(plan.away_s)
        if plan.heals_before:
            theatre.heal()
        for killed_after_s, folding in zip(plan.kills_again_s, plan.folding_again, strict=True):
            bot = await self._start(folding)
            await self._live_until_killed(bot, killed_after_s)
        bot = await self._start(plan.folding_afterwards)
        await self._live(bot)
        if not plan.heals_before:
            theatre.heal()
        outcome.recovery_s = await theatre.drained(bot)
        # What was settled stays settled, now that the database's word has come.
        await theatre.look_at_everything(bot)
        code = await theatre.stop(bot)
        if code != 0:
            outcome.broken.append(f"the last process stopped with exit code {code}")

    async def _start(self, folding: Folding | None) -> RunningBot:
        if folding is None:
            return await self._theatre.start()
        return await self._theatre.start(command=command(folding))

    async def _load_until_killed(self, bot: RunningBot) -> None:
        plan, theatre = self._plan, self._theatre
        load = Load(plan.channels, plan.rate, plan.kill_at_s)

        def say(number: int, due_s: float) -> None:
            if bot.process.running:
                theatre.say(self._script.next())

        try:
            await theatre.in_channels(bot)
            async with asyncio.TaskGroup() as tasks:
                if plan.breaks_at_s is not None:
                    tasks.create_task(self._break_at(plan.breaks_at_s))
                await OpenLoop(say).run(load)
        except NotSeen:
            if not await _died_in_fold(bot):
                raise
        await self._kill(bot, plan.mercy_s)

    async def _break_at(self, at_s: float) -> None:
        await asyncio.sleep(at_s)
        self._theatre.break_database(self._plan.fault)

    async def _kill(self, bot: RunningBot, mercy_s: float | None = None) -> None:
        await self._theatre.kill(bot, mercy_s)
        self._outcome.kills += 1

    async def _live(self, bot: RunningBot) -> None:
        """What viewers ask of a new process: what it remembers, then more of the same."""
        theatre = self._theatre
        await theatre.in_channels(bot)
        await theatre.look_at_everything(bot)
        for _ in range(AFTERWARDS):
            theatre.say(self._script.next())
        await theatre.answered(bot)

    async def _live_until_killed(self, bot: RunningBot, after_s: float) -> None:
        living = asyncio.create_task(self._live(bot))
        try:
            async with asyncio.timeout(after_s):
                await living
        except TimeoutError:
            pass  # the moment has come in the midst of it
        except NotSeen:
            if not await _died_in_fold(bot):
                raise
        await self._kill(bot)


async def _died_in_fold(bot: RunningBot) -> bool:
    """Whether it has killed itself, as it was told to."""
    if bot.process.running:
        return False
    await bot.process.wait()  # its last words are in its log
    return bot.event("dies_in_fold") is not None
