"""Every act notices the client that fails in it: a client by hand, on a bare socket, with one defect a seat.

They play together on one stage, as the real ones do. The sound one shows that the acts ask for nothing that cannot be done.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.clients.acts import ACTS, Patience
from tests.clients.performance import perform
from tests.clients.roster import Client

SOUND = Client("sound", "sound", "", "irc", "none", "by_hand.py")
#: Defect, and the acts that must notice it; nobody else may be blamed.
NOTICED = {
    "": set(),
    "deaf": {"too fast", "duplicate", "banned", "too many"},
    "flat": {"replies"},
    "garbled": {"receives", "replies"},
    "fragile": {"reconnects"},
    "twice": {"once"},
    "lost": {"joins", "receives", "reconnects", "banned"},
    "dumb": {"sends", "replies", "too fast", "duplicate", "banned", "reconnects", "too many"},
    "blunt": {"too long"},
    "hasty": {"too many"},
}
#: They have lost a connection, and are started anew: Twitch may still count what their account said before that, and they do not.
BEGUN_ANEW = ("fragile", "lost")
#: The client is known and the machine may be busy: long enough for what comes, short for what never does.
PATIENCE = Patience(start_s=40.0, act_s=3.0, return_s=5.0, known_s=1.5)


def test_every_act_notices_the_client_that_fails_in_it(tmp_path: Path) -> None:
    """A defect is seen in the acts that it touches, and in no other."""
    clients = [
        replace(SOUND, login=defect or "sound", name=defect or "sound", variables={"DEFECT": defect})
        for defect in NOTICED
    ]
    acts = [act for act in ACTS if not act.slow]
    verdicts = asyncio.run(perform(clients, acts, {}, tmp_path, lambda _: None, PATIENCE))
    failed = {
        client.name: {
            verdict.act for verdict in verdicts if verdict.client == client.name and verdict.mark == "failed"
        }
        for client in clients
    }
    for login in BEGUN_ANEW:
        failed[login].discard("too many")
    assert failed == {defect or "sound": acts for defect, acts in NOTICED.items()}, [
        (verdict.client, verdict.act, verdict.why) for verdict in verdicts if verdict.mark == "failed"
    ]
