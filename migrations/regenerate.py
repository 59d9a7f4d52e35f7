"""Write `versions/0001_first_flight.py` anew from the tables: `python -m migrations.regenerate`.

Allowed only until the first landing; from then on revisions are appended.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from controller.store.tables import import_all

TARGET: Final = Path(__file__).parent / "versions" / "0001_first_flight.py"

HEAD: Final = '''"""First flight: every table of the first version.

Why: the first landing. Until then this file is written by `python -m migrations.regenerate`; afterwards it is history.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    '''


def body() -> str:
    """Python statements that create every table, computed against an empty SQLite database."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        operations = produce_migrations(context, import_all()).upgrade_ops
        assert operations is not None
        return render_python_code(operations, migration_context=context)


def main() -> None:
    """Write the file and put it into the house format."""
    TARGET.write_text(HEAD + body() + "\n", encoding="utf-8")
    for step in (("format", "-q"), ("check", "--fix", "-q"), ("format", "-q")):
        subprocess.run((sys.executable, "-m", "ruff", *step, str(TARGET)), check=True)  # noqa: S603  # our own arguments


if __name__ == "__main__":
    main()
