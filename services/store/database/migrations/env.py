"""Alembic environment: runs migrations on the connection of ``services.store.database.migrate``."""

from alembic import context

from services.store.database.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
