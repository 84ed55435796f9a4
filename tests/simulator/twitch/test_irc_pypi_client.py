"""A client that nobody here wrote: `irc` (jaraco) from PyPI, unmodified, on a loopback socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from irc.client_aio import AioReactor

from simulator.loop import in_virtual_time
from simulator.twitch.irc import IrcServer
from tests.simulator.twitch.rig import small_twitch


class Log:
    """Keeps the client's events and wakes whoever waits for one."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._more = asyncio.Event()

    def __call__(self, _connection: Any, event: Any) -> None:
        self.events.append(event)
        self._more.set()

    async def until(self, kind: str) -> Any:
        """Return the first event of this type that has not been asked for, within 5 s."""
        async with asyncio.timeout(5):
            while True:
                for index, event in enumerate(self.events):
                    if event.type == kind:
                        return self.events.pop(index)
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def on_a_port() -> AsyncIterator[tuple[IrcServer, int]]:
    """Serve a small Twitch on a free loopback port."""
    server = IrcServer(small_twitch(asyncio.get_running_loop().time))
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    try:
        yield server, listener.sockets[0].getsockname()[1]
    finally:
        server.disconnect_all(abort=True)
        await server.wait_closed()
        listener.close()
        await listener.wait_closed()


@in_virtual_time(hybrid=True)
async def test_the_irc_package_logs_in_joins_speaks_and_listens() -> None:
    """PASS, NICK, USER, CAP, JOIN, PRIVMSG and PING as that client sends them, all understood."""
    async with on_a_port() as (server, port):
        log = Log()
        reactor = AioReactor(loop=asyncio.get_running_loop())
        reactor.add_global_handler("all_events", log)
        client = reactor.server()
        await client.connect("127.0.0.1", port, "bot", password="oauth:bot-token")
        await log.until("endofmotd")
        client.cap("REQ", "twitch.tv/tags", "twitch.tv/commands")
        client.join("#alice")
        assert (await log.until("join")).target == "#alice"
        await log.until("roomstate")
        await log.until("userstate")

        server.state.say("alice", "carol", "hello bot; how are you?")
        heard = await log.until("pubmsg")
        tags = {tag["key"]: tag["value"] for tag in heard.tags}
        assert (heard.source.nick, heard.target, heard.arguments) == (
            "carol",
            "#alice",
            ["hello bot; how are you?"],
        )
        assert (tags["display-name"], tags["room-id"]) == ("carol", server.state.channel("alice").id)

        client.privmsg("#alice", "hello yourself")
        await log.until("userstate")
        assert [(sent.login, sent.text) for sent in server.state.transcript] == [("bot", "hello yourself")]
        client.ping("text")
        assert (await log.until("pong")).arguments == ["text"]

        await asyncio.sleep(400)  # its own answer to the server's PING keeps it there
        assert server.connected == ("bot",)
        client.disconnect("bye")


@in_virtual_time(hybrid=True)
async def test_the_irc_package_sees_a_wrong_token() -> None:
    """The refusal reaches it as a NOTICE, and then the end of the connection."""
    async with on_a_port() as (_server, port):
        log = Log()
        reactor = AioReactor(loop=asyncio.get_running_loop())
        reactor.add_global_handler("all_events", log)
        await reactor.server().connect("127.0.0.1", port, "bot", password="oauth:wrong")
        notice = await log.until("privnotice")
        assert notice.arguments == ["Login authentication failed"]
        await log.until("disconnect")
