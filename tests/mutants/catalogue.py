"""The planted bugs, by name: the shipped bot with one safeguard switched off, or one classic mistake put in.

How one is built stands in `mutant.py`. The invariants are those that may be the first to notice it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from byte_bot.chat.irc.client import IrcTransport
from byte_bot.persistence.backoff import Backoff
from byte_bot.persistence.boot import ChannelDirectory
from byte_bot.persistence.breaker import Breaker
from byte_bot.persistence.journal import Journal
from byte_bot.persistence.layer import PersistenceLayer
from byte_bot.persistence.ledger import Ledger
from byte_bot.persistence.row import Row
from byte_bot.persistence.writer import Writer
from simulator.faults import (
    Crash,
    EmptyList,
    HumanEdit,
    Latency,
    PowerCut,
    Restart,
    SecondInstance,
    SlowRecovery,
    TooLarge,
    TwitchDuplicates,
    TwitchHalfOpen,
)
from tests.mutants.mutant import (
    Deaf,
    Mutant,
    TaskPerChange,
    eager,
    in_the_bot,
    in_the_database,
    one_more,
    with_all,
    with_bot,
    with_breaker,
    with_death,
    with_eviction,
    with_faults,
    with_journal,
    with_layer,
    with_lost_connection,
    with_outage,
    with_rows,
    with_transport,
    with_trouble_at_the_disk,
    with_two_deaths,
    with_writer,
)
from tests.safeguards.altered import altered
from tests.safeguards.bot_variants import (
    CredulousBot,
    FairWeatherBot,
    HastyWriter,
    ImpatientWriter,
    LazyWriter,
    OneLifeTransport,
    SavesFirst,
)
from tests.safeguards.journal_variants import (
    DroppingJournal,
    HastyJournal,
    NoBoundaries,
    NoWindow,
    OldStamps,
    OpenGate,
    PatientJournal,
    RecordsFirst,
    StatesOnly,
    TrimOnly,
    application_on,
)
from tests.safeguards.row_variants import StamplessRow
from tests.safeguards.variants import application_with

MUTANTS: Final[Mapping[str, Mutant]] = {
    # saving
    "two_saves_in_flight": in_the_bot(
        "the writer does not wait for the answer to its last save",
        with_writer(ImpatientWriter),
        "single_save",
        # Of two saves of a row that wait out an outage only one is acknowledged.
        "recovers",
    ),
    "acknowledged_before_the_answer": in_the_bot(
        "rows count as saved as soon as the request leaves",
        with_writer(
            altered(
                Writer,
                _save=(
                    "            answer = await self._send(batch, sents)\n",
                    "            await self._acknowledge(list(sents), sents, self._layer.next_serial())\n            answer = await self._send(batch, sents)\n",
                ),
            )
        ),
        "agreement",
        needs=with_outage,
    ),
    "dirty_flag_lost_in_flight": in_the_bot(
        "what changes while a save is on its way counts as saved with it",
        with_rows(
            altered(
                Row,
                acknowledged=(
                    "[operation for operation in self.pending if not is_contained(operation, self.base)]",
                    "[]",
                ),
            )
        ),
        "agreement",
    ),
    "dirty_flag_cleared_too_early": in_the_bot(
        "rows are taken off the list before their save, and not put back when it fails",
        application_with(
            lambda made: made.layer.ledger,
            altered(
                Ledger,
                take=(
                    "        self._taken = bool(batch)\n",
                    "        self._taken = bool(batch)\n        for key in rows:\n            del self._dirty_since_s[key]\n",
                ),
            ),
        ),
        "agreement",
        needs=with_outage,
    ),
    "late_load_wins": in_the_bot(
        "a load that arrives late replaces what chat has changed meanwhile",
        with_rows(
            altered(
                Row,
                accept=(
                    "pending = [operation for operation in self.pending if not is_contained(operation, base)]",
                    "pending = list[Operation]()",
                ),
            )
        ),
        "agreement",
        "remembers",
    ),
    "row_without_base_sent": in_the_bot(
        "a row is saved before what the database has of it was read",
        eager,
        "agreement",
        "remembers",
        needs=with_all(with_outage, with_faults(Crash, PowerCut, Restart)),
    ),
    "failed_load_is_empty": in_the_bot(
        "a load that fails counts as one that found nothing",
        with_layer(
            altered(
                PersistenceLayer,
                _load_some=(
                    "            return\n        if epoch != self.epoch:\n",
                    "            found, serial, epoch = {}, self.next_serial(), self.epoch\n        if epoch != self.epoch:\n",
                ),
            )
        ),
        "agreement",
        "recovers",
        "remembers",
        needs=with_outage,
    ),
    "revision_starts_over": in_the_bot(
        "a row that comes back into memory counts its changes from one again",
        with_rows(
            altered(
                Row,
                accept=("        self.revision = max(self.revision, counted_revision(base, epoch))\n", ""),
            )
        ),
        "agreement",
        "recovers",
        needs=with_eviction,
    ),
    "doubt_forgotten": in_the_bot(
        "after a save without an answer, one that surely failed makes the first certain too",
        with_rows(
            altered(
                Row,
                unfreeze=("if self.sent is not None and not self.in_doubt:", "if self.sent is not None:"),
            )
        ),
        "agreement",
        "remembers",
        needs=with_all(with_outage, with_faults(Crash, PowerCut, Restart, HumanEdit)),
    ),
    "bisection_drops_the_neighbour": in_the_bot(
        "when a batch is refused as a whole, its second half counts as saved",
        with_writer(
            altered(
                Writer,
                _isolate=(
                    "            await self._save(second)\n",
                    "            self._layer.ledger.settle((), second.rows, self._now_s())\n",
                ),
            )
        ),
        "agreement",
        needs=with_faults(TooLarge),
    ),
    "edit_known_by_its_number": in_the_bot(
        "of a row that a human has edited the bot takes the new number, and keeps the values it knew",
        with_writer(
            altered(
                Writer,
                {"replace": msgspec.structs.replace},
                _refused=(
                    "self._layer.deliver(refusal.key, refusal.stored, serial, authoritative=True)\n",
                    (
                        "base = replace(self._layer.row(refusal.key).base, edit_no=refusal.stored.edit_no)\n"
                        "        stored = base if refusal.reason == 'edited' else refusal.stored\n"
                        "        self._layer.deliver(refusal.key, stored, serial, authoritative=True)\n"
                    ),
                ),
            )
        ),
        "human_values",
        needs=with_faults(HumanEdit),
    ),
    "writer_not_woken": in_the_bot(
        "nobody tells the writer that there is something to save",
        with_writer(LazyWriter),
        "recovers",
    ),
    "save_for_each_change": in_the_bot(
        "each change starts a task that saves it",
        with_layer(TaskPerChange),
        "bounded",
        needs=with_outage,
    ),
    # the way to the database
    "breaker_never_closes": in_the_bot(
        "the circuit stays half-open once it was open",
        with_breaker(altered(Breaker, succeeded=("        self.circuit = Circuit.CLOSED\n", ""))),
        "recovers",
        needs=with_outage,
    ),
    "backoff_without_cap": in_the_bot(
        "the pause between two tries doubles for as long as the outage lasts",
        application_with(
            lambda made: made.layer.link._breaker._backoff,
            altered(
                Backoff,
                next_delay_s=(
                    "min(self._cap_s, self._base_s * 2 ** min(self.failures, 30))",
                    "self._base_s * 2 ** min(self.failures, 30)",
                ),
            ),
        ),
        "recovers",
        needs=with_outage,
    ),
    # the journal
    "gate_does_not_wait": in_the_bot(
        "a reply leaves before its change is on the disk",
        with_journal(OpenGate),
        "gated",
        needs=with_trouble_at_the_disk,
    ),
    "save_does_not_wait": in_the_bot(
        "a save leaves before the journal knows its stamps",
        with_journal(HastyJournal),
        "agreement",
        "remembers",
        # What was said is not on the disk either when the process believes that it is, so the next one says too much.
        "within_limits",
        needs=with_all(with_trouble_at_the_disk, with_two_deaths),
    ),
    "saved_while_degraded": in_the_bot(
        "rows of an earlier process are saved while the disk takes no new stamps",
        with_writer(HastyWriter),
        "agreement",
        "remembers",
        needs=with_all(with_trouble_at_the_disk, with_two_deaths),
    ),
    "disk_waited_for": in_the_bot(
        "nobody watches how long a commit takes",
        with_journal(PatientJournal),
        "answered",
        "recovers",
        needs=with_trouble_at_the_disk,
    ),
    "degraded_for_good": in_the_bot(
        "replies go on leaving ungated when the disk works again",
        with_journal(
            altered(
                Journal,
                _commit_group=("        if self.degraded:\n            self._set_degraded(False)\n", ""),
            )
        ),
        "degraded",
        needs=with_trouble_at_the_disk,
    ),
    "folded_into_nothing": in_the_bot(
        "what waits while the disk fails is dropped",
        with_journal(DroppingJournal),
        "agreement",
        "gated",
        "remembers",
        needs=with_all(with_trouble_at_the_disk, with_death),
    ),
    "records_overtake_boundaries": in_the_bot(
        "a change is journaled before the boundary of the save that it came after",
        with_journal(RecordsFirst),
        "agreement",
        needs=with_all(with_trouble_at_the_disk, with_death),
    ),
    "boundaries_not_journaled": in_the_bot(
        "the journal does not know which save was on its way",
        application_on(NoBoundaries),
        "agreement",
        needs=with_all(with_outage, with_death),
    ),
    "replay_counts_twice": in_the_bot(
        "a replay puts on a row what the row has already",
        with_rows(StamplessRow),
        "agreement",
        "remembers",
        needs=with_all(with_outage, with_death),
    ),
    "old_stamps_kept": in_the_bot(
        "what an earlier process left is saved under new stamps that the journal does not know",
        application_on(OldStamps),
        "agreement",
        "remembers",
        needs=with_two_deaths,
    ),
    "snapshot_not_updated": in_the_bot(
        "the journal drops what was saved and keeps the row as it was before",
        application_on(TrimOnly),
        "remembers",
        "agreement",
        needs=with_all(with_outage, with_faults(Crash, PowerCut, Restart)),
    ),
    "configuration_not_restored": in_the_bot(
        "a start without the database takes the rows of its channels from the snapshot, and not how they are configured",
        application_with(lambda made: made.layer.snapshot, StatesOnly),
        "keeps_silent",
        needs=with_all(with_outage, with_faults(Crash, PowerCut, Restart)),
    ),
    "handled_messages_not_journaled": in_the_bot(
        "a new process does not know which messages were handled", application_on(NoWindow), "gated"
    ),
    # chat
    "duplicates_handled_twice": in_the_bot(
        "a message that Twitch delivers twice is handled twice",
        with_bot(CredulousBot),
        "answered_once",
        "agreement",
        needs=with_faults(TwitchDuplicates),
    ),
    "chat_waits_for_the_save": in_the_bot(
        "a reply waits until the database has everything",
        with_bot(SavesFirst),
        "answered",
        "bounded",
        needs=with_outage,
    ),
    "silent_in_an_outage": in_the_bot(
        "commands are passed over while the circuit is open",
        with_bot(FairWeatherBot),
        "answered",
        needs=with_outage,
    ),
    "rejoin_forgets_a_channel": in_the_bot(
        "after a reconnect the last channel is not joined again",
        with_transport(
            altered(
                IrcTransport,
                _live_once=("session.join(self._wanted)", "session.join(list(self._wanted)[:-1])"),
            )
        ),
        "present",
        needs=with_lost_connection,
    ),
    "never_reconnects": in_the_bot(
        "a lost connection to Twitch stays lost",
        with_transport(OneLifeTransport),
        "present",
        needs=with_lost_connection,
    ),
    "dead_connection_not_noticed": in_the_bot(
        "nobody asks a silent connection whether it lives",
        with_transport(altered(IrcTransport, {"IrcSession": Deaf}, _live_once=None)),
        "present",
        needs=with_faults(TwitchHalfOpen),
    ),
    "limiter_off_by_one": in_the_bot(
        "one message more than Twitch allows in its window", one_more, "within_limits", "answered"
    ),
    "empty_list_parts": in_the_bot(
        "an empty list of channels is a wish to leave them all",
        application_with(
            lambda made: made.directory,
            altered(
                ChannelDirectory,
                _reconcile=(
                    "            if not bases:\n                wanted.setdefault(login, channel_id)  # an empty list parts nobody\n",
                    "",
                ),
            ),
        ),
        "stays",
        needs=with_faults(EmptyList),
    ),
    # in the database
    "stale_save_accepted": in_the_database(
        "the database takes a save that is older than the row",
        "row_guard",
        "newest_wins",
        "agreement",
        needs=with_faults(Latency),
    ),
    "human_edit_overwritten": in_the_database(
        "the database takes a save whose sender did not see a human's edit",
        "edit_guard",
        "human_edits",
        "human_values",
        needs=with_faults(HumanEdit),
    ),
    "epoch_not_checked": in_the_database(
        "the database takes a save of a process that was superseded",
        "epoch_fence",
        "single_writer",
        needs=with_all(
            with_faults(Latency, SlowRecovery), with_faults(Crash, PowerCut, Restart, SecondInstance)
        ),
    ),
}
