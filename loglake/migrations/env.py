"""What Alembic runs to upgrade: over the connection that `loglake.upgrades` hands it, all revisions in one transaction."""

from alembic import context

from loglake.warehouse import SCHEMA_VERSION

_schema, _table = SCHEMA_VERSION.split(".")
context.configure(
    connection=context.config.attributes["connection"],
    version_table=_table,
    version_table_schema=_schema,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
