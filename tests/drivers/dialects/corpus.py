"""The third-party configurations and samples under tests/corpus, by dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parents[2] / "corpus"
FOLDERS: Final = (
    ("indented", "ios-config", "*"),
    ("block", "fortios-config", "*"),
    ("statements", "samples", "legacy-*.cfg"),
    ("key-value", "samples", "recipe-*.cfg"),
    ("key-value", "samples", "smf-line.txt"),
)


def files(dialect: str) -> list[Path]:
    """Files that are written in `dialect`, in the order of their names."""
    found = [path for name, folder, glob in FOLDERS if name == dialect for path in (CORPUS / folder).glob(glob)]
    return sorted(found)


def text_of(path: Path) -> str:
    """A file as the dialects take it: any octet survives."""
    return path.read_bytes().decode("utf-8", "surrogateescape")
