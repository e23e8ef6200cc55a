"""What a scrape finds out, source by source, and the samples it becomes. Pure; `loglake.metrics.sources` asks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from loglake.alerts.rules import RULES
from loglake.topic import Bounds

#: What an incident of a DAG's failed run is of: its key begins with it, as that of a rule's incident with the rule.
DAG_INCIDENT = "dag"
#: What may have an open incident, and how severe that is.
ALERTS: dict[str, str] = {**{rule.name: rule.severity for rule in RULES}, DAG_INCIDENT: "critical"}


class Sample(NamedTuple):
    """One value of a metric; of a summary `value` is the sum, `events` the count."""

    name: str
    value: float
    labels: tuple[str, ...] = ()
    events: int = 0


@dataclass(frozen=True)
class Stream:
    """The sums of `ops.stream_progress` and `ops.retired_progress`, the last row, and the heartbeat (None before the first)."""

    batches: int
    seconds: float
    records: int
    rejected: int
    event_delay_seconds: float | None
    reached: dict[int, int]
    seen_at: datetime | None
    lag: int | None


@dataclass(frozen=True)
class Loads:
    """The sums of `ops.load_manifest`, and its last row's end (None before the first)."""

    loads: int
    seconds: float
    read: int
    inserted: int
    duplicate: int
    rejected: int
    files: int
    committed_at: datetime | None


class Table(NamedTuple):
    schema: str
    name: str
    rows: int
    size: int


@dataclass(frozen=True)
class Warehouse:
    """What one look into Postgres finds. `incidents`: what the open ones are of, a rule or DAG_INCIDENT."""

    stream: Stream
    loads: Loads
    size: int
    tables: tuple[Table, ...]
    incidents: frozenset[str] = frozenset()
    live_seen_at: datetime | None = None


@dataclass(frozen=True)
class Lake:
    """The current snapshot's summary; `backlog` None when the snapshot that the last load ended at has expired."""

    rows: int
    files: int
    size: int
    snapshots: int
    committed_at: datetime
    backlog: int | None


@dataclass(frozen=True)
class DagRun:
    """The last finished run of a DAG, and when the last successful one ended."""

    dag: str
    seconds: float
    failed: bool
    succeeded_at: datetime | None


@dataclass(frozen=True)
class Airflow:
    components: dict[str, bool]
    dags: tuple[DagRun, ...]


@dataclass(frozen=True)
class Audit:
    """The last check of the books; `rejects` by the code of their reason."""

    checked_at: datetime
    findings: tuple[str, ...]
    rows: dict[str, int]
    rejects: dict[str, int]


@dataclass(frozen=True)
class Facts:
    """Everything of one scrape. A source that did not answer is None, and `up` says 0 for its service."""

    version: str
    topic: str
    up: dict[str, bool]
    seconds: dict[str, float] = field(default_factory=dict)
    warehouse: Warehouse | None = None
    kafka: dict[int, Bounds] | None = None
    lake: Lake | None = None
    hdfs: dict[str, float] | None = None
    spark: dict[str, float] | None = None
    airflow: Airflow | None = None
    disk: dict[str, float] | None = None
    audit: Audit | None = None


def samples(facts: Facts) -> Iterator[Sample]:
    """The samples of a scrape, each of a metric in `definitions`."""
    yield Sample("loglake_build_info", 1, (facts.version,))
    yield from (Sample("loglake_up", ok, (service,)) for service, ok in facts.up.items())
    yield from (Sample("loglake_scrape_source_duration_seconds", seconds, (source,)) for source, seconds in facts.seconds.items())
    if facts.warehouse:
        yield from _stream(facts.warehouse.stream)
        if facts.warehouse.live_seen_at is not None:
            yield Sample("loglake_live_heartbeat_timestamp_seconds", facts.warehouse.live_seen_at.timestamp())
        yield from _loads(facts.warehouse.loads)
        yield from _tables(facts.warehouse)
        yield from _alerts(facts.warehouse.incidents)
    if facts.lake:
        yield from _lake(facts.lake)
    if facts.kafka is not None:
        yield from _kafka(facts.topic, facts.kafka, facts.warehouse)
    for group in (facts.hdfs, facts.spark, facts.disk):
        yield from (Sample(name, value) for name, value in (group or {}).items())
    if facts.airflow:
        yield from _airflow(facts.airflow)
    if facts.audit:
        yield from _audit(facts.audit)


