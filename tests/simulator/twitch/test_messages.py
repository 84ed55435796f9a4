"""Lines for many connections: which capability they need, and the fixed words of the real server."""

from __future__ import annotations

from simulator.twitch import messages
from simulator.twitch.line import parse
from tests.simulator.twitch.rig import Desk, recorded_lines


def test_the_welcome_is_the_recorded_one() -> None:
    """Numerics 002 to 376 have the recorded words; 001 begins them."""
    lines = messages.welcome("justinfan26682").decode().split("\r\n")[:-1]
    assert [parse(line).command for line in lines] == ["001", "002", "003", "004", "375", "372", "376"]
    assert all(line in recorded_lines() for line in lines[1:])


def test_names_come_in_short_lines_and_end_with_366() -> None:
    """Others first, the joining account in a line of its own, as recorded."""
    others = tuple(f"viewer_number_{n}" for n in range(60))
    lines = messages.names("bot", "alice", others).decode().split("\r\n")[:-1]
    assert lines[-1] == ":bot.tmi.twitch.tv 366 bot #alice :End of /NAMES list"
    assert lines[-2] == ":bot.tmi.twitch.tv 353 bot = #alice :bot"
    assert [name for line in lines[:-2] for name in parse(line).params[-1].split(" ")] == list(others)
    assert max(map(len, lines)) < 510


def test_a_line_is_sent_only_with_its_capability_and_tags_only_with_theirs() -> None:
    """USERSTATE needs commands; without tags the same line comes bare."""
    desk = Desk()
    line = messages.userstate(desk.state.user("bot"), desk.state.channel("alice"))
    assert line.for_capabilities({messages.TAGS: None}) is None
    assert line.for_capabilities({messages.COMMANDS: None}) == b":tmi.twitch.tv USERSTATE #alice\r\n"
    tagged = line.for_capabilities({messages.COMMANDS: None, messages.TAGS: None})
    assert tagged is not None
    assert tagged.startswith(b"@badge-info=;badges=;color=;")


def test_an_action_is_wrapped_as_on_the_wire() -> None:
    """/me arrives as CTCP ACTION."""
    desk = Desk()
    _, wire = desk.log_in("bot", "alice")
    desk.state.say("alice", "carol", "waves", is_action=True)
    assert wire.take()[0].endswith("PRIVMSG #alice :\x01ACTION waves\x01")


def test_moderation_lines_have_the_recorded_shape() -> None:
    """CLEARCHAT with and without a target, CLEARMSG with the text."""
    desk = Desk()
    _, wire = desk.log_in("bot", "alice")
    said = desk.state.say("alice", "carol", "rude")
    wire.take()
    desk.state.timeout("alice", "carol", 10)
    desk.state.clear_chat("alice")
    desk.state.delete_message(said)
    lines = [parse(text) for text in wire.take()]
    assert [(line.command, line.params) for line in lines] == [
        ("CLEARCHAT", ("#alice", "carol")),
        ("CLEARCHAT", ("#alice",)),
        ("CLEARMSG", ("#alice", "rude")),
    ]
    assert lines[0].tags["ban-duration"] == "10"
    assert lines[2].tags["target-msg-id"] == said
