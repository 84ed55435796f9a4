"""What the house rules let pass, each with its reason.

An allowance is (path, subject): the path of a file, or of a folder when it ends in a slash; the subject is what the rule
names (a function, a module, a call), "" for any.  An allowance that no longer lets anything pass fails the test too.
"""

from __future__ import annotations

from collections.abc import Mapping

Allowances = Mapping[tuple[str, str], str]

# Modules that are functions of their arguments: no loop, no clock, no machine.  Each must exist.
PURE = (
    "byte_bot/chat/badges.py",
    "byte_bot/chat/eventsub/roster.py",
    "byte_bot/chat/eventsub/seen.py",
    "byte_bot/chat/eventsub/translation.py",
    "byte_bot/chat/irc/line.py",
    "byte_bot/chat/irc/session.py",
    "byte_bot/chat/message.py",
    "byte_bot/persistence/backoff.py",
    "byte_bot/persistence/breaker.py",
    "byte_bot/persistence/journal_backlog.py",
    "byte_bot/persistence/journal_image.py",
    "byte_bot/persistence/ledger.py",
    "byte_bot/persistence/operations.py",
    "simulator/bench/matching.py",
    "simulator/bench/results.py",
    "simulator/supabase/query.py",
    "simulator/twitch/limits.py",
    "simulator/twitch/line.py",
    "simulator/twitch/ratelimit.py",
)

IMPORT_DIRECTION: Allowances = {
    ("simulator/world.py", "byte_bot"): "the composition root of simulation: the real bot on the fakes",
    (
        "simulator/simulated_bot.py",
        "byte_bot",
    ): "the real bot as a process of a world, with a disk of its own",
    ("simulator/disk.py", "byte_bot"): "the bot's own journal file, on a disk of a world",
    ("simulator/token_shelf.py", "byte_bot"): "the bot's token between its processes",
    ("simulator/losses.py", "byte_bot"): "reads on that disk what a death has left",
    (
        "simulator/scenario_settings.py",
        "byte_bot",
    ): "the bot's own rules judge the settings that a scenario file names",
    ("simulator/twin.py", "byte_bot"): "plays the shipped bot unless a test gives it another",
    (
        "simulator/witness.py",
        "byte_bot",
    ): "looks at the bot's public state, and times its journal's commits",
    ("simulator/timeline_states.py", "byte_bot"): "looks at the bot's public state",
    ("simulator/search/outcome.py", "byte_bot"): "plays the shipped bot unless a test gives it another",
    ("simulator/search/canary.py", "byte_bot"): "the shipped bot, with a bug planted in its surroundings",
    ("simulator/invariants/", "byte_bot"): "compare what the bot holds with what the fakes saw",
    ("simulator/testing/sim_world.py", "byte_bot"): "the same for one test, with components of the user's",
    ("simulator/cli.py", "byte_bot"): "starts worlds, and the shipped bot beside the fakes",
}

LATE_PROJECT_IMPORT: Allowances = {
    (
        "byte_sim_pytest.py",
        "",
    ): "loaded by every pytest run, whoever's: what is ours comes with the first test or fixture of ours",
}

CLOCK_OR_RANDOMNESS: Allowances = {
    ("byte_bot/clock.py", ""): "the one place that reads the machine's clock, behind a protocol",
    ("byte_bot/launch.py", "os.urandom"): "the seed of the real bot's random.Random; a world gives its own",
    (
        "simulator/workers.py",
        "time.monotonic",
    ): "how long a process has played one night, in real time; no world asks",
    (
        "simulator/guards.py",
        "random.__all__",
    ): "guards what makes runs differ, and so has to name it; draws nothing",
}

THREAD: Allowances = {
    (
        "byte_bot/persistence/journal_thread.py",
        "threading",
    ): "the disk's thread: it starts one and hands it commits; worlds have no such store",
    (
        "byte_bot/persistence/fresh_stack.py",
        "on_fresh_stack",
    ): "an empty stack for one call, which is waited for; worlds record nothing that needs it",
    (
        "byte_bot/context/bridge.py",
        "threading",
    ): "other threads come to the bot here: knows its own thread, starts none",
    (
        "byte_bot/auth/token_file.py",
        "TokenFile.load",
    ): "a slow disk must not hold up chat; a world's loop does the job inline",
    ("byte_bot/auth/token_file.py", "TokenFile.save"): "the same",
    ("simulator/auditor.py", "threading"): "tells the world's thread from a test runner's; starts none",
    ("simulator/guards.py", "_thread"): "guards the start of threads; starts none",
    ("simulator/virtual_loop.py", "threading"): "refuses calls from other threads; starts none",
    (
        "simulator/virtual_loop.py",
        "VirtualLoop.run_in_executor",
    ): "hybrid loops: time stands still while the job runs",
    (
        "simulator/workers.py",
        "",
    ): "each process plays whole worlds; what comes out is taken in order of the seeds",
}

ADDRESS_OR_HASH: Allowances = {
    ("simulator/guards.py", ""): "finds the very objects in modules; a dictionary's key, never ordered by it",
    (
        "simulator/tasks.py",
        "StepOrder._arrange",
    ): "keys of a dictionary within one call, never ordered by them",
    ("simulator/twitch/irc.py", ""): "keys of a room's sessions, which stand in the order they came",
    ("simulator/virtual_loop.py", "VirtualLoop.live_tasks"): "sorted by the number of the task at once",
}

