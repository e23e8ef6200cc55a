"""Hand-written events straight into `raw` of a database of its own, as one load each: for tests of what comes after the load."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from loglake import clients, warehouse
from loglake.columns import COLUMNS, Column
from loglake.events import Event
from loglake.settings import settings
from tests.sample import NOW


@contextmanager
def empty_warehouse(name: str) -> Iterator[str]:
    """A database with the warehouse's schema and no row, dropped at the end."""
    with fresh_database(name) as server:
        warehouse.create_roles(server, settings().postgres, ("loader", "dbt", "monitor", "bi_reader"))
        warehouse.create_database(server, name, "postgres")
        with clients.postgres("postgres", name) as database:
            warehouse.apply_schema(database)
        yield name


@contextmanager
def copied_warehouse(name: str, original: str) -> Iterator[str]:
    """A copy of a warehouse to which nobody is connected, dropped at the end."""
    with fresh_database(name) as server:
        server.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(original)))
        yield name


@contextmanager
def fresh_database(name: str) -> Iterator[psycopg.Connection]:
    """The superuser's connection to the server, which has no database of this name, neither before nor after."""
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    with clients.postgres("postgres", "postgres") as server:
        server.execute(drop)
        yield server
        server.execute(drop)


def deliver(database: str, load_id: int, events: Sequence[Event], rejected: int = 0) -> None:
    """One load of events and as many rejected records, with its row in the books; ids that are there count as duplicates."""
    with clients.postgres("loader", database, autocommit=False) as connection:
        inserted = _insert(connection, load_id, events)
        for offset in range(rejected):
            connection.execute("insert into raw.rejected_events values ('LogEvents', 1, %s, %s, %s, 'empty: 0 bytes', '', %s)",
                               [load_id * 1000 + offset, NOW, NOW, load_id])  # fmt: skip
        read = len(events) + rejected
        connection.execute(
            "insert into ops.load_manifest values (%s, null, %s, now(), now(), 1, %s, %s, %s, %s)",
            [load_id, load_id, read, inserted, len(events) - inserted, rejected],
        )


def _insert(connection: psycopg.Connection, load_id: int, events: Sequence[Event]) -> int:
    """How many were new."""
    rows = [
        [*(_value(event, column) for column in COLUMNS), "LogEvents", 0, load_id * 1000 + offset, event.sent_at, event.sent_at, load_id]
        for offset, event in enumerate(events)
    ]
    if not rows:
        return 0
    places = sql.SQL(", ").join([sql.Placeholder()] * len(rows[0]))
    with connection.cursor() as cursor:
        cursor.executemany(sql.SQL("insert into raw.log_events values ({}) on conflict do nothing").format(places), rows)
        return cursor.rowcount


def _value(event: Event, column: Column) -> Any:
    holder = getattr(event, column.group) if column.group else event
    value = getattr(holder, column.field, None)
    if isinstance(value, tuple):
        return Jsonb(msgspec.to_builtins(value)) if value else None
    return value
