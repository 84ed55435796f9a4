"""The authorization server of a world in memory, as the bot's httpx client sees it: `/oauth2/token` and `/oauth2/validate`.

A bot that renews its token asks for nothing else; `byte-bot login` is a human's, and a world plays it without requests. The request is
carried out when it has come to Twitch, by a timer of the world and not by a step of the bot's task: a refresh token is spent also if
its answer finds nobody, because the process has died or has given the request up meanwhile.

Left out: faults of its own (tokens end through the state's `credentials`), and every other endpoint, which `web.py` serves on sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

import httpx

from simulator.process import context_for
from simulator.twitch.oauth import OAuth
from simulator.twitch.web_exchange import Answer, Refused, WebRequest

#: Any host will do: nothing is looked up in memory. https, since the bot refuses to send its secrets in clear.
OAUTH_URL = "https://id.twitch.test/oauth2"


class OAuthTransport(httpx.AsyncBaseTransport):
    """See the module's docstring.

    Args:
        oauth: the authorization server.
        latency_s: one way, seconds.
    """

    def __init__(self, oauth: OAuth, latency_s: float) -> None:
        self._asked: Mapping[str, Callable[[WebRequest], Answer]] = {
            "/oauth2/token": oauth.token,
            "/oauth2/validate": oauth.validate,
        }
        self._latency_s = latency_s

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request to Twitch and bring its answer back; the patience is the caller's."""
        asked = _read(request, await request.aread())
        loop = asyncio.get_running_loop()
        world = context_for(None)
        answer: asyncio.Future[httpx.Response] = loop.create_future()

        def arrive() -> None:
            loop.call_later(self._latency_s, deliver, self._answer(asked), context=world)

        def deliver(response: httpx.Response) -> None:
            if not answer.done():
                answer.set_result(response)

        loop.call_later(self._latency_s, arrive, context=world)
        return await answer

    def _answer(self, asked: WebRequest) -> httpx.Response:
        serve = self._asked.get(asked.path)
        if serve is None:
            return httpx.Response(404, json={"status": 404, "message": "not found"})
        try:
            given = serve(asked)
        except Refused as refused:
            body = {"status": refused.status, "message": refused.message}
            return httpx.Response(refused.status, json=body)
        return httpx.Response(given.status, json=given.body)


def _read(request: httpx.Request, body: bytes) -> WebRequest:
    form: dict[str, tuple[str, ...]] = {}
    for name, value in parse_qsl(body.decode("ascii"), keep_blank_values=True):
        form[name] = (*form.get(name, ()), value)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return WebRequest(request.method, request.url.path, headers, form=form)
