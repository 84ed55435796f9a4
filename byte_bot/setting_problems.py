"""What is wrong with a setting, in a line that begins with the variable's name: what, and the way out.

Pydantic's own errors are for programmers; these are for whoever wrote a ``.env``. Nothing here repeats a secret: of a secret
field no value is shown, and of the others only what cannot be one (:func:`~byte_bot.setting_values.shown`).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from byte_bot.setting_values import shown

# Other programs' variables that live in the same families and resemble ours.
_FOREIGN: Final = frozenset({"LOG_FILE", "LOG_DIR", "DATABASE_URL", "SUPABASE_DB_URL"})
# difflib ratio; 0.6 (its default) takes other programs' TWITCH_ variables for ours.
_TYPO_CLOSENESS: Final = 0.75

_VERBS: Final = ("is ", "begins ", "holds ")


def misspelt(names: Iterable[str], fields: Iterable[str]) -> dict[str, str]:
    """Variables among ``names`` that are close to one of ours (``fields``, in lower case), and to which."""
    ours = [name.upper() for name in fields]
    # Only variables that begin like one of ours: the rest of the environment is nobody's business here.
    families = ("COMPONENT", *(name.partition("_")[0] + "_" for name in ours))
    found: dict[str, str] = {}
    for name in sorted(map(str.upper, names)):
        if name in ours or name in _FOREIGN or not name.startswith(families):
            continue
        if close := difflib.get_close_matches(name, ours, n=1, cutoff=_TYPO_CLOSENESS):
            found[name] = close[0]
    return found


def problem_lines(
    details: ErrorDetails, fields: Mapping[str, FieldInfo], secret: Collection[str], typos: Mapping[str, str]
) -> list[str]:
    """What is wrong with one field, as lines that begin with the variable's name.

    Args:
        details: pydantic's.
        fields: of the settings.
        secret: the fields whose values are never shown.
        typos: misspelt variables, and what they were meant to be.
    """
    field = str(details["loc"][0])
    variable, about = field.upper(), fields[field]
    example = f" Example: {variable}={about.examples[0]}" if about.examples else ""
    missing = "is missing" + "".join(
        f" ({typo} is set: misspelt?)" for typo, meant in typos.items() if meant == variable
    )
    if details["type"] == "missing":
        return [f"{variable} {missing}: {about.description}.{example}"]
    if details["type"] == "value_error":
        texts = str(details["ctx"]["error"]).replace("is missing", missing, 1).split("\n")
        # A text that begins with the culprit among several values is no continuation of "VARIABLE ...".
        return [
            f"{variable} {text}." if text.startswith(_VERBS) else f"{variable}: {text}." for text in texts
        ]
    quoted = "" if field in secret else f" is {shown(details['input'])}, which"
    default = str(about.default).lower()
    reason = details["msg"][0].lower() + details["msg"][1:]
    return [
        f"{variable}{quoted} is wrong: {reason} ({about.description}; leave it out for {default}).{example}"
    ]
