"""The schema's revision: bring a database to head, or say that it is not there. Alembic does the work."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import migrations
from controller.store.tables import import_all
from inventory.errors import Conflict


def alembic_config(connection: Connection | None = None) -> Config:
    """Settings of Alembic without a file, so that they hold in a clone and in the wheel alike."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@cache
def head() -> str:
    """The newest revision that this program knows; the files are read once, they do not change under a process."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert revision is not None
    return revision


def upgrade_to_head(connection: Connection) -> None:
    """Run the missing revisions in the open transaction: all of them or none."""
    command.upgrade(alembic_config(connection), "head")


def require_head(connection: Connection) -> None:
    """Raises Conflict unless the database is at the revision that this program was made for."""
    found = MigrationContext.configure(connection).get_current_revision()
    wanted = head()
    if found == wanted:
        return
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if found is not None and found not in known:
        raise Conflict(
            f"the database is at revision {found}, which this version does not know",
            next_step="Start the newer version of Kajitori that made it, or restore a backup.",
            facts={"found": found, "wanted": wanted},
        )
    raise Conflict(
        f"the database is at revision {found or 'none'}, and this version needs {wanted}",
        next_step="Run `kajitori db upgrade`.",
        facts={"found": found, "wanted": wanted},
    )


def differences(connection: Connection) -> list[str]:
    """What the database has otherwise than the tables of the program; empty when they agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return [repr(difference) for difference in compare_metadata(context, import_all())]
