"""Real lines of Twitch as chat events."""

from __future__ import annotations

import pytest

from byte_bot.chat.irc.line import IrcLine, parse
from byte_bot.chat.irc.translation import TRANSLATORS, read_privileged, read_role
from byte_bot.chat.message import (
    ChatCleared,
    ChatEvent,
    ChatMessage,
    ChatNotice,
    ChatterBanned,
    Gift,
    MessageDeleted,
    Raid,
    Role,
    Subscription,
)
from tests.byte_bot.chat.irc.wire import wire_line


def translate(text: str) -> ChatEvent | None:
    """What the line's translator makes of it."""
    line = parse(text)
    return TRANSLATORS[line.command](line)


def test_an_ordinary_message() -> None:
    """A captured line of a viewer without badges."""
    assert translate(wire_line("e9d998c3-36f1-430f-89ec-6b887c28af36")) == ChatMessage(
        id="e9d998c3-36f1-430f-89ec-6b887c28af36",
        channel_id="11148817",
        channel="pajlada",
        author_id="29803735",
        author_login="jun1orrrr",
        author_name="JuN1oRRRR",
        role=Role.EVERYONE,
        text="dank cam",
        sent_at=1594545155.039,
    )


def test_an_action_by_a_moderator() -> None:
    """/me is taken apart, and mod=1 counts."""
    message = translate(wire_line("d831d848-b7c7-4559-ae3a-2cb88f4dbfed"))
    assert isinstance(message, ChatMessage)
    assert (message.text, message.is_action, message.role) == ("-tags", True, Role.MODERATOR)


def test_a_reply_names_its_parent() -> None:
    """reply-parent-msg-id becomes reply_parent_id; Twitch puts the mention into the text."""
    message = translate(wire_line("5b4f63a9-776f-4fce-bf3c-d9707f52e32d"))
    assert isinstance(message, ChatMessage)
    assert message.reply_parent_id == "6b13e51b-7ecb-43b5-ba5b-2bb5288df696"
    assert message.text == "@Retoon yes"


def test_a_display_name_loses_its_trailing_space() -> None:
    """Twitch has sent names that end in an escaped space."""
    message = translate(wire_line("c9b941d9-a0ab-4534-9903-971768fcdf10"))
    assert isinstance(message, ChatMessage)
    assert message.author_name == "CarvedTaleare"


def test_a_message_of_a_shared_chat_names_its_source() -> None:
    """Only when it was written in another channel than the one that shows it."""
    line = "@id=1;room-id=10;user-id=5;source-room-id={} :a!a@a.tmi.twitch.tv PRIVMSG #chan :hi"
    elsewhere, here = translate(line.format("20")), translate(line.format("10"))
    assert isinstance(elsewhere, ChatMessage)
    assert elsewhere.source_channel_id == "20"
    assert isinstance(here, ChatMessage)
    assert here.source_channel_id == ""


def test_a_message_to_a_person_is_no_chat() -> None:
    """Old servers send host notices as PRIVMSG to the login."""
    assert translate(":jtv!jtv@jtv.tmi.twitch.tv PRIVMSG bot :somebody is hosting you") is None


@pytest.mark.parametrize(
    "tags",
    ["", "@id=;room-id=1;user-id=1 ", "@id=a;room-id=1 ", "@id=a;room-id=1;user-id=1;tmi-sent-ts=soon "],
)
def test_a_message_without_its_ids_is_an_error_of_the_line(tags: str) -> None:
    """It could not be told apart from its duplicates."""
    with pytest.raises((KeyError, ValueError)):
        translate(f"{tags}:a!a@a.tmi.twitch.tv PRIVMSG #chan :hi")


@pytest.mark.parametrize(
    ("tags", "role"),
    [
        ({"badges": "broadcaster/1,subscriber/0", "mod": "0"}, Role.BROADCASTER),
        ({"badges": "moderator/1,subscriber/12"}, Role.MODERATOR),
        ({"badges": "lead_moderator/1"}, Role.MODERATOR),
        ({"badges": "", "mod": "1"}, Role.MODERATOR),
        ({"badges": "vip/1,subscriber/3"}, Role.VIP),
        ({"badges": "", "vip": "1"}, Role.VIP),
        ({"badges": "subscriber/24"}, Role.SUBSCRIBER),
        ({"badges": "founder/0"}, Role.SUBSCRIBER),
        ({"badges": "", "subscriber": "1"}, Role.SUBSCRIBER),
        ({"badges": "premium/1,glhf-pledge/1", "mod": "0", "subscriber": "0"}, Role.EVERYONE),
        ({}, Role.EVERYONE),
    ],
)
def test_roles(tags: dict[str, str], role: Role) -> None:
    """The highest of what badges and tags say; a bought badge is no role."""
    assert read_role(tags) is role


