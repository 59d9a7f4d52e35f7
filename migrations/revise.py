"""Append a revision that brings the newest schema to the tables of the code: `python -m migrations.revise NAME "why"`.

What was landed is history and is never written anew. The draft is to be read: Alembic sees neither a changed CHECK nor
a renamed column. A new column of an old table is nullable or has a `server_default`; an SQLite table that others
point to is never rebuilt (batch mode would drop it under their feet).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from controller.store import schema
from controller.store.tables import import_all

VERSIONS: Final = Path(__file__).parent / "versions"

HEAD: Final = '''"""{why}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    '''


def draft() -> str:
    """Python statements from the newest revision to the tables, computed on an empty SQLite database."""
    with create_engine("sqlite://").connect() as connection:
        schema.upgrade_to_head(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        operations = produce_migrations(context, import_all()).upgrade_ops
        assert operations is not None
        return render_python_code(operations, migration_context=context)


def main(name: str, why: str) -> None:
    """Write the file, put it into the house format, and say where it is."""
    before = schema.head()
    revision = f"{int(before) + 1:04d}"
    target = VERSIONS / f"{revision}_{name}.py"
    target.write_text(HEAD.format(why=why, revision=revision, before=before) + draft() + "\n", encoding="utf-8")
    for step in (("format", "-q"), ("check", "--fix", "-q"), ("format", "-q")):
        subprocess.run((sys.executable, "-m", "ruff", *step, str(target)), check=True)  # noqa: S603  # our own arguments
    sys.stdout.write(f"{target.relative_to(Path.cwd())}: read it before you commit it\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
