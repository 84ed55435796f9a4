"""A throw-away certificate authority for the fakes: TLS that a real client checks, and that nobody else will ever trust.

A `ThrowAwayAuthority` makes one root and one server certificate in memory. Only the root's certificate is written out, for clients to
trust (`SSL_CERT_FILE`, `NODE_EXTRA_CA_CERTS`); its key never leaves the process and dies with it. The server certificate names this
machine's loopback addresses and Twitch's hosts, so that a client whose resolver or hosts file leads Twitch's names here can keep its
production URLs.

Keys and serial numbers come from the machine's randomness, as they must: nothing that a seed decides depends on them. Left out:
revocation, client certificates.
"""

from __future__ import annotations

import ssl
from pathlib import Path

#: For whom the server certificate stands: loopback, and the hosts that Twitch's documentation names.
SERVER_NAMES = (
    "localhost", "127.0.0.1", "::1", "irc.chat.twitch.tv", "irc-ws.chat.twitch.tv", "api.twitch.tv", "id.twitch.tv",
    "eventsub.wss.twitch.tv",
)  # fmt: skip


class ThrowAwayAuthority:
    """One root and one server certificate, made when the object is."""

    def __init__(self) -> None:
        # Lazy: it brings the cryptography package, which takes longer to import than everything else of a stage without TLS.
        import trustme

        self._authority = trustme.CA(organization_name="byte-sim", organization_unit_name="throw-away root")
        self._certificate = self._authority.issue_cert(*SERVER_NAMES)

    def server_context(self) -> ssl.SSLContext:
        """What a listener needs: TLS 1.2 or newer, with the server certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._certificate.configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """What a client in this process needs: the defaults, and this root only."""
        return ssl.create_default_context(cadata=self._authority.cert_pem.bytes().decode("ascii"))

    def write(self, file: Path) -> None:
        """Write the root's certificate (PEM) for clients of other processes; raises OSError."""
        file.write_bytes(self._authority.cert_pem.bytes())