@pytest.mark.parametrize(
    ("tags", "privileged"),
    [
        ({"badges": "moderator/1", "mod": "1"}, True),
        ({"badges": "vip/1", "mod": "0"}, True),
        ({"badges": "broadcaster/1", "mod": "0"}, True),
        ({"badges": "", "mod": "1"}, True),
        ({"badges": "subscriber/12", "mod": "0"}, False),
        ({}, False),
    ],
)
def test_standing(tags: dict[str, str], privileged: bool) -> None:
    """Moderator, VIP and broadcaster send in the larger window."""
    assert read_privileged(tags) is privileged


def test_a_raid() -> None:
    """A USERNOTICE without a text of the person's own, with who and how many."""
    raid = translate(wire_line("bb99dda7-3736-4583-9114-52aa11b23d17"))
    assert isinstance(raid, Raid)
    assert (raid.channel, raid.channel_id, raid.kind, raid.login) == (
        "xqcow",
        "71092938",
        "raid",
        "iamelisabete",
    )
    assert raid.system_text == "430 raiders from iamelisabete have joined!"
    assert (raid.text, raid.id, raid.viewers) == ("", "bb99dda7-3736-4583-9114-52aa11b23d17", 430)


def usernotice(kind: str, **params: str) -> object:
    """What a USERNOTICE with these msg-param-tags becomes."""
    tags = "".join(f";msg-param-{name.replace('_', '-')}={value}" for name, value in params.items())
    return translate(
        f"@id=n1;msg-id={kind};room-id=7;login=ana;user-id=9{tags} :tmi.twitch.tv USERNOTICE #chan"
    )


@pytest.mark.parametrize("kind", ["sub", "resub"])
def test_a_subscription(kind: str) -> None:
    """Tier and months, as Twitch counts them."""
    told = usernotice(kind, sub_plan="Prime", cumulative_months="7")
    assert isinstance(told, Subscription)
    assert (told.kind, told.tier, told.months, told.user_id) == (kind, "Prime", 7, "9")


def test_gifts() -> None:
    """One for all of them, and one for each."""
    many = usernotice("submysterygift", sub_plan="1000", mass_gift_count="5", community_gift_id="g1")
    one = usernotice(
        "subgift", sub_plan="1000", recipient_id="8", recipient_user_name="bia", community_gift_id="g1"
    )
    assert isinstance(many, Gift)
    assert isinstance(one, Gift)
    assert (many.count, many.recipient_login, many.bundle_id) == (5, "", "g1")
    assert (one.count, one.recipient_login, one.recipient_id, one.bundle_id) == (1, "bia", "8", "g1")


def test_a_number_that_is_none_costs_the_detail_and_not_the_notice() -> None:
    """Of these tags Twitch has changed many."""
    raid = usernotice("raid", viewerCount="many")
    assert isinstance(raid, Raid)
    assert raid.viewers == 0


def test_a_cheer_carries_its_bits() -> None:
    """A cheer is a message."""
    line = "@id=m1;room-id=7;user-id=9;bits=100 :ana!ana@ana.tmi.twitch.tv PRIVMSG #chan :Cheer100 hi"
    said = translate(line)
    assert isinstance(said, ChatMessage)
    assert said.bits == 100


@pytest.mark.parametrize(("source", "told"), [("7", ""), ("8", "8")])
def test_a_notice_of_a_shared_chat_names_its_room(source: str, told: str) -> None:
    """Like a message of one: this room's own notices are marked too."""
    line = f"@id=n1;msg-id=raid;room-id=7;source-room-id={source} :tmi.twitch.tv USERNOTICE #chan"
    notice = translate(line)
    assert isinstance(notice, ChatNotice)
    assert (notice.id, notice.source_channel_id) == ("n1", told)


def test_a_resub_with_a_text() -> None:
    """What the subscriber wrote, freed of its /me."""
    notice = translate(wire_line("8c2918c2-adf4-4208-a554-8a72d016de70"))
    assert isinstance(notice, ChatNotice)
    assert (notice.kind, notice.text) == ("resub", "Kappa TEST TEST Kappa :)")


def test_bans_timeouts_and_a_cleared_chat() -> None:
    """CLEARCHAT is all three, told apart by its parameters and tags."""
    assert translate(wire_line("ban-duration=1;")) == ChatterBanned(
        "pajlada", "11148817", "148973258", "fabzeef", 1
    )
    assert translate(wire_line("target-user-id=70948394")) == ChatterBanned(
        "pajlada", "11148817", "70948394", "weeb123"
    )
    assert translate(wire_line("CLEARCHAT #randers")) == ChatCleared("randers", "40286300")


def test_a_deleted_message() -> None:
    """CLEARMSG, whose room-id Twitch leaves empty."""
    assert translate(wire_line("CLEARMSG #pajlada :\x01ACTION lole")) == MessageDeleted(
        "pajlada", "", "3c92014f-340a-4dc3-a9c9-e5cf182f4a84", "alazymeme", "lole"
    )


@pytest.mark.parametrize("command", sorted(TRANSLATORS))
def test_a_bare_command_is_an_error_of_the_line(command: str) -> None:
    """Without tags and parameters every translator raises what the session counts."""
    with pytest.raises((KeyError, IndexError, ValueError)):
        TRANSLATORS[command](IrcLine(command))
