"""Sockets that are lent to the event loop, and given up when nothing came of it, without closing a number twice.

uvloop takes the number of a socket that it is given, and closes it when the connection ends. The Python object learns
that only if the connection was made whole before; else it holds a number that is free and soon somebody else's, and
would close that: at once when we close it, or whenever it is collected.
"""

from __future__ import annotations

import asyncio
import os
import socket


def inode(sock: socket.socket) -> int:
    """What tells a socket from all others of this machine, for `give_up`; to be asked before it is lent."""
    return os.fstat(sock.fileno()).st_ino


def give_up(sock: socket.socket, known: int) -> None:
    """Close a socket unless the event loop has: then its number is let go of, whoever has it now."""
    try:
        ours = os.fstat(sock.fileno()).st_ino == known
    except OSError:
        ours = False
    if ours:
        sock.close()
    else:
        sock.detach()


async def pair() -> tuple[socket.socket, tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Two ends of a connection within this process: a socket, and streams."""
    ours, theirs = socket.socketpair()
    known = inode(theirs)
    try:
        ours.setblocking(False)
        return ours, await asyncio.open_connection(sock=theirs)
    except BaseException:
        ours.close()
        give_up(theirs, known)
        raise
