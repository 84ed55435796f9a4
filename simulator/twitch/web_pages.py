"""The three pages that a person sees at the fake's OAuth: who they are, whether they agree, and that it is done.

Plain HTML without scripts, in English as all of the simulator; whatever comes from a request or a name is escaped. There are no
passwords: whoever sits at the browser picks an account, which is why this must never face anything but loopback.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

ACCOUNTS_MAX = (
    200  # chosen: a list that a person can still look through; any other login can be typed into the address
)

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>
{body}
<p><small>This is a simulator, not Twitch: accounts have no passwords here.</small></p>
</body></html>
"""


def activation_page(user_code: str, app_name: str, scopes: Iterable[str], logins: Iterable[str]) -> str:
    """Ask whether an account agrees to a device's request; the answer is posted to /activate."""
    body = (
        f"<p>The app <b>{escape(app_name)}</b> shows the code <b>{escape(user_code)}</b> and asks for:</p>"
        f"{_list(scopes)}"
        '<form method="post" action="/activate">'
        f'<input type="hidden" name="user_code" value="{escape(user_code)}">'
        f'<label>Agree as <select name="login">{_options(logins)}</select></label> '
        '<button type="submit">Authorize</button></form>'
    )
    return _PAGE.format(title="Activate your device", body=body)


def code_page(problem: str) -> str:
    """Ask for the code that the device shows."""
    body = (
        f"<p>{escape(problem)}</p>"
        '<form method="get" action="/activate"><label>Code <input name="device-code" maxlength="9"></label> '
        '<button type="submit">Continue</button></form>'
    )
    return _PAGE.format(title="Activate your device", body=body)


def account_page(
    action: str,
    app_name: str,
    scopes: Iterable[str],
    parameters: Mapping[str, str],
    logins: Iterable[str],
) -> str:
    """Ask which account agrees; the form repeats the request at `action` with a `login`."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in parameters.items()
    )
    body = (
        f"<p>The app <b>{escape(app_name)}</b> asks for:</p>{_list(scopes)}"
        f'<form method="get" action="{escape(action)}">{hidden}'
        f'<label>Agree as <select name="login">{_options(logins)}</select></label> '
        '<button type="submit">Authorize</button></form>'
    )
    return _PAGE.format(title="Authorize an app", body=body)


def done_page(login: str) -> str:
    """Say that the device has what it asked for."""
    body = f"<p>Done: the device now acts as <b>{escape(login)}</b>. You can close this page.</p>"
    return _PAGE.format(title="Authorized", body=body)


def _list(scopes: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(name)}</li>" for name in scopes)
    return f"<ul>{items or '<li>nothing but to know who you are</li>'}</ul>"


def _options(logins: Iterable[str]) -> str:
    shown = list(logins)[:ACCOUNTS_MAX]
    return "".join(f'<option value="{escape(login)}">{escape(login)}</option>' for login in shown)
