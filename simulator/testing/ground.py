"""The ground that the parts of a night share: one clock, one tree of seeds, one board of faults, one trace.

Without a world the ground is bare, and each fake is built on it by the part that is asked for it. A world brings its own Twitch,
Supabase, board and trace, and the ground takes those (`adopt`), so that every fixture of a test talks about the same things.

An own invariant is a function that asserts. It is called with the object that it was given to (a world, a fake Twitch), every virtual
second and at the end of the test; the words of the first assertion that fails are the violation, and it is not asked again.

Left out: an invariant that must hold at every instant. Between two looks something may break and heal unseen, unless it observes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final

from simulator.fault_driver import check_simulated
from simulator.faults import Fault, FaultBoard
from simulator.loop import VirtualLoop
from simulator.report import Violation
from simulator.rng import SeedTree
from simulator.testing.errors import NotHere
from simulator.trace import Trace

if TYPE_CHECKING:  # the fakes take half a second to import, and a test of virtual time alone has none
    from simulator.supabase.server import FakeSupabase
    from simulator.twitch.events import SentMessage
    from simulator.twitch.state import TwitchState

#: How many of the last lines of chat a failed test shows.
LINES_MAX: Final = 12
#: How often own invariants look, virtual seconds: as often as a world's.
LOOK_S: Final = 1.0

Check = Callable[[Any], object]
SetFault = Callable[[Fault, str], None]


class Rule:
    """A function that asserts, as an invariant: `name` is the function's."""

    def __init__(self, check: Check, subject: object) -> None:
        """`check` gets `subject` at each look."""
        self.name = str(getattr(check, "__name__", type(check).__name__))
        self._check = check
        self._subject = subject
        self._broken = False

    def look(self) -> str:
        """The words of the assertion if it fails for the first time, "" if it holds, or was told already."""
        if self._broken:
            return ""
        try:
            self._check(self._subject)
        except AssertionError as error:
            self._broken = True
            return str(error) or "the assertion failed"
        return ""


class Ground:
    """See the module's docstring; belongs to the running virtual loop."""

    def __init__(self, loop: VirtualLoop, seed: int, tasks: asyncio.TaskGroup) -> None:
        """Make a bare one; `tasks` owns what goes on in the background."""
        self.loop = loop
        self._tasks = tasks
        self._background: dict[asyncio.Task[Any], None] = {}
        self.seed = seed
        self.seeds = SeedTree(seed)
        self.trace = Trace(loop.time)
        self.board = FaultBoard(loop.time, self.seeds.stream("faults"))
        self.violations: list[Violation] = []
        #: Each None until a part has brought it.
        self.twitch: TwitchState | None = None
        self.supabase: FakeSupabase | None = None
        #: Who the bot is, as far as it is known.
        self.bot_login = ""
        #: The last lines of chat, whoever said them.
        self.heard: deque[SentMessage] = deque(maxlen=LINES_MAX)
        self._set_fault: SetFault = self._set_on_board
        self._heal: Callable[[], None] = self._heal_board
        self._rules: list[Rule] = []

    def background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Let this go on beside the test, at most until its end."""
        task = self._tasks.create_task(work, name=name)
        self._background[task] = None
        task.add_done_callback(self._background.pop)
        return task

    def end_background(self) -> None:
        """The test is over: cancel what goes on."""
        for task in list(self._background):
            task.cancel()

    def adopt(
        self,
        *,
        trace: Trace,
        board: FaultBoard,
        violations: list[Violation],
        set_fault: SetFault,
        heal: Callable[[], None],
    ) -> None:
        """Take these of a world in place of the bare ones."""
        self.trace, self.board, self.violations = trace, board, violations
        self._set_fault, self._heal = set_fault, heal

    def listen(self, twitch: TwitchState) -> None:
        """This is the night's Twitch from now on."""
        self.twitch = twitch
        twitch.on_message(self.heard.append)

    # -- faults -----------------------------------------------------------------------------------------------------------

    def set_fault(self, fault: Fault, name: str) -> None:
        """Let a fault act from now; raises `NotHere` if there is nothing here that it could act on."""
        self._set_fault(fault, name)

    def end_fault(self, name: str) -> None:
        """End the fault of that name, if it acts."""
        if self.board.clear(name):
            self.trace.record("fault_ended", name=name)

    def heal(self) -> None:
        """End every fault."""
        self._heal()

    def _heal_board(self) -> None:
        self.trace.record("heal")
        self.board.clear_all()

    def _set_on_board(self, fault: Fault, name: str) -> None:
        struck = {"database": self.supabase, "twitch": self.twitch}.get(fault.family)
        if struck is None:
            fixture = {"database": "fake_supabase", "twitch": "fake_twitch"}.get(fault.family, "sim_world")
            raise NotHere(
                f"the fault {fault.kind!r} strikes the {fault.family}, and this test has none: let it use the fixture {fixture}"
            )
        check_simulated((fault,), "tcp")
        self.trace.record("fault", name=name, fault=fault.kind)
        self.board.set(name, fault)

    # -- own invariants -----------------------------------------------------------------------------------------------------

    def violated(self, invariant: str, words: str) -> None:
        """An own invariant was broken on bare ground."""
        self.trace.record("violation", invariant=invariant, words=words)
        self.violations.append(Violation(invariant, self.loop.time(), words))

    def watch(self, check: Check, subject: object) -> None:
        """Look at this invariant every virtual second, and at the end of the test."""
        if not self._rules:
            self.background(self._keep_watch(), "own invariants")
        self._rules.append(Rule(check, subject))

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Look at every own invariant now."""
        for rule in self._rules:
            if words := rule.look():
                self.violated(rule.name, words)


def told(violations: Iterable[Violation]) -> str:
    """Violations, one a line."""
    return "\n".join(str(violation) for violation in violations)
