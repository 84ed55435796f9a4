"""Seed files: what they hold, in TOML and in JSON, and what is said about mistakes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from simulator.seed_file import (
    CHAT_BOT_SCOPES,
    SeedFileError,
    json_lines,
    read_seed_file,
    refresh_letters,
    token_letters,
)
from simulator.twitch.snapshot import restore, take, to_json
from simulator.twitch.snapshot_parts import Snapshot
from simulator.twitch.state import TwitchState
from tests.simulator.twitch.rig import Clock, small_twitch

WHOLE = """
# A small Twitch.
[[users]]
login = "ana"
display_name = "Ana"

[[users]]
login = "bia"
token = "oauth:my-own-token"
refresh_token = "my-own-refresh"
scopes = ["chat:read"]

[[channels]]
login = "lobby"
moderators = ["ana"]
followers = ["bia"]
modes = { slow_s = 30 }
live = { viewer_count = 12 }

[[channels]]
login = "arcade"

[channels.modes]
subs_only = true

[[apps]]
client_id = "myclient"
secret = "mysecret"

[[tokens]]
token = "of_the_app"
client_id = "myclient"
"""


def written(tmp_path: Path, text: str, name: str = "seed.toml") -> Path:
    """The text as a file."""
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def told(tmp_path: Path, text: str, name: str = "seed.toml") -> list[str]:
    """What is said about this file, line by line, without the folder."""
    with pytest.raises(SeedFileError) as refused:
        read_seed_file(written(tmp_path, text, name))
    return [line.replace(f"{tmp_path}/", "") for line in str(refused.value).splitlines()]


def test_a_file_says_who_is_there(tmp_path: Path) -> None:
    """Users with tokens, channels with roles and modes, apps; tables and inline tables alike."""
    seed = read_seed_file(written(tmp_path, WHOLE))
    lobby, arcade = seed.snapshot.channels
    assert (lobby.modes.slow_s, arcade.modes.subs_only, lobby.moderators) == (30, True, ["ana"])
    assert lobby.live is not None and lobby.live.viewer_count == 12
    assert seed.unmoderated == ("arcade",)
    app, ana, bia = seed.snapshot.tokens
    assert (app.login, app.client_id) == ("", "myclient")
    assert (ana.token, ana.refresh_token) == (token_letters("ana"), refresh_letters("ana"))
    assert ana.scopes == list(CHAT_BOT_SCOPES)
    assert (bia.token, bia.refresh_token, bia.scopes) == ("my-own-token", "my-own-refresh", ["chat:read"])


def test_a_user_may_have_a_token_of_their_own_and_others_besides(tmp_path: Path) -> None:
    """Named in both places, both work; a user whose tokens stand apart has those alone."""
    text = (
        '[[users]]\nlogin = "ana"\nscopes = ["chat:read"]\n[[users]]\nlogin = "bia"\n'
        '[[tokens]]\ntoken = "t1"\nlogin = "ana"\n[[tokens]]\ntoken = "t2"\nlogin = "bia"\n'
    )
    tokens = read_seed_file(written(tmp_path, text)).snapshot.tokens
    assert [token.token for token in tokens] == ["t1", "t2", token_letters("ana")]


def test_the_same_in_json(tmp_path: Path) -> None:
    """The file's name decides how it is read."""
    text = json.dumps({"users": [{"login": "ana"}], "channels": [{"login": "lobby"}]})
    seed = read_seed_file(written(tmp_path, text, "seed.json"))
    assert [user.login for user in seed.snapshot.users] == ["ana"]
    assert seed.unmoderated == ("lobby",)


def test_a_snapshot_is_a_seed_file(tmp_path: Path) -> None:
    """What the control address shows starts an equal Twitch, with no token that was not there."""
    before = to_json(take(small_twitch(Clock())))
    seed = read_seed_file(written(tmp_path, json.dumps(before), "seed.json"))
    other = TwitchState(Clock(), random.Random(5), 0.0)
    restore(other, Snapshot.model_validate(to_json(seed.snapshot)))
    after = to_json(take(other))
    letters = [token["token"] for token in before["tokens"]]
    assert [token["token"] for token in after["tokens"]][: len(letters)] == letters
    assert {**after, "tokens": []} == {**before, "tokens": []}


