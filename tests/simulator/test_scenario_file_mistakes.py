"""Mistakes in scenario files: each is told with its line, what is allowed there, and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.scenario_file import ScenarioFileError, parse_night, read_night


def told(text: str) -> list[str]:
    """What is said about this text, line by line."""
    with pytest.raises(ScenarioFileError) as refused:
        parse_night(text, "raid.toml")
    return str(refused.value).splitlines()


CROWD = '[[crowds]]\nkind = "chatter"\nchannel = "lobby"\nrate_per_s = 1\n'
SAID = '[[crowds]]\nkind = "spoken"\nlines = [\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # the text
        ("duration_s = \n", "line 1: no TOML: Invalid value"),
        ("a = 1\nb = [\n", "line 2: no TOML: Invalid value (at end of document)"),
        ("seed = 1\nseed = 2\n", "line 2: no TOML: Cannot overwrite a value"),
        ("[settings]\n[settings]\n", "line 2: no TOML: Cannot declare"),
        ("x = " + "[" * 5_000 + "]" * 5_000, "no scenario is nested that deeply"),
        # keys and values of the night
        ("seed = 1\nduration = 60\n", "line 2: unknown key 'duration'; did you mean 'duration_s'? allowed: name, summary,"),
        ('\nduration_s = "60"\n', "line 2: duration_s must be a number, got '60'"),
        ("duration_s = 0", "line 1: duration_s must be above 0"),
        ("duration_s = inf", "line 1: duration_s must be finite"),
        ("seed = 1.5", "line 1: seed must be a whole number, got 1.5"),
        ("summary = 3", "line 1: summary must be a text in quotes, got 3"),
        ("moderated = 1", "line 1: moderated must be true or false, got 1"),
        ('disk = "broken"', "line 1: disk must be kept or lost, got 'broken'"),
        ('ready_order = "randm"', "line 1: ready_order must be fifo or random, got 'randm'; did you mean 'random'?"),
        ('transport = "mail"', "line 1: transport must be irc or eventsub, got 'mail'"),
        ("latency_ms = -1", "line 1: latency_ms must be finite and not negative, got -1"),
        ('script = "edit"', "line 1: script must be edit_by_hand, hype_train, log_in_anew, new_token or poisoned_row, got 'edit'; did you mean 'edit_by_hand'?"),
        ("summary = 2026-11-28", "line 1: a date or a time stands here"),
        ('[[faults]]\nkind = "human_edit"\nvalues = { x = 12:00:00 }', "line 3: a date or a time stands here"),
        # faults that could never strike
        ('duration_s = 9\n[[faults]]\nkind = "hang"\nstart_s = 9\n', "line 4: hang: start_s is 9, and at duration_s (9) everything is healed"),
        ('[[faults]]\nkind = "hang"\nstart_s = 61\n', "line 3: hang: start_s is 61, and at duration_s (60) everything is healed"),
        # channels
        ('channels = "lobby"', "line 1: channels must be an array in brackets, got 'lobby'"),
        ("channels = []", "line 1: channels must name at least one"),
        ('channels = [\n"lobby",\n"arcade",\n"lobby",\n]', "line 4: channels has 'lobby' twice"),
        ('channels = ["a",\n "B"]', "line 2: channels must be a login in lower case (1 to 25 of a-z, 0-9 and _), got 'B'"),
        ('fixed = ["a", "a"]', "line 1: fixed has 'a' twice"),
        # crowds
        ('[crowds]\nkind = "raid"\n', "line 1: crowds must stand in double brackets"),
        ('crowds = ["raid"]', "line 1: crowds must be a table, got 'raid'"),
        ('[[crowds]]\nchannel = "lobby"', "line 1: unknown kind of crowd None; allowed: chatter, raid, command_storm, spoken"),
        ('[[crowds]]\nkind = "chater"', "line 2: unknown kind of crowd 'chater'; did you mean 'chatter'?"),
        ("[[crowds]]\nkind = []", "line 2: unknown kind of crowd []"),
        (CROWD + "rate = 2", "line 5: chatter: unknown key 'rate'; did you mean 'rate_per_s'? allowed: channel, rate_per_s,"),
        (CROWD.replace('"lobby"', '"loby"'), "line 3: unknown channel 'loby'; did you mean 'lobby'? allowed: lobby"),
        (CROWD.replace('"lobby"', '"Lobby"'), "line 3: chatter: channel must be a login in lower case"),
        (CROWD.replace("= 1", "= -1"), "line 4: Chatter in lobby: rate_per_s must be finite and not negative, got -1"),
        (CROWD + "chatters = 0", "line 5: Chatter in lobby: chatters must be at least 1, got 0"),
        (CROWD + "chatters = 0.5", "line 5: chatter: chatters must be a whole number, got 0.5"),
        ('[[crowds]]\nkind = "raid"\nchannel = "lobby"\nat_s = 3', "line 1: raid: viewers is missing"),
        ('[[crowds]]\nkind = "command_storm"\nchannel = "lobby"\nrate_per_s = 1\nroles = [\n"mod"]', "line 6: command_storm: roles must be viewer, subscriber, vip, moderator or broadcaster, got 'mod'; did you mean 'moderator'?"),
        (SAID + '{ at_s = 1, channel = "lobby", login = "a" },\n]', "line 4: spoken: text is missing"),
        (SAID + '{ at_s = 1, channel = "lobby", login = "a", text = "x", when = 2 },\n]', "line 4: spoken: unknown key 'when'"),
        (SAID + '{ at_s = 1, channel = "loby", login = "a", text = "x" },\n]', "line 4: unknown channel 'loby'"),
        (SAID + '{ at_s = 1, channel = "lobby", login = "a", text = "" },\n]', "line 4: Spoken: line 1: text must not be empty"),
        (
            SAID + '{ at_s = 2, channel = "lobby", login = "a", text = "x" },\n{ at_s = 1, channel = "lobby", login = "a", text = "x" }]',
            "line 5: Spoken: the lines must be in the order of time: line 2 is at 1 s",
        ),
        # faults
        ('[faults]\nkind = "hang"', "line 1: faults must stand in double brackets"),
        ('\n[[faults]]\nkind = "hangs"', "line 3: unknown kind of fault 'hangs'; did you mean 'hang'? allowed: latency,"),
        ("\n[[faults]]\nstart_s = 1", "line 2: unknown kind of fault None"),
        ('[[faults]]\nkind = "hang"\nstart_s = 1\nduration = 3', "line 4: hang: unknown field 'duration'; did you mean 'duration_s'?"),
        ('[[faults]]\nkind = "hang"\nduration_s = "3"', "line 3: hang: duration_s must be a number, got '3'"),
        ('[[faults]]\nkind = "hang"\nstart_s = 1\nprobability = 2', "line 4: hang: probability must be between 0 and 1, got 2"),
        ('[[faults]]\nkind = "hang"\nstart_s = inf', "line 3: hang: start_s must be finite"),
        ('[[faults]]\nkind = "latency"\ndistribution = "normal"', "line 3: latency: distribution must be fixed or lognormal"),
        ('[[faults]]\nkind = "eventsub_close"\nstart_s = 1\ncode = 5', "line 4: eventsub_close: code must be 4000 to 4007, got 5"),
        ('[[faults]]\nkind = "slow_recovery"\nms = 5', "line 1: slow_recovery: duration_s must be finite"),
        ('[[faults]]\nkind = "flapping"\n[faults.inner]\nkind = "hag"', "line 4: unknown kind of fault 'hag'"),
        ('[[faults]]\nkind = "flapping"\n[faults.inner]\nkind = "hang"\nx = 1', "line 5: hang: unknown field 'x'"),
        ('[[faults]]\nkind = "flapping"\ninner = { kind = "crash" }', "line 3: flapping: inner cannot be crash"),
        ('[[faults]]\nkind = "flapping"\ninner = 3', "line 3: inner must be a table"),
        ('[[faults]]\nkind = "hang"\n[[faults]]\nkind = "human_edit"\ntable = "t"\nvalues = 3', "line 6: human_edit: values must be an object"),
        # the disk and the bot
        ("disk_latency = 5", "line 1: disk_latency must be a table, got 5"),
        ("[disk_latency]\nspread = 1", "line 1: disk_latency: median_ms is missing"),
        ("[disk_latency]\nmedian_ms = 1\nmedian = 2", "line 3: disk_latency: unknown key 'median'; did you mean 'median_ms'?"),
        ("[disk_latency]\nmedian_ms = -1", "a disk's latency must be finite"),
        ("[settings]\nflush_intervall_s = 1", "line 2: settings: unknown setting 'flush_intervall_s'; did you mean 'flush_interval_s'?"),
        ("[settings]\nflush_interval_s = 0", "line 2: settings: flush_interval_s is 0, which is wrong"),
        ('[settings]\nsupabase_key = "x"', "line 2: settings: supabase_key is not for a file: a secret has no place in a file"),
        ('settings.twitch_channel_logins = ["a"]', "line 1: settings: twitch_channel_logins is not for a file: write `fixed`"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(text: str, words: str) -> None:
    """And what is allowed there, with the name that was meant."""
    (line,) = told(text)
    assert line.startswith("raid.toml")
    assert words in line


def test_a_fault_that_can_strike_is_no_mistake() -> None:
    """Just before the heal; and after it where a script takes longer than the night says."""
    late = '[[faults]]\nkind = "hang"\nstart_s = 61\n'
    assert parse_night(late.replace("61", "59.9"), "raid.toml").scenario.faults[0].start_s == 59.9
    assert parse_night(f'script = "hype_train"\n{late}', "raid.toml").scenario.faults[0].start_s == 61


def test_all_mistakes_are_told_at_once_in_the_order_of_the_lines() -> None:
    """Whoever corrects a file wants to do it once."""
    text = '[settings]\nsupabase_key = "x"\n' + CROWD.replace("= 1", "= -1") + '[[faults]]\nkind = "hag"\n'
    found = [line.split(": ")[0] for line in told("duration_s = 0\n" + text)]
    assert found == [f"raid.toml, line {line}" for line in (1, 3, 7, 9)]


def test_a_secret_is_not_repeated() -> None:
    """Whoever put one into a file does not want it in a log too."""
    assert "sb_secret_mine" not in str(told('[settings]\nsupabase_key = "sb_secret_mine"\n'))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """One that is not there, and one that is no text, with the line at which it ceases to be one."""
    with pytest.raises(ScenarioFileError, match=r"cannot read .*nowhere\.toml.*: No such file"):
        read_night(tmp_path / "nowhere.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b'summary = "x"\n# \xff\n')
    with pytest.raises(ScenarioFileError, match=r"binary\.toml, line 2: it is not UTF-8"):
        read_night(binary)
