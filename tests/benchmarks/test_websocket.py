"""The server's side of a WebSocket, by the examples of RFC 6455."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.websocket import PAYLOAD_BYTES_MAX, FrameReader, WebSocketError, accept_upgrade, text_frame

REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"
    b"Sec-WebSocket-Protocol: %b\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def client_frame(first: int, payload: bytes, mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """A masked frame, byte by byte as RFC 6455 section 5.3 says."""
    length = len(payload)
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 1 << 16:
        head = bytes((first, 0xFE)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + length.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def test_the_handshake_of_section_1_3() -> None:
    """The key and its answer are the RFC's; the subprotocol is taken only if it is irc."""
    answer = accept_upgrade(REQUEST % b"irc")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert b"\r\nSec-WebSocket-Protocol: irc\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert b"Sec-WebSocket-Protocol" not in accept_upgrade(REQUEST % b"chat, superchat")


def test_a_plain_http_request_is_told_what_this_port_speaks() -> None:
    """The way out stands in the error."""
    with pytest.raises(WebSocketError, match="speaks IRC and WebSocket only"):
        accept_upgrade(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


def test_the_frames_of_section_5_7() -> None:
    """A masked "Hello" of a client, an unmasked one of ours, a masked pong's ping."""
    reader = FrameReader()
    assert reader.receive(bytes.fromhex("818537fa213d7f9f4d5158")) == [b"Hello"]
    assert text_frame(b"Hello") == bytes.fromhex("810548656c6c6f")
    assert text_frame(b"x" * 256)[:4] == bytes.fromhex("817e0100")
    assert text_frame(b"x" * 65_536)[:10] == bytes.fromhex("817f0000000000010000")
    assert reader.receive(client_frame(0x89, b"Hello")) == []
    assert reader.answers == bytes.fromhex("8a0548656c6c6f")
    assert not reader.closed


def test_a_close_is_answered_with_its_code() -> None:
    """Section 5.5.1."""
    reader = FrameReader()
    assert reader.receive(client_frame(0x88, (1_000).to_bytes(2, "big") + b"bye")) == []
    assert (reader.closed, reader.answers) == (True, bytes.fromhex("880203e8"))


@given(
    st.lists(st.binary(max_size=200) | st.sampled_from([b"a" * 125, b"b" * 126, b"c" * 65_536]), max_size=5),
    st.binary(min_size=4, max_size=4),
    st.lists(st.integers(0, 300), max_size=20),
)
def test_any_chunking_gives_the_same_payloads(payloads: list[bytes], mask: bytes, cuts: list[int]) -> None:
    """Frames come as the network cuts them."""
    stream = b"".join(client_frame(0x81, payload, mask) for payload in payloads)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    reader = FrameReader()
    found = [one for start, end in itertools.pairwise(places) for one in reader.receive(stream[start:end])]
    assert found == payloads


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bytes.fromhex("810548656c6c6f"), "without a mask"),
        (client_frame(0x01, b"Hel"), "more than one frame"),
        (client_frame(0x80, b"lo"), "more than one frame"),
        (b"\x81\xff" + (PAYLOAD_BYTES_MAX + 1).to_bytes(8, "big"), "bytes; at most"),
    ],
    ids=["unmasked", "fragment", "continuation", "too long"],
)
def test_what_no_chat_client_sends_is_refused(data: bytes, words: str) -> None:
    """Section 5.1, 5.4, and a bound on memory: told before its payload has come."""
    with pytest.raises(WebSocketError, match=words):
        FrameReader().receive(data)
