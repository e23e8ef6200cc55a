"""The books: what Kafka acknowledged, what the lake holds, and what was loaded. Whether they balance `loglake.balance` says."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from pyiceberg.table import StaticTable

from loglake import clients, erasure, lake, rejects, retirement, topic
from loglake.balance import Facts, Loaded
from loglake.lake import LakeCount
from loglake.settings import settings

MARTS = ("dim_users", "dim_product", "dim_date", "fact_event", "fact_order")
#: `since_full` begins with the last load that read the lake from its beginning. No load runs while days of the lake are retired, so the
#: times tell which of them the snapshot that the last load ended at still had; a backfill does not move that snapshot.
_LOADED = """
with since_full as (
    select max(load_id) as load_id, max(committed_at) as committed_at from ops.load_manifest where snapshot_from is null
), last_load as (
    select max(started_at) as started_at from ops.load_manifest where snapshot_from is distinct from snapshot_to
), retired as (
    select sum(records)::bigint as records, sum(rejected)::bigint as rejected,
           (sum(records) filter (where deleted_at < last_load.started_at))::bigint as before_load
    from ops.retired_day join ops.retirement using (retirement_id), since_full, last_load
    where deleted_at > since_full.committed_at
)
select count(*)::bigint as loads,
       coalesce(sum(rows_read), 0)::bigint as rows_read,
       coalesce(sum(rows_inserted), 0)::bigint as rows_inserted,
       coalesce(sum(rows_duplicate), 0)::bigint as rows_duplicate,
       coalesce(sum(rows_rejected), 0)::bigint as rows_rejected,
       (select coalesce(sum(rows_read), 0)::bigint from ops.load_manifest
        where load_id >= (select load_id from since_full)
            and snapshot_from is distinct from snapshot_to) as rows_since_full,
       (select snapshot_to from ops.load_manifest order by load_id desc limit 1) as snapshot_to,
       coalesce(sum(rows_read) filter (where snapshot_from = snapshot_to), 0)::bigint as rows_backfilled,
       (select coalesce(records, 0) from retired) as lake_retired,
       (select coalesce(rejected, 0) from retired) as lake_retired_rejected,
       (select coalesce(before_load, 0) from retired) as lake_retired_before
from ops.load_manifest
"""


def gather(*, read_lake: bool = True) -> Facts:
    """Read the facts from Kafka, the lake and the warehouse; ServiceError when one of them does not answer.

    Not `read_lake`: a check that costs little. Of the lake's rows only their number is known, from its snapshot, and Kafka is not asked;
    what is rejected among them is taken to be what raw says.
    """
    # From the end of the data's way to its beginning, so that rows that move meanwhile look like a backlog, never like a loss.
    began = datetime.now(UTC)
    with clients.postgres("monitor") as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read read only")
        warehouse = of_warehouse(connection)
    facts = with_lake(warehouse, lake.table(), began, read_lake=read_lake)
    return replace(facts, kafka=topic.bounds(facts.topic)) if read_lake else facts


def of_warehouse(connection: psycopg.Connection) -> dict[str, Any]:
    """The facts that the warehouse holds, by name; `connection` is in a transaction that is repeatable read and has read nothing yet."""
    # Before the snapshot is taken: what a rebuild swaps in at this moment is seen whole, or not at all.
    connection.execute("lock table ops.load_manifest in access share mode")
    marts = {name: _rows(connection, "marts", name) for name in MARTS}
    return {
        "loaded": loaded_rows(connection),
        "raw_events": _rows(connection, "raw", "log_events") or 0,
        "raw_rejected": _rows(connection, "raw", "rejected_events") or 0,
        "raw_retired": int(connection.execute("select coalesce(sum(events), 0) from raw.retired_month").fetchall()[0][0]),
        "marts": marts,
        "dbt_load_id": _last_load_id(connection, "marts", "fact_event") if marts["fact_event"] is not None else None,
        "last_load_id": _last_load_id(connection, "ops", "load_manifest"),
        "rejects": rejects.counts(connection),
    }


def with_lake(warehouse: dict[str, Any], bronze: StaticTable | None, began: datetime, *, read_lake: bool = True) -> Facts:
    """The facts of the warehouse and of this state of the lake, without Kafka's; `began` is from before the warehouse was read."""
    counted = LakeCount({}, 0, 0)
    if bronze:
        rejected = warehouse["raw_rejected"] - warehouse["loaded"].lake_retired_rejected
        counted = lake.count(bronze) if read_lake else _summary(bronze, rejected)
    with clients.postgres("monitor") as connection:
        open_erasures, open_retirements = erasure.open_since(connection, began), retirement.open_since(connection, began)
    return Facts(
        topic=settings().kafka.topic,
        kafka={},
        lake=counted,
        lake_at_load=records_at_load(bronze, warehouse["loaded"]),
        **warehouse,
        open_erasures=open_erasures,
        open_retirements=open_retirements,
    )


def _summary(bronze: StaticTable, rejected: int) -> LakeCount:
    return LakeCount({}, lake.total_records(bronze) - rejected, rejected)


def loaded_rows(connection: psycopg.Connection) -> Loaded:
    """The sums of the manifests as they are now."""
    return Loaded(*connection.execute(_LOADED).fetchall()[0])


def _rows(connection: psycopg.Connection, schema: str, table: str) -> int | None:
    """The rows of a table; None when it does not exist yet."""
    if connection.execute("select to_regclass(%s)", [f"{schema}.{table}"]).fetchone() == (None,):
        return None
    row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))).fetchone()
    return int(row[0]) if row else None


def _last_load_id(connection: psycopg.Connection, schema: str, table: str) -> int | None:
    row = connection.execute(sql.SQL("select max(load_id) from {}").format(sql.Identifier(schema, table))).fetchone()
    return row[0] if row else None


def records_at_load(bronze: StaticTable | None, loaded: Loaded) -> int | None:
    """The rows of the lake's snapshot that the last load ended at; None when it has expired."""
    if bronze is None or loaded.snapshot_to is None:
        return 0
    try:
        return lake.total_records(bronze, loaded.snapshot_to)
    except LookupError:
        return None
