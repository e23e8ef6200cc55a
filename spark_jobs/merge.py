"""The transaction of a load: staged rows into `raw`, and the manifest that accounts for them. All of it, or none."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from psycopg import sql

from loglake import clients, locks, raw_partitions, resolutions
from loglake.errors import LoadInProgressError
from loglake.warehouse import LOAD_LOCK_KEY, RAW_COLUMNS
from spark_jobs.copy_files import Staged

#: A usual load is sorted in memory with this; a greater one spills to disk.
_SORT_MEMORY = "256MB"

_REJECTED = """
insert into {raw}.rejected_events (topic, partition, "offset", kafka_timestamp, ingested_at, reject_reason, payload, load_id)
select topic, partition, "offset", kafka_timestamp, ingested_at, reject_reason, payload, %(load_id)s
from ({staged}) as staged
where reject_reason is not null
on conflict do nothing
"""
_MANIFEST = """
insert into {ops}.load_manifest (load_id, snapshot_from, snapshot_to, started_at, committed_at, files_read,
                               rows_read, rows_inserted, rows_duplicate, rows_rejected)
values (%(load_id)s, %(snapshot_from)s, %(snapshot_to)s, %(started_at)s, clock_timestamp(), %(files_read)s,
        %(rows_read)s, %(rows_inserted)s, %(rows_duplicate)s, %(rows_rejected)s)
"""


@dataclass(frozen=True)
class Counts:
    """What became of the rows that a load read."""

    rows_read: int
    rows_inserted: int
    rows_duplicate: int
    rows_rejected: int


@contextmanager
def only_loader(timeout_seconds: float) -> Iterator[psycopg.Connection]:
    """A connection that holds the loader's lock for as long as it lives; LoadInProgressError when another load keeps it."""
    with clients.postgres("loader") as connection:
        busy = LoadInProgressError(
            f"another load is running, and did not end within {timeout_seconds:g} s: try later, or set LOGLAKE_LOAD_LOCK_TIMEOUT_SECONDS"
        )
        locks.wait_for(connection, [LOAD_LOCK_KEY], f"{int(timeout_seconds * 1000)}ms", busy)
        yield connection


def last_position(connection: psycopg.Connection, prefix: str = "") -> tuple[int, int | None]:
    """The last load's id (0: none yet) and the snapshot it ended at."""
    query = "select load_id, snapshot_to from {ops}.load_manifest order by load_id desc limit 1"
    row = connection.execute(sql.SQL(query).format(**_schemas(prefix))).fetchone()
    return (row[0], row[1]) if row else (0, None)


def drop_leftovers(connection: psycopg.Connection, prefix: str = "") -> int:
    """Drop the staging tables of loads that were killed; the caller holds the lock. The number of tables dropped."""
    schema = f"{prefix}stage"
    names = [row[0] for row in connection.execute("select tablename from pg_tables where schemaname = %s", [schema]).fetchall()]
    for name in names:
        connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(schema, name)))
    return len(names)


def _schemas(prefix: str) -> dict[str, sql.Identifier]:
    return {name: sql.Identifier(prefix + name) for name in ("raw", "ops")}


def merge(connection: psycopg.Connection, staged: Sequence[Staged], manifest: Mapping[str, object], prefix: str = "") -> Counts:
    """Merge the staging tables and write the manifest row in one transaction; the staging tables go with it.

    `manifest` gives load_id, snapshot_from, snapshot_to, started_at and files_read. Event ids that are there already, or
    twice in the load, are counted as duplicates; so are rejected records that an earlier load brought (their position is known).
    """
    good, bad = sum(part.good for part in staged), sum(part.rejected for part in staged)
    rows, schemas = union(staged, f"{prefix}stage"), _schemas(prefix)
    with connection.transaction():
        prepare(connection, staged, f"{prefix}raw")
        known = {"newest": _newest(connection, schemas), "floor": raw_partitions.floor(connection, prefix)}
        inserted = connection.execute(_insert(rows, schemas), {**manifest, **known}).rowcount
        rejected = insert_rejected(connection, rows, manifest, prefix) if bad else 0
        counts = Counts(good + bad, inserted, good - inserted + bad - rejected, rejected)
        book(connection, manifest, counts, prefix)
        drop(connection, staged, f"{prefix}stage")
        if not prefix:
            resolutions.settle(connection)
    return counts


