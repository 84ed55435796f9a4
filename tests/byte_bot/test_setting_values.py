"""Reading logins, lists, secrets and addresses as people write them."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byte_bot.setting_values import (
    LOGIN_PATTERN,
    Redacted,
    client_id_of,
    key_problems,
    login_of,
    logins_of,
    lower,
    modules_of,
    project_url,
    service_url,
    shown,
    tidy,
    token_of,
    unique,
    words,
)


def jwt(**payload: str) -> str:
    """A key in the old form of Supabase's, with this payload and no valid signature."""
    parts = ({"alg": "HS256", "typ": "JWT"}, payload)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


@pytest.mark.parametrize(
    "written",
    ["my_channel", "#My_Channel", "@my_channel", " my_channel ", "https://www.twitch.tv/my_channel/"],
)
def test_a_login_is_found_in_what_people_write(written: str) -> None:
    """Hash, at sign, capitals, blanks and the page's address are tolerated."""
    assert login_of(written) == "my_channel"


@pytest.mark.parametrize("written", ["", "#", "a b", "ação", "a" * 26, "a.b", "a,b", "twitch.tv/"])
def test_what_cannot_be_a_login_is_refused(written: str) -> None:
    """Twitch's rule: 1 to 25 of a-z, 0-9 and _."""
    with pytest.raises(ValueError, match="not a Twitch login"):
        login_of(written)


@given(st.text(max_size=40))
def test_a_login_is_valid_whatever_was_written(written: str) -> None:
    """Either a login that keeps Twitch's rule comes out, or a ValueError."""
    try:
        login = login_of(written)
    except ValueError:
        return
    assert LOGIN_PATTERN.fullmatch(login)
    assert login_of(login) == login


def test_logins_keep_their_order_and_lose_repetitions() -> None:
    """The first mention counts."""
    assert logins_of(("b", "#A", "B", "c", "a")) == ("b", "a", "c")
    assert unique("hello") == ("h", "e", "l", "o")


@pytest.mark.parametrize("written", ["a,b c", " a , b;c ", "a\nb\tc,", "'a,b,c'"])
def test_a_list_may_be_separated_by_commas_or_blanks(written: str) -> None:
    """Whatever separates, empty items do not count."""
    assert words(written) == ("a", "b", "c")


def test_an_empty_list_is_empty() -> None:
    """Only separators are no item."""
    assert words(" , ") == ()
    assert words(("kept", "as it is")) == ("kept", "as it is")


@pytest.mark.parametrize("written", ["x", " x\n", '"x"', "' x '"])
def test_blanks_and_quotes_around_a_value_go(written: str) -> None:
    """Docker's --env-file keeps quotes which every shell takes away."""
    assert tidy(written) == "x"
    assert lower(written.upper()) == "x"


def test_a_lone_quote_stays() -> None:
    """A single character is a value, not a pair of quotes; numbers are left alone."""
    assert tidy("'") == "'"
    assert tidy(3) == 3
    assert lower(3) == 3


@pytest.mark.parametrize("written", ["abc123", "oauth:abc123", "OAuth:abc123", "Bearer abc123"])
def test_a_token_loses_its_scheme(written: str) -> None:
    """IRC's and HTTP's prefixes are copied along with tokens."""
    assert token_of(written) == "abc123"


@pytest.mark.parametrize("written", ["", "oauth:", "abc 123", "abc\r\nJOIN #x", "‘abc’"])
def test_what_cannot_be_a_token_is_refused_without_being_shown(written: str) -> None:
    """A token is a secret even when it is broken; and no line of IRC can be smuggled in."""
    with pytest.raises(ValueError, match="no Twitch token has") as caught:
        token_of(written)
    assert "abc" not in str(caught.value)


def test_modules_are_written_as_for_import() -> None:
    """A path is refused with the right form in the message."""
    assert modules_of(("my_bot.deaths", "polls", "polls")) == ("my_bot.deaths", "polls")
    with pytest.raises(ValueError, match=r"write my_bot\.deaths, not my_bot/deaths\.py"):
        modules_of(("my_bot/deaths.py",))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://abc.supabase.co", "https://abc.supabase.co"),
        ("https://abc.supabase.co/", "https://abc.supabase.co"),
        ("https://abc.supabase.co/rest/v1", "https://abc.supabase.co"),
        ("https://abc.supabase.co//rest/v1/", "https://abc.supabase.co"),
        ("HTTPS://abc.supabase.co", "https://abc.supabase.co"),
        ("http://localhost:54321", "http://localhost:54321"),
        ("http://127.0.0.1:8000/rest/v1/", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://kong:8000", "http://kong:8000"),
        ("http://192.168.1.5", "http://192.168.1.5"),
        ("https://example.org/behind/a/proxy/rest/v1", "https://example.org/behind/a/proxy"),
    ],
)
def test_the_project_address_is_cut_to_what_the_client_wants(written: str, read: str) -> None:
    """supabase-py appends /rest/v1 itself, so it must not be there already."""
    assert project_url(written) == read


