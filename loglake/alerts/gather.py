"""Gathering the facts that the alert rules are judged by, from every server, in bounded questions.

A source that does not answer makes its part of the facts None and is named in `unknown`; the others are gathered all the same.
"""

import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from hdfs.util import HdfsError
from pyiceberg.table import StaticTable
from pyiceberg.table.snapshots import Operation

from loglake import books, clients, erasure, health, lake, retirement, topic
from loglake.alerts.facts import Facts, Hdfs, Lake, Warehouse
from loglake.balance import differs_at_load
from loglake.settings import settings

ERRORS = (*clients.ERRORS, HdfsError)
#: The newest events of the window that errors and latency are judged by, and the newest loads whose rows are counted each time.
SAMPLED_EVENTS = 100_000
COUNTED_ROWS = 1_000_000
COUNTED_LOADS = 50
PAST_DAYS = 7
_STATEMENT_SECONDS = 10

_ARRIVED = """
select coalesce(sum(rows_read), 0)::bigint, coalesce(sum(rows_rejected), 0)::bigint
from ops.stream_progress where finished_at > %(now)s - %(window)s and finished_at <= %(now)s
"""
_EVENTS = """
select count(*), count(*) filter (where event_type = 'error' or status_code >= 500),
       percentile_cont(0.95) within group (order by latency_ms)
from (
    select event_type, status_code, latency_ms from raw.log_events
    where event_id >= %(first_id)s order by event_id desc limit %(sampled)s
) as newest
"""
#: Hours before the first report are no history: they are left out, not counted as empty.
_HOURS = """
select days, (
    select coalesce(sum(rows_read), 0)::bigint from ops.stream_progress
    where finished_at >= %(hour)s - make_interval(days => days, hours => 1) and finished_at < %(hour)s - make_interval(days => days)
)
from generate_series(0, %(past_days)s) as days
where (select min(finished_at) from ops.stream_progress) <= %(hour)s - make_interval(days => days, hours => 1)
order by days
"""
_UNBUILT = """
select min(committed_at) from ops.load_manifest
where load_id > coalesce((select load_id from staging.load_position where node = 'fact_event'), -1)
"""
_UNBUILT_YET = "select min(committed_at) from ops.load_manifest"
#: The newest loads, as many as hold COUNTED_ROWS together, against what `raw` has of them.
_COUNTED = """
with newest as (
    select load_id, rows_inserted, rows_rejected,
           sum(rows_inserted + rows_rejected) over (order by load_id desc) - rows_inserted - rows_rejected as before
    from ops.load_manifest
    -- of loads before it, raw may have dropped months by age (loglake/retention.py)
    where committed_at > coalesce((select max(retired_at) from raw.retired_month), '-infinity')
    order by load_id desc limit %(loads)s
)
select load_id, rows_inserted, (select count(*) from raw.log_events as e where e.load_id = newest.load_id),
       rows_rejected, (select count(*) from raw.rejected_events as r where r.load_id = newest.load_id)
from newest where before < %(rows)s order by load_id
"""
_CHAIN = """
select load_id from (
    select load_id, snapshot_from, lag(snapshot_to) over loads as ended, load_id - lag(load_id) over loads as step
    from ops.load_manifest window loads as (order by load_id)
) as chain
where step > 1 or (step is not null and snapshot_from is not null and snapshot_from <> ended) order by load_id
"""


def gather(now: datetime | None = None) -> Facts:
    """Ask everybody at the same time; never raises for a server's fault."""
    moment = now or datetime.now(UTC)
    questions: dict[str, Callable[[], Any]] = {
        "warehouse": lambda: ask_warehouse(moment),
        "kafka": lambda: topic.waiting(settings().kafka.topic),
        "lake": ask_lake,
        "hdfs": ask_hdfs,
        "disk_free_bytes": lambda: shutil.disk_usage(settings().runtime.runtime_dir).free,
    }
    with ThreadPoolExecutor(len(questions) + 1) as pool:
        services = pool.submit(health.check_all)
        asked = {name: pool.submit(answer, question) for name, question in questions.items()}
        answers = {name: future.result() for name, future in asked.items()}
    found = {name: value for name, (value, problem) in answers.items() if not problem}
    unknown = {name: problem for name, (_, problem) in answers.items() if problem}
    return Facts(now=moment, services=tuple(services.result()), unknown=unknown, **found)