def union(staged: Sequence[Staged], schema: str = "stage") -> sql.Composed:
    """A query of all staged rows."""
    tables = [sql.Identifier(schema, part.table) for part in staged]
    return sql.SQL(" union all ").join(sql.SQL("select * from {}").format(table) for table in tables)


def prepare(connection: psycopg.Connection, staged: Sequence[Staged], schema: str = "raw") -> None:
    """Within the transaction: memory to sort in, and a partition for each month that is staged."""
    connection.execute(sql.SQL("set local work_mem = {}").format(sql.Literal(_SORT_MEMORY)))
    for month in raw_partitions.months(set().union(*(part.id_prefixes for part in staged)), datetime.now(UTC)):
        _ensure_partition(connection, month, schema)


def book(connection: psycopg.Connection, manifest: Mapping[str, object], counts: Counts, prefix: str = "") -> None:
    """Write the load's row of the manifest."""
    connection.execute(sql.SQL(_MANIFEST).format(**_schemas(prefix)), {**manifest, **vars(counts)})


def drop(connection: psycopg.Connection, staged: Sequence[Staged], schema: str = "stage") -> None:
    for part in staged:
        connection.execute(sql.SQL("drop table {}").format(sql.Identifier(schema, part.table)))


def insert_rejected(connection: psycopg.Connection, staged: sql.Composed, manifest: Mapping[str, object], prefix: str = "") -> int:
    """The staged rejects whose position is not known yet; how many."""
    return connection.execute(sql.SQL(_REJECTED).format(staged=staged, **_schemas(prefix)), manifest).rowcount


def raw_columns() -> tuple[sql.Composed, sql.Composed]:
    """The columns of `raw.log_events` without load_id, and their values from a staged row."""
    targets = sql.SQL(", ").join(sql.Identifier(column.name) for column in RAW_COLUMNS)
    values = sql.SQL(", ").join(
        sql.SQL("{}::{}").format(sql.Identifier(column.name), sql.SQL(column.postgres))
        if column.postgres in ("uuid", "jsonb")
        else sql.Identifier(column.name)
        for column in RAW_COLUMNS
    )
    return targets, values


def _newest(connection: psycopg.Connection, schemas: Mapping[str, sql.Identifier]) -> UUID:
    """The greatest event id that is loaded; the nil UUID when none is."""
    query = "select event_id from {raw}.log_events order by event_id desc limit 1"
    row = connection.execute(sql.SQL(query).format(**schemas)).fetchone()
    return row[0] if row else UUID(int=0)


def _insert(staged: sql.Composed, schemas: Mapping[str, sql.Identifier]) -> sql.Composed:
    targets, values = raw_columns()
    # Of copies within one load the first that Kafka received stays; ids in order also suit the primary key's index.
    # ON CONFLICT would do, but its speculative insertion costs a quarter of the statement, and the lock keeps other loaders out.
    # What is known is asked for in a scalar subquery: always a look into the index, where NOT EXISTS may become a scan of all history.
    # Ids grow with time, so most are above all known ones and need no look. Below the floor nobody knows any more what was there.
    statement = """
        insert into {raw}.log_events ({targets}, load_id)
        select distinct on (event_id) {values}, %(load_id)s
        from ({staged}) as staged
        where reject_reason is null
            and event_id::uuid >= %(floor)s
            and (
                event_id::uuid > %(newest)s
                or (select true from {raw}.log_events as known where known.event_id = staged.event_id::uuid) is null
            )
        order by event_id, kafka_timestamp, "offset"
    """
    return sql.SQL(statement).format(targets=targets, values=values, staged=staged, **schemas)


def _ensure_partition(connection: psycopg.Connection, month: datetime, schema: str) -> None:
    """Attach the month's partition when it is not there, with the rows of that month that the default partition holds."""
    name = raw_partitions.partition_name(month)
    if connection.execute("select to_regclass(%s)", [f"{schema}.{name}"]).fetchone() != (None,):
        return
    low, high = raw_partitions.month_bounds(month)
    parts = {"raw": sql.Identifier(schema), "name": sql.Identifier(schema, name), "low": sql.Literal(low), "high": sql.Literal(high)}
    connection.execute(sql.SQL("create table {name} (like {raw}.log_events including all)").format(**parts))
    connection.execute(
        sql.SQL(
            "with moved as (delete from {raw}.log_events_default where event_id >= {low} and event_id < {high} returning *) "
            "insert into {name} select * from moved"
        ).format(**parts)
    )
    connection.execute(sql.SQL("alter table {raw}.log_events attach partition {name} for values from ({low}) to ({high})").format(**parts))