@pytest.mark.parametrize(
    ("written", "words_of_the_way_out"),
    [
        ("abc.supabase.co", "https://PROJECT.supabase.co"),
        ("ftp://abc.supabase.co", "https://PROJECT.supabase.co"),
        ("https://", "https://PROJECT.supabase.co"),
        ("https://a b.co", "https://PROJECT.supabase.co"),
        ("https://abc.supabase.co:port", "https://PROJECT.supabase.co"),
        ("https://abc.supabase.co?apikey=hush", "https://PROJECT.supabase.co"),
        ("https://user:hush@abc.supabase.co", "https://PROJECT.supabase.co"),
        ("http://abc.supabase.co", "in clear: write https://abc.supabase.co"),
        ("http://8.8.8.8", "in clear"),
        ("https://supabase.com/dashboard/project/abcdef/settings", "https://abcdef.supabase.co"),
    ],
)
def test_a_wrong_project_address_names_the_right_one(written: str, words_of_the_way_out: str) -> None:
    """The message says what to write, and repeats no password and no key."""
    with pytest.raises(ValueError, match=r".") as caught:
        project_url(written)
    assert words_of_the_way_out in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["sb_secret_abc-DEF_123", jwt(role="service_role"), "a.b.c", "opaque", jwt(iss="supabase")]
)
def test_what_may_be_a_secret_key_passes(key: str) -> None:
    """Only the server knows whether it is one."""
    assert list(key_problems(key)) == []


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("sb_publishable_abc", "publishable key"),
        ("sbp_0123456789abcdef", "personal access token"),
        (jwt(role="anon"), "anon key"),
        (jwt(role="authenticated"), "authenticated key"),
        ("two words", "characters that no Supabase key has"),
    ],
)
def test_the_wrong_kind_of_key_is_named_with_the_way_out(key: str, what: str) -> None:
    """The usual mistake is the other key on the same page of the dashboard."""
    (problem,) = key_problems(key)
    assert what in problem
    assert key not in problem
    if "characters" not in what:
        assert "use the secret key (dashboard" in problem


def test_a_long_value_is_not_quoted() -> None:
    """A token under the wrong name must not end up in an error message."""
    assert shown("ten chars!") == "'ten chars!'"
    assert shown("a" * 30) == "what is written there"
    assert shown("sb_secret_x") == shown("oauth:x") == "what is written there"


def test_a_secret_prints_as_redacted() -> None:
    """In repr, str and f-strings; an empty one prints as nothing."""
    secret = Redacted("hush")
    assert f"{secret} {secret!r}" == "[redacted] Redacted('[redacted]')"
    assert secret.get_secret_value() == "hush"
    assert str(Redacted("")) == ""


def test_a_client_id_is_letters_and_digits() -> None:
    """Anything else was copied wrongly."""
    assert client_id_of("abcdefghijklmnopqrstuvwxyz0123") == "abcdefghijklmnopqrstuvwxyz0123"
    for wrong in ("two words", "ação", "a" * 65):
        with pytest.raises(ValueError, match="no client id"):
            client_id_of(wrong)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://id.twitch.tv/oauth2/", "https://id.twitch.tv/oauth2"),
        ("http://127.0.0.1:8080/oauth2", "http://127.0.0.1:8080/oauth2"),
        ("http://simulator:8080/oauth2", "http://simulator:8080/oauth2"),
    ],
)
def test_a_server_s_address_keeps_its_path(written: str, read: str) -> None:
    """In clear only where it stays on the machine or in a local network."""
    assert service_url(written) == read


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("id.twitch.tv", "write it with https://"),
        ("ftp://id.twitch.tv", "write it with https://"),
        ("https://", "write it with https://"),
        ("https://id.twitch.tv/?a=b", "write it with https://"),
        ("https://id.twitch.tv:x", "write it with https://"),
        ("https://me:secret@id.twitch.tv", "leave them out"),
        ("http://id.twitch.tv/oauth2", "would send tokens in clear"),
    ],
)
def test_an_address_that_would_not_do_is_refused(written: str, words: str) -> None:
    """With the way out, and without a password."""
    with pytest.raises(ValueError, match=words) as caught:
        service_url(written)
    assert "secret" not in str(caught.value)
