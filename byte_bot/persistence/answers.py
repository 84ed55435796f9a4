"""The bodies of the database's answers, read so that one odd row is that row's business and nobody else's; pure.

How it works. A column ``data`` is of type jsonb, and the table editor takes there whatever JSON can say: ``1e5000`` comes back as 5,001
digits, more than Python makes an int of (4,300), and brackets can stand in brackets deeper than Python's stack. Whoever decodes an answer
whole gets nothing of it for the sake of one such value, now and at each further try. So it is decoded here with that column left
as it came, and a :class:`~byte_bot.persistence.operations.Base` holds its bytes; whether they can be read is asked by whoever wants the
value (:func:`~byte_bot.persistence.state.stored_object`). What is nested too deep even to be passed over is cut out of the body
first (:func:`pruned`), with a text in its place, which no row's ``data`` can be.

All other columns are of types of fixed size, so an answer in which one of them does not fit was not given by this schema, and is
none: :class:`msgspec.DecodeError`. Columns that are not the bot's are passed over.

**Stamps.** Epoch and revision of a row that was entered by hand are whatever was typed. The trigger in ``schema/`` looks at the epoch;
here a revision that no process can have come to (:data:`~byte_bot.persistence.operations.REVISION_BELIEVED_MAX`) counts as none. The
bot's next save is taken all the same if the row's epoch is an older one; under its own epoch it is refused as stale, and the
writer takes a new one (:mod:`byte_bot.persistence.writer`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from byte_bot.persistence.operations import NO_TOMBSTONES, Base, Tombstones, believed_revision

#: Levels below which a value is cut out of a body that cannot be decoded; chosen: half of what Python's stack allows, since a reader
#: stands some calls deep itself.
LEVELS_MAX: Final = 500
#: What stands in place of what was cut out.
CUT_OUT: Final = f"nested more than {LEVELS_MAX} levels deep"

#: What PostgreSQL's bigint holds, and SQLite's INTEGER.
_Bigint = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Grave = tuple[_Bigint, _Bigint, _Bigint]
# Made once: to look at the type takes several times as long as to read what nearly every row has there.
_graves: Final = msgspec.json.Decoder(dict[str, dict[str, _Grave]] | None).decode

_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
#: The columns of ``channels_config`` that humans and the bot set.
_CONFIG_COLUMNS: Final = ("channel_id", "enabled", "paused", "language", "prefix")

AnswerT = TypeVar("AnswerT")


class StateRow(msgspec.Struct, frozen=True):
    """A row of ``channel_state`` or ``component_state``."""

    channel_id: str
    data: msgspec.Raw
    version: _Bigint
    epoch: _Bigint
    revision: _Bigint
    edit_no: _Bigint
    key: str = ""
    tombstones: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))

    @property
    def base(self) -> Base:
        """What the row says; whatever JSON a human made of its ``data`` is left to whoever reads that."""
        return Base(
            _compact(self.data),
            _tombstones(self.tombstones),
            self.version,
            self.epoch,
            believed_revision(self.revision),
            self.edit_no,
        )


class ConfigRow(msgspec.Struct, frozen=True):
    """A row of ``channels_config``."""

    login: str
    epoch: _Bigint
    revision: _Bigint
    edit_no: _Bigint
    channel_id: Any = None
    enabled: Any = None
    paused: Any = None
    language: Any = None
    prefix: Any = None

    @property
    def base(self) -> Base:
        """What the row says; a column that is null is left out."""
        columns = {name: getattr(self, name) for name in _CONFIG_COLUMNS}
        data = msgspec.json.encode({name: value for name, value in columns.items() if value is not None})
        return Base(data, NO_TOMBSTONES, 1, self.epoch, believed_revision(self.revision), self.edit_no)


class RefusedItem(msgspec.Struct, frozen=True):
    """One item of ``refused`` in the answer to a save; ``row`` is JSON's null if there is none."""

    table: str
    channel_id: str
    reason: Literal["edited", "stale", "invalid"]
    key: str | None = None
    sqlstate: str | None = None
    message: str | None = None
    row: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


class SavedBody(msgspec.Struct, frozen=True):
    """The answer of ``byte_bot_save``."""

    status: Literal["ok", "fenced", "unknown_epoch"]
    epoch: _Bigint
    holder: str | None = None
    refused: list[RefusedItem] = []


def decoded(body: bytes, kind: type[AnswerT], *, level: int = 2) -> AnswerT:
    """The body as ``kind``.

    Args:
        body: JSON in UTF-8.
        kind: what it should be.
        level: how many brackets stand round the value of a column: a list of rows has two.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is something else, or no JSON.
        RecursionError: it is nested too deep elsewhere than in a column.
    """
    if not body.isascii():
        body.decode()  # else a column that is left as it came would be kept for text, and spoil the journal that it stands in
    try:
        return msgspec.json.decode(body, type=kind)
    except RecursionError:
        return msgspec.json.decode(pruned(body, level), type=kind)


def state_row(raw: msgspec.Raw) -> StateRow:
    """The row in an item that was refused."""
    return msgspec.json.decode(raw, type=StateRow)


def config_row(raw: msgspec.Raw) -> ConfigRow:
    """The same of ``channels_config``."""
    return msgspec.json.decode(raw, type=ConfigRow)


def is_null(raw: msgspec.Raw) -> bool:
    """True if it is JSON's null."""
    return bytes(raw).strip() == b"null"


def pruned(body: bytes, level: int) -> bytes:
    """``body`` with a text in place of each value ``level`` brackets deep in which more than :data:`LEVELS_MAX` stand."""
    parts: list[bytes] = []
    done = begun = depth = deepest = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        mark = body[token.start()]
        if mark in b"[{":
            depth += 1
            if depth == level + 1:
                begun, deepest = token.start(), depth
            deepest = max(deepest, depth)
        elif mark in b"]}":
            depth -= 1
            if depth == level and deepest > LEVELS_MAX:
                parts += (body[done:begun], b'"%s"' % CUT_OUT.encode())
                done, deepest = token.end(), 0
    return b"".join((*parts, body[done:]))


def _compact(raw: msgspec.Raw) -> bytes:
    """The value without PostgreSQL's blanks, as it is written everywhere else; no number in it is looked at."""
    return msgspec.json.format(bytes(raw), indent=-1)


def _tombstones(raw: msgspec.Raw) -> Tombstones:
    try:
        graves = _graves(raw)
    except msgspec.DecodeError:
        return NO_TOMBSTONES  # a human's edit: what it forgets can at worst let an old deletion come back
    if not graves:
        return NO_TOMBSTONES
    return {field: {key: [*grave] for key, grave in keys.items()} for field, keys in graves.items()}
