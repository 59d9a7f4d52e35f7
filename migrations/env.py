"""How Alembic reaches the database: always through the connection that `controller.store.schema` hands over."""

from __future__ import annotations

from alembic import context

from controller.store.tables import import_all

connection = context.config.attributes["connection"]
if connection is None:
    raise SystemExit("run `kajitori db upgrade`; revisions run only on its connection")
context.configure(connection=connection, target_metadata=import_all(), transactional_ddl=True)
context.run_migrations()
