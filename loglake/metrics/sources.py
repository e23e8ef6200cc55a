"""Where a scrape asks: the books in Postgres, Kafka, HDFS, the lake's metadata file, Spark, Airflow and the disk.

Each function asks one source and raises what its client raises (`clients.ERRORS`). None reads rows of events: what a scrape costs does
not grow with the history but for the sums of `ops.stream_progress` and `ops.load_manifest`, a row per micro-batch and load.
"""

import shutil
from datetime import UTC, datetime
from typing import Any

import psycopg

from loglake import clients, health, lake_metadata, topic
from loglake.alerts import store as alerts
from loglake.errors import ServiceError
from loglake.metrics.facts import Airflow, DagRun, Lake, Loads, Stream, Table, Warehouse
from loglake.settings import settings
from loglake.topic import LAKE_STREAM, LIVE_STREAM, Bounds

#: Schemas whose tables are measured one by one.
_MEASURED = ["raw", "ops", "marts"]
#: With the rows that maintenance has deleted: a counter that falls is a restart to Prometheus.
_STREAM = """
select coalesce(sum(batches), 0)::bigint, coalesce(sum(duration_ms), 0)::float8 / 1000, coalesce(sum(rows_read), 0)::bigint,
       coalesce(sum(rows_rejected), 0)::bigint, (select event_delay_seconds from ops.stream_progress order by finished_at desc limit 1)
from (
    select 1 as batches, duration_ms, rows_read, rows_rejected from ops.stream_progress
    union all
    select batches, duration_ms, rows_read, rows_rejected from ops.retired_progress
) as reports
"""
_HEARTBEAT = "select seen_at, lag from ops.stream_heartbeat where stream = %s"
_LOADS = """
select count(*), coalesce(sum(extract(epoch from committed_at - started_at)), 0)::float8, coalesce(sum(rows_read), 0)::bigint,
       coalesce(sum(rows_inserted), 0)::bigint, coalesce(sum(rows_duplicate), 0)::bigint, coalesce(sum(rows_rejected), 0)::bigint,
       coalesce(sum(files_read), 0)::bigint, max(committed_at)
from ops.load_manifest
"""
#: A partitioned table has its partitions' rows and bytes. One that is dropped meanwhile has a name still, and no size.
_TABLES = """
select n.nspname, c.relname, coalesce(sum(pg_stat_get_live_tuples(coalesce(i.inhrelid, c.oid))), 0)::bigint,
       coalesce(sum(pg_total_relation_size(coalesce(i.inhrelid, c.oid))), 0)::bigint
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_inherits i on i.inhparent = c.oid
where n.nspname = any(%s) and c.relkind in ('r', 'p') and not c.relispartition
group by 1, 2 order by 1, 2
"""
_SNAPSHOT_TO = "select snapshot_to from ops.load_manifest order by load_id desc limit 1"
_DAG_RUNS = """
select distinct on (dag_id) dag_id, extract(epoch from end_date - start_date)::float8, state = 'failed',
       max(end_date) filter (where state = 'success') over (partition by dag_id)
from dag_run
where state in ('success', 'failed') and start_date is not null and end_date is not null
order by dag_id, end_date desc
"""
_HDFS = {
    "loglake_hdfs_capacity_bytes": "CapacityTotal",
    "loglake_hdfs_used_bytes": "CapacityUsed",
    "loglake_hdfs_remaining_bytes": "CapacityRemaining",
    "loglake_hdfs_files": "FilesTotal",
    "loglake_hdfs_blocks": "BlocksTotal",
    "loglake_hdfs_missing_blocks": "MissingBlocks",
    "loglake_hdfs_under_replicated_blocks": "UnderReplicatedBlocks",
    "loglake_hdfs_live_datanodes": "NumLiveDataNodes",
}


def warehouse(database: str | None = None) -> Warehouse:
    """The books of stream and load, what the tables hold, and the open incidents, in one look."""
    config = settings()
    with clients.postgres("monitor", database) as connection, connection.transaction():
        _bound(connection)
        seen_at, lag = connection.execute(_HEARTBEAT, [LAKE_STREAM]).fetchone() or (None, None)
        batches, seconds, records, rejected, delay = connection.execute(_STREAM).fetchall()[0]
        reached = topic.reached(connection, config.kafka.topic)
        stream = Stream(batches, seconds, records, rejected, delay, reached, seen_at, lag)
        loads = Loads(*connection.execute(_LOADS).fetchall()[0])
        (size,) = connection.execute("select pg_database_size(current_database())").fetchall()[0]
        firing = frozenset(incident.alert.key.partition(":")[0] for incident in alerts.open_incidents(connection))
        return Warehouse(stream, loads, size, tables(connection), firing, topic.seen_at(connection, LIVE_STREAM))


