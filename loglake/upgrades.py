"""Bringing a warehouse, new or of an older release, to the schema of this one; `loglake up` does it each time.

`loglake.warehouse` declares the schema as it is now, and creates what is missing. Alembic's revisions (`loglake.migrations`)
change what is there already. A warehouse without a version is new, or of the first release. There is no way back but a backup.
"""

from pathlib import Path

import psycopg

from loglake import clients, warehouse
from loglake.errors import SchemaError, ServiceError
from loglake.raw_columns import LOCK_TIMEOUT

SCRIPTS = Path(__file__).resolve().parent / "migrations"
_SUPERUSER = "postgres"
_UNCHANGED = "is as it was"
_HOLDS_TABLES = "select to_regclass('raw.log_events') is not null"


def revisions() -> list[str]:
    """The revisions of this release, oldest first, by their files' names: Alembic, which takes a second to import, is seldom needed."""
    return sorted(path.stem[1:].partition("_")[0] for path in (SCRIPTS / "versions").glob("r*.py"))


def version(connection: psycopg.Connection) -> str | None:
    """The revision that the warehouse is at; None when it has none: it is new, or of the first release."""
    if connection.execute("select to_regclass(%s)", [warehouse.SCHEMA_VERSION]).fetchone() == (None,):
        return None
    row = connection.execute(f"select version_num from {warehouse.SCHEMA_VERSION}").fetchone()  # noqa: S608 - a constant
    return str(row[0]) if row else None


def bring_up_to_date(database: str) -> list[str]:
    """Upgrade the warehouse in this database, and create what is missing in it; the revisions that were applied.

    Killed at any point it leaves the schema of before, or of finished revisions, and can be run again. SchemaError when the warehouse
    is of a newer release, or its columns are not the contract's; ServiceError when a revision fails, or a table is in use for too long.
    """
    known = revisions()
    with clients.postgres(_SUPERUSER, database) as connection:
        held = version(connection)
        is_new = held is None and connection.execute(_HOLDS_TABLES).fetchone() == (False,)
        if held is not None and held not in known:
            raise SchemaError(
                f"the warehouse {database} has schema version {held}, this release knows up to {known[-1]}: "
                "run the newer release that wrote it, or restore a backup from before (`loglake restore`)"
            )
        lacking = [] if is_new else known[known.index(held) + 1 if held else 0 :]
        if lacking:
            _run_revisions(database)
        try:
            with connection.transaction():
                warehouse.apply_schema(connection)
                if is_new:
                    connection.execute(f"insert into {warehouse.SCHEMA_VERSION} values (%s)", [known[-1]])  # noqa: S608
        except psycopg.errors.LockNotAvailable as error:
            raise _failed(database, error, f"is at version {lacking[-1]} without the new columns" if lacking else _UNCHANGED) from error
    return lacking


def _run_revisions(database: str) -> None:
    """Run every revision that the warehouse lacks, in one transaction."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import NullPool, create_engine, text
    from sqlalchemy.exc import DBAPIError

    def connect() -> psycopg.Connection:
        return clients.postgres(_SUPERUSER, database, autocommit=False)

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    try:
        with create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool).begin() as connection:
            connection.execute(text("select set_config('lock_timeout', :timeout, true)"), {"timeout": LOCK_TIMEOUT})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise _failed(database, error.orig or error, _UNCHANGED) from error


def _failed(database: str, error: BaseException, now: str) -> ServiceError:
    return ServiceError(
        f"the warehouse {database} could not be upgraded ({clients.one_line(error)}), and {now}: "
        "if its tables are in use, run `loglake down` and `loglake up`"
    )
