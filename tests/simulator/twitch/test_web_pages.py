"""The pages a person sees: everything shown is escaped."""

from __future__ import annotations

from simulator.twitch.web_pages import ACCOUNTS_MAX, account_page, activation_page, code_page, done_page

EVIL = '"><script>alert(1)</script>'


def test_what_comes_from_outside_is_escaped_on_every_page() -> None:
    """Names, scopes, codes and parameters cannot end an attribute or a tag."""
    pages = [
        activation_page(EVIL, EVIL, [EVIL], [EVIL]),
        account_page(EVIL, EVIL, [EVIL], {EVIL: EVIL}, [EVIL]),
        code_page(EVIL),
        done_page(EVIL),
    ]
    for page in pages:
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


def test_the_activation_page_shows_code_app_scopes_and_accounts() -> None:
    """What the person has to decide about."""
    page = activation_page("ABCDEFGH", "my bot", ["chat:read"], ["alice", "bot"])
    for shown in ("ABCDEFGH", "my bot", "chat:read", "alice", "bot", 'action="/activate"'):
        assert shown in page


def test_the_list_of_accounts_is_bounded() -> None:
    """A world of thousands still makes a page."""
    page = activation_page("A", "b", [], [f"user_{number:05d}" for number in range(ACCOUNTS_MAX + 1)])
    assert page.count("<option") == ACCOUNTS_MAX