MACHINE_SQL: Allowances = {}

FILE_ORDER: Allowances = {}

COLLECTOR: Allowances = {
    ("byte_bot/garbage.py", "gc"): "the real process's collections; worlds do without",
    ("simulator/garbage.py", "gc"): "the one place that decides when a world collects",
    ("simulator/loop.py", "gc"): "collects once a world has ended",
    ("simulator/process.py", "gc"): "lets the dead of a world go once it has ended",
    ("simulator/virtual_loop.py", "gc"): "collects after fixed numbers of iterations",
    ("simulator/guards.py", "gc"): "finds the dictionary of a class written in C",
    ("simulator/demo.py", "gc"): "a real process, whose own stalls must not look like the bot's",
    ("simulator/bench/load.py", "gc"): "a real process; the same",
    ("simulator/replay.py", "record_elsewhere"): "gives another process other hashes on purpose, to compare",
    ("simulator/workers.py", "_hashing_by"): "the same",
}

UNIX_ONLY: Allowances = {
    ("byte_bot/persistence/journal_lock.py", "fcntl"): "Windows' branch beside it locks with msvcrt",
    ("byte_bot/launch.py", "add_signal_handler"): "falls back to signal.signal where the loop has none",
    ("simulator/keyboard.py", ""): "imported under try; without them the demo says that keys do not work",
}

MUTABLE_GLOBAL: Allowances = {}

IMPORT_SIDE_EFFECT: Allowances = {}

BROAD_EXCEPT: Allowances = {
    (
        "byte_bot/bot.py",
        "Bot.remove_component",
    ): "supervisor: a failing clean-up must not stop the shutdown's flush",
    (
        "byte_bot/inbox.py",
        "Inboxes._handle_ready",
    ): "supervisor: a defect costs one message, logged and counted",
    ("byte_bot/turn.py", "_started"): "hands whatever reaches the task on to the handler that runs in it",
    ("byte_bot/bot.py", "Bot._run_deferred"): "supervisor: a component's slow work may fail in any way",
    (
        "byte_bot/turn.py",
        "Turn._transaction",
    ): "supervisor: a component may fail in any way; rolled back, counted",
    (
        "byte_bot/components/loader.py",
        "_failure",
    ): "supervisor: every module that cannot be loaded is named at once",
    (
        "byte_bot/persistence/state.py",
        "StateSpec._upgraded",
    ): "supervisor: an author's upgrade may fail in any way; the row is then unreadable",
    (
        "byte_bot/persistence/state.py",
        "StateSpec.__init__",
    ): "supervisor: an author's class may fail in any way at its own defaults; it is then declared wrongly",
    (
        "byte_bot/persistence/state.py",
        "StateSpec.instance",
    ): "supervisor: an author's __post_init__ may fail in any way; the row is then unreadable",
    (
        "byte_bot/persistence/state.py",
        "StateSpec.check_field",
    ): "supervisor: the same for one field; the value is then refused",
    (
        "byte_bot/persistence/state.py",
        "StateSpec.field_from",
    ): "the same",
    (
        "byte_bot/persistence/journal_file.py",
        "SqliteJournal.apply",
    ): "supervisor: the commit is in the file; what is remembered of it is dropped",
    (
        "byte_bot/persistence/journal_thread.py",
        "FileJournalStore._fold",
    ): "supervisor: a field that cannot be read must not end the journal's thread; logged",
    (
        "byte_bot/persistence/journal_thread.py",
        "FileJournalStore._try",
    ): "supervisor: whatever fails in a commit degrades the journal, and its thread lives on",
    (
        "simulator/watches.py",
        "Watches.look",
    ): "hands whatever a condition raises to the task that waits for it",
    ("simulator/twin.py", "_run_twins"): "supervisor: a defect ends one world, not a search of thousands",
    (
        "simulator/twin.py",
        "run_seed",
    ): "supervisor: a plan that cannot be drawn ends one pair, not a search of thousands",
    ("simulator/search/outcome.py", "judge_traced"): "supervisor: a defect ends one night, not a search",
    ("simulator/replay.py", "record_night"): "supervisor: whatever ends a night, what led to it is shown",
    (
        "simulator/search/outcome.py",
        "_drawn",
    ): "supervisor: a night that cannot be drawn is one bad seed of a search",
    ("byte_bot/chat/outbox.py", "Outbox._post"): "supervisor: a bug costs one message, logged and counted",
    ("byte_bot/chat/outbox.py", "Outbox._work"): "supervisor: a bug costs one message, logged and counted",
}

DROPPED_TASK: Allowances = {}

PATCHED_CODE: Allowances = {}

UNTESTED: Allowances = {}

UNREFERENCED: Allowances = {}

# Names whose caller is outside: an entry point in pyproject.toml, a hook that a library or an extension calls.
PUBLIC: Mapping[str, str] = {
    "main": "entry point of byte-bot and byte-sim",
    "setup": "what an extension module defines for the bot to call",
    "guard": "extension API: decorator of a component's guard",
    "defer": "extension API: slow work of a handler",
    "_touch": "extension API: records changes made outside a transaction, from any thread",
    "_run_once": "asyncio's run_forever calls it: an iteration of the loop",
}
