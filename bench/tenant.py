"""A tenant of the running stack for measurements: its own topic, lake folder, catalog and warehouse, gone afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka.admin import NewTopic
from psycopg import sql

from loglake import clients, warehouse
from loglake.settings import export, settings

_NAME = "loglake_bench"


@contextmanager
def tenant() -> Iterator[None]:
    """Point this process's settings at a new tenant, and remove it in the end (and first, should a killed run have left one)."""
    catalog = f"{_NAME}_catalog"
    export(
        LOGLAKE_KAFKA_TOPIC=_NAME,
        LOGLAKE_LAKE_PATH=f"/{_NAME}/lake",
        LOGLAKE_LAKE_CHECKPOINTS=f"/{_NAME}/checkpoints",
        LOGLAKE_POSTGRES_CATALOG_DATABASE=catalog,
    )
    with tenant_warehouse():
        _remove_files()
        _drop(catalog)
        with clients.postgres("postgres", "postgres") as admin:
            warehouse.create_database(admin, catalog, "lake_catalog")
        with clients.postgres("postgres", catalog) as connection:
            warehouse.apply_catalog(connection)
        try:
            new_topic(_NAME)
            yield
        finally:
            _remove_files()
            _drop(catalog)


@contextmanager
def tenant_warehouse() -> Iterator[None]:
    """The same for the warehouse alone; of the stack it needs Postgres only."""
    export(LOGLAKE_POSTGRES_DATABASE=_NAME)
    settings.cache_clear()
    _drop(_NAME)
    with clients.postgres("postgres", "postgres") as admin:
        warehouse.create_database(admin, _NAME, "postgres")
    with clients.postgres("postgres", _NAME) as connection:
        warehouse.apply_schema(connection)
    try:
        yield
    finally:
        _drop(_NAME)


def new_topic(name: str) -> None:
    """Make a topic with as many partitions as the setting says."""
    with clients.kafka_admin() as admin:
        admin.create_topics([NewTopic(name, settings().kafka.partitions, settings().kafka.replication)])


def delete_topics(*names: str) -> None:
    """Delete the topics that are there."""
    with clients.kafka_admin() as admin:
        known = set(admin.list_topics())
        if wanted := [name for name in names if name in known]:
            admin.delete_topics(wanted)


def _remove_files() -> None:
    delete_topics(_NAME)
    clients.webhdfs().delete(f"/{_NAME}", recursive=True)


def _drop(database: str) -> None:
    with clients.postgres("postgres", "postgres") as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(database)))
