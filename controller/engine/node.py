"""Which node this is: an id that outlives restarts and is held by one live process at a time (architecture §5)."""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path
from types import TracebackType

from inventory.errors import Conflict


class NodeId:
    """The node id in a file of the data directory, held by a lock while the process lives."""

    def __init__(self, node_id: str, handle: int) -> None:
        self.node_id = node_id
        self._handle = handle

    @classmethod
    def claim(cls, path: Path, *, chosen: str | None = None) -> NodeId:
        """The id in the file at `path`; `chosen` (from settings), else a random one, is written when there is none.

        Raises Conflict when another live process holds it, or when `chosen` differs from the id under which work was
        begun here.
        """
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise Conflict(
                f"another live process holds {path.name}",
                next_step="Stop it first, or start this node with a data directory of its own.",
            ) from None
        known = os.read(handle, 200).decode("ascii", "replace").strip()
        if known and chosen and known != chosen:
            os.close(handle)
            raise Conflict(
                f"this data directory belongs to node {known}, not {chosen}",
                next_step=f"Set the node id back to {known}, or use a data directory of its own for {chosen}.",
            )
        if not known:
            known = chosen or f"node-{uuid.uuid4().hex[:12]}"
            os.write(handle, f"{known}\n".encode("ascii"))
            os.fsync(handle)
        return cls(known, handle)

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._handle)

    def __enter__(self) -> NodeId:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
