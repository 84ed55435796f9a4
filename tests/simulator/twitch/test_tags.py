"""Tags: the same keys in the same order as recorded lines, and values in their forms."""

from __future__ import annotations

import re

import pytest

from simulator.twitch import tags
from simulator.twitch.events import Channel, User
from simulator.twitch.line import Line, parse
from tests.simulator.twitch.rig import ALL_CAPS, Desk, recorded_lines

# What a value may look like, by key: taken from the documentation, checked below against the recorded lines as well.
FORMS = {
    "badge-info": r"(subscriber/\d+)?",
    "badges": r"([a-z0-9_-]+/\d+(,[a-z0-9_-]+/\d+)*)?",
    "color": r"(#[0-9A-F]{6})?",
    "emotes": r"([\w]+:\d+-\d+(,\d+-\d+)*(/[\w]+:\d+-\d+(,\d+-\d+)*)*)?",
    "first-msg": "[01]",
    "followers-only": r"-1|\d+",
    "id": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "mod": "[01]",
    "room-id": r"\d*",
    "subscriber": "[01]",
    "tmi-sent-ts": r"\d{13}",
    "turbo": "[01]",
    "user-id": r"\d+",
    "user-type": "(mod)?",
}
# Optional on the real wire, and never sent here.
NOT_MODELLED = {"rm-received-ts", "historical", "bits", "emote-only", "custom-reward-id"}


def recorded(command: str, *, msg_id: str = "", having: str = "", lacking: str = "\0") -> list[Line]:
    """Return recorded lines of a command that carry tags in alphabetical order, as lines of today do."""
    found = []
    for text in recorded_lines():
        if f" {command} " in text + " " and text.startswith("@") and having in text and lacking not in text:
            line = parse(text)
            if line.command == command and (not msg_id or line.tags.get("msg-id") == msg_id):
                found.append(line)
    assert found, f"no recorded {command}"
    return found


def sent_lines() -> dict[str, Line]:
    """Let one of everything happen in front of a bot and return the lines by name."""
    desk = Desk()
    state = desk.state
    state.set_role("alice", "mia", "moderator")
    session, wire = desk.connect()
    for text in (ALL_CAPS, "PASS oauth:bot-token", "NICK bot", "JOIN #alice"):
        session.receive(text)
    first = state.say("alice", "mia", "Kappa hello Kappa")
    state.say("alice", "carol", "yes", reply_to=first)
    session.receive("@client-nonce=n1 PRIVMSG #alice :hi")
    state.set_modes("alice", slow_s=5)
    state.timeout("alice", "carol", 60)
    state.ban("alice", "carol")
    state.clear_chat("alice")
    state.delete_message(first)
    state.subscribe("alice", "carol")
    state.subscribe("alice", "carol", months=7, plan="Prime", text="again")
    state.raid("alice", "mia", 42)
    state.announce("alice", "mia", "listen")
    lines = [parse(text) for text in wire.take()]
    named: dict[str, Line] = {}
    for line in lines:
        kind = line.tags.get("msg-id", "") if line.command == "USERNOTICE" else ""
        names = [line.command + kind, *(f"{line.command}+{key}" for key in line.tags)]
        for name in names:
            named.setdefault(name, line)
    return named


@pytest.mark.parametrize(
    ("name", "examples"),
    [
        ("GLOBALUSERSTATE", recorded("GLOBALUSERSTATE")),
        ("USERSTATE", recorded("USERSTATE")),
        ("ROOMSTATE", recorded("ROOMSTATE", having="followers-only")),
        ("CLEARCHAT+ban-duration", recorded("CLEARCHAT", having="ban-duration")),
        ("CLEARMSG", recorded("CLEARMSG")),
        ("USERNOTICEraid", recorded("USERNOTICE", msg_id="raid")),
        ("USERNOTICEsub", recorded("USERNOTICE", msg_id="sub")),
        ("USERNOTICEannouncement", recorded("USERNOTICE", msg_id="announcement", having="msg-param-color")),
    ],
)
def test_a_kind_of_line_has_the_recorded_tags(name: str, examples: list[Line]) -> None:
    """Every recorded tag is there; what we add is what today's documentation adds (vip)."""
    line = sent_lines()[name]
    for example in examples:
        assert set(example.tags) <= set(line.tags)
        assert set(line.tags) - set(example.tags) <= {"vip"}
        assert (line.prefix, len(line.params)) == (example.prefix, len(line.params))


def test_a_chat_message_has_every_tag_of_recorded_ones_in_their_order() -> None:
    """PRIVMSG carries all tags of recent lines, sorted as Twitch sorts them."""
    line = sent_lines()["PRIVMSG"]
    examples = recorded("PRIVMSG", having="first-msg=")
    for example in examples:
        optional = {key for key in example.tags if key.startswith(("reply-", "pinned-"))}
        missing = set(example.tags) - set(line.tags) - optional - NOT_MODELLED - {"client-nonce"}
        assert not missing
    assert list(line.tags) == sorted(line.tags)


def test_a_reply_carries_its_parent_and_thread() -> None:
    """The reply-* tags of a recorded reply are there, and the text begins with the mention that Twitch adds."""
    line = sent_lines()["PRIVMSG+reply-parent-msg-id"]
    (example,) = recorded("PRIVMSG", having="reply-thread-parent-msg-id", lacking="historical")
    assert {key for key in example.tags if key.startswith("reply-")} <= set(line.tags)
    assert line.tags["reply-parent-msg-body"] == "Kappa hello Kappa"
    assert line.params[1] == "@mia yes"


def test_values_have_the_forms_of_recorded_values() -> None:
    """Each known key matches its form, on recorded lines and on ours."""
    ours = list(sent_lines().values())
    real = [parse(text) for text in recorded_lines() if text.startswith("@badge-info=")]
    for line in (*ours, *real):
        for key, form in FORMS.items():
            if key in line.tags and not (key == "emotes" and line in real):
                assert re.fullmatch(form, line.tags[key]), (key, line.tags[key])


def test_every_tag_is_written_with_an_equals_sign() -> None:
    """twitchAPI fails on a tag without '='."""
    desk = Desk()
    _, wire = desk.log_in("bot", "alice")
    desk.state.say("alice", "carol", "hello")
    (text,) = wire.take()
    assert all("=" in part for part in text[1:].split(" ")[0].split(";"))


def test_badges_show_the_role_then_the_subscription_then_the_rest() -> None:
    """One role badge; the subscriber badge at its step; months in badge-info."""
    owner = User("1", "alice", "Alice")
    mod = User("2", "mo", "Mo", badges=("premium/1",))
    channel = Channel("1", "alice", owner, moderators={"mo": None}, subscribers={"mo": 14})
    assert tags.badges(mod, channel) == "moderator/1,subscriber/12,premium/1"
    assert tags.badge_info(mod, channel) == "subscriber/14"
    assert tags.badges(owner, channel) == "broadcaster/1"


def test_emote_positions_count_code_points() -> None:
    """Two emotes, the second after characters outside the basic plane, as in a recorded line."""
    assert (
        tags.emote_ranges("Kappa \U0001f449 LUL Kappa", {"Kappa": "25", "LUL": "4"}) == "25:0-4,12-16/4:8-10"
    )