def _stream(stream: Stream) -> Iterator[Sample]:
    yield Sample("loglake_stream_records_total", stream.records)
    yield Sample("loglake_stream_rejected_records_total", stream.rejected)
    yield Sample("loglake_stream_batch_duration_seconds", stream.seconds, events=stream.batches)
    if stream.event_delay_seconds is not None:
        yield Sample("loglake_stream_event_delay_seconds", stream.event_delay_seconds)
    if stream.seen_at is not None and stream.lag is not None:
        yield Sample("loglake_stream_heartbeat_timestamp_seconds", stream.seen_at.timestamp())
        yield Sample("loglake_stream_lag_records", stream.lag)


def _loads(loads: Loads) -> Iterator[Sample]:
    yield Sample("loglake_load_duration_seconds", loads.seconds, events=loads.loads)
    yield Sample("loglake_load_read_rows_total", loads.read)
    for outcome in ("inserted", "duplicate", "rejected"):
        yield Sample("loglake_load_rows_total", getattr(loads, outcome), (outcome,))
    yield Sample("loglake_load_files_total", loads.files)
    if loads.committed_at is not None:
        yield Sample("loglake_load_last_commit_timestamp_seconds", loads.committed_at.timestamp())


def _tables(warehouse: Warehouse) -> Iterator[Sample]:
    yield Sample("loglake_warehouse_size_bytes", warehouse.size)
    for table in warehouse.tables:
        yield Sample("loglake_warehouse_table_rows", table.rows, (table.schema, table.name))
        yield Sample("loglake_warehouse_table_size_bytes", table.size, (table.schema, table.name))


def _alerts(incidents: frozenset[str]) -> Iterator[Sample]:
    yield from (Sample("loglake_alert_open", name in incidents, (name, severity)) for name, severity in ALERTS.items())


def _lake(lake: Lake) -> Iterator[Sample]:
    yield Sample("loglake_lake_rows", lake.rows)
    yield Sample("loglake_lake_files", lake.files)
    yield Sample("loglake_lake_size_bytes", lake.size)
    yield Sample("loglake_lake_snapshots", lake.snapshots)
    yield Sample("loglake_lake_last_commit_timestamp_seconds", lake.committed_at.timestamp())
    if lake.backlog is not None:
        yield Sample("loglake_load_backlog_rows", lake.backlog)


def _kafka(topic: str, bounds: dict[int, Bounds], warehouse: Warehouse | None) -> Iterator[Sample]:
    for partition, held in bounds.items():
        labels = topic, str(partition)
        yield Sample("loglake_kafka_records_total", held.end, labels)
        yield Sample("loglake_kafka_begin_offset", held.first, labels)
        if warehouse:
            reached = warehouse.stream.reached.get(partition, held.first)
            # Both are asked at the same time, so the stream's report may be the later one.
            yield Sample("loglake_kafka_lag_records", max(held.end - reached, 0), labels)


def _airflow(airflow: Airflow) -> Iterator[Sample]:
    yield from (Sample("loglake_airflow_component_up", ok, (name,)) for name, ok in airflow.components.items())
    for run in airflow.dags:
        yield Sample("loglake_dag_last_run_failed", run.failed, (run.dag,))
        yield Sample("loglake_dag_last_run_duration_seconds", run.seconds, (run.dag,))
        if run.succeeded_at is not None:
            yield Sample("loglake_dag_last_success_timestamp_seconds", run.succeeded_at.timestamp(), (run.dag,))


def _audit(audit: Audit) -> Iterator[Sample]:
    yield Sample("loglake_books_balanced", not audit.findings)
    yield Sample("loglake_books_findings", len(audit.findings))
    yield Sample("loglake_books_checked_timestamp_seconds", audit.checked_at.timestamp())
    yield from (Sample("loglake_books_rows", rows, (stage,)) for stage, rows in audit.rows.items())
    yield from (Sample("loglake_rejected_rows", rows, (reason,)) for reason, rows in audit.rejects.items())
