"""Tables of the main database; only the store imports them. `import_all` fills the shared metadata."""

from __future__ import annotations

import importlib
import pkgutil

from sqlalchemy import MetaData

from controller.store.tables.base import metadata


def import_all() -> MetaData:
    """Metadata with every table of every file beside this one."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return metadata