def tables(connection: psycopg.Connection) -> tuple[Table, ...]:
    """What each table of the measured schemas holds."""
    return tuple(Table(*row) for row in connection.execute(_TABLES, [_MEASURED]).fetchall())


def kafka() -> dict[int, Bounds]:
    """The bounds of the topic's partitions."""
    clients.require_broker()
    return topic.bounds(settings().kafka.topic)


def lake() -> Lake | None:
    """The lake's current snapshot, from the table's metadata file; None before there is one."""
    with clients.postgres("monitor") as connection:
        loaded = connection.execute(_SNAPSHOT_TO).fetchone()
    document = lake_metadata.document()
    return lake_facts(document, loaded[0] if loaded else None) if document else None


def lake_facts(document: dict[str, Any], loaded_to: int | None) -> Lake | None:
    """The current snapshot of a metadata file, and the rows since the snapshot `loaded_to`; None when it has no snapshot."""
    snapshots = {snapshot["snapshot-id"]: snapshot for snapshot in document.get("snapshots", [])}
    current = snapshots.get(document.get("current-snapshot-id"))
    if current is None:
        return None
    rows, files, size = (int(current["summary"].get(name, 0)) for name in ("total-records", "total-data-files", "total-files-size"))
    before = 0 if loaded_to is None else None
    if loaded_to in snapshots:
        before = int(snapshots[loaded_to]["summary"].get("total-records", 0))
    committed = datetime.fromtimestamp(current["timestamp-ms"] / 1000, UTC)
    return Lake(rows, files, size, len(snapshots), committed, None if before is None else max(rows - before, 0))


def hdfs() -> tuple[dict[str, float], bool]:
    """What the active NameNode counts, and whether HDFS takes writes."""
    beans = health.namenode_beans()
    found = health.active_namenode(beans)
    try:
        health.namenode_detail(beans)
    except ServiceError:
        return _named(_HDFS, found), False
    return _named(_HDFS, found), True


def spark() -> tuple[dict[str, float] | None, bool]:
    """What a standalone master counts, and whether jobs can be run; None for another cluster manager."""
    config = settings().spark
    if config.master:
        health.ask_spark()
        return None, True
    state = clients.json_page(f"{config.ui_url}/json/")
    counted = {
        "loglake_spark_workers": state["aliveworkers"],
        "loglake_spark_cores": state["cores"],
        "loglake_spark_used_cores": state["coresused"],
        "loglake_spark_applications": len(state["activeapps"]),
    }
    return counted, state["status"] == "ALIVE" and state["aliveworkers"] > 0


def airflow() -> Airflow:
    """The health of Airflow's components by its own page, and the last finished run of each DAG."""
    page = clients.json_page(f"{settings().airflow.url}/api/v2/monitor/health")
    components = {name: page[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor")}
    with clients.postgres("airflow", settings().postgres.airflow_database) as connection, connection.transaction():
        _bound(connection)
        dags = tuple(DagRun(*row) for row in connection.execute(_DAG_RUNS).fetchall())
    return Airflow(components, dags)


def disk() -> dict[str, float]:
    """Room on the runtime folder's file system."""
    usage = shutil.disk_usage(settings().runtime.runtime_dir)
    return {"loglake_disk_size_bytes": usage.total, "loglake_disk_free_bytes": usage.free}


def stream_is_fit(stream: Stream) -> bool:
    """Whether the stream reported lately, by the rule of `health`."""
    now = datetime.now(UTC)
    row = (now - stream.seen_at, stream.lag or 0) if stream.seen_at else None
    try:
        health.heartbeat_detail(row, settings().stream)
    except ServiceError:
        return False
    return True


def _bound(connection: psycopg.Connection) -> None:
    """A scrape only reads, and its query ends when nobody waits for it any more."""
    connection.execute("set transaction read only")
    milliseconds = str(int(settings().metrics.timeout_seconds * 1000))
    connection.execute("select set_config('statement_timeout', %s, true)", [milliseconds])


def _named(names: dict[str, str], found: dict[str, Any]) -> dict[str, float]:
    return {metric: found[bean] for metric, bean in names.items() if bean in found}
