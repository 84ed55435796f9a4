"""The state as one value: taken and put back exactly, changed in place, and refused when it cannot be."""

from __future__ import annotations

import random

from simulator.twitch.credentials import DEFAULT_CLIENT_ID
from simulator.twitch.snapshot import apply, gone, restore, take, to_json
from simulator.twitch.snapshot_parts import Snapshot
from simulator.twitch.state import TwitchState
from simulator.twitch.stream_life import StreamLife
from tests.simulator.twitch.rig import Clock, small_twitch


def busy_twitch() -> tuple[TwitchState, Clock]:
    """A Twitch in which something of every kind has happened."""
    clock = Clock()
    state = small_twitch(clock)
    life = StreamLife(state, random.Random(7))
    clock.now_s = 100.0
    state.set_role("alice", "mod_1", "moderator")
    state.set_role("alice", "vip_1", "vip")
    state.subscribe("alice", "dave", months=7)
    life.follow("alice", "erin")
    life.go_live("alice", viewer_count=12)
    life.update("alice", title="a title", game_name="a game", game_id="33", language="pt")
    state.ban("alice", "troll")
    state.timeout("alice", "noisy", 600)
    state.refuse_messages("alice", "bot", "msg_verified_email")
    state.grant_channel_bot("alice", "bot")
    state.viewer_joins("alice", "lurker")
    state.set_modes("alice", slow_s=30, emote_only=True, followers_only=10)
    state.say("alice", "carol", "hi")
    state.suspend_channel("bob")
    app = state.credentials.add_app("another", client_id="anotherclient", secret="")
    state.credentials.issue_user(app.client_id, "carol", ("chat:read",), access="a1", refresh="r1")
    state.credentials.issue_user(DEFAULT_CLIENT_ID, "carol", (), access="a2", refresh="r2")
    state.credentials.refresh(DEFAULT_CLIENT_ID, "r2")
    state.credentials.issue_app(DEFAULT_CLIENT_ID)
    revoked = state.credentials.issue_user(app.client_id, "dave", ("user:bot", "channel:bot"))
    state.credentials.revoke(revoked.access)
    return state, clock


def test_what_was_taken_is_put_back_exactly() -> None:
    """Taken, through JSON, into an empty Twitch: taking again gives the same."""
    state, clock = busy_twitch()
    first = to_json(take(state))
    other = TwitchState(clock, random.Random(99), 1_700_000_000.0)
    restore(other, Snapshot.model_validate(first))
    assert to_json(take(other)) == first


def test_times_are_relative() -> None:
    """A timeout has the seconds left and a token its seconds to live, whenever it is put back; a ban has none."""
    state, clock = busy_twitch()
    snapshot = take(state)
    clock.now_s = 10_000.0
    restore(state, snapshot)
    assert state.channel("alice").bans["noisy"] == 10_600.0
    assert state.channel("alice").bans["troll"] == float("inf")
    assert state.credentials.tokens["a1"].expires_s == 10_000.0 + 14_400.0


def test_a_used_up_refresh_token_stays_used_up() -> None:
    """Neither taking and restoring nor a seed on top brings it back; one that works goes on working."""
    state, _ = busy_twitch()
    apply(state, Snapshot())
    assert state.credentials.refresh(DEFAULT_CLIENT_ID, "r2") is None
    restore(state, take(state))
    assert state.credentials.refresh(DEFAULT_CLIENT_ID, "r2") is None
    assert state.credentials.refresh("anotherclient", "r1") is not None


def test_what_was_granted_comes_back_without_its_token_and_nothing_more() -> None:
    """A consent whose token is gone is listed by itself; one that the snapshot does not know ends."""
    state, _ = busy_twitch()
    snapshot = take(state)
    assert [(one.login, one.scopes) for one in snapshot.consents] == [("dave", ["user:bot", "channel:bot"])]
    state.credentials.issue_user("anotherclient", "erin", ("bits:read",))
    restore(state, snapshot)
    assert state.credentials.granted("anotherclient", "dave", "channel:bot")
    assert not state.credentials.granted("anotherclient", "erin")


def test_restoring_changes_objects_in_place_and_removes_the_rest() -> None:
    """A session holds its user and finds its channel: the objects stay, newcomers go."""
    state, _ = busy_twitch()
    snapshot = take(state)
    user, channel = state.user("bot"), state.channel("alice")
    state.add_channel("newcomer")
    state.add_user("passer_by")
    state.set_role("alice", "mod_1", None)
    user.display_name, channel.title = "Changed", "changed"
    assert gone(state, snapshot) == (("newcomer", "passer_by"), ("newcomer",))
    restore(state, snapshot)
    assert state.user("bot") is user and user.display_name == "Bot"
    assert state.channel("alice") is channel and channel.title == "a title"
    assert "mod_1" in channel.moderators
    assert "newcomer" not in state.channels and "passer_by" not in state.users


def test_a_seed_adds_and_changes_and_leaves_the_rest() -> None:
    """What it names is so, made when new; tokens work at once; what it does not name stays."""
    state = small_twitch(Clock())
    seed = Snapshot.model_validate(
        {
            "users": [{"login": "ana", "id": "42", "display_name": "Ana"}],
            "channels": [{"login": "ana", "moderators": ["bot"], "followers": ["carol"], "live": {}}],
            "tokens": [{"token": "oauth:abc", "login": "ana"}],
        }
    )
    apply(state, seed)
    assert state.channel("ana").id == state.user("ana").id == "42"
    assert state.channel("ana").followed_ms["carol"] == state.now_ms()
    stream = state.channel("ana").stream
    assert stream is not None and stream.started_ms == state.now_ms()
    owner = state.user_of_token("abc")
    assert owner is not None and owner.display_name == "Ana"
    assert state.user_of_token("bot-token") is not None
    assert "alice" in state.channels


def test_another_id_moves_the_user_and_the_channel() -> None:
    """The two are one and the same on Twitch."""
    state = small_twitch(Clock())
    apply(state, Snapshot.model_validate({"users": [{"login": "alice", "id": "777"}]}))
    assert state.user("alice").id == state.channel("alice").id == "777"
