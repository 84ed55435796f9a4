"""The page: one file that needs nothing else, in which hostile text is text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from simulator.scenario import Scenario
from simulator.timeline_page import LISTED_MAX, TimelineError, page, write_page
from simulator.timeline_samples import Sample
from tests.simulator.timeline_rig import EVENTFUL, chat, seen, watched_night, written

VOID = frozenset({"meta", "link", "br", "img", "input"})
#: Ends a script, begins one, ends an attribute, and turns around what follows it.
HOSTILE = "</script><script>alert(1)</script><!-- \"'><img src=x onerror=alert(2)> \u2028\u202e &amp; \x00"


class Parsed(HTMLParser):
    """A page as a browser's parser takes it apart; fails where elements do not fit into one another."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG begins and ends."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text of the element that is open."""
        if self.open:
            self.texts[self.open[-1]][-1] += data

    def of(self, tag: str) -> list[dict[str, str]]:
        """The attributes of the elements of this name."""
        return [attributes for name, attributes in self.tags if name == tag]

    def classed(self, kind: str) -> list[dict[str, str]]:
        """The attributes of the elements of this class."""
        return [attributes for _, attributes in self.tags if kind in attributes.get("class", "").split()]

    @property
    def night(self) -> dict[str, Any]:
        """What the script reads."""
        value: dict[str, Any] = json.loads(self.texts["script"][0])
        return value


def parsed_night(scenario: Scenario = EVENTFUL) -> Parsed:
    """The page of a night that was played."""
    recording, watched = watched_night(scenario)
    return Parsed(page(recording, watched, "eventful, seed 1"))


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    """Well formed, one style, two scripts, and not one address."""
    found = parsed_night()
    assert found.texts["title"] == ["eventful, seed 1"]
    assert len(found.of("style")) == 1 and len(found.of("svg")) == 1
    assert [attributes.get("type", "") for attributes in found.of("script")] == ["application/json", ""]
    for tag, attributes in found.tags:
        assert not {"src", "href", "style"}.intersection(attributes), (tag, attributes)
    for name in ("style", "script"):
        assert not re.search(
            r"https?:|url\(|@import|fetch\(|XMLHttpRequest|innerHTML", "".join(found.texts[name])
        )


def test_the_policy_lets_its_own_script_run_and_nothing_else() -> None:
    """By the hashes of what stands in the page."""
    found = parsed_night()
    policy = next(meta["content"] for meta in found.of("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for text in (found.texts["style"][0], found.texts["script"][1]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_the_data_are_the_nights() -> None:
    """Bands, processes, messages with their latencies, and the samples."""
    recording, watched = watched_night()
    night = Parsed(page(recording, watched, "")).night
    assert [(band[0], band[1], band[2]) for band in night["bands"]] == [
        (3.0, 8.0, "database"), (6.0, 6.0, "Twitch"), (9.0, 9.0, "process"), (11.0, 14.0, "database"),
    ]  # fmt: skip
    assert [Sample(*state) for state in night["states"] if state[1]] == [
        sample for sample in watched.samples if sample.incarnation
    ]
    assert recording.report is not None
    latencies_ms = [message[5] for message in night["messages"] if message[5] is not None]
    assert sorted(latencies_ms) == pytest.approx(sorted(recording.report.latencies_ms))


def test_hostile_text_stays_text() -> None:
    """In chat, in the scenario's words, in a broken promise and in the name of a channel: no element more, and read back as it was."""
    channel = "<i>'\"&"
    events = (
        chat(1.0, "ana", HOSTILE, channel=channel),
        (2.0, "violation", {"invariant": HOSTILE, "words": HOSTILE}),
        (3.0, "heal", {}),
    )
    text = page(written(*events, name=HOSTILE), seen(scenario=Scenario("x", HOSTILE)), HOSTILE)
    found = Parsed(text)
    assert len(found.of("script")) == 2 and not found.of("img")
    assert found.night["messages"][0][3] == HOSTILE and found.night["violations"][0][2] == HOSTILE
    assert channel in found.night["channels"]
    shown = HOSTILE.replace("\x00", "\ufffd")
    assert found.texts["title"] == [shown] and shown in found.texts["strong"]
    assert "\x00" not in text and "\u2028" not in found.texts["script"][0]


def test_a_broken_promise_is_listed_and_marked() -> None:
    """In the list with its moment, as a line in the chart, and in the verdict."""
    broken = [
        (5.0 + n, "violation", {"invariant": "gated", "words": f"number {n}"}) for n in range(LISTED_MAX + 2)
    ]
    found = Parsed(page(written(*broken), seen(), "night"))
    assert "14 broken promises" in found.texts["span"]
    buttons = [button["data-go"] for button in found.of("button") if "data-go" in button]
    assert len(buttons) == LISTED_MAX and buttons[0] == "5.000000"
    assert len(found.classed("violation")) == len(broken)
    assert any("and 2 more" in words for words in found.texts["p"])
    assert "every promise kept" in Parsed(page(written((1.0, "heal", {})), seen(), "night")).texts["span"]


def test_without_replies_no_latency_is_told() -> None:
    """Least of all one of 0 ms."""
    silent = Parsed(page(written(chat(1.0, "ana", "!ping")), seen(), "night"))
    assert "p99" not in silent.texts["dt"] and "p99" in parsed_night().texts["dt"]


def test_what_is_left_out_is_said() -> None:
    """Looks that were not made."""
    found = Parsed(page(written((1.0, "heal", {})), replace(seen(), looks_left_out=3), "night"))
    assert any("looked at every second only" in words for words in found.texts["p"])


def test_a_page_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    """With the name of the file."""
    with pytest.raises(TimelineError, match=r"cannot write .*nowhere.*No such file"):
        write_page(tmp_path / "nowhere" / "night.html", written(), seen(), "night")
    write_page(tmp_path / "night.html", written(), seen(), "night")
    assert (tmp_path / "night.html").read_text(encoding="utf-8").startswith("<!doctype html>")
