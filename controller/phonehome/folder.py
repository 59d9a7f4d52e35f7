"""The folder of the certificates: keys for its owner only, and several files changed as if they were one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from controller.phonehome.certificates import Pair
from inventory.errors import Conflict
from inventory.secrets import Secret

DRAFT: Final = "next.draft"
"""What is being written; of no meaning until it has the other name."""
READY: Final = "next"
"""Written whole: its files take their places, at the next start if need be."""


class Folder:
    """Certificates and keys by name. Made with mode 0700."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def open(cls, path: Path) -> Folder:
        """The folder, after what a crash has left half done there is finished, or thrown away."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = cls(path)
        shutil.rmtree(path / DRAFT, ignore_errors=True)
        folder._take_places()
        return folder

    def have(self, name: str, make: Callable[[], Pair]) -> Pair:
        """Certificate and key of that name, made if one of them is missing. Raises Conflict when others can read it."""
        certificate, key = self._file(name, "crt"), self.key(name)
        if not certificate.exists() or not key.exists():
            self.replace({name: make()})
        if key.stat().st_mode & 0o077:
            raise Conflict(
                f"the key file {key.name} can be read by others",
                next_step=f"chmod 600 {key.name}, and think who read it.",
            )
        return Pair(certificate.read_text("ascii"), Secret(key.read_text("ascii")))

    def key(self, name: str) -> Path:
        """The key file of that name."""
        return self._file(name, "key")

    def chain(self, name: str, text: str) -> Path:
        """A file with this text, for the TLS library, which reads files only."""
        path = self._file(name, "chain")
        path.write_text(text, encoding="ascii")
        return path

    def text(self, file: str) -> str:
        """Content of a file; empty when there is none."""
        path = self._path / file
        return path.read_text("ascii") if path.exists() else ""

    def replace(self, pairs: Mapping[str, Pair], texts: Mapping[str, str] | None = None) -> None:
        """Write all of them or, after a crash at any point, none: one rename decides."""
        draft = self._path / DRAFT
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        for name, pair in pairs.items():
            _write(draft / self._file(name, "crt").name, pair.certificate)
            _write(draft / self.key(name).name, pair.key.reveal())
        for file, text in (texts or {}).items():
            _write(draft / file, text)
        draft.rename(self._path / READY)
        _settle(self._path)
        self._take_places()

    def _take_places(self) -> None:
        ready = self._path / READY
        if ready.is_dir():
            for file in sorted(ready.iterdir()):
                file.replace(self._path / file.name)
            _settle(self._path)
            ready.rmdir()

    def _file(self, name: str, kind: Literal["crt", "key", "chain"]) -> Path:
        return self._path / f"{name.lower().replace(' ', '-')}.{kind}"


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """What was renamed in a folder is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
