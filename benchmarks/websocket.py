"""The server's side of a WebSocket, as little of it as chat clients need: upgrade, text, ping, close.

How it works. :func:`accept_upgrade` answers the HTTP request; then :class:`FrameReader` turns bytes into the payloads of text
frames and the control frames to answer, and :func:`text_frame` makes a frame to send. It stands in the way of what is
measured, so it does no more per frame than RFC 6455 asks for, and unmasks whole payloads with one operation on integers.

Left out: extensions (a client's offer of compression is not accepted, which RFC 6455 section 9.1 allows), messages in more
than one frame (chat clients send none; such a frame raises), checking UTF-8.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_KEY: Final = re.compile(rb"^sec-websocket-key:[ \t]*([^ \t\r\n]+)", re.IGNORECASE | re.MULTILINE)
_PROTOCOL: Final = re.compile(rb"^sec-websocket-protocol:[ \t]*irc[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_FIN = 0x80
#: No chat client sends more in one frame; a longer one is a defect, and reading on would eat memory.
PAYLOAD_BYTES_MAX: Final = 1 << 20


class WebSocketError(Exception):
    """The client did what a chat client does not do; the message says what."""


def accept_upgrade(request: bytes) -> bytes:
    """The answer to an HTTP request that asks for a WebSocket (RFC 6455 section 4.2.2).

    The subprotocol ``irc`` is taken if it is offered: tmi.js connects only then.

    Raises:
        WebSocketError: it is no such request.
    """
    key = _KEY.search(request)
    if key is None:
        raise WebSocketError(
            "an HTTP request without Sec-WebSocket-Key: this port speaks IRC and WebSocket only"
        )
    digest = hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest()
    protocol = b"Sec-WebSocket-Protocol: irc\r\n" if _PROTOCOL.search(request) else b""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n" + protocol + b"\r\n"
    )


def text_frame(payload: bytes) -> bytes:
    """One unmasked text frame."""
    return _frame(_TEXT, payload)


class FrameReader:
    """Cuts a client's bytes into payloads. ``answers`` collects the control frames to write back; ``closed`` tells of a Close."""

    def __init__(self) -> None:
        self._kept = b""
        self.answers = b""
        self.closed = False

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes; the payloads of the text frames that are complete now.

        Raises:
            WebSocketError: a frame is unmasked, fragmented, or longer than :data:`PAYLOAD_BYTES_MAX`.
        """
        if self._kept:
            data = self._kept + data
        at, end = 0, len(data)
        payloads: list[bytes] = []
        while end - at >= 6:
            length, start = data[at + 1] & 0x7F, at + 2
            if not data[at + 1] & 0x80:
                raise WebSocketError("a client's frame without a mask (RFC 6455 section 5.1)")
            if length == 126:
                length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            elif length == 127:
                length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
            if length > PAYLOAD_BYTES_MAX:
                raise WebSocketError(f"a frame of {length} bytes; at most {PAYLOAD_BYTES_MAX} are taken")
            if end < start + 4 + length:
                break
            payload = _unmasked(data[start : start + 4], data[start + 4 : start + 4 + length])
            self._take(data[at], payload, payloads)
            at = start + 4 + length
        self._kept = data[at:]
        return payloads

    def _take(self, first: int, payload: bytes, payloads: list[bytes]) -> None:
        opcode = first & 0x0F
        if not first & _FIN or opcode == 0:
            raise WebSocketError("a message in more than one frame, which no chat client sends")
        if opcode == _TEXT:
            payloads.append(payload)
        elif opcode == _PING:
            self.answers += _frame(_PONG, payload)
        elif opcode == _CLOSE:
            self.answers += _frame(_CLOSE, payload[:2])
            self.closed = True


def _frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((_FIN | opcode, length)) + payload
    if length < 1 << 16:
        return bytes((_FIN | opcode, 126)) + length.to_bytes(2, "big") + payload
    return bytes((_FIN | opcode, 127)) + length.to_bytes(8, "big") + payload


def _unmasked(mask: bytes, payload: bytes) -> bytes:
    length = len(payload)
    stretched = mask * (length // 4 + 1)
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stretched[:length], "big")
    return masked.to_bytes(length, "big")
