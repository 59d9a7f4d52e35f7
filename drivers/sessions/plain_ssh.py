"""asyncssh's client connections without what doubles their packets and helps nobody here.

Before each packet asyncssh sends one that says nothing (RFC 4253 §11.2), against an attack on ciphers in CBC mode
(RFC 4251 §9.3.1), and it makes a line of log for each packet whether or not a log is kept. With every other cipher the
empty packet protects nothing, and what has no CBC goes without.
"""

from __future__ import annotations

from typing import Final

import asyncssh
from asyncssh.packet import SSHPacketLogger

_IGNORE: Final = 2


class _PlainClient(asyncssh.SSHClientConnection):
    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        if pkttype != _IGNORE or _in_cbc(self):
            super().send_packet(pkttype, *args)

    def _log_packet(self, *_told: object) -> None:
        return


def make_plain(connection: asyncssh.SSHClientConnection) -> None:
    """To be called when the connection is made, before its first packet."""
    # The library makes its own class whatever it is asked for; the instance is not in use yet.
    connection.__class__ = _PlainClient


def _in_cbc(connection: asyncssh.SSHClientConnection) -> bool:
    return "cbc" in str(connection.get_extra_info("send_cipher", "cbc"))
