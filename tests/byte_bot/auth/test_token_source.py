"""The bare token."""

from __future__ import annotations

from byte_bot.auth.token_source import FixedToken, TokenSource
from byte_bot.auth.user_token import UserToken
from simulator.loop import in_virtual_time


@in_virtual_time()
async def test_a_bare_token_is_given_out_as_it_is() -> None:
    """Refused or not: nothing better will come, and nobody is told of a change."""
    source: TokenSource = FixedToken("abc", "my_bot")
    heard: list[UserToken | None] = []
    source.on_change(heard.append)
    await source.run()
    await source.rejected("abc")
    assert (await source.token()).access == "abc"
    assert not source.renewable
    assert not source.waiting
    assert heard == []
