"""The transcript and the recent messages are bounded and keep the newest."""

from __future__ import annotations

from simulator.twitch.archive import Archive
from simulator.twitch.events import SentMessage


def message(number: int, *, from_client: bool = True) -> SentMessage:
    return SentMessage(
        float(number), "alice", "bot", f"text {number}", "", f"id-{number}", from_client=from_client
    )


def test_the_transcript_holds_only_what_clients_sent() -> None:
    """The audience's lines can be replied to but are not in the transcript."""
    archive = Archive()
    archive.add(message(1, from_client=False), None)
    archive.add(message(2), None)
    assert [entry.id for entry in archive.transcript] == ["id-2"]
    assert archive.find("id-1") == message(1, from_client=False)


def test_the_oldest_entries_go_and_are_counted() -> None:
    """Over its bound the transcript loses a tenth from the front."""
    archive = Archive(transcript_max=20, recent_max=5)
    for number in range(21):
        archive.add(message(number), None)
    assert (len(archive.transcript), archive.transcript_dropped) == (19, 2)
    assert archive.transcript[-1].id == "id-20"
    assert archive.find("id-15") is None
    assert archive.find("id-16") is not None


def test_a_thread_leads_to_its_first_message() -> None:
    """A reply to a reply belongs to the thread of the first message."""
    archive = Archive()
    archive.add(message(1), None)
    archive.add(message(2), message(1))
    archive.add(message(3), message(2))
    assert archive.thread_root(message(3)).id == "id-1"


def test_unique_chat_looks_at_the_texts_of_one_channel() -> None:
    """The same text elsewhere does not count, a forgotten message neither."""
    archive = Archive()
    archive.add(message(1), None)
    assert archive.said_in("alice", "text 1")
    assert not archive.said_in("bob", "text 1")
    archive.forget("id-1")
    assert not archive.said_in("alice", "text 1")


def test_a_cleared_archive_knows_nothing() -> None:
    """Neither the transcript nor what could be replied to."""
    archive = Archive()
    archive.add(message(1), None)
    archive.clear()
    assert archive.transcript == [] and archive.find("id-1") is None