def answer(question: Callable[[], Any]) -> tuple[Any, str]:
    """What a source says, or why it says nothing."""
    try:
        return question(), ""
    except ERRORS as error:
        return None, clients.one_line(error)


def ask_warehouse(now: datetime, database: str | None = None) -> Warehouse:
    """What Postgres knows, in one state of it."""
    window = timedelta(minutes=settings().alerts.window_minutes)
    with clients.postgres("monitor", database) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read read only")
        connection.execute(f"set local statement_timeout = '{_STATEMENT_SECONDS}s'")
        (arrived, rejected), *_ = connection.execute(_ARRIVED, {"now": now, "window": window}).fetchall()
        first_id = UUID(int=int((now - window).timestamp() * 1000) << 80)
        (events, errors, latency), *_ = connection.execute(_EVENTS, {"first_id": first_id, "sampled": SAMPLED_EVENTS}).fetchall()
        hour = now.replace(minute=0, second=0, microsecond=0)
        hours: dict[int, int] = dict(connection.execute(_HOURS, {"hour": hour, "past_days": PAST_DAYS}).fetchall())
        return Warehouse(
            arrived=arrived,
            rejected=rejected,
            events=events,
            errors=errors,
            latency_p95=latency,
            last_hour=hours.pop(0, None),
            past_hours=tuple(hours.values()),
            unbuilt_since=_unbuilt_since(connection),
            live_seen=topic.seen_at(connection, topic.LIVE_STREAM),
            findings=tuple(_book_findings(connection)),
        )


def _unbuilt_since(connection: psycopg.Connection) -> datetime | None:
    built = connection.execute("select to_regclass('staging.load_position') is not null").fetchone() == (True,)
    row = connection.execute(_UNBUILT if built else _UNBUILT_YET).fetchone()
    return row[0] if row else None


def _book_findings(connection: psycopg.Connection) -> list[str]:
    """Loads that do not follow on from the one before, and new ones of which `raw` holds other numbers than their manifests say."""
    counted = {"loads": COUNTED_LOADS, "rows": COUNTED_ROWS}
    findings = [f"load {load_id} does not follow on from the load before" for (load_id,) in connection.execute(_CHAIN)]
    for load_id, inserted, events, rejected, rejects in connection.execute(_COUNTED, counted):
        if inserted != events:
            findings.append(f"load {load_id} inserted {inserted:,} events, raw.log_events holds {events:,} of them")
        if rejected != rejects:
            findings.append(f"load {load_id} rejected {rejected:,} records, raw.rejected_events holds {rejects:,} of them")
    return findings


def ask_lake() -> Lake | None:
    """The table's metadata, no data file; None before the stream has made the table."""
    began = datetime.now(UTC)
    with clients.postgres("monitor") as connection:
        loaded = books.loaded_rows(connection)
    bronze = lake.table()
    if bronze is None:
        return None
    with clients.postgres("monitor") as connection:
        is_settled = not (erasure.open_since(connection, began) or retirement.open_since(connection, began))
    snapshot = bronze.current_snapshot()
    summary = snapshot.summary if snapshot else None
    files = int((summary and summary["total-data-files"]) or 0)
    size = int((summary and summary["total-files-size"]) or 0)
    finding = differs_at_load(books.records_at_load(bronze, loaded), loaded) if is_settled else ""
    return Lake(
        files=files,
        needed_files=math.ceil(size / (settings().lake.target_file_mib * 2**20)),
        unloaded_since=unloaded_since(bronze, loaded.snapshot_to),
        findings=(finding,) if finding else (),
    )


def unloaded_since(bronze: StaticTable, loaded_to: int | None) -> datetime | None:
    """When the oldest append after the snapshot `loaded_to` was made; of the whole history when that snapshot is not there."""
    snapshots = sorted(bronze.snapshots(), key=lambda snapshot: snapshot.sequence_number or 0)
    at = next((number for number, snapshot in enumerate(snapshots, start=1) if snapshot.snapshot_id == loaded_to), 0)
    appends = [one.timestamp_ms for one in snapshots[at:] if one.summary and one.summary.operation == Operation.APPEND]
    return datetime.fromtimestamp(appends[0] / 1000, UTC) if appends else None


def ask_hdfs() -> Hdfs:
    """What the active NameNode says of its room."""
    said = health.active_namenode(health.namenode_beans())
    return Hdfs(used=int(said["CapacityUsed"]), remaining=int(said["CapacityRemaining"]))