def test_a_seed_may_begin_with_conduits_and_consents(tmp_path: Path) -> None:
    """As a bot finds them that was here before."""
    text = (
        '[[consents]]\nlogin = "ana"\nscopes = ["channel:bot"]\n'
        '[[conduits]]\nid = "c1"\nshard_count = 2\n'
        '[[conduits.subscriptions]]\ntype = "stream.online"\ncondition = { broadcaster_user_id = "7" }\n'
    )
    snapshot = read_seed_file(written(tmp_path, text)).snapshot
    assert [(one.login, one.scopes) for one in snapshot.consents] == [("ana", ["channel:bot"])]
    (conduit,) = snapshot.conduits
    assert (conduit.id, conduit.shard_count, conduit.subscriptions[0].type) == ("c1", 2, "stream.online")


def test_made_up_tokens_look_like_real_ones() -> None:
    """30 and 50 letters and digits, the same each time, and no two alike."""
    assert len(token_letters("ana")) == 30 and token_letters("ana").isalnum()
    assert len(refresh_letters("a_b")) == 50 and refresh_letters("a_b").isalnum()
    assert token_letters("ana") == token_letters("ana")
    assert len({token_letters(login) for login in ("a_b", "a0b", "a", "a0", "a00")}) == 5


def test_each_mistake_is_told_with_line_and_key_all_at_once(tmp_path: Path) -> None:
    """A reader goes to the line and changes the key."""
    text = """[[users]]
login = "No Spaces"

[[channels]]
login = "lobby"
modes = { slow_s = 300 }

[[channels]]
login = "arcade"
colour = "red"

[channels.modes]
followers_only = -5
"""
    assert told(tmp_path, text) == [
        "seed.toml:2: users[0].login: String should match pattern '^[a-z0-9_]{1,25}$' (got 'No Spaces')",
        "seed.toml:6: channels[0].modes.slow_s: Input should be less than or equal to 120 (got 300)",
        "seed.toml:13: channels[1].modes.followers_only: Input should be greater than or equal to -1 (got -5)",
        "seed.toml:10: channels[1].colour: there is no such key",
    ]


def test_a_mistake_in_json_has_its_line_too(tmp_path: Path) -> None:
    """The line of the key, also within arrays."""
    text = """{
  "users": [
    {"login": "ana"},
    {
      "login": "bia",
      "verified": 1
    }
  ]
}"""
    (line,) = told(tmp_path, text, "seed.json")
    assert line.startswith("seed.json:6: users[1].verified: Input should be a valid boolean")


def test_rules_over_several_keys_have_words(tmp_path: Path) -> None:
    """Moderator and VIP at once, two users of one name."""
    both = '[[channels]]\nlogin = "a"\nmoderators = ["b"]\nvips = ["b"]\n'
    assert told(tmp_path, both) == [
        "seed.toml:1: channels[0]: b is both moderator and vip; Twitch allows one of the two"
    ]
    twice = '[[users]]\nlogin = "a"\n[[users]]\nlogin = "a"\n'
    assert told(tmp_path, twice) == ["seed.toml:1: the file: users: two have the login 'a'"]


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("[[users]\n", "seed.toml", "seed.toml:1: no TOML: "),
        ('login = "a"\nlogin = "b"\n', "seed.toml", "seed.toml:2: no TOML: "),
        ('{\n "users": [}\n', "seed.json", "seed.json:2: no JSON: "),
        ("[]", "seed.json", "seed.json:1: an object with users, channels"),
    ],
)
def test_a_file_that_cannot_be_read_as_such_names_the_line(
    tmp_path: Path, text: str, name: str, words: str
) -> None:
    """The parser's own words, behind the place."""
    assert told(tmp_path, text, name)[0].startswith(words)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """So is one that is no text."""
    with pytest.raises(SeedFileError, match=r"cannot read the seed file .*nowhere\.toml.*: No such file"):
        read_seed_file(tmp_path / "nowhere.toml")
    binary = tmp_path / "seed.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SeedFileError, match="it is not UTF-8"):
        read_seed_file(binary)


def test_lines_of_json_keys() -> None:
    """Texts that look like keys are none."""
    lines = json_lines('{\n"a": "b: {",\n"c": [\n1, {"d": 2}\n]\n}')
    assert (lines[("a",)], lines[("c",)], lines[("c", 1, "d")]) == (2, 3, 4)
